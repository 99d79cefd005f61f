//! Hits and batches for tests.

use uuid::Uuid;
use weir_core::model::{AttackType, Confidence, PointPath};
use weir_protocol::hit::Hit;
use weir_protocol::hit::{HitDirection, HitFinding, HitResponse};
use weir_protocol::node_api::{HitUpdate, Record};

pub const SECOND: i64 = 1_000;
pub const MINUTE: i64 = 60 * SECOND;
pub const HOUR: i64 = 60 * MINUTE;
pub const DAY: i64 = 24 * HOUR;
/// 2026-03-10 12:00 UTC.
pub const NOON: i64 = 1_773_144_000_000;

/// The UUIDv7 of a time, the same for the same `n`.
pub fn id(time: i64, n: u64) -> String {
    let bits = ((time as u128) << 80) | (7 << 76) | (2u128 << 62) | u128::from(n);
    Uuid::from_u128(bits).to_string()
}

pub fn point(name: &str) -> PointPath {
    serde_json::from_value(serde_json::json!([["get", name]])).unwrap()
}

/// An SQL injection in the parameter `q` of shop.example, blocked.
pub fn hit(time: i64, n: u64) -> Hit {
    let mut hit = Hit { version: 1, id: id(time, n), time: time as u64, attempt: 1, application: -1, ..Hit::default() };
    hit.leg = HitDirection::Request;
    hit.request_id = format!("request-{time}-{n}");
    hit.connector = "test/1".into();
    hit.client.ip = "203.0.113.7".into();
    hit.client.country = "NL".into();
    hit.request.method = "GET".into();
    hit.request.host = "shop.example".into();
    hit.request.path = "/search".into();
    hit.request.protocol = "HTTP/1.1".into();
    hit.request.bytes = 120;
    hit.request.raw = "R0VUIC8gSFRUUC8xLjENCg0K".into();
    hit.mode = "block".into();
    hit.action = "block".into();
    hit.reason = "attack".into();
    with(hit, AttackType::Sqli, "q")
}

/// `hit` with one more finding.
pub fn with(mut hit: Hit, attack: AttackType, parameter: &str) -> Hit {
    if !hit.attacks.contains(&attack) {
        hit.attacks.push(attack);
    }
    hit.findings.push(HitFinding {
        attack,
        rule: format!("{attack}-test"),
        point: point(parameter),
        confidence: Confidence::High,
        decisive: true,
        matched: "' or 1=1".into(),
    });
    hit
}

/// The same, but only seen.
pub fn monitored(mut hit: Hit) -> Hit {
    hit.mode = "monitoring".into();
    hit.action = "pass".into();
    hit.would_block = true;
    hit
}

pub fn batch(hits: impl IntoIterator<Item = Hit>) -> Vec<Record> {
    hits.into_iter().map(|hit| Record::Hit(Box::new(hit))).collect()
}

pub fn update(hit: &str, status: u16) -> Record {
    let response = HitResponse { status, after_ms: 12 };
    Record::Update(HitUpdate { hit: hit.to_owned(), response, consumer: "alice".into() })
}
