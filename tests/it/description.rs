//! The API of a control plane against its description: requests made from the description, the wrong ones too, by the
//! client that `tests/install-deps.sh` installs. Every answer must be one that the description tells.

use crate::WEIR;
use serde_json::json;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use weir_testkit::control_plane::ControlPlane;
use weir_testkit::eventually;
use weir_testkit::http::read;
use weir_testkit::node::call;

/// Requests for each operation, at most.
const EXAMPLES: &str = "5";

/// Something in every list: hits of an attack, a rule, a listed value, an application, a sink, an alert, a rule pack.
fn seed(all: &ControlPlane) -> String {
    let mut stream = TcpStream::connect(all.node.unwrap()).unwrap();
    let attack = b"GET /etc/passwd HTTP/1.1\r\nHost: shop.example\r\n\r\n";
    stream.write_all(&call("/v1/requests", &[], attack)).unwrap();
    read(&mut BufReader::new(stream)).unwrap();
    let browser = all.login();
    let pass = json!({"type": "equal", "point": ["header", "HOST"], "value": "shop.example"});
    let rule = json!({"rule": {"type": "vpatch", "attack_type": "xss", "action": [pass]}});
    let webhook = json!({"name": "a", "target": {"kind": "webhook", "url": "http://127.0.0.1:9/"}, "feeds": ["system"],
                         "enabled": false});
    let alert =
        json!({"name": "a", "channel": {"kind": "slack", "url": "http://127.0.0.1:9/"}, "hits": 9, "minutes": 9});
    for (method, path, body, status) in [
        ("POST", "rules", rule, 201),
        ("POST", "ip-lists", json!([{"list": "gray", "value": "192.0.2.1"}]), 201),
        ("PUT", "applications/7", json!({"name": "shop"}), 200),
        ("POST", "sinks", webhook, 201),
        ("POST", "alerts", alert, 201),
        ("POST", "me/searches", json!({"name": "a", "query": "sqli"}), 201),
    ] {
        let answer = browser.send(method, &format!("/api/v1/{path}"), &body);
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    eventually("an attack", || browser.get("/api/v1/attacks").json()["items"].as_array().unwrap().first().cloned());
    let new = json!({"name": "description", "usage": "api", "role": "administrator"});
    browser.send("POST", "/api/v1/tokens", &new).json()["token"].as_str().unwrap().to_owned()
}

#[test]
fn every_answer_is_one_that_the_description_tells() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let client = root.join("target/api-tests/bin/schemathesis");
    if !client.exists() {
        assert!(std::env::var_os("CI").is_none(), "schemathesis is missing: run tests/install-deps.sh");
        eprintln!("SKIPPED: schemathesis is missing (tests/install-deps.sh)");
        return;
    }
    let all = WEIR.all_in_one(&[]);
    let token = seed(&all);
    let api = format!("http://{}", all.api);
    let directory = tempfile::tempdir().unwrap();
    let run = Command::new(client)
        .current_dir(directory.path())
        .arg("--config-file")
        .arg(root.join("tests/api/schemathesis.toml"))
        .args(["run", &format!("{api}/api/v1/openapi.json"), "--url", &api])
        .args(["--header", &format!("Authorization: Bearer {token}")])
        .args(["--max-examples", EXAMPLES, "--seed", "1", "--generation-deterministic", "--no-shrink"])
        // It would take its own token away.
        .args(["--exclude-operation-id", "deleteTokensId", "--exclude-operation-id", "patchTokensId"])
        .args(["--warnings", "off", "--no-color", "--continue-on-failure"])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert_eq!(all.json("GET", "/api/v1/me", &token, &json!(null)).status, 200, "the token was lost: {told}");
    assert!(run.status.success(), "{told}\n{}", String::from_utf8_lossy(&run.stderr));
}
