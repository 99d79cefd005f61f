//! Hits whose time cannot be right: their node began in 1970, or its clock was days ahead for a while.
//!
//! The time in an id says where a hit is stored, so such an id cannot be used, and a hit must not be lost for a wrong clock.
//! It gets an id of the moment in which it came, and the same one whenever it comes again: which one is noted, and on disk,
//! before the hit is stored.
//!
//! The clock that is wrong may be ours as well. Then hits come again that are stored, with a time at which nothing could be
//! stored now: they are separated here, because [`Database::insert`] would refuse them, and their sender count them as lost.

use super::incoming::{News, Window};
use super::ingest::{begin, retry};
use super::partition::Partition;
use super::sql::{Columns, Rows, Sql, each_portion};
use super::{Database, StoreError, ids, updates};
use sqlx::AnyConnection;
use std::collections::{BTreeMap, HashMap, HashSet};
use weir_protocol::node_api::{Ack, Record};

const NOTE: Rows = Rows::new("INSERT INTO misdated_hits (id, stored) VALUES ", 2, " ON CONFLICT DO NOTHING");

/// A batch in which no time is wrong any more.
#[derive(Debug)]
pub struct Redated {
    /// What is to be stored.
    pub records: Vec<Record>,
    /// Hits among them that got an id and a time of now.
    pub misdated: u64,
    /// The window that says what is wrong: what fits it here must fit it when it is stored, a midnight later too.
    pub(super) window: Window,
    /// What to make of the answer.
    pub(super) rest: Rest,
}

/// The part of a batch that was dealt with already.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// Lines of the others in the batch as it came.
    lines: Vec<u64>,
    /// What came of it.
    ack: Ack,
}

impl Rest {
    /// The answer for the batch as it came, where `stored` is the one for [`Redated::records`].
    pub fn ack(self, stored: Ack) -> Ack {
        let line = |at: u64| usize::try_from(at).ok().and_then(|at| self.lines.get(at)).copied().unwrap_or(at);
        let mut rejected = self.ack.rejected;
        rejected.extend(stored.rejected.into_iter().map(|(at, why)| (line(at), why)));
        rejected.sort();
        Ack { stored: self.ack.stored + stored.stored, duplicates: self.ack.duplicates + stored.duplicates, rejected }
    }
}

impl Database {
    /// Gives those of `records` whose time cannot be right an id and a time of now, and deals with those that are about
    /// hits stored at such a time.
    pub async fn redate(&self, mut records: Vec<Record>) -> Result<Redated, StoreError> {
        let window = self.window();
        let read: Vec<(String, i64)> = records.iter().filter_map(|record| ids::read(id(record))).collect();
        let (fits, wrong): (Vec<_>, Vec<_>) = read.into_iter().partition(|(_, time)| window.holds(*time));
        if wrong.is_empty() && !retry(|| self.has_misdated()).await? {
            return self.settle(records, 0, window, &HashSet::new()).await;
        }
        let ids_of = |pairs: Vec<(String, i64)>| pairs.into_iter().map(|(id, _)| id).collect::<Vec<_>>();
        let (fits, mut wrong) = (ids_of(fits), ids_of(wrong));
        wrong.sort();
        wrong.dedup();
        // What came before our own clock jumped is where it belongs.
        let (mut known, new) = self.known(wrong).await?;
        let mut stored = retry(|| self.note(&new, &fits, window.now)).await?;
        let outside = |id: &String| ids::read(id).is_some_and(|(_, time)| !window.holds(time));
        let (there, missing) = self.known(stored.values().filter(|id| outside(id)).cloned().collect()).await?;
        known.extend(there);
        if !missing.is_empty() {
            stored = retry(|| self.note_again(&stored, &missing, window.now)).await?;
        }
        let mut misdated = 0;
        for record in &mut records {
            if let Some(instead) = ids::read(id(record)).and_then(|(id, _)| stored.get(&id)) {
                misdated += u64::from(change(record, instead));
            }
        }
        self.settle(records, misdated, window, &known).await
    }

    /// Those of `ids` under which a hit is stored, and the others.
    async fn known(&self, ids: Vec<String>) -> Result<(HashSet<String>, Vec<String>), StoreError> {
        let known = retry(|| self.stored_among(&ids)).await?;
        let others = ids.into_iter().filter(|id| !known.contains(id)).collect();
        Ok((known, others))
    }

    async fn stored_among(&self, hits: &[String]) -> Result<HashSet<String>, StoreError> {
        let mut months: BTreeMap<ids::Month, Vec<String>> = BTreeMap::new();
        for (id, time) in hits.iter().filter_map(|id| ids::read(id)) {
            months.entry(ids::Month::of(time)).or_default().push(id);
        }
        let mut stored = HashSet::new();
        for (month, hits) in &months {
            let Some(partition) = self.partitions().existing(*month).await? else { continue };
            stored.extend(among(&partition, hits).await.map_err(|error| partition.named(error))?);
        }
        Ok(stored)
    }

    /// Takes out of `records` what is about hits of `known`: such a hit came again, and news of it are stored with it.
    async fn settle(
        &self,
        records: Vec<Record>,
        misdated: u64,
        window: Window,
        known: &HashSet<String>,
    ) -> Result<Redated, StoreError> {
        let mut out = Redated { records: Vec::with_capacity(records.len()), misdated, window, rest: Rest::default() };
        let mut news: BTreeMap<ids::Month, Vec<News>> = BTreeMap::new();
        for (line, record) in (0u64..).zip(records) {
            match ids::read(id(&record)).filter(|(id, _)| known.contains(id)) {
                None => {
                    out.rest.lines.push(line);
                    out.records.push(record);
                }
                Some((id, time)) => match record {
                    Record::Hit(_) => out.rest.ack.duplicates += 1,
                    Record::Update(update) => {
                        news.entry(ids::Month::of(time)).or_default().push(News::of(line, &update, id, time));
                    }
                },
            }
        }
        for (month, news) in &news {
            let told = retry(|| self.tell(*month, news)).await?;
            out.rest.ack.stored += told.stored;
            out.rest.ack.duplicates += told.duplicates;
        }
        Ok(out)
    }

    /// Stores news of hits of `month`.
    async fn tell(&self, month: ids::Month, news: &[News]) -> Result<Ack, StoreError> {
        let partition = self.partitions().of(month).await?;
        let mut connection = partition.pools.write().acquire().await?;
        let mut transaction = begin(partition.engine, &mut connection).await?;
        let mut ack = Ack::default();
        updates::apply(&mut transaction, news, &mut ack).await?;
        transaction.commit().await?;
        Ok(ack)
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

    /// Notes another id where one of `missing` was noted, at which nothing was stored before the clock jumped away from
    /// it. Answers all of `stored` as it is then.
    async fn note_again(
        &self,
        stored: &HashMap<String, String>,
        missing: &[String],
        now: i64,
    ) -> Result<HashMap<String, String>, StoreError> {
        let mut connection = self.control().write().acquire().await?;
        let mut transaction = begin(self.engine(), &mut connection).await?;
        for old in missing {
            // Whoever was first here decides: the other finds its id no more, and reads the new one.
            let mut sql = Sql::new("UPDATE misdated_hits SET stored = ");
            sql.bind(ids::mint(now)).push(" WHERE stored = ").bind(old.as_str());
            sql.run(&mut *transaction).await?;
        }
        let mut again = HashMap::new();
        noted(&mut transaction, &stored.keys().cloned().collect::<Vec<_>>(), &mut again).await?;
        transaction.commit().await?;
        Ok(again)
    }
}

async fn noted(on: &mut AnyConnection, hits: &[String], to: &mut HashMap<String, String>) -> Result<(), StoreError> {
    for row in &each_portion(on, "SELECT id, stored FROM misdated_hits WHERE id IN ", hits, "").await? {
        let mut columns = Columns::of(row);
        to.insert(columns.text()?, columns.text()?);
    }
    Ok(())
}

/// Those of `hits` that are stored in `partition`, or were a repeated call of one that is.
async fn among(partition: &Partition, hits: &[String]) -> Result<HashSet<String>, StoreError> {
    const STORED: &str = "SELECT id FROM hits WHERE id IN ";
    const REPEATED: &str = "SELECT a.id FROM hit_aliases a JOIN hits h ON h.id = a.hit WHERE a.id IN ";
    let mut connection = partition.pools.read().acquire().await?;
    let mut rows = each_portion(&mut connection, STORED, hits, "").await?;
    rows.extend(each_portion(&mut connection, REPEATED, hits, "").await?);
    rows.iter().map(|row| Columns::of(row).text()).collect()
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
