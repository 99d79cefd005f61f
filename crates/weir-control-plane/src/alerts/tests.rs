//! Thresholds, digests, messages and destinations.

use crate::auth::Role;
use crate::outgoing::{Outgoing, Roots};
use crate::testing::{BEGIN, Fixture};
use crate::tests::events::{lines, now, send, traversal};
use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use weir_protocol::hit::Hit;
use weir_protocol::node_api::CAPABILITIES;

/// An incoming webhook that keeps what it gets.
async fn chat(status: StatusCode) -> (String, Arc<Mutex<Vec<Value>>>) {
    let kept: Arc<Mutex<Vec<Value>>> = Arc::default();
    let into = Arc::clone(&kept);
    let answer = move |body: axum::body::Bytes| {
        into.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
        async move { status }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/services/T0/B0/s3cr3tpart", listener.local_addr().unwrap());
    let router = Router::new().fallback(axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, kept)
}

/// A control plane at the present, and a node.
pub(super) async fn at_present() -> (Fixture, String) {
    let fixture = Fixture::with(|config| config.public_url = Some("https://console.example".into())).await;
    fixture.clock.advance(now() as i64 - BEGIN);
    let node = fixture.node(CAPABILITIES).await;
    (fixture, node)
}

/// A hit of the time `time`, in milliseconds since 1970.
fn at(mut hit: Hit, time: u64) -> Hit {
    hit.time = time;
    let nanoseconds = u32::try_from(time % 1_000).unwrap() * 1_000_000;
    hit.id = uuid::Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, time / 1_000, nanoseconds)).to_string();
    hit
}

pub(super) async fn make(fixture: &Fixture, url: &str, rest: Value) -> Value {
    let mut new = json!({"name": "many <attacks>", "channel": {"kind": "slack", "url": url}});
    new.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    let made = fixture.as_role(Role::Administrator, "POST", "/api/v1/alerts", &new).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    made.json()
}

#[tokio::test]
async fn a_threshold_is_reported_once_per_window() {
    let (fixture, node) = at_present().await;
    let (url, kept) = chat(StatusCode::OK).await;
    let made = make(&fixture, &url, json!({"hits": 3, "minutes": 5, "query": "type:ptrav"})).await;
    assert_eq!(made["channel"]["url"].as_str().unwrap().rsplit_once('/').unwrap().1, "****", "{made}");
    let hits = ["/a?file=/etc/passwd", "/b?file=/etc/passwd"];
    send(&fixture, &node, &lines(&hits.map(traversal)), false).await;
    fixture.clock.advance(20_000);
    fixture.app.alert_round().await.unwrap();
    assert!(kept.lock().unwrap().is_empty(), "two are not enough");
    send(&fixture, &node, &lines(&["/c?file=/etc/passwd"].map(traversal)), false).await;
    fixture.clock.advance(20_000);
    fixture.app.alert_round().await.unwrap();
    fixture.app.alert_round().await.unwrap();
    let text = {
        let kept = kept.lock().unwrap();
        assert_eq!(kept.len(), 1, "{kept:?}");
        kept[0]["text"].as_str().unwrap().to_owned()
    };
    for part in [
        "*weir alert: 3 hits: many &lt;attacks&gt;*",
        "Path traversal (3)",
        "https://console.example/attacks?q=type%3Aptrav",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let later = ["/d?file=/etc/passwd", "/e?file=/etc/passwd", "/f?file=/etc/passwd"].map(|target| {
        let hit = traversal(target);
        let time = hit.time + 100_000;
        at(hit, time)
    });
    send(&fixture, &node, &lines(&later), false).await;
    fixture.clock.advance(60_000);
    fixture.app.alert_round().await.unwrap();
    assert_eq!(kept.lock().unwrap().len(), 1, "it is quiet for the window");
    fixture.clock.advance(240_000);
    fixture.app.alert_round().await.unwrap();
    assert_eq!(kept.lock().unwrap().len(), 2, "and tells what came meanwhile");
}

#[tokio::test]
async fn an_alert_is_looked_at_within_its_first_second() {
    let (fixture, node) = at_present().await;
    let (url, kept) = chat(StatusCode::OK).await;
    make(&fixture, &url, json!({"hits": 1, "minutes": 5})).await;
    fixture.clock.advance(300);
    let hit = at(traversal("/a?file=/etc/passwd"), fixture.app.clock.millis() as u64 - 1);
    send(&fixture, &node, &lines(&[hit]), false).await;
    fixture.app.alert_round().await.unwrap();
    assert_eq!(kept.lock().unwrap().len(), 1, "{kept:?}");
}

#[tokio::test]
async fn a_hit_that_comes_after_its_window_was_reported_counts_in_the_next_one() {
    let (fixture, node) = at_present().await;
    let (url, kept) = chat(StatusCode::OK).await;
    make(&fixture, &url, json!({"hits": 1, "minutes": 60, "digest": true})).await;
    // A node that is cut off keeps a hit of this moment for later.
    let late = traversal("/late?file=/etc/passwd");
    send(&fixture, &node, &lines(&["/a?file=/etc/passwd"].map(traversal)), false).await;
    fixture.clock.advance(3_600_000);
    fixture.app.alert_round().await.unwrap();
    assert!(kept.lock().unwrap()[0]["text"].as_str().unwrap().contains("digest: 1 hit:"), "{kept:?}");
    send(&fixture, &node, &lines(&[late]), false).await;
    fixture.clock.advance(3_600_000);
    fixture.app.alert_round().await.unwrap();
    assert!(kept.lock().unwrap()[1]["text"].as_str().unwrap().contains("digest: 1 hit:"), "{kept:?}");
    fixture.clock.advance(3_600_000);
    fixture.app.alert_round().await.unwrap();
    assert_eq!(kept.lock().unwrap().len(), 2, "and not again");
}

#[tokio::test]
async fn a_digest_comes_at_the_end_of_each_period_and_failures_are_shown_and_repeated() {
    let (fixture, node) = at_present().await;
    let (url, kept) = chat(StatusCode::OK).await;
    make(&fixture, &url, json!({"hits": 0, "minutes": 60, "digest": true})).await;
    send(&fixture, &node, &lines(&["/a?file=/etc/passwd"].map(traversal)), false).await;
    fixture.app.alert_round().await.unwrap();
    assert!(kept.lock().unwrap().is_empty(), "the period is not over");
    fixture.clock.advance(3_600_000);
    fixture.app.alert_round().await.unwrap();
    assert!(kept.lock().unwrap()[0]["text"].as_str().unwrap().contains("digest: 1 hit:"), "{kept:?}");
    fixture.clock.advance(3_600_000);
    fixture.app.alert_round().await.unwrap();
    assert!(kept.lock().unwrap()[1]["text"].as_str().unwrap().contains("digest: 0 hits:"), "{kept:?}");
    let (url, refused) = chat(StatusCode::FORBIDDEN).await;
    let failing = make(&fixture, &url, json!({"hits": 0, "minutes": 60, "digest": true})).await;
    fixture.clock.advance(3_600_000);
    fixture.app.alert_round().await.unwrap();
    let id = failing["id"].as_str().unwrap();
    let shown = fixture.app.alert(id).await.unwrap();
    assert_eq!((shown.failures, shown.sent), (1, 0));
    assert!(shown.last_error.contains("403") && !shown.last_error.contains("s3cr3t"), "{shown:?}");
    fixture.clock.advance(61_000);
    fixture.app.alert_round().await.unwrap();
    assert_eq!(refused.lock().unwrap().len(), 2, "it is tried again");
}

#[tokio::test]
async fn a_destination_that_hangs_delays_no_other_alert() {
    let (fixture, _) = at_present().await;
    // It takes connections, and never answers.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hanging = format!("http://{}/", silent.local_addr().unwrap());
    let (url, kept) = chat(StatusCode::OK).await;
    let digest = json!({"hits": 0, "minutes": 1, "digest": true});
    let first = make(&fixture, &hanging, digest.clone()).await;
    let made = make(&fixture, &url, digest.clone()).await;
    let last = make(&fixture, &hanging, digest).await;
    fixture.clock.advance(60_000);
    let stop = tokio_util::sync::CancellationToken::new();
    let (app, until) = (fixture.app.clone(), stop.clone());
    let running = tokio::spawn(async move { app.send_alerts(until).await });
    let shown = async |alert: &Value| fixture.app.alert(alert["id"].as_str().unwrap()).await.unwrap();
    while shown(&made).await.sent == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(kept.lock().unwrap().len(), 1);
    for alert in [&first, &last] {
        let shown = shown(alert).await;
        assert_eq!((shown.sent, shown.failures), (0, 0), "it is still being sent");
    }
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn what_cannot_work_is_refused_and_changes_are_recorded_without_secrets() {
    let (fixture, _) = at_present().await;
    for (new, field) in [
        (
            json!({"name": "", "channel": {"kind": "slack", "url": "https://a.example/x"}, "hits": 1, "minutes": 1}),
            "name",
        ),
        (
            json!({"name": "a", "channel": {"kind": "slack", "url": "file:///etc"}, "hits": 1, "minutes": 1}),
            "channel.url",
        ),
        (
            json!({"name": "a", "channel": {"kind": "slack", "url": "https://a.example/x"}, "hits": 0, "minutes": 1}),
            "hits",
        ),
        (
            json!({"name": "a", "channel": {"kind": "slack", "url": "https://a.example/x"}, "hits": 1, "minutes": 0}),
            "minutes",
        ),
        (
            json!({"name": "a", "channel": {"kind": "email", "to": ["a@b.example"]}, "hits": 1, "minutes": 1}),
            "channel.to",
        ),
        (
            json!({"name": "a", "channel": {"kind": "slack", "url": "https://a.example/x"}, "hits": 1, "minutes": 1, "query": "x:y"}),
            "query",
        ),
    ] {
        let refused = fixture.as_role(Role::Administrator, "POST", "/api/v1/alerts", &new).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{refused:?}");
    }
    let made = make(&fixture, "https://chat.example/services/s3cr3t", json!({"hits": 1, "minutes": 5})).await;
    let path = format!("/api/v1/alerts/{}", made["id"].as_str().unwrap());
    let mut back = made.clone();
    ["id", "created", "last_sent", "sent", "failures", "last_error"].iter().for_each(|key| {
        back.as_object_mut().unwrap().remove(*key);
    });
    back["hits"] = json!(2);
    let changed = fixture.as_role(Role::Administrator, "PUT", &path, &back).await;
    assert_eq!((changed.status, changed.json()["hits"].clone()), (StatusCode::OK, json!(2)), "{changed:?}");
    let stored = sqlx::query_scalar::<_, String>("SELECT channel FROM alerts");
    let stored = stored.fetch_one(fixture.app.store.control().read()).await.unwrap();
    assert!(stored.contains("s3cr3t"), "what came back masked stays: {stored}");
    assert_eq!(
        fixture.as_role(Role::Administrator, "DELETE", &path, &Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    let log = fixture.app.audit.list(&crate::audit::Query { limit: 50, ..Default::default() }).await.unwrap();
    let text = serde_json::to_string(&log).unwrap();
    assert!(["alert.create", "alert.change", "alert.remove"].iter().all(|action| text.contains(action)), "{text}");
    assert!(!text.contains("s3cr3t"), "{text}");
}

#[tokio::test]
async fn destinations_in_private_networks_are_by_setting() {
    let outgoing = Outgoing::new(&Roots::Bundled, false).unwrap();
    let fixture = Fixture::with(|config| config.outgoing = outgoing).await;
    let (url, kept) = chat(StatusCode::OK).await;
    for address in [url.as_str(), "http://169.254.169.254/latest", "http://[fe80::1]/", "http://[::ffff:10.0.0.1]/"] {
        let new = json!({"name": "a", "channel": {"kind": "slack", "url": address}, "hits": 1, "minutes": 1});
        let refused = fixture.as_role(Role::Administrator, "POST", "/api/v1/alerts", &new).await;
        assert_eq!(refused.json()["errors"][0]["field"], "channel.url", "{address}: {refused:?}");
    }
    let by_name = url.replace("127.0.0.1", "localhost");
    let made = make(&fixture, &by_name, json!({"hits": 1, "minutes": 5})).await;
    let path = format!("/api/v1/alerts/{}/test", made["id"].as_str().unwrap());
    let tested = fixture.as_role(Role::Administrator, "POST", &path, &Value::Null).await.json();
    assert_eq!((&tested["delivered"], kept.lock().unwrap().len()), (&json!(false), 0), "{tested}");
}
