//! The blocking preview where more hits passed than are inspected.

use super::events::{lines, now, send, traversal};
use crate::auth::Role;
use crate::testing::Fixture;
use axum::http::StatusCode;
use serde_json::{Value, json};
use weir_protocol::hit::Hit;
use weir_protocol::node_api::CAPABILITIES;

/// `like`, as a hit of its own that passed so many milliseconds ago.
fn passed(like: &Hit, ago: u64, n: u64) -> Hit {
    let mut hit = like.clone();
    hit.time = now() - ago;
    let bits = (u128::from(hit.time) << 80) | (7 << 76) | (2u128 << 62) | u128::from(n);
    hit.id = uuid::Uuid::from_u128(bits).to_string();
    hit.request_id = format!("r{n}");
    hit.client.ip = format!("192.0.2.{}", n % 200);
    (hit.mode, hit.action, hit.would_block) = ("monitoring".into(), "pass".into(), true);
    hit
}

#[tokio::test]
async fn numbers_of_what_is_not_inspected_follow_from_what_is() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    // Two places: one with 300 hits, of which few are inspected, and one with 3, of which each is.
    let like = traversal("/?f=/etc/passwd");
    let mut hits: Vec<Hit> = (0..300).map(|n| passed(&like, 60_000 + n, n)).collect();
    hits.extend((300..303).map(|n| {
        let mut hit = passed(&like, 60_000 + n, n);
        hit.request.host = "other.example".into();
        hit
    }));
    let answer = send(&fixture, &node, &lines(&hits), false).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let get = async |path: &str| {
        let answer = fixture.as_role(Role::ReadOnly, "GET", path, &Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
        answer.json()
    };
    let report = get("/api/v1/statistics/blocking?seconds=8").await;
    assert_eq!((&report["would_block"], &report["would_pass"]), (&json!(303), &json!(0)), "{report}");
    assert_eq!(
        (&report["cut"], &report["unfinished"], &report["not_judged"]),
        (&json!(true), &json!(false), &json!(0))
    );
    // All hits are of one hour, or of two: 8 of each and 3 of the other place.
    let judged = report["judged"].as_u64().unwrap();
    assert!((11..=19).contains(&judged), "{judged}");
    let groups: Vec<(&Value, &Value)> =
        report["groups"].as_array().unwrap().iter().map(|group| (&group["host"], &group["hits"])).collect();
    assert_eq!(groups, [(&json!("shop.example"), &json!(300)), (&json!("other.example"), &json!(3))]);
    let sources = report["top_sources"].as_array().unwrap().iter().map(|one| one["hits"].as_u64().unwrap());
    assert!((290..=303).contains(&sources.sum::<u64>()), "{report}");
    let of_host = get("/api/v1/statistics/blocking?seconds=8&host=other.example").await;
    assert_eq!((&of_host["would_block"], &of_host["cut"]), (&json!(3), &json!(false)), "{of_host}");
}
