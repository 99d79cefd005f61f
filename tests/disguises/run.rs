//! What the tables share: a request goes through the engine with the built-in rules.

use std::sync::OnceLock;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::{AttackType, Inspection, Message};
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};

pub const SQLI: &str = "1' UNION SELECT password FROM users-- -";
pub const XSS: &str = "<script>alert(document.cookie)</script>";
pub const PTRAV: &str = "../../../../etc/passwd";
/// Harmless text in the place of a payload.
pub const HARMLESS: &str = "a quiet day in the garden";

fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

pub fn look(message: &Message<'_>) -> Inspection {
    inspect(message, ruleset(), &InspectionOptions::default(), &mut Scratch::default(), &|| false)
}

/// A request of one row: target, headers, body.
pub struct Sent {
    pub target: Vec<u8>,
    pub headers: Vec<(String, Vec<u8>)>,
    pub body: Vec<u8>,
}

impl Sent {
    pub fn target(target: impl Into<Vec<u8>>) -> Sent {
        Sent { target: target.into(), headers: vec![], body: vec![] }
    }

    pub fn header(name: &str, value: impl Into<Vec<u8>>) -> Sent {
        Sent { target: b"/".to_vec(), headers: vec![(name.into(), value.into())], body: vec![] }
    }

    pub fn body(media: &str, body: impl Into<Vec<u8>>) -> Sent {
        Sent {
            target: b"/".to_vec(),
            headers: vec![("Content-Type".into(), media.as_bytes().to_vec())],
            body: body.into(),
        }
    }

    pub fn and(mut self, name: &str, value: &str) -> Sent {
        self.headers.push((name.into(), value.as_bytes().to_vec()));
        self
    }

    pub fn look(&self) -> Inspection {
        let headers = self.headers.iter().map(|(n, v)| (n.as_bytes(), &v[..]));
        let host = [(&b"Host"[..], &b"example.com"[..])];
        look(&message::from_parts(b"POST", &self.target, b"HTTP/1.1", host.into_iter().chain(headers), &self.body))
    }
}

/// Rules that object to the disguise itself, whatever it hides.
const FORM: &[&str] = &["xss.encoded-letters", "xxe.internal"];

/// A row: its name, and the request that hides a payload so.
pub type Row = (&'static str, fn(&str) -> Sent);

/// What a payload is.
fn kind(payload: &str) -> AttackType {
    match payload {
        SQLI => AttackType::Sqli,
        XSS => AttackType::Xss,
        PTRAV => AttackType::Ptrav,
        _ => panic!("no payload: {payload}"),
    }
}

/// Checks every row with every payload and tells all misses at once.
pub fn check(rows: &[Row], payloads: &[&str]) {
    let mut missed = Vec::new();
    for (name, hide) in rows {
        for payload in payloads {
            let got = hide(payload).look();
            let objected = got.findings.iter().any(|f| f.decisive && FORM.contains(&&*f.rule));
            if !got.attacks().contains(&kind(payload)) && !objected && got.not_inspected.is_empty() {
                missed.push(format!("{name}: {payload}"));
            }
        }
        let got = hide(HARMLESS).look();
        if let Some(finding) = got.findings.iter().find(|f| f.decisive && !FORM.contains(&&*f.rule)) {
            missed.push(format!("{name}: harmless, but {} at {}", finding.rule, finding.point));
        }
    }
    assert!(missed.is_empty(), "{} missed:\n{}", missed.len(), missed.join("\n"));
}
