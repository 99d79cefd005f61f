//! What can go wrong in the store.

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database URL cannot be used: why, and the fix.
    #[error("{0}")]
    Url(String),
    /// A file or directory cannot be used.
    #[error("{}: {}", .0.display(), .1)]
    File(std::path::PathBuf, #[source] std::io::Error),
    /// The database, or one of its files, is damaged: which, and what the engine says.
    #[error("{0} is damaged ({1}): restore it from a backup, or move it away to go on without it")]
    Damaged(String, #[source] sqlx::Error),
    /// The schema is not one that this build can use.
    #[error("{0}")]
    Schema(String),
    /// What was asked for is out of bounds: what, and the fix.
    #[error("{0}")]
    Input(String),
    /// A dump that is to be restored is not whole, or not one of weir: what is wrong with it.
    #[error("{0}")]
    Dump(String),
    /// A stored value cannot be read back.
    #[error("{0}")]
    Value(String),
    /// The engine failed.
    #[error("database: {0}")]
    Sql(#[source] sqlx::Error),
}

/// SQLSTATE classes and codes after which the same transaction may succeed: connection lost, serialization failure,
/// deadlock, server starting or stopping, too many connections.
const TRANSIENT_SQLSTATES: &[&str] = &["08", "40", "57P01", "57P02", "57P03", "53300", "55P03"];
/// SQLite result codes, primary: BUSY and LOCKED.
const TRANSIENT_SQLITE: &[i64] = &[5, 6];
/// SQLSTATEs: disk full, I/O error, read-only transaction.
const UNWRITABLE_SQLSTATES: &[&str] = &["53100", "58030", "25006"];
/// SQLite result codes, primary: READONLY, IOERR, FULL and CANTOPEN.
const UNWRITABLE_SQLITE: &[i64] = &[8, 10, 13, 14];
/// SQLite result codes, primary: CORRUPT and NOTADB.
const DAMAGED_SQLITE: &[i64] = &[11, 26];

impl StoreError {
    /// Whether the same call may succeed a little later.
    pub fn is_transient(&self) -> bool {
        match self {
            StoreError::Sql(error) => transient(error),
            _ => false,
        }
    }

    /// Whether the engine says that it cannot write.
    pub fn is_unwritable(error: &sqlx::Error) -> bool {
        unwritable(error)
    }

    /// Whether nothing can be written: the disk is full or fails, or is mounted read-only.
    pub fn cannot_write(&self) -> bool {
        match self {
            StoreError::Sql(error) | StoreError::Damaged(_, error) => unwritable(error),
            StoreError::File(_, error) => {
                use std::io::ErrorKind::{PermissionDenied, QuotaExceeded, ReadOnlyFilesystem, StorageFull};
                [StorageFull, ReadOnlyFilesystem, QuotaExceeded, PermissionDenied].contains(&error.kind())
            }
            _ => false,
        }
    }

    /// `error` of the database called `name`, told apart by whether it is damaged.
    pub(super) fn of(name: &str, error: sqlx::Error) -> StoreError {
        if damaged(&error) { StoreError::Damaged(name.to_owned(), error) } else { StoreError::Sql(error) }
    }
}

fn transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed | sqlx::Error::Protocol(_) => true,
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            TRANSIENT_SQLSTATES.iter().any(|known| code.len() == 5 && code.starts_with(known))
                || sqlite_code(&code).is_some_and(|code| TRANSIENT_SQLITE.contains(&code))
        }),
        _ => false,
    }
}

/// Whether the engine says that it cannot write.
fn unwritable(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            UNWRITABLE_SQLSTATES.iter().any(|known| code.len() == 5 && code.starts_with(known))
                || sqlite_code(&code).is_some_and(|code| UNWRITABLE_SQLITE.contains(&code))
        }),
        _ => false,
    }
}

fn damaged(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(error) => {
            error.code().and_then(|code| sqlite_code(&code)).is_some_and(|code| DAMAGED_SQLITE.contains(&code))
        }
        _ => false,
    }
}

/// The primary result code of an extended one. SQLSTATEs, five characters long, are none.
fn sqlite_code(code: &str) -> Option<i64> {
    if code.len() == 5 {
        return None;
    }
    code.parse::<i64>().ok().map(|code| code & 0xff)
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        StoreError::of("the database", error)
    }
}
