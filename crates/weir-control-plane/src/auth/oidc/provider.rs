//! The provider: discovery, the way there, and who came back.

use super::pending::{Logins, Pending};
use super::{Config, http, role};
use crate::auth::role::Role;
use crate::auth::user::fits_login;
use crate::error::{Error, Result};
use crate::meta::Pool;
use crate::outgoing::Outgoing;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreProviderMetadata};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, IssuerUrl, Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope, TokenResponse,
};
use reqwest::Client;
use std::fmt;
use std::pin::Pin;
use weir_runtime::clock::Clock;
use weir_runtime::error_chain::with_causes;

/// A client whose provider was discovered.
type Discovered =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// The answer to a call, to come.
type Answer = Pin<Box<dyn Future<Output = std::result::Result<HttpResponse, http::HttpError>> + Send>>;

/// Longest name kept.
const MAX_NAME: usize = 100;
/// Longest path to go to afterwards.
const MAX_NEXT: usize = 1_000;

/// Who came back from the provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Issuer and subject.
    pub subject: String,
    /// What they are called there.
    pub login: String,
    /// For people.
    pub name: String,
    /// Their role; none: they do not get in.
    pub role: Option<Role>,
    /// Where they wanted to go.
    pub next: String,
}

/// Login by OpenID Connect.
#[derive(Clone)]
pub struct Oidc {
    config: Config,
    http: Client,
    pending: Logins,
    clock: Clock,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.config.fmt(f)
    }
}

/// Longest time by which the provider's clock may be ahead, in seconds.
const MAX_AHEAD: i64 = 5 * 60;

/// The provider or its answer is at fault: the log has the reason, the browser a sentence.
fn failed(step: &str, error: &dyn std::error::Error) -> Error {
    Error::IdentityProvider(format!("OpenID Connect, {step}: {}", with_causes(error)))
}

/// An ID token that does not hold: whoever sent it does not get in.
fn refused(reason: &str) -> Error {
    tracing::warn!(reason, "an ID token of the identity provider was refused");
    Error::Forbidden("the ID token of the identity provider was rejected; log in again. The reason is in the log")
}

impl Oidc {
    /// With logins under way in `pool`.
    pub fn new(config: Config, pool: Pool, clock: Clock, outgoing: &Outgoing) -> Result<Self> {
        Ok(Self {
            config,
            http: http::client(outgoing).map_err(|error| Error::internal(with_causes(&error)))?,
            pending: Logins::new(pool, clock.clone()),
            clock,
        })
    }

    /// Asks the provider for its endpoints and keys: at each login, so that new keys are known at once.
    async fn discover(&self) -> Result<Discovered> {
        let issuer = IssuerUrl::new(self.config.issuer.clone()).map_err(|error| failed("issuer", &error))?;
        let metadata = CoreProviderMetadata::discover_async(issuer, &self.caller()).await;
        let metadata = metadata.map_err(|error| failed("discovery", &error))?;
        let redirect = RedirectUrl::new(self.config.redirect_url.clone()).map_err(|error| failed("own URL", &error))?;
        let secret = self.config.client_secret.clone().map(ClientSecret::new);
        let client = CoreClient::from_provider_metadata(metadata, ClientId::new(self.config.client_id.clone()), secret);
        Ok(client.set_redirect_uri(redirect))
    }

    fn caller(&self) -> impl Fn(HttpRequest) -> Answer {
        let client = self.http.clone();
        move |request| Box::pin(http::call(client.clone(), request))
    }

    /// Begins a login: the URL at the provider, and the state for the browser's cookie.
    pub async fn begin(&self, next: &str) -> Result<(String, String)> {
        let client = self.discover().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let request = client.authorize_url(flow, CsrfToken::new_random, Nonce::new_random);
        let request = request.add_scope(Scope::new("profile".into())).add_scope(Scope::new("email".into()));
        let (url, state, nonce) = request.set_pkce_challenge(challenge).url();
        let pending = Pending {
            nonce: nonce.secret().clone(),
            verifier: verifier.into_secret(),
            next: if is_own_path(next) { next.to_owned() } else { "/".to_owned() },
        };
        self.pending.keep(state.secret(), &pending).await?;
        Ok((url.to_string(), state.into_secret()))
    }

    /// Ends a login: `code` and `state` are what the provider sent with the browser, `cookie` is what the browser kept.
    pub async fn finish(&self, code: &str, state: &str, cookie: &str) -> Result<Person> {
        const STALE: Error =
            Error::Forbidden("this login was not begun in this browser, or took too long; log in again");
        if !crate::auth::secret::same(state, cookie) {
            return Err(STALE);
        }
        let pending = self.pending.take(state).await?.ok_or(STALE)?;
        let client = self.discover().await?;
        let exchange = client.exchange_code(AuthorizationCode::new(code.to_owned()));
        let exchange = exchange.map_err(|error| failed("token endpoint", &error))?;
        let exchange = exchange.set_pkce_verifier(PkceCodeVerifier::new(pending.verifier.clone()));
        let answer = exchange.request_async(&self.caller()).await.map_err(|error| failed("token", &error))?;
        let missing = || Error::IdentityProvider("OpenID Connect: the provider sent no ID token".into());
        let token = answer.id_token().ok_or_else(missing)?;
        let nonce = Nonce::new(pending.nonce.clone());
        let latest = self.clock.seconds().saturating_add_signed(MAX_AHEAD);
        let verifier = client.id_token_verifier().set_issue_time_verifier_fn(move |issued| {
            match u64::try_from(issued.timestamp()).is_ok_and(|issued| issued <= latest) {
                true => Ok(()),
                false => Err(format!("issued at {issued}, which is to come")),
            }
        });
        let verified = token.claims(&verifier, &nonce).map_err(|error| refused(&with_causes(&error)))?;
        let claims = claims(&token.to_string()).ok_or_else(missing)?;
        let subject = verified.subject().as_str();
        if subject.is_empty() {
            return Err(refused("`sub` is empty: it would be the same user for all"));
        }
        // The clock may be as far behind here as `iat` allows.
        if claims.get("nbf").is_some_and(|begin| begin.as_f64().is_none_or(|begin| begin > latest as f64)) {
            return Err(refused("`nbf` is to come"));
        }
        let text = |name: &str| claims.get(name).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        let known = [text("preferred_username"), text("email"), subject.to_owned()];
        let login = known.iter().find(|login| !login.is_empty()).cloned().unwrap_or_default();
        let name = Some(text("name")).filter(|name| !name.is_empty()).unwrap_or_else(|| login.clone());
        Ok(Person {
            subject: format!("{} {subject}", verified.issuer().as_str()),
            login: as_login(&login),
            name: printable(&name),
            role: role::of_claims(&claims, &self.config.role_claim).or(self.config.default_role),
            next: pending.next,
        })
    }
}

/// The claims of a token that was verified.
fn claims(token: &str) -> Option<serde_json::Value> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// `login` with `_` in the place of what logins here cannot have.
fn as_login(login: &str) -> String {
    login.trim().chars().take(MAX_NAME).map(|c| if fits_login(c) { c } else { '_' }).collect()
}

fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect()
}

/// Whether it leads to this site: a path, no scheme and no host.
fn is_own_path(next: &str) -> bool {
    let plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    next.len() <= MAX_NEXT && plain && next.starts_with('/') && !next.starts_with("//")
}
