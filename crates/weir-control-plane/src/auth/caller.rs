//! Who calls, as the check of a route established it.

use super::role::{Permission, Role};
use super::session::Session;
use super::token::Token;
use crate::confirm::Confirm;
use crate::error::Error;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;

/// How a caller proved who they are.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A browser's session.
    Session(Box<Session>),
    /// A token of usage `api`.
    Token(Box<Token>),
}

/// Who calls. Handlers take it as an argument; the route's check has put it there.
#[derive(Clone, Debug)]
pub struct Caller {
    /// How they proved it.
    pub credential: Credential,
    /// The client's address.
    pub address: String,
    /// The confirmation that the request carries.
    pub confirm: Option<Confirm>,
}

impl Caller {
    /// What they may do.
    pub fn role(&self) -> Role {
        match &self.credential {
            Credential::Session(session) => session.user.role,
            Credential::Token(token) => token.role,
        }
    }

    /// Whether they may do `what`.
    pub fn may(&self, what: Permission) -> bool {
        self.role().may(what)
    }

    /// As the audit log names them: `user:alice`, `token:ci`.
    pub fn name(&self) -> String {
        match &self.credential {
            Credential::Session(session) => format!("user:{}", session.user.login),
            Credential::Token(token) => format!("token:{}", token.name),
        }
    }

    /// The session, where a person calls.
    pub fn session(&self) -> Option<&Session> {
        match &self.credential {
            Credential::Session(session) => Some(session),
            Credential::Token(_) => None,
        }
    }

    /// What forms must send along; empty for tokens, which need none.
    pub fn csrf(&self) -> &str {
        self.session().map_or("", |session| &session.csrf)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        parts.extensions.get::<Caller>().cloned().ok_or(Error::Unauthenticated)
    }
}
