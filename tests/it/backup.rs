//! `weir backup` and `weir restore`.

use crate::WEIR;
use serde_json::json;
use std::path::Path;
use std::process::Output;
use weir_testkit::control_plane::PASSWORD;

fn weir(arguments: &[&str], store: &Path) -> Output {
    let store = format!("data_dir={}", store.display());
    WEIR.command().args(arguments).args(["--set", &store]).output().unwrap()
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_backup_of_a_running_control_plane_restores_into_a_new_store_and_no_other() {
    let (old, new, place) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let file = place.path().join("weir.backup");
    let (file, data) = (file.to_str().unwrap(), format!("data_dir={}", old.path().display()));
    let nothing = weir(&["backup", file], &old.path().join("nowhere"));
    assert_eq!(nothing.status.code(), Some(1));
    assert!(told(&nothing).contains("there is no store"), "{}", told(&nothing));
    assert!(!old.path().join("nowhere").exists(), "a backup makes no store");

    let before = WEIR.control_plane(&[&data]);
    // From what nodes do by themselves, which is to block, this is a weaker mode: it has to be confirmed.
    let browser = before.login();
    let mode = json!({"mode": "monitoring"});
    let asked = browser.send("PUT", "/api/v1/policy/general", &mode);
    assert_eq!(asked.status, 428, "{asked:?}");
    let confirm = asked.json()["confirmation"]["confirm"].as_str().unwrap().to_owned();
    let changed = browser.send_with("PUT", "/api/v1/policy/general", &[("x-confirm", &confirm)], &mode);
    assert_eq!(changed.status, 200, "{changed:?}");
    let serial = changed.json()["serial"].as_u64().unwrap();
    let done = weir(&["backup", file], old.path());
    assert_eq!(done.status.code(), Some(0), "{}", told(&done));
    assert!(told(&done).contains("policy-key.pem"), "it names the key that is not in it: {}", told(&done));
    assert_eq!(std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(file).unwrap()) & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1, "no part is left");
    let again = weir(&["backup", file], old.path());
    assert!(told(&again).contains("already exists") && again.status.code() == Some(1), "{}", told(&again));
    drop(before);

    let used = weir(&["restore", file], old.path());
    assert!(told(&used).contains("in use") && used.status.code() == Some(1), "{}", told(&used));
    let whole = std::fs::read(file).unwrap();
    let line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    let bad: [(&str, &[u8], &str); 5] = [
        ("empty", b"", "it is empty"),
        ("no-end", &whole[..line], "cut short after line 1:"),
        ("cut", &whole[..whole.len() - 20], "cut short within line"),
        ("other", b"<html>\n", "line 1: not of a backup of weir"),
        ("compressed", &[0x1f, 0x8b, 8, 0, 0], "cut short within line 1"),
    ];
    for (name, content, why) in bad {
        let path = place.path().join(name);
        std::fs::write(&path, content).unwrap();
        let refused = weir(&["restore", path.to_str().unwrap()], new.path());
        let said = told(&refused);
        let named = format!("{}: cannot be restored: ", path.display());
        assert!(said.contains(&named) && said.contains(why) && refused.status.code() == Some(1), "{name}: {said}");
    }

    let restored = weir(&["restore", file], new.path());
    assert_eq!(restored.status.code(), Some(0), "{}", told(&restored));
    assert!(told(&restored).contains("put the key"), "{}", told(&restored));
    std::fs::copy(old.path().join("policy-key.pem"), new.path().join("policy-key.pem")).unwrap();
    let data = format!("data_dir={}", new.path().display());
    let after = WEIR.control_plane(&[&data, &format!("control_plane.admin_password={PASSWORD}x")]);
    // The password is the old one: there was an administrator already.
    let policy = after.login().get("/api/v1/policy").json();
    assert_eq!(policy["general"]["mode"], "monitoring");
    assert!(policy["serial"].as_u64().unwrap() > serial, "nodes follow what was restored");
}
