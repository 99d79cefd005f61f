//! Files of an older build, `tests/golden`: today's code reads its store, its spool, its policy and its backup.

use crate::WEIR;
use crate::stub::{Signer, Stub, TOKEN};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;
use weir_testkit::{ControlPlane, Node, free_port, until};

/// The token with which the older node registered.
const DEPLOY_TOKEN: &str = "example-deploy-token-of-the-golden-files";
/// The administrator's password in the older store.
const PASSWORD: &str = "an-example-password";
/// Request ids of the hits that the older control plane stored, and of those that the older node still had in its spool.
const STORED: [&str; 6] = ["golden-0", "golden-1", "golden-2", "golden-3", "golden-4", "golden-5"];
const SPOOLED: [&str; 4] = ["golden-6", "golden-7", "golden-8", "golden-9"];
/// The older files have a fixed date: keep their hits as long as possible.
const RETENTION: &str = "control_plane.retention_days=3650";

/// A copy of a directory of `tests/golden`, with the modes that the program gives its files.
fn copy(name: &str) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    copy_into(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name), to.path());
    to
}

fn copy_into(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).unwrap();
            copy_into(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).unwrap();
            fs::set_permissions(&target, fs::Permissions::from_mode(0o600)).unwrap();
        }
    }
}

/// A control plane on a copy of the older store, which is removed with it.
fn control_plane(store: TempDir) -> ControlPlane {
    let data = format!("data_dir={}", store.path().display());
    WEIR.control_plane_in(store, &[&data, RETENTION])
}

/// The older node, with its identity, its spool and its last good policy; its control plane is at `port`.
fn node(data: &Path, port: u16, token: &str) -> Node {
    let sets = [
        "events.enabled=true".to_owned(),
        format!("data_dir={}", data.display()),
        "api.host=127.0.0.1".into(),
        format!("api.port={port}"),
        "api.use_ssl=false".into(),
        format!("api.token={token}"),
        "api.node_name=node-1.example".into(),
    ];
    let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
    WEIR.node_as(&["processing"], &[], &sets)
}

/// Request ids of all hits, sorted; checks what each holds.
fn hits(control_plane: &ControlPlane) -> Vec<String> {
    let page = control_plane.login_with(PASSWORD).get("/api/v1/hits?limit=100").json();
    let items = page["items"].as_array().unwrap_or_else(|| panic!("{page}"));
    for hit in items {
        let id = hit["request_id"].as_str().unwrap();
        let number: usize = id.strip_prefix("golden-").unwrap().parse().unwrap();
        let attack = ["ptrav", "sqli", "xss"][number % 3];
        let expected = json!({"attack_types": [attack], "host": "shop.example", "mode": "monitoring", "action": "pass",
            "ip": format!("203.0.113.{}", number + 1), "method": "GET"});
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&hit[name], value, "{name} of {hit}");
        }
    }
    let mut ids: Vec<String> = items.iter().map(|hit| hit["request_id"].as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

/// Users and policy of the older store.
fn check_accounts_and_policy(control_plane: &ControlPlane) {
    let session = control_plane.login_with(PASSWORD);
    let users = session.get("/api/v1/users").json();
    let user = |login: &str| users["items"].as_array().unwrap().iter().find(|user| user["login"] == login).cloned();
    assert_eq!(user("admin").unwrap()["role"], "administrator");
    assert_eq!(user("ann").unwrap()["role"], "analyst");
    let rules = session.get("/api/v1/rules").json();
    assert_eq!(rules["items"].as_array().unwrap().len(), 1, "{rules}");
    assert!(rules["items"][0].to_string().contains(r#""regex":"golden-[0-9]+""#), "{rules}");
    assert_eq!(session.get("/api/v1/policy").json()["general"]["mode"], "monitoring");
    let versions = session.get("/api/v1/policy/versions").json();
    assert!(versions["items"].as_array().unwrap().len() >= 3, "first version, rule, mode: {versions}");
}

#[test]
fn an_older_store_is_read_and_an_older_spool_drains_into_it() {
    let (store, data) = (copy("store"), copy("node"));
    let control_plane = control_plane(store);
    check_accounts_and_policy(&control_plane);
    assert_eq!(hits(&control_plane), STORED);
    let node = node(data.path(), control_plane.api.port(), DEPLOY_TOKEN);
    until("the spooled hits", || hits(&control_plane).len() == STORED.len() + SPOOLED.len());
    assert_eq!(hits(&control_plane), [&STORED[..], &SPOOLED[..]].concat(), "each exactly once");
    let nodes = control_plane.login_with(PASSWORD).get("/api/v1/nodes").json();
    assert_eq!(nodes["items"].as_array().unwrap().len(), 1, "the node keeps its identity: {nodes}");
    drop(node);
}

#[test]
fn an_older_spool_sends_what_was_not_acknowledged_and_nothing_else() {
    let data = copy("node");
    // This control plane does not know the node, which registers again.
    let stub = Stub::start(&Signer::new(1));
    let node = node(data.path(), stub.address.port(), TOKEN);
    until("the spooled hits", || stub.told(|told| told.records.len() == SPOOLED.len()));
    until("the statistics", || stub.told(|told| !told.statistics.is_empty()));
    assert!(stub.told(|told| told.records.values().all(|times| *times == 1)));
    drop(node);
}

#[test]
fn an_older_policy_is_in_force_while_the_control_plane_is_away() {
    let data = copy("node");
    let node = node(data.path(), free_port(), DEPLOY_TOKEN);
    let custom = node.inspect(b"GET /?q=golden-77 HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!((custom.status, custom.header("inspector-attack")), (204, Some("rce")), "{custom:?}");
    let attack = node.inspect(b"GET /etc/passwd HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    assert_eq!((attack.status, attack.header("inspector-attack")), (204, Some("ptrav")), "monitoring: {attack:?}");
}

#[test]
fn an_older_backup_restores_into_a_new_store() {
    let store = tempfile::tempdir().unwrap();
    let data = format!("data_dir={}", store.path().display());
    let backup = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/weir.backup");
    let restored = WEIR.command().arg("restore").arg(backup).args(["--set", &data]).output().unwrap();
    let output = String::from_utf8_lossy(&restored.stderr).into_owned();
    assert_eq!(restored.status.code(), Some(0), "{output}");
    // The key is not in the backup; the operator puts it there.
    assert!(output.contains("policy-key.pem"), "{output}");
    let key = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/store/policy-key.pem");
    fs::copy(key, store.path().join("policy-key.pem")).unwrap();
    let control_plane = control_plane(store);
    check_accounts_and_policy(&control_plane);
    assert_eq!(hits(&control_plane), STORED);
    let hit: Value = control_plane.login_with(PASSWORD).get("/api/v1/hits?limit=1").json()["items"][0].clone();
    let path = format!("/api/v1/hits/{}", hit["id"].as_str().unwrap());
    let whole = control_plane.login_with(PASSWORD).get(&path).json().to_string();
    assert!(whole.contains("golden-5"), "{whole}");
}
