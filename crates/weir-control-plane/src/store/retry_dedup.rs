//! Calls that a connector repeated: the second attempt of a request is the same hit, told twice.
//!
//! Two hits merge if connector, request id, message and host are the same, their attempts differ and lie within
//! [`WINDOW`] of each other. The one stored first stays. Without the attempts, equal request ids do not merge: where a
//! client can choose the id, it could hide its hits behind one. On SQLite, attempts on both sides of a month's first
//! midnight stay two.

use super::StoreError;
use super::incoming::Incoming;
use super::ingest::delete_hits;
use super::sql::{Columns, Rows, each_portion};
use sqlx::AnyConnection;
use std::collections::{HashMap, HashSet};

/// Longest time between two attempts, in milliseconds: connectors repeat within seconds, spools may be read in any order,
/// but ids are minted when the call is judged.
const WINDOW: i64 = 10 * 60 * 1000;

const ALIASES: Rows = Rows::new("INSERT INTO hit_aliases (id, hit) VALUES ", 2, " ON CONFLICT DO NOTHING RETURNING id");

/// A stored hit that another may be a repetition of.
struct Stored {
    id: String,
    time: i64,
    attempt: i64,
    like: (String, String, String),
}

/// Those of `new` that were merged into another hit before: they came again.
pub(super) async fn known(on: &mut AnyConnection, new: &[&Incoming]) -> Result<HashSet<String>, StoreError> {
    let ids: Vec<String> = new.iter().map(|hit| hit.id.clone()).collect();
    let rows = each_portion(on, "SELECT id FROM hit_aliases WHERE id IN ", &ids, "").await?;
    let gone = rows.iter().map(|row| Columns::of(row).text()).collect::<Result<HashSet<_>, _>>()?;
    if !gone.is_empty() {
        delete_hits(on, &gone.iter().cloned().collect::<Vec<_>>(), &[]).await?;
    }
    Ok(gone)
}

/// Takes those of `new` out of the store again that repeat another hit, and remembers whose repetition they are.
pub(super) async fn merge(on: &mut AnyConnection, new: &[&Incoming]) -> Result<HashSet<String>, StoreError> {
    let candidates = candidates(on, new).await?;
    let mut merged = HashSet::new();
    for &hit in new {
        let Some(others) = candidates.get(&super::incoming::request_id(&hit.hit)) else { continue };
        let is_first = |other: &Stored| {
            // Of two new ones the lower attempt stays; a stored one stays in any case.
            let older = !new.iter().any(|n| n.id == other.id) || other.attempt < i64::from(hit.hit.attempt);
            older && !merged.contains(&other.id)
        };
        if let Some(other) = others.iter().find(|other| repeats(hit, other) && is_first(other)) {
            ALIASES.write(on, vec![vec![hit.id.clone().into(), other.id.clone().into()]]).await?;
            let groups: Vec<String> = hit.groups.iter().map(|group| group.key.clone()).collect();
            delete_hits(on, std::slice::from_ref(&hit.id), &groups).await?;
            merged.insert(hit.id.clone());
        }
    }
    Ok(merged)
}

/// Hits by request id that those of `new` may repeat, or be repeated by.
async fn candidates(on: &mut AnyConnection, new: &[&Incoming]) -> Result<HashMap<String, Vec<Stored>>, StoreError> {
    const HEAD: &str = "SELECT id, time, attempt, request_id, connector, leg, host FROM hits WHERE request_id IN ";
    let ids = |again: bool| -> Vec<String> {
        let some = new.iter().filter(|hit| (hit.hit.attempt > 1) == again && !hit.hit.request_id.is_empty());
        some.map(|hit| super::incoming::request_id(&hit.hit)).collect()
    };
    let mut rows = each_portion(on, HEAD, &ids(true), "").await?;
    rows.extend(each_portion(on, HEAD, &ids(false), " AND attempt > 1").await?);
    let mut out: HashMap<String, Vec<Stored>> = HashMap::new();
    for row in &rows {
        let mut c = Columns::of(row);
        let (id, time, attempt, request) = (c.text()?, c.int()?, c.int()?, c.text()?);
        let stored = Stored { id, time, attempt, like: (c.text()?, c.text()?, c.text()?) };
        out.entry(request).or_default().push(stored);
    }
    Ok(out)
}

fn repeats(hit: &Incoming, other: &Stored) -> bool {
    let (connector, leg, host) = &other.like;
    hit.id != other.id
        && i64::from(hit.hit.attempt) != other.attempt
        && (hit.time - other.time).abs() <= WINDOW
        && (super::incoming::connector(&hit.hit), hit.leg(), &hit.host) == (connector.clone(), leg.as_str(), host)
}
