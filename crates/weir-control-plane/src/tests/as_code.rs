//! The policy as a document: what goes out comes in, nothing changes the second time, and the guard holds.

use crate::auth::Role;
use crate::policy::as_code::Document;
use crate::testing::{Answer, Fixture};
use axum::http::StatusCode;
use serde_json::{Value, json};

async fn send(fixture: &Fixture, path: &str, text: &str, confirm: &str) -> Answer {
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let headers = [
        ("cookie", cookie.as_str()),
        ("x-csrf-token", &csrf),
        ("content-type", "application/yaml"),
        ("x-confirm", confirm),
    ];
    fixture.call("POST", path, &headers, text.as_bytes()).await
}

async fn export(fixture: &Fixture) -> String {
    let answer = fixture.as_role(Role::ReadOnly, "GET", "/api/v1/policy/export", &Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK);
    String::from_utf8(answer.body).unwrap()
}

const POLICY: &str = r#"
form: weir-policy/1
general: {mode: block}
applications: {3: {name: "shop: \"new\""}}
rules:
  - rule: {type: disable_stamp, stamp: x.y, point: [["get", "q"]], comment: "it's \u00e9 #1"}
  - groups: [edge]
    rule: {type: regex, regex: '(?i)\b(a|b)\s{2,}"$', attack_type: sqli, point: [["post"], ["json_doc"], ["hash", "a"]]}
ip_lists:
  - {list: deny, value: 192.0.2.1, reason: "- no: [yaml]"}
  - {list: deny, rule_type: country, value: DE, expired_at: 4000000000}
"#;

#[tokio::test]
async fn what_goes_out_comes_in_and_changes_nothing() {
    let fixture = Fixture::new().await;
    let plan = send(&fixture, "/api/v1/policy/diff", POLICY, "").await;
    assert_eq!(plan.status, StatusCode::OK, "{plan:?}");
    assert_eq!(plan.json()["differences"]["shown"].as_array().unwrap().len(), 6, "{plan:?}");
    assert_eq!(fixture.app.policy.head().state.rules.len(), 0, "a difference is only told");
    let made = send(&fixture, "/api/v1/policy/apply", POLICY, "").await;
    assert_eq!((made.status, made.json()["changes"].as_u64()), (StatusCode::OK, Some(6)), "{made:?}");
    let serial = made.json()["serial"].clone();
    let again = send(&fixture, "/api/v1/policy/apply", POLICY, "").await.json();
    assert_eq!((&again["changes"], &again["serial"]), (&json!(0), &serial), "idempotent without ids");
    let text = export(&fixture).await;
    let exported = Document::parse(text.as_bytes()).unwrap();
    assert_eq!(exported, fixture.app.policy_document(), "{text}");
    let exported = send(&fixture, "/api/v1/policy/apply", &text, "").await.json();
    assert_eq!((&exported["changes"], &exported["serial"]), (&json!(0), &serial), "idempotent with ids");
    // On another installation, too.
    let other = Fixture::new().await;
    let moved = send(&other, "/api/v1/policy/apply", &text, "").await;
    assert_eq!(moved.status, StatusCode::OK, "{moved:?}");
    assert_eq!(send(&other, "/api/v1/policy/apply", &text, "").await.json()["changes"], 0);
    assert_eq!(other.app.policy_document(), fixture.app.policy_document());
}

#[tokio::test]
async fn ends_go_out_as_times_and_come_in_as_times_or_seconds() {
    let document = |rule: &str, entry: &str| {
        format!(
            "form: weir-policy/1\nrules:\n  - rule: {{type: vpatch, attack_type: sqli, point: [[get, q]], expired_at: {rule}}}\n\
             ip_lists:\n  - {{list: deny, value: 192.0.2.1, expired_at: {entry}}}\n"
        )
    };
    let fixture = Fixture::new().await;
    let made = send(&fixture, "/api/v1/policy/apply", &document("4000000000", "4000000000"), "").await;
    assert_eq!(made.status, StatusCode::OK, "{made:?}");
    let text = export(&fixture).await;
    assert_eq!(text.matches("expired_at: \"2096-10-02T07:06:40Z\"").count(), 2, "{text}");
    let time = "2096-10-02T09:06:40+02:00";
    for same in [text, document(time, "4000000000"), document("4000000000", time)] {
        let plan = send(&fixture, "/api/v1/policy/diff", &same, "").await.json();
        assert_eq!(plan["differences"]["shown"], json!([]), "{same}");
        assert_eq!(send(&fixture, "/api/v1/policy/apply", &same, "").await.json()["changes"], 0, "{same}");
    }
    let state = &fixture.app.policy.head().state;
    assert_eq!(
        (&state.rules[0].rule["expired_at"], state.ip_lists[0].expired_at),
        (&json!(4_000_000_000u64), Some(4_000_000_000))
    );
    for (wrong, field) in [(document("soon", time), "rules[0]/expired_at"), (document(time, "soon"), "")] {
        let refused = send(&fixture, "/api/v1/policy/apply", &wrong, "").await.json();
        assert_eq!(refused["errors"][0]["field"], field, "{refused}");
        let message = refused["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("expected a time like"), "{message}");
    }
}

#[tokio::test]
async fn sections_that_are_left_out_stay_and_rules_keep_their_ids() {
    let fixture = Fixture::new().await;
    send(&fixture, "/api/v1/policy/apply", POLICY, "").await;
    let only =
        "form: weir-policy/1\nrules:\n  - {id: 2, rule: {type: disable_stamp, stamp: z, point: [[\"get\", \"q\"]]}}\n";
    let changed = send(&fixture, "/api/v1/policy/apply", only, "").await;
    assert_eq!(changed.json()["changes"], 2, "{changed:?}");
    let state = &fixture.app.policy.head().state;
    assert_eq!((state.rules.len(), state.rules[0].id, state.ip_lists.len()), (1, 2, 2));
    assert_eq!(state.base.mode.as_deref(), Some("block"));
    for (wrong, field) in [
        ("form: weir-policy/2\n", "form"),
        ("form: weir-policy/1\nrule: []\n", ""),
        ("form: weir-policy/1\nrules: [{id: 1, rule: {}}, {id: 1, rule: {}}]\n", "rules[1]/id"),
        ("rules: []\n", "form"),
        (
            "form: weir-policy/1\nrules: [{rule: {type: vpatch, attack_type: any}}, {rule: {type: nope}}]\n",
            "rules[1]/type",
        ),
        ("form: weir-policy/1\nip_lists: [{list: block, value: 192.0.2.1}]\n", "0/list"),
        ("a: [", ""),
    ] {
        let refused = send(&fixture, "/api/v1/policy/apply", wrong, "").await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert_eq!(refused.json()["errors"][0]["field"], field, "{refused:?}");
        let planned = send(&fixture, "/api/v1/policy/diff", wrong, "").await;
        assert_eq!(planned.json()["errors"], refused.json()["errors"], "{planned:?}");
    }
}

#[tokio::test]
async fn a_document_that_weakens_protection_is_confirmed_for_its_exact_difference() {
    let fixture = Fixture::new().await;
    let off = "form: weir-policy/1\ngeneral: {mode: off}\n";
    let plan = send(&fixture, "/api/v1/policy/diff", off, "").await.json();
    assert_eq!(plan["confirmation"]["word"], "everywhere", "{plan}");
    let refused = send(&fixture, "/api/v1/policy/apply", off, "").await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_REQUIRED);
    let confirm = refused.json()["confirmation"]["confirm"].as_str().unwrap().to_owned();
    assert_eq!(plan["confirmation"]["confirm"], confirm.as_str(), "the difference names it too");
    let other = "form: weir-policy/1\ngeneral: {mode: monitoring}\n";
    let other = send(&fixture, "/api/v1/policy/apply", other, &confirm).await;
    assert_eq!(other.status, StatusCode::PRECONDITION_REQUIRED, "bound to the difference");
    assert_eq!(send(&fixture, "/api/v1/policy/apply", off, &confirm).await.status, StatusCode::OK);
    let log = fixture.app.audit.list(&crate::audit::Query { limit: 1, ..Default::default() }).await.unwrap();
    assert_eq!(log[0].action, "policy.apply");
}
