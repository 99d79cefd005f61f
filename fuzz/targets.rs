//! What each fuzz target does with its input. The targets themselves, and the test that replays the seeds on a stable
//! toolchain, only call these: nothing is switched off under fuzzing.

use std::sync::OnceLock;
use weir::engine::{Plan, Scratch, inspect};
use weir::model::{Header, Message};
use weir::normalize::VIEWS;
use weir::parse::{facts, message};
use weir::ruleset::{Ruleset, builtin, compile};

fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

fn judge(message: &Message<'_>) {
    let plan = Plan { explain: true, ..Plan::default() };
    let inspection = inspect(message, ruleset(), &plan, &mut Scratch::default(), &|| false);
    serde_json::to_string(&inspection).expect("an inspection serialises");
}

/// A whole raw request: split, its facts read, inspected.
pub fn request(data: &[u8]) {
    let message = message::request(data);
    let _ = facts::facts(&message);
    judge(&message);
}

/// Media types and codings under which [`body`] offers its input.
const DECLARED: &[(&str, &str)] = &[
    ("content-type", "application/json"),
    ("content-type", "application/xml"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "multipart/form-data; boundary=x"),
    ("content-type", "application/graphql"),
    ("content-type", "application/grpc"),
    ("content-type", "application/msgpack"),
    ("content-type", "text/plain; charset=utf-16"),
    ("content-type", "text/plain; charset=utf-7"),
    ("content-encoding", "gzip"),
    ("content-encoding", "deflate"),
    ("content-encoding", "br"),
    ("content-encoding", "zstd"),
    ("x-none", ""),
];

/// A body under a declaration that the first octet chooses: every parser of values.
pub fn body(data: &[u8]) {
    let Some((&choice, body)) = data.split_first() else { return };
    let (name, value) = DECLARED[choice as usize % DECLARED.len()];
    judge(&Message {
        method: b"POST",
        target: b"/",
        protocol: b"HTTP/1.1",
        headers: vec![Header { name: name.as_bytes(), value: value.as_bytes() }],
        body,
        ..Message::default()
    });
}

/// Every normalisation; each must also be done after a few rounds on its own output, never grow without measure.
pub fn normalize(data: &[u8]) {
    for view in VIEWS {
        let mut text = data.to_vec();
        for _ in 0..4 {
            text = (view.run)(&text).into_owned();
            assert!(text.len() <= data.len() * 8 + 64, "view {} grows its input without measure", view.name);
        }
    }
}

/// A rule file: compiled or refused, never a panic, and every mistake has a place.
pub fn rules(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    if let Err(errors) = compile::compile(&[("fuzz.yaml".to_string(), text)]) {
        assert!(!errors.is_empty());
    }
}
