//! Pages as the server returns them, with hostile hits in the store.

use super::markup::{HOSTILE, check_tags, without_input};
use crate::auth::Role;
use crate::packs::Kind;
use crate::policy::service::Author;
use crate::routes::{Access, Face};
use crate::server;
use crate::store::{Filter, Page};
use crate::testing::{Answer, Fixture, PASSWORD};
use axum::http::StatusCode;
use base64::Engine as _;
use serde_json::json;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_core::model::point::{OwnedKey, PathItem};
use weir_core::model::{AnomalyKind, AttackType, Confidence, PointPath, Tag};
use weir_protocol::hit::Hit;
use weir_protocol::hit::{HitAnomaly, HitClient, HitFinding, HitGateway, HitRequest, HitResponse};
use weir_protocol::node_api::{Record, SessionRequest, SessionTrail, Statistics};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

/// A hit with `text` in every free-text field.
fn hostile(text: &str) -> Hit {
    let owned = || text.to_owned();
    let step = |tag| PathItem { tag, key: OwnedKey::Name(owned()) };
    let point = PointPath(vec![PathItem { tag: Tag::Post, key: OwnedKey::None }, step(Tag::Hash)]);
    let raw =
        format!("POST /{text}?q={text} HTTP/1.1\r\nHost: {text}\r\nX-{text}: {text}\r\n\r\n{{\"a\": \"{text}\"}}");
    Hit {
        version: 1,
        id: uuid::Uuid::now_v7().to_string(),
        time: now(),
        request_id: owned(),
        connector: owned(),
        attempt: 1,
        node: owned(),
        client: HitClient {
            ip: "203.0.113.9".into(),
            peer: owned(),
            country: "NL".into(),
            region: owned(),
            asn: 1,
            source_types: vec![owned()],
        },
        application: 3,
        gateway: HitGateway { service: owned(), route: owned(), consumer: owned() },
        request: HitRequest {
            method: owned(),
            scheme: owned(),
            host: owned(),
            path: owned(),
            protocol: owned(),
            raw: base64::engine::general_purpose::STANDARD.encode(raw),
            bytes: 9,
            cut: 3,
            ..HitRequest::default()
        },
        attacks: vec![AttackType::Xss],
        findings: vec![HitFinding {
            attack: AttackType::Xss,
            rule: owned(),
            point: point.clone(),
            confidence: Confidence::High,
            decisive: true,
            matched: owned(),
        }],
        anomalies: vec![HitAnomaly { kind: AnomalyKind::DuplicateHeader, point }],
        mode: "monitoring".into(),
        action: "pass".into(),
        reason: owned().into(),
        would_block: true,
        list: owned().into(),
        rules: vec![7],
        response: Some(HitResponse { status: 200, after_ms: 3 }),
        ..Hit::default()
    }
}

/// The session that [`record_session`] records.
const SESSION: &str = "0123abcd";

/// Records requests of a session with these texts.
async fn record_session(fixture: &Fixture, texts: &[&str]) {
    // The store takes what happened lately, whatever the clock of the fixture says.
    let now = weir_runtime::clock::now_millis();
    let request = |text: &&str| SessionRequest {
        time: now - 1_000,
        method: (*text).into(),
        path: (*text).into(),
        note: (*text).into(),
        hit: (*text).into(),
        ..SessionRequest::default()
    };
    let requests = texts.iter().map(request).collect();
    let client = texts[0].into();
    let sessions = vec![SessionTrail { session: SESSION.into(), application: 3, client, requests }];
    let id = uuid::Uuid::now_v7().to_string();
    let report = Statistics { id, from: now / 1_000, seconds: 1, sessions, ..Statistics::default() };
    assert!(fixture.app.store.record_statistics(&report).await.unwrap());
}

async fn get(fixture: &Fixture, cookie: &str, path: &str) -> Answer {
    fixture.call("GET", path, &[("cookie", cookie), ("accept", "text/html")], b"").await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.body.clone()).unwrap()
}

/// What must hold of every page, whatever is in it.
fn check_page(path: &str, answer: &Answer) {
    assert_eq!(answer.status, StatusCode::OK, "{path}: {}", text(answer));
    let csp = answer.header("content-security-policy");
    assert!(
        csp.contains("default-src 'none'") && csp.contains("script-src 'self'") && !csp.contains("unsafe"),
        "{csp}"
    );
    assert_eq!((answer.header("x-content-type-options"), answer.header("cache-control")), ("nosniff", "no-store"));
    assert_eq!(answer.header("cross-origin-opener-policy"), "same-origin");
    let html = text(answer);
    assert!(!without_input(&html).contains(['\u{202e}', '\u{0}', '\u{2028}', '\u{feff}']), "{path}: hidden characters");
    check_tags(path, &html);
}

#[tokio::test]
async fn no_page_lets_script_out_of_a_hit() {
    let fixture = Fixture::new().await;
    let hits: Vec<Hit> = HOSTILE.iter().map(|text| hostile(text)).collect();
    let records = hits.iter().map(|hit| Record::Hit(Box::new(hit.clone()))).collect();
    let ack = fixture.app.store.insert(records, "node").await.unwrap();
    assert_eq!(ack.stored, HOSTILE.len() as u64, "{ack:?}");
    record_session(&fixture, HOSTILE).await;
    let (cookie, csrf) = fixture.browser(Role::Administrator).await;
    // Names that users enter may be hostile too.
    for (path, body) in [
        ("/settings/applications", "id=3&name=%3Cscript%3Ealert(1)%3C/script%3E&comment=%22onload=x"),
        ("/lists/add", "list=deny&rule_type=ip_range&value=192.0.2.1&reason=%3Cimg%20src=x%20onerror=alert(1)%3E"),
        ("/rules/new/wallarm_mode", "mode=block&host=h&comment=%3C/textarea%3E%3Cscript%3E"),
    ] {
        let headers = [
            ("cookie", cookie.as_str()),
            ("x-csrf-token", &csrf),
            ("content-type", "application/x-www-form-urlencoded"),
        ];
        let answer = fixture.call("POST", path, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{path}: {}", text(&answer));
    }
    let mut paths: Vec<String> = [
        "/",
        "/attacks?range=all",
        "/attacks/rows?range=all",
        "/sources/203.0.113.9",
        "/sources/2001:db8::1",
        "/applications/3",
        "/blocking?range=30d",
        "/blocking?app=3",
        "/catalogue",
        "/lists",
        "/automatic",
        "/sessions",
        "/sessions?client=203.0.113.9",
        "/sessions/0123abcd",
        "/rules",
        "/rules/1",
        "/rules/new",
        "/rules/new/vpatch",
        "/policy",
        "/settings",
        "/nodes",
        "/tokens",
        "/users",
        "/audit",
        "/account",
    ]
    .map(str::to_owned)
    .into();
    let versions = fixture.app.policy.versions().await.unwrap();
    paths.extend(versions.iter().map(|version| format!("/policy/{}", version.serial)));
    let attacks = fixture.app.store.attacks(&Filter::default(), &Page::first(50)).await.unwrap().rows;
    assert!(!attacks.is_empty());
    paths.extend(attacks.iter().map(|attack| format!("/attacks/{}", attack.id)));
    for hit in &hits {
        paths.extend(["", "/exception", "/patch"].map(|last| format!("/hits/{}{last}", hit.id)));
    }
    // Reflected from the address.
    for payload in HOSTILE {
        let encoded = super::super::view::ui::segment(payload);
        for path in [
            "/attacks?range=all&q=",
            "/blocking?host=",
            "/hosts/",
            "/catalogue?q=",
            "/rules?q=",
            "/sessions?client=",
            "/lists?q=",
            "/audit?who=",
            "/login?next=",
            "/?done=",
        ] {
            // No host has these: there is no such page.
            if path.contains("host") && payload.contains(['\0', '*', '?']) {
                continue;
            }
            paths.push(format!("{path}{encoded}"));
        }
    }
    for path in &paths {
        let answer = get(&fixture, &cookie, path).await;
        if path.starts_with("/login") {
            // A logged-in user is redirected to a page of the Console.
            assert!(answer.header("location").starts_with('/') && !answer.header("location").starts_with("//"));
            continue;
        }
        check_page(path, &answer);
    }
}

#[tokio::test]
async fn every_page_answers_and_shows_controls_by_role() {
    let fixture = Fixture::new().await;
    let hit = hostile("plain");
    fixture.app.store.insert(vec![Record::Hit(Box::new(hit.clone()))], "node").await.unwrap();
    record_session(&fixture, &["plain"]).await;
    let attack = fixture.app.store.attacks(&Filter::default(), &Page::first(1)).await.unwrap().rows.remove(0);
    let pack =
        "- {id: rce.own, attack: rce, about: <b>, pattern: xyzzy, confidence: high, positive: [xyzzy], negative: [a]}";
    let stored =
        fixture.app.store_pack(Kind::RulePack, "own", pack.into(), "<script>", &Author::process("user:x")).await;
    assert!(stored.is_ok(), "{stored:?}");
    let mut seen = 0;
    for role in [Role::Administrator, Role::Analyst, Role::ReadOnly, Role::Deploy] {
        let (cookie, _) = fixture.browser(role).await;
        for entry in server::entries(&fixture.app) {
            let may = match entry.access {
                Access::Public => false,
                Access::Anyone => true,
                Access::Needs(what) => role.may(what),
            };
            let skipped = ["/rules/{id}", "/attacks/export", "/blocking/export", "/lists/export", "/policy/export"]
                .contains(&entry.path);
            if entry.face != Face::Page || entry.method != "GET" || !may || skipped {
                continue;
            }
            let serial = fixture.app.policy.head().version.serial.to_string();
            let path = match entry.path {
                path if path.starts_with("/attacks/{id}") => path.replace("{id}", &attack.id),
                path if path.starts_with("/applications/{id}") => path.replace("{id}", "3"),
                path if path.starts_with("/hits/{id}") => path.replace("{id}", &hit.id),
                path if path.starts_with("/packs/") => path.replace("{name}", "own").replace("{version}", "1"),
                path => path
                    .replace("{serial}", &serial)
                    .replace("{kind}", "vpatch")
                    .replace("{name}", "sqli.grammar")
                    .replace("{ip}", "203.0.113.9")
                    .replace("{session}", SESSION)
                    .replace("{host}", "plain"),
            };
            let answer = get(&fixture, &cookie, &path).await;
            if role == Role::Deploy && path == "/" {
                assert_eq!(answer.header("location"), "/nodes");
                continue;
            }
            check_page(&path, &answer);
            seen += 1;
            let html = text(&answer);
            if role == Role::ReadOnly {
                // Every user may change their own theme, password and session.
                let forms = html.matches("method=\"post\"").count()
                    - html.matches("action=\"/theme\"").count()
                    - html.matches("action=\"/logout\"").count()
                    - html.matches("action=\"/account/password\"").count();
                let disabled = html.matches("<fieldset class=\"options\" disabled").count();
                assert_eq!(forms, disabled, "{path} offers changes to a read-only user");
            }
        }
    }
    assert!(seen > 50, "only {seen} pages");
}

#[tokio::test]
async fn login_redirects_to_the_requested_page() {
    let fixture = Fixture::new().await;
    let sent = fixture.call("GET", "/attacks?q=sqli", &[("accept", "text/html")], b"").await;
    assert_eq!((sent.status, sent.header("location")), (StatusCode::SEE_OTHER, "/login?next=%2Fattacks%3Fq%3Dsqli"));
    let form = ("content-type", "application/x-www-form-urlencoded");
    let wrong = fixture.call("POST", "/login", &[form], b"login=admin&password=wrong&next=/attacks").await;
    assert_eq!(wrong.status, StatusCode::UNAUTHORIZED);
    assert!(text(&wrong).contains("Incorrect login or password.") && text(&wrong).contains("value=\"admin\""));
    let body = format!("login=admin&password={PASSWORD}&next=/attacks%3Fq%3Dsqli");
    let foreign = fixture.call("POST", "/login", &[form, ("sec-fetch-site", "cross-site")], body.as_bytes()).await;
    assert_eq!(foreign.status, StatusCode::FORBIDDEN);
    let done = fixture.call("POST", "/login", &[form], body.as_bytes()).await;
    assert_eq!((done.status, done.header("location")), (StatusCode::SEE_OTHER, "/attacks?q=sqli"));
    let cookie = done.header("set-cookie").split(';').next().unwrap().to_owned();
    assert_eq!(get(&fixture, &cookie, "/attacks?q=sqli").await.status, StatusCode::OK);
    let out = format!("login=admin&password={PASSWORD}&next=//evil.example");
    assert_eq!(fixture.call("POST", "/login", &[form], out.as_bytes()).await.header("location"), "/");
}

#[tokio::test]
async fn errors_are_pages_for_browsers_and_assets_are_immutable() {
    let fixture = Fixture::new().await;
    let (cookie, _) = fixture.browser(Role::ReadOnly).await;
    for (path, status) in
        [("/users", 403), ("/attacks/none", 404), ("/hits/1", 404), ("/nothing", 404), ("/attacks?after=x", 422)]
    {
        let answer = get(&fixture, &cookie, path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.header("content-type")),
            (status, "text/html; charset=utf-8"),
            "{path}"
        );
        check_tags(path, &text(&answer));
    }
    let css = super::super::assets::url("console.css");
    let answer = fixture.call("GET", css, &[], b"").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::OK, "text/css; charset=utf-8"));
    assert!(answer.header("cache-control").contains("immutable"));
    assert_eq!(fixture.call("GET", "/assets/none.css", &[], b"").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_form_creates_a_rule_and_shows_its_errors() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let post = async |path: &str, body: &str| {
        let body = format!("csrf={csrf}&{body}");
        let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        fixture.call("POST", path, &headers, body.as_bytes()).await
    };
    let wrong = post("/rules/new/vpatch", "attack_type=sqli&path=api&point=%5Bpst%5D").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(
        text(&wrong).contains("the path must begin with") && text(&wrong).contains("did you mean `post`"),
        "{}",
        text(&wrong)
    );
    let live = post(
        "/rules/check/vpatch",
        "attack_type=sqli&host=h&point=%5Bpost%5D&test=POST+/+HTTP/1.1%0AHost:+h%0A%0Aid%3D1%27+or+%271%27%3D%271",
    )
    .await;
    assert!(
        text(&live).contains("Blocks SQL injection in [post] of requests to h, in every filtration mode except off."),
        "{}",
        text(&live)
    );
    assert!(text(&live).contains("blocked in every mode except off</b>"), "test result: {}", text(&live));
    let made = post("/rules/new/vpatch", "attack_type=sqli&host=h&point=%5Bpost%5D").await;
    assert_eq!((made.status, made.header("location")), (StatusCode::SEE_OTHER, "/rules?done=rule&n=1"));
    let head = fixture.app.policy.head();
    let rule = &head.state.rule(1).unwrap().rule;
    assert_eq!(rule["point"], json!([["post"]]));
    assert_eq!(rule["action"][0], json!({"type": "equal", "point": ["header", "HOST"], "value": "h"}));
    let off = post("/rules/1/disable", "").await;
    assert_eq!(off.header("location"), "/rules?done=rule-off&n=1");
    assert_eq!(fixture.app.policy.head().state.rule(1).unwrap().rule["enabled"], json!(false));
    assert_eq!(post("/rules/1/delete", "").await.status, StatusCode::SEE_OTHER);
    assert!(fixture.app.policy.head().state.rules.is_empty());
}

#[tokio::test]
async fn the_page_of_a_rule_says_to_the_second_when_it_ends_and_that_it_has() {
    let fixture = Fixture::new().await;
    let (cookie, _) = fixture.browser(Role::Analyst).await;
    let end = i64::try_from(fixture.clock.seconds()).unwrap() + 61;
    let rule = json!({"rule": {"type": "vpatch", "attack_type": "sqli", "point": [["post"]], "expired_at": end,
        "action": [{"type": "equal", "point": ["header", "HOST"], "value": "h"}]}});
    let made = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &rule).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", text(&made));
    let exact = crate::console::view::time::format(end * 1_000, "%Y-%m-%d %H:%M:%S");
    let page = text(&get(&fixture, &cookie, "/rules/1").await);
    assert!(page.contains(&format!("Ends on {exact} UTC.")) && !page.contains("Expired <time"), "{page}");
    fixture.clock.advance(62_000);
    let page = text(&get(&fixture, &cookie, "/rules/1").await);
    assert!(page.contains("Expired <time"), "{page}");
}

#[tokio::test]
async fn list_entries_are_added_removed_imported_and_exported() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let post = async |path: &str, body: &str| {
        let body = format!("csrf={csrf}&{body}");
        let headers = [("cookie", cookie.as_str()), ("content-type", "application/x-www-form-urlencoded")];
        fixture.call("POST", path, &headers, body.as_bytes()).await
    };
    let wrong = post("/lists/add", "list=deny&rule_type=ip_range&value=192.0.2.300").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", text(&wrong));
    let added =
        post("/lists/add", "list=deny&rule_type=ip_range&value=192.0.2.1%2C198.51.100.0/24&reason=r&expires=3600")
            .await;
    assert_eq!(added.header("location"), "/lists?list=deny&done=listed&n=2", "{}", text(&added));
    let boundary = "b0undary";
    let part = |name: &str, value: &str| {
        let file = if name == "file" { "; filename=\"f.txt\"" } else { "" };
        format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"{file}\r\n\r\n{value}\r\n")
    };
    let body =
        [part("csrf", &csrf), part("list", "allow"), part("file", "10.0.0.0/8\n# no\n"), format!("--{boundary}--\r\n")]
            .concat();
    let kind = format!("multipart/form-data; boundary={boundary}");
    let headers = [("cookie", cookie.as_str()), ("content-type", kind.as_str())];
    let imported = fixture.call("POST", "/lists/import", &headers, body.as_bytes()).await;
    assert_eq!(imported.header("location"), "/lists?list=allow&done=listed&n=1", "{}", text(&imported));
    let export = get(&fixture, &cookie, "/lists/export?list=deny").await;
    assert!(export.header("content-disposition").contains("denylist.csv"));
    assert!(text(&export).contains("192.0.2.1") && !text(&export).contains("10.0.0.0"));
    let id = fixture.app.policy.head().state.ip_lists[0].id;
    assert_eq!(
        post("/lists/remove", &format!("id={id}&back=/lists")).await.header("location"),
        "/lists?done=unlisted&n=1"
    );
    assert_eq!(fixture.app.policy.head().state.ip_lists.len(), 2);
}
