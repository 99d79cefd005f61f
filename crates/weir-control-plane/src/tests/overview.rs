//! Pages and reports of a source, a host and an application; what blocking would do; saved searches.

use super::events::{lines, now, send, traversal};
use crate::auth::Role;
use crate::testing::Fixture;
use axum::http::StatusCode;
use base64::Engine as _;
use serde_json::{Value, json};
use weir_protocol::hit::Hit;
use weir_protocol::node_api::CAPABILITIES;

const HOUR: u64 = 3_600_000;

/// A hit that passed in monitoring mode.
fn passed(target: &str, ip: &str) -> Hit {
    let mut hit = traversal(target);
    hit.client.ip = ip.into();
    hit.client.country = "NL".into();
    hit.application = 3;
    (hit.mode, hit.action, hit.would_block) = ("monitoring".into(), "pass".into(), true);
    hit
}

async fn store(fixture: &Fixture, hits: Vec<Hit>) {
    let node = fixture.node(CAPABILITIES).await;
    let answer = send(fixture, &node, &lines(&hits), false).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
}

/// The hours around now, as parameters.
fn around() -> String {
    let to = (now() / HOUR + 1) * HOUR;
    format!("from={}&to={to}", to - 24 * HOUR)
}

async fn get(fixture: &Fixture, path: &str) -> Value {
    let answer = fixture.as_role(Role::ReadOnly, "GET", path, &Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    answer.json()
}

#[tokio::test]
async fn a_source_is_told_with_its_hits_targets_agents_and_lists() {
    let fixture = Fixture::new().await;
    let mut with_agent = passed("/?f=/etc/passwd", "192.0.2.7");
    let raw = "GET /?f=/etc/passwd HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: curl/8.1\r\n\r\n";
    with_agent.request.raw = base64::engine::general_purpose::STANDARD.encode(raw);
    store(&fixture, vec![with_agent, passed("/b?f=/etc/passwd", "192.0.2.7"), passed("/?f=/etc/passwd", "192.0.2.8")])
        .await;
    let listed = json!([{"list": "deny", "value": "192.0.2.0/24", "reason": "scans"}]);
    fixture.as_role(Role::Analyst, "POST", "/api/v1/ip-lists", &listed).await;
    let report = get(&fixture, &format!("/api/v1/statistics/sources/192.0.2.7?{}", around())).await;
    assert_eq!((&report["hits"], &report["blocked"], &report["country"]), (&json!(2), &json!(0), &json!("NL")));
    assert_eq!(report["attack_types"][0]["value"], "ptrav");
    assert_eq!(report["targets"], json!([{"value": "shop.example", "hits": 2, "blocked": 0}]));
    assert_eq!(report["user_agents"], json!([{"value": "", "hits": 1}, {"value": "curl/8.1", "hits": 1}]));
    assert_eq!(report["entries"][0]["value"], "192.0.2.0/24");
    let other = get(&fixture, &format!("/api/v1/statistics/sources/198.51.100.1?{}", around())).await;
    assert_eq!((&other["hits"], &other["entries"]), (&json!(0), &json!([])));
    let wrong = fixture.as_role(Role::ReadOnly, "GET", "/api/v1/statistics/sources/none", &Value::Null).await;
    assert_eq!(wrong.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_page_of_a_source_lists_and_lifts() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let form = ("content-type", "application/x-www-form-urlencoded");
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), form];
    let body = "list=deny&rule_type=ip_range&value=192.0.2.7&expires=3600&reason=scans&back=/sources/192.0.2.7";
    let added = fixture.call("POST", "/lists/add", &headers, body.as_bytes()).await;
    assert_eq!(added.header("location"), "/sources/192.0.2.7?done=listed&n=1", "{added:?}");
    let page = fixture.call("GET", "/sources/192.0.2.7", &[("cookie", &cookie)], b"").await;
    let html = String::from_utf8(page.body).unwrap();
    assert!(html.contains("Denylist") && html.contains("scans") && html.contains("Expires <time"), "{html}");
    let id = fixture.app.policy.head().state.ip_lists[0].id;
    let body = format!("id={id}&back=/sources/192.0.2.7");
    let gone = fixture.call("POST", "/lists/remove", &headers, body.as_bytes()).await;
    assert_eq!(gone.header("location"), "/sources/192.0.2.7?done=unlisted&n=1");
    assert!(fixture.app.policy.head().state.ip_lists.is_empty());
}

#[tokio::test]
async fn a_host_and_an_application_are_told_with_points_modes_and_weak_rules() {
    let fixture = Fixture::new().await;
    store(&fixture, vec![passed("/?f=/etc/passwd", "192.0.2.7"), passed("/?f=/etc/passwd", "192.0.2.8")]).await;
    let rule = |host: &str| {
        json!({"rule": {"type": "disable_attack_type", "attack_type": "sqli", "point": [["get", "q"]],
            "action": [{"type": "equal", "point": ["header", "HOST"], "value": host}]}})
    };
    for host in ["shop.example", "other.example"] {
        let made = fixture.confirmed(Role::Analyst, "POST", "/api/v1/rules", &rule(host)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    }
    let mode = json!({"rule": {"type": "wallarm_mode", "mode": "monitoring",
        "action": [{"type": "equal", "point": ["header", "HOST"], "value": "shop.example"}]}});
    assert_eq!(fixture.confirmed(Role::Analyst, "POST", "/api/v1/rules", &mode).await.status, StatusCode::CREATED);
    let report = get(&fixture, &format!("/api/v1/statistics/hosts/SHOP.example?{}", around())).await;
    assert_eq!((&report["now"]["hits"], &report["before"]["hits"]), (&json!(2), &json!(0)));
    assert_eq!((&report["points"][0]["hits"], &report["points"][0]["attack_type"]), (&json!(2), &json!("ptrav")));
    assert_eq!(report["modes"], json!([{"group": "default", "mode": "monitoring"}]));
    assert_eq!(report["weakening"], json!([3, 1]), "the rule for another host does not concern this one");
    let application = get(&fixture, &format!("/api/v1/statistics/applications/3?{}", around())).await;
    assert_eq!(application["now"]["hits"], 2);
    assert_eq!(application["hosts"][0]["value"], "shop.example");
    let pattern = fixture.as_role(Role::ReadOnly, "GET", "/api/v1/statistics/hosts/*.example", &Value::Null).await;
    assert_eq!(pattern.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_blocking_report_counts_what_passed_and_forgets_what_was_excepted() {
    let fixture = Fixture::new().await;
    let mut blocked = passed("/?f=/etc/passwd", "192.0.2.9");
    (blocked.mode, blocked.action, blocked.would_block) = ("block".into(), "block".into(), false);
    let hits = vec![passed("/?f=/etc/passwd", "192.0.2.7"), passed("/?f=/etc/passwd", "192.0.2.8"), blocked];
    let excepted = hits[0].id.clone();
    store(&fixture, hits).await;
    // Monitoring is in force: the report asks what blocking would do, whatever the mode.
    let monitoring = json!({"mode": "monitoring"});
    let set = fixture.confirmed(Role::Analyst, "PUT", "/api/v1/policy/general", &monitoring).await;
    assert_eq!(set.status, StatusCode::OK, "{set:?}");
    let report = get(&fixture, "/api/v1/statistics/blocking").await;
    assert_eq!((&report["would_block"], &report["would_pass"], &report["judged"]), (&json!(2), &json!(0), &json!(2)));
    assert_eq!((&report["sources"], &report["cut"]), (&json!(2), &json!(false)));
    let group = &report["groups"][0];
    assert_eq!((&group["attack_type"], &group["hits"], &group["sources"]), (&json!("ptrav"), &json!(2), &json!(2)));
    assert_eq!(group["exceptable"], true);
    let elsewhere = get(&fixture, "/api/v1/statistics/blocking?host=other.example").await;
    assert_eq!(elsewhere["judged"], 0);
    let (cookie, _) = fixture.browser(Role::ReadOnly).await;
    let exported = fixture.call("GET", "/blocking/export?range=24h", &[("cookie", &cookie)], b"").await;
    assert_eq!(exported.header("content-type"), "text/csv; charset=utf-8");
    let mut rows = csv::Reader::from_reader(exported.body.as_slice());
    let head = rows.headers().unwrap().clone();
    let row: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let cell = |name: &str| &row[0][head.iter().position(|one| one == name).unwrap()];
    assert_eq!((row.len(), cell("type"), cell("hits"), cell("sources")), (1, "ptrav", "2", "2"), "{row:?}");
    assert_eq!(cell("host"), "shop.example");
    // After an exception for what they have in common, both would pass.
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let headers =
        [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), ("content-type", "application/x-www-form-urlencoded")];
    let path = format!("/hits/{excepted}/exception");
    let made = fixture.call("POST", &path, &headers, b"subject=0%3Atype&point=1&host=on").await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", String::from_utf8_lossy(&made.body));
    let report = get(&fixture, "/api/v1/statistics/blocking?application=3").await;
    assert_eq!((&report["would_block"], &report["would_pass"]), (&json!(0), &json!(2)));
    assert_eq!(report["groups"], json!([]));
}

#[tokio::test]
async fn searches_are_saved_for_oneself() {
    let fixture = Fixture::new().await;
    let create = async |role: Role, body: Value| fixture.as_role(role, "POST", "/api/v1/me/searches", &body).await;
    let logins = json!({"name": " Logins ", "query": "u:/login", "range": "24h"});
    let made = create(Role::ReadOnly, logins.clone()).await;
    assert_eq!((made.status, &made.json()["name"]), (StatusCode::CREATED, &json!("Logins")));
    assert_eq!(create(Role::ReadOnly, logins.clone()).await.status, StatusCode::CONFLICT);
    assert_eq!(create(Role::Analyst, logins).await.status, StatusCode::CREATED, "names are one's own");
    for wrong in [
        json!({"name": "", "query": "sqli"}),
        json!({"name": "a", "query": "nonsense"}),
        json!({"name": "a", "query": "sqli", "range": "2y"}),
    ] {
        assert_eq!(create(Role::ReadOnly, wrong.clone()).await.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/me/searches/{id}");
    let foreign = fixture.as_role(Role::Analyst, "DELETE", &path, &Value::Null).await;
    assert_eq!(foreign.status, StatusCode::NOT_FOUND);
    let list = get(&fixture, "/api/v1/me/searches").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    let gone = fixture.as_role(Role::ReadOnly, "DELETE", &path, &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NO_CONTENT);
    // In the Console: saved, shown as the current one, deleted.
    let (cookie, csrf) = fixture.browser(Role::ReadOnly).await;
    let headers =
        [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), ("content-type", "application/x-www-form-urlencoded")];
    let saved = fixture.call("POST", "/attacks/searches", &headers, b"name=Mine&q=sqli&range=7d").await;
    assert_eq!(saved.header("location"), "/attacks?q=sqli&range=7d&done=search&n=0");
    let page = fixture.call("GET", "/attacks?q=sqli&range=7d", &[("cookie", &cookie)], b"").await;
    let html = String::from_utf8(page.body).unwrap();
    assert!(html.contains("<li class=\"chip on\"") && html.contains(">Mine</a>"), "{html}");
    let again = fixture.call("POST", "/attacks/searches", &headers, b"name=Mine&q=sqli&range=7d").await;
    assert!(again.header("location").ends_with("&unsaved=taken"), "{again:?}");
}

#[tokio::test]
async fn a_node_is_added_with_the_command_of_this_installation() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Deploy).await;
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), ("host", "console.internal:8443")];
    let page = fixture.call("POST", "/nodes/add", &headers, b"").await;
    let html = String::from_utf8(page.body).unwrap();
    assert_eq!(page.status, StatusCode::OK, "{html}");
    for part in [
        "WALLARM_API_HOST=console.internal -e WALLARM_API_PORT=8443 -e WALLARM_API_USE_SSL=false",
        "config.api.host=console.internal --set config.api.port=8443 --set config.api.use_ssl=false",
        "weir processing --set api.host=console.internal --set api.port=8443 --set api.use_ssl=false",
    ] {
        assert!(html.contains(part), "{part} is missing: {html}");
    }
    let token = html.split("--set api.token=").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let body = json!({"group": "default", "name": "n", "role": "processing", "version": "1", "capabilities": []});
    let registered = fixture.bearer(&token, "POST", weir_protocol::node_api::REGISTER, &body).await;
    assert!(registered.status.is_success(), "{registered:?}");
}
