//! Negotiation: what HAPROXY-HELLO offers, and what AGENT-HELLO answers.

use super::frame::{MAX_FRAME, MIN_FRAME};
use super::values::{Value, pairs};
use spop::{StatusCode, TypedData, encode_varint_into};

/// The version of the protocol.
const VERSION: &[u8] = b"2.0";
/// Several NOTIFY frames may be sent before an ACK, and messages in fragments. ACKs take the connection of their NOTIFY,
/// so that `async` is not offered.
const CAPABILITIES: &str = "pipelining,fragmentation";
/// Types of the frames that the agent writes itself.
const AGENT_HELLO: u8 = 101;
const AGENT_DISCONNECT: u8 = 102;

/// What was agreed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Agreement {
    /// Largest frame in either direction, in bytes.
    pub max_frame: usize,
    /// Whether HAProxy only checks that the agent answers, and closes.
    pub health_check: bool,
}

/// Reads the payload of HAPROXY-HELLO.
pub fn negotiate(payload: &[u8]) -> Result<Agreement, StatusCode> {
    let (mut versions, mut size, mut capabilities, mut health_check) = (None, None, false, false);
    let read = pairs(payload, |name, value| match name {
        b"supported-versions" => versions = value.bytes(),
        b"max-frame-size" => size = value.int(),
        b"capabilities" => capabilities = value.bytes().is_some(),
        b"healthcheck" => health_check = value == Value::Bool(true),
        _ => {}
    });
    read.ok_or(StatusCode::Invalid)?;
    let mut versions = versions.ok_or(StatusCode::NoVersion)?.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
    if !versions.any(|version| version == VERSION || version == b"2") {
        return Err(StatusCode::BadVersion);
    }
    let size = usize::try_from(size.ok_or(StatusCode::NoFrameSize)?).map_err(|_| StatusCode::BadFrameSize)?;
    if size < MIN_FRAME {
        return Err(StatusCode::BadFrameSize);
    }
    if !capabilities {
        return Err(StatusCode::NoCapabilities);
    }
    Ok(Agreement { max_frame: size.min(MAX_FRAME), health_check })
}

/// AGENT-HELLO.
pub fn hello(agreed: Agreement) -> Vec<u8> {
    frame(
        AGENT_HELLO,
        &[
            ("version", TypedData::from("2.0")),
            ("max-frame-size", TypedData::UInt32(u32::try_from(agreed.max_frame).unwrap_or(u32::MAX))),
            ("capabilities", TypedData::from(CAPABILITIES)),
        ],
    )
}

/// AGENT-DISCONNECT.
pub fn disconnect(status: StatusCode) -> Vec<u8> {
    let message = TypedData::from(status.to_string());
    frame(AGENT_DISCONNECT, &[("status-code", TypedData::UInt32(status.to_u32())), ("message", message)])
}

/// A frame about the connection itself.
fn frame(kind: u8, items: &[(&str, TypedData)]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, kind, 0, 0, 0, 1, 0, 0];
    for (name, value) in items {
        encode_varint_into(name.len() as u64, &mut bytes);
        bytes.extend_from_slice(name.as_bytes());
        value.to_bytes(&mut bytes);
    }
    let length = u32::try_from(bytes.len() - 4).unwrap_or(u32::MAX);
    bytes[..4].copy_from_slice(&length.to_be_bytes());
    bytes
}
