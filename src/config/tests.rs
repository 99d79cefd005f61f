use super::types::{ByteSize, LogLevel, LogTarget, Mode, RoutePattern, Setting, Workers};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::time::Duration;
use weir_core::model::{AnomalyKind, ParserSet};

fn check(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Loaded {
    let environment: Vec<_> = environment.iter().map(|(name, text)| ((*name).into(), (*text).into())).collect();
    let flag = |(key, value): &(&str, &str)| Flag { name: "--set".into(), key: (*key).into(), value: (*value).into() };
    load_text("weir.yaml", text.into(), &environment, &flags.iter().map(flag).collect::<Vec<_>>())
}

fn ok(text: &str) -> Resolved {
    let loaded = check(text, &[], &[]);
    loaded.resolved.unwrap_or_else(|| panic!("{}", loaded.report.render()))
}

/// Severity, line and key of each diagnostic.
fn said(text: &str) -> Vec<(Severity, usize, String)> {
    let line = |origin: &Origin| match origin {
        Origin::File(mark) => mark.line,
        _ => 0,
    };
    let report = check(text, &[], &[]).report;
    report.diagnostics.iter().map(|d| (d.severity, line(&d.origin), d.key.clone())).collect()
}

fn errors(text: &str) -> Vec<(usize, String)> {
    said(text).into_iter().filter(|(s, ..)| *s == Severity::Error).map(|(_, line, key)| (line, key)).collect()
}

fn warnings(text: &str) -> Vec<String> {
    said(text).into_iter().filter(|(s, ..)| *s == Severity::Warning).map(|(.., key)| key).collect()
}

#[test]
fn nothing_is_a_complete_configuration() {
    for text in ["", "# only a comment\n", "connector:\nroute_config:\n", "{}"] {
        let resolved = ok(text);
        assert_eq!(resolved.connector.address, defaults::ADDRESS);
        assert_eq!(resolved.route_config.mode, Mode::Block);
        assert!(resolved.connector.blocking && resolved.connector.unauthenticated());
        assert_eq!(resolved.connector.allowed_networks, defaults::private_networks());
        assert_eq!(resolved.block_reply.json, r#"{"error": {"code": 403, "message": "request blocked"}}"#);
        assert_eq!(resolved.limits, weir_core::model::Limits::default());
        assert_eq!(resolved.http_inspector.workers, Workers::Auto);
    }
    assert_eq!(check("", &[], &[]).report.count(Severity::Warning), 0);
}

/// A file as version 4 has it, every section used.
const V4_FILE: &str = r#"
version: 4
mode: connector-server
connector:
  address: ":5050"
  tls_cert: /etc/tls/tls.crt
  tls_key: /etc/tls/tls.key
  blocking: false
  allowed_networks:
    - 0.0.0.0/0
  allowed_hosts:
    - w.com
    - "*.test.com"
  mesh:
    discovery: dns
    name: processing
    port: 9093
  url_normalize: false
  external_health_check:
    enabled: true
    endpoint: /wallarm-external-health
  per_connection_limits:
    max_requests: 300
    max_received_bytes: 640_000
    max_duration: 1m
  app_reply_timeout: 200ms
  app_reply_timeout_code: 504
proxy_headers:
  - trusted_networks:
      - 8.8.8.8
      - 192.168.0.0/16
    original_host:
      - X-Forwarded-Host
    real_ip:
      - X-Forwarded-For
  - trusted_networks: [10.0.0.0/8]
    real_ip: [X-Real-IP]
route_config:
  wallarm_application: 10
  wallarm_mode: monitoring
  routes:
    - host: Example.com
      wallarm_application: 1
      routes:
        - route: ^~ /app2
          wallarm_application: 2
    - route: ~* \.php$
      wallarm_mode: off
    - host: "api.*"
      route: = /login
      wallarm_mode: safe_blocking
      wallarm_partner_client_uuid: 11111111-1111-1111-1111-111111111111
http_inspector:
  workers: 2
  libdetection_enabled: false
  api_firewall_enabled: true
  api_firewall_database: /opt/x.db
  wallarm_dir: /opt/wallarm/etc/wallarm
  shm_dir: /tmp
  wallarm_process_time_limit: 500ms
input_filters:
  inspect:
    - path: "^/api/v[0-9]+/.*"
      headers:
        Content-Type: ".*json.*"
  bypass:
    - url: ".*\\.(png|jpg)$"
    - ip_addresses: [192.0.2.0/24]
postanalytics_exporter:
  address: 127.0.0.1:3313
  enabled: true
log:
  pretty: true
  level: warn
  log_file: stderr
  access_log:
    enabled: true
    verbose: true
    log_file: /var/log/weir/access.log
  proton_log_mask: info+@*
metrics:
  enabled: true
  listen_address: :9000
  legacy_status:
    enabled: true
    listen_address: 127.0.0.1:10246
  namespace: wallarm_gonode
health_check:
  enabled: true
  listen_address: :8080
drop_on_overload: true
"#;

#[test]
fn a_version_4_file_carries_over() {
    let r = ok(V4_FILE);
    assert_eq!(r.connector.address.show(), ":5050");
    assert_eq!(r.connector.tls.as_ref().unwrap().key.to_str(), Some("/etc/tls/tls.key"));
    assert!(!r.connector.blocking && !r.connector.url_normalize && !r.connector.networks_by_default);
    assert_eq!(r.connector.allowed_hosts[1].as_str(), "*.test.com");
    assert_eq!(r.connector.external_health_check.as_deref(), Some("/wallarm-external-health"));
    let limits = r.connector.per_connection_limits;
    assert_eq!((limits.max_requests, limits.max_received_bytes), (Some(300), Some(640_000)));
    assert_eq!(limits.max_duration, Some(Duration::from_secs(60)));
    assert_eq!(r.connector.app_reply_timeout, Some(Duration::from_millis(200)));
    assert_eq!(r.connector.app_reply_timeout_code, 504);
    assert_eq!(r.proxy_headers.len(), 2);
    assert_eq!(r.proxy_headers[0].trusted_networks[0].to_string(), "8.8.8.8/32");
    assert_eq!(r.proxy_headers[0].original_host, ["x-forwarded-host"]);
    assert_eq!(r.proxy_headers[1].real_ip, ["x-real-ip"]);
    let routes = &r.route_config.routes;
    assert_eq!((r.route_config.mode, r.route_config.application), (Mode::Monitoring, 10));
    assert_eq!(routes[0].host.as_ref().unwrap().as_str(), "example.com");
    assert_eq!(routes[0].routes[0].route, Some(RoutePattern::StrongPrefix("/app2".into())));
    assert_eq!((routes[0].routes[0].application, routes[0].routes[0].mode), (Some(2), None));
    assert_eq!(routes[1].mode, Some(Mode::Off));
    assert_eq!(routes[2].route, Some(RoutePattern::Exact("/login".into())));
    assert!(routes[2].client_uuid.is_some() && routes[2].block_reply.is_none());
    assert_eq!(r.http_inspector.workers, Workers::Count(2));
    assert_eq!(r.http_inspector.process_time_limit, Duration::from_millis(500));
    assert!(!r.http_inspector.libdetection_enabled);
    assert_eq!(r.input_filters.inspect[0].headers[0].0, "content-type");
    assert!(r.input_filters.bypass[0].url.as_ref().unwrap().regex.is_match(b"example.com/a.png"));
    assert_eq!(r.input_filters.bypass[1].ip_addresses.len(), 1);
    assert_eq!((r.log.level, r.log.pretty, r.log.target), (LogLevel::Warn, Some(true), LogTarget::Stderr));
    assert!(r.log.access_log.unwrap().verbose);
    assert_eq!((r.metrics.address.unwrap().port, r.metrics.namespace.as_str()), (9000, "wallarm_gonode"));
    assert_eq!(r.health_check.address.unwrap().port, 8080);
    let expected = [
        "connector.allowed_networks",
        "connector.mesh",
        "route_config.routes[2].wallarm_partner_client_uuid",
        "http_inspector.api_firewall_enabled",
        "http_inspector.api_firewall_database",
        "http_inspector.wallarm_dir",
        "http_inspector.shm_dir",
        "postanalytics_exporter",
        "log.proton_log_mask",
        "metrics.legacy_status",
        "drop_on_overload",
    ];
    assert_eq!(warnings(V4_FILE), expected);
}

#[test]
fn the_file_of_the_old_chart_carries_over() {
    let r = ok("version: 2\nmode: connector-server\nconnector:\n  address: ':18443'\n  blocking: true\n  \
                allowed_networks: [0.0.0.0/0]\n  allowed_hosts: []\n  route_config: {}\n  http_inspector:\n    \
                api_firewall_enabled: true\n    wallarm_dir: /x\n    workers: auto\n    real_ip_header: X-Real-IP\n  \
                log_level: debug\ntarantool_exporter:\n  address: a:3313\n");
    assert_eq!(r.connector.address.tcp().unwrap().port, 18443);
    assert_eq!(r.log.level, LogLevel::Debug);
    assert_eq!(r.proxy_headers.len(), 1);
    assert_eq!(r.proxy_headers[0].real_ip, ["x-real-ip"]);
    assert_eq!(r.proxy_headers[0].trusted_networks, defaults::private_networks());
}

#[test]
fn the_old_chart_mode_is_the_master_switch() {
    assert!(ok("connector: {mode: block}").connector.blocking);
    let r = ok("connector: {mode: monitoring}");
    assert!(!r.connector.blocking && r.route_config.mode == Mode::Block);
    assert!(!ok("connector: {mode: connector-server, blocking: false}").connector.blocking);
    assert_eq!(errors("connector: {mode: monitoring, blocking: true}"), [(1, "connector.mode".into())]);
}

#[test]
fn every_mistake_is_told_at_once() {
    let text = "conector:\n  address: :1\nconnector:\n  adress: :5000\n  address: 5000\n  blocking: perhaps\n  \
                app_reply_timeout: 30\n  app_reply_timeout: 1s\nroute_config:\n  wallarm_mode: blok\n  routes:\n    - \
                host: http://a\n      route: login\n    - hots: a\nproxy_headers:\n  trusted_networks: \
                [1.2.3.4]\nlimits:\n  json_depth: 0\nanomalies:\n  cl_te_conflict: blok\n  cl_te: block\n";
    let expected = [
        (1, "conector"),
        (4, "connector.adress"),
        (5, "connector.address"),
        (6, "connector.blocking"),
        (7, "connector.app_reply_timeout"),
        (8, "connector.app_reply_timeout"),
        (10, "route_config.wallarm_mode"),
        (12, "route_config.routes[0].host"),
        (13, "route_config.routes[0].route"),
        (14, "route_config.routes[1].hots"),
        (16, "proxy_headers"),
        (18, "limits.json_depth"),
        (20, "anomalies.cl_te_conflict"),
        (21, "anomalies.cl_te"),
    ];
    assert_eq!(errors(text), expected.map(|(line, key)| (line, key.to_owned())));
    let shown = check(text, &[], &[]).report.render();
    for part in [
        "weir.yaml:4:3\n",
        "  adress: :5000\n",
        "did you mean `address`?",
        "did you mean `connector`?",
        "did you mean `host`?",
        "write `:5000`",
        "write `30s` or `30ms`",
        "did you mean `block`?",
        "the other one is in line 7",
        "weir.yaml cannot be used: 14 errors",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
}

#[test]
fn wrong_shapes_are_told() {
    assert_eq!(errors("[]"), [(1, String::new())]);
    assert_eq!(errors("text"), [(1, String::new())]);
    assert_eq!(errors("connector: 5"), [(1, "connector".into())]);
    assert_eq!(errors("connector:\n  address: [1]"), [(2, "connector.address".into())]);
    assert_eq!(errors("proxy_headers:\n  - 7"), [(2, "proxy_headers[0]".into())]);
    assert_eq!(errors("rules:\n  directories: /etc/rules"), [(2, "rules.directories".into())]);
    assert_eq!(errors("a: [").len(), 1);
    assert_eq!(errors("a: 1\n---\nb: 2\n").len(), 1);
}

#[test]
fn a_key_in_both_of_its_places_is_a_mistake() {
    assert_eq!(errors("log: {level: info}\nconnector:\n  log: {level: warn}\n"), [(3, "log.level".into())]);
    assert_eq!(errors("log: {level: info}\nconnector:\n  log: {pretty: true}\n"), []);
    assert_eq!(errors("route_config: {wallarm_mode: off}\nconnector: {route_config: {wallarm_mode: off}}\n").len(), 1);
}

#[test]
fn flags_beat_the_environment_and_that_beats_the_file() {
    let file = "route_config: {wallarm_mode: monitoring}\nconnector: {address: ':1', allowed_hosts: [a]}\n";
    let env = [("WEIR_CONNECTOR__ADDRESS", ":2"), ("WALLARM_MODE", "off"), ("WEIR_CONNECTOR__ALLOWED_HOSTS", "b, c")];
    let r = check(file, &env, &[]).resolved.unwrap();
    assert_eq!((r.connector.address.tcp().unwrap().port, r.route_config.mode), (2, Mode::Off));
    assert_eq!(r.connector.allowed_hosts.len(), 2);
    let r = check(file, &env, &[("connector.address", ":3")]).resolved.unwrap();
    assert_eq!(r.connector.address.tcp().unwrap().port, 3);
    // The program's own name for a key beats the documented alias.
    let env = [("WALLARM_MODE", "off"), ("WEIR_ROUTE_CONFIG__WALLARM_MODE", "safe_blocking")];
    assert_eq!(check(file, &env, &[]).resolved.unwrap().route_config.mode, Mode::SafeBlocking);
}

#[test]
fn mistakes_above_the_file_name_their_source() {
    let env = [
        ("WEIR_CONNECTOR__ADDRES", ":1"),
        ("WEIR_LOG__LEVEL", "loud"),
        ("WEIR_SERVICE_HOST", "10.0.0.1"),
        ("WEIR_PORT_5000_TCP", "tcp://10.0.0.1:5000"),
        ("PATH", "/bin"),
        ("WALLARM_LABELS", "group=s3cr3t-token"),
    ];
    let loaded = check("log: {level: lod}\n", &env, &[("connector.adress", ":1"), ("metrics.address", ":2")]);
    assert!(loaded.resolved.is_none());
    let shown = loaded.report.render();
    for part in [
        "environment variable WEIR_CONNECTOR__ADDRES",
        "did you mean `WEIR_CONNECTOR__ADDRESS`?",
        "environment variable WEIR_LOG__LEVEL",
        "weir.yaml:1:14",
        "flag --set",
        "did you mean `connector.address`?",
        "keys of `metrics` are ",
        "`metrics.listen_address`",
        "WALLARM_LABELS is ignored",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!shown.contains("SERVICE_HOST") && !shown.contains("5000_TCP") && !shown.contains("s3cr3t"));
}

#[test]
fn access_follows_authentication() {
    let key = "0123456789abcdef0123456789abcdef";
    let r = ok(&format!("connector: {{auth: {{keys: [{key}]}}}}"));
    assert_eq!(r.connector.allowed_networks, defaults::all_networks());
    assert!(!r.connector.unauthenticated() && !format!("{r:?}").contains(key));
    assert_eq!(errors("connector: {auth: {client_ca: /ca.pem}}"), [(1, "connector.auth".into())]);
    assert_eq!(warnings("connector: {allowed_networks: ['::/0']}"), ["connector.allowed_networks"]);
    assert_eq!(errors("connector: {tls_cert: /a}"), [(1, "connector.tls_cert".into())]);
    assert_eq!(errors("connector: {tls_key: /a}"), [(1, "connector.tls_key".into())]);
}

#[test]
fn keys_of_connectors_are_never_shown() {
    for text in [
        "connector:\n  auth:\n    keys: sesame-sesame-sesame\n",
        "connector:\n  auth:\n    keys: [sesame]\n",
        "connector:\n  auth:\n    keys:\n      - sesame\n",
        "connector:\n  auth:\n    kesy: [sesame-sesame-sesame]\n",
        "connector:\n  auth: {keys: [{a: sesame}]}\n",
        "connector:\n  auth:\n    keys:\n    - 'sesame\n",
        "connector:\n  auth:\n    keys: [sesame\n    - sesame\nlog: 1\n",
    ] {
        let report = check(text, &[], &[]).report;
        assert!(report.failed(), "{text}");
        assert!(!report.render().contains("sesame") && !report.json().contains("sesame"), "{}", report.render());
    }
    let report = check("", &[("WEIR_CONNECTOR__AUTH__KEYS", "sesame")], &[]).report;
    assert!(report.failed() && !report.render().contains("sesame"));
}

#[test]
fn trust_must_be_written_out() {
    let text = "proxy_headers:\n  - real_ip: [X-Real-IP]\n  - trusted_networks: [0.0.0.0/0]\n    real_ip: [X-A]\n";
    let r = ok(text);
    assert_eq!(warnings("proxy_headers: [{trusted_networks: [], real_ip: [a]}]").len(), 1);
    assert_eq!(r.proxy_headers[0].trusted_networks, defaults::private_networks());
    assert_eq!(r.proxy_headers[1].trusted_networks.len(), 1);
    assert_eq!(warnings(text), ["proxy_headers[0].trusted_networks", "proxy_headers[1].trusted_networks"]);
}

#[test]
fn a_host_that_no_request_has_is_told() {
    let text =
        "route_config: {routes: [{host: shop.example}, {host: 'shop.example:8443'}, {host: m\u{fc}nchen.example}]}";
    assert_eq!(warnings(text), ["route_config.routes[1].host", "route_config.routes[2].host"]);
}

#[test]
fn proxies_before_the_console_are_trusted_by_name_only() {
    let own = |text: &str| ok(&format!("control_plane: {{{text}}}")).control_plane;
    let none = own("");
    assert_eq!((none.trusted_proxies, none.real_ip_header.0.as_str()), (vec![], "x-forwarded-for"));
    let some = own("trusted_proxies: [10.0.0.0/8, '::1'], real_ip_header: Forwarded");
    assert_eq!(some.trusted_proxies.iter().map(Setting::show).collect::<Vec<_>>(), ["10.0.0.0/8", "::1/128"]);
    assert_eq!(some.real_ip_header.0, "forwarded");
    let slip = "control_plane:\n  trusted_proxies:\n    - 10.0.0.0/8\n    - ingress\n  real_ip_header: 'X-A:'\n";
    let (proxies, header) = ("control_plane.trusted_proxies".to_owned(), "control_plane.real_ip_header".to_owned());
    assert_eq!(errors(slip), [(4, proxies.clone()), (5, header.clone())]);
    assert_eq!(warnings("control_plane: {trusted_proxies: [0.0.0.0/0]}"), [proxies]);
    assert_eq!(warnings("control_plane: {real_ip_header: X-Real-IP}"), [header]);
}

#[test]
fn own_keys_are_read() {
    let r = ok("block_reply:\n  status: 451\n  headers:\n    X-Block: 'id ${request_id}'\n    X-Ver: 1.10\n  \
                body_html: <p>no</p>\nroute_config:\n  routes:\n    - route: /a\n      parsers_off: [base64, xml]\n      \
                block_reply: {status: 404}\nlimits: {inflated_bytes: 1MiB, depth: 4}\nanomalies: {duplicate_host: \
                block}\noverlimit: {mode: blocking}\nload: {queue: 9}\ngeo: {country_database: /c.mmdb}\npolicy: \
                {file: /p.yaml}\nrules: {directories: [/r]}\nconnector: {max_call_bytes: 1MiB}\n");
    assert_eq!((r.block_reply.status, r.block_reply.headers[1].1.as_str()), (451, "1.10"));
    let route = &r.route_config.routes[0];
    assert_eq!(route.block_reply.as_ref().unwrap().status, 404);
    assert!(route.parsers_off.intersects(ParserSet::XML) && !route.parsers_off.intersects(ParserSet::JSON_DOC));
    assert_eq!((r.limits.inflated_bytes, r.limits.depth), (1 << 20, 4));
    assert_eq!(r.anomalies, [(AnomalyKind::DuplicateHost, types::AnomalyAction::Block)]);
    assert_eq!(
        (r.overlimit.clone(), r.load.queue),
        (resolved::Overlimit { mode: Some(types::OverlimitMode::Block), reasons: Vec::new() }, 9)
    );
    assert_eq!(r.connector.max_call_bytes, 1 << 20);
}

#[test]
fn a_carried_over_file_hears_that_blocking_is_the_default() {
    let noted = |text: &str| said(text).iter().any(|(_, _, key)| key == "route_config.wallarm_mode");
    assert!(noted("version: 4"));
    assert!(!noted("version: 4\nroute_config: {wallarm_mode: block}") && !noted(""));
}

#[test]
fn ports_that_collide_are_told() {
    assert_eq!(errors("metrics: {listen_address: ':5000'}"), [(1, "metrics".into())]);
    assert_eq!(errors("metrics: {listen_address: '127.0.0.1:9090'}"), [(1, "metrics".into())]);
    assert_eq!(errors("metrics: {listen_address: ':9000'}"), []);
    assert_eq!(errors("metrics: {listen_address: ':5000', enabled: false}"), []);
}

#[test]
fn likely_slips_get_advice() {
    let help = |text: &str| {
        let report = check(text, &[], &[]).report;
        report.diagnostics.into_iter().find(|d| d.severity == Severity::Error).and_then(|d| d.help).unwrap_or_default()
    };
    assert!(help("mode: block").contains("route_config.wallarm_mode"));
    assert!(help("mode: tcp-capture-v2").contains("leave"));
    assert!(help("config: {connector: {}}").contains("Helm"));
    assert!(help("zzzzzz: 1").contains("known here"));
    // A variable set to nothing is not set.
    let env = [("WEIR_CONNECTOR__ADDRESS", ""), ("WALLARM_MODE", ""), ("WEIR_CONNECTOR__AUTH__KEYS", "")];
    assert!(!check("", &env, &[]).report.failed());
}

/// The examples beside the reference page can be used as they stand.
#[test]
fn examples_are_valid_and_say_nothing_odd() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let loaded = load(&Sources { file: Some(path), ..Sources::default() });
            assert!(loaded.resolved.is_some(), "{}", loaded.report.render());
            assert_eq!(loaded.report.count(Severity::Warning), 0, "{}", loaded.report.render());
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

#[test]
fn filters_without_conditions_are_refused() {
    assert_eq!(errors("input_filters:\n  bypass:\n    - {}\n").len(), 1);
    assert_eq!(errors("input_filters:\n  bypass:\n    - path: '('\n").len(), 1);
}

#[test]
fn the_table_of_keys_is_sound() {
    let keys = reference::keys();
    assert!(keys.len() > 100, "{}", keys.len());
    let mut paths = BTreeSet::new();
    let mut variables = BTreeSet::new();
    for doc in &keys {
        assert!(paths.insert(doc.path.clone()), "{} is described twice", doc.path);
        assert!(doc.meaning.len() >= 5, "{} has no meaning", doc.path);
        if let Some(variable) = &doc.variable {
            assert!(variables.insert(variable.clone()), "{variable} would set two keys");
        }
    }
    for (from, to) in resolve::MOVED {
        assert!(paths.contains(*to) && !paths.contains(*from), "{from} to {to}");
    }
    for (_, path) in resolve::ENV_ALIASES {
        assert!(paths.contains(*path), "{path}");
    }
}

/// `weir config reference > docs/configuration.md` makes it fresh, and so does this test with `WEIR_UPDATE_DOCS=1`.
#[test]
fn the_reference_page_is_fresh() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
    if std::env::var_os("WEIR_UPDATE_DOCS").is_some() {
        std::fs::write(path, reference::markdown()).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        page == reference::markdown(),
        "docs/configuration.md is stale: run `WEIR_UPDATE_DOCS=1 cargo test --lib reference_page`"
    );
}

/// What the page says is a default parses as one: a file made of every default means the same as an empty one.
#[test]
fn defaults_can_be_written_out() {
    let mut environment = Vec::new();
    for doc in reference::keys() {
        if let (Some(variable), reader::KeyKind::Value) = (&doc.variable, doc.kind) {
            let list = doc.type_name.starts_with("list");
            if let (false, reader::Unset::Value(value)) = (list, &doc.default) {
                environment.push((variable.clone(), value.clone()));
            }
        }
    }
    assert!(environment.len() > 50, "{}", environment.len());
    let written = load_text("x", String::new(), &environment, &[]);
    let written = written.resolved.unwrap_or_else(|| panic!("{}", written.report.render()));
    assert_eq!(format!("{written:?}"), format!("{:?}", ok("")));
}

#[test]
fn what_is_told_of_a_hostile_file_is_bounded() {
    let keys: String = (0..20_000).map(|n| format!("kee{n}: 1\n")).collect();
    let routes = format!("route_config: {{routes: [{}]}}", "{hots: a},".repeat(10_000));
    for text in [keys, routes] {
        let report = check(&text, &[], &[]).report;
        assert!(report.failed() && report.diagnostics.len() <= diagnostic::MAX_DIAGNOSTICS && report.dropped > 0);
        assert!(report.render().len() < 200_000);
    }
}

#[test]
fn sizes_have_bounds() {
    assert!(errors("connector: {max_call_bytes: 1TiB}").len() == 1);
    assert!(errors("limits: {inflated_bytes: 1TiB}").len() == 1);
    assert!(ByteSize::parse("1MiB").unwrap() < defaults::MAX_CALL_BYTES);
}

proptest! {
    /// Any one line of a good file replaced by noise: told or harmless, never a panic.
    #[test]
    fn noise_never_panics(line in 0usize..90, noise in "[ -~]{0,30}") {
        let lines: Vec<&str> = V4_FILE.lines().collect();
        let mut text: Vec<&str> = lines.clone();
        text[line % lines.len()] = &noise;
        let loaded = check(&text.join("\n"), &[], &[]);
        prop_assert_eq!(loaded.resolved.is_none(), loaded.report.failed());
        let _ = (loaded.report.render(), loaded.report.json());
    }
}

#[test]
fn the_vendors_hosts_count_as_empty() {
    for host in ["api.wallarm.com", "US1.api.Wallarm.com.", "wallarm.ru", "wallarm.com", "audit.api.wallarm.ru"] {
        let text = format!("api: {{host: '{host}', token: 0123456789abcdef}}");
        assert_eq!(ok(&text).api.host, None, "{host}");
        assert_eq!(warnings(&text), ["api.host"], "{host}");
    }
    for host in ["notwallarm.com", "wallarm.com.example", "control.example", "10.0.0.1", "'::1'"] {
        assert!(ok(&format!("api: {{host: {host}}}")).api.host.is_some(), "{host}");
    }
}

/// Forms in which a vendor's host would pass the comparison and still be what is called.
#[test]
fn a_host_is_a_host_and_nothing_else() {
    for host in [
        "api.wallarm.com:443",
        "https://api.wallarm.com",
        "api.wallarm.com/",
        "api%2ewallarm.com",
        "\u{ff41}pi.wallarm.com",
        "x@api.wallarm.com",
        "api.wallarm.com#",
        "api.wallarm\u{3002}com",
        "a b",
        "[::1]",
    ] {
        assert_eq!(errors(&format!("api: {{host: \"{host}\"}}")), [(1, "api.host".into())], "{host}");
    }
}

#[test]
fn a_policy_key_is_a_key() {
    assert_eq!(errors("api: {policy_key: abc}"), [(1, "api.policy_key".into())]);
    assert_eq!(errors("api: {policy_key: AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=}"), []);
}
