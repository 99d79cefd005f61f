//! Format of a segment file; see the documentation of the module.

use crc32fast::Hasher;

/// First bytes of a segment; the last one is the version of the format.
pub const MAGIC: [u8; 8] = *b"weirspl\x01";
/// Bytes of the header of a segment.
pub const HEADER: u64 = 24;
/// Bytes of a frame before its payload.
pub const FRAME: usize = 20;
/// Largest payload: a record with the largest body that can be configured, with a margin.
pub const MAX_PAYLOAD: usize = 6 << 20;
/// Offset of the checksum in a frame.
const CHECKSUM: usize = 16;
/// First byte of every frame. It does not occur in UTF-8 text, so that a search for the next frame finds only frames.
pub const MARK: u8 = 0xf5;

/// Kind of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A record.
    Record,
    /// The end of a properly closed segment: the number of its records.
    End,
}

impl FrameKind {
    const fn magic(self) -> [u8; 4] {
        match self {
            FrameKind::Record => [MARK, b'R', b'E', b'C'],
            FrameKind::End => [MARK, b'E', b'N', b'D'],
        }
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Its kind.
    pub kind: FrameKind,
    /// Bytes of the payload.
    pub length: usize,
    /// When it was written, in milliseconds since 1970.
    pub time: u64,
    checksum: u32,
    head: [u8; CHECKSUM],
}

/// State of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameState {
    /// Its record counts.
    Live,
    /// Its record was withdrawn after it had been written.
    Void,
}

impl Frame {
    /// Parses the head; `None` if it is not valid.
    pub fn read(bytes: &[u8; FRAME]) -> Option<Frame> {
        let kind = [FrameKind::Record, FrameKind::End].into_iter().find(|kind| bytes[..4] == kind.magic())?;
        let length = u32::from_le_bytes(bytes[4..8].try_into().ok()?) as usize;
        let time = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
        let checksum = u32::from_le_bytes(bytes[CHECKSUM..].try_into().ok()?);
        let head = bytes[..CHECKSUM].try_into().ok()?;
        (1..=MAX_PAYLOAD).contains(&length).then_some(Frame { kind, length, time, checksum, head })
    }

    /// Checks `payload` against the checksum; `None` if head or payload is damaged.
    pub fn check(&self, payload: &[u8]) -> Option<FrameState> {
        match checksum(&self.head, payload) {
            sum if sum == self.checksum => Some(FrameState::Live),
            sum if sum == !self.checksum => Some(FrameState::Void),
            _ => None,
        }
    }
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

/// Appends a frame with `payload`, which must not be empty nor longer than [`MAX_PAYLOAD`].
pub fn append(out: &mut Vec<u8>, kind: FrameKind, time: u64, payload: &[u8]) {
    debug_assert!((1..=MAX_PAYLOAD).contains(&payload.len()));
    let start = out.len();
    out.extend_from_slice(&kind.magic());
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&time.to_le_bytes());
    let sum = checksum(&out[start..], payload);
    out.extend_from_slice(&sum.to_le_bytes());
    out.extend_from_slice(payload);
}

/// Offset and bytes to write over the checksum of `frame` to mark it as withdrawn.
pub fn voided(frame: &[u8]) -> (u64, [u8; 4]) {
    let mut sum = [0; 4];
    sum.copy_from_slice(&frame[CHECKSUM..FRAME]);
    (CHECKSUM as u64, sum.map(|byte| !byte))
}

/// The header of segment `number`.
pub fn header(number: u64) -> [u8; HEADER as usize] {
    let mut header = [0; HEADER as usize];
    header[..8].copy_from_slice(&MAGIC);
    header[8..16].copy_from_slice(&number.to_le_bytes());
    let sum = crc32fast::hash(&header[..16]);
    header[16..20].copy_from_slice(&sum.to_le_bytes());
    header
}

/// State of the header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderState {
    /// It is valid.
    Good,
    /// It is of a version that this build does not know.
    Newer(u8),
    /// It is damaged.
    Bad,
}

/// Reads the header of segment `number`.
pub fn read_header(bytes: &[u8], number: u64) -> HeaderState {
    match bytes.first_chunk::<{ HEADER as usize }>() {
        Some(bytes) if *bytes == header(number) => HeaderState::Good,
        Some(bytes) if bytes[..7] == MAGIC[..7] && bytes[7] != MAGIC[7] => {
            let sum = crc32fast::hash(&bytes[..16]).to_le_bytes();
            if bytes[16..20] == sum { HeaderState::Newer(bytes[7]) } else { HeaderState::Bad }
        }
        _ => HeaderState::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(bytes: &[u8]) -> Option<(Frame, Option<FrameState>)> {
        let frame = Frame::read(bytes.first_chunk()?)?;
        let payload = bytes.get(FRAME..FRAME + frame.length)?;
        Some((frame, frame.check(payload)))
    }

    #[test]
    fn headers_tell_their_version() {
        assert_eq!(read_header(&header(7), 7), HeaderState::Good);
        assert_eq!(read_header(&header(7), 8), HeaderState::Bad);
        assert_eq!(read_header(&[0; 24], 0), HeaderState::Bad);
        assert_eq!(read_header(&[], 0), HeaderState::Bad);
        let mut newer = header(7);
        newer[7] = 2;
        assert_eq!(read_header(&newer, 7), HeaderState::Bad, "a flipped bit is no version");
        let sum = crc32fast::hash(&newer[..16]).to_le_bytes();
        newer[16..20].copy_from_slice(&sum);
        assert_eq!(read_header(&newer, 7), HeaderState::Newer(2));
    }

    proptest! {
        #[test]
        fn frames_come_back_and_any_change_is_seen(
            payload in proptest::collection::vec(any::<u8>(), 1..200), at in any::<prop::sample::Index>(), bit in 0u8..8,
        ) {
            let mut out = Vec::new();
            append(&mut out, FrameKind::Record, 5, &payload);
            let (frame, state) = read(&out).unwrap();
            prop_assert_eq!((frame.length, frame.time, state), (payload.len(), 5, Some(FrameState::Live)));
            let mut void = out.clone();
            let (offset, bytes) = voided(&out);
            void[offset as usize..offset as usize + 4].copy_from_slice(&bytes);
            prop_assert_eq!(read(&void).unwrap().1, Some(FrameState::Void));
            let at = at.index(out.len());
            out[at] ^= 1 << bit;
            prop_assert!(!matches!(read(&out), Some((_, Some(_)))));
        }
    }
}
