//! Attacks: lists, details, marks.

use super::clause::{self, Scope};
use super::filter::Mark;
use super::ids::{self, Month};
use super::ingest::{begin, retry};
use super::partition::Partition;
use super::searched::{MAX_SEARCHED, Search};
use super::sql::{Columns, Sql};
use super::{
    Attack, AttackStatus, Cursor, Database, Excerpt, Filter, HitRow, Listing, Marked, Page, StoreError, grouping, hits,
};
use sqlx::any::AnyRow;
use std::collections::{BTreeSet, HashMap};
use weir_core::model::AttackType;
use weir_protocol::hit::HitFinding;

/// Hits by which attacks are found directly; where more fit, attacks are looked at one by one, newest first, and a page
/// is full soon.
const FEW: i64 = 2_000;

/// Most hits that fit by which the attacks of a page are found.
const MAX_FITTING: usize = 2_000;
/// Most groups that these hits may name together: a query of SQLite takes 32,766 values, and each is up to three of them.
const MAX_PAIRS: usize = 8_000;

/// Newest hits of an attack that are looked at to count those from many addresses: no index finds them, and each may lie on
/// a page of its own.
const NEWEST: u64 = 100;

/// Newest hits of single addresses in an attack that are counted.
const COUNTED: u64 = 1_000;

const COLUMNS: &str = "SELECT a.id, a.grp, a.attack_type, a.point, a.host, a.first_time, a.last_time, a.first_hit, \
    a.last_hit, a.hits, a.blocked, a.folded, a.sources, a.mark, a.mark_author, a.mark_time FROM attacks a WHERE ";

/// An attack with what finds its hits.
pub(super) struct Found {
    pub attack: Attack,
    pub grp: String,
    pub first_hit: String,
    pub last_hit: String,
}

impl Database {
    /// A page of the attacks that fit `filter`, by time of their last hit, newest first. Where no index finds what is asked of
    /// their hits, the newest 50,000 hits are looked at, and the page says where it ended.
    pub async fn attacks(&self, filter: &Filter, page: &Page) -> Result<Listing<Attack>, StoreError> {
        self.attacks_among(filter, page, MAX_SEARCHED).await
    }

    /// [`Self::attacks`] without their last hits and excerpts, which take most of the reading.
    pub async fn attacks_alone(&self, filter: &Filter, page: &Page) -> Result<Listing<Attack>, StoreError> {
        self.listed(filter, page, MAX_SEARCHED, false).await
    }

    /// [`Self::attacks`] that looks at `most` hits.
    pub(super) async fn attacks_among(
        &self,
        filter: &Filter,
        page: &Page,
        most: u64,
    ) -> Result<Listing<Attack>, StoreError> {
        self.listed(filter, page, most, true).await
    }

    async fn listed(
        &self,
        filter: &Filter,
        page: &Page,
        most: u64,
        with_hits: bool,
    ) -> Result<Listing<Attack>, StoreError> {
        clause::check(filter)?;
        let filter = &self.bounded(filter);
        let limit = page.limit();
        let mut out: Vec<Attack> = Vec::new();
        let newest = page.after.as_ref().map(|cursor| cursor.time.saturating_add(1));
        let to = [filter.to, newest].into_iter().flatten().min();
        let before = to.map(|to| ids::bound(to.clamp(0, ids::MAX_TIME)));
        let mut search = self.search_of(filter, most);
        for month in self.partitions().between(filter.from, to)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            let oldest = search.oldest(&partition, before.as_deref()).await.map_err(|e| partition.named(e))?;
            let (oldest, before) = (oldest.as_deref(), before.as_deref());
            let window = Window { is_bounded: search.is_bounded(), oldest, before };
            let listed = list(&partition, filter, window, page, limit + 1 - out.len()).await;
            let (found, since) = listed.map_err(|e| partition.named(e))?;
            out.extend(match with_hits {
                true => with_last_hits(&partition, found).await.map_err(|e| partition.named(e))?,
                false => found.into_iter().map(|one| one.attack).collect(),
            });
            if out.len() > limit {
                break;
            }
            if since.is_some() {
                return Ok(Listing { rows: out, next: None, searched_since: since });
            }
        }
        Ok(Listing::cut(out, limit, |attack| Cursor { time: attack.last_time, id: attack.id.clone() }))
    }

    /// How many attacks fit `filter`, counted up to `most`, within the bounds of [`Self::attacks`].
    pub async fn count_attacks(&self, filter: &Filter, most: u64) -> Result<u64, StoreError> {
        clause::check(filter)?;
        let filter = &self.bounded(filter);
        let mut count = 0;
        let mut search = self.search_of(filter, MAX_SEARCHED);
        for month in self.partitions().between(filter.from, filter.to)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            let oldest = search.oldest(&partition, None).await.map_err(|e| partition.named(e))?;
            let window = Window { is_bounded: search.is_bounded(), oldest: oldest.as_deref(), before: None };
            let mut sql = Sql::new("SELECT COUNT(*) FROM (SELECT 1 AS one FROM attacks a WHERE ");
            let since = conditions(&mut sql, &partition, filter, window).await.map_err(|e| partition.named(e))?;
            sql.push(" LIMIT ").bind(most.saturating_sub(count)).push(") AS found");
            let rows = sql.all(partition.pools.read()).await.map_err(|e| partition.named(e))?;
            count += rows.first().map(|row| Columns::of(row).count()).transpose()?.unwrap_or_default();
            if count >= most || since.is_some() {
                break;
            }
        }
        Ok(count)
    }

    /// The attack with this id, or the one into which it was merged.
    pub async fn attack(&self, id: &str) -> Result<Option<Attack>, StoreError> {
        let Some(partition) = self.partition_of(id).await? else { return Ok(None) };
        let found = find(&partition, id).await.map_err(|e| partition.named(e))?;
        let Some(found) = found else { return Ok(None) };
        let attacks = with_last_hits(&partition, vec![found]).await.map_err(|e| partition.named(e))?;
        Ok(attacks.into_iter().next())
    }

    /// A page of the hits of an attack, newest first; none if there is no such attack.
    pub async fn attack_hits(&self, id: &str, page: &Page) -> Result<Option<Listing<HitRow>>, StoreError> {
        let Some(partition) = self.partition_of(id).await? else { return Ok(None) };
        let found = find(&partition, id).await.map_err(|e| partition.named(e))?;
        let Some(found) = found else { return Ok(None) };
        let limit = page.limit();
        let rows = hits::of_attack(&partition, &found, page, limit + 1).await.map_err(|e| partition.named(e))?;
        Ok(Some(Listing::cut(rows, limit, hits::cursor)))
    }

    /// Marks an attack, or takes its mark away. None if there is no such attack.
    pub async fn mark(&self, id: &str, mark: Option<Mark>, author: &str) -> Result<Option<Attack>, StoreError> {
        let Some(partition) = self.partition_of(id).await? else { return Ok(None) };
        let marked = retry(|| set_mark(&partition, id, mark, author)).await.map_err(|e| partition.named(e))?;
        if marked { self.attack(id).await } else { Ok(None) }
    }

    /// The bound of a search for attacks. There is none for what attacks know themselves: for applications and rules, they
    /// know whether they may have such a hit.
    fn search_of(&self, filter: &Filter, most: u64) -> Search {
        let mut of_hits = filter.clone();
        of_hits.applications.any.clear();
        of_hits.rules.any.clear();
        if !clause::asks_of_hits(&of_hits) {
            of_hits = Filter::default();
        }
        Search::new(&of_hits, self.partitions().has_trigrams(), most)
    }

    /// Where a hit or attack with this id is, if anywhere.
    pub(super) async fn partition_of(&self, id: &str) -> Result<Option<std::sync::Arc<Partition>>, StoreError> {
        match ids::read(id) {
            Some((_, time)) => self.partitions().existing(Month::of(time)).await,
            None => Ok(None),
        }
    }
}

/// The hits that a search looks at: from `oldest` on, and with ids before `before`.
#[derive(Clone, Copy)]
struct Window<'w> {
    /// Whether no index finds what is asked for.
    is_bounded: bool,
    oldest: Option<&'w str>,
    before: Option<&'w str>,
}

/// Attacks of a page, and since when hits were looked at, where not all were.
async fn list(
    partition: &Partition,
    filter: &Filter,
    window: Window<'_>,
    page: &Page,
    limit: usize,
) -> Result<(Vec<Found>, Option<i64>), StoreError> {
    let mut sql = Sql::new(COLUMNS);
    let since = conditions(&mut sql, partition, filter, window).await?;
    if let Some(after) = &page.after {
        sql.push(" AND (a.last_time, a.id) < (").bind(after.time).push(", ").bind(after.id.as_str()).push(")");
    }
    sql.push(" ORDER BY a.last_time DESC, a.id DESC LIMIT ").bind(limit as u64);
    let rows = sql.all(partition.pools.read()).await?;
    let mut found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    if !filter.ips.any.is_empty() {
        let many = hits_from(partition, filter).await? > FEW;
        // Each attack is a question of its own to the engine, which answers two at once.
        let half = found.len() / 2;
        let (newer, older) = found.split_at_mut(half);
        tokio::try_join!(narrow_each(partition, filter, newer, many), narrow_each(partition, filter, older, many))?;
    }
    Ok((found, since))
}

/// Leaves of each attack what came from the addresses asked for.
async fn narrow_each(
    partition: &Partition,
    filter: &Filter,
    found: &mut [Found],
    many: bool,
) -> Result<(), StoreError> {
    for one in found {
        narrow(partition, filter, one, many).await?;
    }
    Ok(())
}

/// Whether an address that is asked for is a network of several.
fn has_network(filter: &Filter) -> bool {
    filter.ips.any.iter().any(|net| net.prefix_len() < net.max_prefix_len())
}

/// Leaves of an attack what came from the addresses asked for: counts, and the last hit. Times stay, by which lists are
/// ordered. Where `many` hits come from there, only newest ones are counted: of a network those among the newest of the attack,
/// which no index finds, of single addresses their own newest.
async fn narrow(partition: &Partition, filter: &Filter, found: &mut Found, many: bool) -> Result<(), StoreError> {
    let only = Filter { ips: filter.ips.clone(), ..Filter::default() };
    let network = has_network(filter);
    let many = many && found.attack.hits > if network { NEWEST } else { COUNTED };
    let sampled = many && network;
    let of_attack = |sql: &mut Sql| {
        sql.push("FROM hit_groups g WHERE g.grp = ").bind(found.grp.as_str());
        sql.push(" AND g.hit >= ").bind(found.first_hit.as_str());
        sql.push(" AND g.hit <= ").bind(found.last_hit.as_str());
    };
    let mut sql = Sql::new(
        "SELECT COUNT(*), CAST(COALESCE(SUM(g.blocked), 0) AS BIGINT), CAST(COALESCE(SUM(g.folded), 0) AS BIGINT), \
         COUNT(DISTINCT g.ip_key), COALESCE(MAX(g.hit), '') ",
    );
    if many {
        sql.push("FROM (SELECT g.hit, g.ip_key, g.blocked, g.folded ");
    }
    of_attack(&mut sql);
    if sampled {
        sql.push(" ORDER BY g.hit DESC LIMIT ").bind(NEWEST).push(") AS g WHERE ");
    } else {
        sql.push(" AND ");
    }
    clause::hits(&mut sql, &only, Scope::Groups)?;
    if many && !sampled {
        sql.push(" ORDER BY g.hit DESC LIMIT ").bind(COUNTED).push(") AS g");
    }
    let Some(row) = sql.optional(partition.pools.read()).await? else { return Ok(()) };
    let mut c = Columns::of(&row);
    let (mut hits, mut blocked, mut folded, mut sources, mut last) =
        (c.count()?, c.count()?, c.count()?, c.count()?, c.text()?);
    if sampled && hits == 0 {
        let mut sql = Sql::new("SELECT g.hit, g.blocked, g.folded ");
        of_attack(&mut sql);
        sql.push(" AND ");
        clause::hits(&mut sql, &only, Scope::Groups)?;
        sql.push(" ORDER BY g.hit DESC LIMIT 1");
        let Some(row) = sql.optional(partition.pools.read()).await? else { return Ok(()) };
        let mut c = Columns::of(&row);
        (last, blocked, folded) = (c.text()?, c.count()?, c.count()?);
        (hits, sources) = (1, 1);
    }
    let attack = &mut found.attack;
    (attack.hits, attack.blocked, attack.folded, attack.sources) = (hits, blocked, folded, sources);
    attack.at_least = sampled || (many && hits >= COUNTED);
    attack.status = AttackStatus::of(hits, blocked);
    found.last_hit = last;
    Ok(())
}

/// Conditions on attacks, and on their hits where something is asked of these. Returns since when hits were looked at, where not
/// all were.
async fn conditions(
    sql: &mut Sql,
    partition: &Partition,
    filter: &Filter,
    window: Window<'_>,
) -> Result<Option<i64>, StoreError> {
    clause::attacks(sql, filter);
    if !clause::asks_of_hits(filter) {
        return Ok(None);
    }
    if window.is_bounded || !filter.request_ids.any.is_empty() || !filter.texts.any.is_empty() {
        let mut hits = fitting(partition, filter, window).await?;
        let taken = taken(&hits);
        let more = hits.len() > taken;
        hits.truncate(taken);
        of_hits(sql, &hits);
        let oldest = if more { hits.last().map(|(hit, _)| hit.as_str()) } else { window.oldest };
        return Ok(oldest.map(ids::prefix_time));
    }
    let from_there = if filter.ips.any.is_empty() { FEW + 1 } else { hits_from(partition, filter).await? };
    if from_there == 0 {
        sql.push(" AND 1 = 0");
        return Ok(None);
    }
    if from_there <= FEW {
        sql.push(" AND a.id IN (SELECT b.id FROM hit_groups g");
        sql.push(" JOIN attacks b ON b.grp = g.grp AND b.first_hit <= g.hit AND b.last_hit >= g.hit");
        sql.push(if clause::asks_of_rare(filter) { " JOIN hits h ON h.id = g.hit WHERE " } else { " WHERE " });
        clause::hits(sql, filter, Scope::Groups)?;
        sql.push(")");
        return Ok(None);
    }
    sql.push(" AND (");
    if clause::known_by_facets(sql, filter) {
        sql.push(" OR ");
    }
    sql.push("EXISTS (SELECT 1 FROM hit_groups g");
    sql.push(if clause::asks_of_rare(filter) { " JOIN hits h ON h.id = g.hit" } else { "" });
    sql.push(" WHERE g.grp = a.grp AND g.hit >= a.first_hit AND g.hit <= a.last_hit AND ");
    clause::hits(sql, filter, Scope::Groups)?;
    // The offset keeps PostgreSQL from making a join of it, for which it may read all hits of the period. So it looks at
    // attacks one by one, of each as far as its first hit that fits, and stops when the page is full.
    sql.push(if clause::asks_of_rare(filter) { "))" } else { " LIMIT 1 OFFSET 0))" });
    Ok(None)
}

/// How many hits come from the addresses asked for, counted as far as one more than [`FEW`]. In order of the index:
/// PostgreSQL, which knows nothing of an address that is not there, would look for the first rows anywhere.
async fn hits_from(partition: &Partition, filter: &Filter) -> Result<i64, StoreError> {
    let only = Filter { from: filter.from, to: filter.to, ips: filter.ips.clone(), ..Filter::default() };
    let mut sql = Sql::new("SELECT COUNT(*) FROM (SELECT 1 AS one FROM hit_groups g WHERE ");
    clause::hits(&mut sql, &only, Scope::Groups)?;
    sql.push(" ORDER BY g.ip_key, g.grp, g.hit LIMIT ").bind(FEW + 1).push(") AS found");
    let rows = sql.all(partition.pools.read()).await?;
    Ok(rows.first().map(|row| Columns::of(row).int()).transpose()?.unwrap_or_default())
}

/// Newest hits of `window` that fit, one more than [`MAX_FITTING`] at most, each with the groups that it names.
async fn fitting(
    partition: &Partition,
    filter: &Filter,
    window: Window<'_>,
) -> Result<Vec<(String, String)>, StoreError> {
    let mut sql = Sql::new("SELECT h.id, h.grps FROM hits h WHERE ");
    // What only attacks know is asked of these.
    let of_hits =
        Filter { statuses: Default::default(), marks: Default::default(), hits: None, sources: None, ..filter.clone() };
    clause::hits(&mut sql, &of_hits, Scope::Hits)?;
    if let Some(oldest) = window.oldest {
        sql.push(" AND h.id >= ").bind(oldest);
    }
    if let Some(before) = window.before {
        sql.push(" AND h.id < ").bind(before);
    }
    sql.push(" ORDER BY h.id DESC LIMIT ").bind(MAX_FITTING as u64 + 1);
    let read = |row| {
        let mut c = Columns::of(row);
        Ok((c.text()?, c.text()?))
    };
    sql.all(partition.pools.read()).await?.iter().map(read).collect()
}

/// How many of `hits`, from the first on, one query can ask for. At least one, if there is one.
fn taken(hits: &[(String, String)]) -> usize {
    let mut pairs = 0;
    let fits = hits.iter().take(MAX_FITTING).take_while(|(_, groups)| {
        pairs += groups.split_whitespace().count();
        pairs <= MAX_PAIRS
    });
    fits.count().max(1)
}

/// The condition that an attack has one of `hits`.
fn of_hits(sql: &mut Sql, hits: &[(String, String)]) {
    let pairs = hits.iter().flat_map(|(hit, groups)| groups.split_whitespace().map(move |group| (group, hit.as_str())));
    let groups: BTreeSet<&str> = pairs.clone().map(|(group, _)| group).collect();
    if groups.is_empty() {
        sql.push(" AND 1 = 0");
        return;
    }
    // Both engines call the columns of values so.
    sql.push(" AND a.grp IN (").list(groups).push(") AND EXISTS (SELECT 1 FROM (VALUES ");
    for (n, (group, hit)) in pairs.enumerate() {
        sql.push(if n == 0 { "(" } else { ", (" }).bind(group).push(", ").bind(hit).push(")");
    }
    sql.push(
        ") AS found WHERE found.column1 = a.grp AND found.column2 >= a.first_hit AND found.column2 <= a.last_hit)",
    );
}

pub(super) async fn find(partition: &Partition, id: &str) -> Result<Option<Found>, StoreError> {
    let id = resolve(partition, id).await?;
    let mut sql = Sql::new(COLUMNS);
    sql.push("a.id = ").bind(id);
    sql.optional(partition.pools.read()).await?.as_ref().map(read).transpose()
}

/// The id under which the attack is stored today.
async fn resolve(partition: &Partition, id: &str) -> Result<String, StoreError> {
    let id = ids::read(id).map_or_else(|| id.to_owned(), |(id, _)| id);
    let mut sql = Sql::new("SELECT attack FROM attack_aliases WHERE id = ");
    sql.bind(id.as_str());
    match sql.optional(partition.pools.read()).await? {
        Some(row) => Columns::of(&row).text(),
        None => Ok(id),
    }
}

/// The attacks that a hit belongs to, by the groups that it names.
pub(super) async fn of_hit(partition: &Partition, hit: &str, groups: &str) -> Result<Vec<Attack>, StoreError> {
    let groups: Vec<&str> = groups.split_whitespace().collect();
    if groups.is_empty() {
        return Ok(Vec::new());
    }
    let mut sql = Sql::new(COLUMNS);
    sql.push("a.grp IN (").list(groups).push(") AND a.first_hit <= ").bind(hit).push(" AND a.last_hit >= ").bind(hit);
    sql.push(" ORDER BY a.last_time DESC, a.id DESC");
    let rows = sql.all(partition.pools.read()).await?;
    let found = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    with_last_hits(partition, found).await
}

async fn set_mark(partition: &Partition, id: &str, mark: Option<Mark>, author: &str) -> Result<bool, StoreError> {
    let Some(found) = find(partition, id).await? else { return Ok(false) };
    let mut connection = partition.pools.write().acquire().await?;
    let mut transaction = begin(partition.engine, &mut connection).await?;
    grouping::lock(&mut transaction, partition.engine, std::iter::once(found.grp.as_str())).await?;
    // It may have been merged before the lock was had.
    let mut sql = Sql::new("UPDATE attacks SET mark = ");
    sql.bind(mark.map_or("", Mark::code)).push(", mark_author = ").bind(author);
    sql.push(", mark_time = ").bind(ids::now()).push(" WHERE grp = ").bind(found.grp.as_str());
    sql.push(" AND first_hit <= ").bind(found.first_hit.as_str());
    sql.push(" AND last_hit >= ").bind(found.first_hit.as_str());
    let changed = sql.run(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(changed > 0)
}

async fn with_last_hits(partition: &Partition, found: Vec<Found>) -> Result<Vec<Attack>, StoreError> {
    let ids: Vec<String> = found.iter().map(|f| f.last_hit.clone()).collect();
    let rows = hits::by_ids(partition, &ids).await?;
    let by_id: HashMap<&str, &HitRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
    let findings = hits::findings(partition, &ids).await?;
    let attack = |f: Found| Attack {
        last_hit: by_id.get(f.last_hit.as_str()).map(|&row| row.clone()),
        excerpt: findings.get(&f.last_hit).and_then(|all| excerpt(&f.attack, all)),
        ..f.attack
    };
    Ok(found.into_iter().map(attack).collect())
}

/// Of the findings of a hit the one that the attack is about: its type at its point, then its type.
fn excerpt(attack: &Attack, all: &[HitFinding]) -> Option<Excerpt> {
    let of_type = |one: &&HitFinding| one.attack == attack.attack_type;
    let found =
        all.iter().find(|one| of_type(one) && one.point == attack.point).or_else(|| all.iter().find(of_type))?;
    Some(Excerpt { rule: found.rule.clone(), matched: found.matched.clone(), others: all.len() - 1 })
}

fn read(row: &AnyRow) -> Result<Found, StoreError> {
    let mut c = Columns::of(row);
    let (id, grp, code, point, host) = (c.text()?, c.text()?, c.text()?, c.text()?, c.text()?);
    let (first_time, last_time, first_hit, last_hit) = (c.int()?, c.int()?, c.text()?, c.text()?);
    let (hits, blocked, folded, sources) = (c.count()?, c.count()?, c.count()?, c.count()?);
    let (mark, author, time) = (c.text()?, c.text()?, c.int()?);
    let wrong = |what: &str| StoreError::Value(format!("attack {id} has a {what} that this build does not know"));
    let attack = Attack {
        attack_type: AttackType::from_code(&code).ok_or_else(|| wrong("type"))?,
        point: serde_json::from_str(&point).map_err(|_| wrong("point"))?,
        host,
        first_time,
        last_time,
        hits,
        at_least: false,
        blocked,
        folded,
        sources,
        status: AttackStatus::of(hits, blocked),
        mark: Mark::from_code(&mark).map(|mark| Marked { mark, author, time }),
        last_hit: None,
        excerpt: None,
        id,
    };
    Ok(Found { attack, grp, first_hit, last_hit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_of_many_groups_fit_into_one_query() {
        let hits = |groups: usize| vec![("hit".to_owned(), "group ".repeat(groups)); MAX_FITTING + 1];
        assert_eq!(taken(&hits(1)), MAX_FITTING);
        assert_eq!(taken(&hits(16)), MAX_PAIRS / 16);
        assert_eq!(taken(&hits(2 * MAX_PAIRS)), 1);
        const { assert!(3 * MAX_PAIRS <= 32_766) };
    }
}
