//! Nodes and batches of an aggregation.

use super::intake;
use super::node_registry::{MAX_REPLICAS, NodeRegistry, RegistrationError};
use super::problem::Problem;
use crate::events::spool::MAX_PAYLOAD;
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_protocol::batch::Batch;
use weir_protocol::node_api::{Heartbeat, Identity, MAX_BATCH, MAX_BATCH_BYTES, Register};

fn text(batch: &Batch<Vec<u8>>) -> Vec<String> {
    batch.records.iter().map(|record| String::from_utf8(record.record.clone()).unwrap()).collect()
}

#[test]
fn records_pass_as_they_are_but_under_the_name_of_who_sent_them() {
    let own = r#"{"record":"hit", "node":"me","later":1.10,"id":"a"}"#;
    let update = r#"{"record":"update","hit":"a"}"#;
    let future = r#"{"record":"of a newer node","node":"you"}"#;
    let batch = intake::read(format!("{own}\n\r\n{update}\n\n{future}").as_bytes(), false, "me").unwrap();
    assert_eq!(text(&batch), [own, update, future]);
    let foreign = r#"{"record":"hit","node":"you","later":1.10}"#;
    let unattributed = r#"{"record":"hit","later":{"a":[1]}}"#;
    let batch = intake::read(format!("{foreign}\n{unattributed}").as_bytes(), false, "me").unwrap();
    let lines: Vec<Value> = text(&batch).iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().all(|line| line["node"] == "me"));
    assert_eq!((lines[0]["later"].to_string(), &lines[1]["later"]), ("1.10".into(), &json!({"a": [1]})));
}

#[test]
fn lines_that_are_no_record_are_rejected_by_number() {
    let long = format!(r#"{{"record":"hit","x":"{}"}}"#, "x".repeat(MAX_PAYLOAD));
    let lines = format!("{{\"record\":\"hit\"}}\nno\n[]\n{{}}\n{{\"record\":7}}\n{long}\n{{\"record\":\"hit\"}}\n");
    let batch = intake::read(lines.as_bytes(), false, "me").unwrap();
    assert_eq!(batch.records.len(), 2);
    assert_eq!(batch.rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn batches_are_bounded() {
    let many = "{\"record\":\"hit\"}\n".repeat(MAX_BATCH + 1);
    assert!(matches!(intake::read(many.as_bytes(), false, "me"), Err(Problem::Invalid(_))));
    let large = vec![b' '; MAX_BATCH_BYTES + 1];
    assert!(matches!(intake::read(&large, false, "me"), Err(Problem::TooLarge(_))));
    let mut packed = Vec::new();
    let mut encoder = flate2::write::GzEncoder::new(&mut packed, flate2::Compression::best());
    std::io::Write::write_all(&mut encoder, &large).unwrap();
    encoder.finish().unwrap();
    assert!(packed.len() < 100_000);
    assert!(matches!(intake::read(&packed, true, "me"), Err(Problem::TooLarge(_))));
    assert!(matches!(intake::read(b"not gzip", true, "me"), Err(Problem::Invalid(_))));
    assert!(matches!(
        intake::read(&packed[..packed.len() / 2], true, "me"),
        Err(Problem::Invalid(_) | Problem::TooLarge(_))
    ));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body: Vec<u8>, packed: bool) {
        if let Ok(batch) = intake::read(&body, packed, "me") {
            prop_assert!(batch.records.iter().all(|record| serde_json::from_slice::<Value>(&record.record).is_ok()));
        }
    }
}

#[test]
fn counts_are_under_the_name_of_who_sent_them() {
    let id = "0197f4a2-0000-7000-8000-000000000001";
    let line = intake::statistics(json!({"id": id, "node": "you", "rows": []}).to_string().as_bytes(), "me").unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&line).unwrap()["node"], "me");
    for wrong in ["", "[]", "{}", r#"{"id":"x"}"#, r#"{"id":7}"#] {
        assert!(matches!(intake::statistics(wrong.as_bytes(), "me"), Err(Problem::Invalid(_))), "{wrong}");
    }
}

fn asked(identity: Option<Identity>) -> Register {
    Register {
        identity,
        group: "g".into(),
        name: "n".into(),
        role: "processing".into(),
        version: "1".into(),
        capabilities: Vec::new(),
    }
}

#[test]
fn nodes_are_known_by_hash_and_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nodes.json");
    let replicas = NodeRegistry::open(path.clone()).unwrap();
    let identity = replicas.register(&asked(None)).unwrap();
    assert!(!std::fs::read_to_string(&path).unwrap().contains(&identity.secret));
    let again = NodeRegistry::open(path).unwrap();
    assert_eq!(again.verify(&identity.node_id, &identity.secret).unwrap().group, "g");
    assert!(again.verify(&identity.node_id, "other").is_none() && again.verify("other", &identity.secret).is_none());
    assert_eq!(again.register(&asked(Some(identity.clone()))).unwrap(), identity);
    assert_eq!(again.count(), 1);
    let weak = Identity { node_id: "0197f4a2-0000-7000-8000-000000000001".into(), secret: "short".into() };
    assert_ne!(again.register(&asked(Some(weak.clone()))).unwrap(), weak);
}

#[test]
fn there_are_only_so_many_nodes() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("nodes.json");
    let one = json!({"node_id": "", "secret": [], "group": "g", "name": "", "seen": u32::MAX});
    let all: Vec<Value> = (0..MAX_REPLICAS)
        .map(|n| {
            let mut one = one.clone();
            one["node_id"] = json!(n.to_string());
            one
        })
        .collect();
    std::fs::write(&path, serde_json::to_vec(&all).unwrap()).unwrap();
    let replicas = NodeRegistry::open(path.clone()).unwrap();
    assert!(matches!(replicas.register(&asked(None)), Err(RegistrationError::Full)));
    // Nodes without calls for a day are removed.
    let gone: Vec<Value> = all
        .into_iter()
        .map(|mut one| {
            one["seen"] = json!(1);
            one
        })
        .collect();
    std::fs::write(&path, serde_json::to_vec(&gone).unwrap()).unwrap();
    let replicas = NodeRegistry::open(path).unwrap();
    assert!(replicas.register(&asked(None)).is_ok());
    assert_eq!(replicas.count(), 1);
}

#[test]
fn news_of_a_node_are_its_policy_and_errors() {
    let directory = tempfile::tempdir().unwrap();
    let replicas = NodeRegistry::open(directory.path().join("nodes.json")).unwrap();
    let id = replicas.register(&asked(None)).unwrap().node_id;
    let beat = |policy_serial, error: &str| {
        let policy_error = Some(error.to_owned()).filter(|error| !error.is_empty());
        replicas.record_heartbeat(&id, Heartbeat { policy_serial, policy_error, ..Heartbeat::default() })
    };
    let told = [beat(0, ""), beat(0, ""), beat(1, ""), beat(1, "no\u{7}good"), beat(1, "no\u{7}good"), beat(1, "")];
    assert_eq!(told, [true, false, true, true, false, true]);
    beat(2, &"long".repeat(1000));
    let beats = replicas.heartbeats("g");
    assert_eq!((beats.len(), beats[0].1.name.as_str()), (1, "n"));
    assert_eq!(beats[0].1.policy_error.as_ref().unwrap().len(), 200);
    assert!(replicas.heartbeats("other").is_empty());
    assert!(!replicas.record_heartbeat("unknown", Heartbeat::default()));
}
