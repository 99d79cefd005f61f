//! The bytes of a message while its secrets are masked in place.

use super::MaskInput;
use weir_core::model::{Message, MessageKind, PointPath};
use weir_core::parse::message;

/// Bytes of a head that are kept: more than servers accept.
pub(super) const MAX_HEAD: usize = 32 << 10;

/// The two parts of a message, which are withheld separately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum MessagePart {
    Head,
    Body,
}

/// A message whose secrets are being masked.
pub(super) struct MaskingBuffer<'o, 'a> {
    /// The message as received.
    pub input: &'o MaskInput<'a>,
    /// Head and beginning of the body, masked so far.
    pub raw: Vec<u8>,
    /// Length of the head in `raw`.
    pub head: usize,
}

impl<'o, 'a> MaskingBuffer<'o, 'a> {
    /// Copies the head and the first `body_bytes` of the body.
    pub fn new(input: &'o MaskInput<'a>, body_bytes: usize) -> Self {
        let mut raw = Vec::with_capacity(input.head.len().min(MAX_HEAD) + body_bytes + 4);
        raw.extend_from_slice(&input.head[..input.head.len().min(MAX_HEAD)]);
        if input.head.len() > MAX_HEAD {
            raw.extend_from_slice(b"\r\n\r\n");
        }
        let head = raw.len();
        raw.extend_from_slice(&input.body[..body_bytes]);
        Self { input, raw, head }
    }

    /// Parses the head; the body is not interpreted.
    pub fn message(&self) -> Message<'_> {
        let mut message = match self.input.kind {
            MessageKind::Request => message::request(&self.raw[..self.head]),
            MessageKind::Response => message::response(&self.raw[..self.head]),
        };
        message.body = &self.raw[self.head..];
        message
    }

    /// Whether an attack was found at `point` or below it.
    pub fn is_attacked(&self, point: &PointPath) -> bool {
        self.input.attacked.iter().any(|attacked| attacked.0.starts_with(&point.0))
    }
}
