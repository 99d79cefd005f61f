//! Thresholds that abuse rules could have, from what keys reached in the last days.

use super::app::App;
use super::error::{Error, Result};
use super::store::{DAY, RuleHistory};
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use weir_policy::{AbuseRule, Policy, PolicyDoc, Settings};

/// Days that are looked at.
const DAYS: i64 = 7;
/// Without so many counts, 99.9 % of them say nothing.
const ENOUGH: u64 = 1_000;
/// The share that a proposed threshold lets pass, of 1,000,000.
const SHARE: u32 = 999_000;

/// What keys of a rule reached. A count is the highest of a key within a minute, over the window of the rule; of an address
/// that sessions share it is that of one session.
#[derive(Clone, Debug, Serialize)]
pub struct Thresholds {
    /// Days that were looked at.
    pub days: i64,
    /// When the first of the counts was made, in milliseconds since 1970, rounded down to the hour; none without any.
    pub since: Option<i64>,
    /// Number of counts: minutes in which a key was counted.
    pub counts: u64,
    /// Share of counts in percent, and what they did not exceed, at most an eighth too high.
    pub quantiles: Vec<(f64, u32)>,
    /// The highest count.
    pub highest: u32,
    /// Counts above the present limit of the rule.
    pub above: u64,
    /// What 99.9 % did not exceed; none with less than 1,000 counts.
    pub proposed: Option<u32>,
    /// All of it in words.
    pub says: String,
}

impl App {
    /// What keys of rule `id` reached in the last week; an error if it is no rule that counts.
    pub async fn thresholds(&self, id: u64) -> Result<Thresholds> {
        const NONE: Error = Error::NotFound("rule that counts");
        let entry = self.policy.head().state.rule(id).cloned().ok_or(NONE)?;
        self.thresholds_of(Some(id), &entry.rule).await?.ok_or(NONE)
    }

    /// What keys of rule `id` reached in the last week while it counted what it does as `rule`; none if `rule` does not count
    /// or has mistakes. A rule that is not saved has no id and no history.
    pub async fn thresholds_of(&self, id: Option<u64>, rule: &Map<String, Value>) -> Result<Option<Thresholds>> {
        let Some(rule) = compiled(id.unwrap_or_default(), rule) else { return Ok(None) };
        let from = self.clock.millis() - DAYS * DAY;
        let history = match id {
            Some(id) => self.store.rule_history(id, rule.measure, from).await?,
            None => RuleHistory::default(),
        };
        Ok(Some(thresholds(&rule, &history)))
    }
}

/// Whether a rule counts behaviour over many requests.
pub(crate) fn counts(rule: &Map<String, Value>) -> bool {
    compiled(0, rule).is_some()
}

/// The fingerprint of the parts of the key by which a rule counts; none if it does not count.
pub(crate) fn key_parts(rule: &Map<String, Value>) -> Option<u64> {
    compiled(0, rule).map(|rule| rule.parts)
}

/// The rule as nodes compile it.
pub(crate) fn compiled(id: u64, rule: &Map<String, Value>) -> Option<Arc<AbuseRule>> {
    let mut rule = rule.clone();
    rule.insert("id".into(), json!(id));
    // A rule that is disabled now has counted.
    rule.remove("enabled");
    let text = json!({ "rules": [rule] }).to_string();
    let policy = PolicyDoc::parse("rule", &text).and_then(|doc| Policy::compile(&Settings::default(), Some(&doc)));
    policy.ok()?.abuse().rule(id).cloned()
}

fn thresholds(rule: &AbuseRule, history: &RuleHistory) -> Thresholds {
    let RuleHistory { since, counts: histogram } = history;
    let (counts, highest, above) = (histogram.total(), histogram.max(), histogram.above(rule.limit()));
    let quantiles = [50.0, 90.0, 99.0, 99.9].map(|percent| (percent, histogram.quantile((percent * 10_000.0) as u32)));
    let proposed = (counts >= ENOUGH).then(|| histogram.quantile(SHARE).clamp(1, rule.max_threshold()));
    let says = match (counts, proposed) {
        (0, _) => format!(
            "No history: nodes have not reported counts of this rule, as it counts now, in the last {DAYS} days. Save it with \
             the reaction \"Report only\" or as a dry run, and look again when usual traffic has passed."
        ),
        (_, None) => format!(
            "Too little history for a proposal: a key was counted in {counts} {} of the last {DAYS} days; {ENOUGH} are \
             needed. The highest count was {highest} in {} s.",
            if counts == 1 { "minute" } else { "minutes" },
            rule.window
        ),
        (_, Some(proposed)) => format!(
            "99.9 % of {counts} counts stayed at or below {proposed} in {} s; the highest was {highest}. {} above the present \
             limit of {}.",
            rule.window,
            if above == 1 { "1 count was".into() } else { format!("{above} counts were") },
            rule.limit()
        ),
    };
    Thresholds { days: DAYS, since: *since, counts, quantiles: quantiles.into(), highest, above, proposed, says }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Fixture;
    use weir_abuse::histogram::bucket;
    use weir_protocol::node_api::{RuleMinute, Statistics};

    fn rule(text: &str) -> Map<String, Value> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn what_a_rule_counts_is_told_from_how_it_reacts() {
        let measure = |text: &str| compiled(7, &rule(text)).map(|rule| rule.measure);
        let base = measure(r#"{"type": "rate_limit", "threshold": 9}"#).unwrap();
        for same in [
            r#"{"type": "rate_limit", "threshold": 90, "burst": 3, "reaction": "report", "enabled": false}"#,
            r#"{"type": "rate_limit", "threshold": 9, "window": 60, "key": ["client"], "comment": "x", "dry_run": true}"#,
        ] {
            assert_eq!(measure(same), Some(base), "{same}");
        }
        for other in [
            r#"{"type": "rate_limit", "threshold": 9, "window": 61}"#,
            r#"{"type": "rate_limit", "threshold": 9, "key": "host"}"#,
            r#"{"type": "rate_limit", "threshold": 9, "action": [{"type": "equal", "point": ["path", 0], "value": "a"}]}"#,
            r#"{"type": "forced_browsing", "threshold": 9}"#,
        ] {
            assert!(measure(other).is_some_and(|own| own != base), "{other}");
        }
        assert_eq!(measure(r#"{"type": "vpatch", "attack_type": "sqli"}"#), None);
        assert_eq!(measure(r#"{"type": "rate_limit"}"#), None, "a mistake");
    }

    #[test]
    fn a_proposal_needs_history() {
        let limits = compiled(7, &rule(r#"{"type": "rate_limit", "threshold": 10}"#)).unwrap();
        let history = |parts: &[(u32, u64)]| {
            let mut history = RuleHistory { since: Some(0), ..RuleHistory::default() };
            parts.iter().for_each(|&(count, sources)| history.counts.add(bucket(count), sources));
            history
        };
        let none = thresholds(&limits, &RuleHistory::default());
        assert!(none.proposed.is_none() && none.says.starts_with("No history"), "{}", none.says);
        let few = thresholds(&limits, &history(&[(3, 998), (15, 1)]));
        assert!(few.proposed.is_none() && few.says.contains("in 999 minutes"), "{}", few.says);
        let many = thresholds(&limits, &history(&[(3, 9_000), (12, 995), (15, 5)]));
        assert_eq!((many.proposed, many.above, many.highest), (Some(12), 1_000, 15));
        assert_eq!(many.quantiles[0], (50.0, 3));
        let says = "99.9 % of 10000 counts stayed at or below 12 in 60 s; the highest was 15. 1000 counts were above the \
                    present limit of 10.";
        assert_eq!(many.says, says);
        let walk = compiled(7, &rule(r#"{"type": "bola", "distinct": "path:1"}"#)).unwrap();
        assert_eq!(thresholds(&walk, &history(&[(90_000, 5_000)])).proposed, Some(4_000));
    }

    #[tokio::test]
    async fn reports_of_nodes_add_up_once() {
        let test = Fixture::new().await;
        let own = rule(r#"{"type": "rate_limit", "threshold": 9}"#);
        let measure = compiled(7, &own).unwrap().measure;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        let report = |more: u64, measure: u64| Statistics {
            id: uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, now / 1000, more as u32)).to_string(),
            from: now / 1000,
            seconds: 1,
            rules: vec![RuleMinute { rule: 7, measure, minute: now / 60_000 - more, counts: vec![(4, 600), (255, 1)] }],
            ..Statistics::default()
        };
        let first = report(1, measure);
        for (batch, is_new) in [(&first, true), (&first, false), (&report(2, measure), true), (&report(3, 0), true)] {
            assert_eq!(test.app.store.record_statistics(batch).await.unwrap(), is_new);
        }
        let since = i64::try_from(now).unwrap() - DAY;
        let history = test.app.store.rule_history(7, measure, since).await.unwrap();
        assert_eq!((history.counts.total(), history.counts.max()), (1_200, 4));
        assert!(history.since.is_some_and(|time| time >= since - 3_600_000 && time <= now as i64));
        test.app.store.retain().await.unwrap();
        assert_eq!(test.app.store.rule_history(7, measure, since).await.unwrap(), history, "young enough to be kept");
    }
}
