//! Second factors: setting up, logging in, what is used up, resets.

use crate::auth::Role;
use crate::auth::second_factor::code_of;
use crate::testing::{Answer, Fixture, PASSWORD};
use axum::http::StatusCode;
use serde_json::{Value, json};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn login(fixture: &Fixture, code: Option<&str>) -> Answer {
    let mut body = json!({"login": "admin", "password": PASSWORD});
    if let Some(code) = code {
        body["code"] = json!(code);
    }
    fixture.call("POST", "/api/v1/session", &[JSON], body.to_string().as_bytes()).await
}

/// A session of the administrator, with cookie and CSRF token.
async fn session(fixture: &Fixture, code: Option<&str>) -> (String, String) {
    let answer = login(fixture, code).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let cookie = answer.header("set-cookie").split(';').next().unwrap().to_owned();
    (cookie, answer.json()["csrf"].as_str().unwrap().to_owned())
}

async fn post(fixture: &Fixture, session: &(String, String), path: &str, body: Value) -> Answer {
    let headers = [JSON, ("cookie", session.0.as_str()), ("x-csrf-token", session.1.as_str())];
    fixture.call("POST", &format!("/api/v1/me/second-factor{path}"), &headers, body.to_string().as_bytes()).await
}

fn now(fixture: &Fixture) -> i64 {
    fixture.clock.millis() / 1000
}

/// Sets one up; answers the secret, the recovery codes and the session.
async fn enrolled(fixture: &Fixture) -> (String, Vec<String>, (String, String)) {
    let session = session(fixture, None).await;
    let begun = post(fixture, &session, "", json!({"current": PASSWORD})).await.json();
    let secret = begun["secret"].as_str().unwrap().to_owned();
    let code = code_of(&secret, now(fixture));
    let codes = post(fixture, &session, "/confirm", json!({"code": code})).await.json()["recovery_codes"].clone();
    let codes = codes.as_array().unwrap().iter().map(|code| code.as_str().unwrap().to_owned()).collect();
    (secret, codes, session)
}

#[tokio::test]
async fn a_login_needs_a_code_that_counts_once() {
    let fixture = Fixture::new().await;
    let (secret, codes, _) = enrolled(&fixture).await;
    let missing = login(&fixture, None).await;
    assert_eq!(missing.status, StatusCode::UNAUTHORIZED);
    assert_eq!(missing.json()["type"], "urn:weir:problem:code-required");
    let used = code_of(&secret, now(&fixture));
    let again = login(&fixture, Some(&used)).await;
    assert_eq!(again.json()["type"], "urn:weir:problem:wrong-code", "it confirmed the second factor");
    fixture.clock.advance(30_000);
    let code = code_of(&secret, now(&fixture));
    assert_eq!(login(&fixture, Some(&code)).await.status, StatusCode::OK);
    // Another replica on the same database.
    let other = Fixture::open(&fixture.dir, fixture.clock.clone()).await;
    let address = "203.0.113.5".parse().unwrap();
    let replayed = other.login(address, "", "admin", PASSWORD.into(), Some(&code)).await;
    assert!(matches!(replayed, Err(crate::Error::WrongCode)), "{replayed:?}");
    assert_eq!(codes.len(), 10);
    assert_eq!(login(&fixture, Some(&codes[3].to_uppercase())).await.status, StatusCode::OK);
    assert_eq!(login(&fixture, Some(&codes[3])).await.status, StatusCode::UNAUTHORIZED, "once");
    let wrong =
        fixture.call("POST", "/api/v1/session", &[JSON], br#"{"login":"admin","password":"x","code":"1"}"#).await;
    assert_eq!(wrong.json()["type"], "urn:weir:problem:wrong-login", "the password comes first");
    let stored = [
        std::fs::read(fixture.dir.path().join("control.db")),
        std::fs::read(fixture.dir.path().join("control.db-wal")),
    ];
    for file in stored.into_iter().flatten() {
        for secret in [secret.as_bytes(), codes[0].as_bytes(), codes[0].replace('-', "").as_bytes()] {
            assert!(!file.windows(secret.len()).any(|part| part == secret), "a secret is stored in clear");
        }
    }
}

#[tokio::test]
async fn wrong_codes_have_to_wait_ever_longer() {
    let fixture = Fixture::new().await;
    let (secret, codes, _) = enrolled(&fixture).await;
    fixture.clock.advance(60_000);
    for n in 0..5 {
        assert_eq!(login(&fixture, Some("000000")).await.status, StatusCode::UNAUTHORIZED, "{n}");
    }
    let right = code_of(&secret, now(&fixture));
    let early = login(&fixture, Some(&right)).await;
    assert_eq!(
        (early.status, early.header("retry-after")),
        (StatusCode::TOO_MANY_REQUESTS, "30"),
        "even the right one"
    );
    fixture.clock.advance(30_000);
    assert_eq!(login(&fixture, Some("no-code")).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&fixture, Some(&codes[0])).await.header("retry-after"), "60");
    fixture.clock.advance(60_000);
    assert_eq!(login(&fixture, Some(&codes[0])).await.status, StatusCode::OK);
    assert_eq!(login(&fixture, Some("000000")).await.status, StatusCode::UNAUTHORIZED, "forgiven");
}

#[tokio::test]
async fn the_console_asks_for_the_code_after_the_password() {
    let fixture = Fixture::new().await;
    let (secret, ..) = enrolled(&fixture).await;
    fixture.clock.advance(30_000);
    let kind = [("content-type", "application/x-www-form-urlencoded"), ("accept", "text/html")];
    let body = format!("login=admin&password={PASSWORD}&next=/attacks");
    let page = fixture.call("POST", "/login", &kind, body.as_bytes()).await;
    let text = String::from_utf8(page.body.clone()).unwrap();
    assert!(page.headers.get("set-cookie").is_none() && text.contains("Second factor"), "{text}");
    let (_, rest) = text.split_once("name=\"ticket\" value=\"").unwrap();
    let ticket = rest.split('"').next().unwrap();
    let send = async |ticket: &str, code: &str| {
        let body = format!("ticket={ticket}&code={code}&next=/attacks");
        fixture.call("POST", "/login/code", &kind, body.as_bytes()).await
    };
    assert_eq!(send(ticket, "000000").await.status, StatusCode::UNAUTHORIZED);
    let code = code_of(&secret, now(&fixture));
    let forged = format!("{}0", &ticket[..ticket.len() - 1]);
    let forged = if forged == ticket { format!("{}1", &ticket[..ticket.len() - 1]) } else { forged };
    assert_eq!(send(&forged, &code).await.status, StatusCode::UNAUTHORIZED, "a ticket of one's own");
    let entered = send(ticket, &code).await;
    assert_eq!((entered.status, entered.header("location")), (StatusCode::SEE_OTHER, "/attacks"), "{entered:?}");
    assert!(entered.header("set-cookie").contains("weir_session="));
    fixture.clock.advance(5 * 60_000);
    let late = send(ticket, &code_of(&secret, now(&fixture))).await;
    assert_eq!(late.status, StatusCode::UNAUTHORIZED, "the password counts for five minutes");
}

#[tokio::test]
async fn it_is_turned_off_by_a_code_and_reset_by_an_administrator() {
    let fixture = Fixture::new().await;
    let (_, codes, session) = enrolled(&fixture).await;
    assert_eq!(
        post(&fixture, &session, "/remove", json!({"code": "000000"})).await.status,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    let renewed = post(&fixture, &session, "/recovery-codes", json!({"code": codes[0]})).await.json();
    let new = renewed["recovery_codes"][0].as_str().unwrap().to_owned();
    assert_eq!(
        post(&fixture, &session, "/remove", json!({"code": codes[1]})).await.status,
        StatusCode::UNPROCESSABLE_ENTITY,
        "void"
    );
    assert_eq!(post(&fixture, &session, "/remove", json!({"code": new})).await.status, StatusCode::NO_CONTENT);
    assert_eq!(login(&fixture, None).await.status, StatusCode::OK);
    enrolled(&fixture).await;
    let users = fixture.as_role(Role::Administrator, "GET", "/api/v1/users", &Value::Null).await.json();
    let admin = users["items"].as_array().unwrap().iter().find(|user| user["login"] == "admin").unwrap().clone();
    assert_eq!(admin["second_factor"], true);
    let path = format!("/api/v1/users/{}/second-factor", admin["id"].as_str().unwrap());
    assert_eq!(
        fixture.as_role(Role::Administrator, "DELETE", &path, &Value::Null).await.status,
        StatusCode::NO_CONTENT
    );
    assert_eq!(login(&fixture, None).await.status, StatusCode::OK);
    enrolled(&fixture).await;
    let reset = crate::admin::reset_totp(&fixture.app.store, &fixture.clock, "Admin").await.unwrap();
    assert_eq!(reset, "admin");
    assert!(crate::admin::reset_totp(&fixture.app.store, &fixture.clock, "admin").await.is_err(), "there is none");
    assert_eq!(login(&fixture, None).await.status, StatusCode::OK);
    let log = fixture.app.audit.list(&crate::audit::Query { limit: 200, ..Default::default() }).await.unwrap();
    for (action, count) in [("user.second_factor", 4), ("user.second_factor_reset", 2), ("user.recovery_codes", 1)] {
        assert_eq!(log.iter().filter(|row| row.action == action).count(), count, "{action}");
    }
}

#[tokio::test]
async fn a_rotation_of_the_policy_key_keeps_second_factors() {
    let fixture = Fixture::new().await;
    let (secret, ..) = enrolled(&fixture).await;
    let caller = fixture.caller(Role::Administrator).await;
    fixture.app.rotate_key(&caller).await.unwrap();
    fixture.clock.advance(30_000);
    let restarted = Fixture::open(&fixture.dir, fixture.clock.clone()).await;
    let code = code_of(&secret, now(&fixture));
    let address = "203.0.113.5".parse().unwrap();
    assert!(restarted.login(address, "", "admin", PASSWORD.into(), Some(&code)).await.is_ok());
}
