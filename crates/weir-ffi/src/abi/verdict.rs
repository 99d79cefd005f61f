//! Verdicts as callers see them.

use super::WeirBytes;
use crate::Outcome;

/// A verdict. Everything in it stays valid until it is freed.
#[repr(C)]
#[derive(Debug)]
pub struct WeirVerdict {
    /// `sizeof(WeirVerdict)` of the library.
    pub size: u32,
    /// 1: answer the client with `status`, `content_type`, `headers` and `body`. 0: forward the request.
    pub block: u32,
    /// 1: it passes only because of its mode, or because of `monitoring_only`.
    pub would_block: u32,
    /// Status of the reply; 0 if the request passes.
    pub status: u32,
    /// Number of the rules and policy that decided.
    pub generation: u64,
    /// Bytes of the body beyond `max_body`.
    pub bytes_left: u64,
    /// Media type of the reply.
    pub content_type: WeirBytes,
    /// Other headers of the reply, each as `name: value` and a line feed.
    pub headers: WeirBytes,
    /// Body of the reply.
    pub body: WeirBytes,
    /// Why parts were not inspected: codes such as `not_sent`, separated by commas; empty if everything was.
    pub not_inspected: WeirBytes,
    /// Record of a malicious request as JSON, secrets masked, in the form in which nodes send it, without an id; empty for
    /// any other request.
    pub hit: WeirBytes,
}

/// A verdict and what its pointers lead to. The public part comes first, so that a pointer to it is one to this.
#[repr(C)]
struct OwnedVerdict {
    public: WeirVerdict,
    content_type: String,
    headers: String,
    body: Vec<u8>,
    not_inspected: String,
    hit: Vec<u8>,
}

fn shown(bytes: &[u8]) -> WeirBytes {
    WeirBytes { data: bytes.as_ptr(), length: bytes.len() }
}

/// A verdict for the caller, who frees it.
pub(super) fn publish(outcome: Outcome) -> *mut WeirVerdict {
    let codes: Vec<&str> = outcome.not_inspected.iter().map(|reason| reason.code()).collect();
    let (mut content_type, mut headers) = (String::new(), String::new());
    let (block, status) = (outcome.reply.is_some(), outcome.reply.as_ref().map_or(0, |reply| reply.status));
    let reply = outcome.reply.unwrap_or_default();
    for (name, value) in reply.headers {
        if name.eq_ignore_ascii_case("content-type") {
            content_type = value;
        } else {
            headers.extend([&name, ": ", &value, "\n"]);
        }
    }
    let empty = shown(&[]);
    let mut owned = Box::new(OwnedVerdict {
        public: WeirVerdict {
            size: u32::try_from(size_of::<WeirVerdict>()).unwrap_or(u32::MAX),
            block: block.into(),
            would_block: outcome.would_block.into(),
            status: status.into(),
            generation: outcome.generation,
            bytes_left: outcome.bytes_left as u64,
            content_type: empty,
            headers: empty,
            body: empty,
            not_inspected: empty,
            hit: empty,
        },
        content_type,
        headers,
        body: if block { reply.body } else { Vec::new() },
        not_inspected: codes.join(","),
        hit: outcome.hit,
    });
    // The contents of strings and vectors stay where they are.
    owned.public.content_type = shown(owned.content_type.as_bytes());
    owned.public.headers = shown(owned.headers.as_bytes());
    owned.public.body = shown(&owned.body);
    owned.public.not_inspected = shown(owned.not_inspected.as_bytes());
    owned.public.hit = shown(&owned.hit);
    Box::into_raw(owned).cast()
}

/// Frees a verdict.
///
/// # Safety
/// `verdict` must be null or come from [`publish`], and must not be used afterwards.
pub(super) unsafe fn free(verdict: *mut WeirVerdict) {
    if !verdict.is_null() {
        // SAFETY: `publish` made it of a box of an `OwnedVerdict`, to whose first member this points.
        drop(unsafe { Box::from_raw(verdict.cast::<OwnedVerdict>()) });
    }
}
