//! Spans of verdicts at a collector of the test, which decodes them.

use crate::WEIR;
use prost::Message as _;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use weir_node::traces::metrics_proto::{Data, ExportMetricsServiceRequest};
use weir_node::traces::proto::{
    ExportTraceServiceRequest, ExportTraceServiceResponse, PartialSuccess, Span, any_value::Value,
};
use weir_testkit::{eventually, until};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";

/// A collector: what it received, and how it answers.
#[derive(Default)]
struct Collector {
    bodies: Mutex<Vec<Vec<u8>>>,
    metrics: Mutex<Vec<Vec<u8>>>,
    heads: Mutex<Vec<String>>,
    status: Mutex<u16>,
    rejects: Mutex<i64>,
}

impl Collector {
    fn start() -> (Arc<Self>, String) {
        let collector = Arc::new(Self { status: 200.into(), ..Self::default() });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/base/", listener.local_addr().unwrap());
        let own = Arc::clone(&collector);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let own = Arc::clone(&own);
                std::thread::spawn(move || own.serve(&mut BufReader::new(stream.unwrap())));
            }
        });
        (collector, url)
    }

    /// Answers calls on a connection until it ends.
    fn serve(&self, stream: &mut BufReader<std::net::TcpStream>) {
        loop {
            let (mut head, mut length, mut typed) = (String::new(), 0, false);
            while stream.read_line(&mut head).is_ok_and(|read| read > 2) {}
            for line in head.lines().map(str::to_ascii_lowercase) {
                length = line.strip_prefix("content-length: ").map_or(length, |n| n.parse().unwrap());
                typed |= line == "content-type: application/x-protobuf";
            }
            if head.is_empty() {
                return;
            }
            let of_metrics = head.starts_with("POST /base/v1/metrics HTTP/1.1\r\n");
            assert!((of_metrics || head.starts_with("POST /base/v1/traces HTTP/1.1\r\n")) && typed, "{head}");
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let status = *self.status.lock().unwrap();
            if status == 200 {
                let kept = if of_metrics { &self.metrics } else { &self.bodies };
                kept.lock().unwrap().push(body);
                self.heads.lock().unwrap().push(head.to_ascii_lowercase());
            }
            let partial = PartialSuccess { rejected_spans: *self.rejects.lock().unwrap(), ..Default::default() };
            let answer = ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec();
            let head = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n", answer.len());
            if stream.get_mut().write_all(&[head.as_bytes(), &answer].concat()).is_err() {
                return;
            }
        }
    }

    /// Every span by name, with the attributes of its resource.
    fn spans(&self) -> Vec<(Span, String)> {
        let bodies = self.bodies.lock().unwrap();
        let all = bodies.iter().flat_map(|body| ExportTraceServiceRequest::decode(&body[..]).unwrap().resource_spans);
        all.flat_map(|resource| {
            let service = format!("{:?}", resource.resource.unwrap().attributes);
            resource.scope_spans.into_iter().flat_map(|scope| scope.spans).map(move |span| (span, service.clone()))
        })
        .collect()
    }
}

fn attributes(span: &Span) -> HashMap<&str, &Value> {
    span.attributes.iter().map(|one| (one.key.as_str(), one.value.as_ref().unwrap().value.as_ref().unwrap())).collect()
}

#[test]
fn a_sampled_call_becomes_spans_without_personal_data() {
    let (collector, url) = Collector::start();
    let node = WEIR.node(&[&format!("traces.endpoint={url}"), "traces.per_million=0", "traces.service_name=edge"]);
    let attack = b"POST /users/anna@example.com/x?q=%27+union+select+password+from+users-- HTTP/1.1\r\nHost: secret.example\r\n\r\n";
    for flags in ["0", "1"] {
        let answer = node.call("/v1/requests", &[("traceparent", &format!("{PARENT}{flags}"))], attack);
        assert_eq!(answer.header("inspector-verdict"), Some("block"));
    }
    assert_eq!(node.inspect(attack).status, 200, "without a trace of the caller: not sampled");
    let spans = eventually("spans", || Some(collector.spans()).filter(|spans| !spans.is_empty()));
    assert_eq!(
        spans.iter().map(|(span, _)| span.name.as_str()).collect::<Vec<_>>(),
        ["verdict", "parse", "inspect", "decide"]
    );
    let (verdict, service) = &spans[0];
    assert!(service.contains("edge") && service.contains("service.name"), "{service}");
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&verdict.trace_id), &PARENT[3..35]);
    assert_eq!(hex(&verdict.parent_span_id), &PARENT[36..52]);
    for (part, _) in &spans[1..] {
        assert_eq!((&part.trace_id, &part.parent_span_id), (&verdict.trace_id, &verdict.span_id), "{}", part.name);
        assert!(verdict.start_time_unix_nano <= part.start_time_unix_nano, "{}", part.name);
        assert!(part.start_time_unix_nano <= part.end_time_unix_nano, "{}", part.name);
        assert!(part.end_time_unix_nano <= verdict.end_time_unix_nano, "{}", part.name);
    }
    let of = attributes(verdict);
    let text = |text: &str| Value::String(text.to_owned());
    assert_eq!((of["weir.verdict"], of["weir.mode"]), (&text("block"), &text("block")));
    assert_eq!((of["weir.reason"], of["weir.leg"]), (&text("attack"), &text("request")));
    assert!(format!("{:?}", of["weir.attack_types"]).contains("sqli"), "{of:?}");
    assert!(matches!(of["weir.findings"], Value::Int(1..)), "{of:?}");
    let all = format!("{spans:?}");
    for personal in ["anna", "union", "secret.example", "203.0.113.9"] {
        assert!(!all.contains(personal), "{personal}: {all}");
    }
    until("the count", || node.metric(r#"trace_spans_total{outcome="sent"}"#) == 4.0);
}

#[test]
fn a_collector_that_fails_or_refuses_is_counted_and_delays_no_verdict() {
    let (collector, url) = Collector::start();
    *collector.status.lock().unwrap() = 503;
    let node = WEIR.node(&[&format!("traces.endpoint={url}"), "traces.per_million=1000000"]);
    let ask = || assert_eq!(node.inspect(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").status, 204);
    ask();
    until("the failure", || node.metric(r#"trace_spans_total{outcome="failed"}"#) == 4.0);
    until("the report", || node.log().contains("spans were not exported"));
    *collector.status.lock().unwrap() = 200;
    *collector.rejects.lock().unwrap() = 3;
    ask();
    until("the refusal", || node.metric(r#"trace_spans_total{outcome="refused"}"#) == 3.0);
    assert_eq!(node.metric(r#"trace_spans_total{outcome="sent"}"#), 1.0);
    until("the end of the outage", || node.log().contains("takes spans again"));
    assert_eq!(node.log().matches("spans were not exported").count(), 1, "{}", node.log());
}

#[test]
fn spans_that_are_queued_when_the_node_stops_are_sent() {
    let (collector, url) = Collector::start();
    let mut node = WEIR.node(&[&format!("traces.endpoint={url}"), "traces.per_million=1000000"]);
    assert_eq!(node.inspect(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").status, 204);
    node.signal("TERM");
    assert_eq!(node.wait(), Some(0));
    assert_eq!(collector.spans().len(), 4);
}

/// The sum of a counter in the last export.
fn exported(collector: &Collector, name: &str) -> f64 {
    let bodies = collector.metrics.lock().unwrap();
    let Some(body) = bodies.last() else { return 0.0 };
    let read = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
    let all = read.resource_metrics.into_iter().flat_map(|resource| {
        let attributes = format!("{:?}", resource.resource.unwrap().attributes);
        assert!(attributes.contains("service.instance.id") && attributes.contains("edge"), "{attributes}");
        resource.scope_metrics.into_iter().flat_map(|scope| scope.metrics)
    });
    let data = all.filter(|metric| metric.name == name).filter_map(|metric| metric.data);
    data.map(|data| match data {
        Data::Sum(sum) => sum.data_points.iter().map(|point| point.as_double).sum(),
        _ => 0.0,
    })
    .sum()
}

#[test]
fn metrics_go_to_the_collector_with_its_headers() {
    let (collector, url) = Collector::start();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("headers");
    std::fs::write(&file, "X-Scope-OrgID: tenant-s3cret\n").unwrap();
    let mut node = WEIR.node(&[
        &format!("traces.endpoint={url}"),
        "traces.metrics_interval=1s",
        "traces.per_million=1000000",
        "traces.service_name=edge",
        "traces.headers=authorization=Bearer t0k3n",
        &format!("traces.headers_file={}", file.display()),
    ]);
    for _ in 0..3 {
        assert_eq!(node.inspect(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").status, 204);
    }
    let name = "weir_http_connector_messages_seen";
    until("three requests", || exported(&collector, name) == 3.0);
    until("the spans, at the same collector", || !collector.spans().is_empty());
    let heads = collector.heads.lock().unwrap().clone();
    for head in &heads {
        for header in ["\nauthorization: bearer t0k3n\r\n", "\nx-scope-orgid: tenant-s3cret\r\n"] {
            assert!(head.contains(header), "{head}");
        }
    }
    assert!(node.metric(r#"trace_metric_exports_total{outcome="sent"}"#) >= 1.0);
    // What a collector refuses is counted, and a file that is no list of headers is reported without its content.
    std::fs::write(&file, "tenant-s3cret\n").unwrap();
    until("the failure", || node.metric(r#"trace_metric_exports_total{outcome="failed"}"#) >= 1.0);
    until("the report", || node.log().contains("line 1: expected a header as `name: value`"));
    std::fs::write(&file, "").unwrap();
    until("the end of it", || node.log().contains("takes metrics again"));
    // The last state is sent when the node stops.
    assert_eq!(node.inspect(b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n").status, 204);
    node.signal("TERM");
    assert_eq!(node.wait(), Some(0));
    assert_eq!(exported(&collector, name), 4.0);
    for secret in ["t0k3n", "s3cret"] {
        assert!(!node.log().contains(secret), "{}", node.log());
    }
}
