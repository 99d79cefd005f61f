//! What does not fit the queue.

use super::{Config, Exporter, Facts, Parts, Sampled, TraceMetrics};
use weir_policy::Verdict;

#[tokio::test]
async fn a_full_queue_drops_and_counts() {
    let metrics = TraceMetrics::default();
    let config = Config::new("http://127.0.0.1:9", None, 1.0, "weir".into()).unwrap();
    assert_eq!(config.url.as_str(), "http://127.0.0.1:9/v1/traces");
    let (traces, exporter) = Exporter::new(config, metrics.clone()).unwrap();
    let facts = Facts { leg: "request", method: b"GET", path: b"/", application: -1, bytes: 1, bypass: None };
    let sampled = Sampled { trace: [1; 16], parent: None };
    for _ in 0..2_050 {
        traces.record(sampled, Parts::default(), &facts, &Verdict::default(), None);
    }
    assert_eq!(metrics.spans("dropped"), 8);
    drop(exporter);
    traces.record(sampled, Parts::default(), &facts, &Verdict::default(), None);
    assert_eq!(metrics.spans("dropped"), 12, "without an exporter");
}

#[test]
fn endpoints_that_are_none_are_refused() {
    for url in ["collector:4318", "ftp://a/", "http://user:password@a/", "http://a/?b", "grpc://a:4317", ""] {
        let error = Config::new(url, None, 1.0, "weir".into()).unwrap_err();
        assert!(error.to_string().starts_with("traces.endpoint: "), "{url}: {error}");
    }
}
