//! What a control plane counts, as a scraper reads it.

use crate::auth::Role;
use crate::testing::{Fixture, PASSWORD};
use prometheus_client::registry::Registry;
use serde_json::json;
use std::collections::BTreeMap;
use weir_protocol::hit::Hit;
use weir_protocol::node_api::{CAPABILITIES, EVENTS, Record};

/// Every sample by its name and labels. Whatever is no line of the text format fails.
fn scrape(fixture: &Fixture) -> BTreeMap<String, f64> {
    let (mut registry, mut text) = (Registry::with_prefix("weir"), String::new());
    fixture.app.config.metrics.enlist(&mut registry);
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    let (samples, end) = text.split_once("# EOF\n").expect("an end");
    assert_eq!(end, "");
    let mut out = BTreeMap::new();
    for line in samples.lines().filter(|line| !line.starts_with("# ")) {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        assert!(name.starts_with("weir_control_plane_"), "{line}");
        let twice = out.insert(name.to_owned(), value.parse().unwrap_or_else(|_| panic!("no number: {line}")));
        assert!(twice.is_none(), "{line} is there twice");
    }
    for line in text.lines().filter(|line| line.starts_with("# ") && *line != "# EOF") {
        let kind = line.split(' ').nth(1).unwrap();
        assert!(["TYPE", "HELP", "UNIT"].contains(&kind), "{line}");
    }
    out
}

fn value(samples: &BTreeMap<String, f64>, name: &str) -> f64 {
    samples.get(&format!("weir_control_plane_{name}")).copied().unwrap_or_default()
}

fn batch(hits: &[Hit]) -> Vec<u8> {
    let line = |hit: &Hit| serde_json::to_string(&Record::Hit(Box::new(hit.clone()))).unwrap();
    hits.iter().map(line).chain(["no record".to_owned()]).collect::<Vec<_>>().join("\n").into_bytes()
}

#[tokio::test]
async fn records_batches_and_misdated_hits_are_counted() {
    let fixture = Fixture::new().await;
    let authorization = format!("Bearer {}", fixture.node(CAPABILITIES).await);
    let hit = |id: &str| Hit { version: 1, id: id.to_owned(), attempt: 1, ..Hit::default() };
    let now = uuid::Uuid::now_v7().to_string();
    let hits = [hit(&now), hit("00000000-0001-7000-8000-000000000001")];
    for _ in 0..2 {
        let answer = fixture.call("POST", EVENTS, &[("authorization", authorization.as_str())], &batch(&hits)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let samples = scrape(&fixture);
    let records = ["stored", "duplicate", "rejected"];
    let records = records.map(|outcome| value(&samples, &format!("records_total{{outcome=\"{outcome}\"}}")));
    assert_eq!(records, [2.0, 2.0, 2.0], "{samples:?}");
    assert_eq!(value(&samples, "batches_total{outcome=\"stored\"}"), 2.0);
    assert_eq!(value(&samples, "ingest_seconds_count"), 2.0);
    assert_eq!(value(&samples, "ingest_seconds_bucket{le=\"+Inf\"}"), 2.0);
    assert!(value(&samples, "ingest_seconds_sum") > 0.0);
    assert_eq!(value(&samples, "misdated_total"), 2.0);
}

#[tokio::test]
async fn a_batch_that_the_store_does_not_take_is_counted_as_failed() {
    let fixture = Fixture::new().await;
    let authorization = format!("Bearer {}", fixture.node(CAPABILITIES).await);
    let hit = Hit { version: 1, id: uuid::Uuid::now_v7().to_string(), ..Hit::default() };
    // A file that is no database, where that of this month would be.
    let month = jiff::Timestamp::now().strftime("hits-%Y-%m.db").to_string();
    std::fs::write(fixture.dir.path().join(month), [b'x'; 4096]).unwrap();
    let answer = fixture.call("POST", EVENTS, &[("authorization", authorization.as_str())], &batch(&[hit])).await;
    assert!(answer.status.is_server_error(), "{answer:?}");
    assert_eq!(value(&scrape(&fixture), "batches_total{outcome=\"failed\"}"), 1.0);
}

#[tokio::test]
async fn logins_are_counted_by_what_came_of_them() {
    let fixture = Fixture::new().await;
    for (password, times) in [(PASSWORD, 1), ("wrong", 5), (PASSWORD, 2)] {
        for _ in 0..times {
            let body = json!({"login": "admin", "password": password}).to_string();
            fixture.call("POST", "/api/v1/session", &[("content-type", "application/json")], body.as_bytes()).await;
        }
    }
    let samples = scrape(&fixture);
    for (outcome, times) in [("accepted", 1.0), ("refused", 5.0), ("throttled", 2.0)] {
        assert_eq!(value(&samples, &format!("logins_total{{outcome=\"{outcome}\"}}")), times, "{samples:?}");
    }
}

#[tokio::test]
async fn nodes_polls_policy_and_retention_are_told() {
    let fixture = Fixture::new().await;
    fixture.node(CAPABILITIES).await;
    let off = fixture.app.nodes.list().await.unwrap().remove(0).id;
    fixture.clock.advance(crate::nodes::INACTIVE_MS);
    fixture.node(CAPABILITIES).await;
    let node = fixture.node(CAPABILITIES).await;
    let look = async |states: [f64; 3]| {
        fixture.app.refresh_metrics().await.unwrap();
        let samples = scrape(&fixture);
        let told = ["active", "inactive", "disabled"].map(|s| value(&samples, &format!("nodes{{state=\"{s}\"}}")));
        assert_eq!(told, states, "{samples:?}");
    };
    look([2.0, 1.0, 0.0]).await;
    let caller = fixture.caller(Role::Administrator).await;
    fixture.app.set_node_enabled(&caller, &off, false).await.unwrap();
    look([2.0, 0.0, 1.0]).await;
    let serial = fixture.app.policy.head().version.serial;
    assert_eq!(value(&scrape(&fixture), "policy_serial"), serial as f64);
    assert!(fixture.poll(&node, serial).await.is_none());
    assert_eq!(value(&scrape(&fixture), "policy_polls"), 0.0, "a poll that ended counts no more");
    let waiting = fixture.app.config.metrics.poll();
    assert_eq!(value(&scrape(&fixture), "policy_polls"), 1.0);
    drop(waiting);
    fixture.app.retain().await;
    assert_eq!(value(&scrape(&fixture), "retention_runs_total{outcome=\"done\"}"), 1.0);
}
