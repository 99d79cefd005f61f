//! The URL that chooses a database.

use super::StoreError;
use std::path::{Path, PathBuf};

/// Where the store is.
#[derive(Clone, PartialEq, Eq)]
pub enum DatabaseUrl {
    /// Files in a directory.
    Sqlite(PathBuf),
    /// A PostgreSQL server; the text may hold a password.
    Postgres(String),
}

impl std::fmt::Debug for DatabaseUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DatabaseUrl::Sqlite(directory) => write!(f, "sqlite:{}", directory.display()),
            DatabaseUrl::Postgres(_) => f.write_str("postgres://****"),
        }
    }
}

impl DatabaseUrl {
    /// Reads `sqlite:DIRECTORY`, `postgres://...` or `postgresql://...`.
    pub fn parse(text: &str) -> Result<DatabaseUrl, StoreError> {
        let lower = text.to_ascii_lowercase();
        if lower.starts_with("postgres://") || lower.starts_with("postgresql://") {
            return Ok(DatabaseUrl::Postgres(text.to_owned()));
        }
        let directory = lower.starts_with("sqlite:").then(|| &text["sqlite:".len()..]);
        // `sqlite:///var/lib/weir` and `sqlite:/var/lib/weir` are the same directory.
        let directory = directory.map(|path| path.strip_prefix("//").unwrap_or(path));
        match directory {
            Some(path) if !path.is_empty() && !path.contains('?') => Ok(DatabaseUrl::Sqlite(PathBuf::from(path))),
            _ => Err(StoreError::Url(
                "not a database URL: write `sqlite:DIRECTORY` or `postgres://USER:PASSWORD@HOST/DATABASE`".into(),
            )),
        }
    }
}

/// The URL under which the driver opens the SQLite file at `path`.
pub(super) fn sqlite_file(path: &Path, mode: &str) -> String {
    use std::os::unix::ffi::OsStrExt;
    let mut out = String::from("sqlite://");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out + "?mode=" + mode
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_are_told_apart_and_the_rest_is_refused() {
        let sqlite = |path: &str| DatabaseUrl::Sqlite(path.into());
        assert_eq!(DatabaseUrl::parse("sqlite:/var/lib/weir").unwrap(), sqlite("/var/lib/weir"));
        assert_eq!(DatabaseUrl::parse("SQLite:///var/lib/weir").unwrap(), sqlite("/var/lib/weir"));
        assert_eq!(DatabaseUrl::parse("sqlite:data").unwrap(), sqlite("data"));
        assert!(matches!(DatabaseUrl::parse("postgresql://u:p@h/d").unwrap(), DatabaseUrl::Postgres(_)));
        for bad in ["", "sqlite:", "sqlite:x?mode=ro", "mysql://h/d", "/var/lib/weir"] {
            let error = DatabaseUrl::parse(bad).unwrap_err().to_string();
            assert!(error.contains("sqlite:DIRECTORY"), "{bad}: {error}");
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let url = DatabaseUrl::parse("postgres://weir:hunter2@db/weir").unwrap();
        assert!(!format!("{url:?}").contains("hunter2"));
    }

    #[test]
    fn odd_paths_stay_paths() {
        assert_eq!(sqlite_file(Path::new("/a b/c?d#e%f"), "rwc"), "sqlite:///a%20b/c%3Fd%23e%25f?mode=rwc");
    }
}
