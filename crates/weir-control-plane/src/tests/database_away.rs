//! While the database server does not answer.

use crate::auth::Role;
use crate::testing::Fixture;
use axum::http::StatusCode;

#[tokio::test]
async fn calls_are_refused_without_a_look_at_the_store_until_it_answers_again() {
    let fixture = Fixture::new().await;
    let (cookie, _) = fixture.browser(Role::ReadOnly).await;
    let get = async |path: &str| {
        let headers = [("cookie", cookie.as_str()), ("accept", "text/html")];
        fixture.call("GET", path, &headers, b"").await
    };
    fixture.app.store.note_server(Err("connection refused".into()));
    // The session is not looked up: that would be a look at the store.
    let anybody = fixture.call("GET", "/api/v1/attacks", &[("cookie", "weir=nonsense")], b"").await;
    assert_eq!(anybody.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!((anybody.header("retry-after"), anybody.json()["title"].as_str()), ("5", Some("unavailable")));
    for path in ["/", "/login", "/attacks", "/node/v1/policy"] {
        let answer = get(path).await;
        assert_eq!((answer.status, answer.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "5"), "{path}");
    }
    let page = String::from_utf8(get("/attacks").await.body).unwrap();
    assert!(page.contains("The store does not answer") && page.contains("<html"), "{page}");
    let style = page.split("/assets/").nth(1).and_then(|rest| rest.split('"').next()).unwrap().to_owned();
    assert_eq!(get(&format!("/assets/{style}")).await.status, StatusCode::OK, "the page of the error has its style");
    assert_eq!(fixture.app.store.unreachable().unwrap().why, "connection refused");
    fixture.app.store.note_server(Ok(()));
    assert_eq!(get("/attacks").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_call_that_waits_is_ended_when_the_server_is_lost() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Administrator).await;
    let headers = [("cookie", cookie.as_str()), ("x-csrf-token", &csrf)];
    // On SQLite there is one connection for changes: whoever wants it waits for this one.
    let held = fixture.app.store.control().write().acquire().await.unwrap();
    let call = fixture.call("DELETE", "/api/v1/session", &headers, b"");
    let lost = async {
        tokio::task::yield_now().await;
        fixture.app.store.note_server(Err("no answer".into()));
    };
    let (answer, ()) = tokio::join!(call, lost);
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{answer:?}");
    assert!(!answer.header("retry-after").is_empty());
    drop(held);
}
