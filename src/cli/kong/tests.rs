use super::fields::{Field, Kind};
use super::instances::Plugin;
use super::*;
use std::collections::BTreeMap;

fn check(text: &str) -> Report {
    examine("kong.yml".into(), text.into())
}

/// Line and message of each remark.
fn found(text: &str) -> Vec<(usize, String)> {
    let place = |origin: &crate::config::Origin| match origin {
        crate::config::Origin::File(mark) => mark.line,
        _ => 0,
    };
    check(text).diagnostics.iter().map(|d| (place(&d.origin), d.message.clone())).collect()
}

const HEAD: &str = "_format_version: '3.0'\nplugins:\n- name: kong-lua\n  config:\n";

/// What is said of one field of a global instance.
fn field(line: &str) -> Vec<String> {
    let address = if line.contains("wallarm_node_address") { "" } else { "    wallarm_node_address: http://n:5000\n" };
    found(&format!("{HEAD}{address}    {line}\n")).into_iter().map(|(_, message)| message).collect()
}

#[test]
fn every_instance_that_would_be_refused_is_named_with_its_place() {
    let text = "_format_version: '3.0'
services:
- name: shop
  url: http://shop
  plugins:
  - name: kong-lua
    config: {wallarm_node_address: 'http://n:99999'}
  routes:
  - name: pay
    plugins:
    - name: kong-lua
      config:
        wallarm_node_address: http://n:5000
        application_id: shop
    - name: rate-limiting
      config: {minute: 5, policy: nonsense}
consumers:
- username: ann
  plugins:
  - name: kong-lua
    config: {wallarm_node_address: 'http://n'}
plugins:
- name: kong-lua
  config: {wallarm_node_address: 'http://n'}
";
    let got = found(text);
    assert_eq!(got.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [7, 14, 20], "{got:?}");
    assert!(
        got[0].1.starts_with("kong-lua (service shop): `wallarm_node_address`: expected http://HOST:PORT"),
        "{got:?}"
    );
    assert_eq!(got[1].1, "kong-lua (route pay): `application_id`: expected a whole number in quotes, such as \"7\"");
    assert_eq!(got[2].1, "kong-lua (consumer ann): runs before authentication: it cannot belong to a consumer");
    assert!(check(text).render().ends_with("kong.yml cannot be used: 3 errors, 0 warnings\n"));
}

#[test]
fn manifests_are_read_document_by_document() {
    let text = "apiVersion: configuration.konghq.com/v1
kind: KongClusterPlugin
metadata: {name: guard}
plugin: kong-lua
config:
  wallarm_node_address: http://n:0
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: judge, namespace: shop}
plugin: kong-lua-response
protocols: [http, grpc]
config:
  timeout_ms: 0
--- # The key is in a secret.
kind: KongPlugin
plugin: kong-lua
configFrom: {secretKeyRef: {name: s, key: k}}
";
    let got = found(text);
    assert_eq!(got.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [6, 12, 14], "{got:?}");
    assert!(got[0].1.starts_with("kong-lua (KongClusterPlugin guard): "), "{got:?}");
    assert!(got[1].1.contains("cannot inspect grpc: "), "{got:?}");
    assert_eq!(
        got[2].1,
        "kong-lua-response (KongPlugin judge): `timeout_ms`: expected a whole number from 1 to 60000, without quotes"
    );
}

#[test]
fn the_example_manifests_are_accepted() {
    let files = [
        include_str!("../../../connectors/kong/manifests/kong.yml"),
        include_str!("../../../connectors/kong/manifests/kongclusterplugin.yaml"),
        include_str!("../../../connectors/kong/manifests/kongplugin.yaml"),
    ];
    for text in files {
        assert_eq!(found(text), []);
    }
}

#[test]
fn types_are_those_that_kong_reads() {
    for line in [
        "timeout_ms: 500",
        "timeout_ms: 500.0",
        "timeout_ms:",
        "blocking: false",
        "application_id: '7'",
        "connector_key: '{vault://env/key}'",
        "client_certificate: '{vault://env/chain}'\n    client_key: '{vault://env/key}'",
        "wallarm_node_address: ${{ env \"DECK_NODE\" }}",
        "failure_mode: fail_closed",
    ] {
        assert_eq!(field(line), [] as [String; 0], "{line}");
    }
    for (line, want) in [
        ("timeout_ms: '500'", "`timeout_ms`: expected a whole number from 1 to 60000, without quotes"),
        ("timeout_ms: 60001", "`timeout_ms`: expected a whole number from 1 to 60000, without quotes"),
        ("timeout_ms: [1]", "`timeout_ms`: expected a whole number from 1 to 60000, without quotes"),
        ("blocking: 'true'", "`blocking`: expected true or false, without quotes"),
        ("application_id: 7", "`application_id`: expected a whole number in quotes, such as \"7\""),
        ("tls_server_name: 10", "`tls_server_name`: expected a host name, in quotes"),
        ("failure_mode: open", "`failure_mode`: expected fail_open or fail_closed"),
        ("wallarm_node_address: '{vault://env/x}'", "`wallarm_node_address`: expected http://HOST:PORT"),
        ("client_key: '{vault://env/x}'", "`client_certificate` and `client_key` go together"),
        ("timout_ms: 5", "unknown field `timout_ms`; did you mean `timeout_ms`?"),
        ("connector_key: 'a b'", "`connector_key`: expected visible ASCII without spaces"),
    ] {
        let got = field(line);
        assert!(got.len() == 1 && got[0].starts_with(&format!("kong-lua (global): {want}")), "{line}: {got:?}");
    }
    assert_eq!(found("plugins:\n- name: kong-lua\n").len(), 1, "the address is required");
    assert!(!check(&format!("{HEAD}    connector_key: 'hunter 2'\n")).render().contains("hunter"));
}

#[test]
fn certificates_are_checked_with_their_keys() {
    let pair = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let block = |pem: &str| pem.lines().map(|line| format!("\n      {line}")).collect::<String>();
    let (one, other) = (pair("a.test"), pair("b.test"));
    let line =
        |chain: &str, key: &str| format!("client_certificate: |{}\n    client_key: |{}", block(chain), block(key));
    let key = |pair: &rcgen::CertifiedKey<rcgen::KeyPair>| pair.signing_key.serialize_pem();
    assert_eq!(field(&line(&one.cert.pem(), &key(&one))), [] as [String; 0]);
    let got = field(&line(&one.cert.pem(), &key(&other)));
    assert_eq!(got, ["kong-lua (global): client_key is not the key of client_certificate"]);
    let got = field(&line("garbage", &key(&one)));
    assert!(got.len() == 1 && got[0].contains("expected a certificate chain in PEM"), "{got:?}");
}

#[test]
fn the_response_plugin_needs_http() {
    let text = "services:\n- name: rpc\n  protocol: grpc\n  plugins:\n  - name: kong-lua-response\n  - name: kong-lua\n    \
                config: {wallarm_node_address: 'http://n'}\n";
    let got = found(text);
    assert_eq!((got.len(), got[0].0), (1, 5), "{got:?}");
    assert!(got[0].1.contains("kong-lua-response (service rpc): cannot inspect grpc: "), "{got:?}");
    let text = "services:\n- name: web\n  url: http://web\n  routes:\n  - {name: rpc, protocols: [grpcs]}\n  - {name: web}\nplugins:\n\
                - {name: kong-lua-response, route: rpc}\n- {name: kong-lua-response, route: {name: web}}\n\
                - {name: kong-lua-response, service: web}\n";
    let got = found(text);
    assert_eq!((got.len(), got[0].0), (1, 8), "{got:?}");
    assert!(got[0].1.starts_with("kong-lua-response (route rpc): cannot inspect grpcs: "), "{got:?}");
}

#[test]
fn files_without_an_instance_or_without_syntax_say_so() {
    let report = check("a: 1\n---\nb: 2\n");
    assert!(!report.failed() && report.render().contains("no instance of kong-lua"), "{}", report.render());
    assert!(found("a: 1\n---\nb: [\n")[0].0 > 1);
    assert!(check(&"x".repeat(tree::MAX_FILE + 1)).failed());
}

#[test]
fn the_examples_of_the_schema_hold() {
    #[derive(serde::Deserialize)]
    struct Examples {
        accepted: Vec<String>,
        refused: Vec<String>,
    }
    let text = include_str!("../../../connectors/kong/spec/values.json");
    let all: BTreeMap<String, Examples> = serde_json::from_str(text).unwrap();
    let fields: BTreeMap<&str, &Field> = fields::of(Plugin::Requests).iter().map(|field| (field.name, field)).collect();
    for (name, examples) in &all {
        let Kind::Text(max, form, _) = fields[name.as_str()].kind else { panic!("{name} is no text") };
        let fits = |text: &String| text.len() <= max && form(text);
        assert_eq!(examples.accepted.iter().find(|text| !fits(text)), None, "{name}");
        assert_eq!(examples.refused.iter().find(|text| fits(text)), None, "{name}");
    }
    assert!(all.len() >= 5);
}

/// Name, type and further attributes of each field in a schema.
fn schema(text: &str) -> BTreeMap<String, String> {
    let config = text.split_once("config = {").unwrap().1;
    let start = regex::Regex::new(r"(?m)^        \{ (\w+) = \{\n").unwrap();
    let places: Vec<_> = start.captures_iter(config).map(|c| (c[1].to_owned(), c.get(0).unwrap().end())).collect();
    let end = |from: usize| from + config[from..].find("\n        } },").unwrap();
    places.into_iter().map(|(name, from)| (name, config[from..end(from)].to_owned())).collect()
}

/// The number that an expression of the schema stands for.
fn number(text: &str) -> i64 {
    let factor = |word: &str| match word.trim() {
        "MIB" => 1 << 20,
        "MAX_TIMEOUT_MS" => 60_000,
        digits => digits.parse().unwrap(),
    };
    text.split('*').map(factor).product()
}

#[test]
fn the_fields_are_those_of_the_schemas() {
    let files = [
        (Plugin::Requests, include_str!("../../../connectors/kong/kong/plugins/kong-lua/schema.lua")),
        (Plugin::Responses, include_str!("../../../connectors/kong/kong/plugins/kong-lua-response/schema.lua")),
    ];
    for (plugin, text) in files {
        let written = schema(text);
        let known: Vec<&str> = fields::of(plugin).iter().map(|field| field.name).collect();
        assert_eq!(known.len(), written.len(), "{known:?} {:?}", written.keys());
        for field in fields::of(plugin) {
            let rule = &written[field.name];
            let has = |part: &str| rule.contains(part);
            assert_eq!(field.referenceable, has("referenceable = true"), "{}", field.name);
            match field.kind {
                Kind::Boolean => assert!(has("type = \"boolean\""), "{}", field.name),
                Kind::Integer(least, most) => {
                    let bounds = rule.split_once("between = {").unwrap().1.split_once('}').unwrap().0;
                    let (from, to) = bounds.split_once(',').unwrap();
                    assert_eq!((least, most), (number(from), number(to)), "{}", field.name);
                }
                Kind::Word(words) => {
                    let all = words.iter().all(|word| has(&format!("\"{word}\"")));
                    let one_of = rule.split_once("one_of = {").unwrap().1.split_once('}').unwrap().0;
                    assert!(all && one_of.matches(',').count() + 1 == words.len(), "{}", field.name);
                }
                Kind::Text(max, ..) => assert!(has(&format!("len_max = {max}")), "{}: {rule}", field.name),
            }
        }
    }
}
