//! Changes that weaken protection or block everywhere, on every way in; and the audit log as part of a change.

use super::events::{lines, now, send, traversal};
use crate::auth::Role;
use crate::packs::Kind;
use crate::testing::{BEGIN, Fixture};
use axum::http::StatusCode;
use serde_json::{Value, json};
use weir_protocol::node_api::CAPABILITIES;

const RULES: &str = "/api/v1/rules";
/// Base64 of the 32 bytes of a key.
const KEY: &str = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=";
const GENERAL: &str = "/api/v1/policy/general";

fn empty_exception() -> Value {
    json!({"rule": {"type": "disable_attack_type", "attack_type": "any"}})
}

/// A control plane that has seen two attacks of three hits.
async fn with_hits() -> Fixture {
    let fixture = Fixture::new().await;
    fixture.clock.advance(now() as i64 - BEGIN);
    let node = fixture.node(CAPABILITIES).await;
    let hits = ["/docs/view?file=/etc/passwd", "/docs/view?file=/etc/passwd", "/other/view?path=/etc/passwd"];
    send(&fixture, &node, &lines(&hits.map(traversal)), false).await;
    fixture
}

#[tokio::test]
async fn an_exception_without_a_scope_says_what_it_would_do_and_waits_for_confirmation() {
    let fixture = with_hits().await;
    let serial = fixture.app.policy.head().version.serial;
    let refused = fixture.as_role(Role::Analyst, "POST", RULES, &empty_exception()).await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_REQUIRED, "{refused:?}");
    let problem = refused.json();
    let asked = &problem["confirmation"];
    assert_eq!((&asked["word"], &asked["changes"][0]["weakens"]), (&json!("everywhere"), &json!(true)));
    let effect = &asked["effect"];
    assert_eq!((&effect["let_through"], &effect["attacks"]), (&json!(3), &json!(2)), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("would let through 3 hits of 2 attacks"), "{problem}");
    assert_eq!(fixture.app.policy.head().version.serial, serial, "nothing was published");
    let made = fixture.confirmed(Role::Analyst, "POST", RULES, &empty_exception()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}

#[tokio::test]
async fn every_way_to_a_weaker_policy_is_guarded() {
    let fixture = Fixture::new().await;
    let refused = async |method: &str, path: &str, body: Value| {
        let answer = fixture.as_role(Role::Analyst, method, path, &body).await;
        (answer.status == StatusCode::PRECONDITION_REQUIRED).then(|| answer.json()["confirmation"]["word"].clone())
    };
    let everywhere = Some(json!("everywhere"));
    fixture.as_role(Role::Analyst, "PUT", GENERAL, &json!({"mode": "monitoring"})).await;
    fixture.confirmed(Role::Analyst, "PUT", GENERAL, &json!({"mode": "monitoring"})).await;
    let monitoring = fixture.app.policy.head().version.serial;
    assert_eq!(refused("PUT", GENERAL, json!({"mode": "block"})).await, None);
    assert_eq!(refused("PUT", GENERAL, json!({"mode": "off"})).await, everywhere);
    let back = format!("/api/v1/policy/versions/{monitoring}/rollback");
    assert_eq!(refused("POST", &back, Value::Null).await, everywhere, "a rollback");
    let host = json!([{"type": "equal", "point": ["header", "HOST"], "value": "shop.example"}]);
    let mode = json!({"rule": {"type": "wallarm_mode", "mode": "off", "action": host}});
    assert_eq!(refused("POST", RULES, mode).await, Some(json!("shop.example")));
    assert_eq!(refused("POST", RULES, json!({"rule": {"type": "vpatch", "attack_type": "any"}})).await, everywhere);
    let all = json!([{"list": "allow", "value": "0.0.0.0/1"}, {"list": "allow", "value": "128.0.0.0/1"}]);
    assert_eq!(refused("POST", "/api/v1/ip-lists", all).await, everywhere);
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), ("content-type", "text/plain")];
    let import = fixture.call("POST", "/api/v1/ip-lists/import?list=deny", &headers, b"::/0\n192.0.2.1\n").await;
    assert_eq!(import.status, StatusCode::PRECONDITION_REQUIRED, "{import:?}");
    // A rule that was made switched off is switched on.
    let mut off = empty_exception();
    off["rule"]["enabled"] = json!(false);
    let id = fixture.as_role(Role::Analyst, "POST", RULES, &off).await.json()["item"]["id"].as_u64().unwrap();
    assert_eq!(refused("PUT", &format!("{RULES}/{id}"), empty_exception()).await, everywhere);
    let head = fixture.app.policy.head();
    assert_eq!((head.state.rules.len(), head.state.ip_lists.len()), (1, 0));
}

/// Sends a form of the Console.
async fn form(fixture: &Fixture, path: &str, fields: &str) -> crate::testing::Answer {
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let kind = "application/x-www-form-urlencoded";
    let headers = [("cookie", cookie.as_str()), ("content-type", kind), ("accept", "text/html")];
    fixture.call("POST", path, &headers, format!("csrf={csrf}&{fields}").as_bytes()).await
}

/// The value of a hidden field.
fn hidden<'p>(page: &'p str, name: &str) -> &'p str {
    let (_, rest) = page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('"').next().unwrap()
}

#[tokio::test]
async fn the_console_asks_to_type_what_the_change_is_about() {
    let fixture = with_hits().await;
    let fields = "attack_type=any&comment=why%20%3Cnot%3E";
    let asked = form(&fixture, "/rules/new/disable_attack_type", fields).await;
    assert_eq!(asked.status, StatusCode::PRECONDITION_REQUIRED);
    let page = String::from_utf8(asked.body).unwrap();
    assert!(page.contains("would let through 3 hits of 2 attacks"), "{page}");
    assert!(
        page.contains("Type <code class=\"data\">everywhere</code>") && page.contains("why &#60;not&#62;"),
        "{page}"
    );
    let confirm = hidden(&page, "confirm");
    let unsure = format!("{fields}&confirm={confirm}&confirm_word=yes");
    let wrong = form(&fixture, "/rules/new/disable_attack_type", &unsure).await;
    assert_eq!(wrong.status, StatusCode::PRECONDITION_REQUIRED, "the hash alone is not enough here");
    assert!(String::from_utf8(wrong.body).unwrap().contains("another word was typed"));
    assert!(fixture.app.policy.head().state.rules.is_empty());
    let sure = format!("{fields}&confirm={confirm}&confirm_word=everywhere");
    let made = form(&fixture, "/rules/new/disable_attack_type", &sure).await;
    assert_eq!((made.status, made.header("location")), (StatusCode::SEE_OTHER, "/rules?done=rule&n=1"), "{made:?}");
    assert_eq!(fixture.app.policy.head().state.rules[0].rule["comment"], "why <not>");
    let mode = form(&fixture, "/settings/mode", "mode=off").await;
    assert_eq!(mode.status, StatusCode::PRECONDITION_REQUIRED);
}

#[tokio::test]
async fn a_change_whose_audit_line_cannot_be_stored_is_not_made() {
    let fixture = Fixture::new().await;
    let caller = fixture.caller(Role::Administrator).await;
    let fail = "CREATE TRIGGER no_audit BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END";
    sqlx::query(fail).execute(fixture.app.store.control().write()).await.unwrap();
    let serial = fixture.app.policy.head().version.serial;
    let scoped = json!({"rule": {"type": "disable_stamp", "stamp": "x", "point": [["get", "q"]]}});
    let refused = fixture.as_role(Role::Analyst, "POST", RULES, &scoped).await;
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR, "{refused:?}");
    fixture.app.policy.refresh().await.unwrap();
    assert_eq!(fixture.app.policy.head().version.serial, serial, "nothing is in force without its line");
    assert!(fixture.app.rotate_key(&caller).await.is_err());
    let sink = json!({"name": "siem", "target": {"kind": "webhook", "url": "https://siem.example/in"},
        "feeds": ["new_hits"]});
    let refused = fixture.as_role(Role::Administrator, "POST", "/api/v1/sinks", &sink).await;
    assert_eq!(refused.status, StatusCode::INTERNAL_SERVER_ERROR, "{refused:?}");
    assert!(fixture.app.sinks.list().await.unwrap().is_empty(), "no sink");
    let new = crate::packs::NewMirror { url: "https://rules.example/a".into(), public_key: KEY.into(), period: 3_600 };
    assert!(fixture.app.set_mirror(&caller, Kind::RulePack, "own", &new).await.is_err());
    assert!(fixture.app.mirrors().await.unwrap().is_empty(), "no mirror");
    let pack =
        "- {id: rce.own, attack: rce, about: b, pattern: xyzzy, confidence: high, positive: [xyzzy], negative: [a]}";
    assert!(fixture.app.upload_pack(&caller, Kind::RulePack, "own", pack.into(), "", false).await.is_err());
    assert!(fixture.app.packs(Kind::RulePack).await.unwrap().is_empty(), "no version");
    let body = json!({"login": "admin", "password": crate::testing::PASSWORD}).to_string();
    let kind = [("content-type", "application/json")];
    let login = fixture.call("POST", "/api/v1/session", &kind, body.as_bytes()).await;
    assert_eq!(login.status, StatusCode::INTERNAL_SERVER_ERROR, "{login:?}");
    let admin = fixture.app.users.list().await.unwrap().into_iter().find(|user| user.login == "admin").unwrap();
    assert_eq!(admin.last_login_at, None, "no login");
    let register = json!({"group": "default", "name": "n", "role": "processing", "version": "1", "capabilities": []});
    let node = fixture.bearer(crate::testing::DEPLOY, "POST", weir_protocol::node_api::REGISTER, &register).await;
    assert_eq!(node.status, StatusCode::INTERNAL_SERVER_ERROR, "{node:?}");
    assert!(fixture.app.nodes.list().await.unwrap().is_empty(), "no node");
    sqlx::query("DROP TRIGGER no_audit").execute(fixture.app.store.control().write()).await.unwrap();
    let made = fixture.as_role(Role::Analyst, "POST", RULES, &scoped).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}

/// Uploads a file to the address lists.
async fn upload(fixture: &Fixture, parts: &[(&str, &str)]) -> crate::testing::Answer {
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let mut body = String::new();
    for (name, value) in [("csrf", csrf.as_str()), ("list", "allow")].iter().chain(parts) {
        let file = if *name == "file" { "; filename=\"list.csv\"\r\nContent-Type: text/csv" } else { "" };
        body.push_str(&format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n"));
    }
    body.push_str("--B--\r\n");
    let headers =
        [("cookie", cookie.as_str()), ("content-type", "multipart/form-data; boundary=B"), ("accept", "text/html")];
    fixture.call("POST", "/lists/import", &headers, body.as_bytes()).await
}

#[tokio::test]
async fn an_uploaded_list_that_weakens_protection_is_confirmed_with_the_same_content() {
    let fixture = Fixture::new().await;
    let file = ("file", "value,reason\n0.0.0.0/1,\"a, <b>\"\n128.0.0.0/1,\n");
    let asked = upload(&fixture, &[file]).await;
    assert_eq!(asked.status, StatusCode::PRECONDITION_REQUIRED);
    let page = String::from_utf8(asked.body).unwrap();
    assert!(
        page.contains("enctype=\"multipart/form-data\"") && page.contains("0.0.0.0/1,&#34;a, &#60;b&#62;&#34;"),
        "{page}"
    );
    let confirm = hidden(&page, "confirm").to_owned();
    let unsure = upload(&fixture, &[file, ("confirm", &confirm), ("confirm_word", "")]).await;
    assert_eq!(unsure.status, StatusCode::PRECONDITION_REQUIRED);
    let other = ("file", "value,reason\n::/0,\n");
    let other = upload(&fixture, &[other, ("confirm", &confirm), ("confirm_word", "everywhere")]).await;
    assert_eq!(other.status, StatusCode::PRECONDITION_REQUIRED, "bound to the difference");
    let made = upload(&fixture, &[file, ("confirm", &confirm), ("confirm_word", "everywhere")]).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{made:?}");
    let head = fixture.app.policy.head();
    assert_eq!(head.state.ip_lists.iter().map(|one| one.reason.as_str()).collect::<Vec<_>>(), ["a, <b>", ""]);
}
