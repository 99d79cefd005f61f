//! The messages of Envoy's gRPC services, as far as the node reads or writes them. Field numbers are those of Envoy's
//! files under `api/`; each type says which file it comes from. Fields that are left out are skipped when a message is
//! read. Why they are declared here: `docs/decisions/0010-envoy-messages.md`.

pub mod authz;
pub mod ext_proc;

use bytes::Bytes;
use prost::{Enumeration, Message, Oneof};
use std::collections::BTreeMap;

/// `envoy/config/core/v3/base.proto`, `HeaderValue`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValue {
    /// Name, in lower case.
    #[prost(string, tag = "1")]
    pub key: String,
    /// Value, where it is text.
    #[prost(bytes = "bytes", tag = "2")]
    pub value: Bytes,
    /// Value as bytes; one of the two is empty.
    #[prost(bytes = "bytes", tag = "3")]
    pub raw_value: Bytes,
}

/// `envoy/config/core/v3/base.proto`, `HeaderMap`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderMap {
    /// In the order of the message.
    #[prost(message, repeated, tag = "1")]
    pub headers: Vec<HeaderValue>,
}

/// `envoy/config/core/v3/base.proto`, `HeaderValueOption`.
#[derive(Clone, PartialEq, Message)]
pub struct HeaderValueOption {
    /// Name and value.
    #[prost(message, optional, tag = "1")]
    pub header: Option<HeaderValue>,
    /// What happens to a header of this name that exists.
    #[prost(enumeration = "AppendAction", tag = "3")]
    pub append_action: i32,
}

/// `envoy/config/core/v3/base.proto`, `HeaderValueOption.HeaderAppendAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enumeration)]
#[repr(i32)]
pub enum AppendAction {
    /// Adds one more.
    Append = 0,
    /// Replaces those that exist.
    Overwrite = 2,
}

/// `envoy/config/core/v3/address.proto`, `Address`.
#[derive(Clone, PartialEq, Message)]
pub struct Address {
    /// Absent for Unix sockets.
    #[prost(message, optional, tag = "1")]
    pub socket_address: Option<SocketAddress>,
}

/// `envoy/config/core/v3/address.proto`, `SocketAddress`.
#[derive(Clone, PartialEq, Message)]
pub struct SocketAddress {
    /// IP address.
    #[prost(string, tag = "2")]
    pub address: String,
}

/// `envoy/type/v3/http_status.proto`, `HttpStatus`.
#[derive(Clone, PartialEq, Message)]
pub struct HttpStatus {
    /// The status, such as 403.
    #[prost(int32, tag = "1")]
    pub code: i32,
}

/// `google/protobuf/struct.proto`, `Struct`.
#[derive(Clone, PartialEq, Message)]
pub struct Struct {
    /// Values by name.
    #[prost(btree_map = "string, message", tag = "1")]
    pub fields: BTreeMap<String, Value>,
}

/// `google/protobuf/struct.proto`, `Value`.
#[derive(Clone, PartialEq, Message)]
pub struct Value {
    /// The value; kinds that the node does not use are skipped.
    #[prost(oneof = "Kind", tags = "3, 5, 6")]
    pub kind: Option<Kind>,
}

/// `google/protobuf/struct.proto`, `Value.kind`.
#[derive(Clone, PartialEq, Oneof)]
pub enum Kind {
    /// Text.
    #[prost(string, tag = "3")]
    Text(String),
    /// Named values.
    #[prost(message, tag = "5")]
    Fields(Struct),
    /// A list.
    #[prost(message, tag = "6")]
    List(ListValue),
}

/// `google/protobuf/struct.proto`, `ListValue`.
#[derive(Clone, PartialEq, Message)]
pub struct ListValue {
    /// The values.
    #[prost(message, repeated, tag = "1")]
    pub values: Vec<Value>,
}

impl Value {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: Some(Kind::Text(text.into())) }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Some(Kind::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl HeaderValue {
    /// The value, from whichever field has it.
    pub fn bytes(&self) -> &[u8] {
        if self.raw_value.is_empty() { &self.value } else { &self.raw_value }
    }
}

impl HeaderValueOption {
    /// Sets the header `name`, in place of those that exist.
    pub fn set(name: &str, value: &str, raw: bool) -> Self {
        let bytes = Bytes::copy_from_slice(value.as_bytes());
        let (value, raw_value) = if raw { (Bytes::new(), bytes) } else { (bytes, Bytes::new()) };
        let header = HeaderValue { key: name.to_ascii_lowercase(), value, raw_value };
        Self { header: Some(header), append_action: AppendAction::Overwrite.into() }
    }
}
