//! Identity of nodes: for which nodes a node may speak, in which group it is, how many there may be.

use crate::auth::Role;
use crate::nodes::INACTIVE_MS;
use crate::testing::{Answer, DEPLOY, Fixture};
use axum::http::StatusCode;
use serde_json::{Value, json};
use weir_protocol::node_api::{HEARTBEAT, REGISTER, REGISTRATION_TOKEN};

/// Registers a node; answers its id and bearer text.
async fn register(fixture: &Fixture, group: &str, role: &str, identity: Option<Value>) -> (String, String, Value) {
    let mut body = json!({"group": group, "name": "n", "role": role, "version": "1", "capabilities": ["policy.1"]});
    if let Some(identity) = identity {
        body["identity"] = identity;
    }
    let answer = fixture.bearer(DEPLOY, "POST", REGISTER, &body).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let identity = answer.json()["identity"].clone();
    let id = identity["node_id"].as_str().unwrap().to_owned();
    (id.clone(), format!("{id}.{}", identity["secret"].as_str().unwrap()), identity)
}

/// A heartbeat that speaks for `replicas` too, with the registration token or without.
async fn beat(fixture: &Fixture, bearer: &str, replicas: &[String], token: bool) -> Answer {
    let replicas: Vec<Value> = replicas.iter().map(|id| json!([id, {"version": "evil"}])).collect();
    let body = json!({"version": "1", "capabilities": [], "replicas": replicas}).to_string();
    let authorization = format!("Bearer {bearer}");
    let headers = [("authorization", authorization.as_str()), (REGISTRATION_TOKEN, DEPLOY)];
    let headers = if token { &headers[..] } else { &headers[..1] };
    fixture.call("POST", HEARTBEAT, headers, body.as_bytes()).await
}

/// What the audit log has of nodes that were taken over.
async fn taken_over(fixture: &Fixture) -> Vec<Value> {
    let answer = fixture.as_role(Role::Administrator, "GET", "/api/v1/audit?action=node.take_over", &Value::Null).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["items"].as_array().unwrap().clone()
}

fn new_id() -> String {
    uuid::Uuid::now_v7().to_string()
}

#[tokio::test]
async fn a_node_speaks_for_itself_and_an_aggregation_for_its_group() {
    let fixture = Fixture::new().await;
    let (_, processing, _) = register(&fixture, "default", "processing", None).await;
    let (mine, aggregation, _) = register(&fixture, "default", "aggregation", None).await;
    let refused = beat(&fixture, &processing, &[new_id()], true).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "{refused:?}");
    assert_eq!(fixture.app.nodes.list().await.unwrap().len(), 2, "no row was made");
    let replica = new_id();
    assert_eq!(
        beat(&fixture, &aggregation, std::slice::from_ref(&replica), false).await.status,
        StatusCode::NO_CONTENT
    );
    let made = fixture.app.nodes.find(&replica).await.unwrap().unwrap();
    assert_eq!((made.group.as_str(), made.parent.as_str()), ("default", mine.as_str()));
}

#[tokio::test]
async fn nodes_that_may_count_apart_are_named_where_a_rule_counts() {
    let fixture = Fixture::new().await;
    let page = async || {
        let answer = fixture.as_role(Role::Analyst, "GET", "/nodes", &Value::Null).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        String::from_utf8_lossy(&answer.body).contains("Nodes of group default may count apart")
    };
    let (_, aggregation, _) = register(&fixture, "default", "aggregation", None).await;
    beat(&fixture, &aggregation, &[new_id(), new_id()], false).await;
    let rule = json!({"rule": {"type": "rate_limit", "threshold": 600}});
    let made = fixture.as_role(Role::Analyst, "POST", "/api/v1/rules", &rule).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    assert!(!page().await, "both speak through one aggregation");
    let (_, second, _) = register(&fixture, "default", "aggregation", None).await;
    beat(&fixture, &second, &[new_id()], false).await;
    assert!(page().await);
    let id = made.json()["item"]["id"].clone();
    fixture.as_role(Role::Analyst, "DELETE", &format!("/api/v1/rules/{id}"), &Value::Null).await;
    assert!(!page().await, "no rule counts");
}

#[tokio::test]
async fn a_silent_node_is_taken_over_with_a_registration_token_and_in_its_group_alone() {
    let fixture = Fixture::new().await;
    let (victim, own, _) = register(&fixture, "default", "processing", None).await;
    let (other_aggregation, other, _) = register(&fixture, "edge", "aggregation", None).await;
    let (mine, aggregation, _) = register(&fixture, "default", "aggregation", None).await;
    let parent = async || fixture.app.nodes.find(&victim).await.unwrap().unwrap().parent;
    let victims = std::slice::from_ref(&victim);
    beat(&fixture, &aggregation, victims, true).await;
    assert_eq!(parent().await, "", "it is not silent");
    fixture.clock.advance(INACTIVE_MS + 1);
    beat(&fixture, &aggregation, victims, false).await;
    assert_eq!(parent().await, "", "without the token");
    beat(&fixture, &other, victims, true).await;
    assert_eq!(parent().await, "", "another group");
    beat(&fixture, &aggregation, std::slice::from_ref(&other_aggregation), true).await;
    assert_eq!(fixture.app.nodes.find(&other_aggregation).await.unwrap().unwrap().parent, "");
    assert_eq!(taken_over(&fixture).await, Vec::<Value>::new());
    beat(&fixture, &aggregation, victims, true).await;
    assert_eq!(parent().await, mine);
    assert_eq!(beat(&fixture, &own, &[], false).await.status, StatusCode::UNAUTHORIZED, "its own secret is void");
    let [record] = &taken_over(&fixture).await[..] else { panic!("one record") };
    assert_eq!(
        [&record["actor"], &record["object"], &record["before"]["parent"], &record["after"]["parent"]],
        [&json!("token:control_plane.deploy_token"), &json!(format!("node/{victim}")), &json!(""), &json!(mine)]
    );
    beat(&fixture, &aggregation, victims, false).await;
    assert_eq!(fixture.app.nodes.find(&victim).await.unwrap().unwrap().version, "evil", "it is behind it now");
}

#[tokio::test]
async fn a_node_that_is_lost_to_all_aggregations_stays_where_it_was() {
    let fixture = Fixture::new().await;
    let (node, _, _) = register(&fixture, "default", "processing", None).await;
    let (first, one, _) = register(&fixture, "default", "aggregation", None).await;
    let (_, two, _) = register(&fixture, "default", "aggregation", None).await;
    fixture.clock.advance(INACTIVE_MS + 1);
    beat(&fixture, &one, std::slice::from_ref(&node), true).await;
    let body = json!({"replicas": [[node, {"age_ms": INACTIVE_MS}]]}).to_string();
    for bearer in [&two, &one, &two] {
        fixture.clock.advance(INACTIVE_MS + 1);
        let authorization = format!("Bearer {bearer}");
        let headers = [("authorization", authorization.as_str()), (REGISTRATION_TOKEN, DEPLOY)];
        let answer = fixture.call("POST", HEARTBEAT, &headers, body.as_bytes()).await;
        assert_eq!(answer.status, StatusCode::NO_CONTENT, "{answer:?}");
    }
    assert_eq!(fixture.app.nodes.find(&node).await.unwrap().unwrap().parent, first);
    assert_eq!(taken_over(&fixture).await.len(), 1, "the first time alone");
}

#[tokio::test]
async fn an_identity_stays_in_its_group_and_role() {
    let fixture = Fixture::new().await;
    let (id, bearer, identity) = register(&fixture, "default", "processing", None).await;
    let (same, ..) = register(&fixture, "default", "processing", Some(identity.clone())).await;
    assert_eq!(same, id);
    for (group, role) in [("edge", "processing"), ("default", "aggregation")] {
        let (other, ..) = register(&fixture, group, role, Some(identity.clone())).await;
        assert_ne!(other, id, "a new one for {group} {role}");
    }
    let kept = fixture.app.nodes.find(&id).await.unwrap().unwrap();
    assert_eq!((kept.group.as_str(), kept.role.as_str()), ("default", "processing"));
    assert_eq!(beat(&fixture, &bearer, &[], false).await.status, StatusCode::NO_CONTENT, "it still speaks");
}

#[tokio::test]
async fn there_are_no_more_nodes_than_the_limit_whoever_makes_them() {
    let fixture = Fixture::new().await;
    let (mine, aggregation, _) = register(&fixture, "default", "aggregation", None).await;
    for _ in 0..2 {
        let many: Vec<String> = (0..600).map(|_| new_id()).collect();
        beat(&fixture, &aggregation, &many, true).await;
    }
    let all = fixture.app.nodes.list().await.unwrap();
    assert_eq!(all.iter().filter(|node| node.parent == mine).count(), 1_000, "as many as one aggregation may have");
    let fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 8999) INSERT INTO nodes \
        SELECT 'n' || i, '', 'g', '', 'processing', '', '[]', '', '', 1, 0, 0, '{}' FROM n";
    sqlx::query(fill).execute(fixture.app.store.control().write()).await.unwrap();
    let one_more = json!({"group": "g", "name": "n", "role": "processing", "version": "1", "capabilities": []});
    let full = fixture.bearer(DEPLOY, "POST", REGISTER, &one_more).await;
    assert_eq!(full.status, StatusCode::CONFLICT, "{full:?}");
    let (other, count) = (new_id(), fixture.app.nodes.list().await.unwrap().len());
    sqlx::query("DELETE FROM nodes WHERE parent <> '' AND id = (SELECT MIN(id) FROM nodes WHERE parent <> '')")
        .execute(fixture.app.store.control().write())
        .await
        .unwrap();
    beat(&fixture, &aggregation, &[new_id(), other], true).await;
    assert_eq!((count, fixture.app.nodes.list().await.unwrap().len()), (10_000, 10_000), "one place was free");
}
