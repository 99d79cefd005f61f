//! Login, throttling, sessions, tokens, users.

use crate::audit::Query;
use crate::auth::Role;
use crate::auth::session::{ABSOLUTE_MS, IDLE_MS};
use crate::auth::user::{NewUser, UserChange};
use crate::testing::{Answer, DEPLOY, Fixture, PASSWORD};
use axum::http::StatusCode;
use serde_json::{Value, json};
use weir_policy::client::ClientRules;

async fn login(fixture: &Fixture, login: &str, password: &str) -> Answer {
    login_from(fixture, "", login, password).await
}

/// Logs in from behind the trusted proxy, which names the client.
async fn login_from(fixture: &Fixture, client: &str, login: &str, password: &str) -> Answer {
    let body = json!({"login": login, "password": password}).to_string();
    let headers = [("content-type", "application/json"), ("x-forwarded-for", client)];
    let headers = if client.is_empty() { &headers[..1] } else { &headers[..] };
    fixture.call("POST", "/api/v1/session", headers, body.as_bytes()).await
}

async fn me(fixture: &Fixture, cookie: &str) -> StatusCode {
    fixture.call("GET", "/api/v1/me", &[("cookie", cookie)], b"").await.status
}

#[tokio::test]
async fn the_first_administrator_logs_in_and_the_cookie_is_kept_from_scripts_and_other_sites() {
    let fixture = Fixture::new().await;
    let answer = login(&fixture, "Admin", PASSWORD).await;
    assert_eq!(answer.status, StatusCode::OK);
    let cookie = answer.header("set-cookie");
    for part in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let stored = std::fs::read(fixture.dir.path().join("control.db")).unwrap();
    let wal = std::fs::read(fixture.dir.path().join("control.db-wal")).unwrap_or_default();
    let secret = cookie.split(';').next().unwrap().split_once('=').unwrap().1;
    for file in [stored, wal] {
        assert!(!file.windows(secret.len()).any(|part| part == secret.as_bytes()), "the cookie is stored in clear");
        assert!(
            !file.windows(PASSWORD.len()).any(|part| part == PASSWORD.as_bytes()),
            "the password is stored in clear"
        );
    }
    assert_eq!(me(&fixture, cookie.split(';').next().unwrap()).await, StatusCode::OK);
}

#[tokio::test]
async fn wrong_logins_and_wrong_passwords_look_alike_and_are_throttled() {
    let fixture = Fixture::new().await;
    let (wrong, stranger) = (login(&fixture, "admin", "x").await, login(&fixture, "stranger", "x").await);
    assert_eq!((wrong.status, &wrong.body), (StatusCode::UNAUTHORIZED, &stranger.body));
    for _ in 0..4 {
        assert_eq!(login(&fixture, "admin", "x").await.status, StatusCode::UNAUTHORIZED);
    }
    let refused = login(&fixture, "admin", PASSWORD).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "even the right one");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    fixture.clock.advance(10 * 60_000);
    assert_eq!(login(&fixture, "admin", PASSWORD).await.status, StatusCode::OK);
}

#[tokio::test]
async fn clients_behind_a_trusted_proxy_are_throttled_and_recorded_each_for_itself() {
    let fixture = Fixture::new().await;
    for n in 0..20 {
        let refused = login_from(&fixture, "1.2.3.4, 203.0.113.66", &format!("stranger-{n}"), "x").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{n}");
    }
    let throttled = login_from(&fixture, "9.9.9.9, 203.0.113.66", "admin", PASSWORD).await;
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS, "what a client wrote itself does not count");
    assert_eq!(login_from(&fixture, "203.0.113.67", "admin", PASSWORD).await.status, StatusCode::OK);
    let audit = fixture.as_role(Role::Administrator, "GET", "/api/v1/audit?limit=50", &Value::Null).await;
    let text = String::from_utf8(audit.body).unwrap();
    assert!(text.contains("203.0.113.66") && text.contains("203.0.113.67") && !text.contains("9.9.9.9"), "{text}");
    let mut registry = prometheus_client::registry::Registry::default();
    fixture.app.config.metrics.enlist(&mut registry);
    let mut shown = String::new();
    prometheus_client::encoding::text::encode(&mut shown, &registry).unwrap();
    for line in ["refused\"} 20", "throttled\"} 1"] {
        assert!(shown.contains(&format!("control_plane_logins_total{{outcome=\"{line}\n")), "{shown}");
    }
}

#[tokio::test]
async fn without_trusted_proxies_no_client_can_claim_an_address() {
    let fixture = Fixture::with(|config| config.clients = ClientRules::default()).await;
    for n in 0..5 {
        let refused = login_from(&fixture, &format!("203.0.113.{n}"), "admin", "x").await;
        assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    }
    let throttled = login_from(&fixture, "203.0.113.9", "admin", PASSWORD).await;
    assert_eq!(throttled.status, StatusCode::TOO_MANY_REQUESTS);
    let query = Query { action: Some("login.refused".into()), limit: 50, ..Query::default() };
    let log = fixture.app.audit.list(&query).await.unwrap();
    assert_eq!(log.iter().map(|row| row.address.as_str()).collect::<Vec<_>>(), ["198.51.100.7"; 5]);
}

#[tokio::test]
async fn sessions_end_after_idling_and_for_good() {
    let fixture = Fixture::new().await;
    let (cookie, _) = fixture.browser(Role::Analyst).await;
    fixture.clock.advance(IDLE_MS - 1);
    assert_eq!(me(&fixture, &cookie).await, StatusCode::OK, "that was a use");
    fixture.clock.advance(IDLE_MS - 1);
    assert_eq!(me(&fixture, &cookie).await, StatusCode::OK);
    fixture.clock.advance(IDLE_MS);
    assert_eq!(me(&fixture, &cookie).await, StatusCode::UNAUTHORIZED);
    let (cookie, _) = fixture.browser(Role::Analyst).await;
    let mut last = StatusCode::OK;
    for _ in 0..=ABSOLUTE_MS / (IDLE_MS / 2) {
        last = me(&fixture, &cookie).await;
        fixture.clock.advance(IDLE_MS / 2);
    }
    assert_eq!(last, StatusCode::UNAUTHORIZED, "however much it is used");
}

#[tokio::test]
async fn a_change_of_role_password_or_state_ends_sessions() {
    let fixture = Fixture::new().await;
    for change in [json!({"role": "read_only"}), json!({"enabled": false})] {
        let (cookie, _) = fixture.browser(Role::Analyst).await;
        let user = fixture.call("GET", "/api/v1/me", &[("cookie", &cookie)], b"").await.json();
        let path = format!("/api/v1/users/{}", user["user"]["id"].as_str().unwrap());
        assert_eq!(fixture.as_role(Role::Administrator, "PATCH", &path, &change).await.status, StatusCode::OK);
        assert_eq!(me(&fixture, &cookie).await, StatusCode::UNAUTHORIZED, "{change}");
    }
}

#[tokio::test]
async fn a_password_that_is_hashed_for_long_undoes_no_change_that_comes_meanwhile() {
    let fixture = Fixture::new().await;
    let admin = fixture.caller(Role::Administrator).await;
    let new = NewUser {
        login: "mallory".into(),
        name: "M".into(),
        role: Role::Administrator,
        password: Some(PASSWORD.into()),
        subject: None,
    };
    let user = fixture.app.create_user(&admin, new).await.unwrap();
    let password = Some("another-horse-battery".to_owned());
    let slow = UserChange { password, ..UserChange::default() };
    let slow = fixture.app.users.prepare_change(&user, slow).await.unwrap();
    let demoted = UserChange { role: Some(Role::ReadOnly), enabled: Some(false), ..UserChange::default() };
    fixture.app.change_user(&admin, &user.id, demoted).await.unwrap();
    let mut change = fixture.app.audit.begin().await.unwrap();
    let (before, after) = slow.update(change.on()).await.unwrap();
    change.store().await.unwrap();
    assert!(!before.enabled, "{before:?}");
    assert_eq!((after.role, after.enabled, after.name.as_str()), (Role::ReadOnly, false, "M"));
    assert_eq!(fixture.app.users.find(&user.id).await.unwrap(), Some(after));
}

#[tokio::test]
async fn the_last_administrator_stays() {
    let fixture = Fixture::new().await;
    let admin = fixture.app.users.list().await.unwrap().remove(0);
    let path = format!("/api/v1/users/{}", admin.id);
    let token = json!({"name": "t", "usage": "api", "role": "administrator"});
    let (cookie, csrf) = {
        let answer = login(&fixture, "admin", PASSWORD).await;
        (answer.header("set-cookie").split(';').next().unwrap().to_owned(), answer.json()["csrf"].clone())
    };
    let headers =
        [("cookie", cookie.as_str()), ("x-csrf-token", csrf.as_str().unwrap()), ("content-type", "application/json")];
    let made = fixture.call("POST", "/api/v1/tokens", &headers, token.to_string().as_bytes()).await.json();
    let token = made["token"].as_str().unwrap();
    for (method, body) in
        [("DELETE", Value::Null), ("PATCH", json!({"enabled": false})), ("PATCH", json!({"role": "analyst"}))]
    {
        let answer = fixture.bearer(token, method, &path, &body).await;
        assert_eq!(answer.status, StatusCode::CONFLICT, "{method} {body}");
    }
    let second = json!({"login": "second", "role": "administrator", "password": "another-long-password"});
    assert_eq!(fixture.bearer(token, "POST", "/api/v1/users", &second).await.status, StatusCode::CREATED);
    assert_eq!(fixture.bearer(token, "DELETE", &path, &Value::Null).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn tokens_expire_are_switched_off_and_do_only_what_they_are_for() {
    let fixture = Fixture::new().await;
    let end = fixture.clock.millis() + 1000;
    let asked = json!({"name": "ci", "usage": "api", "role": "read_only", "expires_at": end});
    let made = fixture.as_role(Role::Administrator, "POST", "/api/v1/tokens", &asked).await.json();
    let (token, id) = (made["token"].as_str().unwrap(), made["item"]["id"].as_str().unwrap());
    assert!(token.starts_with("weir_api_") && made["item"]["prefix"].as_str().unwrap().len() < 20);
    let path = format!("/api/v1/tokens/{id}");
    let works = async |token: &str| fixture.bearer(token, "GET", "/api/v1/rules", &Value::Null).await.status;
    assert_eq!(works(token).await, StatusCode::OK);
    assert_eq!(works(DEPLOY).await, StatusCode::UNAUTHORIZED, "a deployment token calls no API");
    let register = json!({"group": "default", "name": "n", "role": "processing", "version": "1", "capabilities": []});
    let registered = fixture.bearer(token, "POST", "/node/v1/register", &register).await;
    assert_eq!(registered.status, StatusCode::UNAUTHORIZED, "an API token registers no node");
    fixture.as_role(Role::Administrator, "PATCH", &path, &json!({"enabled": false})).await;
    assert_eq!(works(token).await, StatusCode::UNAUTHORIZED);
    fixture.as_role(Role::Administrator, "PATCH", &path, &json!({"enabled": true})).await;
    assert_eq!(works(token).await, StatusCode::OK);
    fixture.clock.advance(1000);
    assert_eq!(works(token).await, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn no_user_can_grant_more_than_their_own_role() {
    let fixture = Fixture::new().await;
    let api = json!({"name": "t", "usage": "api", "role": "read_only"});
    let refused = fixture.as_role(Role::Deploy, "POST", "/api/v1/tokens", &api).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    let deploy = json!({"name": "t", "usage": "node_deployment"});
    let made = fixture.as_role(Role::Deploy, "POST", "/api/v1/tokens", &deploy).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let all = fixture.as_role(Role::Administrator, "POST", "/api/v1/tokens", &api).await.json();
    let seen = fixture.as_role(Role::Deploy, "GET", "/api/v1/tokens", &Value::Null).await.json();
    let usages: Vec<&Value> = seen["items"].as_array().unwrap().iter().map(|token| &token["usage"]).collect();
    assert!(usages.iter().all(|usage| **usage == "node_deployment") && usages.len() == 2, "{usages:?}");
    let path = format!("/api/v1/tokens/{}", all["item"]["id"].as_str().unwrap());
    assert_eq!(fixture.as_role(Role::Deploy, "DELETE", &path, &Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn every_change_is_in_the_audit_log_without_secrets() {
    let fixture = Fixture::new().await;
    let user = json!({"login": "bob", "role": "analyst", "password": "a-very-long-password"});
    fixture.as_role(Role::Administrator, "POST", "/api/v1/users", &user).await;
    let token = json!({"name": "ci", "usage": "api", "role": "read_only"});
    let made = fixture.as_role(Role::Administrator, "POST", "/api/v1/tokens", &token).await.json();
    let rule = json!({"rule": {"type": "disable_stamp", "stamp": "x", "point": [["get", "q"]]}});
    assert_eq!(fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &rule).await.status, StatusCode::CREATED);
    let log = fixture.as_role(Role::Administrator, "GET", "/api/v1/audit", &Value::Null).await;
    let text = String::from_utf8(log.body.clone()).unwrap();
    for secret in ["a-very-long-password", "argon2", made["token"].as_str().unwrap()] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    let told: Vec<(String, String)> = log.json()["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["actor"].as_str().unwrap().to_owned(), row["action"].as_str().unwrap().to_owned()))
        .collect();
    for (actor, action) in [
        ("user:administrator@test", "user.create"),
        ("user:administrator@test", "token.create"),
        ("user:analyst@test", "rule.create"),
        ("weir", "user.create"),
    ] {
        assert!(told.contains(&(actor.into(), action.into())), "{actor} {action} in {told:?}");
    }
    let page = fixture.as_role(Role::Administrator, "GET", "/api/v1/audit?limit=1&action=rule.", &Value::Null).await;
    assert_eq!(page.json()["items"][0]["after"]["rule"]["type"], "disable_stamp");
}

#[tokio::test]
async fn each_start_gives_the_first_administrator_a_password_until_the_first_login() {
    let fixture = Fixture::with(|config| config.admin_password = None).await;
    let again = async |given: Option<&str>| {
        let given = given.map(str::to_owned);
        let (app, first) =
            Fixture::start(&fixture.dir, fixture.clock.clone(), |config| config.admin_password = given).await;
        let first = first.map(|first| first.made_password);
        drop(app);
        first
    };
    let (second, third) = (again(None).await.flatten().unwrap(), again(None).await.flatten().unwrap());
    assert_ne!(second, third);
    assert_eq!(
        login(&fixture, "admin", &second).await.status,
        StatusCode::UNAUTHORIZED,
        "that of the last start counts"
    );
    assert_eq!(again(Some("given-by-configuration")).await, Some(None), "nothing is printed");
    assert_eq!(login(&fixture, "admin", "given-by-configuration").await.status, StatusCode::OK);
    assert_eq!(again(None).await, None, "there was a login");
    assert_eq!(again(Some("another-configured-one")).await, None);
    assert_eq!(login(&fixture, "admin", "another-configured-one").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&fixture, "admin", "given-by-configuration").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_lost_password_is_reset_by_whoever_has_the_store_and_the_audit_log_tells() {
    use crate::admin::reset_password;
    let fixture = Fixture::new().await;
    let (store, clock) = (&fixture.app.store, &fixture.clock);
    let session = login(&fixture, "admin", PASSWORD).await;
    let cookie = session.header("set-cookie").split(';').next().unwrap().to_owned();
    let made = reset_password(store, clock, " ADMIN ", None).await.unwrap();
    let password = made.made.unwrap();
    assert_eq!(login(&fixture, "admin", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&fixture, "admin", &password).await.status, StatusCode::OK);
    let old = fixture.call("GET", "/api/v1/me", &[("cookie", &cookie)], b"").await;
    assert_eq!(old.status, StatusCode::UNAUTHORIZED, "old sessions ended");
    let query = Query { action: Some("user.password".into()), limit: 1, ..Query::default() };
    let told = fixture.app.audit.list(&query).await.unwrap();
    assert_eq!(told[0].actor, "weir admin");
    assert!(!serde_json::to_string(&told).unwrap().contains(&password));
    assert!(reset_password(store, clock, "admin", Some("short".into())).await.is_err());
    let none = reset_password(store, clock, "stranger", None).await.err().unwrap().to_string();
    assert!(none.contains("`stranger`") && none.contains("admin"), "{none}");
    let given = reset_password(store, clock, "admin", Some("chosen-by-the-operator".into())).await.unwrap();
    assert_eq!(given.made, None);
    assert_eq!(login(&fixture, "admin", "chosen-by-the-operator").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_login_from_another_origin_is_refused_where_fetch_metadata_is_absent_too() {
    let fixture = Fixture::with(|config| config.public_url = Some("https://waf.example".into())).await;
    let body = json!({"login": "admin", "password": PASSWORD}).to_string();
    for (origin, host, allowed) in [
        ("https://evil.example", "waf.internal:8088", false),
        ("null", "waf.internal:8088", false),
        ("http://waf.internal", "waf.internal:8088", false),
        ("http://waf.internal:8088", "waf.internal:8088", true),
        ("https://waf.example", "waf.internal:8088", true),
    ] {
        let headers = [("content-type", "application/json"), ("origin", origin), ("host", host)];
        let answer = fixture.call("POST", "/api/v1/session", &headers, body.as_bytes()).await;
        assert_eq!(answer.status == StatusCode::OK, allowed, "{origin}: {answer:?}");
    }
    let wrong = login(&fixture, "admin", "not-the-password").await;
    assert_eq!(wrong.json()["detail"], "wrong user name or password");
}

#[tokio::test]
async fn a_receiver_that_would_never_be_contacted_is_refused() {
    let fixture = Fixture::new().await;
    let make = async |target: serde_json::Value| {
        let sink = json!({"name": "siem", "target": target, "feeds": ["new_hits"]});
        fixture.as_role(Role::Administrator, "POST", "/api/v1/sinks", &sink).await
    };
    for url in
        ["http://169.254.169.254/latest", "http://2852039166/", "http://[::ffff:169.254.1.1]/", "http://[fe80::1]/"]
    {
        let refused = make(json!({"kind": "webhook", "url": url})).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY, "{url}: {refused:?}");
        assert!(refused.json()["detail"].as_str().unwrap().contains("never contacted"), "{refused:?}");
    }
    let syslog =
        json!({"kind": "syslog", "host": "169.254.1.1", "port": 514, "transport": "udp", "facility": "local0"});
    assert_eq!(make(syslog).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(make(json!({"kind": "webhook", "url": "https://siem.example/in"})).await.status, StatusCode::CREATED);
}
