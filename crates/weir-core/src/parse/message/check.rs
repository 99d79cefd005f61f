//! Contradictions between the parts of a message: framing (RFC 9112 §6.3), host (§3.2), repeated headers.

use crate::model::{AnomalyKind, BodyState, Message, MessageKind};
use crate::parse::Emitter;

/// Methods of the IANA registry (RFC 9110 §16.1).
#[rustfmt::skip]
const METHODS: &[&[u8]] = &[
    b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"HEAD", b"OPTIONS", b"CONNECT", b"TRACE", b"QUERY", b"ACL",
    b"BASELINE-CONTROL", b"BIND", b"CHECKIN", b"CHECKOUT", b"COPY", b"LABEL", b"LINK", b"LOCK", b"MERGE",
    b"MKACTIVITY", b"MKCALENDAR", b"MKCOL", b"MKREDIRECTREF", b"MKWORKSPACE", b"MOVE", b"ORDERPATCH", b"PRI",
    b"PROPFIND", b"PROPPATCH", b"REBIND", b"REPORT", b"SEARCH", b"UNBIND", b"UNCHECKOUT", b"UNLINK", b"UNLOCK",
    b"UPDATE", b"UPDATEREDIRECTREF", b"VERSION-CONTROL",
];

/// Headers that a message may have once. If it has two, two servers may each use a different one.
const SINGLE: &[&str] = &[
    "authorization",
    "content-disposition",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "from",
    "if-modified-since",
    "if-range",
    "if-unmodified-since",
    "location",
    "max-forwards",
    "origin",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "user-agent",
];

/// What one pass over the headers collects.
#[derive(Default)]
struct HeaderSummary<'a> {
    /// A bit for each entry of [`SINGLE`] that occurs.
    seen: u32,
    repeated: bool,
    lengths: u32,
    length: Option<u64>,
    bad_length: bool,
    codings: u32,
    coding: &'a [u8],
    hosts: u32,
    host: &'a [u8],
}

/// Reports the anomalies of `message`: those found when it was split, and contradictions between its parts.
pub fn check(message: &Message<'_>, em: &mut Emitter<'_, '_>) {
    message.anomalies.iter().for_each(|&kind| em.anomaly(kind));
    if message.headers.len() > em.limits.headers {
        em.anomaly(AnomalyKind::TooManyHeaders);
    }
    let summary = summarise(message);
    if summary.repeated {
        em.anomaly(AnomalyKind::DuplicateHeader);
    }
    framing(message, &summary, em);
    if message.kind == MessageKind::Request {
        host(message, &summary, em);
        if !METHODS.contains(&message.method) {
            em.anomaly(AnomalyKind::UnknownMethod);
        }
    }
}

fn summarise<'a>(message: &Message<'a>) -> HeaderSummary<'a> {
    let mut summary = HeaderSummary::default();
    for header in &message.headers {
        if header.is("host") {
            summary.hosts += 1;
            summary.host = header.value;
        } else if header.is("transfer-encoding") {
            summary.codings += 1;
            summary.coding = header.value;
        } else if let Some(at) = SINGLE.iter().position(|name| name.len() == header.name.len() && header.is(name)) {
            summary.repeated |= summary.seen & 1 << at != 0;
            summary.seen |= 1 << at;
            if header.is("content-length") {
                let length = content_length(header.value);
                summary.bad_length |= length.is_none() || (summary.lengths > 0 && summary.length != length);
                summary.lengths += 1;
                summary.length = length;
            }
        }
    }
    summary
}

/// A length of digits only: no sign, no list, no overflow.
fn content_length(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(value).ok()?.parse().ok()
}

fn framing(message: &Message<'_>, summary: &HeaderSummary<'_>, em: &mut Emitter<'_, '_>) {
    if summary.lengths > 0 && summary.codings > 0 {
        em.anomaly(AnomalyKind::ClTeConflict);
    }
    if summary.bad_length {
        em.anomaly(AnomalyKind::BadContentLength);
    }
    // Only HTTP/1.1 has transfer codings (RFC 9112 §6.1, RFC 9113 §8.2.2).
    let allows_codings = message.protocol == b"HTTP/1.1";
    if summary.codings > 1
        || (summary.codings == 1 && !(allows_codings && summary.coding.eq_ignore_ascii_case(b"chunked")))
    {
        em.anomaly(AnomalyKind::BadTransferEncoding);
    }
    let has_body = message.kind == MessageKind::Request || !message.body.is_empty();
    if summary.codings == 0
        && has_body
        && message.body_state == BodyState::Complete
        && let Some(length) = summary.length
        && length != message.body.len() as u64
    {
        em.anomaly(AnomalyKind::LengthMismatch);
    }
}

fn host(message: &Message<'_>, summary: &HeaderSummary<'_>, em: &mut Emitter<'_, '_>) {
    let of_target = target_authority(message.target);
    if summary.hosts > 1 || of_target.is_some_and(|a| summary.hosts == 1 && !a.eq_ignore_ascii_case(summary.host)) {
        em.anomaly(AnomalyKind::DuplicateHost);
    }
    if summary.hosts == 0 && message.protocol == b"HTTP/1.1" {
        em.anomaly(AnomalyKind::MissingHost);
    }
    if summary.hosts > 0 && !message.headers_named("host").all(is_authority) {
        em.anomaly(AnomalyKind::BadHost);
    }
}

/// The authority of an `http` target in absolute form.
fn target_authority(target: &[u8]) -> Option<&[u8]> {
    let after = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    Some(&after[..after.iter().position(|b| b"/?#".contains(b)).unwrap_or(after.len())])
}

/// Whether `host` is a name or address with an optional port, and nothing else (RFC 9110 §7.2).
fn is_authority(host: &[u8]) -> bool {
    if let Some(rest) = host.strip_prefix(b"[") {
        let Some(end) = memchr::memchr(b']', rest) else { return false };
        let address = std::str::from_utf8(&rest[..end]).ok().and_then(|a| a.parse::<std::net::Ipv6Addr>().ok());
        return address.is_some() && is_port(&rest[end + 1..]);
    }
    let (name, port) = host.split_at(memchr::memchr(b':', host).unwrap_or(host.len()));
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    !name.is_empty() && name.iter().all(is_name) && is_port(port)
}

/// Nothing, or a colon and up to five digits.
fn is_port(text: &[u8]) -> bool {
    match text {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}
