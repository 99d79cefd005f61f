//! Helpers for the tests of parsers: they extract a whole message and give its points, values and anomalies as text.

use crate::model::bytes::printable;
use crate::model::{AnomalyKind, Budget, Limits, Message, SkipReason};
use crate::parse::extract::{Extracted, ParseOptions, extract};
use crate::parse::message;
use bumpalo::Bump;

/// The result of an extraction, as text.
#[derive(Debug, Default)]
pub(crate) struct ExtractedMessage {
    /// `point=value` of every value, in order; covered values, which are not inspected, begin with `-`.
    pub values: Vec<String>,
    pub anomalies: Vec<(AnomalyKind, String)>,
    pub skipped: Vec<(SkipReason, String)>,
}

impl ExtractedMessage {
    /// Whether there is a value `point=text`, covered or not.
    pub fn has(&self, entry: &str) -> bool {
        self.values.iter().any(|v| v.strip_prefix('-').unwrap_or(v) == entry)
    }

    /// Whether detectors inspect some value that contains `text`.
    pub fn inspects(&self, text: &str) -> bool {
        self.values.iter().any(|v| !v.starts_with('-') && v.split_once('=').unwrap().1.contains(text))
    }

    /// Whether `kind` was reported at any point.
    pub fn has_anomaly(&self, kind: AnomalyKind) -> bool {
        self.anomalies.iter().any(|(k, _)| *k == kind)
    }
}

/// Extracts `message` under `limits`.
pub(crate) fn extract_message_within(message: &Message<'_>, limits: &Limits) -> ExtractedMessage {
    let bump = Bump::new();
    let never = || false;
    let budget = Budget::new(limits.work, &never);
    let Extracted { tree, values, notes } = extract(message, &ParseOptions::default(), limits, &budget, &bump);
    let at = |point| tree.path(point).to_string();
    ExtractedMessage {
        values: values
            .iter()
            .map(|v| {
                let covered = if v.covered { "-" } else { "" };
                format!("{covered}{}={}", at(v.point), printable(v.bytes, usize::MAX))
            })
            .collect(),
        anomalies: notes.anomalies.iter().map(|(kind, point)| (*kind, point.to_string())).collect(),
        skipped: notes.skipped.iter().map(|(why, point)| (*why, point.to_string())).collect(),
    }
}

/// Extracts `message` under the default limits.
pub(crate) fn extract_message(message: &Message<'_>) -> ExtractedMessage {
    extract_message_within(message, &Limits::default())
}

/// Extracts a raw request.
pub(crate) fn extract_raw(raw: &[u8]) -> ExtractedMessage {
    extract_message(&message::request(raw))
}

/// Extracts a GET of `target`.
pub(crate) fn extract_target(target: &[u8]) -> ExtractedMessage {
    extract_message(&message::from_parts(b"GET", target, b"HTTP/1.1", [(&b"Host"[..], &b"h"[..])], b""))
}

/// Extracts a POST of `body`, declared as `media`.
pub(crate) fn extract_body(media: &str, body: &[u8]) -> ExtractedMessage {
    let headers = [(&b"Host"[..], &b"h"[..]), (b"Content-Type", media.as_bytes())];
    extract_message(&message::from_parts(b"POST", b"/", b"HTTP/1.1", headers, body))
}
