//! `/login/oidc` and its callback.

use super::{CALLBACK, LOGIN, Oidc, Person};
use crate::app::App;
use crate::audit::Record;
use crate::auth::user::{NewUser, User, UserChange};
use crate::error::{Error, Result};
use crate::metrics::Login;
use crate::routes::{Access, Face, Routes, cookie};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use std::net::IpAddr;
use weir_runtime::serve::Peer;

/// Name of the cookie that binds a login to its browser. `Lax`: the provider's redirect must bring it along.
const COOKIE: &str = "weir_oidc";
/// Seconds for which it is kept.
const COOKIE_SECONDS: u32 = 600;

/// The routes; they answer 404 where no provider is configured.
pub fn routes(app: App) -> Routes {
    Routes::new(app, Face::Page).get(LOGIN, Access::Public, begin).get(CALLBACK, Access::Public, finish)
}

/// Where to go afterwards.
#[derive(Deserialize)]
struct Begin {
    #[serde(default)]
    next: String,
}

/// What the provider sends.
#[derive(Deserialize)]
struct Finish {
    #[serde(default)]
    code: String,
    #[serde(default)]
    state: String,
    #[serde(default)]
    error: String,
}

fn provider(app: &App) -> Result<&Oidc> {
    app.oidc.as_ref().ok_or(Error::NotFound("login by OpenID Connect"))
}

fn set_cookie(app: &App, value: &str, seconds: u32) -> String {
    let secure = if app.config.secure { "; Secure" } else { "" };
    format!("{COOKIE}={value}; Path={LOGIN}; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")
}

/// Takes a step that calls the provider, for a caller who has not logged in.
fn step(app: &App, peer: &Peer) -> Result<()> {
    app.throttle.step(peer.0.ip(), app.clock.millis()).map_err(|wait| {
        app.config.metrics.login(Login::Throttled);
        Error::Throttled(wait)
    })
}

async fn begin(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Query(asked): Query<Begin>,
) -> Result<Response> {
    let provider = provider(&app)?;
    step(&app, &peer)?;
    let (url, state) = provider.begin(&asked.next).await?;
    let headers = [(header::LOCATION, url), (header::SET_COOKIE, set_cookie(&app, &state, COOKIE_SECONDS))];
    Ok((StatusCode::SEE_OTHER, headers).into_response())
}

async fn finish(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    Query(sent): Query<Finish>,
) -> Result<Response> {
    let provider = provider(&app)?;
    if !sent.error.is_empty() || sent.code.is_empty() {
        return Err(Error::Forbidden("the identity provider refused the login"));
    }
    step(&app, &peer)?;
    let kept = cookie(&headers, COOKIE).unwrap_or_default();
    let refused = |error: &Error| {
        if matches!(error, Error::Forbidden(_)) {
            app.config.metrics.login(Login::Refused);
        }
    };
    let person = provider.finish(&sent.code, &sent.state, &kept).await.inspect_err(refused)?;
    let agent = headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let session = enter(&app, &person, peer.0.ip(), agent).await.inspect_err(refused)?;
    app.throttle.give_back(peer.0.ip());
    app.config.metrics.login(Login::Accepted);
    // A redirect would still count as coming from the provider, and a strict cookie stay behind: this page, being ours, leads on.
    let page = format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>weir</title>\
         <meta http-equiv=refresh content=\"0;url={}\"><p><a href=\"{0}\">Continue</a>",
        escape(&person.next)
    );
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], page).into_response();
    for cookie in [app.session_cookie(&session), set_cookie(&app, "", 0)] {
        response.headers_mut().append(header::SET_COOKIE, cookie.parse().map_err(Error::internal)?);
    }
    Ok(response)
}

/// Begins a session of `person`, who is made a user at the first login.
async fn enter(app: &App, person: &Person, address: IpAddr, agent: &str) -> Result<String> {
    let address = address.to_canonical().to_string();
    let Some(role) = person.role else {
        app.audit.refused(&format!("oidc:{}", person.login), &address, "session.refuse", "no role").await?;
        return Err(Error::Forbidden("the identity provider names no role for you; ask an administrator"));
    };
    let known = app.users.find_subject(&person.subject).await?;
    if known.as_ref().is_some_and(|user| !user.enabled) {
        return Err(Error::Forbidden("this user is disabled"));
    }
    let mut change = app.audit.begin().await?;
    let user: User = match known {
        Some(user) if user.role == role => user,
        Some(user) => {
            let wanted = UserChange { role: Some(role), ..UserChange::default() };
            let (before, changed) = app.users.prepare_change(&user, wanted).await?.update(change.on()).await?;
            let record = Record::new("user.change", format!("user/{}", user.id), &before, &changed)?;
            change.record("oidc", &address, &record).await?;
            changed
        }
        None => {
            let (login, name, subject) = (person.login.clone(), person.name.clone(), Some(person.subject.clone()));
            let new = NewUser { login, name, role, password: None, subject };
            let made = app.users.prepare(new).await?.insert(change.on()).await.map_err(|error| match error {
                Error::Conflict(_) => Error::Forbidden(
                    "there is another user with your login here; ask an administrator to remove or rename that one",
                ),
                error => error,
            })?;
            let record = Record::new("user.create", format!("user/{}", made.id), (), &made)?;
            change.record("oidc", &address, &record).await?;
            made
        }
    };
    let (cookie, _) = app.enter(&mut change, &user, &address, agent, "session.begin").await?;
    change.store().await?;
    Ok(cookie)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
