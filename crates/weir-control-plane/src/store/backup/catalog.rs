//! Which tables a database has, by its own catalogue: whoever adds a table need not think of backups.

use super::super::StoreError;
use super::super::migrate::Engine;
use super::super::sql::{Columns, Name, Sql};
use sqlx::AnyConnection;

/// A table.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub name: Name,
    pub columns: Vec<Name>,
    /// Columns of the primary key, in its order.
    pub key: Vec<Name>,
}

/// Tables in order of their making, in which what is referred to comes before what refers to it. Partitions are part of
/// their table; the list of migrations is not data.
const SQLITE_TABLES: &str = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' \
    AND name <> 'migrations' ORDER BY rowid";
const SQLITE_COLUMNS: &str = "SELECT name FROM pragma_table_info(";
const POSTGRES_TABLES: &str = "SELECT CAST(relname AS TEXT) FROM pg_catalog.pg_class WHERE relkind IN ('r', 'p') \
    AND NOT relispartition AND relnamespace = CAST(current_schema() AS regnamespace) AND relname <> 'migrations' ORDER BY oid";
const POSTGRES_COLUMNS: &str = "SELECT CAST(column_name AS TEXT) FROM information_schema.columns WHERE \
    table_schema = current_schema() AND table_name = ";
const POSTGRES_KEY: &str = "SELECT CAST(k.column_name AS TEXT) FROM information_schema.key_column_usage k JOIN \
    information_schema.table_constraints c ON c.constraint_name = k.constraint_name AND c.table_schema = k.table_schema \
    AND c.table_name = k.table_name WHERE c.constraint_type = 'PRIMARY KEY' AND k.table_schema = current_schema() \
    AND k.table_name = ";
const POSTGRES_IDENTITIES: &str = "SELECT CAST(table_name AS TEXT), CAST(column_name AS TEXT) FROM \
    information_schema.columns WHERE table_schema = current_schema() AND is_identity = 'YES'";

/// The tables of a database.
pub(super) async fn tables(on: &mut AnyConnection, engine: Engine) -> Result<Vec<Table>, StoreError> {
    let list = match engine {
        Engine::Sqlite => SQLITE_TABLES,
        Engine::Postgres => POSTGRES_TABLES,
    };
    let mut out = Vec::new();
    for name in names(on, Sql::new(list)).await? {
        let columns = columns(on, engine, &name).await?;
        let key = key(on, engine, &name).await?;
        // Without a key every column is one: slower, and right as long as no two rows are equal.
        let key = if key.is_empty() { columns.clone() } else { key };
        out.push(Table { name, columns, key });
    }
    Ok(out)
}

async fn columns(on: &mut AnyConnection, engine: Engine, table: &Name) -> Result<Vec<Name>, StoreError> {
    let mut sql = match engine {
        Engine::Sqlite => Sql::new(SQLITE_COLUMNS),
        Engine::Postgres => Sql::new(POSTGRES_COLUMNS),
    };
    sql.bind(table.as_str()).push(match engine {
        Engine::Sqlite => ") ORDER BY cid",
        Engine::Postgres => " ORDER BY ordinal_position",
    });
    names(on, sql).await
}

async fn key(on: &mut AnyConnection, engine: Engine, table: &Name) -> Result<Vec<Name>, StoreError> {
    let mut sql = match engine {
        Engine::Sqlite => Sql::new(SQLITE_COLUMNS),
        Engine::Postgres => Sql::new(POSTGRES_KEY),
    };
    sql.bind(table.as_str()).push(match engine {
        Engine::Sqlite => ") WHERE pk > 0 ORDER BY pk",
        Engine::Postgres => " ORDER BY k.ordinal_position",
    });
    names(on, sql).await
}

async fn names(on: &mut AnyConnection, sql: Sql) -> Result<Vec<Name>, StoreError> {
    sql.all(on).await?.iter().map(|row| Name::new(&Columns::of(row).text()?)).collect()
}

/// Makes PostgreSQL's numbering go on after the greatest number that is there. SQLite does so by itself.
pub(super) async fn advance_identities(on: &mut AnyConnection) -> Result<(), StoreError> {
    for row in Sql::new(POSTGRES_IDENTITIES).all(&mut *on).await? {
        let mut c = Columns::of(&row);
        let (table, column) = (Name::new(&c.text()?)?, Name::new(&c.text()?)?);
        let mut sql = Sql::new("SELECT setval(pg_get_serial_sequence(");
        sql.bind(table.as_str()).push(", ").bind(column.as_str());
        sql.push("), (SELECT COALESCE(MAX(").name(&column).push("), 0) + 1 FROM ").name(&table).push("), false)");
        sql.all(&mut *on).await?;
    }
    Ok(())
}
