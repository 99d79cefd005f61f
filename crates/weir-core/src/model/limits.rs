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
    /// Bytes made by decoders from one message, all together.
    pub decoded_bytes: usize,
    /// Bytes of one decompressed stream.
    pub inflated_bytes: usize,
    /// Output bytes for each input byte of a decompressed stream, once past `inflate_grace`.
    pub inflate_ratio: usize,
    /// Output below this size is never called a bomb.
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
    /// Nesting of protobuf, msgpack and viewstate messages.
    pub binary_depth: usize,
    /// Findings kept; further ones are counted only.
    pub findings: usize,
    /// Anomalies kept.
    pub anomalies: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // About 0.4 s of scanning on a slow core; the time limit of policy usually ends it first.
            work: 256 << 20,
            depth: 8,
            values: 20_000,
            decoded_bytes: 16 << 20,
            inflated_bytes: 8 << 20,
            inflate_ratio: 100,
            inflate_grace: 64 << 10,
            headers: 1_000,
            json_depth: 256,
            xml_depth: 256,
            multipart_parts: 1_000,
            multipart_depth: 2,
            gql_depth: 200,
            gql_tokens: 20_000,
            binary_depth: 32,
            findings: 64,
            anomalies: 64,
        }
    }
}
