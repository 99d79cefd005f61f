//! Named bounds of one inspection. Every loop and every allocation in `parse` and `detect` answers to one of them.

/// Bounds for the inspection of one message. All sizes in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Work units an inspection may spend; a unit is about one byte looked at once by one pass.
    pub work: u64,
    /// Parsers stacked on one value (`[base64][gzip][json_doc]` is three).
    pub depth: u8,
    /// Values extracted from one message.
    pub values: u32,
    /// Pairs of one form that are collected before they are inspected.
    pub members: usize,
    /// Bytes made by decoders from one message, all together.
    pub decoded_bytes: usize,
    /// Bytes decompressed from one message, all together.
    pub inflated_bytes: usize,
    /// Bytes that may be decompressed for each byte of the body, besides `inflate_grace`.
    pub inflate_ratio: usize,
    /// Bytes that may be decompressed whatever the size of the body.
    pub inflate_grace: usize,
    /// Header lines of one message.
    pub headers: usize,
    /// Nesting of JSON arrays and objects.
    pub json_depth: usize,
    /// Nesting of XML elements.
    pub xml_depth: usize,
    /// Parts of a multipart body.
    pub multipart_parts: usize,
    /// Nesting of multipart bodies.
    pub multipart_depth: u8,
    /// Selection nesting that the GraphQL parser follows.
    pub gql_depth: usize,
    /// Tokens of one GraphQL document.
    pub gql_tokens: usize,
    /// Nesting of protobuf, msgpack, CBOR and viewstate messages.
    pub binary_depth: usize,
    /// Findings kept; further ones are counted only.
    pub findings: usize,
    /// Anomalies kept.
    pub anomalies: usize,
}

impl Limits {
    /// Work units that each part of a message may take whatever its size.
    pub const WORK_BASE: u64 = 100_000;
    /// Further work units for each byte of a part.
    pub const WORK_PER_BYTE: u64 = 16;
    /// Further work units for each of the first [`Self::DENSE_BYTES`] bytes: in small messages, several decodings and
    /// many signatures may meet on every byte.
    pub const WORK_PER_DENSE_BYTE: u64 = 28;
    /// See [`Self::WORK_PER_DENSE_BYTE`].
    pub const DENSE_BYTES: usize = 256 << 10;
    /// Work units for each byte of a body whose parsing took its whole budget, to inspect it unparsed.
    pub const WORK_UNPARSED_PER_BYTE: u64 = 16;
    /// Bytes that decoders may produce from each part of a message whatever its size.
    pub const DECODED_BASE: usize = 64 << 10;
    /// Further bytes that they may produce for each byte of a part.
    pub const DECODED_PER_BYTE: usize = 8;

    /// Work units that the inspection of `bytes` bytes may take: linear, and far above what ordinary messages take.
    pub fn work_for(&self, bytes: usize) -> u64 {
        let dense = Self::WORK_PER_DENSE_BYTE * bytes.min(Self::DENSE_BYTES) as u64;
        self.work.min(Self::WORK_BASE + dense + Self::WORK_PER_BYTE * bytes as u64)
    }

    /// Bytes that decoders may produce from `bytes` bytes.
    pub fn decoded_for(&self, bytes: usize) -> usize {
        self.decoded_bytes.min(Self::DECODED_BASE + Self::DECODED_PER_BYTE * bytes)
    }

    /// Bytes that decompressors may produce from a body of `bytes` bytes.
    pub fn inflated_for(&self, bytes: usize) -> usize {
        self.inflated_bytes.min(self.inflate_grace + self.inflate_ratio.saturating_mul(bytes))
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            work: 1 << 30,
            depth: 8,
            values: 4 << 20,
            members: 256 << 10,
            decoded_bytes: 32 << 20,
            inflated_bytes: 32 << 20,
            inflate_ratio: 32,
            inflate_grace: 1 << 20,
            headers: 1_000,
            json_depth: 256,
            xml_depth: 256,
            multipart_parts: 1_000,
            multipart_depth: 2,
            gql_depth: 200,
            gql_tokens: 20_000,
            binary_depth: 100,
            findings: 64,
            anomalies: 64,
        }
    }
}
