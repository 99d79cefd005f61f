//! Hits whose time cannot be right: their node began in 1970, or its clock was days ahead for a while.
//!
//! The time in an id says where a hit is stored, so such an id cannot be used, and a hit must not be lost for a wrong clock.
//! It gets an id of the moment in which it came, and the same one whenever it comes again: which one is noted, and on disk,
//! before the hit is stored.

use super::incoming::Window;
use super::ingest::{begin, retry};
use super::sql::{Columns, Rows, Sql, each_portion};
use super::{Database, StoreError, ids};
use crate::node_api::Record;
use sqlx::AnyConnection;
use std::collections::HashMap;

const NOTE: Rows = Rows::new("INSERT INTO misdated_hits (id, stored) VALUES ", 2, " ON CONFLICT DO NOTHING");

impl Database {
    /// Gives those of `records` whose time cannot be right an id and a time of now. Answers how many hits these were.
    pub async fn redate(&self, records: &mut [Record]) -> Result<u64, StoreError> {
        let window = Window { from: self.kept_from(), now: ids::now() };
        let read: Vec<(String, i64)> = records.iter().filter_map(|record| ids::read(id(record))).collect();
        let (fits, wrong): (Vec<_>, Vec<_>) = read.into_iter().partition(|(_, time)| window.holds(*time));
        if wrong.is_empty() && !retry(|| self.has_misdated()).await? {
            return Ok(0);
        }
        let ids_of = |pairs: Vec<(String, i64)>| pairs.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        let (fits, mut wrong) = (ids_of(fits), ids_of(wrong));
        wrong.sort();
        wrong.dedup();
        let mut new = Vec::new();
        for id in wrong {
            // The clock that is wrong may be ours, and what came before it jumped is where it belongs.
            if retry(|| self.hit(&id)).await?.is_none() {
                new.push(id);
            }
        }
        let stored = retry(|| self.note(&new, &fits, window.now)).await?;
        let mut count = 0;
        for record in records {
            if let Some(instead) = ids::read(id(record)).and_then(|(id, _)| stored.get(&id)) {
                count += u64::from(change(record, instead));
            }
        }
        Ok(count)
    }

    async fn has_misdated(&self) -> Result<bool, StoreError> {
        let any = Sql::new("SELECT id FROM misdated_hits LIMIT 1").optional(self.control().read()).await?;
        Ok(any.is_some())
    }

    /// Notes an id for each of `new` that has none, and answers the ids of these and of `others` by those they came with.
    async fn note(&self, new: &[String], others: &[String], now: i64) -> Result<HashMap<String, String>, StoreError> {
        let mut connection = self.control().write().acquire().await?;
        let mut transaction = begin(self.engine(), &mut connection).await?;
        let rows = new.iter().map(|id| vec![id.clone().into(), ids::mint(now).into()]).collect();
        NOTE.write(&mut transaction, rows).await?;
        let mut stored = HashMap::new();
        noted(&mut transaction, new, &mut stored).await?;
        noted(&mut transaction, others, &mut stored).await?;
        transaction.commit().await?;
        Ok(stored)
    }
}

async fn noted(on: &mut AnyConnection, hits: &[String], to: &mut HashMap<String, String>) -> Result<(), StoreError> {
    for row in &each_portion(on, "SELECT id, stored FROM misdated_hits WHERE id IN ", hits, "").await? {
        let mut columns = Columns::of(row);
        to.insert(columns.text()?, columns.text()?);
    }
    Ok(())
}

/// Forgets what stands for hits before `from`.
pub(super) async fn forget(database: &Database, from: i64) -> Result<(), StoreError> {
    let mut sql = Sql::new("DELETE FROM misdated_hits WHERE stored < ");
    sql.bind(ids::bound(from));
    sql.run(database.control().write()).await?;
    Ok(())
}

/// The id of the hit that `record` is, or is about.
fn id(record: &Record) -> &str {
    match record {
        Record::Hit(hit) => &hit.id,
        Record::Update(update) => &update.hit,
    }
}

/// Puts `instead` in its place. True if `record` is the hit.
fn change(record: &mut Record, instead: &str) -> bool {
    match record {
        Record::Hit(hit) => {
            hit.time = ids::read(instead).map_or(hit.time, |(_, time)| time.unsigned_abs());
            instead.clone_into(&mut hit.id);
            true
        }
        Record::Update(update) => {
            instead.clone_into(&mut update.hit);
            false
        }
    }
}
