//! Coverage counters of connectors: what they saw, and how much of it the node did. Cumulative for each instance and
//! worker; the node keeps the last report and adds the difference to its metrics.

use super::call::{is_id, is_product};
use super::refusal::Refusal;
use crate::telemetry::Metrics;
use crate::telemetry::metrics::{Dropped, Extent, State};
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Reporters remembered: workers of every gateway.
const MAX_REPORTERS: usize = 4096;
/// Counters of one report.
const MAX_COUNTERS: usize = 4096;
/// Longest route or node name.
const MAX_NAME: usize = 256;
/// Reasons that have a series of their own; any other is `other`.
const REASONS: &[&str] = &[
    "",
    "none",
    "stream",
    "upgrade",
    "too_large",
    "over_limit",
    "error",
    "timeout",
    "connect",
    "breaker",
    "overload",
    "status",
    "protocol",
    "disabled",
    "prefix",
    "queue",
    "closed",
    "route",
    "bypass",
];

#[derive(Deserialize)]
struct Report {
    instance: String,
    #[serde(default)]
    worker: i64,
    connector: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    breaker: Option<String>,
    coverage: Vec<Counter>,
    #[serde(default)]
    dropped: Vec<DroppedCounter>,
}

#[derive(Deserialize)]
struct Counter {
    #[serde(default)]
    route: String,
    inspected: Inspected,
    #[serde(default)]
    reason: String,
    requests: u64,
    #[serde(default)]
    bytes_inspected: u64,
    #[serde(default)]
    bytes_uninspected: u64,
}

#[derive(Deserialize)]
struct DroppedCounter {
    leg: String,
    reason: String,
    count: u64,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Hash)]
#[serde(rename_all = "lowercase")]
enum Inspected {
    Full,
    Partial,
    None,
}

impl Inspected {
    const fn code(self) -> &'static str {
        match self {
            Inspected::Full => "full",
            Inspected::Partial => "partial",
            Inspected::None => "none",
        }
    }
}

/// Last totals of one reporter, summed over routes: requests, octets inspected, octets not inspected.
#[derive(Default)]
struct Last {
    totals: HashMap<(Inspected, &'static str), [u64; 3]>,
    dropped: HashMap<(&'static str, &'static str), u64>,
    breaker: Option<&'static str>,
    seen: u64,
}

/// What every reporter said last.
#[derive(Default)]
pub struct Coverage {
    reporters: Mutex<(HashMap<String, Last>, u64)>,
}

impl Coverage {
    /// Takes a report.
    pub fn report(&self, json: &[u8], metrics: &Metrics) -> Result<(), Refusal> {
        let report = check(json)?;
        let mut reporters = self.reporters.lock().unwrap_or_else(PoisonError::into_inner);
        let (known, clock) = &mut *reporters;
        *clock += 1;
        let name = format!("{} {} {} {}", report.connector, report.instance, report.worker, report.node);
        if known.len() >= MAX_REPORTERS && !known.contains_key(&name) {
            let oldest = known.iter().min_by_key(|(_, last)| last.seen).map(|(name, _)| name.clone());
            if let Some(last) = oldest.and_then(|oldest| known.remove(&oldest)) {
                breaker_gauge(metrics, last.breaker, None);
            }
        }
        let last = known.entry(name).or_default();
        last.seen = *clock;
        let breaker = report.breaker.as_deref().map(breaker_state);
        breaker_gauge(metrics, last.breaker, breaker);
        last.breaker = breaker;
        let fell = add_counters(last, &report, metrics) | add_dropped(last, &report, metrics);
        let state = if fell { "fell" } else { "taken" };
        metrics.coverage_reports.get_or_create(&State { state }).inc();
        Ok(())
    }
}

fn check(json: &[u8]) -> Result<Report, Refusal> {
    let report: Report = serde_json::from_slice(json).map_err(|e| Refusal::BadJson(format!("report: {e}")))?;
    let bad = |why: &str| Err(Refusal::BadJson(format!("report: {why}")));
    if !is_id(report.instance.as_bytes()) {
        return bad("instance: 1 to 64 of A-Z a-z 0-9 _ -");
    }
    if !is_product(report.connector.as_bytes()) {
        return bad("connector: a product and its version");
    }
    if report.coverage.len() > MAX_COUNTERS || report.dropped.len() > MAX_COUNTERS {
        return bad("too many counters");
    }
    if report.node.len() > MAX_NAME || report.coverage.iter().any(|c| c.route.len() > MAX_NAME) {
        return bad("a name is too long");
    }
    Ok(report)
}

fn reason(text: &str) -> &'static str {
    REASONS.iter().copied().find(|known| *known == text).unwrap_or("other")
}

fn breaker_state(text: &str) -> &'static str {
    ["closed", "open", "half_open"].into_iter().find(|known| *known == text).unwrap_or("other")
}

fn breaker_gauge(metrics: &Metrics, before: Option<&'static str>, after: Option<&'static str>) {
    if let Some(state) = before {
        metrics.coverage_breakers.get_or_create(&State { state }).dec();
    }
    if let Some(state) = after {
        metrics.coverage_breakers.get_or_create(&State { state }).inc();
    }
}

/// Adds what has come since the last report. True where a counter fell, which is then left as it was: a report that
/// was overtaken by a later one must not count twice.
fn add_counters(last: &mut Last, report: &Report, metrics: &Metrics) -> bool {
    let mut totals: HashMap<(Inspected, &'static str), [u64; 3]> = HashMap::new();
    for counter in &report.coverage {
        let total = totals.entry((counter.inspected, reason(&counter.reason))).or_default();
        let values = [counter.requests, counter.bytes_inspected, counter.bytes_uninspected];
        total.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.saturating_add(value));
    }
    let mut fell = false;
    for ((inspected, reason), total) in totals {
        let before = last.totals.entry((inspected, reason)).or_default();
        fell |= before.iter().zip(total).any(|(before, now)| now < *before);
        let label = Extent { inspected: inspected.code(), reason };
        let families = [&metrics.coverage_requests, &metrics.coverage_bytes, &metrics.coverage_bytes_uninspected];
        for ((family, before), now) in families.into_iter().zip(before.iter_mut()).zip(total) {
            family.get_or_create(&label).inc_by(now.saturating_sub(*before));
            *before = now.max(*before);
        }
    }
    fell
}

fn add_dropped(last: &mut Last, report: &Report, metrics: &Metrics) -> bool {
    let mut totals: HashMap<(&'static str, &'static str), u64> = HashMap::new();
    for dropped in &report.dropped {
        let leg = ["request", "response"].into_iter().find(|known| *known == dropped.leg).unwrap_or("other");
        let total = totals.entry((leg, reason(&dropped.reason))).or_default();
        *total = total.saturating_add(dropped.count);
    }
    let mut fell = false;
    for ((leg, reason), now) in totals {
        let before = last.dropped.entry((leg, reason)).or_default();
        fell |= now < *before;
        metrics.coverage_dropped.get_or_create(&Dropped { leg, reason }).inc_by(now.saturating_sub(*before));
        *before = now.max(*before);
    }
    fell
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(requests: u64) -> String {
        format!(
            r#"{{"instance":"gw-1","worker":0,"connector":"kong-lua/1.0.0","node":"http://n:5000","breaker":"closed",
            "coverage":[{{"route":"a","inspected":"partial","reason":"too_large","requests":{requests},"bytes_inspected":10,"bytes_uninspected":5}},
            {{"route":"b","inspected":"partial","reason":"never heard of","requests":1}}],
            "dropped":[{{"leg":"response","reason":"queue","count":2}}]}}"#
        )
    }

    #[test]
    fn differences_are_added_once() {
        let (coverage, metrics) = (Coverage::default(), Metrics::unregistered());
        let count = |inspected, reason| metrics.coverage_requests.get_or_create(&Extent { inspected, reason }).get();
        for (requests, want) in [(3, 3), (7, 7), (7, 7), (5, 7), (9, 9)] {
            coverage.report(report(requests).as_bytes(), &metrics).unwrap();
            assert_eq!(count("partial", "too_large"), want);
        }
        assert_eq!(count("partial", "other"), 1);
        assert_eq!(metrics.coverage_reports.get_or_create(&State { state: "fell" }).get(), 1);
        assert_eq!(metrics.coverage_breakers.get_or_create(&State { state: "closed" }).get(), 1);
        let other = report(4).replace("\"worker\":0", "\"worker\":1");
        coverage.report(other.as_bytes(), &metrics).unwrap();
        assert_eq!(count("partial", "too_large"), 13);
    }

    #[test]
    fn bad_reports_are_refused_and_reporters_bounded() {
        let (coverage, metrics) = (Coverage::default(), Metrics::unregistered());
        for json in [
            "",
            "{}",
            &report(1).replace("gw-1", "g w"),
            &report(1).replace("/1.0.0", ""),
            &report(1).replace("\"partial\"", "\"some\""),
        ] {
            assert!(matches!(coverage.report(json.as_bytes(), &metrics), Err(Refusal::BadJson(_))), "{json}");
        }
        for n in 0..MAX_REPORTERS + 10 {
            let json = report(1).replace("gw-1", &format!("gw-{n}"));
            coverage.report(json.as_bytes(), &metrics).unwrap();
        }
        assert_eq!(coverage.reporters.lock().unwrap().0.len(), MAX_REPORTERS);
        let closed = metrics.coverage_breakers.get_or_create(&State { state: "closed" }).get();
        assert_eq!(closed, MAX_REPORTERS as i64);
    }
}
