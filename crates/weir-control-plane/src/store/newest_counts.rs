//! Counts from the newest hits that fit a filter, where no count by hour knows more.

use super::clause::{self, Scope};
use super::sql::{Columns, Sql};
use super::value_sums::ValueSums;
use super::{Count, Database, Filter, StoreError};

/// Attack types and hosts of the newest hits that fit a filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewestCounts {
    /// Attack types with most hits.
    pub attack_types: Vec<Count>,
    /// Hosts with most hits.
    pub targets: Vec<Count>,
    /// Hits that were read.
    pub read: u64,
    /// Whether older ones were left out.
    pub cut: bool,
}

impl Database {
    /// The `limit` attack types and hosts with most hits among the newest `most` hits that fit `filter`.
    pub async fn newest_counts(&self, filter: &Filter, most: u64, limit: usize) -> Result<NewestCounts, StoreError> {
        clause::check(filter)?;
        let filter = &self.bounded(filter);
        let (mut types, mut targets) = (ValueSums::default(), ValueSums::default());
        let mut out = NewestCounts::default();
        for month in self.partitions().between(filter.from, filter.to)? {
            let Some(partition) = self.partitions().existing(month).await? else { continue };
            // One more than is counted, to know whether there are more.
            let sql = statement(filter, (most - out.read).saturating_add(1))?;
            let mut read = 0;
            for row in sql.all(partition.pools.read()).await.map_err(|e| partition.named(e))? {
                let mut c = Columns::of(&row);
                let (attacks, host, rows, hits, blocked) = (c.text()?, c.text()?, c.count()?, c.count()?, c.count()?);
                attacks.split_whitespace().for_each(|attack| types.add(attack.to_owned(), hits, blocked));
                targets.add(host, hits, blocked);
                read += rows;
            }
            out.read += read;
            if out.read > most {
                out.cut = true;
                break;
            }
        }
        (out.attack_types, out.targets) = (types.top(limit), targets.top(limit));
        Ok(out)
    }
}

fn statement(filter: &Filter, most: u64) -> Result<Sql, StoreError> {
    let mut sql = Sql::new("SELECT attack_types, host, COUNT(*), CAST(SUM(1 + folded) AS BIGINT), ");
    sql.push("CAST(SUM(blocked * (1 + folded)) AS BIGINT) FROM ");
    sql.push("(SELECT h.attack_types, h.host, h.folded, h.blocked FROM hits h WHERE ");
    clause::hits(&mut sql, filter, Scope::Hits)?;
    sql.push(" ORDER BY h.id DESC LIMIT ").bind(most).push(") AS newest GROUP BY attack_types, host");
    Ok(sql)
}
