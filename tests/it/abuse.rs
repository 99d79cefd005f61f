//! Behaviour over many requests, on nodes that share their counters through a Redis server, which fails in every way.

use crate::redis::Redis;
use crate::stub::{Signer, Stub, payload};
use crate::{WEIR, aggregation};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use weir_protocol::node_api::SignedPolicy;
use weir_testkit::{Node, until};

const KEY: &str = "0123456789abcdef";
const POLICY: &str = "rules:\n- {id: 7, type: rate_limit, threshold: 10, window: 300, key: ['query:k']}\n";

fn nodes(directory: &Path, redis: &Redis) -> [Node; 2] {
    nodes_with(directory, &[&format!("abuse.redis.url=redis://127.0.0.1:{}/", redis.port)])
}

/// Two nodes with these settings.
pub fn nodes_with(directory: &Path, more: &[&str]) -> [Node; 2] {
    std::fs::create_dir_all(directory).unwrap();
    let file = directory.join("policy.yaml");
    std::fs::write(&file, POLICY).unwrap();
    [0, 1].map(|number| {
        let sets = [
            format!("policy.file={}", file.display()),
            format!("data_dir={}", directory.join(number.to_string()).display()),
            format!("connector.auth.keys={KEY}"),
        ];
        let sets: Vec<&str> = sets.iter().map(String::as_str).chain(more.iter().copied()).collect();
        WEIR.node(&sets)
    })
}

pub fn passes(node: &Node, key: &str) -> bool {
    let raw = format!("GET /?k={key} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let answer = node.call("/v1/requests", &[("Authorization", &format!("Bearer {KEY}"))], raw.as_bytes());
    assert!([200, 204].contains(&answer.status), "{answer:?}");
    answer.status == 204
}

pub fn exchanged(nodes: [&Node; 2]) {
    for node in nodes {
        let before = node.metric("abuse_share_exchanges_total");
        until("two exchanges", || node.metric("abuse_share_exchanges_total") >= before + 2.0);
    }
}

#[test]
fn a_limit_holds_for_the_sum_of_two_nodes() {
    let Some(redis) = Redis::start(&[]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = nodes(directory.path(), &redis);
    exchanged([&a, &b]);
    assert!((0..5).all(|_| passes(&a, "x") && passes(&b, "x")));
    exchanged([&a, &b]);
    assert!(!passes(&a, "x") && !passes(&b, "x"));
    // A node that never saw the key knows it.
    assert!((0..10).all(|_| passes(&a, "y")));
    exchanged([&a, &b]);
    assert!(!passes(&b, "y"));
}

#[test]
fn ids_of_a_server_that_was_lost_hide_nothing_of_the_next_one() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = nodes(directory.path(), &redis);
    exchanged([&a, &b]);
    // The last id that there can be.
    for stream in ["hot", "changes"] {
        let added = redis.command(&format!("XADD weir:{{weir}}:{stream} 18446744073709551615-1 c none"));
        assert!(added.starts_with('$'), "{added}");
    }
    exchanged([&a, &b]);
    redis.kill();
    assert!(redis.run(&[]));
    exchanged([&a, &b]);
    assert!((0..10).all(|_| passes(&a, "y")));
    exchanged([&a, &b]);
    assert!(!passes(&b, "y"), "a node that never saw the key knows it");
}

#[test]
fn what_crosses_a_limit_on_two_nodes_is_decided_on_the_other_after_two_exchanges_of_each() {
    let Some(redis) = Redis::start(&[]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = nodes(directory.path(), &redis);
    exchanged([&a, &b]);
    for number in 0..10 {
        let key = format!("spread-{number}");
        assert!((0..5).all(|_| passes(&b, &key) && passes(&a, &key)), "ten are allowed");
        let (crossed, before) = (std::time::Instant::now(), b.metric("abuse_share_exchanges_total"));
        // What a node counted goes out with the next exchange that begins, and comes in with the next one of the other.
        exchanged([&a, &b]);
        assert!(!passes(&b, &key), "the eleventh, {number}");
        let exchanges = b.metric("abuse_share_exchanges_total") - before;
        println!("decided on the other node {:?} and at most {exchanges} exchanges later", crossed.elapsed());
    }
}

#[test]
fn a_server_that_fails_costs_the_counts_of_others_and_nothing_else() {
    let Some(mut redis) = Redis::start(&[]) else { return };
    let directory = tempfile::tempdir().unwrap();
    let [a, b] = nodes(directory.path(), &redis);
    exchanged([&a, &b]);
    redis.kill();
    until("failures are counted", || a.metric("abuse_share_failures_total") > 0.0);
    assert!((0..10).all(|_| passes(&a, "gone")) && !passes(&a, "gone"), "the local limit holds");
    assert!(passes(&b, "gone"));
    redis.run(&[]);
    exchanged([&a, &b]);
    assert!(!passes(&b, "gone"), "what was counted meanwhile is shared");
    // Flushed: nodes hold what they counted themselves, and share what comes.
    assert_eq!(redis.command("FLUSHALL"), "+OK");
    assert!(!passes(&a, "gone"));
    assert!((0..10).all(|_| passes(&a, "flushed")));
    exchanged([&a, &b]);
    assert!(!passes(&b, "flushed"));
    // Full: writes are refused.
    assert_eq!(redis.command("CONFIG SET maxmemory 1"), "+OK");
    let failures = a.metric("abuse_share_failures_total");
    assert!((0..10).all(|_| passes(&a, "full")) && !passes(&a, "full"));
    until("failures are counted", || a.metric("abuse_share_failures_total") > failures);
    assert_eq!(redis.command("CONFIG SET maxmemory 0"), "+OK");
    exchanged([&a, &b]);
    until("it heals", || !passes(&b, "full"));
    // Slow: a batch that arrived, and whose answer came too late, counts once.
    assert!((0..5).all(|_| passes(&a, "slow")));
    assert_eq!(redis.command("CLIENT PAUSE 1500 ALL"), "+OK");
    assert!(passes(&a, "slow"));
    until("failures are counted", || a.metric("abuse_share_failures_total") > failures + 1.0);
    exchanged([&a, &b]);
    exchanged([&a, &b]);
    assert!((0..4).all(|_| passes(&b, "slow")), "six were counted, not more");
    assert!(!passes(&b, "slow"));
}

#[test]
fn nodes_behind_an_aggregation_count_together_and_share_entries() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    let aggregation = aggregation::start(&stub, &data.path().join("aggregation"));
    let file = data.path().join("policy.yaml");
    let listing = "- {id: 8, type: rate_limit, threshold: 1, window: 300, key: [client], reaction: graylist, \
                   action: [{type: equal, point: [path, 0], value: listed}]}\n";
    std::fs::write(&file, format!("{POLICY}{listing}")).unwrap();
    let [a, b] = ["a", "b"].map(|name| {
        let sets = [format!("policy.file={}", file.display()), format!("connector.auth.keys={KEY}")];
        aggregation::replica(&aggregation, &data.path().join(name), &sets.each_ref().map(String::as_str))
    });
    exchanged([&a, &b]);
    assert!((0..5).all(|_| passes(&a, "x") && passes(&b, "x")));
    exchanged([&a, &b]);
    assert!(!passes(&a, "x") && !passes(&b, "x"));
    // A node that never saw the key hears of it.
    assert!((0..10).all(|_| passes(&a, "y")));
    exchanged([&a, &b]);
    assert!(!passes(&b, "y"));
    // What one lists is listed on the other, and told to the control plane.
    let raw = b"GET /listed/1 HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    (0..3).for_each(|_| drop(a.call("/v1/requests", &[("Authorization", &format!("Bearer {KEY}"))], raw)));
    until("the entry on the other node", || b.metric("abuse_entries") == 1.0);
    let entry = || stub.told(|told| told.entries.iter().find_map(|change| change.get("listed").cloned()));
    until("the entry at the control plane", || entry().is_some());
    let entry = entry().unwrap();
    let at = entry["at"].as_u64().unwrap() + 1;
    let lifted = json!({"rule": entry["rule"], "key": entry["key"], "at": at, "until": at + 600_000});
    stub.told(|told| told.decided.push(json!({"excepted": lifted})));
    until("the decision on both nodes", || [&a, &b].iter().all(|node| node.metric("abuse_entries") == 0.0));
    // Alone, each goes on with what it counted.
    drop(aggregation);
    assert!((0..10).all(|_| passes(&a, "alone")) && !passes(&a, "alone") && passes(&b, "alone"));
}

/// A node of a control plane, and one rule that denies the source of a walk.
fn node_of(stub: &Stub, data: &Path, more: &[&str]) -> Node {
    let sets = stub.sets(data);
    let sets: Vec<&str> = sets.iter().map(String::as_str).chain(more.iter().copied()).collect();
    WEIR.node_as(&["processing"], &[], &sets)
}

fn walked(node: &Node, client: &str, number: u32) -> u16 {
    let raw = format!("GET /orders/{number} HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    let (key, client) = (format!("Bearer {KEY}"), format!("{client}:4711"));
    let headers = [("Authorization", &*key), ("Inspector-Client", &client), ("Inspector-Route", "shop")];
    node.call("/v1/requests", &headers, raw.as_bytes()).status
}

fn walk_policy(signer: &Signer) -> SignedPolicy {
    let deny = json!({"id": 8, "type": "bola", "threshold": 5, "window": 60, "key": ["client"], "distinct": "path:1",
                      "reaction": "denylist", "duration": 3_600});
    let browse = json!({"id": 9, "type": "forced_browsing", "threshold": 50, "window": 60});
    signer.publish(&payload(1, json!({"mode": "block", "rules": [deny, browse]})))
}

#[test]
fn entries_act_after_a_crash_of_the_node_while_the_control_plane_is_down() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let mut stub = Stub::start(&signer);
    stub.publish(walk_policy(&signer));
    let auth = [&*format!("connector.auth.keys={KEY}")];
    let mut node = node_of(&stub, data.path(), &auth);
    for number in 0..8 {
        walked(&node, "198.51.100.9", number);
    }
    until("the entry", || walked(&node, "198.51.100.9", 1) == 200);
    stub.kill();
    let file = data.path().join("abuse/entries.jsonl");
    until("the entry on disk", || std::fs::read_to_string(&file).is_ok_and(|text| text.contains("198.51.100.9")));
    node.signal("KILL");
    assert_eq!(node.wait(), None, "no orderly end");
    let node = node_of(&stub, data.path(), &auth);
    assert_eq!(walked(&node, "198.51.100.9", 1), 200, "the first request after the crash");
    assert_eq!(walked(&node, "198.51.100.10", 1), 204, "another source");
    assert_eq!(node.metric("abuse_entries"), 1.0);
}

#[test]
fn heartbeats_tell_what_rules_cannot_do() {
    let (signer, data) = (Signer::new(1), tempfile::tempdir().unwrap());
    let stub = Stub::start(&signer);
    stub.publish(walk_policy(&signer));
    let node = node_of(&stub, data.path(), &[]);
    let walk: Vec<u16> = (0..8).map(|number| walked(&node, "198.51.100.9", number)).collect();
    assert_eq!(walk, [204, 204, 204, 204, 204, 200, 200, 200], "the limit acts");
    until("calls that list nothing", || stub.beat().is_some_and(|beat| beat.behaviour.unlisted > 0));
    assert_eq!(node.metric("abuse_entries"), 0.0);
    until("a rule without responses", || {
        let unanswered = stub.beat().map(|beat| beat.behaviour.unanswered).unwrap_or_default();
        unanswered.iter().any(|one| (one.rule, &*one.route) == (9, "shop"))
    });
}

#[test]
fn the_demo_runs() {
    if Redis::start(&[]).is_none() {
        return;
    }
    let output = Command::new("examples/abuse/run").arg(env!("CARGO_BIN_EXE_weir")).output().unwrap();
    let text = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();
    assert!(output.status.success(), "{text}");
    for part in ["brute force: ", "walk: ", "network: ", "shown: bola: ", "session: ", "listed: gray: ", "excepted: "] {
        assert!(text.contains(part), "{part}: {text}");
    }
}
