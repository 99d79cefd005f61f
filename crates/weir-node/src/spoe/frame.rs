//! Frames: a length of four bytes, then type, flags, two identifiers and a payload.

use super::values::varint;
use bytes::{Buf as _, Bytes, BytesMut};
use spop::StatusCode;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Largest frame that the agent takes, in bytes: HAProxy's `tune.bufsize` is 16 KiB, and larger where an operator wants
/// larger bodies to be inspected.
pub const MAX_FRAME: usize = 1 << 20;
/// Smallest size that the protocol allows to negotiate.
pub const MIN_FRAME: usize = 256;
/// Largest first frame: HAPROXY-HELLO lists a few words.
pub const MAX_HELLO: usize = 4 << 10;
/// Bytes that are read at once at most.
const READ: usize = 16 << 10;
/// Smallest frame: type, flags and two identifiers.
const MIN_HEAD: usize = 7;

const FIN: u32 = 1;
const ABORT: u32 = 2;

/// What HAProxy sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Continues the message of an earlier frame.
    Fragment,
    /// Opens a connection.
    Hello,
    /// Closes it.
    Disconnect,
    /// A message.
    Notify,
}

/// A frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    /// Whether no fragment of its message follows.
    pub fin: bool,
    /// Whether its message is withdrawn.
    pub abort: bool,
    /// Stream and frame: the ACK repeats them.
    pub ids: Ids,
    /// The rest.
    pub payload: Bytes,
}

/// Identifiers of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ids {
    /// Of the stream.
    pub stream: u64,
    /// Of the frame in the stream.
    pub frame: u64,
}

/// Why a connection ends.
#[derive(Debug)]
pub enum Problem {
    /// The peer closed it, or it broke.
    Gone(io::Error),
    /// For a reason whose status code the peer gets.
    Status(StatusCode),
}

impl From<StatusCode> for Problem {
    fn from(status: StatusCode) -> Self {
        Problem::Status(status)
    }
}

impl Frame {
    /// Reads a frame without its length. `None` for a type that the protocol does not have: it is to be skipped.
    pub fn parse(bytes: Bytes) -> Result<Option<Frame>, StatusCode> {
        let Some((&[kind, a, b, c, d], rest)) = bytes.split_first_chunk::<5>() else { return Err(StatusCode::Invalid) };
        let flags = u32::from_be_bytes([a, b, c, d]);
        let (rest, stream) = varint(rest).ok_or(StatusCode::Invalid)?;
        let (rest, frame) = varint(rest).ok_or(StatusCode::Invalid)?;
        let kind = match kind {
            0 => Kind::Fragment,
            1 => Kind::Hello,
            2 => Kind::Disconnect,
            3 => Kind::Notify,
            _ => return Ok(None),
        };
        let payload = bytes.slice_ref(rest);
        let (fin, abort) = (flags & FIN != 0, flags & ABORT != 0);
        Ok(Some(Frame { kind, fin, abort, ids: Ids { stream, frame }, payload }))
    }
}

/// Reads frames from a connection. Holds at most one frame and one read beyond it.
pub struct FrameReader<R> {
    from: R,
    buffer: BytesMut,
    /// Largest frame, in bytes.
    pub max: usize,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// A reader whose first frame has at most [`MAX_HELLO`] bytes.
    pub fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::new(), max: MAX_HELLO }
    }

    /// Whether a part of a frame was read.
    pub fn is_within_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The next frame that the protocol has. Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Frame, Problem> {
        loop {
            while let Some(frame) = self.buffered()? {
                if let Some(frame) = Frame::parse(frame)? {
                    return Ok(frame);
                }
            }
            self.buffer.reserve(READ);
            let mut part = (&mut self.from).take(READ as u64);
            if part.read_buf(&mut self.buffer).await.map_err(Problem::Gone)? == 0 {
                return Err(Problem::Gone(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// Reads and drops what the peer still sends, at most `most` bytes: closing a connection with unread bytes would
    /// reset it, and the peer might lose the last frame.
    pub async fn discard(&mut self, most: u64) {
        self.buffer = BytesMut::new();
        let rest = tokio::io::copy(&mut (&mut self.from).take(most), &mut tokio::io::sink()).await;
        if let Err(error) = rest {
            tracing::debug!(%error, "HAProxy's connection ended");
        }
    }

    /// The first frame of the buffer, once it is complete.
    fn buffered(&mut self) -> Result<Option<Bytes>, StatusCode> {
        let Some(length) = self.buffer.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > self.max {
            return Err(StatusCode::TooBig);
        }
        if length < MIN_HEAD {
            return Err(StatusCode::Invalid);
        }
        if self.buffer.len() < 4 + length {
            return Ok(None);
        }
        self.buffer.advance(4);
        Ok(Some(self.buffer.split_to(length).freeze()))
    }
}
