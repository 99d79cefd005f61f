//! New hits into attacks: reads the runs that they may touch, joins, writes what changed.

use super::StoreError;
use super::attack_session::{AttackSession, GAP, join};
use super::facets::Facets;
use super::filter::AttackStatus;
use super::ids::{self, Month};
use super::incoming::{Group, Incoming, ip_number};
use super::migrate::Engine;
use super::sketch::Sketch;
use super::sql::{Columns, Rows, Sql, Value, each_portion};
use sqlx::AnyConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Locks among which groups are shared out: enough that few batches meet, few enough for PostgreSQL's lock table.
const LOCKS: u64 = 64;
/// First number of these locks, apart from others.
const FIRST_LOCK: i64 = 7_306_944_000;

const ATTACKS: Rows = Rows::new(
    "INSERT INTO attacks (id, month, grp, attack_type, point, host, first_time, last_time, first_hit, last_hit, hits, \
     blocked, folded, status, sources, mark, mark_author, mark_time, sketch, facets) VALUES ",
    20,
    " ON CONFLICT (id) DO UPDATE SET first_time = excluded.first_time, last_time = excluded.last_time, \
     first_hit = excluded.first_hit, last_hit = excluded.last_hit, hits = excluded.hits, blocked = excluded.blocked, \
     folded = excluded.folded, status = excluded.status, sources = excluded.sources, mark = excluded.mark, \
     mark_author = excluded.mark_author, mark_time = excluded.mark_time, sketch = excluded.sketch, \
     facets = excluded.facets",
);
const ALIASES: Rows = Rows::new("INSERT INTO attack_aliases (id, attack) VALUES ", 2, " ON CONFLICT DO NOTHING");

/// Runs of one group in one month.
type Key = (Month, String);

struct Touched<'h> {
    group: &'h Group,
    host: &'h str,
    runs: Vec<AttackSession>,
}

/// Makes other replicas that touch one of these groups wait until the transaction ends. SQLite has one writer.
pub(super) async fn lock<'k>(
    on: &mut AnyConnection,
    engine: Engine,
    keys: impl Iterator<Item = &'k str>,
) -> Result<(), StoreError> {
    if engine == Engine::Sqlite {
        return Ok(());
    }
    let numbers: BTreeSet<i64> = keys.map(number).collect();
    for number in numbers {
        let mut sql = Sql::new("SELECT pg_advisory_xact_lock(");
        sql.bind(number).push(")");
        sql.run(&mut *on).await?;
    }
    Ok(())
}

fn number(key: &str) -> i64 {
    let sum = key.bytes().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
    FIRST_LOCK + i64::try_from(sum % LOCKS).unwrap_or_default()
}

/// Joins `hits`, which are new, to the attacks. The groups must be locked.
pub(super) async fn group(on: &mut AnyConnection, hits: &[&Incoming]) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (hits.iter().map(|h| h.time).min(), hits.iter().map(|h| h.time).max()) else {
        return Ok(());
    };
    let mut touched: BTreeMap<Key, Touched<'_>> = BTreeMap::new();
    for hit in hits {
        for group in &hit.groups {
            let key = (Month::of(hit.time), group.key.clone());
            let entry = touched.entry(key).or_insert_with(|| Touched { group, host: &hit.host, runs: Vec::new() });
            entry.runs.push(single(hit));
        }
    }
    read(on, &mut touched, first - GAP, last + GAP).await?;
    write(on, touched).await
}

fn single(hit: &Incoming) -> AttackSession {
    let mut sketch = Sketch::default();
    sketch.insert(hit.ip.map(ip_number).unwrap_or_default());
    AttackSession {
        id: None,
        first_time: hit.time,
        last_time: hit.time,
        first_hit: hit.id.clone(),
        last_hit: hit.id.clone(),
        hits: 1,
        blocked: u64::from(hit.blocked()),
        folded: hit.weight() - 1,
        sketch,
        facets: Facets::of(hit),
        mark: Default::default(),
        changed: true,
        merged: Vec::new(),
    }
}

/// Adds the stored runs within `[first, last]` of every group in `touched`.
async fn read(
    on: &mut AnyConnection,
    touched: &mut BTreeMap<Key, Touched<'_>>,
    first: i64,
    last: i64,
) -> Result<(), StoreError> {
    let keys: BTreeSet<String> = touched.keys().map(|(_, key)| key.clone()).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    for portion in keys.chunks(256) {
        let mut sql = Sql::new(
            "SELECT grp, month, id, first_time, last_time, first_hit, last_hit, hits, blocked, folded, mark, \
             mark_author, mark_time, sketch, facets FROM attacks WHERE last_time >= ",
        );
        sql.bind(first)
            .push(" AND first_time <= ")
            .bind(last)
            .push(" AND id >= ")
            .bind(ids::bound(Month::of(first.max(0)).start()));
        sql.push(" AND grp IN (").list(portion.iter().cloned()).push(")");
        for row in sql.all(&mut *on).await? {
            let mut c = Columns::of(&row);
            let (key, month) = (c.text()?, Month(c.int()?));
            if let Some(touched) = touched.get_mut(&(month, key)) {
                touched.runs.push(run(&mut c)?);
            }
        }
    }
    Ok(())
}

fn run(c: &mut Columns<'_>) -> Result<AttackSession, StoreError> {
    Ok(AttackSession {
        id: Some(c.text()?),
        first_time: c.int()?,
        last_time: c.int()?,
        first_hit: c.text()?,
        last_hit: c.text()?,
        hits: c.count()?,
        blocked: c.count()?,
        folded: c.count()?,
        mark: (c.text()?, c.text()?, c.int()?),
        sketch: Sketch::from_text(&c.text()?).ok_or_else(|| StoreError::Value("a sketch of sources".into()))?,
        facets: Facets::from_text(&c.text()?),
        changed: false,
        merged: Vec::new(),
    })
}

async fn write(on: &mut AnyConnection, touched: BTreeMap<Key, Touched<'_>>) -> Result<(), StoreError> {
    let (mut rows, mut aliases, mut gone) = (Vec::new(), Vec::new(), Vec::new());
    for ((month, key), Touched { group, host, runs }) in touched {
        for run in join(runs).into_iter().filter(|run| run.changed) {
            let id = run.id.clone().unwrap_or_else(|| ids::mint(run.first_time));
            for old in &run.merged {
                aliases.push(vec![old.clone().into(), Value::Text(id.clone())]);
                gone.push(old.clone());
            }
            rows.push(row(id, month, &key, group, host, &run));
        }
    }
    ATTACKS.write(on, rows).await?;
    if gone.is_empty() {
        return Ok(());
    }
    each_portion(on, "DELETE FROM attacks WHERE id IN ", &gone, "").await?;
    // What led to one that went up in another now leads on to that one.
    for pair in &aliases {
        let (Some(Value::Text(old)), Some(Value::Text(id))) = (pair.first(), pair.get(1)) else { continue };
        let mut sql = Sql::new("UPDATE attack_aliases SET attack = ");
        sql.bind(id.as_str()).push(" WHERE attack = ").bind(old.as_str());
        sql.run(&mut *on).await?;
    }
    ALIASES.write(on, aliases).await?;
    Ok(())
}

fn row(id: String, month: Month, key: &str, group: &Group, host: &str, run: &AttackSession) -> Vec<Value> {
    vec![
        id.into(),
        month.0.into(),
        key.into(),
        group.attack_type.code().into(),
        group.point.clone().into(),
        host.into(),
        run.first_time.into(),
        run.last_time.into(),
        run.first_hit.clone().into(),
        run.last_hit.clone().into(),
        run.hits.into(),
        run.blocked.into(),
        run.folded.into(),
        AttackStatus::of(run.hits, run.blocked).number().into(),
        run.sketch.count().into(),
        run.mark.0.clone().into(),
        run.mark.1.clone().into(),
        run.mark.2.into(),
        run.sketch.to_text().into(),
        run.facets.to_text().into(),
    ]
}
