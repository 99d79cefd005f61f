//! An aggregation between nodes and a control plane of the test.

use crate::WEIR;
use crate::stub::{Signer, Stub, TOKEN, payload, sha256};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::Path;
use tokio::runtime::Runtime;
use weir_node::sync::client::Client;
use weir_node::sync::{CallError, Endpoint};
use weir_protocol::node_api::{Ack, Heartbeat, Identity, Register, Registered};
use weir_testkit::{Node, until};

const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";

pub fn start(stub: &Stub, data: &Path) -> Node {
    start_at(stub, data, "127.0.0.1:0")
}

fn start_at(stub: &Stub, data: &Path, address: &str) -> Node {
    let (sets, address) = (stub.sets(data), format!("aggregation.service_address={address}"));
    let sets: Vec<&str> = sets.iter().map(String::as_str).chain([address.as_str()]).collect();
    WEIR.node_as(&["aggregation"], &[], &sets)
}

/// A node behind `aggregation`.
pub fn replica(aggregation: &Node, data: &Path, more: &[&str]) -> Node {
    let sets = [
        "api.host=127.0.0.1".to_owned(),
        format!("api.port={}", aggregation.api.port()),
        "api.use_ssl=false".into(),
        format!("api.token={TOKEN}"),
        format!("data_dir={}", data.display()),
    ];
    let sets: Vec<&str> = sets.iter().map(String::as_str).chain(more.iter().copied()).collect();
    WEIR.node_as(&["processing"], &[], &sets)
}

fn blocks(node: &Node) -> bool {
    node.inspect(ATTACK).status == 200
}

fn mode(serial: u64, mode: &str) -> Value {
    payload(serial, json!({"mode": mode}))
}

/// Speaks the calls of a node by itself.
struct Speaker {
    runtime: Runtime,
    client: Client,
}

impl Speaker {
    fn new(at: SocketAddr) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let host = at.ip().to_string();
        let endpoint = Endpoint { section: "api", host, port: at.port(), tls: false, verify: true, ca_file: None };
        Self { runtime, client: Client::new(&endpoint).unwrap() }
    }

    fn register_as(&self, token: &str, identity: Option<Identity>) -> Result<Registered, CallError> {
        let body = Register {
            identity,
            group: "default".into(),
            name: "speaker".into(),
            role: "processing".into(),
            version: "1".into(),
            capabilities: vec!["policy.1".into()],
        };
        self.runtime.block_on(self.client.register(token, &body))
    }

    fn register(&self) -> Identity {
        until("registration", || self.register_as(TOKEN, None).is_ok());
        self.register_as(TOKEN, None).unwrap().identity
    }

    fn send(&self, identity: &Identity, lines: String) -> Result<Ack, CallError> {
        self.runtime.block_on(self.client.events(identity, lines.into()))
    }
}

fn hit(id: &str) -> String {
    format!("{}\n", json!({"record": "hit", "id": id, "newer": {"than": "this build"}}))
}

fn batch(name: &str, size: usize) -> (Vec<String>, String) {
    let ids: Vec<String> = (0..size).map(|n| format!("{name}-{n}")).collect();
    let lines = ids.iter().map(|id| hit(id)).collect();
    (ids, lines)
}

fn all_there(stub: &Stub, ids: &[String]) -> bool {
    stub.told(|told| ids.iter().all(|id| told.records.contains_key(id)))
}

#[test]
fn nodes_get_their_policy_through_one_connection_and_their_heartbeats_are_bundled() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let aggregation = start(&stub, data.path());
    let homes = [(); 3].map(|()| tempfile::tempdir().unwrap());
    let nodes: Vec<_> = homes.iter().map(|home| replica(&aggregation, home.path(), &[])).collect();
    assert!(nodes.iter().all(blocks));
    stub.publish(signer.publish(&mode(1, "monitoring")));
    until("monitoring everywhere", || nodes.iter().all(|node| !blocks(node)));
    until("the word of all three", || {
        stub.told(|told| told.beats.values().filter(|beat| beat.policy_serial == 1).count() == 4)
    });
    assert_eq!(stub.told(|told| (told.most_polls, told.nodes.len())), (1, 1), "one connection, one identity upstream");
    let names = stub.told(|told| told.beats.values().filter(|beat| !beat.name.is_empty()).count());
    assert_eq!(names, 3);
    // What is forged ends here.
    stub.force(Signer::new(2).publish(&mode(2, "block")));
    until("the refusal", || stub.told(|told| told.beats.values().any(|b| b.policy_error.is_some())));
    assert!(nodes.iter().all(|node| !blocks(node)));
}

#[test]
fn a_policy_that_a_node_cannot_use_is_told_upstream() {
    let (signer, data, home) = (Signer::new(1), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let aggregation = start(&stub, data.path());
    let node = replica(&aggregation, home.path(), &[]);
    let broken = json!({"rules": [{"id": 1, "type": "regex", "regex": "(", "attack_type": "sqli"}]});
    stub.publish(signer.publish(&payload(1, broken)));
    until("the error of the node", || {
        stub.told(|told| told.beats.values().any(|b| b.policy_error.as_deref().is_some_and(|e| e.contains("rules[0]"))))
    });
    assert!(blocks(&node));
}

#[test]
fn each_group_has_its_policy() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let aggregation = start(&stub, data.path());
    let homes = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let own = replica(&aggregation, homes[0].path(), &[]);
    let other = replica(&aggregation, homes[1].path(), &["api.node_group=shop"]);
    let mut policy = mode(1, "monitoring");
    policy["group"] = json!("shop");
    stub.publish(signer.publish(&policy));
    until("monitoring in the shop", || !blocks(&other));
    assert!(blocks(&own), "the other group refuses it");
    assert_eq!(stub.told(|told| told.registrations.iter().filter(|r| r.group == "shop").count()), 1);
}

#[test]
fn only_good_tokens_register_and_known_ones_while_the_control_plane_is_away() {
    let (signer, data, home) = (Signer::new(1), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut stub = Stub::start(&signer);
    stub.publish(signer.publish(&mode(1, "monitoring")));
    let aggregation = start(&stub, data.path());
    let speaker = Speaker::new(aggregation.api);
    let identity = speaker.register();
    let upstream = stub.told(|told| told.nodes.len());
    assert_eq!(upstream, 1, "no node is made upstream to try a token");
    assert!(matches!(speaker.register_as("some-other-token", None), Err(CallError::Unknown(_))));
    assert!(matches!(speaker.register_as("x.y", None), Err(CallError::Unknown(_))));
    stub.kill();
    assert!(matches!(speaker.register_as("another-token", None), Err(CallError::Busy(503, Some(_)))));
    // A node that has never been here before, on an aggregation that was started meanwhile.
    drop(aggregation);
    let aggregation = start(&stub, data.path());
    let node = replica(&aggregation, home.path(), &[]);
    until("the last good policy", || !blocks(&node));
    let speaker = Speaker::new(aggregation.api);
    assert_eq!(speaker.send(&identity, hit("a")).unwrap().stored, 1, "an identity given out before");
    let forged = Identity { secret: identity.secret.replace(|c: char| c.is_ascii_digit(), "a"), ..identity };
    assert!(matches!(speaker.send(&forged, hit("b")), Err(CallError::Unknown(_))));
}

#[test]
fn a_node_keeps_the_identity_that_another_aggregation_gave() {
    let signer = Signer::new(1);
    let stub = Stub::start(&signer);
    let data = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let aggregations = [start(&stub, data[0].path()), start(&stub, data[1].path())];
    let speakers = [Speaker::new(aggregations[0].api), Speaker::new(aggregations[1].api)];
    let identity = speakers[0].register();
    assert!(matches!(speakers[1].send(&identity, hit("a")), Err(CallError::Unknown(_))));
    speakers[1].register();
    assert_eq!(speakers[1].register_as(TOKEN, Some(identity.clone())).unwrap().identity, identity);
    assert_eq!(speakers[1].send(&identity, hit("a")).unwrap().stored, 1);
    // A node cannot take over the id of another one.
    let thief = Identity { secret: "0".repeat(64), ..identity.clone() };
    assert_ne!(speakers[1].register_as(TOKEN, Some(thief)).unwrap().identity.node_id, identity.node_id);
}

#[test]
fn records_wait_for_the_control_plane_and_arrive_whole() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let mut stub = Stub::start(&signer);
    let aggregation = start(&stub, data.path());
    let speaker = Speaker::new(aggregation.api);
    let identity = speaker.register();
    let (first, lines) = batch("first", 500);
    assert_eq!(speaker.send(&identity, lines).unwrap().stored, 500);
    until("the first batch", || all_there(&stub, &first));
    // Stored there, but not acknowledged: it is sent again, and known there by its ids.
    stub.told(|told| told.lose_acks = true);
    let (second, lines) = batch("second", 500);
    speaker.send(&identity, lines).unwrap();
    until("the second batch", || all_there(&stub, &second));
    stub.kill();
    let (third, lines) = batch("third", 1000);
    assert_eq!(speaker.send(&identity, lines).unwrap().stored, 1000);
    stub.told(|told| told.lose_acks = false);
    stub.revive();
    until("the third batch", || all_there(&stub, &third));
    until("an empty spool", || {
        stub.told(|told| told.beats.values().any(|beat| beat.spooled == 0))
            && stub.told(|told| told.records.len()) == 2000
    });
    assert!(
        stub.told(|told| first.iter().chain(&third).all(|id| told.records[id] == 1)),
        "without need nothing is sent twice"
    );
}

#[test]
fn what_was_acknowledged_outlives_kill_9() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let mut stub = Stub::start(&signer);
    let mut aggregation = start(&stub, data.path());
    let address = aggregation.api.to_string();
    let speaker = Speaker::new(aggregation.api);
    let identity = speaker.register();
    let mut acknowledged = Vec::new();
    for round in 0..6 {
        // Killed while the control plane is there, and while it is not.
        if round == 2 {
            stub.kill();
        } else if round == 4 {
            stub.revive();
        }
        for n in 0..20 {
            let (ids, lines) = batch(&format!("{round}-{n}"), 50);
            // A sender that got no acknowledgement sends again.
            until("an acknowledgement", || speaker.send(&identity, lines.clone()).is_ok());
            acknowledged.extend(ids);
        }
        aggregation.signal("KILL");
        aggregation.wait();
        aggregation = start_at(&stub, data.path(), &address);
    }
    until("all records", || all_there(&stub, &acknowledged));
    assert_eq!(stub.told(|told| told.records.len()), acknowledged.len());
}

#[test]
fn a_stop_ships_what_is_left() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let mut aggregation = start(&stub, data.path());
    let speaker = Speaker::new(aggregation.api);
    let identity = speaker.register();
    let (ids, lines) = batch("last", 1000);
    speaker.send(&identity, lines).unwrap();
    aggregation.signal("TERM");
    assert_eq!(aggregation.wait(), Some(0));
    assert!(all_there(&stub, &ids));
}

#[test]
fn calls_are_bounded() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let aggregation = start(&stub, data.path());
    let speaker = Speaker::new(aggregation.api);
    let identity = speaker.register();
    let (_, lines) = batch("many", 1001);
    assert!(matches!(speaker.send(&identity, lines), Err(CallError::Refused(422, _))));
    // Small when packed, too large when not.
    let bomb = format!("{}{}", hit("x"), " ".repeat(9 << 20));
    assert!(matches!(speaker.send(&identity, bomb), Err(CallError::Refused(413, _))));
    let ack = speaker.send(&identity, format!("{}nonsense\n[1]\n{}", hit("good"), hit("also"))).unwrap();
    assert_eq!((ack.stored, ack.rejected.len()), (2, 2));
    let beat = Heartbeat { policy_error: Some("e".repeat(2 << 20)), ..Heartbeat::default() };
    let refused = speaker.runtime.block_on(speaker.client.heartbeat(&identity, &beat));
    assert!(matches!(refused, Err(CallError::Refused(413, _))));
    let unknown = Identity { node_id: "x".into(), secret: "y".into() };
    // A server may end the connection whose body it refused to read, and the next call on it finds out; nodes call again.
    until("an answer to an unknown node", || match speaker.send(&unknown, hit("z")) {
        Err(CallError::Unreachable(_)) => false,
        other => matches!(other, Err(CallError::Unknown(_))) || panic!("{other:?}"),
    });
    until("the good ones", || all_there(&stub, &["good".into(), "also".into()]));
    assert_eq!(stub.told(|told| told.records.len()), 2);
}

#[test]
fn files_of_a_policy_come_through_and_others_do_not() {
    let (signer, data, home) = (Signer::new(1), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let aggregation = start(&stub, data.path());
    let node = replica(&aggregation, home.path(), &[]);
    let pack = "- id: rce.pack-sample\n  attack: rce\n  about: A word of the test.\n  pattern: 'xyzzy-plugh'\n  \
                confidence: high\n  positive: ['xyzzy-plugh']\n  negative: ['xyzzy']\n";
    stub.told(|told| told.blobs.insert(sha256(pack.as_bytes()), pack.into()));
    let mut policy = mode(1, "block");
    let blob = json!({"name": "extra", "version": "1", "sha256": sha256(pack.as_bytes()), "bytes": pack.len()});
    policy["rule_packs"] = json!([blob]);
    stub.publish(signer.publish(&policy));
    until("the pack", || node.inspect(b"GET /?q=xyzzy-plugh HTTP/1.1\r\nHost: a\r\n\r\n").status == 200);
    let speaker = Speaker::new(aggregation.api);
    let identity = speaker.register();
    let fetch = |name: &str| speaker.runtime.block_on(speaker.client.blob(&identity, name)).map(drop);
    assert_eq!(fetch(&sha256(pack.as_bytes())), Ok(()));
    for other in [sha256(b"other"), "..%2Fpolicy.json".into(), "%2Fetc%2Fpasswd".into()] {
        assert!(matches!(fetch(&other), Err(CallError::Refused(404, _))), "{other}");
    }
}
