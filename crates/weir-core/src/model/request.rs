//! A message as the client sent it: borrowed bytes, nothing decoded, nothing merged.

use super::anomaly::AnomalyKind;

/// One header line. Names keep their case, values are trimmed of outer white space only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Field name as sent.
    pub name: &'a [u8],
    /// Field value as sent, outer white space trimmed; a folded line keeps its inner CRLF.
    pub value: &'a [u8],
}

impl Header<'_> {
    /// Whether the field name is `name`, without regard to case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

/// Request or response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum MessageKind {
    /// A client's request.
    #[default]
    Request,
    /// An upstream's response.
    Response,
}

/// How much of the body the connector handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum BodyState {
    /// All of it.
    #[default]
    Complete,
    /// The first bytes only.
    Prefix,
    /// The connector did not read it; its declaration gives the reason.
    Unread,
}

/// URI scheme that the client used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Scheme {
    /// Plain text.
    #[default]
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}

/// A request or response, parsed into lines but not decoded. Both wire forms of the API end here.
#[derive(Clone, Debug, Default)]
pub struct Message<'a> {
    /// Request or response.
    pub kind: MessageKind,
    /// Request method; empty for a response.
    pub method: &'a [u8],
    /// Request target as sent; empty for a response.
    pub target: &'a [u8],
    /// `HTTP/1.1` as sent; may be empty (HTTP/0.9) or garbage.
    pub protocol: &'a [u8],
    /// Response status; 0 for a request.
    pub status: u16,
    /// Header lines in order, duplicates kept.
    pub headers: Vec<Header<'a>>,
    /// What was odd about the head when it was split into lines.
    pub anomalies: Vec<AnomalyKind>,
    /// Body bytes, transfer coding removed, content coding kept.
    pub body: &'a [u8],
    /// How much of the body this is.
    pub body_state: BodyState,
    /// Scheme reported by the connector.
    pub scheme: Scheme,
    /// Application id reported by the connector or set by the policy.
    pub application: i64,
}

impl<'a> Message<'a> {
    /// Values of every header called `name`, in order.
    pub fn headers_named<'s>(&'s self, name: &'s str) -> impl Iterator<Item = &'a [u8]> + 's {
        self.headers.iter().filter(move |h| h.is(name)).map(|h| h.value)
    }

    /// Bytes of target and headers, as they stand in HTTP/1.1.
    pub fn head_len(&self) -> usize {
        self.target.len() + self.headers.iter().map(|h| h.name.len() + h.value.len() + 4).sum::<usize>()
    }

    /// The first header called `name`.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers.iter().find(|h| h.is(name)).map(|h| h.value)
    }
}
