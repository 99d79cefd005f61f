//! What the tests of parsers share: a message in, its points, values and anomalies as text out.

use super::extract::{Extracted, Options, extract};
use super::message;
use crate::model::bytes::printable;
use crate::model::{AnomalyKind, Budget, Limits, Message, SkipReason};
use bumpalo::Bump;

/// What was extracted, as text.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// `point=value` of every value, in order; a value that is not looked at has a `-` before it.
    pub values: Vec<String>,
    pub anomalies: Vec<(AnomalyKind, String)>,
    pub skipped: Vec<(SkipReason, String)>,
}

impl Seen {
    /// Whether there is a value `text` at `point`.
    pub fn has(&self, entry: &str) -> bool {
        self.values.iter().any(|v| v.strip_prefix('-').unwrap_or(v) == entry)
    }

    /// Whether detectors look at some value that holds `text`.
    pub fn looks_at(&self, text: &str) -> bool {
        self.values.iter().any(|v| !v.starts_with('-') && v.split_once('=').unwrap().1.contains(text))
    }

    /// Whether `kind` was noted anywhere.
    pub fn odd(&self, kind: AnomalyKind) -> bool {
        self.anomalies.iter().any(|(k, _)| *k == kind)
    }
}

/// Takes `message` apart under `limits`.
pub(crate) fn see_within(message: &Message<'_>, limits: &Limits) -> Seen {
    let bump = Bump::new();
    let never = || false;
    let budget = Budget::new(limits.work, &never);
    let Extracted { tree, values, notes } = extract(message, &Options::default(), limits, &budget, &bump);
    let at = |point| tree.path(point).to_string();
    Seen {
        values: values
            .iter()
            .map(|v| {
                let covered = if v.covered { "-" } else { "" };
                format!("{covered}{}={}", at(v.point), printable(v.bytes, usize::MAX))
            })
            .collect(),
        anomalies: notes.anomalies.iter().map(|&(kind, point)| (kind, at(point))).collect(),
        skipped: notes.skipped.iter().map(|&(why, point)| (why, at(point))).collect(),
    }
}

/// Takes `message` apart under the default limits.
pub(crate) fn see(message: &Message<'_>) -> Seen {
    see_within(message, &Limits::default())
}

/// Takes a raw request apart.
pub(crate) fn see_raw(raw: &[u8]) -> Seen {
    see(&message::request(raw))
}

/// A GET of `target`.
pub(crate) fn see_target(target: &[u8]) -> Seen {
    see(&message::from_parts(b"GET", target, b"HTTP/1.1", [(&b"Host"[..], &b"h"[..])], b""))
}

/// A POST of `body`, declared as `media`.
pub(crate) fn see_body(media: &str, body: &[u8]) -> Seen {
    let headers = [(&b"Host"[..], &b"h"[..]), (b"Content-Type", media.as_bytes())];
    see(&message::from_parts(b"POST", b"/", b"HTTP/1.1", headers, body))
}
