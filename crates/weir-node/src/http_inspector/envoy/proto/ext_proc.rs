//! `envoy/service/ext_proc/v3/external_processor.proto` and the body modes of
//! `envoy/extensions/filters/http/ext_proc/v3/processing_mode.proto`.

use super::{HeaderMap, HeaderValueOption, HttpStatus, Struct};
use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};
use std::collections::BTreeMap;

/// `ProcessingMode.BodySendMode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum BodyMode {
    /// Bodies are not sent.
    None = 0,
    /// In pieces, each of which goes on when it is answered.
    Streamed = 1,
    /// In one piece.
    Buffered = 2,
    /// In one piece, up to Envoy's limit.
    BufferedPartial = 3,
    /// In pieces; Envoy sends on what the node sends back.
    FullDuplex = 4,
    /// As messages of gRPC.
    Grpc = 5,
}

/// `ProtocolConfiguration`.
#[derive(Clone, PartialEq, Message)]
pub struct ProtocolConfiguration {
    /// Mode of request bodies.
    #[prost(enumeration = "BodyMode", tag = "1")]
    pub request_body_mode: i32,
    /// Mode of response bodies.
    #[prost(enumeration = "BodyMode", tag = "2")]
    pub response_body_mode: i32,
}

/// `ProcessingRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct ProcessingRequest {
    /// What Envoy sends.
    #[prost(oneof = "Part", tags = "2, 3, 4, 5, 6, 7")]
    pub part: Option<Part>,
    /// Attributes that the configuration of the filter selects, by the name of the filter.
    #[prost(btree_map = "string, message", tag = "9")]
    pub attributes: BTreeMap<String, Struct>,
    /// Envoy does not wait for responses.
    #[prost(bool, tag = "10")]
    pub observability_mode: bool,
    /// In the first message only.
    #[prost(message, optional, tag = "11")]
    pub protocol_config: Option<ProtocolConfiguration>,
}

/// `ProcessingRequest.request`.
#[derive(Clone, PartialEq, Oneof)]
pub enum Part {
    /// Head of the request.
    #[prost(message, tag = "2")]
    RequestHeaders(HttpHeaders),
    /// Head of the response.
    #[prost(message, tag = "3")]
    ResponseHeaders(HttpHeaders),
    /// A piece of the request's body.
    #[prost(message, tag = "4")]
    RequestBody(HttpBody),
    /// A piece of the response's body.
    #[prost(message, tag = "5")]
    ResponseBody(HttpBody),
    /// Trailers of the request.
    #[prost(message, tag = "6")]
    RequestTrailers(HttpTrailers),
    /// Trailers of the response.
    #[prost(message, tag = "7")]
    ResponseTrailers(HttpTrailers),
}

/// `HttpHeaders`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpHeaders {
    /// Headers and pseudo headers.
    #[prost(message, optional, tag = "1")]
    pub headers: Option<HeaderMap>,
    /// No body follows.
    #[prost(bool, tag = "3")]
    pub end_of_stream: bool,
}

/// `HttpBody`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpBody {
    /// The bytes.
    #[prost(bytes = "bytes", tag = "1")]
    pub body: Bytes,
    /// Nothing follows, no trailers either.
    #[prost(bool, tag = "2")]
    pub end_of_stream: bool,
}

/// `HttpTrailers`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpTrailers {
    /// Trailers.
    #[prost(message, optional, tag = "1")]
    pub trailers: Option<HeaderMap>,
}

/// `ProcessingResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct ProcessingResponse {
    /// The answer to one message, or the reply to the client.
    #[prost(oneof = "Answer", tags = "1, 2, 3, 4, 5, 6, 7")]
    pub answer: Option<Answer>,
    /// For access logs and later filters, by namespace.
    #[prost(message, optional, tag = "8")]
    pub dynamic_metadata: Option<Struct>,
}

/// `ProcessingResponse.response`.
#[derive(Clone, PartialEq, Oneof)]
pub enum Answer {
    /// Head of the request.
    #[prost(message, tag = "1")]
    RequestHeaders(CommonAnswer),
    /// Head of the response.
    #[prost(message, tag = "2")]
    ResponseHeaders(CommonAnswer),
    /// A piece of the request's body.
    #[prost(message, tag = "3")]
    RequestBody(CommonAnswer),
    /// A piece of the response's body.
    #[prost(message, tag = "4")]
    ResponseBody(CommonAnswer),
    /// Trailers of the request.
    #[prost(message, tag = "5")]
    RequestTrailers(TrailersAnswer),
    /// Trailers of the response.
    #[prost(message, tag = "6")]
    ResponseTrailers(TrailersAnswer),
    /// The client gets this instead.
    #[prost(message, tag = "7")]
    Immediate(ImmediateResponse),
}

/// `HeadersResponse` and `BodyResponse`, which have the same fields.
#[derive(Clone, PartialEq, Message)]
pub struct CommonAnswer {
    /// Absent: the message goes on as it is.
    #[prost(message, optional, tag = "1")]
    pub response: Option<CommonResponse>,
}

/// `CommonResponse`; the status is always `CONTINUE`, the default.
#[derive(Clone, PartialEq, Message)]
pub struct CommonResponse {
    /// Body to send on.
    #[prost(message, optional, tag = "3")]
    pub body_mutation: Option<BodyMutation>,
}

/// `BodyMutation`.
#[derive(Clone, PartialEq, Message)]
pub struct BodyMutation {
    /// For [`BodyMode::FullDuplex`].
    #[prost(message, optional, tag = "3")]
    pub streamed_response: Option<HttpBody>,
}

/// `TrailersResponse`: they go on as they are.
#[derive(Clone, PartialEq, Message)]
pub struct TrailersAnswer {}

/// `ImmediateResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct ImmediateResponse {
    /// Status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// Headers.
    #[prost(message, optional, tag = "2")]
    pub headers: Option<HeaderMutation>,
    /// Body.
    #[prost(bytes = "bytes", tag = "3")]
    pub body: Bytes,
    /// For access logs: `%RESPONSE_CODE_DETAILS%`.
    #[prost(string, tag = "5")]
    pub details: String,
}

/// `HeaderMutation`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMutation {
    /// Headers to set.
    #[prost(message, repeated, tag = "1")]
    pub set_headers: Vec<HeaderValueOption>,
}
