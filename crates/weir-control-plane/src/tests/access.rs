//! Every route for every role, and without a login. A route that is not in the table fails the test.

use crate::auth::Role;
use crate::routes::{Access, Face};
use crate::server;
use crate::testing::Fixture;
use axum::http::StatusCode;
use serde_json::Value;

/// Roles by letter: administrator, aNalyst, Read only, Deploy. `*` is everybody who is logged in, `-` everybody.
const TABLE: &[(&str, &str, &str)] = &[
    ("POST", "/api/v1/session", "-"),
    ("DELETE", "/api/v1/session", "*"),
    ("GET", "/api/v1/openapi.json", "-"),
    ("GET", "/api/v1/me", "*"),
    ("PUT", "/api/v1/me/password", "*"),
    ("POST", "/api/v1/me/second-factor", "*"),
    ("POST", "/api/v1/me/second-factor/confirm", "*"),
    ("POST", "/api/v1/me/second-factor/recovery-codes", "*"),
    ("POST", "/api/v1/me/second-factor/remove", "*"),
    ("DELETE", "/api/v1/users/{id}/second-factor", "a"),
    ("GET", "/api/v1/nodes", "anrd"),
    ("GET", "/api/v1/nodes/{id}", "anrd"),
    ("PATCH", "/api/v1/nodes/{id}", "a"),
    ("DELETE", "/api/v1/nodes/{id}", "a"),
    ("GET", "/api/v1/groups", "anrd"),
    ("GET", "/api/v1/rules", "anr"),
    ("POST", "/api/v1/rules", "an"),
    ("POST", "/api/v1/rules/check", "anr"),
    ("GET", "/api/v1/rules/{id}", "anr"),
    ("PUT", "/api/v1/rules/{id}", "an"),
    ("DELETE", "/api/v1/rules/{id}", "an"),
    ("GET", "/api/v1/rules/{id}/thresholds", "anr"),
    ("GET", "/api/v1/sessions", "anr"),
    ("GET", "/api/v1/sessions/{session}", "anr"),
    ("GET", "/api/v1/abuse/entries", "anr"),
    ("GET", "/api/v1/abuse/exceptions", "anr"),
    ("POST", "/api/v1/abuse/decisions", "an"),
    ("GET", "/api/v1/ip-lists", "anr"),
    ("POST", "/api/v1/ip-lists", "an"),
    ("POST", "/api/v1/ip-lists/remove", "an"),
    ("POST", "/api/v1/ip-lists/import", "an"),
    ("GET", "/api/v1/ip-lists/export", "anr"),
    ("DELETE", "/api/v1/ip-lists/{id}", "an"),
    ("GET", "/api/v1/applications", "anr"),
    ("PUT", "/api/v1/applications/{id}", "an"),
    ("DELETE", "/api/v1/applications/{id}", "an"),
    ("GET", "/api/v1/policy", "anr"),
    ("PUT", "/api/v1/policy/general", "an"),
    ("PUT", "/api/v1/policy/groups/{group}", "an"),
    ("GET", "/api/v1/policy/export", "anr"),
    ("POST", "/api/v1/policy/diff", "anr"),
    ("POST", "/api/v1/policy/apply", "an"),
    ("GET", "/api/v1/policy/versions", "anr"),
    ("GET", "/api/v1/policy/versions/{serial}", "anr"),
    ("GET", "/api/v1/policy/versions/{serial}/diff", "anr"),
    ("POST", "/api/v1/policy/versions/{serial}/rollback", "an"),
    ("POST", "/api/v1/policy/rotate-key", "a"),
    ("POST", "/api/v1/rules/preview", "anr"),
    ("POST", "/api/v1/rules/test", "anr"),
    ("GET", "/api/v1/signatures/{name}", "anr"),
    ("GET", "/api/v1/me/searches", "anr"),
    ("POST", "/api/v1/me/searches", "anr"),
    ("DELETE", "/api/v1/me/searches/{id}", "anr"),
    ("GET", "/api/v1/attacks", "anr"),
    ("GET", "/api/v1/attacks/export", "anr"),
    ("GET", "/api/v1/attacks/{id}", "anr"),
    ("GET", "/api/v1/attacks/{id}/hits", "anr"),
    ("PUT", "/api/v1/attacks/{id}/mark", "an"),
    ("GET", "/api/v1/hits", "anr"),
    ("GET", "/api/v1/hits/export", "anr"),
    ("GET", "/api/v1/hits/{id}", "anr"),
    ("GET", "/api/v1/hits/{id}/explain", "anr"),
    ("POST", "/api/v1/hits/{id}/exception", "anr"),
    ("POST", "/api/v1/hits/{id}/virtual-patch", "anr"),
    ("GET", "/api/v1/statistics/hits", "anr"),
    ("GET", "/api/v1/statistics/top", "anr"),
    ("GET", "/api/v1/statistics/traffic", "anr"),
    ("GET", "/api/v1/statistics/sources/{ip}", "anr"),
    ("GET", "/api/v1/statistics/hosts/{host}", "anr"),
    ("GET", "/api/v1/statistics/applications/{id}", "anr"),
    ("GET", "/api/v1/statistics/blocking", "anr"),
    ("GET", "/api/v1/tokens", "ad"),
    ("POST", "/api/v1/tokens", "ad"),
    ("PATCH", "/api/v1/tokens/{id}", "ad"),
    ("DELETE", "/api/v1/tokens/{id}", "ad"),
    ("GET", "/api/v1/users", "a"),
    ("POST", "/api/v1/users", "a"),
    ("GET", "/api/v1/users/{id}", "a"),
    ("PATCH", "/api/v1/users/{id}", "a"),
    ("DELETE", "/api/v1/users/{id}", "a"),
    ("GET", "/api/v1/audit", "a"),
    ("GET", "/api/v1/sinks", "a"),
    ("POST", "/api/v1/sinks", "a"),
    ("GET", "/api/v1/sinks/{id}", "a"),
    ("PUT", "/api/v1/sinks/{id}", "a"),
    ("DELETE", "/api/v1/sinks/{id}", "a"),
    ("POST", "/api/v1/sinks/{id}/test", "a"),
    ("GET", "/api/v1/alerts", "a"),
    ("POST", "/api/v1/alerts", "a"),
    ("GET", "/api/v1/alerts/{id}", "a"),
    ("PUT", "/api/v1/alerts/{id}", "a"),
    ("DELETE", "/api/v1/alerts/{id}", "a"),
    ("POST", "/api/v1/alerts/{id}/test", "a"),
    ("GET", "/api/v1/rule-packs", "anr"),
    ("POST", "/api/v1/rule-packs/{name}", "a"),
    ("POST", "/api/v1/rule-packs/{name}/deactivate", "a"),
    ("DELETE", "/api/v1/rule-packs/{name}/versions/{version}", "a"),
    ("GET", "/api/v1/rule-packs/{name}/versions/{version}/content", "anr"),
    ("GET", "/api/v1/rule-packs/{name}/versions/{version}/diff", "anr"),
    ("POST", "/api/v1/rule-packs/{name}/versions/{version}/activate", "a"),
    ("GET", "/api/v1/databases", "anr"),
    ("POST", "/api/v1/databases/{name}", "a"),
    ("POST", "/api/v1/databases/{name}/deactivate", "a"),
    ("DELETE", "/api/v1/databases/{name}/versions/{version}", "a"),
    ("GET", "/api/v1/databases/{name}/versions/{version}/content", "anr"),
    ("POST", "/api/v1/databases/{name}/versions/{version}/activate", "a"),
    ("GET", "/api/v1/mirrors", "anr"),
    ("PUT", "/api/v1/rule-packs/{name}/mirror", "a"),
    ("DELETE", "/api/v1/rule-packs/{name}/mirror", "a"),
    ("PUT", "/api/v1/databases/{name}/mirror", "a"),
    ("DELETE", "/api/v1/databases/{name}/mirror", "a"),
    ("GET", "/login/oidc", "-"),
    ("GET", "/login/oidc/callback", "-"),
    // The Console.
    ("GET", "/assets/{file}", "-"),
    ("GET", "/favicon.ico", "-"),
    ("GET", "/login", "-"),
    ("POST", "/login", "-"),
    ("POST", "/logout", "*"),
    ("POST", "/theme", "*"),
    ("GET", "/account", "*"),
    ("POST", "/account/password", "*"),
    ("POST", "/login/code", "-"),
    ("POST", "/account/second-factor", "*"),
    ("POST", "/account/second-factor/confirm", "*"),
    ("POST", "/account/second-factor/codes", "*"),
    ("POST", "/account/second-factor/remove", "*"),
    ("POST", "/users/{id}/second-factor/reset", "a"),
    ("GET", "/", "*"),
    ("GET", "/attacks", "anr"),
    ("GET", "/attacks/rows", "anr"),
    ("GET", "/attacks/export", "anr"),
    ("POST", "/attacks/mark", "an"),
    ("POST", "/attacks/searches", "anr"),
    ("POST", "/attacks/searches/{id}/delete", "anr"),
    ("GET", "/attacks/{id}", "anr"),
    ("GET", "/hits/{id}", "anr"),
    ("GET", "/sources/{ip}", "anr"),
    ("GET", "/hosts/{host}", "anr"),
    ("GET", "/applications/{id}", "anr"),
    ("GET", "/blocking", "anr"),
    ("GET", "/blocking/export", "anr"),
    ("GET", "/hits/{id}/exception", "an"),
    ("POST", "/hits/{id}/exception", "an"),
    ("GET", "/hits/{id}/patch", "an"),
    ("POST", "/hits/{id}/patch", "an"),
    ("GET", "/catalogue", "anr"),
    ("GET", "/catalogue/{name}", "anr"),
    ("GET", "/sessions", "anr"),
    ("GET", "/sessions/{session}", "anr"),
    ("GET", "/automatic", "anr"),
    ("POST", "/automatic/decide", "an"),
    ("GET", "/lists", "anr"),
    ("POST", "/lists/add", "an"),
    ("POST", "/lists/remove", "an"),
    ("POST", "/lists/import", "an"),
    ("GET", "/lists/export", "anr"),
    ("GET", "/rules", "anr"),
    ("GET", "/rules/new", "an"),
    ("GET", "/rules/new/{kind}", "an"),
    ("POST", "/rules/new/{kind}", "an"),
    ("POST", "/rules/check/{kind}", "anr"),
    ("POST", "/rules/preview/{kind}", "anr"),
    ("GET", "/rules/{id}", "anr"),
    ("POST", "/rules/{id}", "an"),
    ("POST", "/rules/{id}/enable", "an"),
    ("POST", "/rules/{id}/disable", "an"),
    ("POST", "/rules/{id}/delete", "an"),
    ("GET", "/policy", "anr"),
    ("GET", "/policy/export", "anr"),
    ("GET", "/policy/{serial}", "anr"),
    ("POST", "/policy/{serial}/rollback", "an"),
    ("GET", "/settings", "anr"),
    ("POST", "/settings/mode", "an"),
    ("POST", "/settings/applications", "an"),
    ("POST", "/settings/applications/remove", "an"),
    ("POST", "/settings/sinks", "a"),
    ("POST", "/settings/sinks/{id}/test", "a"),
    ("POST", "/settings/sinks/{id}/enable", "a"),
    ("POST", "/settings/sinks/{id}/disable", "a"),
    ("POST", "/settings/sinks/{id}/delete", "a"),
    ("GET", "/alerts", "a"),
    ("POST", "/alerts", "a"),
    ("POST", "/alerts/{id}/test", "a"),
    ("POST", "/alerts/{id}/enable", "a"),
    ("POST", "/alerts/{id}/disable", "a"),
    ("POST", "/alerts/{id}/delete", "a"),
    ("GET", "/packs", "anr"),
    ("POST", "/packs/rule-packs", "a"),
    ("POST", "/packs/databases", "a"),
    ("POST", "/packs/mirrors", "a"),
    ("GET", "/packs/rule-packs/{name}/{version}", "anr"),
    ("POST", "/packs/{kind}/{name}/{version}/activate", "a"),
    ("POST", "/packs/{kind}/{name}/{version}/deactivate", "a"),
    ("POST", "/packs/{kind}/{name}/{version}/delete", "a"),
    ("POST", "/packs/{kind}/{name}/unmirror", "a"),
    ("GET", "/nodes", "anrd"),
    ("POST", "/nodes/add", "ad"),
    ("POST", "/nodes/{id}/remove", "a"),
    ("GET", "/tokens", "ad"),
    ("POST", "/tokens", "ad"),
    ("POST", "/tokens/{id}/revoke", "ad"),
    ("GET", "/users", "a"),
    ("POST", "/users", "a"),
    ("POST", "/users/{id}/role", "a"),
    ("POST", "/users/{id}/password", "a"),
    ("POST", "/users/{id}/enable", "a"),
    ("POST", "/users/{id}/disable", "a"),
    ("POST", "/users/{id}/delete", "a"),
    ("GET", "/audit", "a"),
];

fn letter(role: Role) -> char {
    match role {
        Role::Administrator => 'a',
        Role::Analyst => 'n',
        Role::ReadOnly => 'r',
        Role::Deploy => 'd',
    }
}

/// The path with something in the place of its parameters.
fn sample(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[tokio::test]
async fn every_route_answers_exactly_the_roles_that_it_should() {
    let fixture = Fixture::new().await;
    let entries = server::entries(&fixture.app);
    let mut asked = 0;
    for entry in &entries {
        let method = entry.method.as_str();
        let line = TABLE.iter().find(|(m, path, _)| *m == method && *path == entry.path);
        let (_, _, roles) = line.unwrap_or_else(|| panic!("{method} {} is not in the table of this test", entry.path));
        assert_eq!(entry.access == Access::Public, *roles == "-", "{method} {}", entry.path);
        let path = sample(entry.path);
        let anonymous = fixture.call(method, &path, &[("content-type", "application/json")], b"{}").await.status;
        let sent_to_login = entry.face == Face::Page && method == "GET";
        let refused = if sent_to_login { StatusCode::SEE_OTHER } else { StatusCode::UNAUTHORIZED };
        assert_eq!(anonymous == refused, *roles != "-", "{method} {path} without a login: {anonymous}");
        for &role in Role::ALL {
            let allowed = *roles == "-" || *roles == "*" || roles.contains(letter(role));
            let answer = fixture.as_role(role, method, &path, &serde_json::json!({})).await;
            let refused = answer.status == StatusCode::FORBIDDEN || answer.status == StatusCode::UNAUTHORIZED;
            assert_eq!(refused, !allowed, "{method} {path} for {role:?}: {answer:?}");
            assert!(answer.status != StatusCode::INTERNAL_SERVER_ERROR, "{method} {path} for {role:?}: {answer:?}");
            asked += 1;
        }
    }
    assert_eq!(TABLE.len(), entries.len(), "the table names routes that are not there");
    assert_eq!(asked, TABLE.len() * Role::ALL.len());
}

#[tokio::test]
async fn changes_by_a_session_need_its_csrf_token() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Administrator).await;
    let (_, other) = fixture.browser(Role::Administrator).await;
    for entry in server::entries(&fixture.app) {
        if entry.method.is_safe() || entry.access == Access::Public {
            continue;
        }
        let (method, path) = (entry.method.as_str(), sample(entry.path));
        let kind = ("content-type", "application/json");
        let tries: [&[(&str, &str)]; 4] = [
            &[kind, ("cookie", &cookie)],
            &[kind, ("cookie", &cookie), ("x-csrf-token", "")],
            &[kind, ("cookie", &cookie), ("x-csrf-token", &other)],
            &[kind, ("cookie", &cookie), ("x-csrf-token", &csrf), ("sec-fetch-site", "cross-site")],
        ];
        for headers in tries {
            let answer = fixture.call(method, &path, headers, b"{}").await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {path} {headers:?}");
        }
    }
}

/// What every refusal of the API has: the form of a problem, with its own status and some words.
fn is_problem(answer: &crate::testing::Answer, status: u16) {
    assert_eq!(answer.status.as_u16(), status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    let problem = answer.json();
    assert_eq!(problem["status"], status);
    assert!(problem["type"].as_str().is_some_and(|kind| kind.starts_with("urn:weir:problem:")), "{problem}");
    assert!(problem["detail"].as_str().is_some_and(|words| !words.is_empty()), "{problem}");
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Administrator).await;
    let call = async |method: &str, path: &str, kind: &str, body: &[u8]| {
        let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf), ("content-type", kind)];
        fixture.call(method, path, &headers, body).await
    };
    let json = "application/json";
    let answer = call("DELETE", "/api/v1/nodes", json, b"").await;
    is_problem(&answer, 405);
    assert_eq!(answer.header("allow"), "GET,HEAD");
    is_problem(&call("TRACE", "/api/v1/rules", json, b"").await, 405);
    is_problem(&call("GET", "/api/v1/nothing", json, b"").await, 404);
    is_problem(&call("GET", "/api/v1/rules/9999999", json, b"").await, 404);
    is_problem(&call("GET", "/api/v1/rules/x", json, b"").await, 404);
    is_problem(&call("GET", "/api/v1/hits?limit=x", json, b"").await, 422);
    is_problem(&call("POST", "/api/v1/rules", json, b"{\"a\":").await, 422);
    is_problem(&call("POST", "/api/v1/rules", json, b"\xff").await, 422);
    is_problem(&call("POST", "/api/v1/rules", "text/plain", b"{}").await, 422);
    is_problem(&call("POST", "/api/v1/rules", json, &vec![b' '; crate::routes::BODY_LIMIT + 1]).await, 413);
    let node = fixture.call("GET", weir_protocol::node_api::EVENTS, &[], b"").await;
    is_problem(&node, 405);
}

#[tokio::test]
async fn answers_bring_headers_that_keep_them_apart_and_unknown_pages_are_problems() {
    let fixture = Fixture::new().await;
    let answer = fixture.call("GET", "/api/v1/nothing", &[], b"").await;
    assert_eq!((answer.status, answer.header("content-type")), (StatusCode::NOT_FOUND, "application/problem+json"));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ] {
        assert_eq!(answer.header(name), value);
    }
    let anonymous = fixture.call("GET", "/api/v1/me", &[], b"").await;
    assert_eq!(anonymous.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn bodies_are_read_strictly_and_up_to_a_limit() {
    let fixture = Fixture::new().await;
    let unknown = serde_json::json!({"rule": {"type": "vpatch"}, "color": "red"});
    let answer = fixture.as_role(Role::Administrator, "POST", "/api/v1/rules", &unknown).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.json()["detail"].as_str().unwrap().contains("color"), "{answer:?}");
    let (cookie, csrf) = fixture.browser(Role::Administrator).await;
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf)];
    let no_type = fixture.call("POST", "/api/v1/rules", &headers, b"{}").await;
    assert_eq!(no_type.status, StatusCode::UNPROCESSABLE_ENTITY);
    let large = vec![b' '; crate::routes::BODY_LIMIT + 1];
    let headers = [headers[0], headers[1], ("content-type", "application/json")];
    assert_eq!(fixture.call("POST", "/api/v1/rules", &headers, &large).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let query = fixture.as_role(Role::Administrator, "GET", "/api/v1/rules?limt=1", &Value::Null).await;
    assert_eq!(query.status, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn the_description_is_served_and_names_every_route_its_permission_and_no_other() {
    let fixture = Fixture::new().await;
    let served = fixture.call("GET", "/api/v1/openapi.json", &[], b"").await.json();
    let mut described: Vec<(String, String, String)> = Vec::new();
    for (path, item) in served["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters") {
            let permission = operation["x-permission"].as_str().unwrap().to_owned();
            described.push((method.to_uppercase(), path.clone(), permission));
        }
    }
    let entries = server::entries(&fixture.app).into_iter().filter(|entry| entry.face == Face::Api);
    let mut known: Vec<_> = entries
        .map(|entry| {
            let permission = match entry.access {
                Access::Public => "public".to_owned(),
                Access::Anyone => "anyone".to_owned(),
                Access::Needs(what) => format!("{what:?}"),
            };
            (entry.method.to_string(), entry.path.to_owned(), permission)
        })
        .collect();
    described.sort();
    known.sort();
    assert_eq!(described, known);
}
