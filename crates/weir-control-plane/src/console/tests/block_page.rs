//! The editor of block pages: preview, mistakes, what is stored, and the form of a report.

use crate::auth::Role;
use crate::testing::{Answer, Fixture};
use axum::http::StatusCode;
use serde_json::json;

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

#[tokio::test]
async fn a_block_page_is_previewed_without_rights_and_stored_as_written() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Analyst).await;
    let post = async |path: &str, body: &str| {
        let body = format!("csrf={csrf}&{body}");
        fixture.call("POST", path, &[("cookie", cookie.as_str()), FORM], body.as_bytes()).await
    };
    let page =
        "status=451&body_html=%3Cscript%3Ealert()%3C/script%3E%0D%0A%3Cp%3E%24%7Bhost%7D&headers=Retry-After:+60%0D%0A";
    let preview = post("/rules/preview/block_reply", page).await;
    assert_eq!((preview.status, preview.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"));
    assert_eq!(text(&preview), "<script>alert()</script>\n<p>shop.example.com");
    let csp = preview.header("content-security-policy");
    assert!(csp.starts_with("sandbox; default-src 'none'") && csp.contains("frame-ancestors 'self'"), "{csp}");
    assert!(!csp.contains("script") && preview.header("x-frame-options") == "SAMEORIGIN", "{csp}");
    let wrong = post("/rules/preview/block_reply", "status=200&body_text=a").await;
    assert_eq!(wrong.header("content-type"), "text/plain; charset=utf-8");
    assert!(text(&wrong).starts_with("status: expected a status from 400 to 599"), "{}", text(&wrong));
    let refused = post("/rules/new/block_reply", "status=200&body_text=a").await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&refused).contains("expected a status from 400 to 599"), "{}", text(&refused));
    let made = post("/rules/new/block_reply", &format!("{page}&host=h")).await;
    assert_eq!(made.status, StatusCode::SEE_OTHER, "{}", text(&made));
    let rule = fixture.app.policy.head().state.rule(1).unwrap().rule.clone();
    assert_eq!((&rule["status"], &rule["headers"]), (&json!(451), &json!({"Retry-After": "60"})));
    assert_eq!(rule["body_html"], "<script>alert()</script>\n<p>${host}");
    // Who may only read sends nothing of the form, and sees what is stored.
    let (reader, token) = fixture.browser(Role::ReadOnly).await;
    let body = format!("csrf={token}&id=1");
    let stored =
        fixture.call("POST", "/rules/preview/block_reply", &[("cookie", reader.as_str()), FORM], body.as_bytes()).await;
    assert_eq!(text(&stored), "<script>alert()</script>\n<p>shop.example.com");
    let form = fixture.call("GET", "/rules/1", &[("cookie", cookie.as_str())], b"").await;
    assert!(text(&form).contains("sandbox=\"\"") && text(&form).contains("Retry-After: 60"), "{}", text(&form));
    assert!(!text(&form).contains("<script>alert"), "the page is shown as text alone");
}

#[tokio::test]
async fn the_form_of_alerts_makes_reports() {
    let fixture = Fixture::new().await;
    let (cookie, csrf) = fixture.browser(Role::Administrator).await;
    let post = async |body: &str| {
        let body = format!("csrf={csrf}&channel=slack&url=https://chat.example/x&hits=10&minutes=15&{body}");
        fixture.call("POST", "/alerts", &[("cookie", cookie.as_str()), FORM], body.as_bytes()).await
    };
    let wrong = post("name=r&when=weekly&hour=24").await;
    assert_eq!(wrong.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(text(&wrong).contains("enter an hour from 0 to 23"), "{}", text(&wrong));
    assert_eq!(post("name=r&when=weekly&hour=7").await.status, StatusCode::SEE_OTHER);
    let list = fixture.call("GET", "/alerts", &[("cookie", cookie.as_str())], b"").await;
    assert!(text(&list).contains("Report every Monday at 07:00 UTC"), "{}", text(&list));
    let off = fixture.app.alerts().await.unwrap();
    assert_eq!((off[0].about.report.map(|report| report.hour), off[0].about.digest), (Some(7), false));
}
