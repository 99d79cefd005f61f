//! The forms of single values, as the schema of `kong-lua` wants them. `connectors/kong/spec/values.json` lists examples
//! that both are tested with.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What an address is.
pub const ADDRESS: &str = "http://HOST:PORT or https://HOST:PORT, with an optional path, an IPv6 address in brackets and \
                           a port from 1 to 65535; or unix:/PATH of a socket";
/// What an application id is.
pub const APPLICATION: &str = "a whole number in quotes, such as \"7\"";
/// What a header for the upstream is.
pub const HEADER: &str = "the name of a header that nothing else uses, in letters, digits and hyphens, such as \
                          X-Weir-Verdict";
/// What a client certificate is.
pub const CHAIN: &str = "a certificate chain in PEM, from -----BEGIN CERTIFICATE----- on";
/// What a private key is.
pub const KEY: &str = "a private key in PEM without a passphrase, from -----BEGIN PRIVATE KEY----- on";

/// Longest path of a socket.
const MAX_SOCKET_PATH: usize = 107;

/// Whether `text` is an address of a node.
pub fn is_address(text: &str) -> bool {
    if let Some(path) = text.strip_prefix("unix:") {
        let of_path = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        return path.starts_with('/') && (2..=MAX_SOCKET_PATH).contains(&path.len()) && path.bytes().all(of_path);
    }
    let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else { return false };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let clean = !path.bytes().any(|b| b.is_ascii_whitespace() || b == 0x0b || b"?#@".contains(&b));
    is_host(host) && port.is_none_or(is_port) && clean
}

fn is_port(text: &str) -> bool {
    text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit()) && text.parse::<u16>().is_ok_and(|port| port > 0)
}

/// What ends in a number is no name, but an address.
fn ends_in_number(host: &str) -> bool {
    let last = host.strip_suffix('.').unwrap_or(host).rsplit('.').next().unwrap_or_default();
    !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit())
}

fn is_host(host: &str) -> bool {
    if let Some(ipv6) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return ipv6.parse::<Ipv6Addr>().is_ok();
    }
    if ends_in_number(host) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    host.len() <= 253
        && host.bytes().next().is_some_and(word)
        && host.bytes().all(|b| word(b) || b".-".contains(&b))
        && !host.contains("..")
}

/// Whether `text` is the id of an application.
pub fn is_application(text: &str) -> bool {
    (1..=18).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `text` is a name to verify a certificate with.
pub fn is_server_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Whether `text` can be a key of a connector.
pub fn is_visible(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_graphic())
}

/// Header names that a gateway, its other plugins or the transport use themselves.
const TAKEN: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "referer",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "warning",
    "x-real-ip",
    "x-request-id",
    "x-anonymous-consumer",
];
const TAKEN_PREFIXES: &[&str] = &[
    "x-forwarded-",
    "x-kong-",
    "x-consumer-",
    "x-credential-",
    "x-authenticated-",
    "inspector-",
    "proxy-",
    "sec-",
    "if-",
];

/// Whether `text` is a header name that is free for the verdict.
pub fn is_free_header(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !TAKEN.contains(&lower.as_str())
        && !TAKEN_PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
}

/// Whether `text` is a certificate chain.
pub fn is_chain(text: &str) -> bool {
    weir_runtime::pem::is_chain(text.as_bytes())
}

/// Whether `text` is a private key.
pub fn is_key(text: &str) -> bool {
    !text.contains("ENCRYPTED") && weir_runtime::pem::is_key(text.as_bytes())
}
