//! Searches that people saved for themselves.

use super::app::App;
use super::auth::{Caller, secret};
use super::error::{Error, Mistake, Result};
use super::meta::{is_duplicate, number, text};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

/// Most searches of one person.
const MAX_SEARCHES: i64 = 50;
/// Longest name, in characters.
const MAX_NAME: usize = 60;
/// Codes of time ranges; empty for the default one.
const RANGES: [&str; 6] = ["", "1h", "24h", "7d", "30d", "all"];

/// A search to be saved.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSearch {
    /// Name, which a person gives once.
    pub name: String,
    /// The search, as in Attacks.
    pub query: String,
    /// Time range: `1h`, `24h`, `7d`, `30d`, `all`, or empty.
    #[serde(default)]
    pub range: String,
}

/// A saved search.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SavedSearch {
    /// UUID.
    pub id: String,
    /// What was saved.
    #[serde(flatten)]
    pub search: NewSearch,
    /// When, in milliseconds since 1970.
    pub created: i64,
}

fn read(row: &AnyRow) -> Result<SavedSearch> {
    let search = NewSearch { name: text(row, "name")?, query: text(row, "query")?, range: text(row, "time_range")? };
    Ok(SavedSearch { id: text(row, "id")?, search, created: number(row, "created")? })
}

/// The id of the person who calls.
fn person(caller: &Caller) -> Result<&str> {
    let why = "searches are saved for people: an API token has none";
    caller.session().map(|session| session.user.id.as_str()).ok_or(Error::Forbidden(why))
}

/// Deletes the searches of a person.
pub async fn forget(on: &mut AnyConnection, user: &str) -> Result<()> {
    sqlx::query("DELETE FROM saved_searches WHERE user_id = $1").bind(user).execute(on).await?;
    Ok(())
}

impl App {
    /// The searches of the caller, by name; none for an API token.
    pub async fn searches(&self, caller: &Caller) -> Result<Vec<SavedSearch>> {
        let Ok(user) = person(caller) else { return Ok(Vec::new()) };
        let sql =
            "SELECT id, name, query, time_range, created FROM saved_searches WHERE user_id = $1 ORDER BY name, id";
        let rows = sqlx::query(sql).bind(user).fetch_all(self.store.control().read()).await?;
        rows.iter().map(read).collect()
    }

    /// Saves a search of the caller.
    pub async fn save_search(&self, caller: &Caller, new: NewSearch) -> Result<SavedSearch> {
        let user = person(caller)?;
        let new = NewSearch { name: new.name.trim().to_owned(), ..new };
        let mut wrong = Vec::new();
        if new.name.is_empty() || new.name.chars().count() > MAX_NAME || new.name.chars().any(char::is_control) {
            wrong.push(Mistake::new("name", format!("expected 1 to {MAX_NAME} characters on one line")));
        }
        if !RANGES.contains(&new.range.as_str()) {
            wrong.push(Mistake::new("range", "expected 1h, 24h, 7d, 30d or all"));
        }
        if let Err(Error::Invalid(mistakes)) = self.search(&new.query) {
            wrong.extend(mistakes.into_iter().map(|one| Mistake::new("query", one.message)));
        }
        if !wrong.is_empty() {
            return Err(Error::Invalid(wrong));
        }
        let saved = SavedSearch { id: secret::id(), search: new, created: self.clock.millis() };
        // The count is part of the statement: two calls at once cannot pass it both.
        let insert = "INSERT INTO saved_searches (id, user_id, name, query, time_range, created) \
             SELECT $1, $2, $3, $4, $5, $6 WHERE (SELECT COUNT(*) FROM saved_searches WHERE user_id = $2) < $7";
        let done = sqlx::query(insert)
            .bind(&saved.id)
            .bind(user)
            .bind(&saved.search.name)
            .bind(&saved.search.query)
            .bind(&saved.search.range)
            .bind(saved.created)
            .bind(MAX_SEARCHES)
            .execute(self.store.control().write())
            .await;
        match done {
            Ok(done) if done.rows_affected() == 0 => {
                Err(Error::Conflict(format!("you have saved {MAX_SEARCHES} searches already; delete one first")))
            }
            Ok(_) => Ok(saved),
            Err(error) if is_duplicate(&error) => {
                Err(Error::Conflict("you have saved a search of this name already".into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes a search of the caller.
    pub async fn delete_search(&self, caller: &Caller, id: &str) -> Result<()> {
        let user = person(caller)?;
        let sql = "DELETE FROM saved_searches WHERE id = $1 AND user_id = $2";
        let done = sqlx::query(sql).bind(id).bind(user).execute(self.store.control().write()).await?;
        if done.rows_affected() == 0 { Err(Error::NotFound("saved search")) } else { Ok(()) }
    }
}
