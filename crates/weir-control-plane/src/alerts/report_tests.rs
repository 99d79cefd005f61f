//! Reports of a day: when they are sent, once, and what they say.

use super::tests::{at_present, make};
use crate::auth::Role;
use crate::testing::Fixture;
use crate::tests::events::{lines, send, traversal};
use axum::Router;
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex};

const HOUR: i64 = 3_600_000;

/// An incoming webhook whose answer can be changed, and what it got; `id` is the idempotency key.
async fn moody(status: &Arc<AtomicU16>) -> (String, Arc<Mutex<Vec<Value>>>) {
    let kept: Arc<Mutex<Vec<Value>>> = Arc::default();
    let (into, status) = (Arc::clone(&kept), Arc::clone(status));
    let answer = move |headers: axum::http::HeaderMap, body: axum::body::Bytes| {
        let mut message: Value = serde_json::from_slice(&body).unwrap();
        message["id"] = headers["idempotency-key"].to_str().unwrap().into();
        into.lock().unwrap().push(message);
        let status = StatusCode::from_u16(status.load(Ordering::Relaxed)).unwrap();
        async move { status }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let router = Router::new().fallback(axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, kept)
}

#[tokio::test]
async fn a_daily_report_is_sent_once_and_again_where_it_failed() {
    let (fixture, node) = at_present().await;
    let status = Arc::new(AtomicU16::new(500));
    let (url, kept) = moody(&status).await;
    let hour = (fixture.app.clock.millis() / HOUR + 2) % 24;
    let made = make(&fixture, &url, json!({"report": {"every": "daily", "hour": hour}})).await;
    assert_eq!(made["report"], json!({"every": "daily", "hour": hour}), "{made}");
    let rule = json!({"rule": {"type": "disable_attack_type", "attack_type": "xss",
        "action": [{"type": "equal", "point": ["path", 0], "value": "cms"}]}});
    assert_eq!(fixture.as_role(Role::Administrator, "POST", "/api/v1/rules", &rule).await.status, StatusCode::CREATED);
    let hits = ["/a?file=/etc/passwd", "/b?file=/etc/passwd"];
    send(&fixture, &node, &lines(&hits.map(traversal)), false).await;
    fixture.app.alert_round().await.unwrap();
    assert!(kept.lock().unwrap().is_empty(), "it is not due yet");
    fixture.clock.advance(3 * HOUR);
    let (one, other) = tokio::join!(fixture.app.alert_round(), fixture.app.alert_round());
    one.and(other).unwrap();
    assert_eq!(kept.lock().unwrap().len(), 1, "of two replicas one sends");
    let path = format!("/api/v1/alerts/{}", made["id"].as_str().unwrap());
    let failed = fixture.as_role(Role::Administrator, "GET", &path, &Value::Null).await.json();
    assert_eq!((&failed["failures"], &failed["sent"]), (&json!(1), &json!(0)), "{failed}");
    status.store(200, Ordering::Relaxed);
    fixture.app.alert_round().await.unwrap();
    assert_eq!(kept.lock().unwrap().len(), 1, "it waits before it tries again");
    for _ in 0..3 {
        fixture.clock.advance(70_000);
        fixture.app.alert_round().await.unwrap();
    }
    let sent = kept.lock().unwrap().clone();
    assert_eq!(sent.len(), 2, "one failed, one was taken: {sent:?}");
    let text = sent[1]["text"].as_str().unwrap();
    for part in [
        "*weir daily report: 2 hits: many &lt;attacks&gt;*",
        "UTC, against the period before.",
        "Hits: 2 (before: 0)",
        "Hits by attack type\n- Path traversal: 2 (before: 0)",
        "Sources with most hits\n- unknown: 2",
        "Hosts with most hits\n- shop.example: 2",
        "Nodes that do not answer\n- ",
        "Rules that weaken protection\n- rule 1: Cross-site scripting is ignored in some requests",
        "https://console.example/",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    fixture.clock.advance(24 * HOUR);
    fixture.app.alert_round().await.unwrap();
    assert_eq!(kept.lock().unwrap().len(), 3, "and the next day");
    let after = fixture.as_role(Role::Administrator, "GET", &path, &Value::Null).await.json();
    assert_eq!((&after["failures"], &after["sent"]), (&json!(0), &json!(2)), "{after}");
}

/// Forgets that the report was sent, as a replica does that ends before it can note it.
pub(super) async fn forget_delivery(fixture: &Fixture) {
    let mut on = fixture.app.store.control().write().acquire().await.unwrap();
    let update = sqlx::query("UPDATE alerts SET since = created, due = created, sent = 0, last_sent = 0");
    assert_eq!(update.execute(&mut *on).await.unwrap().rows_affected(), 1);
}

#[tokio::test]
async fn a_report_that_is_sent_again_has_the_same_id() {
    let (fixture, _) = at_present().await;
    let (url, kept) = moody(&Arc::new(AtomicU16::new(200))).await;
    let hour = (fixture.app.clock.millis() / HOUR + 2) % 24;
    let made = make(&fixture, &url, json!({"report": {"every": "daily", "hour": hour}})).await;
    fixture.clock.advance(3 * HOUR);
    fixture.app.alert_round().await.unwrap();
    forget_delivery(&fixture).await;
    fixture.app.alert_round().await.unwrap();
    fixture.clock.advance(24 * HOUR);
    fixture.app.alert_round().await.unwrap();
    let ids: Vec<String> = kept.lock().unwrap().iter().map(|sent| sent["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3, "{ids:?}");
    assert!(ids[0].starts_with(&format!("report-{}-", made["id"].as_str().unwrap())), "{ids:?}");
    assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
}

#[tokio::test]
async fn a_report_has_neither_a_search_nor_a_period_of_its_own() {
    let (fixture, _) = at_present().await;
    for (rest, field) in [
        (json!({"report": {"every": "daily", "hour": 24}}), "report.hour"),
        (json!({"report": {"every": "weekly", "hour": 6}, "query": "type:sqli"}), "query"),
        (json!({"report": {"every": "weekly", "hour": 6}, "digest": true}), "digest"),
        (json!({}), "minutes"),
    ] {
        let mut new = json!({"name": "r", "channel": {"kind": "slack", "url": "http://127.0.0.1:1/"}});
        new.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        let refused = fixture.as_role(Role::Administrator, "POST", "/api/v1/alerts", &new).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
        assert!(refused.json().to_string().contains(&format!("\"{field}\"")), "{field}: {refused:?}");
    }
}
