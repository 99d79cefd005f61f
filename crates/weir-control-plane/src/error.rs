//! What goes wrong in the control plane, by what the caller can do about it.

use super::confirm::Unconfirmed;
use super::store::StoreError;
use serde::Serialize;
use std::fmt;

/// One mistake in what was sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The field, e.g. `rules/17/point`; empty for the whole.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl Mistake {
    /// A mistake in `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

/// Why something was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What was sent is wrong: everything that is.
    #[error("{}", Mistakes(.0))]
    Invalid(Vec<Mistake>),
    /// There is no such thing.
    #[error("there is no such {0}")]
    NotFound(&'static str),
    /// The path takes other methods: those of the header `Allow`.
    #[error("this path does not take that method; the header `Allow` names those that it takes")]
    Method,
    /// It contradicts what is there; says how.
    #[error("{0}")]
    Conflict(String),
    /// The change weakens protection or blocks everywhere, and the request does not confirm it.
    #[error("{0}")]
    Unconfirmed(Box<Unconfirmed>),
    /// The caller's role does not allow it.
    #[error("{0}")]
    Forbidden(&'static str),
    /// No user is logged in, or credentials are wrong.
    #[error("log in, or send a valid token")]
    Unauthenticated,
    /// Login or password is wrong.
    #[error("wrong user name or password")]
    WrongLogin,
    /// The password is right, and a code of the second factor is to follow with this ticket.
    #[error("send `code` too: this user has a second factor")]
    CodeRequired(String),
    /// The code of the second factor is wrong or used.
    #[error("this code is wrong, or was used already")]
    WrongCode,
    /// Too many attempts or calls: try again after so many seconds.
    #[error("too many attempts; try again in {0} s")]
    Throttled(u64),
    /// The database server does not answer.
    #[error("the store does not answer; try again in a few seconds")]
    Unreachable,
    /// The identity provider does not answer, or not as OpenID Connect has it; the text is for the log alone.
    #[error("{0}")]
    IdentityProvider(String),
    /// The call took too long.
    #[error("the call took too long; ask for less, or try again")]
    Timeout,
    /// What was sent is larger than allowed, in bytes.
    #[error("larger than {0} bytes")]
    TooLarge(usize),
    /// The database failed.
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    /// The store failed.
    #[error("store: {0}")]
    Store(#[source] StoreError),
    /// Something else inside failed; the text is for the log alone.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// One mistake in one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Error::Invalid(vec![Mistake::new(field, message)])
    }

    /// Whether the store could not write: its disk is full, broken or read-only.
    pub fn cannot_write(&self) -> bool {
        match self {
            Error::Database(error) => StoreError::is_unwritable(error),
            Error::Store(error) => error.cannot_write(),
            _ => false,
        }
    }

    /// Something inside failed.
    pub fn internal(what: impl fmt::Display) -> Self {
        Error::Internal(what.to_string())
    }
}

/// Mistakes as one line.
struct Mistakes<'a>(&'a [Mistake]);

impl fmt::Display for Mistakes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, mistake) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "; " };
            let colon = if mistake.field.is_empty() { "" } else { ": " };
            write!(f, "{comma}{}{colon}{}", mistake.field, mistake.message)?;
        }
        Ok(())
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Input(text) => Error::invalid("", text),
            error => Error::Store(error),
        }
    }
}

/// The result of most things here.
pub type Result<T, E = Error> = std::result::Result<T, E>;
