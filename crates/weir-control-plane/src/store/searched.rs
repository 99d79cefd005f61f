//! How far back hits are looked at where no index finds what is asked for: so many of the newest, so that the time of an answer
//! follows its bound and not the hits that are stored.

use super::clause::{self, Scope};
use super::partition::Partition;
use super::sql::{Columns, Sql};
use super::{Filter, StoreError, Terms};

/// Most hits that a page looks at where no index finds what is asked for.
pub(super) const MAX_SEARCHED: u64 = 50_000;

/// A search under way, through one partition after the other, newest first.
pub(super) struct Search {
    /// What finds the hits that are looked at; none where there is no bound.
    filter: Option<Filter>,
    left: u64,
}

impl Search {
    /// A search for what fits `filter` among at most `most` hits; `has_trigrams` where an index finds texts.
    pub fn new(filter: &Filter, has_trigrams: bool, most: u64) -> Self {
        Self { filter: looked_at(filter, has_trigrams), left: most }
    }

    /// Whether there is a bound.
    pub fn is_bounded(&self) -> bool {
        self.filter.is_some()
    }

    /// The oldest hit that is looked at in the next partition, of those with ids before `before`; none where all are. With it
    /// the search ends.
    pub async fn oldest(&mut self, partition: &Partition, before: Option<&str>) -> Result<Option<String>, StoreError> {
        let Some(filter) = &self.filter else { return Ok(None) };
        let mut sql = Sql::new("SELECT COUNT(*), COALESCE(MIN(id), '') FROM (SELECT h.id FROM hits h WHERE ");
        clause::hits(&mut sql, filter, Scope::Hits)?;
        if let Some(before) = before {
            sql.push(" AND h.id < ").bind(before);
        }
        sql.push(" ORDER BY h.id DESC LIMIT ").bind(self.left).push(") AS newest");
        let Some(row) = sql.optional(partition.pools.read()).await? else { return Ok(None) };
        let mut c = Columns::of(&row);
        let (hits, id) = (c.count()?, c.text()?);
        let ends = hits >= self.left;
        self.left -= hits.min(self.left);
        Ok(ends.then_some(id))
    }
}

/// The hits that are looked at to find those that fit `filter`; none where an index finds them, or all of a period are asked
/// for.
fn looked_at(filter: &Filter, has_trigrams: bool) -> Option<Filter> {
    let indexed = !filter.request_ids.any.is_empty() || (has_trigrams && !filter.texts.any.is_empty());
    let rest = Filter { from: None, to: None, ips: Terms::default(), ..filter.clone() };
    if indexed || rest == Filter::default() {
        return None;
    }
    let single = |net: &ipnet::IpNet| net.prefix_len() == net.max_prefix_len();
    let by_address = filter.ips.any.iter().all(single);
    let any = if by_address { filter.ips.any.clone() } else { Vec::new() };
    Some(Filter { from: filter.from, to: filter.to, ips: Terms { any, none: Vec::new() }, ..Filter::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Attack, Database, HOUR, Listing, Page};
    use weir_core::model::{AttackType, Confidence};
    use weir_protocol::hit::{Hit, HitFinding};
    use weir_protocol::node_api::Record;

    fn found(filter: Filter) -> Option<Filter> {
        looked_at(&filter, true)
    }

    #[test]
    fn only_what_no_index_finds_is_bounded() {
        let one = || Terms::only("203.0.113.9/32".parse().unwrap());
        let paths = || Terms::only("*x".to_owned());
        assert_eq!(found(Filter { from: Some(1), ..Filter::default() }), None);
        assert_eq!(found(Filter { ips: one(), ..Filter::default() }), None);
        assert_eq!(found(Filter { request_ids: paths(), paths: paths(), ..Filter::default() }), None);
        let text = Filter { texts: paths(), paths: paths(), ..Filter::default() };
        assert_eq!((found(text.clone()), looked_at(&text, false)), (None, Some(Filter::default())));
        assert_eq!(found(Filter { hosts: paths(), ..Filter::default() }), Some(Filter::default()));
        let of_one = Filter { from: Some(1), ips: one(), paths: paths(), ..Filter::default() };
        assert_eq!(found(of_one), Some(Filter { from: Some(1), ips: one(), ..Filter::default() }));
        let network = Filter { ips: Terms::only("10.0.0.0/8".parse().unwrap()), paths: paths(), ..Filter::default() };
        assert_eq!(found(network), Some(Filter::default()));
    }

    /// 30 hits, 20 before and 10 after the begin of a month, each an attack of its own; every fifth has the path `/wanted`.
    async fn filled(directory: &std::path::Path) -> Database {
        let database = Database::open(&format!("sqlite:{}", directory.display())).await.unwrap();
        let hits = (0..30u64).map(|n| {
            // 2026-03-01 00:00 UTC.
            let time = 1_772_323_200_000 + (n as i64 - 20) * HOUR;
            let id = uuid::Uuid::from_u128((time as u128) << 80 | 7 << 76 | 2 << 62 | u128::from(n)).to_string();
            let mut hit = Hit { version: 1, id, time: time as u64, attempt: 1, ..Hit::default() };
            hit.request.host = format!("h{n}.example");
            hit.request.path = if n % 5 == 0 { "/wanted" } else { "/other" }.into();
            let point = serde_json::from_str(r#"[["get","q"]]"#).unwrap();
            let attack = AttackType::Sqli;
            hit.attacks.push(attack);
            hit.findings.push(HitFinding {
                attack,
                point,
                decisive: true,
                rule: "x".into(),
                confidence: Confidence::High,
                matched: String::new(),
            });
            Record::Hit(Box::new(hit))
        });
        assert_eq!(database.insert(hits.collect(), "n").await.unwrap().stored, 30);
        database
    }

    #[tokio::test]
    async fn pages_end_at_the_bound_and_go_on_from_there() {
        let directory = tempfile::tempdir().unwrap();
        let database = filled(directory.path()).await;
        let wanted = Filter { paths: Terms::only("*wanted".into()), ..Filter::default() };
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = database.hits_among(&wanted, &Page { after, limit: 2 }, 12).await.unwrap();
            found.extend(page.rows.iter().map(|row| row.host.clone()));
            assert!(page.next.is_some() || page.searched_since.is_none(), "a page that ended early goes on");
            pages += 1;
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert_eq!(found, [25, 20, 15, 10, 5, 0].map(|n| format!("h{n}.example")));
        assert!(pages >= 3, "{pages}");
        let none = Filter { paths: Terms::only("*none".into()), ..Filter::default() };
        let page = database.hits_among(&none, &Page::first(2), 12).await.unwrap();
        let oldest = 1_772_323_200_000 - 2 * HOUR;
        assert_eq!((page.rows.len(), page.searched_since), (0, Some(oldest)), "the twelfth");
        let page = database.hits_among(&none, &Page::first(2), 31).await.unwrap();
        assert_eq!((page.next, page.searched_since), (None, None), "all were looked at");
    }

    #[tokio::test]
    async fn attacks_are_found_by_the_newest_hits_and_say_so() {
        let directory = tempfile::tempdir().unwrap();
        let database = filled(directory.path()).await;
        let wanted = Filter { paths: Terms::only("*wanted".into()), ..Filter::default() };
        let hosts = |page: &Listing<Attack>| page.rows.iter().map(|row| row.host.clone()).collect::<Vec<_>>();
        let first = database.attacks_among(&wanted, &Page::first(5), 12).await.unwrap();
        assert_eq!(hosts(&first), ["h25.example", "h20.example"]);
        let before = Filter { to: first.searched_since, ..wanted.clone() };
        let second = database.attacks_among(&before, &Page::first(5), 12).await.unwrap();
        assert_eq!(
            (hosts(&second), second.searched_since.is_some()),
            (vec!["h15.example".into(), "h10.example".into()], true)
        );
        let all = database.attacks_among(&wanted, &Page::first(9), 31).await.unwrap();
        assert_eq!((all.rows.len(), all.searched_since), (6, None));
        let of_attacks = Filter { hosts: Terms::only("h1*".into()), ..Filter::default() };
        let page = database.attacks_among(&of_attacks, &Page::first(99), 2).await.unwrap();
        assert_eq!((page.rows.len(), page.searched_since), (11, None), "hits are not asked for");
    }
}
