//! `envoy/service/auth/v3/external_auth.proto` and `envoy/service/auth/v3/attribute_context.proto`.

use super::{Address, HeaderMap, HeaderValueOption, HttpStatus, Struct};
use bytes::Bytes;
use prost::{Message, Oneof};
use std::collections::BTreeMap;

/// `CheckRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct CheckRequest {
    /// The request and where it comes from.
    #[prost(message, optional, tag = "1")]
    pub attributes: Option<AttributeContext>,
}

/// `AttributeContext`.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeContext {
    /// Who sent the request to Envoy.
    #[prost(message, optional, tag = "1")]
    pub source: Option<Peer>,
    /// The request.
    #[prost(message, optional, tag = "4")]
    pub request: Option<Request>,
    /// What the route's configuration adds.
    #[prost(btree_map = "string, string", tag = "10")]
    pub context_extensions: BTreeMap<String, String>,
}

/// `AttributeContext.Peer`.
#[derive(Clone, PartialEq, Message)]
pub struct Peer {
    /// Its address.
    #[prost(message, optional, tag = "1")]
    pub address: Option<Address>,
}

/// `AttributeContext.Request`.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// The request, if it is one of HTTP.
    #[prost(message, optional, tag = "2")]
    pub http: Option<HttpRequest>,
}

/// `AttributeContext.HttpRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpRequest {
    /// Method.
    #[prost(bytes = "bytes", tag = "2")]
    pub method: Bytes,
    /// Headers by name; those of one name are joined with commas.
    #[prost(btree_map = "string, bytes", tag = "3")]
    pub headers: BTreeMap<String, Vec<u8>>,
    /// Path and query.
    #[prost(bytes = "bytes", tag = "4")]
    pub path: Bytes,
    /// `Host` or `:authority`.
    #[prost(bytes = "bytes", tag = "5")]
    pub host: Bytes,
    /// Scheme.
    #[prost(bytes = "bytes", tag = "6")]
    pub scheme: Bytes,
    /// Body, or its beginning.
    #[prost(bytes = "bytes", tag = "11")]
    pub body: Bytes,
    /// The same with `pack_as_bytes`.
    #[prost(bytes = "bytes", tag = "12")]
    pub raw_body: Bytes,
    /// Headers in order, with `encode_raw_headers`.
    #[prost(message, optional, tag = "13")]
    pub header_map: Option<HeaderMap>,
}

/// `CheckResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct CheckResponse {
    /// Code 0 permits the request.
    #[prost(message, optional, tag = "1")]
    pub status: Option<RpcStatus>,
    /// What the client or the application gets.
    #[prost(oneof = "HttpResponse", tags = "2, 3")]
    pub http_response: Option<HttpResponse>,
    /// For access logs and later filters.
    #[prost(message, optional, tag = "4")]
    pub dynamic_metadata: Option<Struct>,
}

/// `google/rpc/status.proto`, `Status`.
#[derive(Clone, PartialEq, Message)]
pub struct RpcStatus {
    /// Code of gRPC.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `CheckResponse.http_response`.
#[derive(Clone, PartialEq, Oneof)]
pub enum HttpResponse {
    /// The client gets this.
    #[prost(message, tag = "2")]
    Denied(DeniedHttpResponse),
    /// The request goes on.
    #[prost(message, tag = "3")]
    Ok(OkHttpResponse),
}

/// `DeniedHttpResponse`.
#[derive(Clone, PartialEq, Message)]
pub struct DeniedHttpResponse {
    /// Status.
    #[prost(message, optional, tag = "1")]
    pub status: Option<HttpStatus>,
    /// Headers.
    #[prost(message, repeated, tag = "2")]
    pub headers: Vec<HeaderValueOption>,
    /// Body.
    #[prost(string, tag = "3")]
    pub body: String,
}

/// `OkHttpResponse`: the request goes on unchanged.
#[derive(Clone, PartialEq, Message)]
pub struct OkHttpResponse {}
