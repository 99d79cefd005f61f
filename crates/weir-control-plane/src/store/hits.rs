//! Hits: lists, one with all that is known of it, and those against which a rule is tried.

use super::attacks::{self, Found};
use super::clause::{self, Scope};
use super::partition::Partition;
use super::searched::{MAX_SEARCHED, Search};
use super::sql::{Columns, Sql};
use super::{Cursor, Database, Filter, HitRow, Listing, Page, StoreError, StoredHit, ids};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sqlx::any::AnyRow;
use std::collections::HashMap;
use weir_core::model::AttackType;
use weir_protocol::hit::{Hit, HitFinding, HitResponse};

/// Most hits that one trial of a rule looks at.
pub const MAX_REPLAY: usize = 10_000;
/// Hits read at once while many are gone through.
const PORTION: usize = 200;
/// Hits of the first portion, for those who wait for a few; each is twice the one before.
const FIRST_PORTION: usize = 50;
/// Pages whose search has to go on that one trial of a rule looks at.
const MAX_SEARCHES: usize = 10;

const COLUMNS: &str = "SELECT h.id, h.time, h.request_id, h.ip, h.country, h.method, h.host, h.path, h.status_code, \
    h.application, h.node, h.mode, h.action, h.attack_types, h.size, h.folded FROM hits h";

/// A stored hit and the bytes of its request, for trying a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct Replay {
    /// The record.
    pub hit: Hit,
    /// The message, masked and cut, as `message/http`.
    pub raw: Vec<u8>,
    /// Keys of its groups, the one that it is named after first.
    pub groups: Vec<String>,
}

impl Database {
    /// A page of the hits that fit `filter`, newest first. Where no index finds them, it looks at 50,000 hits at
    /// most and says where it ended: a page may have few rows, or none, and a next one.
    pub async fn hits(&self, filter: &Filter, page: &Page) -> Result<Listing<HitRow>, StoreError> {
        self.hits_among(filter, page, MAX_SEARCHED).await
    }

    /// [`Self::hits`] that looks at `most` hits.
    pub(super) async fn hits_among(
        &self,
        filter: &Filter,
        page: &Page,
        most: u64,
    ) -> Result<Listing<HitRow>, StoreError> {
        clause::check(filter)?;
        let filter = &self.bounded(filter);
        let limit = page.limit();
        let mut out: Vec<HitRow> = Vec::new();
        let newest = page.after.as_ref().map(|cursor| cursor.time.saturating_add(1));
        let to = [filter.to, newest].into_iter().flatten().min();
        let after = page.after.as_ref().map(|after| after.id.as_str());
        let mut search = Search::new(filter, self.partitions().has_trigrams(), most);
        for month in self.partitions().between(filter.from, to)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            let oldest = search.oldest(&partition, after).await.map_err(|e| partition.named(e))?;
            let mut sql = Sql::new(COLUMNS);
            sql.push(" WHERE ");
            clause::hits(&mut sql, filter, Scope::Hits)?;
            if let Some(after) = after {
                sql.push(" AND h.id < ").bind(after);
            }
            if let Some(oldest) = &oldest {
                sql.push(" AND h.id >= ").bind(oldest.as_str());
            }
            sql.push(" ORDER BY h.id DESC LIMIT ").bind((limit + 1 - out.len()) as u64);
            for row in sql.all(partition.pools.read()).await.map_err(|e| partition.named(e))? {
                out.push(read(&row)?);
            }
            if out.len() > limit {
                break;
            }
            if let Some(id) = oldest {
                let time = ids::prefix_time(&id);
                return Ok(Listing { rows: out, next: Some(Cursor { time, id }), searched_since: Some(time) });
            }
        }
        Ok(Listing::cut(out, limit, cursor))
    }

    /// The hit with this id, or the one of which it was a repeated call.
    pub async fn hit(&self, id: &str) -> Result<Option<StoredHit>, StoreError> {
        let Some(partition) = self.partition_of(id).await? else { return Ok(None) };
        one(&partition, id).await.map_err(|e| partition.named(e))
    }

    /// Stored hits that fit `filter`, newest first, up to `most` (and [`MAX_REPLAY`]), each handed to `each`, which says
    /// whether to go on. Returns whether there may be more.
    pub async fn replay(
        &self,
        filter: &Filter,
        most: usize,
        mut each: impl FnMut(Replay) -> bool,
    ) -> Result<bool, StoreError> {
        let mut left = most.min(MAX_REPLAY);
        let (mut searches, mut after, mut portion) = (0, None, FIRST_PORTION);
        while left > 0 && searches < MAX_SEARCHES {
            let limit = u32::try_from(left.min(portion)).unwrap_or(1);
            portion = (portion * 2).min(PORTION);
            let page = self.hits(filter, &Page { after, limit }).await?;
            for record in self.records(&page.rows).await? {
                if !each(record) {
                    return Ok(true);
                }
            }
            left -= page.rows.len();
            searches += usize::from(page.searched_since.is_some());
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The records of `rows`, in their order.
    pub(super) async fn records(&self, rows: &[HitRow]) -> Result<Vec<Replay>, StoreError> {
        self.replays(&rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>()).await
    }

    /// The hits with these ids, newest first where `ids` are in that order; those that are gone are left out.
    pub async fn replays(&self, ids: &[String]) -> Result<Vec<Replay>, StoreError> {
        let mut out = Vec::with_capacity(ids.len());
        let month = |id: &String| ids::Month::of(ids::prefix_time(id.get(..13).unwrap_or(id)));
        for of_month in ids.chunk_by(|a, b| month(a) == month(b)) {
            let Some(first) = of_month.first() else { continue };
            let Some(partition) = self.partition_of(first).await? else { continue };
            let mut sql = Sql::new(WHOLE);
            // Without the second list PostgreSQL reads the records of all days.
            sql.push(" WHERE h.id IN (").list(of_month.iter().map(String::as_str));
            sql.push(") AND d.id IN (").list(of_month.iter().map(String::as_str)).push(") ORDER BY h.id DESC");
            for row in sql.all(partition.pools.read()).await.map_err(|e| partition.named(e))? {
                let (hit, groups) = whole(&row)?;
                let groups = groups.split_whitespace().map(str::to_owned).collect();
                let raw = STANDARD
                    .decode(&hit.request.raw)
                    .map_err(|_| StoreError::Value(format!("hit {} has a request that is no base64", hit.id)))?;
                out.push(Replay { hit, raw, groups });
            }
        }
        Ok(out)
    }
}

/// Only the findings of a record.
#[derive(serde::Deserialize)]
struct Findings {
    #[serde(default)]
    findings: Vec<HitFinding>,
}

/// The findings of the hits with these ids, the decisive ones first.
pub(super) async fn findings(
    partition: &Partition,
    ids: &[String],
) -> Result<HashMap<String, Vec<HitFinding>>, StoreError> {
    let mut out = HashMap::new();
    for some in ids.chunks(PORTION) {
        let mut sql = Sql::new("SELECT id, doc FROM hit_docs WHERE id IN (");
        sql.list(some.iter().map(String::as_str)).push(")");
        for row in sql.all(partition.pools.read()).await? {
            let mut c = Columns::of(&row);
            let (id, doc) = (c.text()?, c.text()?);
            let read: Findings = serde_json::from_str(&doc)
                .map_err(|error| StoreError::Value(format!("a hit that this build cannot read: {error}")))?;
            out.insert(id, read.findings);
        }
    }
    Ok(out)
}

pub(super) fn cursor(row: &HitRow) -> Cursor {
    Cursor { time: row.time, id: row.id.clone() }
}

const WHOLE: &str =
    "SELECT d.doc, h.status_code, h.response_after, h.consumer, h.grps FROM hits h JOIN hit_docs d ON d.id = h.id";

async fn one(partition: &Partition, id: &str) -> Result<Option<StoredHit>, StoreError> {
    let id = ids::read(id).map_or_else(|| id.to_owned(), |(id, _)| id);
    let mut alias = Sql::new("SELECT hit FROM hit_aliases WHERE id = ");
    alias.bind(id.as_str());
    let id = match alias.optional(partition.pools.read()).await? {
        Some(row) => Columns::of(&row).text()?,
        None => id,
    };
    let mut sql = Sql::new(WHOLE);
    sql.push(" WHERE h.id = ").bind(id.as_str());
    let Some(row) = sql.optional(partition.pools.read()).await? else { return Ok(None) };
    let (hit, groups) = whole(&row)?;
    let attacks = attacks::of_hit(partition, &id, &groups).await?;
    Ok(Some(StoredHit { hit, attacks }))
}

/// The record with what became known later, and its groups.
fn whole(row: &AnyRow) -> Result<(Hit, String), StoreError> {
    let mut c = Columns::of(row);
    let doc = c.text()?;
    let mut hit: Hit = serde_json::from_str(&doc)
        .map_err(|error| StoreError::Value(format!("a hit that this build cannot read: {error}")))?;
    let (status, after, consumer) = (c.int()?, c.int()?, c.text()?);
    if let (Ok(after_ms), Ok(status)) = (u64::try_from(after), u16::try_from(status)) {
        hit.response = Some(HitResponse { status, after_ms });
    }
    if !consumer.is_empty() {
        hit.gateway.consumer = consumer;
    }
    Ok((hit, c.text()?))
}

/// Hits of an attack: those of its group between its first and its last one.
pub(super) async fn of_attack(
    partition: &Partition,
    found: &Found,
    page: &Page,
    limit: usize,
) -> Result<Vec<HitRow>, StoreError> {
    let mut sql = Sql::new(COLUMNS);
    sql.push(" JOIN hit_groups g ON h.id = g.hit WHERE g.grp = ").bind(found.grp.as_str());
    // Said of both tables, so that the engine leaves out partitions of both.
    for column in ["g.hit", "h.id"] {
        sql.push(" AND ").push(column).push(" >= ").bind(found.first_hit.as_str());
        sql.push(" AND ").push(column).push(" <= ").bind(found.last_hit.as_str());
        if let Some(after) = &page.after {
            sql.push(" AND ").push(column).push(" < ").bind(after.id.as_str());
        }
    }
    sql.push(" ORDER BY g.hit DESC LIMIT ").bind(limit as u64);
    sql.all(partition.pools.read()).await?.iter().map(read).collect()
}

/// Rows by their ids, in no order.
pub(super) async fn by_ids(partition: &Partition, ids: &[String]) -> Result<Vec<HitRow>, StoreError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(COLUMNS);
    sql.push(" WHERE h.id IN (").list(ids.iter().cloned()).push(")");
    sql.all(partition.pools.read()).await?.iter().map(read).collect()
}

fn read(row: &AnyRow) -> Result<HitRow, StoreError> {
    let mut c = Columns::of(row);
    let (id, time, request_id, ip, country) = (c.text()?, c.int()?, c.text()?, c.text()?, c.text()?);
    let (method, host, path, status) = (c.text()?, c.text()?, c.text()?, c.int()?);
    let (application, node, mode, action) = (c.int()?, c.text()?, c.text()?, c.text()?);
    let attack_types = c.text()?.split_whitespace().filter_map(AttackType::from_code).collect();
    let status_code = u16::try_from(status).unwrap_or_default();
    let (size, folded) = (c.count()?, c.count()?);
    Ok(HitRow {
        id,
        time,
        request_id,
        ip,
        country,
        method,
        host,
        path,
        status_code,
        application,
        node,
        mode,
        action,
        attack_types,
        size,
        folded,
    })
}
