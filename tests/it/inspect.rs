//! `weir inspect` gives the verdicts of a node with the same configuration, policy, rules and requests.

use crate::WEIR;
use crate::in_process::messages;
use serde_json::Value;
use std::io::{BufReader, Write};
use std::path::Path;
use weir_testkit::http::read;
use weir_testkit::node::call;

const RULES: &str = "- id: rce.own\n  attack: rce\n  about: A word of the test.\n  pattern: 'xyzzy-plugh'\n  \
    confidence: high\n  positive: ['xyzzy-plugh']\n  negative: [a]\n";
const POLICY: &str = "version: 1\nrules:\n  - {type: disable_attack_type, attack_type: xss}\n  \
    - {type: regex, id: 7, attack_type: vpatch, regex: 'quux[0-9]+'}\n\
    ip_lists:\n  - {list: deny, values: [198.51.100.7]}\n";
// A debug build on a busy machine inspects slowly: its time limit must not decide verdicts.
const CONFIGURATION: &str = "policy: {file: policy.yaml}\nrules:\n  directories: [rules.d]\nroute_config:\n  \
    routes:\n    - {host: monitored.example, wallarm_mode: monitoring}\n    - {host: off.example, wallarm_mode: off}\n\
    proxy_headers:\n  - {trusted_networks: [203.0.113.9/32], real_ip: [x-client]}\n\
    block_reply: {status: 451}\n\
    http_inspector: {wallarm_process_time_limit: 60s}\n";

/// Requests that what the configuration names decides about.
const CONFIGURED: &[(&str, &[u8], &str)] = &[
    ("own rule", b"GET /?a=xyzzy-plugh HTTP/1.1\r\nHost: a\r\n\r\n", "block"),
    ("regex of the policy", b"GET /?a=quux12 HTTP/1.1\r\nHost: a\r\n\r\n", "block"),
    ("exception", b"GET /?a=<script>alert(1)</script> HTTP/1.1\r\nHost: a\r\n\r\n", "pass"),
    ("attack", b"GET /?a=/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", "block"),
    ("monitored host", b"GET /?a=/etc/passwd HTTP/1.1\r\nHost: monitored.example\r\n\r\n", "pass"),
    ("host in mode off", b"GET /?a=/etc/passwd HTTP/1.1\r\nHost: off.example\r\n\r\n", "pass"),
    ("listed client behind a proxy", b"GET / HTTP/1.1\r\nHost: a\r\nX-Client: 198.51.100.7\r\n\r\n", "block"),
];

/// Rule, point and matched text of each finding that counts.
fn findings(attacks: &Value) -> Vec<String> {
    let all = attacks.as_array().into_iter().flatten().filter(|one| one["decisive"] != false);
    all.map(|one| format!("{} at {}", one["rule"], one["point"])).collect()
}

fn command(directory: &Path) -> std::process::Command {
    let mut command = WEIR.command();
    command.current_dir(directory);
    command
}

#[test]
fn inspect_gives_the_verdicts_of_a_node() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    // The files are named by their whole path, for the node runs elsewhere.
    let configuration = CONFIGURATION
        .replace("policy.yaml", at("policy.yaml").to_str().unwrap())
        .replace("rules.d", at("rules.d").to_str().unwrap());
    std::fs::create_dir(at("rules.d")).unwrap();
    for (name, text) in [("weir.yaml", configuration.as_str()), ("policy.yaml", POLICY), ("rules.d/own.yaml", RULES)] {
        std::fs::write(at(name), text).unwrap();
    }
    let mut all: Vec<(String, Vec<u8>, Option<&str>)> =
        CONFIGURED.iter().map(|(name, raw, verdict)| ((*name).to_owned(), raw.to_vec(), Some(*verdict))).collect();
    all.extend(messages().into_iter().map(|(name, raw)| (name, raw, None)));
    let files: Vec<_> = (0..all.len()).map(|number| at(&format!("{number}.http"))).collect();
    files.iter().zip(&all).for_each(|(file, (_, raw, _))| std::fs::write(file, raw).unwrap());
    let config = at("weir.yaml");
    let node = WEIR.node_with(&["--config", config.to_str().unwrap()], &[]);
    let mut inspect = command(directory.path());
    inspect.args(["inspect", "--json", "--form", "http", "--client", "203.0.113.9", "--config"]).arg(&config);
    let output = inspect.args(&files).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let lines: Vec<Value> =
        String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), all.len());
    let mut stream = node.connect();
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut wrong = Vec::new();
    for ((name, raw, expected), line) in all.iter().zip(&lines) {
        let head = [("Inspector-Client", "203.0.113.9:1")];
        stream.write_all(&call("/v1/requests", &head, raw)).unwrap();
        let response = read(&mut reader).unwrap_or_else(|| panic!("{name}: no response"));
        let by_node = match response.status {
            200 => {
                let body = response.json();
                ("block", body["reply"]["status"].as_u64(), findings(&body["attacks"]))
            }
            _ => ("pass", None, Vec::new()),
        };
        let verdict = line["verdict"].as_str().unwrap();
        let counted = if verdict == "block" { findings(&line["findings"]) } else { Vec::new() };
        let by_command = (verdict, line["reply"]["status"].as_u64(), counted);
        if by_node != by_command || expected.is_some_and(|expected| expected != verdict) {
            wrong.push(format!("{name}: node {by_node:?}, command {by_command:?}, expected {expected:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), all.len(), wrong.join("\n"));
}

#[test]
fn inspect_names_what_is_wrong_with_a_configuration() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("weir.yaml"), "route_config:\n  wallarm_mod: off\n").unwrap();
    std::fs::write(directory.path().join("a.http"), CONFIGURED[0].1).unwrap();
    let output = command(directory.path()).args(["inspect", "--config", "weir.yaml", "a.http"]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("weir.yaml:2:3") && said.contains("did you mean `wallarm_mode`?"), "{said}");
    let help = WEIR.command().args(["inspect", "--help"]).output().unwrap();
    assert!(String::from_utf8(help.stdout).unwrap().contains("1  one request or more would be blocked"));
}
