//! Hits of an attack over time.
//!
//! Whole minutes are counted by group and hour ([`group_hours`](super::group_hours)): the work follows the length of the
//! attack and not its hits. Only short slots of an attack with few hits, and attacks that an older build stored, read the
//! hits themselves.

use super::attacks::{self, Found};
use super::counts::slots;
use super::group_hours::read_minutes;
use super::ids::{self, HOUR, MINUTE};
use super::partition::Partition;
use super::sql::{Columns, Sql};
use super::{Database, Series, Slot, StoreError};

/// Most hits that are read for slots shorter than a minute.
const FEW: u64 = 2_000;

/// Hits and blocked ones at a time in milliseconds since 1970.
type Point = (i64, u64, u64);

impl Database {
    /// Hits of the attack `id` in slots of `step` milliseconds over `[from, to)`; none if there is no such attack. Of an
    /// attack with thousands of hits, slots are a minute at least: see [`Series::step`]. Slots of an hour and longer are
    /// counted by hour.
    pub async fn attack_series(&self, id: &str, from: i64, to: i64, step: i64) -> Result<Option<Series>, StoreError> {
        slots(from, to, step)?;
        let Some(partition) = self.partition_of(id).await? else { return Ok(None) };
        let named = |error| partition.named(error);
        let Some(found) = attacks::find(&partition, id).await.map_err(named)? else { return Ok(None) };
        let few = found.attack.hits <= FEW;
        let (from, step) = match few || step >= MINUTE {
            true => (from, step),
            false => (from.div_euclid(MINUTE) * MINUTE, MINUTE),
        };
        let counted = match step >= MINUTE && from % MINUTE == 0 && step % MINUTE == 0 {
            true => counted(&partition, &found, step).await.map_err(named)?,
            false => None,
        };
        let points = match counted {
            Some(points) => points,
            None => read(&partition, &found, step).await.map_err(named)?,
        };
        let count = slots(from, to, step)?;
        let mut series =
            Series { step, slots: (0..count).map(|n| Slot { time: from + n * step, ..Slot::default() }).collect() };
        for (time, hits, blocked) in points {
            let at = usize::try_from((time - from).max(0) / step).unwrap_or(usize::MAX);
            if let Some(slot) = series.slots.get_mut(at) {
                slot.hits += hits;
                slot.blocked += blocked;
            }
        }
        Ok(Some(series))
    }
}

/// Hits by minute or hour; none where not all hits of the attack are counted. An hour has hits of one attack of a group
/// alone, since two of them are an hour apart.
async fn counted(partition: &Partition, found: &Found, step: i64) -> Result<Option<Vec<Point>>, StoreError> {
    let attack = &found.attack;
    let by_hour = step % HOUR == 0;
    let mut sql = Sql::new("SELECT hour, hits, blocked, ");
    sql.push(if by_hour { "''" } else { "minutes" }).push(" FROM group_hours WHERE grp = ").bind(found.grp.as_str());
    sql.push(" AND hour >= ").bind(attack.first_time.div_euclid(HOUR));
    sql.push(" AND hour <= ").bind(attack.last_time.div_euclid(HOUR));
    let (mut points, mut sum) = (Vec::new(), 0);
    for row in sql.all(partition.pools.read()).await? {
        let mut c = Columns::of(&row);
        let (hour, hits, blocked, minutes) = (c.int()?, c.count()?, c.count()?, c.text()?);
        sum += hits;
        if by_hour {
            points.push((hour * HOUR, hits, blocked));
        } else {
            let of_minute = |(minute, hits, blocked)| (hour * HOUR + minute * MINUTE, hits, blocked);
            points.extend(read_minutes(&minutes)?.into_iter().map(of_minute));
        }
    }
    Ok((sum == attack.hits + attack.folded).then_some(points))
}

/// Hits by the time in their ids: eight digits of it tell 65 seconds apart, thirteen characters all.
async fn read(partition: &Partition, found: &Found, step: i64) -> Result<Vec<Point>, StoreError> {
    let coarse = step >= 15 * MINUTE;
    let mut sql = Sql::new(if coarse { "SELECT SUBSTR(hit, 1, 8)" } else { "SELECT SUBSTR(hit, 1, 13)" });
    sql.push(" AS moment, CAST(SUM(1 + folded) AS BIGINT), CAST(SUM(blocked * (1 + folded)) AS BIGINT)");
    sql.push(" FROM hit_groups WHERE grp = ").bind(found.grp.as_str());
    sql.push(" AND hit >= ").bind(found.first_hit.as_str()).push(" AND hit <= ").bind(found.last_hit.as_str());
    sql.push(" GROUP BY moment");
    let rows = sql.all(partition.pools.read()).await?;
    let point = |row| -> Result<Point, StoreError> {
        let mut c = Columns::of(row);
        Ok((ids::prefix_time(&c.text()?), c.count()?, c.count()?))
    };
    rows.iter().map(point).collect()
}
