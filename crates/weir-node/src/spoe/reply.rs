//! The variables that an ACK frame sets, in scope `txn`, so that they last until the response.

use super::frame::Ids;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::verdict_response::VerdictResponse;
use spop::frames::Ack;
use spop::{SpopFrame as _, TypedData, VarScope};

/// Bytes of an ACK beside the body of the reply.
const OVERHEAD: usize = 64;

/// A verdict for HAProxy.
pub fn verdict(ids: Ids, request_id: &str, response: &VerdictResponse, max_frame: usize) -> Vec<u8> {
    let set = |ack: Ack, name: &str, value: TypedData| ack.set_var(VarScope::Transaction, name, value);
    let mut ack = Ack::new(ids.stream, ids.frame);
    ack = set(ack, "request_id", request_id.into());
    if let Some(attacks) = response.attacks.as_ref().and_then(|attacks| attacks.to_str().ok()) {
        ack = set(ack, "attacks", attacks.into());
    }
    let Some(reply) = &response.reply else { return written(set(ack, "verdict", "pass".into())) };
    ack = set(ack, "verdict", "block".into());
    ack = set(ack, "status", TypedData::Int32(i32::from(reply.status)));
    let header = |wanted: &str| reply.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
    for (name, wanted) in [("content_type", "content-type"), ("location", "location")] {
        if let Some((_, value)) = header(wanted) {
            ack = set(ack, name, value.as_str().into());
        }
    }
    // HAProxy writes strings into a response only where they are text.
    let body = String::from_utf8_lossy(&reply.body);
    let room = max_frame.saturating_sub(written(ack.clone()).len() + OVERHEAD);
    if body.len() > room {
        tracing::warn!(bytes = body.len(), room, "the block reply is too long for a frame; HAProxy sends its own");
        return written(ack);
    }
    written(set(ack, "body", body.as_ref().into()))
}

/// No verdict: HAProxy decides by its configuration.
pub fn error(ids: Ids, error: &ApiError) -> Vec<u8> {
    written(Ack::new(ids.stream, ids.frame).set_var(VarScope::Transaction, "error", error.code()))
}

fn written(ack: Ack) -> Vec<u8> {
    // Actions are always written; only other payloads can be refused.
    ack.serialize().unwrap_or_default()
}
