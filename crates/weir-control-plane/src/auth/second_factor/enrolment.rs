//! Setting up and taking away a second factor, and the login with one.

use super::{Proof, totp};
use crate::app::App;
use crate::audit::Record;
use crate::auth::Caller;
use crate::auth::secret;
use crate::auth::session::Session;
use crate::auth::user::User;
use crate::error::{Error, Result};
use crate::metrics::Login;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;
use std::net::IpAddr;

/// For how long a password counts while the code is awaited, in milliseconds.
const TICKET_MS: i64 = 5 * 60 * 1000;
/// Smallest width of a QR code, in pixels.
const QR_PIXELS: u32 = 220;

/// A secret that waits to be confirmed.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// In base32, to be typed.
    pub secret: String,
    /// `otpauth:` address, as in the QR code.
    pub uri: String,
}

impl Enrolment {
    fn new(login: &str, secret: &[u8]) -> Self {
        Self { secret: totp::base32(secret), uri: totp::uri(login, secret) }
    }

    /// The QR code as the address of an SVG image.
    pub fn image(&self) -> Result<String> {
        let code = qrcode::QrCode::new(&self.uri).map_err(Error::internal)?;
        let svg = code.render::<qrcode::render::svg::Color<'_>>().min_dimensions(QR_PIXELS, QR_PIXELS).build();
        Ok(format!("data:image/svg+xml;base64,{}", STANDARD.encode(svg)))
    }
}

fn local(caller: &Caller) -> Result<&Session> {
    let session = caller.session().ok_or(Error::Forbidden("only people have a second factor"))?;
    if session.user.external {
        return Err(Error::Conflict("your identity provider asks for the second factor".into()));
    }
    Ok(session)
}

fn wrong_code() -> Error {
    Error::invalid("code", "this code is wrong, or was used already; wait for the next one")
}

impl App {
    /// Begins to set up the caller's second factor, who proves their password.
    pub async fn begin_second_factor(&self, caller: &Caller, password: String) -> Result<Enrolment> {
        let user = &local(caller)?.user;
        self.check_own_password(caller, password).await?;
        let mut change = self.audit.begin().await?;
        let secret = self.second_factors.begin(change.on(), &user.id).await?;
        change.store().await?;
        Ok(Enrolment::new(&user.login, &secret))
    }

    /// The secret of the caller that waits to be confirmed.
    pub async fn pending_second_factor(&self, caller: &Caller) -> Result<Option<Enrolment>> {
        let user = &local(caller)?.user;
        Ok(self.second_factors.pending(&user.id).await?.map(|secret| Enrolment::new(&user.login, &secret)))
    }

    /// Turns the caller's second factor on, by a code of the device; answers the recovery codes, which are shown once.
    /// The other sessions of the caller end.
    pub async fn confirm_second_factor(&self, caller: &Caller, code: &str) -> Result<Vec<String>> {
        let session = local(caller)?;
        let id = &session.user.id;
        if self.second_factors.pending(id).await?.is_none() {
            return Err(Error::Conflict("begin to set up the second factor first".into()));
        }
        let mut change = self.audit.begin().await?;
        if self.second_factors.prove(change.on(), id, code).await?.is_none() {
            change.store().await?;
            return Err(wrong_code());
        }
        self.second_factors.confirm(change.on(), id).await?;
        let codes = self.second_factors.new_codes(change.on(), id).await?;
        self.sessions.end_all(change.on(), id, Some(&session.hash)).await?;
        change.commit(caller, "user.second_factor", &format!("user/{id}"), "off", "on").await?;
        Ok(codes)
    }

    /// Gives the caller new recovery codes, who proves the second factor.
    pub async fn renew_recovery_codes(&self, caller: &Caller, code: &str) -> Result<Vec<String>> {
        let id = &local(caller)?.user.id;
        let mut change = self.proved(caller, code).await?;
        let codes = self.second_factors.new_codes(change.on(), id).await?;
        change.commit(caller, "user.recovery_codes", &format!("user/{id}"), (), ()).await?;
        Ok(codes)
    }

    /// Turns the caller's second factor off, who proves it.
    pub async fn remove_second_factor(&self, caller: &Caller, code: &str) -> Result<()> {
        let id = &local(caller)?.user.id;
        let mut change = self.proved(caller, code).await?;
        super::remove(change.on(), id).await?;
        change.commit(caller, "user.second_factor", &format!("user/{id}"), "on", "off").await
    }

    /// A change whose caller proved the second factor.
    async fn proved(&self, caller: &Caller, code: &str) -> Result<crate::audit::Audited> {
        let id = &local(caller)?.user.id;
        if !self.second_factors.is_on(id).await? {
            return Err(Error::Conflict("you have no second factor".into()));
        }
        let mut change = self.audit.begin().await?;
        if self.second_factors.prove(change.on(), id, code).await?.is_some() {
            return Ok(change);
        }
        change.store().await?;
        Err(wrong_code())
    }

    /// Takes the second factor of a user away, who lost device and recovery codes. Their sessions end.
    pub async fn reset_second_factor(&self, caller: &Caller, id: &str) -> Result<()> {
        self.users.find(id).await?.ok_or(Error::NotFound("user"))?;
        let mut change = self.audit.begin().await?;
        if !super::remove(change.on(), id).await? {
            return Err(Error::Conflict("this user has no second factor".into()));
        }
        self.sessions.end_all(change.on(), id, None).await?;
        change.commit(caller, "user.second_factor_reset", &format!("user/{id}"), "on", "off").await
    }

    /// What a login goes on with, whose password was right and whose code is still to come.
    pub(in crate::auth) fn ticket(&self, user: &User) -> Result<String> {
        let until = self.clock.millis() + TICKET_MS;
        Ok(format!("{}.{until}.{}", user.id, self.ticket_tag(user, until)?))
    }

    fn ticket_tag(&self, user: &User, until: i64) -> Result<String> {
        // A new password, role or state makes the ticket void.
        let said = format!("{}.{until}.{}", user.id, user.updated_at);
        Ok(weir_runtime::hex::encode(hmac::sign(&self.second_factors.ticket_key()?, said.as_bytes()).as_ref()))
    }

    /// Ends the login of a ticket by a code of the device or a recovery code.
    ///
    /// # Errors
    /// [`Error::WrongLogin`] if the ticket is not valid any more, [`Error::WrongCode`] if the code is wrong.
    pub async fn login_with_code(
        &self,
        address: IpAddr,
        agent: &str,
        ticket: &str,
        code: &str,
    ) -> Result<(String, Session)> {
        let mut parts = ticket.splitn(3, '.');
        let (id, until, tag) = (parts.next(), parts.next().and_then(|until| until.parse::<i64>().ok()), parts.next());
        let (Some(id), Some(until), Some(tag)) = (id, until, tag) else { return Err(Error::WrongLogin) };
        let user = self.users.find(id).await?.filter(|user| user.enabled).ok_or(Error::WrongLogin)?;
        if until <= self.clock.millis() || !secret::same(tag, &self.ticket_tag(&user, until)?) {
            return Err(Error::WrongLogin);
        }
        self.finish_login(address, agent, &user, code).await
    }

    /// Begins the session of a user whose password was right, if the code is.
    pub(in crate::auth) async fn finish_login(
        &self,
        address: IpAddr,
        agent: &str,
        user: &User,
        code: &str,
    ) -> Result<(String, Session)> {
        let whence = address.to_canonical().to_string();
        let metrics = &self.config.metrics;
        let mut change = self.audit.begin().await?;
        let actor = format!("user:{}", user.login);
        let proof = self.second_factors.prove(change.on(), &user.id, code).await;
        let proof = proof.inspect_err(|_| metrics.login(Login::Throttled))?;
        let Some(proof) = proof else {
            metrics.login(Login::Refused);
            let record = Record::new("login.wrong_code", format!("user/{}", user.id), (), ())?;
            change.commit_record(&actor, &whence, &record).await?;
            return Err(Error::WrongCode);
        };
        if proof == Proof::Recovery {
            let record = Record::new("user.recovery_code_used", format!("user/{}", user.id), (), ())?;
            change.record(&actor, &whence, &record).await?;
        }
        let begun = self.enter(&mut change, user, &whence, agent, "login").await?;
        change.store().await?;
        metrics.login(Login::Accepted);
        Ok(begun)
    }
}
