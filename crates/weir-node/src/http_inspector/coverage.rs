//! Coverage counters of connectors: the traffic they saw, and how much of it the node inspected. Cumulative per instance
//! and worker; the node keeps the last report and adds the difference to its metrics.

use super::api_error::ApiError;
use super::call::{is_id, is_product};
use super::gaps::{GapKey, Gaps};
use serde::Deserialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use weir_core::model::BodyState;
use weir_runtime::clock::now_millis;
use weir_runtime::telemetry::Metrics;
use weir_runtime::telemetry::capped::OTHER;
use weir_runtime::telemetry::metrics::{Dropped, Extent, State};

/// Reporters tracked: workers of every gateway.
const MAX_REPORTERS: usize = 4096;
/// Counters of one report.
const MAX_COUNTERS: usize = 4096;
/// Counters tracked for all reporters together: some tens of megabytes.
const MAX_TRACKED: usize = 200_000;
/// Routes that have series of their own; the rest share one.
const MAX_ROUTES: usize = 100;
/// Longest route or node name.
const MAX_NAME: usize = 256;
/// Why a body was not inspected, or not in full; any other reason is counted as `other`.
pub const REASONS: &[&str] = &[
    // Inspected in full.
    "complete",
    // Only the beginning of the body was sent.
    "prefix",
    // The proxy sends no bodies.
    "not_sent",
    "too_large",
    "stream",
    "upgrade",
    "error",
    // There was no verdict.
    "connect",
    "timeout",
    "reset",
    "malformed",
    "tls",
    "status_5xx",
    "shed",
    "refused",
    "bad_call",
    "breaker_open",
    "lua_error",
    // A copy was not sent.
    "queue",
    "queue_full",
    "exiting",
    // A response that was to be judged could not be.
    "unbuffered",
    "grpc",
];
/// Directions of dropped copies.
pub const DIRECTIONS: &[&str] = &["request", "response"];
/// States of a circuit breaker.
const BREAKER_STATES: &[&str] = &["closed", "open", "half_open"];

#[derive(Deserialize)]
struct CoverageReport {
    instance: String,
    #[serde(default)]
    worker: i64,
    connector: String,
    #[serde(default)]
    node: String,
    #[serde(default)]
    breaker: Option<String>,
    #[serde(default)]
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
    /// Of `requests`, those that went on uninspected although they were to be inspected.
    passed: Option<u64>,
    /// When the last of those did, in milliseconds since 1970.
    #[serde(default)]
    last: u64,
}

impl Counter {
    /// Older connectors do not tell what they refused from what they let pass.
    fn passed(&self) -> u64 {
        match (self.passed, self.inspected) {
            (Some(passed), _) => passed,
            (None, Inspected::None) => self.requests,
            (None, _) => 0,
        }
    }
}

#[derive(Deserialize)]
struct DroppedCounter {
    leg: String,
    reason: String,
    count: u64,
    /// Of `count`, those whose message went on all the same; all without.
    passed: Option<u64>,
    #[serde(default)]
    last: u64,
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

type SeriesKey = (Arc<str>, Inspected, &'static str);
type DroppedKey = (&'static str, &'static str);

/// The totals of a series: requests, bytes inspected, bytes not inspected, passed uninspected.
type SeriesTotal = [u64; 4];

/// Totals of one reporter.
#[derive(Default)]
struct ReporterTotals {
    totals: HashMap<SeriesKey, SeriesTotal>,
    /// Copies dropped, and those whose message went on.
    dropped: HashMap<DroppedKey, [u64; 2]>,
    breaker: Option<&'static str>,
    seen: u64,
}

#[derive(Default)]
struct ReporterTable {
    reporters: HashMap<String, ReporterTotals>,
    routes: HashSet<Arc<str>>,
    /// Counters in `reporters`.
    tracked: usize,
    clock: u64,
}

/// The last report of every reporter.
#[derive(Default)]
pub struct Coverage {
    reporters: Mutex<ReporterTable>,
    gaps: Arc<Gaps>,
}

impl Coverage {
    /// What passed uninspected.
    pub fn gaps(&self) -> &Arc<Gaps> {
        &self.gaps
    }

    /// Adds a report to the metrics.
    pub fn add_report(&self, json: &[u8], metrics: &Metrics) -> Result<(), ApiError> {
        let report = check(json)?;
        let mut table = self.reporters.lock().unwrap_or_else(PoisonError::into_inner);
        let name = format!("{} {} {} {}", report.connector, report.instance, report.worker, report.node);
        let mut last = table.take(&name, metrics);
        let breaker = report.breaker.as_deref().map(|state| one_of(BREAKER_STATES, state));
        breaker_gauge(metrics, last.breaker, breaker);
        last.breaker = breaker;
        let totals = table.totals(&report);
        let (now, gaps) = (now_millis(), &self.gaps);
        let mut counts = Counts { last: &mut last, metrics, gaps, now, decreased: false };
        counts.add_counters(totals);
        counts.add_dropped(&report);
        let decreased = counts.decreased;
        table.insert(name, last);
        let state = if decreased { "fell" } else { "taken" };
        metrics.coverage_reports.get_or_create(&State { state }).inc();
        Ok(())
    }
}

impl Coverage {
    /// Counts a request of a proxy that sends no reports, since it asks the node by forward authentication.
    pub fn count(&self, route: &str, body: BodyState, bytes: usize, metrics: &Metrics) {
        let route = self.reporters.lock().unwrap_or_else(PoisonError::into_inner).route(route);
        let (inspected, reason) = match body {
            BodyState::Complete => (Inspected::Full, "complete"),
            BodyState::Prefix => (Inspected::Partial, "prefix"),
            BodyState::Unread => (Inspected::Partial, "not_sent"),
        };
        let label = Extent { route: route.to_string(), inspected: inspected.code(), reason };
        metrics.coverage_requests.get_or_create(&label).inc();
        metrics.coverage_bytes.get_or_create(&label).inc_by(bytes as u64);
    }
}

impl ReporterTable {
    /// Removes and returns the last totals of `name`. Evicts the least recent reporters when a limit is reached.
    fn take(&mut self, name: &str, metrics: &Metrics) -> ReporterTotals {
        self.clock += 1;
        let last = self.reporters.remove(name).unwrap_or_default();
        self.tracked -= last.size();
        while self.reporters.len() >= MAX_REPORTERS || self.tracked > MAX_TRACKED {
            let oldest = self.reporters.iter().min_by_key(|(_, last)| last.seen).map(|(name, _)| name.clone());
            let Some(gone) = oldest.and_then(|oldest| self.reporters.remove(&oldest)) else { break };
            self.tracked -= gone.size();
            breaker_gauge(metrics, gone.breaker, None);
        }
        last
    }

    fn insert(&mut self, name: String, last: ReporterTotals) {
        self.tracked += last.size();
        self.reporters.insert(name, ReporterTotals { seen: self.clock, ..last });
    }

    /// The counters of a report by series.
    fn totals(&mut self, report: &CoverageReport) -> HashMap<SeriesKey, (SeriesTotal, u64)> {
        let mut totals: HashMap<SeriesKey, (SeriesTotal, u64)> = HashMap::new();
        for counter in &report.coverage {
            let key = (self.route(&counter.route), counter.inspected, one_of(REASONS, &counter.reason));
            let (total, last) = totals.entry(key).or_default();
            *last = counter.last.max(*last);
            let values = [counter.requests, counter.bytes_inspected, counter.bytes_uninspected, counter.passed()];
            total.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.saturating_add(value));
        }
        totals
    }

    fn route(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.routes.get(name) {
            return Arc::clone(known);
        }
        if self.routes.len() >= MAX_ROUTES {
            return OTHER.into();
        }
        let new: Arc<str> = name.into();
        self.routes.insert(Arc::clone(&new));
        new
    }
}

impl ReporterTotals {
    fn size(&self) -> usize {
        self.totals.len() + self.dropped.len()
    }
}

fn check(json: &[u8]) -> Result<CoverageReport, ApiError> {
    let report: CoverageReport = serde_json::from_slice(json).map_err(|e| ApiError::BadJson(format!("report: {e}")))?;
    let bad = |why: &str| Err(ApiError::BadJson(format!("report: {why}")));
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

/// `text` if it is one of `labels`, else `other`.
fn one_of(labels: &[&'static str], text: &str) -> &'static str {
    labels.iter().copied().find(|label| *label == text).unwrap_or("other")
}

fn breaker_gauge(metrics: &Metrics, before: Option<&'static str>, after: Option<&'static str>) {
    if let Some(state) = before {
        metrics.coverage_breakers.get_or_create(&State { state }).dec();
    }
    if let Some(state) = after {
        metrics.coverage_breakers.get_or_create(&State { state }).inc();
    }
}

/// A report on its way into metrics and gaps: adds the increase since the last one. A counter that decreased keeps its
/// value, so that a report overtaken by a later one does not count twice.
struct Counts<'a> {
    last: &'a mut ReporterTotals,
    metrics: &'a Metrics,
    gaps: &'a Gaps,
    /// Milliseconds since 1970.
    now: u64,
    /// Whether a counter decreased.
    decreased: bool,
}

impl Counts<'_> {
    fn add_counters(&mut self, totals: HashMap<SeriesKey, (SeriesTotal, u64)>) {
        let metrics = self.metrics;
        for (key, (total, at)) in totals {
            let label = Extent { route: key.0.to_string(), inspected: key.1.code(), reason: key.2 };
            let gap = GapKey { route: Arc::clone(&key.0), leg: "request", reason: key.2 };
            let before = self.last.totals.entry(key).or_default();
            self.decreased |= before.iter().zip(total).any(|(before, now)| now < *before);
            let families = [&metrics.coverage_requests, &metrics.coverage_bytes, &metrics.coverage_bytes_uninspected];
            for ((family, before), now) in families.into_iter().zip(before.iter_mut()).zip(total) {
                family.get_or_create(&label).inc_by(now.saturating_sub(*before));
                *before = now.max(*before);
            }
            let (passed, before) = (total[3], &mut before[3]);
            if passed > *before {
                self.gaps.add(gap, passed - *before, at, self.now);
                *before = passed;
            }
        }
    }

    fn add_dropped(&mut self, report: &CoverageReport) {
        let mut totals: HashMap<DroppedKey, ([u64; 2], u64)> = HashMap::new();
        for dropped in &report.dropped {
            let key = (one_of(DIRECTIONS, &dropped.leg), one_of(REASONS, &dropped.reason));
            let (total, at) = totals.entry(key).or_default();
            let values = [dropped.count, dropped.passed.unwrap_or(dropped.count)];
            total.iter_mut().zip(values).for_each(|(sum, value)| *sum = sum.saturating_add(value));
            *at = dropped.last.max(*at);
        }
        for ((leg, reason), (now, at)) in totals {
            let before = self.last.dropped.entry((leg, reason)).or_default();
            self.decreased |= before.iter().zip(now).any(|(before, now)| now < *before);
            let [more, passed] = [0, 1].map(|at| now[at].saturating_sub(before[at]));
            self.metrics.coverage_dropped.get_or_create(&Dropped { leg, reason }).inc_by(more);
            *before = [0, 1].map(|at| now[at].max(before[at]));
            // A connector leaves gRPC out by its configuration.
            if passed > 0 && reason != "grpc" {
                self.gaps.add(GapKey { route: "".into(), leg, reason }, passed, at, self.now);
            }
        }
    }
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

    fn count(metrics: &Metrics, route: &str, inspected: &'static str, reason: &'static str) -> u64 {
        metrics.coverage_requests.get_or_create(&Extent { route: route.into(), inspected, reason }).get()
    }

    #[test]
    fn every_extent_of_inspection_is_read_as_documented() {
        let (coverage, metrics) = (Coverage::default(), Metrics::unregistered());
        for inspected in ["full", "partial", "none"] {
            let report = report(3).replace(
                r#""route":"a","inspected":"partial""#,
                &format!(r#""route":"{inspected}","inspected":"{inspected}""#),
            );
            coverage.add_report(report.as_bytes(), &metrics).unwrap();
            assert_eq!(count(&metrics, inspected, inspected, "too_large"), 3);
        }
    }

    #[test]
    fn differences_are_added_once() {
        let (coverage, metrics) = (Coverage::default(), Metrics::unregistered());
        for (requests, want) in [(3, 3), (7, 7), (7, 7), (5, 7), (9, 9)] {
            coverage.add_report(report(requests).as_bytes(), &metrics).unwrap();
            assert_eq!(count(&metrics, "a", "partial", "too_large"), want);
        }
        assert_eq!(count(&metrics, "b", "partial", "other"), 1);
        assert_eq!(metrics.coverage_reports.get_or_create(&State { state: "fell" }).get(), 1);
        assert_eq!(metrics.coverage_breakers.get_or_create(&State { state: "closed" }).get(), 1);
        assert_eq!(metrics.coverage_dropped.get_or_create(&Dropped { leg: "response", reason: "queue" }).get(), 2);
        let other = report(4).replace("\"worker\":0", "\"worker\":1");
        coverage.add_report(other.as_bytes(), &metrics).unwrap();
        assert_eq!(count(&metrics, "a", "partial", "too_large"), 13);
    }

    #[test]
    fn what_passed_uninspected_is_a_gap_and_what_was_refused_is_not() {
        let (coverage, metrics) = (Coverage::default(), Metrics::unregistered());
        let json = r#"{"instance":"a","connector":"kong-lua/1","coverage":[
            {"route":"open","inspected":"none","reason":"connect","requests":5,"passed":4,"last":1700000000000},
            {"route":"closed","inspected":"none","reason":"connect","requests":5,"passed":0},
            {"route":"torn","inspected":"partial","reason":"error","requests":2,"passed":2,"last":1},
            {"route":"large","inspected":"partial","reason":"prefix","requests":3},
            {"route":"old","inspected":"none","reason":"timeout","requests":1}],
            "dropped":[{"leg":"response","reason":"queue_full","count":7},{"leg":"response","reason":"grpc","count":9}]}"#;
        for _ in 0..2 {
            coverage.add_report(json.as_bytes(), &metrics).unwrap();
        }
        let mut found: Vec<_> =
            coverage.gaps().latest(1).into_iter().map(|gap| (gap.route, gap.leg, gap.reason, gap.count)).collect();
        found.sort();
        let gap = |route: &str, leg: &str, reason: &str, n| (route.into(), leg.into(), reason.into(), n);
        assert_eq!(
            found,
            [
                gap("", "response", "queue_full", 7),
                gap("old", "request", "timeout", 1),
                gap("open", "request", "connect", 4),
                gap("torn", "request", "error", 2),
            ]
        );
    }

    #[test]
    fn a_connector_that_has_seen_nothing_yet_may_say_so() {
        let (coverage, metrics) = (Coverage::default(), Metrics::unregistered());
        coverage.add_report(br#"{"instance":"a","connector":"kong-lua/1","breaker":"open"}"#, &metrics).unwrap();
        assert_eq!(metrics.coverage_breakers.get_or_create(&State { state: "open" }).get(), 1);
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
            assert!(matches!(coverage.add_report(json.as_bytes(), &metrics), Err(ApiError::BadJson(_))), "{json}");
        }
        for n in 0..MAX_REPORTERS + 10 {
            let json = report(1).replace("gw-1", &format!("gw-{n}"));
            coverage.add_report(json.as_bytes(), &metrics).unwrap();
        }
        let table = coverage.reporters.lock().unwrap();
        assert_eq!((table.reporters.len(), table.tracked), (MAX_REPORTERS, MAX_REPORTERS * 3));
        let closed = metrics.coverage_breakers.get_or_create(&State { state: "closed" }).get();
        assert_eq!(closed, MAX_REPORTERS as i64);
    }

    #[test]
    fn routes_and_counters_are_bounded() {
        let (coverage, metrics) = (Coverage::default(), Metrics::unregistered());
        for reporter in 0..60 {
            let of = |n| format!(r#"{{"route":"r{reporter}-{n}","inspected":"none","reason":"tls","requests":1}}"#);
            let counters = (0..MAX_COUNTERS).map(of).collect::<Vec<_>>().join(",");
            let json = format!(r#"{{"instance":"i{reporter}","connector":"c/1","coverage":[{counters}]}}"#);
            coverage.add_report(json.as_bytes(), &metrics).unwrap();
        }
        assert_eq!(coverage.reporters.lock().unwrap().routes.len(), MAX_ROUTES);
        assert_eq!(count(&metrics, "r0-0", "none", "tls"), 1);
        assert_eq!(count(&metrics, OTHER, "none", "tls"), (60 * MAX_COUNTERS - MAX_ROUTES) as u64);
        assert!(coverage.reporters.lock().unwrap().tracked <= MAX_TRACKED + MAX_COUNTERS);
    }
}
