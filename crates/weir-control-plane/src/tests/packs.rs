//! Rule packs that take the place of what ships with nodes.

use crate::auth::Role;
use crate::error::Error;
use crate::packs::Kind;
use crate::policy::service::Author;
use crate::testing::{Answer, Fixture};
use axum::http::StatusCode;
use serde_json::{Value, json};
use weir_core::ruleset::builtin;

const ONE: &str = "- id: rce.pack-sample\n  attack: rce\n  about: One.\n  pattern: 'xyzzy-plugh'\n  confidence: high\n  \
                   positive: [xyzzy-plugh]\n  negative: [xyzzy]\n";

/// The embedded virtual patches as one file, as a newer pack would have them.
fn patches() -> String {
    let files = builtin::files().into_iter().filter(|(path, _)| path.starts_with("cve/"));
    files.map(|(_, text)| format!("{text}\n")).collect()
}

/// `text` without its first signature.
fn without_first(text: &str) -> String {
    let first = text.find("- id: ").unwrap();
    let second = text[first + 1..].find("- id: ").unwrap() + first + 1;
    format!("{}{}", &text[..first], &text[second..])
}

async fn activate(fixture: &Fixture, name: &str, text: &str) -> (u64, Answer) {
    let author = Author { name: "user:a".into(), address: "192.0.2.1".into(), ..Author::default() };
    let stored = fixture.app.store_pack(Kind::RulePack, name, text.into(), "", &author).await.unwrap();
    let version = stored.0.version;
    let path = format!("/api/v1/rule-packs/{name}/versions/{version}/activate");
    (version, fixture.as_role(Role::Administrator, "POST", &path, &Value::Null).await)
}

#[tokio::test]
async fn what_was_checked_when_it_came_is_not_compiled_again_when_it_is_put_in_use() {
    let fixture = Fixture::new().await;
    let author = Author { name: "user:a".into(), address: "192.0.2.1".into(), ..Author::default() };
    let runs = || fixture.app.packs.compilations();
    let store = async |name: &str, text: &str| {
        fixture.app.store_pack(Kind::RulePack, name, text.into(), "", &author).await.unwrap().0.version
    };
    let use_it = async |name: &str, version: u64| {
        fixture.app.use_pack(Kind::RulePack, name, version, &author, "rule_pack.activate").await.map(drop)
    };
    let first = store("one", ONE).await;
    use_it("one", first).await.unwrap();
    assert_eq!(runs(), 1);
    // Beside another pack it is another set of files: it is checked, for the id may be taken there.
    let second = store("two", &ONE.replace("sample", "other").replace("xyzzy", "quux")).await;
    use_it("two", second).await.unwrap();
    assert_eq!(runs(), 2);
    store("one", ONE).await;
    assert_eq!(runs(), 3);
    let taken = fixture.app.store_pack(Kind::RulePack, "three", ONE.into(), "", &author).await;
    assert!(matches!(taken, Err(Error::Invalid(_))), "{taken:?}");
    assert_eq!(runs(), 4);
}

#[tokio::test]
async fn a_pack_in_the_place_of_all_signatures_has_to_be_confirmed() {
    let fixture = Fixture::new().await;
    let (_, own) = activate(&fixture, "own", ONE).await;
    assert_eq!(own.status, StatusCode::OK, "a pack beside the others takes nothing away: {own:?}");
    let gone = "/api/v1/rule-packs/own/deactivate";
    assert_eq!(fixture.as_role(Role::Administrator, "POST", gone, &Value::Null).await.status, StatusCode::OK);
    let first = fixture.app.policy.head().version.serial;

    let (version, refused) = activate(&fixture, "builtin", ONE).await;
    assert_eq!(refused.status, StatusCode::PRECONDITION_REQUIRED, "{refused:?}");
    let asked = refused.json()["confirmation"].clone();
    let all = builtin::ids().len();
    let says = asked["changes"][0]["says"].as_str().unwrap();
    assert!(says.starts_with(&format!("{all} of {all} built-in signatures are not in force any more (")), "{says}");
    assert_eq!((&asked["word"], &asked["changes"][0]["weakens"]), (&json!("everywhere"), &json!(true)));
    assert!(fixture.app.policy.head().state.rule_packs.is_empty(), "nothing was put in use");

    let path = format!("/api/v1/rule-packs/builtin/versions/{version}/activate");
    let done = fixture.confirmed(Role::Administrator, "POST", &path, &Value::Null).await;
    assert_eq!(done.status, StatusCode::OK, "{done:?}");
    let weak = fixture.app.policy.head().version.serial;
    // What gives signatures back needs no confirmation; a rollback to the pack needs it again.
    let back = |serial: u64| format!("/api/v1/policy/versions/{serial}/rollback");
    let strong = fixture.as_role(Role::Administrator, "POST", &back(first), &Value::Null).await;
    assert_eq!(strong.status, StatusCode::OK, "{strong:?}");
    let again = fixture.as_role(Role::Administrator, "POST", &back(weak), &Value::Null).await;
    assert_eq!(again.status, StatusCode::PRECONDITION_REQUIRED, "{again:?}");
}

#[tokio::test]
async fn newer_virtual_patches_go_in_use_unless_some_are_gone_or_find_less() {
    let fixture = Fixture::new().await;
    let (all, newer) = (patches(), format!("{}\n{ONE}", patches()));
    assert_eq!(activate(&fixture, "cve", &newer).await.1.status, StatusCode::OK);
    let (_, fewer) = activate(&fixture, "cve", &without_first(&all)).await;
    let says = fewer.json()["confirmation"]["changes"][0]["says"].to_string();
    assert!(says.contains("1 of ") && says.contains("is not in force any more ("), "{fewer:?}");
    let (version, less) = activate(&fixture, "cve", &all.replacen("confidence: high", "confidence: low", 1)).await;
    let says = less.json()["confirmation"]["changes"][0]["says"].to_string();
    assert!(says.contains("is replaced by ones that find less ("), "{less:?}");

    // What a mirror brings is signed: it may change signatures, and must not leave any out.
    let mirror = Author::process("mirror");
    let used = fixture.app.use_pack(Kind::RulePack, "cve", version, &mirror, "mirror.fetch").await;
    assert!(used.is_ok(), "{used:?}");
    let refused = fixture.app.use_pack(Kind::RulePack, "cve", version - 1, &mirror, "mirror.fetch").await;
    let Err(Error::Unconfirmed(why)) = refused else { panic!("{refused:?}") };
    assert!(why.listed().contains("is not in force any more"), "{why:?}");
}

#[tokio::test]
async fn one_address_may_be_listed_without_an_array() {
    let fixture = Fixture::new().await;
    let path = "/api/v1/ip-lists";
    let one = json!({"list": "deny", "value": "192.0.2.1"});
    for (body, status) in [
        (one.clone(), StatusCode::CREATED),
        (json!([one, {"list": "deny", "value": "192.0.2.2"}]), StatusCode::CREATED),
        (json!("192.0.2.3"), StatusCode::UNPROCESSABLE_ENTITY),
        (json!({"list": "deny"}), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = fixture.as_role(Role::Analyst, "POST", path, &body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    let values: Vec<String> = fixture.app.policy.head().state.ip_lists.iter().map(|one| one.value.clone()).collect();
    assert_eq!(values, ["192.0.2.1", "192.0.2.2"]);
    let wrong = fixture.as_role(Role::Analyst, "POST", path, &json!("192.0.2.3")).await;
    assert!(wrong.json().to_string().contains("expected an object, or an array of objects"), "{wrong:?}");
}
