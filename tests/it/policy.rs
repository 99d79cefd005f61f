//! Policy on a running node: custom signatures, lists, databases, switches of the configuration.

use crate::WEIR;
use maxminddb_writer::{Database, paths::IpAddrWithMask};
use std::path::{Path, PathBuf};
use weir_testkit::{Node, until};

const REQUEST: &[u8] = b"GET /a?q=hello HTTP/1.1\r\nHost: example.com\r\n\r\n";

fn start(directory: &Path, policy: &str, more: &[&str]) -> (Node, PathBuf) {
    let file = directory.join("policy.yaml");
    std::fs::write(&file, policy).unwrap();
    let set = format!("policy.file={}", file.display());
    (WEIR.node(&[&[set.as_str()], more].concat()), file)
}

/// The reason of a block; none for a pass.
fn reason(node: &Node, client: &str, raw: &[u8]) -> Option<String> {
    let answer = node.call("/v1/requests", &[("Inspector-Client", client)], raw);
    match answer.status {
        204 => None,
        200 => Some(answer.json()["reason"].as_str().unwrap().to_owned()),
        other => panic!("{other}: {answer:?}"),
    }
}

#[test]
fn a_custom_signature_blocks_where_it_looks_and_goes_with_its_rule() {
    let directory = tempfile::tempdir().unwrap();
    let rule = "version: 1\nrules:\n- {id: 7, type: regex, attack_type: vpatch, regex: 'tea-?pot[0-9]+', \
                point: [[get, pot]], action: []}\n";
    let (node, file) = start(directory.path(), rule, &[]);
    let ask = |query: &str| {
        let raw = format!("GET /kitchen?{query} HTTP/1.1\r\nHost: example.com\r\n\r\n");
        node.inspect(raw.as_bytes())
    };
    let blocked = ask("pot=my-tea-pot42");
    assert_eq!(blocked.status, 200, "{blocked:?}");
    let attack = &blocked.json()["attacks"][0];
    assert_eq!(attack["point"], serde_json::json!([["get", "pot"]]));
    assert!(attack["rule"].as_str().unwrap().contains('7'), "{attack}");
    assert_eq!([ask("pot=teapot").status, ask("cup=teapot42").status], [204, 204]);
    std::fs::write(file, "version: 1\n").unwrap();
    until("the rule is gone", || ask("pot=teapot42").status == 204);
}

pub fn database(path: &Path, kind: &str, entry: impl serde::Serialize) {
    let mut database = Database::default();
    database.metadata.binary_format_major_version = 2;
    database.metadata.database_type = kind.to_owned();
    let data = database.insert_value(entry).unwrap();
    database.insert_node("198.51.100.0/24".parse::<IpAddrWithMask>().unwrap(), data);
    let out = database.write_to(Vec::new()).unwrap();
    std::fs::write(path, out).unwrap();
}

#[test]
fn sources_are_placed_by_databases() {
    let directory = tempfile::tempdir().unwrap();
    let (country, asn) = (directory.path().join("country.mmdb"), directory.path().join("asn.mmdb"));
    database(&country, "Test-Country", serde_json::json!({"country": {"iso_code": "AQ"}}));
    database(&asn, "Test-ASN", serde_json::json!({"asn": "AS64500"}));
    let sets = [format!("geo.country_database={}", country.display()), format!("geo.asn_database={}", asn.display())];
    for list in ["rule_type: country, values: [AQ]", "rule_type: asn, values: [AS64500]"] {
        let policy = format!("version: 1\nip_lists:\n- {{list: deny, {list}}}\n");
        let (node, _) = start(directory.path(), &policy, &[&sets[0], &sets[1]]);
        assert_eq!(reason(&node, "198.51.100.9", REQUEST).as_deref(), Some("denylist"), "{list}");
        assert_eq!(reason(&node, "203.0.113.9", REQUEST), None, "{list}");
    }
}

#[test]
fn a_hundred_thousand_listed_addresses_are_looked_up() {
    let directory = tempfile::tempdir().unwrap();
    let address = |n: u32| std::net::Ipv4Addr::from(0x0b00_0000 + n * 7);
    let ips: Vec<String> = (0..100_000).map(|n| address(n).to_string()).collect();
    let policy = format!("version: 1\nip_lists:\n- {{list: deny, values: [{}]}}\n", ips.join(", "));
    let (node, _) = start(directory.path(), &policy, &[]);
    for n in [0, 1, 50_000, 99_999] {
        let listed = address(n).to_string();
        assert_eq!(reason(&node, &listed, REQUEST).as_deref(), Some("denylist"), "{listed}");
        let next = std::net::Ipv4Addr::from(u32::from(address(n)) + 1).to_string();
        assert_eq!(reason(&node, &next, REQUEST), None, "{next}");
    }
}

#[test]
fn two_hosts_are_an_attack() {
    let node = WEIR.node(&[]);
    let two = b"GET /a HTTP/1.1\r\nHost: example.com\r\nHost: other.test\r\n\r\n";
    assert_eq!(reason(&node, "203.0.113.9", two).as_deref(), Some("attack"));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("weir.yaml");
    std::fs::write(&file, "anomalies: {duplicate_host: report}\n").unwrap();
    let node = WEIR.node_with(&["--config", file.to_str().unwrap()], &[]);
    assert_eq!(reason(&node, "203.0.113.9", two), None);
}

#[test]
fn routes_are_chosen_by_the_path_as_sent_where_that_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("weir.yaml");
    let attack = b"GET /shop/%C3%A9?f=/etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";
    // Some servers compare this path as it was sent, so mode `off` never applies to it.
    let disputed = b"GET /x/../shop/%C3%A9?f=/etc/passwd HTTP/1.1\r\nHost: example.com\r\n\r\n";
    for (normalize, status) in [(true, 204), (false, 200)] {
        let text = format!(
            "connector: {{url_normalize: {normalize}}}\nroute_config:\n  routes:\n  - {{route: /shop/é, wallarm_mode: off}}\n"
        );
        std::fs::write(&file, text).unwrap();
        let node = WEIR.node_with(&["--config", file.to_str().unwrap()], &[]);
        assert_eq!(node.inspect(attack).status, status, "{normalize}");
        assert_eq!(node.inspect(disputed).status, 200, "{normalize}");
    }
}
