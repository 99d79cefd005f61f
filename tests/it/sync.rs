//! A node and its control plane: registration, policy, what stays when it is away.

use crate::WEIR;
use crate::stub::{Signer, Stub, TOKEN, payload, sha256};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::Path;
use weir_testkit::{Node, until};

const ATTACK: &[u8] = b"GET /etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";

fn start(stub: &Stub, data: &Path, more: &[&str]) -> Node {
    let sets = stub.sets(data);
    let sets: Vec<&str> = sets.iter().map(String::as_str).chain(more.iter().copied()).collect();
    WEIR.node_as(&["processing"], &[], &sets)
}

fn blocks(node: &Node) -> bool {
    match node.inspect(ATTACK).status {
        200 => true,
        204 => false,
        other => panic!("status {other}"),
    }
}

fn mode(serial: u64, mode: &str) -> Value {
    payload(serial, json!({"mode": mode}))
}

/// Waits until the control plane hears of `error`, or of none.
fn until_told(stub: &Stub, serial: u64, error: Option<&str>) {
    until(&format!("serial {serial} with {error:?}"), || {
        let Some(beat) = stub.beat() else { return false };
        let fits = match (&beat.policy_error, error) {
            (Some(told), Some(wanted)) => told.contains(wanted),
            (told, wanted) => told.is_none() && wanted.is_none(),
        };
        beat.policy_serial == serial && fits
    });
}

#[test]
fn a_change_of_policy_acts_and_is_told() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let node = start(&stub, data.path(), &[]);
    assert!(blocks(&node), "without a policy the local mode holds");
    stub.publish(signer.publish(&mode(1, "monitoring")));
    until("monitoring", || !blocks(&node));
    until_told(&stub, 1, None);
    stub.publish(signer.publish(&mode(2, "block")));
    until("blocking", || blocks(&node));
    until_told(&stub, 2, None);
    let register = stub.told(|told| told.registrations[0].clone());
    assert_eq!((register.group.as_str(), register.role.as_str()), ("default", "processing"));
    assert!(stub.beat().unwrap().signatures > 0);
}

#[test]
fn a_node_starts_with_the_policy_that_is_there() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    stub.publish(signer.publish(&mode(7, "monitoring")));
    let node = start(&stub, data.path(), &[]);
    assert!(!blocks(&node), "the first answer is by the policy");
}

#[test]
fn the_identity_survives_restarts_and_a_control_plane_that_forgot_it() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    drop(start(&stub, data.path(), &[]));
    let node = start(&stub, data.path(), &[]);
    until("a second start", || {
        stub.told(|told| told.calls.iter().filter(|(path, _)| path.ends_with("policy")).count() > 1)
    });
    assert_eq!(stub.told(|told| (told.registrations.len(), told.nodes.len())), (1, 1));
    stub.told(|told| {
        told.nodes.clear();
        told.nodes.insert("other".into(), "secret".into());
    });
    stub.publish(signer.publish(&mode(1, "monitoring")));
    // A call that was waiting is still answered under the old identity.
    let again = || stub.told(|told| told.registrations.len() > 1);
    until("a policy under a new identity", || !blocks(&node) && again());
    let again = stub.told(|told| told.registrations.last().unwrap().clone());
    assert!(again.identity.is_some(), "it proves who it was");
    assert_eq!(stub.told(|told| told.registrations.len()), 2);
}

#[test]
fn forged_and_replayed_policies_are_refused_also_after_a_restart() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let node = start(&stub, data.path(), &[]);
    let old = signer.publish(&mode(5, "monitoring"));
    stub.publish(old.clone());
    until("monitoring", || !blocks(&node));
    stub.publish(signer.publish(&mode(6, "block")));
    until("blocking", || blocks(&node));
    stub.force(old.clone());
    until_told(&stub, 6, Some("not newer than 6"));
    let mut forged = signer.publish(&mode(7, "monitoring"));
    forged.document = forged.document.replace("default", "default ");
    stub.force(forged);
    until_told(&stub, 6, Some("signature"));
    stub.force(Signer::new(2).publish(&mode(8, "monitoring")));
    until_told(&stub, 6, Some("not trusted"));
    assert!(blocks(&node));
    drop(node);
    stub.told(|told| told.beats.clear());
    stub.force(old);
    let node = start(&stub, data.path(), &[]);
    until_told(&stub, 6, Some("not newer than 6"));
    assert!(blocks(&node));
    // Rolled back under a new serial it is taken.
    stub.publish(signer.publish(&mode(9, "monitoring")));
    until("the rollback", || !blocks(&node));
    until_told(&stub, 9, None);
}

#[test]
fn a_successor_key_is_followed_and_its_predecessor_left() {
    let (first, second, data) = (Signer::new(1), Signer::new(2), tempfile::tempdir().unwrap());
    let stub = Stub::start(&first);
    let node = start(&stub, data.path(), &[]);
    stub.publish(first.publish(&mode(1, "block")));
    until_told(&stub, 1, None);
    let mut signed = second.publish(&mode(2, "monitoring"));
    signed.chain = vec![first.vouch(&second)];
    stub.publish(signed);
    until("monitoring", || !blocks(&node));
    stub.force(first.publish(&mode(3, "block")));
    until_told(&stub, 2, Some("not trusted"));
    drop(node);
    // Verified again from the pinned key.
    stub.told(|told| told.beats.clear());
    let node = start(&stub, data.path(), &[]);
    assert!(!blocks(&node));
    until_told(&stub, 2, Some("not trusted"));
}

#[test]
fn a_configured_key_counts_and_not_the_one_given_at_registration() {
    let (ours, theirs, data) = (Signer::new(1), Signer::new(2), tempfile::tempdir().unwrap());
    let stub = Stub::start(&theirs);
    let key = format!("api.policy_key={}", ours.key().public_key);
    let node = start(&stub, data.path(), &[&key]);
    stub.publish(theirs.publish(&mode(1, "monitoring")));
    until_told(&stub, 0, Some("not trusted"));
    assert!(blocks(&node));
    stub.publish(ours.publish(&mode(2, "monitoring")));
    until("monitoring", || !blocks(&node));
}

#[test]
fn what_cannot_be_used_is_told_and_the_last_good_policy_stays() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let node = start(&stub, data.path(), &[]);
    stub.publish(signer.publish(&mode(1, "monitoring")));
    until("monitoring", || !blocks(&node));
    let mut unknown = mode(2, "block");
    unknown["requires"] = json!(["policy.1", "teleport.1"]);
    stub.publish(signer.publish(&unknown));
    until_told(&stub, 1, Some("requires teleport.1"));
    let broken = json!({"mode": "block", "rules": [{"id": 1, "type": "regex", "regex": "(", "attack_type": "sqli"}]});
    stub.publish(signer.publish(&payload(3, broken)));
    until_told(&stub, 1, Some("rules[0].regex"));
    let mut group = mode(4, "block");
    group["group"] = json!("other");
    stub.publish(signer.publish(&group));
    until_told(&stub, 1, Some("group `other`"));
    let mut schema = mode(5, "block");
    schema["schema"] = json!(2);
    stub.publish(signer.publish(&schema));
    until_told(&stub, 1, Some("schema 2"));
    assert!(!blocks(&node));
    stub.publish(signer.publish(&mode(6, "block")));
    until("blocking", || blocks(&node));
    until_told(&stub, 6, None);
}

#[test]
fn a_cold_start_without_the_control_plane_has_the_last_good_policy() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let mut stub = Stub::start(&signer);
    let node = start(&stub, data.path(), &[]);
    stub.publish(signer.publish(&mode(1, "monitoring")));
    until_told(&stub, 1, None);
    stub.kill();
    assert!(!blocks(&node), "it goes on");
    drop(node);
    let node = start(&stub, data.path(), &[]);
    assert!(!blocks(&node));
    drop(node);
    // A copy that was changed is none.
    let file = data.path().join("sync/policy.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("monitoring", "safe_blocking")).unwrap();
    let node = start(&stub, data.path(), &[]);
    assert!(blocks(&node));
    stub.publish(signer.publish(&mode(2, "monitoring")));
    stub.revive();
    until("the control plane's return", || !blocks(&node));
}

#[test]
fn local_and_remote_mode_join_by_the_override() {
    for (by, local, remote, blocked) in [
        ("on", "block", "monitoring", false),
        ("off", "block", "monitoring", true),
        ("strict", "block", "monitoring", true),
        ("strict", "monitoring", "block", true),
    ] {
        let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
        let stub = Stub::start(&signer);
        stub.publish(signer.publish(&mode(1, remote)));
        let local = format!("route_config.wallarm_mode={local}");
        let by_set = format!("route_config.wallarm_mode_allow_override={by}");
        let node = start(&stub, data.path(), &[&local, &by_set]);
        until_told(&stub, 1, None);
        assert_eq!(blocks(&node), blocked, "{by}");
    }
}

const PACK: &str = "- id: rce.pack-sample\n  attack: rce\n  about: A word of the test.\n  pattern: 'xyzzy-plugh'\n  \
                    confidence: high\n  positive: ['xyzzy-plugh']\n  negative: ['xyzzy']\n";
const PACK_ATTACK: &[u8] = b"GET /?q=xyzzy-plugh HTTP/1.1\r\nHost: example.com\r\n\r\n";

fn blob(name: &str, content: &[u8]) -> Value {
    json!({"name": name, "version": "1", "sha256": sha256(content), "bytes": content.len()})
}

#[test]
fn rule_packs_come_with_the_policy_and_only_as_they_were_named() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let mut stub = Stub::start(&signer);
    let node = start(&stub, data.path(), &[]);
    let hit = |node: &Node| node.inspect(PACK_ATTACK).status == 200;
    assert!(!hit(&node));
    let mut policy = mode(1, "block");
    policy["rule_packs"] = json!([blob("extra", PACK.as_bytes())]);
    stub.told(|told| told.blobs.insert(sha256(PACK.as_bytes()), PACK.replace("plugh", "plagh").into_bytes()));
    stub.publish(signer.publish(&policy));
    until_told(&stub, 0, Some("content"));
    stub.told(|told| told.blobs.insert(sha256(PACK.as_bytes()), b"shorter".to_vec()));
    until_told(&stub, 0, Some("length"));
    assert!(!hit(&node));
    stub.told(|told| told.blobs.insert(sha256(PACK.as_bytes()), PACK.as_bytes().to_vec()));
    until("the pack", || hit(&node));
    assert!(blocks(&node), "built-in signatures stay");
    until_told(&stub, 1, None);
    // From the cache, without a control plane.
    stub.kill();
    drop(node);
    let node = start(&stub, data.path(), &[]);
    assert!(hit(&node));
    drop(node);
    // A cached file that was changed is not used, and with it not the policy.
    std::fs::write(data.path().join("sync/blobs").join(sha256(PACK.as_bytes())), PACK.replace("xyzzy", "xyzzi"))
        .unwrap();
    let node = start(&stub, data.path(), &[]);
    assert!(!hit(&node) && blocks(&node));
    // A pack called `builtin` takes the place of what ships with the node.
    stub.revive();
    let mut policy = mode(2, "block");
    policy["rule_packs"] = json!([blob("builtin", PACK.as_bytes())]);
    stub.publish(signer.publish(&policy));
    until_told(&stub, 2, None);
    assert!(hit(&node) && !blocks(&node));
    stub.publish(signer.publish(&mode(3, "block")));
    until("the built-in signatures", || blocks(&node));
    let left = || std::fs::read_dir(data.path().join("sync/blobs")).unwrap().count();
    until("unused files to go", || left() == 0);
}

#[test]
fn databases_come_with_the_policy() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let node = start(&stub, data.path(), &[]);
    let mut database = maxminddb_writer::Database::default();
    (database.metadata.binary_format_major_version, database.metadata.database_type) = (2, "Test".into());
    let country = json!({"country": {"iso_code": "DE"}});
    let entry = database.insert_value(country).unwrap();
    database.insert_node("203.0.113.0/24".parse::<maxminddb_writer::paths::IpAddrWithMask>().unwrap(), entry);
    let mut content = Vec::new();
    database.write_to(&mut content).unwrap();
    let lists = json!([{"list": "deny", "rule_type": "country", "values": ["DE"]}]);
    let mut policy = payload(1, json!({"mode": "block", "ip_lists": lists}));
    policy["databases"] = json!([blob("country", &content)]);
    stub.told(|told| told.blobs.insert(sha256(&content), content.clone()));
    stub.publish(signer.publish(&policy));
    let benign = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n";
    until("the denylisted country", || node.inspect(benign).status == 200);
}

/// The vendor's host is read by a proxy of the environment before anything else would be: if anything were sent there, it
/// would come here first.
#[test]
fn a_token_for_the_vendor_never_leaves() {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy_url = format!("http://{}", proxy.local_addr().unwrap());
    let environment = [("HTTPS_PROXY", proxy_url.as_str()), ("HTTP_PROXY", &proxy_url), ("ALL_PROXY", &proxy_url)];
    let data = tempfile::tempdir().unwrap();
    let directory = format!("data_dir={}", data.path().display());
    let token = format!("api.token={TOKEN}");
    let first_line = || {
        let (stream, _) = proxy.accept().unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        line
    };
    let start = |host: &str| {
        let host = format!("api.host={host}");
        WEIR.node_as(&["processing"], &environment, &[&host, &token, &directory])
    };
    // That a call would be seen here:
    let other = std::thread::scope(|scope| {
        let seen = scope.spawn(first_line);
        let node = start("control.example");
        assert_eq!(seen.join().unwrap(), "CONNECT control.example:443 HTTP/1.1\r\n");
        node
    });
    drop(other);
    proxy.set_nonblocking(true).unwrap();
    while proxy.accept().is_ok() {}
    std::fs::remove_dir_all(data.path().join("sync")).unwrap();
    for host in ["us1.api.wallarm.com", "API.WALLARM.COM", "api.wallarm.ru."] {
        let node = start(host);
        assert!(blocks(&node));
        // A node that has a control plane makes this before it listens.
        assert!(!data.path().join("sync").exists(), "{host}");
        assert!(proxy.accept().is_err(), "{host} was called");
        drop(node);
    }
}
