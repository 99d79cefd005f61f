//! Statements put together from fixed text and bind parameters, and rows written many at once.

use super::StoreError;
use sqlx::any::{AnyArguments, AnyRow};
use sqlx::query::Query;
use sqlx::{Any, AnyConnection, AssertSqlSafe, Executor};

/// Most rows of one INSERT: more save nothing.
const MAX_ROWS: usize = 256;
/// Most bind parameters of one statement: SQLite's limit.
const MAX_BINDS: usize = 32_000;

/// A value of a bind parameter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Int(i64),
    Text(String),
    /// Written into the text: a bound NULL would need a type.
    Null,
    Float(u64),
    Bool(bool),
    Blob(Vec<u8>),
}

/// A name of a table or column out of a catalogue or dump, checked to be no more than a name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(String);

impl Name {
    /// `text`, if it is lower-case letters, digits and underscores: what migrations use, and nothing else.
    pub fn new(text: &str) -> Result<Name, StoreError> {
        let plain = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if plain && (1..=63).contains(&text.len()) {
            return Ok(Name(text.to_owned()));
        }
        Err(StoreError::Schema(format!("`{}` is no name of a table or column", text.escape_debug())))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<i64> for Value {
    fn from(n: i64) -> Value {
        Value::Int(n)
    }
}

impl From<u64> for Value {
    fn from(n: u64) -> Value {
        Value::Int(i64::try_from(n).unwrap_or(i64::MAX))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Value {
        Value::Text(text)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Value {
        Value::Text(text.to_owned())
    }
}

/// A statement. Its text comes from this program alone: `push` takes what is known when it is compiled.
#[derive(Debug, Default)]
pub(super) struct Sql {
    text: String,
    values: Vec<Value>,
    /// Whether placeholders are `?`.
    unnamed: bool,
}

impl Sql {
    pub fn new(text: &'static str) -> Sql {
        Sql { text: text.to_owned(), ..Sql::default() }
    }

    /// A statement with many values for the engine behind `on`. SQLite takes `$1` for a name and looks through all names
    /// for each value, so that thousands of them cost more than the rows; it has `?` without a name.
    fn for_many(text: &'static str, on: &AnyConnection) -> Sql {
        Sql { unnamed: on.backend_name() == "SQLite", ..Sql::new(text) }
    }

    /// Appends text.
    pub fn push(&mut self, text: &'static str) -> &mut Sql {
        self.text.push_str(text);
        self
    }

    /// Appends a name.
    pub fn name(&mut self, name: &Name) -> &mut Sql {
        self.text.push_str(&name.0);
        self
    }

    /// Appends names with commas between.
    pub fn names(&mut self, names: &[Name]) -> &mut Sql {
        for (n, name) in names.iter().enumerate() {
            self.push(if n == 0 { "" } else { ", " }).name(name);
        }
        self
    }

    /// Appends a placeholder.
    pub fn bind(&mut self, value: impl Into<Value>) -> &mut Sql {
        use std::fmt::Write;
        let value = value.into();
        if value == Value::Null {
            return self.push("NULL");
        }
        self.values.push(value);
        if self.unnamed {
            return self.push("?");
        }
        write!(self.text, "${}", self.values.len()).expect("a String takes text");
        self
    }

    /// Appends placeholders with commas between.
    pub fn list<V: Into<Value>>(&mut self, values: impl IntoIterator<Item = V>) -> &mut Sql {
        for (n, value) in values.into_iter().enumerate() {
            self.push(if n == 0 { "" } else { ", " }).bind(value);
        }
        self
    }

    /// The text so far.
    #[cfg(test)]
    pub fn text(&self) -> &str {
        &self.text
    }

    fn query(self) -> Query<'static, Any, AnyArguments> {
        let query = sqlx::query(AssertSqlSafe(self.text));
        self.values.into_iter().fold(query, |query, value| match value {
            Value::Int(n) => query.bind(n),
            Value::Text(text) => query.bind(text),
            Value::Float(bits) => query.bind(f64::from_bits(bits)),
            Value::Bool(yes) => query.bind(yes),
            Value::Blob(bytes) => query.bind(bytes),
            // Written into the text.
            Value::Null => query,
        })
    }

    pub async fn all<'e>(self, on: impl Executor<'e, Database = Any>) -> Result<Vec<AnyRow>, StoreError> {
        Ok(self.query().fetch_all(on).await?)
    }

    pub async fn optional<'e>(self, on: impl Executor<'e, Database = Any>) -> Result<Option<AnyRow>, StoreError> {
        Ok(self.query().fetch_optional(on).await?)
    }

    pub async fn run<'e>(self, on: impl Executor<'e, Database = Any>) -> Result<u64, StoreError> {
        Ok(self.query().execute(on).await?.rows_affected())
    }
}

/// Rows for `head` `($1, $2), ($3, $4)` `tail`.
pub(super) struct Rows {
    head: &'static str,
    tail: &'static str,
    columns: usize,
}

impl Rows {
    pub const fn new(head: &'static str, columns: usize, tail: &'static str) -> Rows {
        Rows { head, tail, columns }
    }

    /// Writes `rows`, and answers what the statement returns. Statements come in few sizes, so that the engine keeps
    /// them prepared.
    pub async fn write(&self, on: &mut AnyConnection, rows: Vec<Vec<Value>>) -> Result<Vec<AnyRow>, StoreError> {
        let mut out = Vec::new();
        let most = MAX_ROWS.min(MAX_BINDS / self.columns);
        let mut left = rows.len();
        let mut rows = rows.into_iter();
        while left > 0 {
            let size = 1 << left.min(most).ilog2();
            let mut sql = Sql::for_many(self.head, on);
            for n in 0..size {
                sql.push(if n == 0 { "(" } else { ", (" });
                let row = rows.next().unwrap_or_default();
                debug_assert_eq!(row.len(), self.columns);
                sql.list(row).push(")");
            }
            sql.push(self.tail);
            out.extend(sql.all(&mut *on).await?);
            left -= size;
        }
        Ok(out)
    }
}

/// Runs `head` `(values)` `tail` for `values` in portions, and gathers the rows.
pub(super) async fn each_portion(
    on: &mut AnyConnection,
    head: &'static str,
    values: &[String],
    tail: &'static str,
) -> Result<Vec<AnyRow>, StoreError> {
    let mut out = Vec::new();
    let mut rest = values;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(1 << rest.len().min(MAX_ROWS).ilog2());
        let mut sql = Sql::for_many(head, on);
        sql.push("(").list(now.iter().cloned()).push(")").push(tail);
        out.extend(sql.all(&mut *on).await?);
        rest = later;
    }
    Ok(out)
}

/// The columns of a row in order.
pub(super) struct Columns<'r> {
    row: &'r AnyRow,
    at: usize,
}

impl<'r> Columns<'r> {
    pub fn of(row: &'r AnyRow) -> Columns<'r> {
        Columns { row, at: 0 }
    }

    pub fn text(&mut self) -> Result<String, StoreError> {
        self.next()
    }

    pub fn int(&mut self) -> Result<i64, StoreError> {
        self.next()
    }

    /// A count, which is never negative.
    pub fn count(&mut self) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.int()?).unwrap_or_default())
    }

    fn next<T>(&mut self) -> Result<T, StoreError>
    where
        T: for<'a> sqlx::Decode<'a, Any> + sqlx::Type<Any>,
    {
        self.at += 1;
        Ok(sqlx::Row::try_get(self.row, self.at - 1)?)
    }
}
