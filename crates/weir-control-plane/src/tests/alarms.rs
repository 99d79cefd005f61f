//! Alarms on the Dashboard and in the audit log.

use crate::auth::Role;
use crate::testing::Fixture;
use serde_json::{Value, json};
use weir_protocol::node_api::{CAPABILITIES, HEARTBEAT};

async fn beat(fixture: &Fixture, node: &str, gaps: Value) {
    let body = json!({"version": "1", "interval": 5, "gaps": gaps});
    assert_eq!(fixture.bearer(node, "POST", HEARTBEAT, &body).await.status, 204);
}

fn gap(fixture: &Fixture, route: &str, count: u64) -> Value {
    json!({"route": route, "leg": "request", "reason": "connect", "count": count, "last": fixture.clock.millis()})
}

async fn dashboard(fixture: &Fixture) -> String {
    let (cookie, _) = fixture.browser(Role::ReadOnly).await;
    let page = fixture.call("GET", "/", &[("cookie", &cookie)], b"").await;
    assert_eq!(page.status, 200);
    String::from_utf8(page.body).unwrap()
}

async fn actions(fixture: &Fixture) -> Vec<String> {
    fixture.app.watch_alarms().await.unwrap();
    let asked = crate::audit::Query { action: Some("alarm".into()), limit: 50, ..Default::default() };
    let rows = fixture.app.audit.list(&asked).await.unwrap();
    rows.into_iter().rev().map(|row| format!("{} {}", row.action, row.object)).collect()
}

const UNINSPECTED: &str = "Requests pass uninspected on route shop: the gateway cannot connect to the node";

#[tokio::test]
async fn a_bypass_that_a_node_reports_is_on_the_dashboard_until_it_is_over() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.node(CAPABILITIES).await, fixture.node(CAPABILITIES).await);
    beat(&fixture, &one, json!([])).await;
    assert!(!dashboard(&fixture).await.contains("pass uninspected"));
    let gaps = json!([gap(&fixture, "shop", 3)]);
    beat(&fixture, &one, gaps.clone()).await;
    beat(&fixture, &two, json!([gap(&fixture, "shop", 5), gap(&fixture, "<i>", 1)])).await;
    let page = dashboard(&fixture).await;
    assert_eq!(page.matches(UNINSPECTED).count(), 1, "{page}");
    assert!(page.contains("at least 5") && !page.contains("<i>"), "{page}");
    assert_eq!(
        actions(&fixture).await,
        ["alarm.begin uninspected/request/<i>/connect", "alarm.begin uninspected/request/shop/connect"]
    );
    fixture.clock.advance(11 * 60 * 1000);
    beat(&fixture, &one, gaps).await;
    beat(&fixture, &two, json!([])).await;
    assert!(!dashboard(&fixture).await.contains("pass uninspected"));
    assert_eq!(actions(&fixture).await.len(), 4, "each alarm has ended");
}

#[tokio::test]
async fn all_nodes_silent_for_fifteen_seconds_is_an_alarm_and_one_of_two_is_none() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.node(CAPABILITIES).await, fixture.node(CAPABILITIES).await);
    beat(&fixture, &one, json!([])).await;
    beat(&fixture, &two, json!([])).await;
    fixture.clock.advance(10_000);
    beat(&fixture, &two, json!([])).await;
    fixture.clock.advance(10_000);
    assert!(!dashboard(&fixture).await.contains("No node answers"), "one of two has missed heartbeats");
    fixture.clock.advance(5_000);
    assert!(dashboard(&fixture).await.contains("No node answers"), "15 s after the last heartbeat of any");
    assert_eq!(actions(&fixture).await, ["alarm.begin no_node/nodes"]);
    beat(&fixture, &one, json!([gap(&fixture, "shop", 9)])).await;
    let page = dashboard(&fixture).await;
    assert!(!page.contains("No node answers") && page.contains(UNINSPECTED), "filled in on recovery: {page}");
    assert_eq!(actions(&fixture).await.len(), 3);
}

#[tokio::test]
async fn nodes_that_send_heartbeats_less_often_have_more_time() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    assert_eq!(fixture.bearer(&node, "POST", HEARTBEAT, &json!({"version": "0"})).await.status, 204);
    fixture.clock.advance(60_000);
    assert!(fixture.app.alarms().await.unwrap().is_empty(), "an older node reports every 30 s");
    fixture.clock.advance(5_000);
    assert_eq!(fixture.app.alarms().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_missed_while_the_control_plane_was_down_is_no_alarm() {
    let mut fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    beat(&fixture, &node, json!([])).await;
    fixture.clock.advance(60_000);
    fixture.app = Fixture::open(&fixture.dir, fixture.clock.clone()).await;
    assert!(fixture.app.alarms().await.unwrap().is_empty());
    fixture.clock.advance(15_000);
    assert_eq!(fixture.app.alarms().await.unwrap().len(), 1);
}

const UNANSWERED: &str = "Rule 1 counts nothing on route shop: the connector sends no responses to its requests";
const UNLISTED: &str = "Calls of connectors that do not authenticate list nothing (node ";

#[tokio::test]
async fn a_node_without_all_built_in_signatures_is_an_alarm() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let beat = |missing: u64| json!({"version": "1", "interval": 5, "signatures": 7, "missing_signatures": missing});
    for (missing, shown, recorded) in [(0, false, 0), (4_000, true, 1), (0, false, 2)] {
        assert_eq!(fixture.bearer(&node, "POST", HEARTBEAT, &beat(missing)).await.status, 204);
        let (cookie, _) = fixture.browser(Role::ReadOnly).await;
        let page = fixture.call("GET", "/", &[("cookie", &cookie)], b"").await;
        let page = String::from_utf8(page.body).unwrap();
        assert_eq!(page.contains("4000 built-in signatures are not in use (node"), shown, "{missing}");
        assert_eq!(actions(&fixture).await.len(), recorded);
    }
    assert_eq!(actions(&fixture).await, ["alarm.begin missing_signatures/nodes", "alarm.end missing_signatures/nodes"]);
}

#[tokio::test]
async fn a_rule_on_behaviour_that_cannot_act_is_named_where_people_look() {
    let fixture = Fixture::new().await;
    let node = fixture.node(CAPABILITIES).await;
    let (analyst, _) = fixture.browser(Role::Analyst).await;
    let rule = json!({"rule": {"type": "brute", "threshold": 5, "window": 60, "reaction": "graylist"}});
    let made = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &rule).await;
    assert_eq!(made.status, 201, "{made:?}");
    let shows = |path: &'static str, text: &'static str| {
        let (fixture, cookie) = (&fixture, &analyst);
        async move {
            let page = fixture.call("GET", path, &[("cookie", cookie)], b"").await;
            assert_eq!(page.status, 200, "{path}");
            String::from_utf8(page.body).unwrap().contains(text)
        }
    };
    assert!(!shows("/", UNLISTED).await);
    let now = fixture.clock.millis();
    let unanswered = json!([{"rule": 1, "route": "shop", "last": now}, {"rule": 99, "route": "<i>", "last": now}]);
    let body = json!({"version": "1", "interval": 5, "behaviour": {"unlisted": now, "unanswered": unanswered}});
    assert_eq!(fixture.bearer(&node, "POST", HEARTBEAT, &body).await.status, 204);
    for path in ["/", "/rules", "/rules/1"] {
        assert!(shows(path, UNANSWERED).await, "{path}");
        assert!(!shows(path, "<i>").await, "{path}");
    }
    for path in ["/", "/rules/1", "/automatic"] {
        assert!(shows(path, UNLISTED).await, "{path}");
    }
    assert!(shows("/", "<a href=\"/rules/1\">rule 1</a>").await);
    assert_eq!(
        actions(&fixture).await,
        ["alarm.begin unanswered/rule/1/shop", "alarm.begin unanswered/rule/99/<i>", "alarm.begin unlisted/connectors"]
    );
    fixture.clock.advance(11 * 60 * 1000);
    assert_eq!(fixture.bearer(&node, "POST", HEARTBEAT, &body).await.status, 204);
    assert!(!shows("/", UNLISTED).await && !shows("/rules", UNANSWERED).await, "long past");
}
