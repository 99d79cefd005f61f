//! Login by OpenID Connect: authorization code flow with PKCE (RFC 7636), state bound to the browser by a cookie, nonce,
//! and an ID token whose signature, issuer, audience and times are verified.
//!
//! The role comes from a claim, at each login anew: whoever leaves the group at the provider loses the role here. Users
//! are known by issuer and subject, never by name or mail, which others may come to have.

mod http;
mod pending;
mod provider;
mod role;
mod routes;
#[cfg(test)]
mod tests;

pub use provider::{Oidc, Person};
pub use routes::routes;

/// Settings.
#[derive(Clone)]
pub struct Config {
    /// URL of the provider, as in its ID tokens.
    pub issuer: String,
    /// Id of this client there.
    pub client_id: String,
    /// Secret of this client; a public client has none.
    pub client_secret: Option<String>,
    /// Claim that names roles.
    pub role_claim: String,
    /// Role of those whose claim names none; without, they do not get in.
    pub default_role: Option<super::role::Role>,
    /// Where the provider sends browsers back to: the Console's URL and [`CALLBACK`].
    pub redirect_url: String,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Config")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

/// Begins a login.
pub const LOGIN: &str = "/login/oidc";
/// Ends it.
pub const CALLBACK: &str = "/login/oidc/callback";
