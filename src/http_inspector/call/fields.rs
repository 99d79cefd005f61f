//! One header of a call: present or not, once, of the right form.

use super::{MAX_NAME, Token};
use crate::http_inspector::refusal::Refusal;
use http::{HeaderMap, HeaderName, HeaderValue};
use std::net::{IpAddr, SocketAddr};

/// The only value of `name`; repeated headers of the call are refused: which of them counts would be a guess.
pub(super) fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h HeaderValue>, Refusal> {
    let mut all = headers.get_all(name).iter();
    let first = all.next();
    if all.next().is_some() {
        return Err(Refusal::BadHeader(display_name(name.as_str()), "given more than once"));
    }
    Ok(first)
}

/// Names as documented, for headers that problems name.
fn display_name(name: &str) -> &'static str {
    const NAMES: &[&str] = &[
        "Content-Type",
        "Inspector-Request-Id",
        "Inspector-Client",
        "Inspector-Peer",
        "Inspector-Connector",
        "Inspector-Scheme",
        "Inspector-Protocol",
        "Inspector-Head",
        "Inspector-Framing",
        "Inspector-Body",
        "Inspector-Blocking",
        "Inspector-Attempt",
        "Inspector-Service",
        "Inspector-Route",
        "Inspector-Application",
        "Inspector-Context",
        "Inspector-Consumer",
    ];
    NAMES.iter().find(|known| known.eq_ignore_ascii_case(name)).unwrap_or(&"a header")
}

pub(super) fn optional<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<Option<&'h HeaderValue>, Refusal> {
    single(headers, &HeaderName::from_static(name))
}

pub(super) fn required<'h>(headers: &'h HeaderMap, name: &'static str) -> Result<&'h HeaderValue, Refusal> {
    optional(headers, name)?.ok_or(Refusal::MissingHeader(display_name(name)))
}

pub(super) fn name(headers: &HeaderMap, key: &'static str, shown: &'static str) -> Result<Option<Token>, Refusal> {
    name_up_to(headers, key, shown, MAX_NAME)
}

pub(super) fn name_up_to(
    headers: &HeaderMap,
    key: &'static str,
    shown: &'static str,
    max: usize,
) -> Result<Option<Token>, Refusal> {
    let Some(value) = optional(headers, key)? else { return Ok(None) };
    if value.len() > max || value.to_str().is_err() {
        return Err(Refusal::BadHeader(shown, "too long, or not visible ASCII"));
    }
    Ok(Some(Token(value.clone())))
}

/// Which of `words` the header is; 0 where it is absent.
pub(super) fn word(
    headers: &HeaderMap,
    key: &'static str,
    shown: &'static str,
    want: &'static str,
    words: &[&str],
) -> Result<usize, Refusal> {
    let Some(value) = optional(headers, key)? else { return Ok(0) };
    let found = words.iter().position(|word| value.as_bytes().eq_ignore_ascii_case(word.as_bytes()));
    found.ok_or(Refusal::BadHeader(shown, want))
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
