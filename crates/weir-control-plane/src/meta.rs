//! What the repositories of accounts, nodes, policy and audit share.

use super::error::Result;
use super::store::StoreError;
use sqlx::Row;
use sqlx::any::AnyRow;

/// Connections to the database of accounts, nodes, policy and audit.
pub type Pool = super::store::Pools;

/// Text of a column.
pub fn text(row: &AnyRow, column: &str) -> Result<String> {
    Ok(row.try_get(column)?)
}

/// A number.
pub fn number(row: &AnyRow, column: &str) -> Result<i64> {
    Ok(row.try_get(column)?)
}

/// A number that may be missing.
pub fn optional(row: &AnyRow, column: &str) -> Result<Option<i64>> {
    Ok(row.try_get(column)?)
}

/// Whether a statement failed because a unique value is there already.
pub fn is_duplicate(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_unique_violation)
}

/// What is only noted does not fail while nothing can be written: people can look, and see why.
pub fn unless_full<T>(done: std::result::Result<T, sqlx::Error>) -> Result<()> {
    match done {
        Err(error) if !StoreError::is_unwritable(&error) => Err(error.into()),
        _ => Ok(()),
    }
}
