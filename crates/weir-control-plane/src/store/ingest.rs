//! Storing a batch: at least once on the wire, exactly once here.
//!
//! One transaction a partition. `INSERT ... ON CONFLICT DO NOTHING RETURNING id` tells which hits are new, and only those
//! are grouped and counted, so that a batch sent again, or at the same time over another way, changes nothing. Rows go in
//! in order of id, locks are taken in order of number: two batches cannot wait for each other.

use super::counts::Tally;
use super::incoming::{Incoming, News, Window};
use super::migrate::Engine;
use super::partition::Partition;
use super::sql::{Columns, Rows, Value, each_portion};
use super::{Database, Redated, StoreError, daily_partitions, group_hours, grouping, ids, retry_dedup, updates};
use sqlx::{Any, AnyConnection, Connection, Transaction};
use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::time::Duration;
use weir_protocol::node_api::{Ack, Record};

/// Tries of a transaction that fails for reasons that pass; with the waits between, some eight seconds: long enough for
/// PostgreSQL to restart, shorter than senders wait.
const TRIES: u32 = 8;
/// Wait after the first failure; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

const HITS: Rows = Rows::new(
    "INSERT INTO hits (id, time, connector, request_id, attempt, leg, node, ip, ip_key, country, application, method, \
     host, path, protocol, size, status_code, response_after, mode, action, blocked, folded, attack_types, rules, grps, \
     points, source_types, consumer, words) VALUES ",
    29,
    " ON CONFLICT DO NOTHING RETURNING id",
);
const DOCS: Rows = Rows::new("INSERT INTO hit_docs (id, doc) VALUES ", 2, " ON CONFLICT DO NOTHING");
const GROUPS: Rows = Rows::new(
    "INSERT INTO hit_groups (grp, hit, ip_key, country, status_code, method, application, node, path, blocked, folded) \
     VALUES ",
    11,
    " ON CONFLICT DO NOTHING",
);

/// What of a batch goes to one partition.
#[derive(Default)]
struct Share {
    hits: Vec<Incoming>,
    news: Vec<News>,
}

impl Database {
    /// Stores a batch that the node `node` sent. When it returns, the batch is on disk; after an error nothing of it
    /// is, or parts are, and it can be sent again as it was.
    pub async fn insert(&self, records: Vec<Record>, node: &str) -> Result<Ack, StoreError> {
        self.insert_in(self.window(), records, node).await
    }

    /// Stores what is left of a batch that the node `node` sent, and answers for all of it. Like [`Self::insert`].
    pub async fn insert_redated(&self, redated: Redated, node: &str) -> Result<Ack, StoreError> {
        let stored = self.insert_in(redated.window, redated.records, node).await?;
        Ok(redated.rest.ack(stored))
    }

    /// What may come in now.
    pub(super) fn window(&self) -> Window {
        Window { from: self.kept_from(), now: ids::now() }
    }

    async fn insert_in(&self, window: Window, records: Vec<Record>, node: &str) -> Result<Ack, StoreError> {
        let mut ack = Ack::default();
        for share in shares(records, node, window, &mut ack).values() {
            let done = retry(|| self.store_share(share)).await.inspect_err(|error| self.note_failure(error))?;
            ack.stored += done.stored;
            ack.duplicates += done.duplicates;
            ack.rejected.extend(done.rejected);
        }
        ack.rejected.sort();
        Ok(ack)
    }

    async fn store_share(&self, share: &Share) -> Result<Ack, StoreError> {
        let time = share.hits.first().map(|h| h.time).or(share.news.first().map(|n| n.time)).unwrap_or_default();
        let month = ids::Month::of(time);
        let partition = self.partitions().of(month).await?;
        if partition.engine == Engine::Postgres {
            let times = share.hits.iter().map(|h| h.time).chain(share.news.iter().map(|n| n.time));
            daily_partitions::ensure(&partition, self.known_days(), times).await?;
        }
        let stored = store(&partition, share).await;
        if stored.is_err() {
            // Another replica may have dropped one.
            self.known_days().forget();
        }
        stored.map_err(|error| partition.named(error))
    }
}

/// The batch in parts of one month each; what can never be stored goes to `ack`.
fn shares(records: Vec<Record>, node: &str, window: Window, ack: &mut Ack) -> BTreeMap<ids::Month, Share> {
    let mut shares: BTreeMap<ids::Month, Share> = BTreeMap::new();
    for (line, record) in (0u64..).zip(records) {
        let placed = match record {
            Record::Hit(hit) => Incoming::new(*hit, node, window)
                .map(|hit| shares.entry(ids::Month::of(hit.time)).or_default().hits.push(hit)),
            Record::Update(update) => News::new(line, &update, window)
                .map(|news| shares.entry(ids::Month::of(news.time)).or_default().news.push(news)),
        };
        if let Err(why) = placed {
            ack.rejected.push((line, why.to_string()));
        }
    }
    for share in shares.values_mut() {
        share.hits.sort_by(|a, b| a.id.cmp(&b.id));
    }
    shares
}

async fn store(partition: &Partition, share: &Share) -> Result<Ack, StoreError> {
    let mut connection = partition.pools.write().acquire().await?;
    let mut transaction = begin(partition.engine, &mut connection).await?;
    let on = &mut *transaction;
    let ack = store_in(on, partition.engine, share).await?;
    transaction.commit().await?;
    Ok(ack)
}

/// A transaction that will write.
pub(super) async fn begin(engine: Engine, connection: &mut AnyConnection) -> Result<Transaction<'_, Any>, StoreError> {
    Ok(match engine {
        Engine::Sqlite => connection.begin_with("BEGIN IMMEDIATE").await?,
        Engine::Postgres => connection.begin().await?,
    })
}

async fn store_in(on: &mut AnyConnection, engine: Engine, share: &Share) -> Result<Ack, StoreError> {
    let mut new = insert_new(on, &share.hits).await?;
    let gone = retry_dedup::known(on, &new).await?;
    new.retain(|hit| !gone.contains(&hit.id));
    let groups = new.iter().flat_map(|hit| hit.groups.iter().map(|group| hit.group_row(group))).collect();
    GROUPS.write(on, groups).await?;
    grouping::lock(on, engine, new.iter().flat_map(|hit| &hit.groups).map(|group| group.key.as_str())).await?;
    let merged = retry_dedup::merge(on, &new).await?;
    new.retain(|hit| !merged.contains(&hit.id));
    let stored = new.len() as u64;
    let mut ack = Ack { stored, duplicates: share.hits.len() as u64 - stored, rejected: Vec::new() };
    grouping::group(on, &new).await?;
    group_hours::add(on, engine, &new).await?;
    let mut tally = Tally::default();
    new.iter().for_each(|hit| tally.add(hit));
    tally.write(on).await?;
    if !new.is_empty() {
        let new: Vec<String> = new.iter().map(|hit| hit.id.clone()).collect();
        updates::apply_pending(on, &new).await?;
    }
    updates::apply(on, &share.news, &mut ack).await?;
    Ok(ack)
}

/// Inserts hits and answers those that were not there.
async fn insert_new<'h>(on: &mut AnyConnection, hits: &'h [Incoming]) -> Result<Vec<&'h Incoming>, StoreError> {
    let mut unique: Vec<&Incoming> = hits.iter().collect();
    unique.dedup_by(|a, b| a.id == b.id);
    let returned = HITS.write(on, unique.iter().map(|hit| hit.hit_row()).collect()).await?;
    let ids = returned.iter().map(|row| Columns::of(row).text()).collect::<Result<HashSet<_>, _>>()?;
    unique.retain(|hit| ids.contains(&hit.id));
    let docs = unique.iter().map(|hit| vec![hit.id.clone().into(), Value::Text(hit.doc.clone())]).collect();
    DOCS.write(on, docs).await?;
    Ok(unique)
}

/// Deletes hits with all that hangs on them.
pub(super) async fn delete_hits(on: &mut AnyConnection, hits: &[String], groups: &[String]) -> Result<(), StoreError> {
    each_portion(on, "DELETE FROM hits WHERE id IN ", hits, "").await?;
    each_portion(on, "DELETE FROM hit_docs WHERE id IN ", hits, "").await?;
    for group in groups {
        for hit in hits {
            let mut sql = super::sql::Sql::new("DELETE FROM hit_groups WHERE grp = ");
            sql.bind(group.as_str()).push(" AND hit = ").bind(hit.as_str());
            sql.run(&mut *on).await?;
        }
    }
    Ok(())
}

/// Tries again what failed for a reason that passes.
pub(super) async fn retry<T, F: Future<Output = Result<T, StoreError>>>(
    mut work: impl FnMut() -> F,
) -> Result<T, StoreError> {
    let mut wait = FIRST_WAIT;
    for _ in 1..TRIES {
        match work().await {
            Err(error) if error.is_transient() => {
                tracing::warn!(%error, "the store tries again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            done => return done,
        }
    }
    work().await
}
