//! Anomalies: unusual properties of a message that are not attacks by themselves. The policy decides what to do about them.

use super::point::PointPath;
use serde::{Deserialize, Serialize};

macro_rules! anomalies {
    ($($(#[doc = $doc:literal])+ $variant:ident = $code:literal;)*) => {
        /// What is odd about a message. The codes form a bounded set: they are metric labels and policy keys.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum AnomalyKind { $($(#[doc = $doc])+ #[serde(rename = $code)] $variant,)* }

        impl AnomalyKind {
            /// Every anomaly, in declaration order.
            pub const ALL: &'static [AnomalyKind] = &[$(AnomalyKind::$variant,)*];
            /// Stable code, e.g. `cl_te_conflict`.
            pub const fn code(self) -> &'static str { match self { $(AnomalyKind::$variant => $code,)* } }
            /// What it means, for people.
            pub const fn about(self) -> &'static str {
                match self { $(AnomalyKind::$variant => concat!($($doc),+).trim_ascii(),)* }
            }
        }
    };
}

anomalies! {
    /// The request line is not `method SP target SP HTTP/x.y` (RFC 9112 §3).
    BadRequestLine = "bad_request_line";
    /// The status line of a response does not parse (RFC 9112 §4).
    BadStatusLine = "bad_status_line";
    /// The head does not end with an empty line within the call.
    TruncatedHead = "truncated_head";
    /// A header line without a colon, or with bytes that a field name may not have (RFC 9110 §5.1).
    BadHeader = "bad_header";
    /// White space between field name and colon (RFC 9112 §5.1): a smuggling vector.
    SpaceBeforeColon = "space_before_colon";
    /// A folded header line (obs-fold, RFC 9112 §5.2).
    ObsFold = "obs_fold";
    /// A bare LF or CR in the head.
    BareLineEnd = "bare_line_end";
    /// A NUL byte in the head or the decoded target.
    NulByte = "nul_byte";
    /// Control bytes in a header value or the target.
    ControlByte = "control_byte";
    /// Both Content-Length and Transfer-Encoding (RFC 9112 §6.3): request smuggling.
    ClTeConflict = "cl_te_conflict";
    /// Several Content-Length values that differ, or one that is no number.
    BadContentLength = "bad_content_length";
    /// A Transfer-Encoding other than exactly `chunked`.
    BadTransferEncoding = "bad_transfer_encoding";
    /// Content-Length disagrees with the body bytes that the connector sent and declared complete.
    LengthMismatch = "length_mismatch";
    /// Broken chunk framing in a body sent with `Inspector-Framing: raw`.
    BadChunk = "bad_chunk";
    /// More than one Host header, or one that disagrees with an absolute target.
    DuplicateHost = "duplicate_host";
    /// No Host header on HTTP/1.1.
    MissingHost = "missing_host";
    /// A Host that no URI authority may be.
    BadHost = "bad_host";
    /// A repeated header that must be single (Content-Type, Authorization...).
    DuplicateHeader = "duplicate_header";
    /// `%` not followed by two hex digits in the target.
    BadPercent = "bad_percent";
    /// Bytes in the target that a URI may not have (RFC 3986 §2).
    BadUriByte = "bad_uri_byte";
    /// UTF-8 in an overlong form (RFC 3629 §3).
    OverlongUtf8 = "overlong_utf8";
    /// Text that is not valid in its declared character set.
    BadCharset = "bad_charset";
    /// A method that no registry knows.
    UnknownMethod = "unknown_method";
    /// A value encoded more than twice over.
    DeepEncoding = "deep_encoding";
    /// Broken multipart syntax: boundary missing, unterminated, or ambiguous (RFC 2046 §5.1).
    BadMultipart = "bad_multipart";
    /// A multipart part whose disposition names a field or file twice.
    AmbiguousMultipart = "ambiguous_multipart";
    /// JSON that does not parse under its own content type.
    BadJson = "bad_json";
    /// The same JSON member name twice in one object.
    DuplicateJsonKey = "duplicate_json_key";
    /// XML that does not parse under its own content type.
    BadXml = "bad_xml";
    /// A GraphQL document that does not parse.
    BadGraphql = "bad_graphql";
    /// Protocol Buffers that do not parse under their own content type.
    BadProtobuf = "bad_protobuf";
    /// gRPC framing that does not parse under its own content type.
    BadGrpc = "bad_grpc";
    /// MessagePack that does not parse under its own content type.
    BadMsgpack = "bad_msgpack";
    /// CBOR that does not parse under its own content type.
    BadCbor = "bad_cbor";
    /// A compressed body that does not inflate.
    BadCompression = "bad_compression";
    /// Content-Encoding names a coding that the node does not know.
    UnknownContentCoding = "unknown_content_coding";
    /// Compressed data whose output exceeds the allowed size or ratio.
    DecompressionBomb = "decompression_bomb";
    /// XML entity definitions that would expand without measure.
    EntityBomb = "entity_bomb";
    /// A header such as X-Forwarded-Uri that claims another target than the gateway's own headers say.
    ConflictingForward = "conflicting_forward";
    /// More headers than the limit.
    TooManyHeaders = "too_many_headers";
}

/// One anomaly and its point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Anomaly {
    /// What is odd.
    pub kind: AnomalyKind,
    /// Where; empty for the message as a whole.
    pub point: PointPath,
}

#[cfg(test)]
mod tests {
    use super::AnomalyKind;

    #[test]
    fn codes_are_unique() {
        let mut seen = std::collections::HashSet::new();
        assert!(AnomalyKind::ALL.iter().all(|kind| seen.insert(kind.code())));
    }
}
