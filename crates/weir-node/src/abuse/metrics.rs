//! Metrics of behaviour over many requests.

use super::Abuse;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use weir_runtime::telemetry::metrics::raise;

/// The families. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct AbuseMetrics {
    keys: Gauge,
    bytes: Gauge,
    entries: Gauge,
    given_up: Counter,
    not_counted: Counter,
    refused: Counter,
    not_carried: Counter,
    histograms_dropped: Counter,
    trails_dropped: Counter,
    unanswered: Gauge,
    /// Exchanges with the server of shared counters that failed.
    pub failures: Counter,
    /// Exchanges done.
    pub exchanges: Counter,
}

impl AbuseMetrics {
    /// Families registered in `registry`.
    pub fn register(registry: &mut Registry) -> Self {
        let all = Self::default();
        let mut gauge = |name, help, gauge: &Gauge| registry.register(name, help, gauge.clone());
        gauge("abuse_counters", "Counters of abuse rules.", &all.keys);
        gauge("abuse_counter_bytes", "Memory of these counters.", &all.bytes);
        gauge("abuse_entries", "Sources on a list because of their behaviour.", &all.entries);
        gauge("abuse_rules_unanswered", "Rules on responses for whose requests no responses come.", &all.unanswered);
        let mut counter = |name, help, counter: &Counter| registry.register(name, help, counter.clone());
        counter("abuse_counters_given_up", "Counters given up for others, for lack of memory.", &all.given_up);
        counter(
            "abuse_not_counted",
            "Requests not counted because all counters were past half of their limit.",
            &all.not_counted,
        );
        counter(
            "abuse_rules_not_carried",
            "Rules that did not count a request because too many rules read its response.",
            &all.not_carried,
        );
        counter("abuse_entries_refused", "Sources not listed because the store of entries was full.", &all.refused);
        counter(
            "abuse_histograms_dropped",
            "Rules without a histogram and minutes of histograms that were not shipped in time.",
            &all.histograms_dropped,
        );
        counter(
            "abuse_session_requests_dropped",
            "Requests of sessions of interest that were not shipped, for lack of memory.",
            &all.trails_dropped,
        );
        counter(
            "abuse_share_failures",
            "Failed exchanges with the server of shared counters; limits are local then.",
            &all.failures,
        );
        counter("abuse_share_exchanges", "Exchanges with the server of shared counters.", &all.exchanges);
        all
    }

    /// Takes over the state of `abuse` at `now`, in milliseconds since 1970.
    pub fn update(&self, abuse: &Abuse, now: u64) {
        let set = |gauge: &Gauge, n: usize| gauge.set(i64::try_from(n).unwrap_or(i64::MAX));
        set(&self.keys, abuse.table().len());
        set(&self.bytes, abuse.table().bytes());
        set(&self.entries, abuse.entries().len());
        set(&self.unanswered, abuse.unanswered(now).len());
        raise(&self.given_up, abuse.table().given_up());
        raise(&self.not_counted, abuse.table().not_counted());
        raise(&self.not_carried, abuse.not_carried());
        raise(&self.refused, abuse.entries().refused());
        raise(&self.trails_dropped, abuse.trails().dropped());
        raise(&self.histograms_dropped, abuse.histograms().dropped());
    }
}
