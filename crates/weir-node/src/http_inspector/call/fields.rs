//! The headers of a call by name: each present or not, once, of the right form.

use super::{MAX_NAME, Token};
use crate::http_inspector::refusal::Refusal;
use http::{HeaderMap, HeaderValue};
use std::net::{IpAddr, SocketAddr};

/// Declares the headers that a call may have, by the names that the API documents.
macro_rules! headers {
    ($($name:ident = $shown:literal;)*) => {
        /// A header of a call.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum Name { $(#[doc = $shown] $name),* }

        /// Each with its name as documented.
        pub(super) const NAMES: &[(Name, &str)] = &[$((Name::$name, $shown)),*];
    };
}

headers! {
    ContentType = "Content-Type";
    RequestId = "Inspector-Request-Id";
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
}

impl Name {
    /// Its name as documented.
    pub(super) fn shown(self) -> &'static str {
        NAMES[self as usize].1
    }

    fn of(header: &str) -> Option<Name> {
        NAMES.iter().find(|(_, shown)| shown.eq_ignore_ascii_case(header)).map(|(name, _)| *name)
    }
}

/// The headers of one call.
pub(super) struct Fields<'h>([Option<&'h HeaderValue>; NAMES.len()]);

impl<'h> Fields<'h> {
    /// Those of `headers`. A repeated one is refused: which of them counts would be a guess.
    pub(super) fn of(headers: &'h HeaderMap) -> Result<Self, Refusal> {
        let mut fields = Self([None; NAMES.len()]);
        for (header, value) in headers {
            let Some(name) = Name::of(header.as_str()) else { continue };
            if fields.0[name as usize].replace(value).is_some() {
                return Err(Refusal::BadHeader(name.shown(), "given more than once"));
            }
        }
        Ok(fields)
    }

    pub(super) fn optional(&self, name: Name) -> Option<&'h HeaderValue> {
        self.0[name as usize]
    }

    pub(super) fn required(&self, name: Name) -> Result<&'h HeaderValue, Refusal> {
        self.optional(name).ok_or(Refusal::MissingHeader(name.shown()))
    }

    pub(super) fn name(&self, name: Name) -> Result<Option<Token>, Refusal> {
        self.name_up_to(name, MAX_NAME)
    }

    pub(super) fn name_up_to(&self, name: Name, max: usize) -> Result<Option<Token>, Refusal> {
        let Some(value) = self.optional(name) else { return Ok(None) };
        if value.len() > max || value.to_str().is_err() {
            return Err(Refusal::BadHeader(name.shown(), "too long, or not visible ASCII"));
        }
        Ok(Some(Token(value.clone())))
    }

    /// Which of `words` the header is; 0 where it is absent. `want` names them.
    pub(super) fn word(&self, name: Name, want: &'static str, words: &[&str]) -> Result<usize, Refusal> {
        let Some(value) = self.optional(name) else { return Ok(0) };
        let found = words.iter().position(|word| value.as_bytes().eq_ignore_ascii_case(word.as_bytes()));
        found.ok_or(Refusal::BadHeader(name.shown(), want))
    }
}

/// `203.0.113.9`, `203.0.113.9:51234`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`.
pub(super) fn address(value: &HeaderValue) -> Option<IpAddr> {
    let text = value.to_str().ok()?;
    let plain = text.strip_prefix('[').and_then(|t| t.strip_suffix(']'));
    let ip = match plain {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6),
        None => text.parse::<IpAddr>().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|a| a.ip())),
    };
    // An IPv4 address in IPv6 clothes is judged as IPv4.
    ip.map(|ip| ip.to_canonical())
}
