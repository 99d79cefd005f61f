//! What becomes known of a hit later: the upstream's answer, the consumer.

use super::incoming::News;
use super::sql::{Columns, Rows, Sql, Value, each_portion};
use super::{StoreError, ids};
use sqlx::AnyConnection;
use std::collections::HashMap;
use weir_protocol::node_api::Ack;

/// News that wait for their hits, in one partition. They wait only where a spool is read out of order.
pub(super) const MAX_PENDING: usize = 50_000;

const WAITING: Rows = Rows::new(
    "INSERT INTO pending_updates (hit, status_code, response_after, consumer, received) VALUES ",
    5,
    " ON CONFLICT (hit) DO UPDATE SET status_code = excluded.status_code, response_after = excluded.response_after, \
     consumer = excluded.consumer, received = excluded.received",
);
const HITS: Rows = Rows::new(
    "UPDATE hits SET status_code = v.column2, response_after = v.column3, consumer = v.column4 FROM (VALUES ",
    4,
    ") AS v WHERE hits.id = v.column1",
);
const GROUPS: Rows = Rows::new(
    "UPDATE hit_groups SET status_code = v.column3 FROM (VALUES ",
    3,
    ") AS v WHERE hit_groups.grp = v.column1 AND hit_groups.hit = v.column2",
);

/// What a stored hit has of what can change.
struct Known {
    status_code: i64,
    response_after: i64,
    consumer: String,
    groups: String,
}

/// Applies `news`, each to its hit, or keeps it until the hit comes.
pub(super) async fn apply(on: &mut AnyConnection, news: &[News], ack: &mut Ack) -> Result<(), StoreError> {
    if news.is_empty() {
        return Ok(());
    }
    // The last word on a hit counts.
    let latest: HashMap<&str, &News> = news.iter().map(|n| (n.id.as_str(), n)).collect();
    let mut wanted: Vec<String> = latest.keys().map(|id| (*id).to_owned()).collect();
    wanted.sort();
    let aliases = aliases(on, &wanted).await?;
    let target = |id: &str| aliases.get(id).cloned().unwrap_or_else(|| id.to_owned());
    let targets: Vec<String> = wanted.iter().map(|id| target(id)).collect();
    let stored = stored(on, &targets).await?;
    let (mut changes, mut waiting) = (Vec::new(), Vec::new());
    ack.duplicates += (news.len() - latest.len()) as u64;
    for id in &wanted {
        let Some(&news) = latest.get(id.as_str()) else { continue };
        match stored.get(&target(id)) {
            None => waiting.push(news),
            Some(known) if same(known, news) => ack.duplicates += 1,
            Some(known) => {
                changes.push((target(id), known, news));
                ack.stored += 1;
            }
        }
    }
    write(on, &changes).await?;
    wait(on, waiting, ack).await
}

/// Applies what was waiting for `hits`, which are new.
pub(super) async fn apply_pending(on: &mut AnyConnection, hits: &[String]) -> Result<(), StoreError> {
    if Sql::new("SELECT 1 FROM pending_updates LIMIT 1").optional(&mut *on).await?.is_none() {
        return Ok(());
    }
    let tail = " RETURNING hit, status_code, response_after, consumer";
    let rows = each_portion(on, "DELETE FROM pending_updates WHERE hit IN ", hits, tail).await?;
    let news = rows.iter().map(read_news).collect::<Result<Vec<_>, _>>()?;
    apply(on, &news, &mut Ack::default()).await
}

/// News whose hit came at the same moment over another connection, and old ones without a hit.
pub(super) async fn sweep(on: &mut AnyConnection, oldest: i64) -> Result<(), StoreError> {
    let mut sql = Sql::new("DELETE FROM pending_updates WHERE received < ");
    sql.bind(oldest);
    sql.run(&mut *on).await?;
    let found = Sql::new("SELECT p.hit FROM pending_updates p JOIN hits h ON h.id = p.hit").all(&mut *on).await?;
    let hits = found.iter().map(|row| Columns::of(row).text()).collect::<Result<Vec<_>, _>>()?;
    if hits.is_empty() { Ok(()) } else { apply_pending(on, &hits).await }
}

fn read_news(row: &sqlx::any::AnyRow) -> Result<News, StoreError> {
    let mut c = Columns::of(row);
    let (id, status_code, response_after, consumer) = (c.text()?, c.int()?, c.int()?, c.text()?);
    Ok(News { line: 0, id, time: 0, status_code, response_after, consumer })
}

/// An update without a consumer does not take it away.
fn same(known: &Known, news: &News) -> bool {
    known.status_code == news.status_code
        && known.response_after == news.response_after
        && (news.consumer.is_empty() || news.consumer == known.consumer)
}

async fn aliases(on: &mut AnyConnection, ids: &[String]) -> Result<HashMap<String, String>, StoreError> {
    let rows = each_portion(on, "SELECT id, hit FROM hit_aliases WHERE id IN ", ids, "").await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::of(row);
            Ok((c.text()?, c.text()?))
        })
        .collect()
}

async fn stored(on: &mut AnyConnection, ids: &[String]) -> Result<HashMap<String, Known>, StoreError> {
    let head = "SELECT id, status_code, response_after, consumer, grps FROM hits WHERE id IN ";
    let rows = each_portion(on, head, ids, "").await?;
    rows.iter()
        .map(|row| {
            let mut c = Columns::of(row);
            let id = c.text()?;
            let (status_code, response_after, consumer) = (c.int()?, c.int()?, c.text()?);
            Ok((id, Known { status_code, response_after, consumer, groups: c.text()? }))
        })
        .collect()
}

async fn write(on: &mut AnyConnection, changes: &[(String, &Known, &News)]) -> Result<(), StoreError> {
    let consumer = |known: &Known, news: &News| {
        if news.consumer.is_empty() { known.consumer.clone() } else { news.consumer.clone() }
    };
    let hits = changes.iter().map(|(hit, known, news)| -> Vec<Value> {
        let consumer = consumer(known, news).into();
        vec![hit.clone().into(), news.status_code.into(), news.response_after.into(), consumer]
    });
    HITS.write(on, hits.collect()).await?;
    let groups = changes.iter().flat_map(|(hit, known, news)| {
        let row = move |key: &str| vec![key.into(), hit.clone().into(), news.status_code.into()];
        known.groups.split_whitespace().map(row)
    });
    GROUPS.write(on, groups.collect()).await?;
    Ok(())
}

async fn wait(on: &mut AnyConnection, waiting: Vec<&News>, ack: &mut Ack) -> Result<(), StoreError> {
    if waiting.is_empty() {
        return Ok(());
    }
    let count = Sql::new("SELECT COUNT(*) FROM pending_updates").all(&mut *on).await?;
    let there = count.first().map(|row| Columns::of(row).count()).transpose()?.unwrap_or_default();
    let room = MAX_PENDING.saturating_sub(usize::try_from(there).unwrap_or(MAX_PENDING));
    let (kept, refused) = waiting.split_at(room.min(waiting.len()));
    ack.stored += kept.len() as u64;
    ack.rejected.extend(refused.iter().map(|n| (n.line, "too many updates wait for their hits".to_owned())));
    let now = ids::now();
    let rows = kept.iter().map(|n| -> Vec<Value> {
        vec![n.id.clone().into(), n.status_code.into(), n.response_after.into(), n.consumer.clone().into(), now.into()]
    });
    WAITING.write(on, rows.collect()).await?;
    Ok(())
}
