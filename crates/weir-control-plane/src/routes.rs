//! The table of routes that answer people and programs. A route is entered with the access that it requires, and the check runs before
//! its handler: there is no way to add one without. A test walks the table for every role.

use super::app::App;
use super::auth::token::Usage;
use super::auth::{Caller, Credential, Permission};
use super::body::BodyLimit;
use super::confirm::{Confirm, Unconfirmed};
use super::error::{Error, Result};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, FromRequest, Multipart, Request, State};
use axum::handler::Handler;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodFilter, on};
use std::sync::Arc;
use std::time::Duration;
use weir_runtime::serve::Peer;

/// Longest time for a call, its body included.
const CALL_TIME: Duration = Duration::from_secs(30);
/// Largest body, in bytes, unless a route says otherwise.
pub const BODY_LIMIT: usize = 1 << 20;
/// Longest upload that the page which asks to confirm repeats, in bytes: that of address lists.
const MAX_REPEATED: usize = (16 << 20) + (64 << 10);
/// Header that carries the CSRF token.
pub const CSRF_HEADER: &str = "x-csrf-token";
/// Field of a form that carries it.
pub const CSRF_FIELD: &str = "csrf";
/// Header that confirms a change.
pub const CONFIRM_HEADER: &str = "x-confirm";
/// Field of a form that confirms a change.
pub const CONFIRM_FIELD: &str = "confirm";
/// Field of a form in which a person types what the change is about.
pub const CONFIRM_WORD: &str = "confirm_word";

/// What a route asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Nothing.
    Public,
    /// Any logged-in user or token, whatever the role.
    Anyone,
    /// A role that allows this.
    Needs(Permission),
}

/// Who may call the routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Programs: refusals are problems.
    Api,
    /// Browsers: who is not logged in is sent to `/login`; tokens do not count; the CSRF token may stand in a form.
    Page,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Method; `GET` stands for `HEAD` too.
    pub method: Method,
    /// Path, parameters in braces.
    pub path: &'static str,
    /// What it asks for.
    pub access: Access,
    /// Who may call it.
    pub face: Face,
}

/// Routes, each with its check.
pub struct Routes {
    app: App,
    face: Face,
    entries: Vec<Entry>,
    router: Router<App>,
}

#[derive(Clone)]
struct Guard {
    app: App,
    access: Access,
    face: Face,
    body_limit: usize,
}

impl Routes {
    /// An empty table.
    pub fn new(app: App, face: Face) -> Self {
        Self { app, face, entries: Vec::new(), router: Router::new() }
    }

    /// Adds a `GET` route.
    pub fn get<H: Handler<T, App>, T: 'static>(self, path: &'static str, access: Access, handler: H) -> Self {
        self.add(Method::GET, path, access, BODY_LIMIT, handler)
    }

    /// Adds a `POST` route.
    pub fn post<H: Handler<T, App>, T: 'static>(self, path: &'static str, access: Access, handler: H) -> Self {
        self.add(Method::POST, path, access, BODY_LIMIT, handler)
    }

    /// Adds a `PUT` route.
    pub fn put<H: Handler<T, App>, T: 'static>(self, path: &'static str, access: Access, handler: H) -> Self {
        self.add(Method::PUT, path, access, BODY_LIMIT, handler)
    }

    /// Adds a `PATCH` route.
    pub fn patch<H: Handler<T, App>, T: 'static>(self, path: &'static str, access: Access, handler: H) -> Self {
        self.add(Method::PATCH, path, access, BODY_LIMIT, handler)
    }

    /// Adds a `DELETE` route.
    pub fn delete<H: Handler<T, App>, T: 'static>(self, path: &'static str, access: Access, handler: H) -> Self {
        self.add(Method::DELETE, path, access, BODY_LIMIT, handler)
    }

    /// Adds a route with bodies of up to `body_limit` bytes.
    pub fn add<H: Handler<T, App>, T: 'static>(
        mut self,
        method: Method,
        path: &'static str,
        access: Access,
        body_limit: usize,
        handler: H,
    ) -> Self {
        let filter = MethodFilter::try_from(method.clone()).expect("a standard method");
        let guard = Guard { app: self.app.clone(), access, face: self.face, body_limit };
        let checked = on(filter, handler)
            .layer::<_, std::convert::Infallible>(DefaultBodyLimit::max(body_limit))
            // The answer 405 to other methods needs no guard: it reveals nothing that the description of the API does not.
            .route_layer(from_fn_with_state(guard, check));
        self.router = self.router.route(path, checked);
        self.entries.push(Entry { method, path, access, face: self.face });
        self
    }

    /// The table.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The router.
    pub fn into_router(self) -> Router {
        self.router.with_state(self.app)
    }
}

async fn check(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(BodyLimit(guard.body_limit));
    let answer = async {
        match admit(&guard, request).await {
            Ok(request) => {
                let sent = sent_form(&guard, &request);
                let mut response = next.run(request).await;
                if let Some(sent) = sent.filter(|_| response.extensions().get::<Arc<Unconfirmed>>().is_some()) {
                    response.extensions_mut().insert(sent);
                }
                response
            }
            Err(refused) => refused,
        }
    };
    match tokio::time::timeout(CALL_TIME, answer).await {
        Ok(response) => response,
        Err(_) => Error::Timeout.into_response(),
    }
}

/// The form of a page, with all that it takes to send it again.
fn sent_form(guard: &Guard, request: &Request) -> Option<RefusedForm> {
    let extensions = request.extensions();
    let (form, caller) = (extensions.get::<SentForm>()?.clone(), extensions.get::<Caller>()?.clone());
    Some(RefusedForm { app: guard.app.clone(), caller, path: request.uri().path().to_owned(), form })
}

/// The request with its [`Caller`], or the refusal.
async fn admit(guard: &Guard, mut request: Request) -> std::result::Result<Request, Response> {
    if guard.access == Access::Public {
        return Ok(request);
    }
    let address = client(&request);
    let credential = match credential(guard, request.headers()).await {
        Ok(Some(credential)) => credential,
        Ok(None) => return Err(stranger(guard, &request)),
        Err(error) => return Err(error.into_response()),
    };
    let mut caller = Caller { credential, address, confirm: confirmation(request.headers()) };
    if let Access::Needs(what) = guard.access
        && !caller.may(what)
    {
        let refused = Error::Forbidden("your role does not allow this; ask an administrator");
        return Err(refused.into_response());
    }
    if caller.session().is_some() && !request.method().is_safe() {
        request = same_origin(guard, &mut caller, request).await.map_err(IntoResponse::into_response)?;
    }
    request.extensions_mut().insert(caller);
    Ok(request)
}

/// The client's address as text: the server has put it in the place of a trusted proxy's.
fn client(request: &Request) -> String {
    let client = request.extensions().get::<ConnectInfo<Peer>>();
    client.map(|ConnectInfo(client)| client.0.ip().to_canonical().to_string()).unwrap_or_default()
}

async fn credential(guard: &Guard, headers: &HeaderMap) -> Result<Option<Credential>> {
    if guard.face == Face::Api
        && let Some(given) = headers.get(header::AUTHORIZATION)
    {
        // Whoever sends a token means it: a session beside it does not count.
        let Some(token) = given.to_str().ok().and_then(bearer) else { return Ok(None) };
        return Ok(guard.app.tokens.verify(token, Usage::Api).await?.map(|token| Credential::Token(Box::new(token))));
    }
    let Some(cookie) = cookie(headers, cookie_name(guard.app.config.secure)) else { return Ok(None) };
    Ok(guard.app.sessions.find(&cookie).await?.map(|session| Credential::Session(Box::new(session))))
}

/// The token of an `Authorization: Bearer` header.
pub fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Name of the session's cookie. With `__Host-` browsers take it from this host over TLS alone (RFC 6265bis §4.1.3.2).
pub const fn cookie_name(secure: bool) -> &'static str {
    if secure { "__Host-weir_session" } else { "weir_session" }
}

/// The value of a cookie.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let all = headers.get_all(header::COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(given, _)| *given == name).map(|(_, value)| value.to_owned())
}

fn stranger(guard: &Guard, request: &Request) -> Response {
    if guard.face == Face::Page && request.method().is_safe() {
        let to = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let query: String = form_urlencode(to);
        return (StatusCode::SEE_OTHER, [(header::LOCATION, format!("/login?next={query}"))]).into_response();
    }
    Error::Unauthenticated.into_response()
}

/// Percent-encodes everything but unreserved characters (RFC 3986 §2.3).
pub fn form_urlencode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// Lets a request of a browser's session through only if it carries the session's token, and where the browser tells
/// its origin, only from our own pages.
async fn same_origin(guard: &Guard, caller: &mut Caller, request: Request) -> Result<Request> {
    const FOREIGN: Error = Error::Forbidden("this came from another site; reload the page and try again");
    if is_foreign(request.headers(), guard.app.config.public_url.as_deref()) {
        return Err(FOREIGN);
    }
    let csrf = caller.csrf().to_owned();
    let fits = |given: &str| super::auth::secret::same(given, &csrf);
    if let Some(given) = request.headers().get(CSRF_HEADER) {
        return if given.to_str().is_ok_and(fits) { Ok(request) } else { Err(FOREIGN) };
    }
    if guard.face == Face::Api {
        return Err(Error::Forbidden("a session's calls need the header `X-CSRF-Token`"));
    }
    let (mut parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, guard.body_limit).await.map_err(|_| Error::TooLarge(guard.body_limit))?;
    let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let form = if kind.starts_with("multipart/form-data") {
        let fields = of_multipart(&parts.headers, body.clone()).await.unwrap_or_default();
        // The token must be the first field, so that nothing else has to be read for it.
        if fields.first().is_none_or(|(name, _)| name != CSRF_FIELD) {
            return Err(FOREIGN);
        }
        SentForm { fields: Arc::new(fields), multipart: true }
    } else {
        SentForm::read(&body)
    };
    caller.confirm = form.confirmation();
    let given = form.get(CSRF_FIELD).map(str::to_owned);
    parts.extensions.insert(form);
    if given.as_deref().is_some_and(fits) { Ok(Request::from_parts(parts, Body::from(body))) } else { Err(FOREIGN) }
}

/// Whether the browser says that another site made the request: by Fetch Metadata, or, where it sends none, by an `Origin`
/// that is neither the host that was asked nor the one of `public_url`.
pub fn is_foreign(headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = text("sec-fetch-site") {
        return site != "same-origin" && site != "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let Ok(origin) = origin.to_str() else { return true };
    let authority = |url: &str| url.split_once("://").map(|(_, rest)| rest.to_ascii_lowercase());
    let Some(from) = authority(origin) else { return true };
    let asked = text("host").map(str::to_ascii_lowercase);
    let public = public_url.and_then(authority);
    // A reverse proxy may give another `Host`: with a `public_url` that one counts too.
    asked.as_ref() != Some(&from)
        && public.as_deref().map(|public| public.split('/').next().unwrap_or(public)) != Some(&from)
}

/// The fields of a form, as sent.
#[derive(Clone, Debug, Default)]
pub struct SentForm {
    /// Names and values, of an upload only those that are text.
    pub fields: Arc<Vec<(String, String)>>,
    /// Whether it was sent as `multipart/form-data`.
    pub multipart: bool,
}

impl SentForm {
    fn read(body: &[u8]) -> Self {
        let read = || {
            let uri = format!("/?{}", std::str::from_utf8(body).ok()?).parse().ok()?;
            axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&uri).ok()
        };
        Self { fields: Arc::new(read().map(|form| form.0).unwrap_or_default()), multipart: false }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    /// What a person confirmed by it.
    fn confirmation(&self) -> Option<Confirm> {
        let word = Some(self.get(CONFIRM_WORD).unwrap_or_default().to_owned());
        self.get(CONFIRM_FIELD).map(|hash| Confirm { hash: hash.to_owned(), word })
    }
}

/// A form that was refused because it has to be confirmed: with the answer, for the page that asks.
#[derive(Clone, Debug)]
pub struct RefusedForm {
    /// Services.
    pub app: App,
    /// Who sent it.
    pub caller: Caller,
    /// Where to.
    pub path: String,
    /// What it held.
    pub form: SentForm,
}

/// The confirmation that a program sends along.
fn confirmation(headers: &HeaderMap) -> Option<Confirm> {
    let hash = headers.get(CONFIRM_HEADER)?.to_str().ok()?.trim().to_owned();
    Some(Confirm { hash, word: None })
}

/// The fields of an upload that are text; of a long body, which no page repeats, only the first.
async fn of_multipart(headers: &HeaderMap, body: Bytes) -> Option<Vec<(String, String)>> {
    let most = if body.len() > MAX_REPEATED { 1 } else { usize::MAX };
    let mut request = Request::new(Body::from(body));
    *request.headers_mut() = headers.clone();
    let mut form = Multipart::from_request(request, &()).await.ok()?;
    let mut fields = Vec::new();
    while let Some(field) = form.next_field().await.ok()?.filter(|_| fields.len() < most) {
        let name = field.name().unwrap_or_default().to_owned();
        if let Ok(text) = String::from_utf8(field.bytes().await.ok()?.into()) {
            fields.push((name, text));
        }
    }
    Some(fields)
}
