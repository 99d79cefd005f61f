//! From the events of a node to attacks, exceptions, virtual patches and explanations.

use crate::api::export::{self, Form, What};
use crate::auth::Role;
use crate::error::Error;
use crate::problem::PROBLEM;
use crate::store::Filter;
use crate::testing::{BEGIN, Fixture};
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use weir_core::model::{AttackType, Confidence};
use weir_protocol::hit::Hit;
use weir_protocol::hit::{HitFinding, HitRequest};
use weir_protocol::node_api::{CAPABILITIES, EVENTS, Record, STATISTICS, Statistics, StatisticsRow};

/// Ids are held against the clock of the system by the store, so hits are of today.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A hit whose request the engine finds again.
fn hit(raw: &str, attack: AttackType, rule: &str, point: &str) -> Hit {
    let line: Vec<&str> = raw.lines().next().unwrap().split(' ').collect();
    Hit {
        version: 1,
        id: uuid::Uuid::now_v7().to_string(),
        time: now(),
        request_id: uuid::Uuid::now_v7().to_string(),
        connector: "test/1".into(),
        attempt: 1,
        application: -1,
        request: HitRequest {
            method: line[0].into(),
            host: "shop.example".into(),
            path: line[1].split('?').next().unwrap().into(),
            protocol: "HTTP/1.1".into(),
            raw: STANDARD.encode(raw),
            bytes: raw.len() as u64,
            ..HitRequest::default()
        },
        attacks: vec![attack],
        findings: vec![HitFinding {
            attack,
            rule: rule.into(),
            point: serde_json::from_str(point).unwrap(),
            confidence: Confidence::High,
            decisive: true,
            matched: "/etc/passwd".into(),
        }],
        mode: "block".into(),
        action: "block".into(),
        reason: "attack".into(),
        ..Hit::default()
    }
}

pub(crate) fn traversal(target: &str) -> Hit {
    let raw = format!("GET {target} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    // The name of the signature as the engine gives it.
    let judged = weir_core::engine::inspect(
        &weir_core::parse::message::request(raw.as_bytes()),
        &weir_core::ruleset::compile::compile(&weir_core::ruleset::builtin::files()).unwrap(),
        &weir_core::engine::InspectionOptions::default(),
        &mut weir_core::engine::Scratch::default(),
        &|| false,
    );
    let mut found = judged
        .findings
        .iter()
        .filter(|finding| finding.decisive)
        .map(|finding| hit(&raw, finding.attack, &finding.rule, &serde_json::to_string(&finding.point).unwrap()));
    let mut first = found.next().expect("an attack");
    first.findings.extend(found.flat_map(|hit| hit.findings));
    first
}

pub(crate) fn lines(hits: &[Hit]) -> Vec<u8> {
    let line = |hit: &Hit| serde_json::to_string(&Record::Hit(Box::new(hit.clone()))).unwrap();
    hits.iter().map(line).collect::<Vec<_>>().join("\n").into_bytes()
}

pub(crate) async fn send(fixture: &Fixture, node: &str, body: &[u8], gzip: bool) -> crate::testing::Answer {
    let authorization = format!("Bearer {node}");
    let mut headers = vec![("authorization", authorization.as_str())];
    if gzip {
        headers.push(("content-encoding", "gzip"));
    }
    fixture.call("POST", EVENTS, &headers, body).await
}

async fn get(fixture: &Fixture, path: &str) -> Value {
    let answer = fixture.as_role(Role::Analyst, "GET", path, &Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{path}: {answer:?}");
    answer.json()
}

#[tokio::test]
async fn hits_are_stored_once_under_the_node_that_sent_them() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let mut hits = [traversal("/a?file=/etc/passwd"), traversal("/b?file=/etc/passwd")];
    hits[1].node = "another node".into();
    let mut body = lines(&hits);
    body.extend_from_slice(b"\n{\"record\":\"hit\"\nnonsense\n");
    let ack = send(&fixture, &node, &body, false).await.json();
    assert_eq!((&ack["stored"], &ack["duplicates"]), (&json!(2), &json!(0)), "{ack}");
    let rejected: Vec<u64> = ack["rejected"].as_array().unwrap().iter().map(|one| one[0].as_u64().unwrap()).collect();
    assert_eq!(rejected, [2, 3]);
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &lines(&hits)).unwrap();
    let again = send(&fixture, &node, &packed.finish().unwrap(), true).await.json();
    assert_eq!((&again["stored"], &again["duplicates"]), (&json!(0), &json!(2)));
    let list = get(&fixture, "/api/v1/hits?q=host:shop.example").await;
    let id = node.split('.').next().unwrap();
    assert!(list["items"].as_array().unwrap().iter().all(|hit| hit["node"] == id), "{list}");
    assert_eq!(list["items"].as_array().unwrap().len(), 2);
    assert_eq!(send(&fixture, "wrong.secret", b"", false).await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_bomb_and_a_batch_of_too_many_are_refused() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packed, &vec![b'\n'; weir_protocol::node_api::MAX_BATCH_BYTES + 1]).unwrap();
    let answer = send(&fixture, &node, &packed.finish().unwrap(), true).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
    let long = vec![b' '; weir_protocol::node_api::MAX_BATCH_BYTES + 1];
    let answer = send(&fixture, &node, &long, false).await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::PAYLOAD_TOO_LARGE, PROBLEM));
    assert_eq!(answer.json()["detail"], Error::TooLarge(weir_protocol::node_api::MAX_BATCH_BYTES).to_string());
    let many = "{}\n".repeat(weir_protocol::node_api::MAX_BATCH + 1);
    assert_eq!(send(&fixture, &node, many.as_bytes(), false).await.status, StatusCode::UNPROCESSABLE_ENTITY);
}

/// Without that, a part of the file would look like all of it.
#[tokio::test]
async fn an_export_that_the_store_cannot_finish_breaks_off() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    send(&fixture, &node, &lines(&[traversal("/a?file=/etc/passwd")]), false).await;
    fixture.app.store.close().await;
    for file in std::fs::read_dir(fixture.dir.path()).unwrap() {
        let file = file.unwrap().path();
        if file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("hits-")) {
            std::fs::write(file, "no database").unwrap();
        }
    }
    for form in [Form::Csv, Form::Json] {
        let answer = export::answer(fixture.app.clone(), What::Hits, form, Filter::default());
        assert!(axum::body::to_bytes(answer.into_body(), usize::MAX).await.is_err(), "{form:?}");
    }
}

#[tokio::test]
async fn attacks_are_listed_marked_and_exported() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    send(&fixture, &node, &lines(&[traversal("/a?file=/etc/passwd"), traversal("/a?file=/etc/passwd")]), false).await;
    let list = get(&fixture, "/api/v1/attacks?q=ptrav%20status:blocked").await;
    let attack = &list["items"][0];
    assert_eq!((&attack["hits"], &attack["host"]), (&json!(2), &json!("shop.example")), "{list}");
    assert!(get(&fixture, "/api/v1/attacks?q=sqli").await["items"].as_array().unwrap().is_empty());
    let path = format!("/api/v1/attacks/{}", attack["id"].as_str().unwrap());
    let marked = fixture.as_role(Role::Analyst, "PUT", &format!("{path}/mark"), &json!({"mark": "fp"})).await;
    assert_eq!(marked.json()["mark"]["author"], "user:analyst@test");
    assert_eq!(get(&fixture, "/api/v1/attacks?q=mark:fp").await["items"][0]["id"], attack["id"]);
    assert_eq!(get(&fixture, &format!("{path}/hits?limit=1")).await["items"].as_array().unwrap().len(), 1);
    let csv = fixture.as_role(Role::ReadOnly, "GET", "/api/v1/hits/export", &Value::Null).await;
    assert_eq!(String::from_utf8(csv.body).unwrap().lines().count(), 3);
    let json = fixture.as_role(Role::ReadOnly, "GET", "/api/v1/attacks/export?form=json", &Value::Null).await;
    assert_eq!(json.json()[0]["mark"]["mark"], "fp");
    let wrong = fixture.as_role(Role::Analyst, "GET", "/api/v1/attacks?q=color:red", &Value::Null).await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn a_search_for_an_address_shows_and_counts_what_came_from_it_alone() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let mut hits = [0; 3].map(|_| traversal("/a?file=/etc/passwd"));
    for (hit, ip) in hits.iter_mut().zip(["203.0.113.9", "198.51.100.1", "198.51.100.1"]) {
        hit.client.ip = ip.into();
    }
    hits[2].action = "pass".into();
    send(&fixture, &node, &lines(&hits), false).await;
    let all = get(&fixture, "/api/v1/attacks?q=ptrav").await;
    assert_eq!((&all["items"][0]["hits"], &all["items"][0]["sources"]), (&json!(3), &json!(2)), "{all}");
    for (ip, hits, blocked) in [("203.0.113.9", 1, 1), ("198.51.100.1", 2, 1), ("198.51.100.0/24", 2, 1)] {
        let list = get(&fixture, &format!("/api/v1/attacks?q=ip:{ip}")).await;
        let attack = &list["items"][0];
        let counts = (&attack["hits"], &attack["blocked"], &attack["sources"]);
        assert_eq!(counts, (&json!(hits), &json!(blocked), &json!(1)), "{ip}: {list}");
        let last = attack["last_hit"]["ip"].as_str().unwrap();
        assert!(ip.starts_with(last) || last.starts_with("198.51.100."), "{ip}: {list}");
    }
}

#[tokio::test]
async fn traffic_is_counted_once() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let row = StatisticsRow { application: 1, host: "shop.example".into(), requests: 7, ..StatisticsRow::default() };
    let from = now() / 1000;
    let id = uuid::Uuid::now_v7().to_string();
    let counts = Statistics { id, from, seconds: 30, rows: vec![row], ..Statistics::default() };
    for _ in 0..2 {
        let answer = fixture.bearer(&node, "POST", STATISTICS, &serde_json::to_value(&counts).unwrap()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    }
    let to = (now() / 3_600_000 + 1) * 3_600_000;
    let path = format!("/api/v1/statistics/traffic?by=host&from={}&to={to}", to - 86_400_000);
    let sums = get(&fixture, &path).await;
    assert_eq!(sums["items"][0]["total"]["requests"], 7, "{sums}");
}

#[tokio::test]
async fn the_dashboard_compares_applications_with_the_period_before() {
    let fixture = Fixture::new().await;
    fixture.clock.advance(now() as i64 - BEGIN);
    let node = fixture.node(CAPABILITIES).await;
    let (cookie, _) = fixture.browser(Role::ReadOnly).await;
    let dashboard = async || {
        let shown = fixture.call("GET", "/?range=24h", &[("cookie", &cookie)], b"").await;
        assert_eq!(shown.status, StatusCode::OK, "{shown:?}");
        String::from_utf8(shown.body).unwrap()
    };
    assert!(!dashboard().await.contains("<h2>Applications</h2>"), "there are none");
    for (hours, requests) in [(1, 30), (30, 20)] {
        let row = StatisticsRow { application: 7, host: "shop.example".into(), requests, ..StatisticsRow::default() };
        let (id, from) = (uuid::Uuid::now_v7().to_string(), now() / 1000 - hours * 3_600);
        let counts = Statistics { id, from, seconds: 30, rows: vec![row], ..Statistics::default() };
        let sent = fixture.bearer(&node, "POST", STATISTICS, &serde_json::to_value(&counts).unwrap()).await;
        assert_eq!(sent.status, StatusCode::NO_CONTENT, "{sent:?}");
    }
    let html = dashboard().await;
    let line = html.split("/applications/7?range=24h").nth(1).expect("the application");
    let line = line.split("</tr>").next().unwrap();
    assert!(line.contains("Application 7") && line.contains(">30<small>+50.0% vs. previous period"), "{line}");
}

#[tokio::test]
async fn an_exception_is_proposed_previewed_applied_and_lets_the_request_pass() {
    let fixture = Fixture::new().await;
    fixture.clock.advance(now() as i64 - BEGIN);
    let node = fixture.node(CAPABILITIES).await;
    let (one, same, other) = (
        traversal("/docs/view?file=/etc/passwd"),
        traversal("/docs/view?file=/etc/passwd&n=2"),
        traversal("/other/view?file=/etc/passwd"),
    );
    send(&fixture, &node, &lines(&[one.clone(), same.clone(), other]), false).await;
    let path = format!("/api/v1/hits/{}/exception", one.id);
    let proposed = fixture.as_role(Role::Analyst, "POST", &path, &json!({})).await.json();
    let rule = &proposed["proposal"]["rule"];
    assert_eq!((&rule["type"], &rule["point"]), (&json!("disable_stamp"), &json!([["get", "file"]])), "{proposed}");
    let asked = json!({"proposal": proposed["proposal"]});
    let preview = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules/preview", &asked).await;
    let preview = preview.json();
    assert_eq!((&preview["replayed"], &preview["this"]), (&json!(3), &json!("passes")), "{preview}");
    assert_eq!((&preview["passes"]["count"], &preview["passes"]["shown"][0]["id"]), (&json!(1), &json!(same.id)));
    let request = "GET /docs/view?file=/etc/passwd HTTP/1.1\nHost: shop.example\n\n";
    let test = json!({"request": request, "rule": proposed["proposal"]});
    let tried = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules/test", &test).await.json();
    assert_eq!((&tried["before"]["attack"], &tried["after"]["attack"]), (&json!(true), &json!(false)), "{tried}");
    let made = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &proposed["proposal"]).await;
    assert_eq!((made.status, &made.json()["item"]["from_hit"]), (StatusCode::CREATED, &json!(one.id)));
    let tried = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules/test", &json!({"request": request})).await.json();
    assert_eq!(tried["before"]["attack"], false, "{tried}");
    let elsewhere = json!({"request": request.replace("/docs/", "/other/")});
    let tried = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules/test", &elsewhere).await.json();
    assert_eq!(tried["before"]["attack"], true);
}

#[tokio::test]
async fn the_exception_that_is_proposed_suffices_for_several_findings_and_a_narrower_one_can_be_chosen() {
    let fixture = Fixture::new().await;
    fixture.clock.advance(now() as i64 - BEGIN);
    let node = fixture.node(CAPABILITIES).await;
    let target = "/docs/view?file=../../../../etc/passwd";
    let one = traversal(target);
    assert_eq!(one.findings.len(), 2, "two signatures, each enough for an attack: {one:?}");
    send(&fixture, &node, &lines(std::slice::from_ref(&one)), false).await;
    let path = format!("/api/v1/hits/{}/exception", one.id);
    let outcome = async |choice: Value| {
        let proposed = fixture.as_role(Role::Analyst, "POST", &path, &choice).await.json();
        let asked = json!({"proposal": proposed["proposal"]});
        let preview = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules/preview", &asked).await.json();
        (proposed, preview["this"].clone())
    };
    let (narrow, becomes) = outcome(json!({"subject": 0, "by": "stamp"})).await;
    assert_eq!((&narrow["proposal"]["rule"]["type"], &becomes), (&json!("disable_stamp"), &json!("still_attack")));
    assert_eq!(narrow["left"], json!([{"attack": "ptrav", "point": [["get", "file"]]}]));
    let (proposed, becomes) = outcome(json!({})).await;
    let rule = &proposed["proposal"]["rule"];
    assert_eq!((&rule["type"], &rule["attack_type"]), (&json!("disable_attack_type"), &json!("ptrav")), "{proposed}");
    assert_eq!((&rule["point"], &becomes), (&json!([["get", "file"]]), &json!("passes")));
    assert_eq!((&proposed["choice"]["by"], &proposed["left"]), (&json!("type"), &json!([])));
    fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &proposed["proposal"]).await;
    let attack = async |target: &str| {
        let request = format!("GET {target} HTTP/1.1\nHost: shop.example\n\n");
        let tried = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules/test", &json!({"request": request})).await;
        tried.json()["before"]["attack"].clone()
    };
    assert_eq!(attack(target).await, false);
    assert_eq!(attack(&target.replace("file=", "other=")).await, true, "another parameter");
    assert_eq!(attack("/docs/view?file=%3Cscript%3Ealert(1)%3C/script%3E").await, true, "another type");
}

#[tokio::test]
async fn a_virtual_patch_blocks_in_every_mode() {
    let fixture = Fixture::new().await;
    fixture.clock.advance(now() as i64 - BEGIN);
    let node = fixture.node(CAPABILITIES).await;
    let (one, same) = (traversal("/docs/view?file=/etc/passwd"), traversal("/docs/view?file=/etc/passwd&n=2"));
    send(&fixture, &node, &lines(&[one.clone(), same.clone()]), false).await;
    let path = format!("/api/v1/hits/{}/virtual-patch", one.id);
    let proposed = fixture.as_role(Role::Analyst, "POST", &path, &json!({"method": true})).await.json();
    assert_eq!(proposed["proposal"]["rule"]["type"], "vpatch");
    let asked = json!({"proposal": proposed["proposal"]});
    let preview = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules/preview", &asked).await.json();
    assert_eq!(
        (&preview["this"], &preview["blocked_always"]["count"]),
        (&json!("blocked_always"), &json!(1)),
        "{preview}"
    );
    assert_eq!(preview["passes"]["count"], 0);
}

#[tokio::test]
async fn a_hit_is_explained_step_by_step() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let hit = traversal("/docs?file=L2V0Yy9wYXNzd2Q%3D");
    send(&fixture, &node, &lines(std::slice::from_ref(&hit)), false).await;
    let told = get(&fixture, &format!("/api/v1/hits/{}/explain", hit.id)).await;
    let finding = &told["findings"][0];
    assert_eq!((&finding["reproduced"], finding["rule"]["about"].is_string()), (&json!(true), true), "{told}");
    let steps = finding["steps"].as_array().unwrap();
    let last = steps.last().unwrap();
    assert_eq!(last["point"].as_array().unwrap().last().unwrap(), &json!(["base64"]), "{told}");
    let (start, end) = (last["found"]["start"].as_u64().unwrap(), last["found"]["end"].as_u64().unwrap());
    assert_eq!(&last["value"].as_str().unwrap()[start as usize..end as usize], "/etc/passwd");
    assert!(steps.len() >= 2 && told["request"].as_str().unwrap().starts_with("GET /docs?file="));
    let name = finding["finding"]["rule"].as_str().unwrap();
    assert_eq!(get(&fixture, &format!("/api/v1/signatures/{name}")).await["id"], name);
}

#[tokio::test]
async fn a_page_that_only_reads_does_not_speak_of_a_change() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let mut denied = traversal("/?f=/etc/passwd");
    denied.reason = weir_protocol::code::HitReason::Denylist;
    (denied.attacks, denied.findings) = (vec![AttackType::BlockedSource], Vec::new());
    let (path, body) = (format!("/hits/{}/patch", denied.id), lines(&[denied]));
    assert_eq!(send(&fixture, &node, &body, false).await.json()["stored"], 1);
    let (cookie, _) = fixture.browser(Role::Analyst).await;
    let answer = fixture.call("GET", &path, &[("cookie", &cookie), ("accept", "text/html")], b"").await;
    let page = String::from_utf8_lossy(&answer.body);
    assert_eq!(answer.status, StatusCode::CONFLICT, "{page}");
    assert!(page.contains("Not possible here") && !page.contains("was not saved"), "{page}");
}
