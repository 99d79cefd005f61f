//! Changes of the policy, versions, keys, and what nodes get.

use crate::audit::Record;
use crate::auth::Role;
use crate::error::Error;
use crate::packs::Kind;
use crate::policy::service::{Author, Edited};
use crate::policy::{NewRule, PolicyState, RuleEntry};
use crate::testing::Fixture;
use axum::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use std::time::Duration;
use weir_protocol::node_api::{CAPABILITIES, POLICY, SignedPolicy};

fn rule(value: Value) -> NewRule {
    NewRule { rule: value.as_object().unwrap().clone(), ..NewRule::default() }
}

#[tokio::test]
async fn mistakes_are_told_all_at_once_with_their_field_and_nothing_is_published() {
    let fixture = Fixture::new().await;
    let before = fixture.app.policy.head().version.serial;
    let fine = json!({"rule": {"type": "disable_stamp", "stamp": "x", "point": [["get", "q"]]}});
    fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &fine).await;
    let serial = fixture.app.policy.head().version.serial;
    assert!(serial > before);
    let wrong = json!({"rule": {"type": "vpatch", "attack_type": "sqly", "point": [["nope"]],
        "action": [{"type": "equal", "point": ["path", "x"], "value": "a"}]}});
    let answer = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &wrong).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let errors = answer.json()["errors"].clone();
    let mut fields: Vec<&str> = errors.as_array().unwrap().iter().map(|e| e["field"].as_str().unwrap()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["rules/2/action[0].point", "rules/2/attack_type", "rules/2/point"]);
    let regex = json!({"rule": {"type": "regex", "attack_type": "rce", "regex": "("}});
    let answer = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &regex).await;
    assert_eq!(answer.json()["errors"][0]["field"], "rules/2/regex");
    let ips = json!([{"list": "deny", "value": "192.0.2.1"}, {"list": "deny", "value": "not an address"}]);
    let answer = fixture.as_role(Role::Analyst, "POST", "/api/v1/ip-lists", &ips).await;
    assert_eq!(answer.json()["errors"][0]["field"], "ip_lists/2/value", "{answer:?}");
    let mode = fixture.as_role(Role::Analyst, "PUT", "/api/v1/policy/general", &json!({"mode": "blok"})).await;
    assert_eq!(mode.json()["errors"][0]["field"], "mode");
    assert_eq!(fixture.app.policy.head().version.serial, serial);
}

#[tokio::test]
async fn serials_only_rise_and_a_rollback_is_a_new_version() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let mut serials = vec![fixture.app.policy.head().version.serial];
    let mut change = async |mode: &str| {
        let answer =
            fixture.confirmed(Role::Analyst, "PUT", "/api/v1/policy/general", &json!({"mode": mode})).await.json();
        serials.push(answer["serial"].as_u64().unwrap());
    };
    change("monitoring").await;
    change("block").await;
    // A clock that goes back takes no serial with it.
    fixture.clock.advance(-3_600_000);
    change("off").await;
    let off = *serials.last().unwrap();
    let first = serials[1];
    assert!(serials.windows(2).all(|pair| pair[0] < pair[1]), "{serials:?}");
    let path = format!("/api/v1/policy/versions/{first}/rollback");
    let back = fixture.as_role(Role::Analyst, "POST", &path, &Value::Null).await.json();
    assert!(back["serial"].as_u64().unwrap() > off);
    let policy = fixture.poll(&node, off).await.unwrap();
    assert_eq!((policy.policy["mode"].as_str(), policy.serial), (Some("monitoring"), back["serial"].as_u64().unwrap()));
    assert!(fixture.poll(&node, policy.serial).await.is_none());
    let diff =
        fixture.as_role(Role::ReadOnly, "GET", &format!("/api/v1/policy/versions/{off}/diff"), &Value::Null).await;
    assert_eq!(diff.json()["shown"][0]["object"], "general");
    for n in 0..25 {
        let mode = ["block", "monitoring"][n % 2];
        fixture.confirmed(Role::Analyst, "PUT", "/api/v1/policy/general", &json!({"mode": mode})).await;
    }
    assert_eq!(fixture.app.policy.versions().await.unwrap().len(), 20);
    let numbers: Vec<u64> = fixture.app.policy.versions().await.unwrap().iter().map(|one| one.number).collect();
    assert!(numbers.windows(2).all(|pair| pair[0] == pair[1] + 1) && numbers[0] == 30, "{numbers:?}");
    let gone = fixture.as_role(Role::Analyst, "POST", &path, &Value::Null).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND, "only the last twenty are kept");
}

#[tokio::test]
async fn ids_of_rules_are_never_used_twice() {
    let fixture = Fixture::new().await;
    let caller = fixture.caller(Role::Analyst).await;
    let new = || rule(json!({"type": "disable_stamp", "stamp": "x", "point": [["get", "q"]]}));
    let empty = fixture.app.policy.head().version.serial;
    let first = fixture.app.create_rule(&caller, new()).await.unwrap().value.id;
    fixture.app.rollback(&caller, empty).await.unwrap();
    assert!(fixture.app.policy.head().state.rules.is_empty());
    assert!(fixture.app.create_rule(&caller, new()).await.unwrap().value.id > first);
}

#[tokio::test]
async fn a_change_wakes_a_long_poll_and_comes_signed() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let now = fixture.app.policy.head().version.serial;
    let path = format!("{POLICY}?after={now}&wait=30");
    let waiting = fixture.bearer(&node, "GET", &path, &Value::Null);
    let changing = async {
        // The poll waits already: both run on one thread, in this order.
        tokio::task::yield_now().await;
        fixture.as_role(Role::Analyst, "PUT", "/api/v1/policy/general", &json!({"mode": "block"})).await
    };
    let both = async { tokio::join!(waiting, changing) };
    let (polled, _) = tokio::time::timeout(Duration::from_secs(25), both).await.expect("woken, not timed out");
    let signed: SignedPolicy = serde_json::from_slice(&polled.body).unwrap();
    let key = STANDARD.decode(fixture.app.policy.key().public_key).unwrap();
    let message = ["weir policy v1\n", &signed.document].concat();
    UnparsedPublicKey::new(&ED25519, key)
        .verify(message.as_bytes(), &STANDARD.decode(signed.signature).unwrap())
        .unwrap();
}

#[tokio::test]
async fn nodes_get_nothing_that_they_do_not_understand() {
    let fixture = Fixture::new().await;
    let (new, old, ancient) =
        (fixture.node(CAPABILITIES).await, fixture.node(&["policy.1", "dance.1"]).await, fixture.node(&[]).await);
    let caller = fixture.caller(Role::Analyst).await;
    let blob = |name: &str| weir_protocol::node_api::Blob {
        name: name.into(),
        version: "1".into(),
        sha256: "0".repeat(64),
        bytes: 1,
    };
    fixture
        .app
        .policy
        .change(&Author::of(&caller), "packs", |state| {
            state.rule_packs = vec![blob("own")];
            state.databases = vec![blob("country")];
            Ok(Edited { value: (), record: Record::new("packs", "", (), ())? })
        })
        .await
        .unwrap();
    let (full, less) = (fixture.poll(&new, 0).await.unwrap(), fixture.poll(&old, 0).await.unwrap());
    assert_eq!((full.rule_packs.len(), full.databases.len(), full.requires.len()), (1, 1, 3));
    assert_eq!((less.rule_packs.len(), less.databases.len()), (0, 0));
    assert_eq!(less.requires, ["policy.1"]);
    assert!(fixture.poll(&ancient, 0).await.is_none());
    // A node that was upgraded says so with its heartbeat.
    let beat = json!({"version": "2", "capabilities": CAPABILITIES});
    fixture.bearer(&ancient, "POST", weir_protocol::node_api::HEARTBEAT, &beat).await;
    assert_eq!(fixture.poll(&ancient, 0).await.unwrap().requires.len(), 3);
}

#[tokio::test]
async fn signatures_of_packs_are_among_the_others() {
    let fixture = Fixture::new().await;
    let pack =
        "- {id: rce.own, attack: rce, about: a, pattern: xyzzy, confidence: high, positive: [xyzzy], negative: [a]}";
    let (cookie, _) = fixture.browser(Role::ReadOnly).await;
    let status = async |path: &str| fixture.call("GET", path, &[("cookie", &cookie)], b"").await;
    assert_eq!(status("/catalogue/rce.own").await.status, StatusCode::NOT_FOUND);
    let admin = fixture.caller(Role::Administrator).await;
    fixture.app.upload_pack(&admin, Kind::RulePack, "own", pack.into(), "", true).await.unwrap();
    for path in ["/catalogue?q=rce.own", "/catalogue/rce.own"] {
        let answer = status(path).await;
        let page = String::from_utf8_lossy(&answer.body);
        assert!(answer.status == StatusCode::OK && page.contains("rce.own") && page.contains("rule pack"), "{page}");
    }
    assert_eq!(status("/catalogue/sqli.grammar").await.status, StatusCode::OK);
}

#[tokio::test]
async fn packs_are_changed_by_administrators_alone_also_by_a_rollback() {
    let fixture = Fixture::new().await;
    let first = fixture.app.policy.head().version.serial;
    let pack =
        "- {id: rce.own, attack: rce, about: a, pattern: xyzzy, confidence: high, positive: [xyzzy], negative: [a]}";
    let [admin, analyst] = [fixture.caller(Role::Administrator).await, fixture.caller(Role::Analyst).await];
    let made = fixture.app.upload_pack(&admin, Kind::RulePack, "own", pack.into(), "", true).await.unwrap();
    assert!(made.0.active);
    let (cookie, csrf) = fixture.browser(Role::Administrator).await;
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str())];
    let long = vec![b' '; crate::packs::MAX_PACK + 1];
    let large = fixture.call("POST", "/api/v1/rule-packs/own", &headers, &long).await;
    assert_eq!(large.status, StatusCode::PAYLOAD_TOO_LARGE, "{large:?}");
    assert_eq!(large.json()["detail"], Error::TooLarge(crate::packs::MAX_PACK).to_string());
    let refused = fixture.app.rollback(&analyst, first).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden(_)), "{refused}");
    assert_eq!(fixture.app.policy.head().state.rule_packs.len(), 1);
    let trial = fixture.app.rule_files().await.unwrap();
    assert!(
        trial.iter().any(|(name, text)| name == "rule pack own" && text == pack),
        "people try requests with it, too"
    );
    fixture.app.rollback(&admin, first).await.unwrap();
    assert!(fixture.app.policy.head().state.rule_packs.is_empty());
    let kept = fixture.app.remove_pack(&admin, Kind::RulePack, "own", 1).await.unwrap_err();
    assert!(matches!(kept, Error::Conflict(_)), "a kept version of the policy names it: {kept}");
}

#[tokio::test]
async fn groups_have_their_own_and_what_is_for_all() {
    let fixture = Fixture::new().await;
    let caller = fixture.caller(Role::Analyst).await;
    let mut edge = rule(json!({"type": "disable_stamp", "stamp": "edge", "point": [["get", "q"]]}));
    edge.groups = vec!["edge".into()];
    fixture.app.create_rule(&caller, edge).await.unwrap();
    fixture
        .app
        .create_rule(&caller, rule(json!({"type": "disable_stamp", "stamp": "all", "point": [["get", "q"]]})))
        .await
        .unwrap();
    fixture.confirmed(Role::Analyst, "PUT", "/api/v1/policy/general", &json!({"mode": "monitoring"})).await;
    fixture.as_role(Role::Analyst, "PUT", "/api/v1/policy/groups/edge", &json!({"mode": "block"})).await;
    let understands = crate::policy::Understands::all();
    let stamps = async |group: &str| {
        let signed = fixture.app.policy.signed(group, &understands).await.unwrap().unwrap();
        let payload: weir_protocol::node_api::PolicyPayload = serde_json::from_str(&signed.document).unwrap();
        let rules = payload.policy["rules"].as_array().unwrap().clone();
        let stamps: Vec<String> = rules.iter().map(|rule| rule["stamp"].as_str().unwrap().to_owned()).collect();
        (payload.policy["mode"].as_str().unwrap().to_owned(), stamps)
    };
    assert_eq!(stamps("edge").await, ("block".into(), vec!["edge".to_owned(), "all".into()]));
    assert_eq!(stamps("default").await, ("monitoring".into(), vec!["all".to_owned()]));
}

#[tokio::test]
async fn a_new_key_is_vouched_for_by_the_old_one_and_survives_a_restart() {
    let fixture = Fixture::new().await;
    let first = fixture.app.policy.key();
    let rotated = fixture.as_role(Role::Administrator, "POST", "/api/v1/policy/rotate-key", &Value::Null).await;
    assert_eq!(rotated.status, StatusCode::OK, "{rotated:?}");
    let understands = crate::policy::Understands::all();
    let signed = fixture.app.policy.signed("default", &understands).await.unwrap().unwrap();
    assert_eq!((signed.chain.len(), &signed.chain[0].signed_by), (1, &first.key_id));
    let new = STANDARD.decode(&signed.chain[0].key.public_key).unwrap();
    let message = [b"weir policy key v1\n", new.as_slice()].concat();
    let old = STANDARD.decode(&first.public_key).unwrap();
    let signature = STANDARD.decode(&signed.chain[0].signature).unwrap();
    UnparsedPublicKey::new(&ED25519, old).verify(&message, &signature).unwrap();
    let other = Fixture::open(&fixture.dir, fixture.clock.clone()).await;
    assert_eq!(other.policy.key(), signed.chain[0].key);
    assert_eq!(other.policy.head().version.serial, fixture.app.policy.head().version.serial);
    // A replica that runs takes both over.
    fixture.as_role(Role::Administrator, "POST", "/api/v1/policy/rotate-key", &Value::Null).await;
    other.policy.refresh().await.unwrap();
    assert_eq!(other.policy.key(), fixture.app.policy.key());
    assert_eq!(other.policy.head().version, fixture.app.policy.head().version);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(fixture.dir.path().join("policy-key.pem")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_key_that_is_not_the_one_in_use_stops_the_start() {
    let fixture = Fixture::new().await;
    let file = fixture.dir.path().join("policy-key.pem");
    std::fs::remove_file(&file).unwrap();
    let pool = fixture.app.store.control();
    let missing = crate::policy::SigningKey::open(&file, pool, 0).await.unwrap_err();
    assert!(missing.to_string().contains("policy-key.pem"), "{missing}");
    let other = Fixture::new().await;
    std::fs::copy(other.dir.path().join("policy-key.pem"), &file).unwrap();
    let wrong = crate::policy::SigningKey::open(&file, pool, 0).await.unwrap_err();
    assert!(wrong.to_string().contains("not the key that signs policies now"), "{wrong}");
}

#[tokio::test]
async fn changes_of_two_replicas_are_both_kept() {
    let fixture = Fixture::new().await;
    let other = Fixture::open(&fixture.dir, fixture.clock.clone()).await;
    let add = |name: &'static str| {
        move |state: &mut PolicyState| {
            let rule = rule(json!({"type": "disable_stamp", "stamp": name, "point": [["get", "q"]]})).rule;
            let id = state.next_rule;
            state.next_rule += 1;
            let (groups, from_hit, created_by) = (Vec::new(), String::new(), String::new());
            state.rules.push(RuleEntry { id, groups, rule, from_hit, created_by, created_at: 0, updated_at: 0 });
            Ok(Edited { value: (), record: Record::new("rule.create", name, (), ())? })
        }
    };
    for (one, two) in [("a", "b"), ("c", "d")] {
        fixture.app.policy.change(&Author::process("x"), "", add(one)).await.unwrap();
        other.policy.change(&Author::process("y"), "", add(two)).await.unwrap();
    }
    fixture.app.policy.refresh().await.unwrap();
    let head = fixture.app.policy.head();
    let stamps: Vec<&str> = head.state.rules.iter().map(|rule| rule.rule["stamp"].as_str().unwrap()).collect();
    assert_eq!(stamps, ["a", "b", "c", "d"]);
}

#[tokio::test]
async fn listed_values_are_imported_found_renewed_and_removed() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), ("content-type", "text/plain")];
    let path = "/api/v1/ip-lists/import?list=deny&reason=feed";
    let answer = fixture.call("POST", path, &headers, b"192.0.2.1\n# comment\n198.51.100.0/24\n").await;
    assert_eq!(answer.json()["item"], json!({"added": 2, "renewed": 0}));
    let again = json!([{"list": "deny", "value": "192.0.2.1", "expired_at": 4_000_000_000u64}]);
    let answer = fixture.as_role(Role::Analyst, "POST", "/api/v1/ip-lists", &again).await;
    assert_eq!(answer.json()["item"], json!({"added": 0, "renewed": 1}));
    let found = fixture.as_role(Role::ReadOnly, "GET", "/api/v1/ip-lists?search=192.0", &Value::Null).await.json();
    assert_eq!(found["items"][0]["expired_at"], 4_000_000_000u64);
    let id = found["items"][0]["id"].as_u64().unwrap();
    let first = fixture.as_role(Role::ReadOnly, "GET", "/api/v1/ip-lists?limit=1", &Value::Null).await.json();
    let next = format!("/api/v1/ip-lists?limit=1&after={}", first["next"].as_str().unwrap());
    let second = fixture.as_role(Role::ReadOnly, "GET", &next, &Value::Null).await.json();
    assert_eq!((second["items"][0]["value"].as_str(), &second["next"]), (Some("198.51.100.0/24"), &Value::Null));
    let removed = fixture.as_role(Role::Analyst, "DELETE", &format!("/api/v1/ip-lists/{id}"), &Value::Null).await;
    assert_eq!(removed.status, StatusCode::OK);
    let export = fixture.as_role(Role::ReadOnly, "GET", "/api/v1/ip-lists/export", &Value::Null).await;
    assert!(String::from_utf8(export.body).unwrap().contains("deny,ip_range,198.51.100.0/24"));
}

#[tokio::test]
async fn nodes_go_inactive_and_are_removed() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let seen =
        async || fixture.as_role(Role::ReadOnly, "GET", "/api/v1/nodes", &Value::Null).await.json()["items"].clone();
    assert_eq!(seen().await[0]["active"], true);
    fixture.clock.advance(120_000);
    assert_eq!(seen().await[0]["active"], false);
    fixture.bearer(&node, "POST", weir_protocol::node_api::HEARTBEAT, &json!({"version": "1"})).await;
    assert_eq!(seen().await[0]["active"], true);
    fixture.clock.advance(24 * 3_600_000);
    let mut on = fixture.app.store.control().write().acquire().await.unwrap();
    assert_eq!(fixture.app.nodes.sweep(&mut on).await.unwrap(), 1);
    drop(on);
    assert_eq!(
        fixture.bearer(&node, "POST", weir_protocol::node_api::HEARTBEAT, &json!({})).await.status,
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn listed_values_that_no_database_lets_act_are_told() {
    let fixture = Fixture::new().await;
    let listed =
        json!([{"list": "deny", "rule_type": "country", "value": "FR"}, {"list": "deny", "value": "192.0.2.1"}]);
    let answer = fixture.as_role(Role::Analyst, "POST", "/api/v1/ip-lists", &listed).await.json();
    let notices = answer["notices"].as_array().unwrap();
    assert_eq!((notices.len(), &notices[0]["field"]), (1, &json!("ip_lists/1/value")), "{answer}");
    assert!(notices[0]["message"].as_str().unwrap().contains("database of countries"), "{answer}");
    let page = fixture.as_role(Role::Analyst, "GET", "/lists?list=deny", &Value::Null).await;
    assert!(String::from_utf8(page.body).unwrap().contains("no effect without a database of countries"));
}

#[tokio::test]
async fn a_rollback_shows_first_what_it_would_change() {
    let fixture = Fixture::new().await;
    let general = "/api/v1/policy/general";
    fixture.confirmed(Role::Analyst, "PUT", general, &json!({"mode": "monitoring"})).await;
    let old = fixture.app.policy.head().version.serial;
    fixture.as_role(Role::Analyst, "PUT", general, &json!({"mode": "block"})).await;
    assert_eq!(fixture.app.policy.head().version.note, "filtration mode: monitoring \u{2192} blocking");
    let page = fixture.as_role(Role::Analyst, "GET", &format!("/policy/{old}?back=1"), &Value::Null).await;
    let page = String::from_utf8(page.body).unwrap();
    assert!(page.contains("Filtration mode: blocking \u{2192} monitoring."), "{page}");
    assert!(page.contains("Roll back to version 2"), "{page}");
    fixture.confirmed(Role::Analyst, "POST", &format!("/api/v1/policy/versions/{old}/rollback"), &Value::Null).await;
    assert_eq!(fixture.app.policy.head().version.note, "back to version 2", "as the pages number it");
    let log =
        fixture.as_role(Role::Administrator, "GET", "/api/v1/audit?action=policy.rollback", &Value::Null).await.json();
    let record = &log["items"][0];
    assert_eq!([&record["before"]["version"], &record["after"]["version"]], [&json!(3), &json!(2)], "{log}");
    fixture.as_role(Role::Analyst, "PUT", general, &json!({"mode": "block"})).await;
    let made = json!({"rule": {"type": "disable_stamp", "stamp": "x", "point": [["get", "q"]]}});
    fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &made).await;
    let dashboard = fixture.as_role(Role::ReadOnly, "GET", "/", &Value::Null).await;
    let dashboard = String::from_utf8(dashboard.body).unwrap();
    assert!(
        dashboard.contains(">blocking<") && dashboard.contains("Rule 1</a>: Ignores matches of signature x"),
        "{dashboard}"
    );
}

#[tokio::test]
async fn a_signature_whose_name_is_misspelt_is_named() {
    let fixture = Fixture::new().await;
    let make = async |stamp: &str| {
        let rule = json!({"rule": {"type": "disable_stamp", "stamp": stamp, "point": [["get", "q"]]}});
        let made = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &rule).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
        made.json()["notices"].to_string()
    };
    for known in ["sqli.grammar", "ptrav.etc-passwd", "anomaly.cl_te_conflict", "limit.gql_depth"] {
        assert_eq!(make(known).await, "[]", "{known}");
    }
    for (stamp, says) in [
        ("sqli.gramar", "called `sqli.gramar`: did you mean `sqli.grammar`?"),
        ("anomaly.cl_te_conflikt", "did you mean `anomaly.cl_te_conflict`?"),
        ("own.pack.of-a-team", "it acts only where nodes have rules of their own"),
        ("custom.77", "no custom signature is called `custom.77`"),
        ("abuse.77", "no rule on behaviour is called `abuse.77`"),
        ("list.deny", "exceptions do not let a denylisted source pass"),
    ] {
        let notices = make(stamp).await;
        assert!(notices.contains(says), "{stamp}: {notices}");
    }
    // The form says so before anybody relies on the rule.
    let form = "stamp=sqli.gramar&host=shop.example";
    let checked = fixture.form(Role::Analyst, "/rules/check/disable_stamp", form).await;
    let page = String::from_utf8(checked.body).unwrap();
    assert!(page.contains("did you mean `sqli.grammar`?") && page.contains("See note"), "{page}");
    assert!(!page.contains(">Valid<"), "{page}");
}

#[tokio::test]
async fn what_would_be_over_before_it_acts_is_refused() {
    let fixture = Fixture::new().await;
    let post = async |path: &str, body: Value| fixture.as_role(Role::Analyst, "POST", path, &body).await;
    let rule = |end: u64| json!({"rule": {"type": "vpatch", "attack_type": "sqli", "point": [["get", "q"]], "expired_at": end}});
    let refused = post("/api/v1/rules", rule(1)).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    assert!(refused.json().to_string().contains("has passed already"), "{refused:?}");
    let entry = |value: &str, end: Value| json!({"list": "deny", "value": value, "expired_at": end});
    for end in [0, 1] {
        let refused = post("/api/v1/ip-lists", entry("10.0.0.300", end.into())).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{refused:?}");
    }
    // A list with some entries that are over can be taken over.
    let both = json!([entry("192.0.2.1", Value::Null), entry("192.0.2.2", 1.into())]);
    assert_eq!(post("/api/v1/ip-lists", both).await.status, StatusCode::CREATED);
    // One that came to its end can still be changed and switched off.
    let far = fixture.app.clock.seconds() + 100;
    let made = post("/api/v1/rules", rule(far)).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
}
