//! Logging in and out.

use super::session::Session;
use super::user::User;
use crate::app::App;
use crate::audit::{Audited, Record};
use crate::error::{Error, Result};
use crate::metrics::Login;
use std::net::IpAddr;

/// Longest login looked at, in bytes: longer ones belong to no user.
const MAX_LOGIN: usize = 400;

impl App {
    /// Begins a session of whoever has this login and password; answers the cookie's value and the session. A wrong
    /// login and a wrong password cannot be distinguished, by the response or by its time. A user with a second factor needs
    /// `code` too.
    ///
    /// # Errors
    /// [`Error::CodeRequired`] if only the code is missing.
    pub async fn login(
        &self,
        address: IpAddr,
        agent: &str,
        login: &str,
        password: String,
        code: Option<&str>,
    ) -> Result<(String, Session)> {
        let login = login.trim().get(..MAX_LOGIN.min(login.trim().len())).unwrap_or_default();
        let whence = address.to_canonical().to_string();
        let known = self.users.is_known_address(login, &whence).await?;
        let now = self.clock.millis();
        let metrics = &self.config.metrics;
        self.throttle.check(address, login, known, now).map_err(|wait| {
            metrics.login(Login::Throttled);
            Error::Throttled(wait)
        })?;
        self.throttle.note(address, login, now);
        let Some(user) = self.users.verify(login, password).await? else {
            metrics.login(Login::Refused);
            // What was typed may be a password: it is not recorded.
            self.audit.refused("stranger", &whence, "login.refused", "").await?;
            return Err(Error::WrongLogin);
        };
        self.throttle.forgive(address, login);
        if self.second_factors.is_on(&user.id).await? {
            let code = code.filter(|code| !code.is_empty());
            let Some(code) = code else { return Err(Error::CodeRequired(self.ticket(&user)?)) };
            return self.finish_login(address, agent, &user, code).await;
        }
        let mut change = self.audit.begin().await?;
        let begun = self.enter(&mut change, &user, &whence, agent, "login").await?;
        change.store().await?;
        self.config.metrics.login(Login::Accepted);
        Ok(begun)
    }

    /// Begins a session as part of a change, recorded as `action`.
    pub async fn enter(
        &self,
        change: &mut Audited,
        user: &User,
        address: &str,
        agent: &str,
        action: &str,
    ) -> Result<(String, Session)> {
        let begun = self.sessions.begin(change.on(), user, address, agent).await?;
        self.users.note_login(change.on(), &user.id, address).await?;
        let record = Record::new(action, format!("user/{}", user.id), (), ())?;
        change.record(&format!("user:{}", user.login), address, &record).await?;
        Ok(begun)
    }

    /// Ends a session.
    pub async fn logout(&self, session: &Session, address: &str) -> Result<()> {
        let mut change = self.audit.begin().await?;
        self.sessions.end(change.on(), &session.hash).await?;
        let record = Record::new("logout", format!("user/{}", session.user.id), (), ())?;
        change.commit_record(&format!("user:{}", session.user.login), address, &record).await
    }

    /// `Set-Cookie` for a session's value.
    pub fn session_cookie(&self, value: &str) -> String {
        self.cookie(value, super::session::ABSOLUTE_MS / 1000)
    }

    /// `Set-Cookie` that takes the session's cookie away.
    pub fn no_session_cookie(&self) -> String {
        self.cookie("", 0)
    }

    fn cookie(&self, value: &str, age: i64) -> String {
        let secure = self.config.secure;
        let name = crate::routes::cookie_name(secure);
        let mark = if secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly; SameSite=Strict{mark}")
    }
}
