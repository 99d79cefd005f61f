//! Login and logout, color theme, the account of the user.

use crate::app::App;
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{self, Page, THEME_COOKIE, html, html_with, mistakes, see_other};
use crate::console::pages::second_factor::factor;
use crate::console::view::form::{Control, Field};
use crate::console::view::outside::Login;
use crate::console::view::shell::{Place, Theme};
use crate::console::view::text::Text;
use crate::console::view::users::{Account, FactorState, SecondFactor};
use crate::error::{Error, Mistake, Result};
use crate::routes::{cookie, cookie_name, is_foreign};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use weir_runtime::serve::Peer;

/// Lifetime of the color theme cookie, in seconds: a year.
const THEME_AGE: u32 = 31_536_000;

/// `GET /login`
pub async fn login_form(State(app): State<App>, headers: HeaderMap, uri: axum::http::Uri) -> Result<Response> {
    let query = FormFields::of_query(uri.query().unwrap_or_default())?;
    if let Some(cookie) = cookie(&headers, cookie_name(app.config.secure))
        && app.sessions.find(&cookie).await?.is_some()
    {
        return Ok(page::back(query.get("next")));
    }
    let first = !app.users.list().await?.iter().any(|user| user.last_login_at.is_some());
    html(&Login { next: query.get("next").to_owned(), first, provider: app.oidc.is_some(), ..Login::default() })
}

/// `POST /login`
pub async fn login(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    given: FormFields,
) -> Result<Response> {
    let agent = agent_of_own_form(&app, &headers)?;
    let (login, next) = (given.get("login"), given.get("next"));
    let (status, wrong) = match app.login(peer.0.ip(), agent, login, given.raw("password").to_owned(), None).await {
        Ok((cookie, _)) => return begun(&app, &cookie, next),
        Err(Error::CodeRequired(ticket)) => {
            return html(&Login { next: next.into(), ticket: Some(ticket), ..Login::default() });
        }
        Err(Error::WrongLogin) => (StatusCode::UNAUTHORIZED, "Incorrect login or password.".to_owned()),
        Err(Error::Throttled(seconds)) => (StatusCode::TOO_MANY_REQUESTS, too_many_attempts(seconds)),
        Err(error) => return Err(error),
    };
    let form = Login {
        wrong: Some(Text::new(&wrong)),
        login: login.into(),
        next: next.into(),
        provider: app.oidc.is_some(),
        ..Login::default()
    };
    html_with(status, &form)
}

/// The user agent of a login form's request; an error if the form was submitted from another site.
fn agent_of_own_form<'h>(app: &App, headers: &'h HeaderMap) -> Result<&'h str> {
    if is_foreign(headers, app.config.public_url.as_deref()) {
        return Err(Error::Forbidden("the login form was submitted from another site"));
    }
    Ok(headers.get(header::USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default())
}

fn too_many_attempts(seconds: u64) -> String {
    format!("Too many attempts. Try again in {seconds} s.")
}

fn begun(app: &App, cookie: &str, next: &str) -> Result<Response> {
    let mut response = page::back(next);
    response.headers_mut().append(header::SET_COOKIE, header_value(&app.session_cookie(cookie))?);
    Ok(response)
}

/// `POST /login/code`
pub async fn login_code(
    State(app): State<App>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    headers: HeaderMap,
    given: FormFields,
) -> Result<Response> {
    let agent = agent_of_own_form(&app, &headers)?;
    let (ticket, next) = (given.get("ticket"), given.get("next"));
    let (status, wrong, ticket) = match app.login_with_code(peer.0.ip(), agent, ticket, given.get("code")).await {
        Ok((cookie, _)) => return begun(&app, &cookie, next),
        Err(Error::WrongCode) => (StatusCode::UNAUTHORIZED, Error::WrongCode.to_string(), Some(ticket.to_owned())),
        Err(Error::Throttled(seconds)) => {
            (StatusCode::TOO_MANY_REQUESTS, too_many_attempts(seconds), Some(ticket.to_owned()))
        }
        Err(Error::WrongLogin) => (StatusCode::UNAUTHORIZED, "This took too long. Log in again.".to_owned(), None),
        Err(error) => return Err(error),
    };
    let provider = app.oidc.is_some();
    html_with(
        status,
        &Login { wrong: Some(Text::new(&wrong)), next: next.into(), ticket, provider, ..Login::default() },
    )
}

/// `POST /logout`
pub async fn logout(page: Page) -> Result<Response> {
    if let Some(session) = page.caller.session() {
        page.app.logout(session, &page.caller.address).await?;
    }
    let mut response = see_other("/login");
    response.headers_mut().append(header::SET_COOKIE, header_value(&page.app.no_session_cookie())?);
    // What the browser kept of the pages goes too.
    response.headers_mut().insert("clear-site-data", HeaderValue::from_static("\"cache\""));
    Ok(response)
}

fn header_value(text: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(text).map_err(Error::internal)
}

/// `POST /theme`
pub async fn theme(page: Page, given: FormFields) -> Result<Response> {
    let theme = Theme::from_code(given.get("theme")).code();
    let mark = if page.app.config.secure { "; Secure" } else { "" };
    let cookie = format!("{THEME_COOKIE}={theme}; Path=/; Max-Age={THEME_AGE}; HttpOnly; SameSite=Lax{mark}");
    let mut response = page::back(given.get("back")).into_response();
    response.headers_mut().append(header::SET_COOKIE, header_value(&cookie)?);
    Ok(response)
}

/// `GET /account`
pub async fn account(page: Page) -> Result<Response> {
    html(&form(&page, &[], factor(&page, FactorState::Plain, &[]).await?))
}

/// `POST /account/password`
pub async fn password(page: Page, given: FormFields) -> Result<Response> {
    let (old, new) = (given.raw("old").to_owned(), given.raw("new").to_owned());
    let changed = if new == given.raw("again") {
        mistakes(page.app.change_own_password(&page.caller, old, new).await)?
    } else {
        Err(vec![Mistake::new("again", "the passwords do not match")])
    };
    match changed {
        Ok(()) => Ok(see_other(&with_notice("/account", "password", 0))),
        Err(wrong) => {
            let factor = factor(&page, FactorState::Plain, &[]).await?;
            html_with(StatusCode::UNPROCESSABLE_ENTITY, &form(&page, &wrong, factor))
        }
    }
}

/// The page; `wrong` belongs to the change of the password.
pub(super) fn form(page: &Page, wrong: &[Mistake], factor: Option<SecondFactor>) -> Account {
    let of = |field: &str| wrong.iter().find(|one| one.field == field).map(|one| one.message.as_str());
    let named = ["current", "password", "again"];
    Account {
        shell: page.shell("Your account", Place::Elsewhere),
        fields: vec![
            Field::new("old", "Current password", Control::Line, "").with_error(of("current")),
            Field::new("new", "New password", Control::Line, "12 to 256 characters.").with_error(of("password")),
            Field::new("again", "Repeat new password", Control::Line, "").with_error(of("again")),
        ],
        mistakes: wrong
            .iter()
            .filter(|one| !named.contains(&one.field.as_str()))
            .map(|one| Text::new(&one.message))
            .collect(),
        factor,
        local: page.caller.session().is_some_and(|session| !session.user.external),
    }
}
