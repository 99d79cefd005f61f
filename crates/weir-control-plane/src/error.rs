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
#[derive(Debug)]
pub enum Error {
    /// What was sent is wrong: everything that is.
    Invalid(Vec<Mistake>),
    /// There is no such thing.
    NotFound(&'static str),
    /// It contradicts what is there; says how.
    Conflict(String),
    /// The change weakens protection or blocks everywhere, and the request does not confirm it.
    Unconfirmed(Box<Unconfirmed>),
    /// The caller's role does not allow it.
    Forbidden(&'static str),
    /// No user is logged in, or credentials are wrong.
    Unauthenticated,
    /// Login or password is wrong.
    WrongLogin,
    /// Too many attempts or calls: try again after so many seconds.
    Throttled(u64),
    /// The call took too long.
    Timeout,
    /// What was sent is larger than allowed, in bytes.
    TooLarge(usize),
    /// The database failed.
    Database(sqlx::Error),
    /// The store failed.
    Store(StoreError),
    /// Something else inside failed; the text is for the log alone.
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

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Invalid(mistakes) => {
                for (number, mistake) in mistakes.iter().enumerate() {
                    let comma = if number == 0 { "" } else { "; " };
                    let colon = if mistake.field.is_empty() { "" } else { ": " };
                    write!(f, "{comma}{}{colon}{}", mistake.field, mistake.message)?;
                }
                Ok(())
            }
            Error::NotFound(what) => write!(f, "there is no such {what}"),
            Error::Conflict(why) => f.write_str(why),
            Error::Unconfirmed(why) => {
                let changes: Vec<&str> = why.changes.iter().map(|one| one.says.as_str()).collect();
                write!(f, "this change has to be confirmed: {}", changes.join("; "))?;
                why.effect.as_ref().map_or(Ok(()), |effect| write!(f, ". {}", effect.words()))
            }
            Error::Forbidden(why) => f.write_str(why),
            Error::Unauthenticated => f.write_str("log in, or send a valid token"),
            Error::WrongLogin => f.write_str("wrong user name or password"),
            Error::Throttled(seconds) => write!(f, "too many attempts; try again in {seconds} s"),
            Error::Timeout => f.write_str("the call took too long; ask for less, or try again"),
            Error::TooLarge(most) => write!(f, "larger than {most} bytes"),
            Error::Database(error) => write!(f, "database: {error}"),
            Error::Store(error) => write!(f, "store: {error}"),
            Error::Internal(what) => f.write_str(what),
        }
    }
}

impl std::error::Error for Error {}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Error::Database(error)
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
