//! Whole files of both charts.

use super::*;
use clap::Parser;

const NEXT: &str = "\
# values of the shop
config:
  api:
    token: \"s3cret-token\"   # from the vault
    host: us1.api.wallarm.com
    nodeGroup: \"defaultNodeNextGroup\"
  connector:
    mode: monitoring
    log_level: warn
    http_inspector:
      workers: auto
      api_firewall_enabled: true
      wallarm_dir: /opt/wallarm/etc/wallarm
      real_ip_header: X-Real-IP
    route_config:
      routes:
        - host: \"*.example.com\"
          wallarm_mode: off
  wcli:
    logLevel: warn
    commands:
      exportAttacks: {logLevel: INFO}
  aggregation:
    tarantoolMemory: 1.0
processing:
  replicaCount: 3
  service: {type: ClusterIP, clusterIP: None}
  autoscaling:
    enabled: true
  containers:
    nodeNext:
      resources:
        limits: {cpu: 3500m, memory: 4Gi}
    wcli:
      resources: {}
    collectd: {}
proccessing:
  replicaCount: 2
";

const NATIVE: &str = "\
USER-SUPPLIED VALUES:
config:
  api:
    host: weir.example.com
    token: abc
  connector:
    mode: connector-server
    proxy_headers:
      - real_ip: [X-Real-IP]
      - trusted_networks: [203.0.113.0/24]
        original_host: [X-Forwarded-Host]
    input_filters:
      bypass:
      - path: \"^/healthz$\"
    disable_mesh: true
drop_on_overload: true
";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    values: ValuesArgs,
}

struct Ran {
    code: u8,
    text: String,
    output: Option<String>,
}

fn ran(text: &str, more: &[&str]) -> Ran {
    let folder = tempfile::tempdir().unwrap();
    let (file, output) = (folder.path().join("values.yaml"), folder.path().join("new.yaml"));
    std::fs::write(&file, text).unwrap();
    let arguments = ["values", file.to_str().unwrap(), "--output", output.to_str().unwrap()];
    let line = Line::try_parse_from(arguments.iter().chain(more)).unwrap_or_else(|error| panic!("{error}"));
    let mut out = Vec::new();
    let code = run(&line.values, &mut out).unwrap();
    Ran { code, text: String::from_utf8(out).unwrap(), output: std::fs::read_to_string(&output).ok() }
}

fn findings(text: &str, from: Option<Chart>) -> Vec<Finding> {
    let root = tree::parse(text).unwrap();
    judge(&Known::new(), from.or_else(|| chart_of(&root)).unwrap(), &root)
}

fn fate(findings: &[Finding], key: &str) -> (Fate, Option<usize>) {
    let found: Vec<_> = findings.iter().filter(|finding| finding.key == key).collect();
    assert_eq!(found.len(), 1, "{key} among {findings:#?}");
    (found[0].fate, found[0].line)
}

#[test]
fn values_of_next_are_told_apart() {
    let findings = findings(NEXT, None);
    let expected = [
        ("config.api.token", Fate::Carried, 4),
        ("config.api.host", Fate::Changed, 5),
        ("config.connector.mode", Fate::Carried, 8),
        ("config.connector.log_level", Fate::Carried, 9),
        ("config.connector.http_inspector.wallarm_dir", Fate::Ignored, 13),
        ("config.connector.http_inspector.real_ip_header", Fate::Changed, 14),
        ("config.wcli", Fate::Ignored, 19),
        ("config.aggregation.tarantoolMemory", Fate::Ignored, 24),
        ("processing.service.clusterIP", Fate::Ignored, 27),
        ("processing.containers.nodeNext.resources", Fate::Carried, 32),
        ("processing.containers.wcli", Fate::Ignored, 34),
        ("proccessing", Fate::Unknown, 37),
    ];
    for (key, what, line) in expected {
        assert_eq!(fate(&findings, key), (what, Some(line)), "{key}");
    }
    let unknown = findings.iter().find(|finding| finding.fate == Fate::Unknown).unwrap();
    assert!(unknown.note.ends_with("did you mean `processing`?"), "{}", unknown.note);
}

#[test]
fn the_new_file_of_next_keeps_what_carries_over() {
    let Ran { code, text, output } = ran(NEXT, &[]);
    assert_eq!(code, 1, "{text}");
    let output = output.unwrap();
    let kept = "\
# values of the shop
config:
  api:
    token: \"s3cret-token\"   # from the vault
    nodeGroup: \"defaultNodeNextGroup\"
  connector:
    mode: monitoring
    log_level: warn
    http_inspector:
      workers: auto
      real_ip_header: X-Real-IP
    route_config:
      routes:
        - host: \"*.example.com\"
          wallarm_mode: off
processing:
  replicaCount: 3
  service: {type: ClusterIP, clusterIP: None}
  autoscaling:
    enabled: true
  containers:
    nodeNext:
      resources:
        limits: {cpu: 3500m, memory: 4Gi}
";
    assert_eq!(output, kept);
    assert!(text.contains("Edit it by hand: processing.service.clusterIP"), "{text}");
    assert!(!text.contains("s3cret"), "a report holds no values: {text}");
}

#[test]
fn values_of_native_keep_their_mode_and_address() {
    let Ran { code, text, output } = ran(NATIVE, &[]);
    assert_eq!(code, 1);
    let output = output.unwrap();
    let begin = "\
servicePrefix: native
config:
  api:
    host: weir.example.com
    token: abc
  connector:
    route_config:
      wallarm_mode: monitoring
    mode: connector-server
";
    assert!(output.starts_with(begin), "{output}");
    assert!(
        !output.contains("disable_mesh") && !output.contains("drop_on_overload") && !output.contains("USER-SUPPLIED")
    );
    let findings = findings(NATIVE, None);
    assert_eq!(fate(&findings, "config.connector.proxy_headers[0]"), (Fate::Changed, Some(9)));
    assert_eq!(fate(&findings, "config.api.host"), (Fate::Carried, Some(4)));
    assert_eq!(fate(&findings, "servicePrefix"), (Fate::Added, None));
    assert!(text.contains("config.connector.route_config.wallarm_mode: monitoring"), "{text}");
}

#[test]
fn a_new_file_needs_no_further_change() {
    for (text, chart) in [(NEXT, Chart::Next), (NATIVE, Chart::Native)] {
        let output = ran(text, &[]).output.unwrap();
        let again = findings(&output, Some(chart));
        // What stands within braces is left to people.
        let left: Vec<_> = again
            .iter()
            .filter(|f| f.left_out || f.insert.is_some())
            .filter(|f| f.key != "processing.service.clusterIP")
            .collect();
        assert!(left.is_empty(), "{left:#?}");
    }
}

#[test]
fn a_mode_that_is_set_stays() {
    let with = "config: {connector: {mode: connector-server, route_config: {wallarm_mode: block}}}\nservicePrefix: x\n";
    assert!(findings(with, None).iter().all(|finding| finding.fate != Fate::Added));
    for route_config in ["route_config: {}", "route_config:"] {
        let text = format!("config:\n  connector:\n    disable_mesh: true\n    {route_config}\n");
        let output = ran(&text, &[]).output.unwrap();
        assert!(output.contains("    route_config:\n      wallarm_mode: monitoring\n"), "{output}");
        assert!(tree::parse(&output).is_ok());
    }
}

#[test]
fn files_that_do_not_tell_their_chart_are_asked_about() {
    let text = "config:\n  api:\n    token: t\n";
    assert_eq!(ran(text, &[]).code, 2);
    assert_eq!(ran(text, &["--from", "native"]).code, 0);
    let next = ran(text, &["--from", "next"]);
    assert_eq!(next.code, 1, "defaults differ");
    assert!(next.text.contains("processing.autoscaling.enabled") && next.text.contains("off"), "{}", next.text);
}

#[test]
fn a_service_that_is_reached_from_outside_is_pointed_out() {
    let of = |kind: &str, more: &str| {
        let text = format!("processing: {{service: {{type: {kind}}}}}\n{more}");
        findings(&text, Some(Chart::Native)).iter().any(|finding| finding.key == "config.connector.allowed_networks")
    };
    assert!(of("LoadBalancer", "") && of("NodePort", "") && !of("ClusterIP", ""));
    assert!(!of("LoadBalancer", "config: {connector: {auth: {keys: [k]}}}\n"));
}

#[test]
fn values_of_the_other_chart_are_pointed_out() {
    let findings = findings("config: {connector: {log: {level: debug}, mode: block}}\n", Some(Chart::Next));
    assert_eq!(fate(&findings, "config.connector.log.level").0, Fate::Changed);
    assert_eq!(fate(&findings, "config.connector.mode").0, Fate::Carried);
}

#[test]
fn what_is_not_possible_is_said() {
    let findings = findings("config:\n  connector:\n    mode: envoy-external-filter\n", None);
    assert_eq!(fate(&findings, "config.connector.mode"), (Fate::Unknown, Some(3)));
}

#[test]
fn unusable_files_exit_with_2() {
    for text in ["config: [\n", "config:\n\t- x\n", "a: &a [*a]\n"] {
        assert_eq!(ran(text, &["--from", "next"]).code, 2, "{text}");
    }
    let line = Line::try_parse_from(["values", "/nonexistent/values.yaml"]).unwrap();
    assert_eq!(run(&line.values, &mut Vec::new()).unwrap(), 2);
    let deep = format!("{}1{}", "{a: ".repeat(60), "}".repeat(60));
    assert_eq!(ran(&deep, &["--from", "next"]).code, 2);
}

#[test]
fn an_output_that_exists_is_not_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("values.yaml");
    std::fs::write(&file, NATIVE).unwrap();
    let path = file.to_str().unwrap();
    let line = Line::try_parse_from(["values", path, "--output", path]).unwrap();
    assert_eq!(run(&line.values, &mut Vec::new()).unwrap(), 2);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), NATIVE);
}

#[test]
fn programs_get_json() {
    let Ran { text, .. } = ran(NEXT, &["--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["chart"], "wallarm-node-next");
    let first = &json["findings"][0];
    assert_eq!(
        (first["key"].as_str(), first["fate"].as_str(), first["line"].as_u64()),
        (Some("config.api.token"), Some("carried"), Some(4))
    );
    assert!(!text.contains("s3cret"));
}

#[test]
fn every_line_of_a_hostile_file_ends() {
    // Neither panics nor takes long, whatever the text: the tree bounds it, the edits are linear in lines and keys.
    let wide: String = (0..2_000).map(|n| format!("k{n}: {{a: [1, {{b: 2}}]}}\n")).collect();
    let ran = ran(&wide, &["--from", "next"]);
    assert_eq!(ran.code, 1);
    assert_eq!(ran.output.unwrap(), "");
}
