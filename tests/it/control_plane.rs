//! A control plane as a process: accounts, nodes, policy, API.

use crate::WEIR;
use serde_json::{Value, json};
use std::io::{BufReader, Write};
use std::net::TcpStream;
use weir_testkit::control_plane::{PASSWORD, TOKEN};
use weir_testkit::http::read;
use weir_testkit::node::call;
use weir_testkit::{Program, eventually, free_port};

fn registration() -> Value {
    json!({"group": "default", "name": "n1", "role": "processing", "version": "0.1.0",
           "capabilities": weir_protocol::node_api::CAPABILITIES})
}

#[test]
fn a_node_registers_beats_and_polls_a_signed_policy() {
    use base64::Engine as _;
    let cp = WEIR.control_plane(&[]);
    assert_eq!(cp.json("POST", "/node/v1/register", "wrong-token-wrong-token", &registration()).status, 401);
    let registered = cp.json("POST", "/node/v1/register", TOKEN, &registration());
    assert_eq!(registered.status, 200, "{registered:?}");
    let registered = registered.json();
    let identity = &registered["identity"];
    let bearer = format!("{}.{}", identity["node_id"].as_str().unwrap(), identity["secret"].as_str().unwrap());
    let mut again = registration();
    again["identity"] = identity.clone();
    assert_eq!(cp.json("POST", "/node/v1/register", TOKEN, &again).json()["identity"], *identity, "it stays who it is");
    assert_eq!(cp.json("POST", "/node/v1/heartbeat", &format!("{bearer}x"), &json!({})).status, 401);
    let beat = json!({"version": "0.1.0", "capabilities": weir_protocol::node_api::CAPABILITIES, "policy_serial": 0});
    assert_eq!(cp.json("POST", "/node/v1/heartbeat", &bearer, &beat).status, 204);
    let polled = cp.json("GET", "/node/v1/policy?after=0&wait=5", &bearer, &Value::Null);
    let signed: weir_protocol::node_api::SignedPolicy = serde_json::from_slice(&polled.body).unwrap();
    let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap();
    let key = decode(registered["policy_key"]["public_key"].as_str().unwrap());
    let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, key);
    let message = format!("weir policy v1\n{}", signed.document);
    key.verify(message.as_bytes(), &decode(&signed.signature)).unwrap();
    let payload: weir_protocol::node_api::PolicyPayload = serde_json::from_str(&signed.document).unwrap();
    assert_eq!((payload.group.as_str(), payload.requires), ("default", vec!["policy.1".to_owned()]));
    let none = cp.json("GET", &format!("/node/v1/policy?after={}&wait=0", payload.serial), &bearer, &Value::Null);
    assert_eq!(none.status, 204);
}

#[test]
fn a_session_needs_its_csrf_token_and_ends() {
    let cp = WEIR.control_plane(&[]);
    assert_eq!(cp.call("GET", "/api/v1/me", &[], b"").status, 401);
    let browser = cp.login();
    let me = browser.get("/api/v1/me").json();
    assert_eq!((&me["role"], &me["user"]["login"]), (&json!("administrator"), &json!("admin")));
    for headers in [
        vec![("Cookie", browser.cookie.as_str())],
        vec![("Cookie", browser.cookie.as_str()), ("X-CSRF-Token", "wrong")],
        vec![
            ("Cookie", browser.cookie.as_str()),
            ("X-CSRF-Token", browser.csrf.as_str()),
            ("Sec-Fetch-Site", "cross-site"),
        ],
    ] {
        assert_eq!(cp.call("DELETE", "/api/v1/session", &headers, b"").status, 403, "{headers:?}");
    }
    assert_eq!(browser.send("DELETE", "/api/v1/session", &Value::Null).status, 204);
    assert_eq!(browser.get("/api/v1/me").status, 401);
}

#[test]
fn clients_behind_a_proxy_are_told_apart() {
    let cp =
        WEIR.control_plane(&["control_plane.trusted_proxies=127.0.0.0/8", "control_plane.real_ip_header=Forwarded"]);
    let login = |client: &str, password: &str| {
        let body = json!({"login": "admin", "password": password}).to_string();
        let client = format!("for={client};proto=https");
        let headers = [("Content-Type", "application/json"), ("Forwarded", client.as_str())];
        cp.call("POST", "/api/v1/session", &headers, body.as_bytes()).status
    };
    for _ in 0..5 {
        assert_eq!(login("203.0.113.66", "wrong"), 401);
    }
    assert_eq!(login("203.0.113.66", PASSWORD), 429);
    assert_eq!(login("\"[2001:db8::7]:4711\"", PASSWORD), 200, "another client of the same proxy");
    let log = cp.login().get("/api/v1/audit").json();
    let rows = log["items"].as_array().unwrap();
    for (action, address) in [("login.refused", "203.0.113.66"), ("login", "2001:db8::7"), ("login", "127.0.0.1")] {
        let found = rows.iter().any(|row| row["action"] == action && row["address"] == address);
        assert!(found, "{action} from {address}: {log}");
    }
}

#[test]
fn metrics_of_a_control_plane_are_served_alone_and_beside_a_node() {
    let port = free_port();
    let listen = format!("metrics.listen_address=127.0.0.1:{port}");
    let sets = ["metrics.enabled=true", listen.as_str()];
    for start in [Program::control_plane, Program::all_in_one] {
        let cp = start(&WEIR, &sets);
        let page = || {
            let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
            stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n").unwrap();
            String::from_utf8(read(&mut BufReader::new(stream))?.body).ok()
        };
        let shows = |line: &str| page().filter(|text| text.lines().any(|told| told == line));
        assert_eq!(cp.json("POST", "/node/v1/register", TOKEN, &registration()).status, 200);
        cp.login();
        let text =
            eventually("a login that is counted", || shows("weir_control_plane_logins_total{outcome=\"accepted\"} 1"));
        assert!(text.contains("weir_listener_connections{listener=\"control_plane\"}") && text.ends_with("# EOF\n"));
        let nodes = 1 + u32::from(cp.node.is_some());
        eventually("nodes", || shows(&format!("weir_control_plane_nodes{{state=\"active\"}} {nodes}")));
        eventually("the policy", || page().filter(|text| !text.contains("weir_control_plane_policy_serial 0\n")));
    }
}

#[test]
fn what_one_process_blocks_stands_in_its_api_and_a_change_of_mode_acts() {
    let both = WEIR.all_in_one(&[]);
    let judge = || {
        let mut stream = TcpStream::connect(both.node.unwrap()).unwrap();
        let attack = b"GET /etc/passwd HTTP/1.1\r\nHost: shop.example\r\n\r\n";
        stream.write_all(&call("/v1/requests", &[], attack)).unwrap();
        read(&mut BufReader::new(stream)).unwrap().header("inspector-verdict").unwrap().to_owned()
    };
    assert_eq!(judge(), "block");
    let browser = both.login();
    let attack = eventually("an attack in the API", || {
        browser.get("/api/v1/attacks").json()["items"].as_array().unwrap().first().cloned()
    });
    assert_eq!((&attack["attack_type"], &attack["host"]), (&json!("ptrav"), &json!("shop.example")), "{attack}");
    assert_eq!(browser.get("/api/v1/nodes").json()["items"][0]["active"], true);
    // From what nodes do by themselves, which is to block, this is a weaker mode: it has to be confirmed.
    let mode = json!({"mode": "monitoring"});
    let asked = browser.send("PUT", "/api/v1/policy/general", &mode);
    assert_eq!(asked.status, 428, "{asked:?}");
    let confirm = asked.json()["confirmation"]["confirm"].as_str().unwrap().to_owned();
    let changed = browser.send_with("PUT", "/api/v1/policy/general", &[("x-confirm", &confirm)], &mode);
    assert_eq!(changed.status, 200, "{changed:?}");
    eventually("monitoring on the node", || (judge() == "pass").then_some(()));
}
