//! What page handlers receive, and the responses that they return.

use super::view::confirm::ConfirmPage;
use super::view::outside::ErrorPage;
use super::view::shell::{Place, Shell, StoreAlarm, Theme, Viewer};
use super::view::text::Text;
use super::view::time::Moment;
use super::{form_fields::FormFields, notice};
use crate::app::App;
use crate::auth::Caller;
use crate::confirm::Unconfirmed;
use crate::error::{Error, Mistake, Result};
use crate::problem::PROBLEM;
use crate::routes::{CONFIRM_FIELD, CONFIRM_WORD, CSRF_FIELD, RefusedForm, cookie};
use askama::Template;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// Pages may load files of this host only and nothing inline, so that injected markup could not run script.
const CSP: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; frame-src 'self'; \
                   form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
/// Cookie that stores the color theme.
pub const THEME_COOKIE: &str = "weir_theme";
/// Largest problem that is read to be shown as a page, in bytes.
const MAX_PROBLEM: usize = 64 << 10;

/// A page request: who asked for which address, and when.
pub struct Page {
    /// Services.
    pub app: App,
    /// Who sent the request.
    pub caller: Caller,
    /// Parameters of the address.
    pub query: FormFields,
    /// When, in milliseconds since 1970.
    pub now: i64,
    /// Where browsers and nodes reach the control plane: the configured address, or else the one that was asked.
    pub origin: String,
    here: String,
    theme: Theme,
}

impl FromRequestParts<App> for Page {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        let caller = Caller::from_request_parts(parts, app).await?;
        let theme = theme(&parts.headers);
        Ok(Self {
            caller,
            query: FormFields::of_query(parts.uri.query().unwrap_or_default())?,
            now: app.clock.millis(),
            origin: origin(&parts.headers, app),
            here: parts.uri.path_and_query().map_or_else(|| "/".into(), ToString::to_string),
            theme,
            app: app.clone(),
        })
    }
}

impl Page {
    /// What surrounds it.
    pub fn shell(&self, title: impl Into<String>, place: Place) -> Shell {
        Shell {
            title: title.into(),
            place,
            viewer: Viewer { login: Text::new(self.login()), role: self.caller.role() },
            csrf: self.caller.csrf().to_owned(),
            theme: self.theme,
            notice: notice::of(&self.query),
            fault: self
                .app
                .store
                .fault()
                .map(|fault| StoreAlarm { since: Moment::new(fault.since, self.now), why: Text::new(&fault.why) }),
            here: notice::without(&self.here),
        }
    }

    /// Login of the caller; empty for API tokens.
    pub fn login(&self) -> &str {
        self.caller.session().map_or("", |session| &session.user.login)
    }

    /// The moment `at`, in milliseconds since 1970, seen from now.
    pub fn moment(&self, at: i64) -> Moment {
        Moment::new(at, self.now)
    }
}

fn origin(headers: &HeaderMap, app: &App) -> String {
    if let Some(url) = &app.config.public_url {
        return url.clone();
    }
    let fits =
        |host: &&str| host.len() <= 255 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).filter(fits).unwrap_or("weir.example.com");
    format!("{}://{host}", if app.config.secure { "https" } else { "http" })
}

fn theme(headers: &HeaderMap) -> Theme {
    cookie(headers, THEME_COOKIE).map_or(Theme::Auto, |code| Theme::from_code(&code))
}

/// A page as a response.
pub fn html(template: &impl Template) -> Result<Response> {
    html_with(StatusCode::OK, template)
}

/// A page as a response with `status`.
pub fn html_with(status: StatusCode, template: &impl Template) -> Result<Response> {
    let text = template.render().map_err(Error::internal)?;
    let mut response = (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], text).into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        ("content-security-policy", CSP),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
        ("permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Redirects the browser (303).
pub fn see_other(to: &str) -> Response {
    (StatusCode::SEE_OTHER, [(header::LOCATION, to.to_owned())]).into_response()
}

/// Redirects the browser to a page of the Console; to the dashboard if `to` is not one.
pub fn back(to: &str) -> Response {
    see_other(own(to))
}

/// `to` if it is a path on this host.
pub fn own(to: &str) -> &str {
    let fine =
        to.starts_with('/') && !to.starts_with("//") && !to.contains('\\') && !to.contains(|c: char| c.is_control());
    if fine { to } else { "/" }
}

/// Separates errors that a form can show beside its fields from all others.
pub fn mistakes<T>(done: Result<T>) -> Result<std::result::Result<T, Vec<Mistake>>> {
    match done {
        Ok(done) => Ok(Ok(done)),
        Err(Error::Invalid(all)) => Ok(Err(all)),
        Err(Error::Conflict(why)) => Ok(Err(vec![Mistake::new("", why)])),
        Err(error) => Err(error),
    }
}

/// Shows error responses as pages to browsers that asked for one.
pub async fn errors(request: Request, next: Next) -> Response {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let browser = accept.contains("text/html") && !request.uri().path().starts_with("/api/");
    let theme = theme(request.headers());
    let reads = request.method().is_safe();
    let login = request.uri().path().starts_with("/login");
    let mut response = next.run(request).await;
    let refused = response.extensions_mut().remove::<RefusedForm>();
    if let (Some(refused), Some(why)) = (refused, response.extensions().get::<Arc<Unconfirmed>>()) {
        return confirmation(refused, why, theme).unwrap_or_else(IntoResponse::into_response);
    }
    let is_problem = response.headers().get(header::CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM);
    if !browser || !is_problem {
        return response;
    }
    let (parts, body) = response.into_parts();
    let problem: serde_json::Value = match axum::body::to_bytes(body, MAX_PROBLEM).await {
        Ok(body) => serde_json::from_slice(&body).unwrap_or_default(),
        Err(_) => serde_json::Value::Null,
    };
    let detail = Text::new(&sentence(problem["detail"].as_str().unwrap_or_default()));
    let page = ErrorPage { status: parts.status.as_u16(), title: title(parts.status, reads), detail, login };
    let mut shown = html_with(parts.status, &page).unwrap_or_else(IntoResponse::into_response);
    if let Some(wait) = parts.headers.get(header::RETRY_AFTER) {
        shown.headers_mut().insert(header::RETRY_AFTER, wait.clone());
    }
    shown
}

/// The page that says what a change would do, and asks to confirm it. It sends the same form again.
fn confirmation(refused: RefusedForm, why: &Unconfirmed, theme: Theme) -> Result<Response> {
    let RefusedForm { app, caller, path, form } = refused;
    let here = path.clone();
    let origin = app.config.public_url.clone().unwrap_or_default();
    let page = Page { now: app.clock.millis(), query: FormFields::default(), origin, app, caller, here, theme };
    let own = [CSRF_FIELD, CONFIRM_FIELD, CONFIRM_WORD];
    let fields = form.fields.iter().filter(|(name, _)| !own.contains(&name.as_str()));
    let place = Place::of_path(&path);
    let shown = ConfirmPage {
        shell: page.shell("Confirm the change", place),
        changes: why.changes.iter().map(|one| (one.weakens, Text::new(&one.says))).collect(),
        effect: why.effect.as_ref().map(|effect| Text::new(&effect.words())),
        let_through: why.effect.as_ref().is_some_and(|effect| effect.let_through > 0),
        word: Text::new(&why.word),
        stale: why.stale,
        confirm: why.confirm.clone(),
        back: place.href(),
        multipart: form.multipart,
        fields: fields.cloned().collect(),
        path,
    };
    html_with(StatusCode::PRECONDITION_REQUIRED, &shown)
}

/// `text` with a capital at the beginning, as pages begin sentences.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// The title of a page that says what went wrong; `reads` where nothing was to be changed.
fn title(status: StatusCode, reads: bool) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::FORBIDDEN => "Access denied",
        StatusCode::UNAUTHORIZED => "Log in to continue",
        StatusCode::CONFLICT if reads => "Not possible here",
        StatusCode::UNPROCESSABLE_ENTITY if reads => "This address is not understood",
        StatusCode::CONFLICT | StatusCode::UNPROCESSABLE_ENTITY => "The change was not saved",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::PAYLOAD_TOO_LARGE => "Request too large",
        StatusCode::SERVICE_UNAVAILABLE => "Temporarily unavailable",
        StatusCode::BAD_GATEWAY => "Login is not possible now",
        _ => "Something went wrong",
    }
}

#[cfg(test)]
mod tests {
    use super::{own, sentence};

    #[test]
    fn sentences_begin_with_a_capital() {
        assert_eq!(["log in again", "`q`: é", "ä", ""].map(sentence), ["Log in again", "`q`: é", "Ä", ""]);
    }

    #[test]
    fn redirects_stay_on_this_host() {
        assert_eq!(own("/attacks?q=a"), "/attacks?q=a");
        for foreign in ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "", "/a\r\nb"] {
            assert_eq!(own(foreign), "/", "{foreign}");
        }
    }
}
