//! The headers of a call by name. Each occurs at most once and must be well-formed.

use super::{HeaderText, MAX_NAME};
use crate::http_inspector::api_error::ApiError;
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, SocketAddr};

/// Declares the headers that a call may have, by the names that the API documents.
macro_rules! headers {
    ($($name:ident = $shown:literal;)*) => {
        /// A header of a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum HeaderName { $(#[doc = $shown] $name),* }

        /// Each with its name as documented.
        pub(super) const NAMES: &[(HeaderName, &str)] = &[$((HeaderName::$name, $shown)),*];
    };
}

headers! {
    ContentType = "Content-Type";
    RequestId = "Inspector-Request-Id";
    CallId = "Inspector-Call-Id";
    Client = "Inspector-Client";
    Peer = "Inspector-Peer";
    Connector = "Inspector-Connector";
    Scheme = "Inspector-Scheme";
    Protocol = "Inspector-Protocol";
    Head = "Inspector-Head";
    Framing = "Inspector-Framing";
    Body = "Inspector-Body";
    Blocking = "Inspector-Blocking";
    Attempt = "Inspector-Attempt";
    Deadline = "Inspector-Deadline";
    Service = "Inspector-Service";
    Route = "Inspector-Route";
    Application = "Inspector-Application";
    Context = "Inspector-Context";
    Consumer = "Inspector-Consumer";
    Purpose = "Inspector-Purpose";
}

impl HeaderName {
    /// Its name as documented.
    pub(super) fn shown(self) -> &'static str {
        NAMES[self as usize].1
    }

    fn of(header: &str) -> Option<HeaderName> {
        NAMES.iter().find(|(_, shown)| shown.eq_ignore_ascii_case(header)).map(|(name, _)| *name)
    }
}

/// The headers of one call.
pub(super) struct Fields<'h>([Option<&'h HeaderValue>; NAMES.len()]);

impl<'h> Fields<'h> {
    /// Reads `headers`. A repeated header is rejected, since it is ambiguous which value applies.
    pub(super) fn of(headers: &'h HeaderMap) -> Result<Self, ApiError> {
        let mut fields = Self([None; NAMES.len()]);
        for (header, value) in headers {
            let Some(name) = HeaderName::of(header.as_str()) else { continue };
            if fields.0[name as usize].replace(value).is_some() {
                return Err(ApiError::BadHeader(name.shown(), "given more than once"));
            }
        }
        Ok(fields)
    }

    pub(super) fn optional(&self, name: HeaderName) -> Option<&'h HeaderValue> {
        self.0[name as usize]
    }

    pub(super) fn required(&self, name: HeaderName) -> Result<&'h HeaderValue, ApiError> {
        self.optional(name).ok_or(ApiError::MissingHeader(name.shown()))
    }

    pub(super) fn name(&self, name: HeaderName) -> Result<Option<HeaderText>, ApiError> {
        self.name_up_to(name, MAX_NAME)
    }

    pub(super) fn name_up_to(&self, name: HeaderName, max: usize) -> Result<Option<HeaderText>, ApiError> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        if value.len() > max || value.to_str().is_err() {
            return Err(ApiError::BadHeader(name.shown(), "too long, or not visible ASCII"));
        }
        Ok(Some(HeaderText(value.clone())))
    }

    /// Index of the header's value in `words`; 0 if the header is absent. `want` lists them for the error.
    pub(super) fn word(&self, name: HeaderName, want: &'static str, words: &[&str]) -> Result<usize, ApiError> {
        let Some(value) = self.optional(name) else { return Ok(0) };
        let found = words.iter().position(|word| value.as_bytes().eq_ignore_ascii_case(word.as_bytes()));
        found.ok_or(ApiError::BadHeader(name.shown(), want))
    }
}

/// `203.0.113.9`, `203.0.113.9:51234`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
pub fn address(value: &HeaderValue) -> Option<IpAddr> {
    let text = value.to_str().ok()?;
    let plain = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let ip = match plain {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip())),
    };
    // IPv4-mapped IPv6 addresses are treated as IPv4.
    ip.map(|ip| ip.to_canonical())
}
