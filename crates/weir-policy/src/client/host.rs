//! Parses the host that a proxy forwards.

/// Longest host name, in bytes (RFC 1035 §2.3.4).
const MAX_HOST: usize = 255;

/// The host of `host[:port]`, lower case, without a trailing dot; `None` if it is not valid.
pub(super) fn parse(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let text = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let (host, port) = match text.strip_prefix('[') {
        Some(inner) => {
            let end = inner.find(']')?;
            inner[..end].parse::<std::net::Ipv6Addr>().ok()?;
            (&text[..end + 2], &text[end + 2..])
        }
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let port_fits = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()));
    let host = host.strip_suffix('.').unwrap_or(host);
    let name = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    let fits = host.starts_with('[') || (!host.is_empty() && host.bytes().all(name));
    (port_fits && fits && host.len() <= MAX_HOST).then(|| host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn hosts() {
        for (text, host) in [
            ("Example.COM", "example.com"),
            ("example.com:8080", "example.com"),
            ("example.com.", "example.com"),
            ("[2001:DB8::1]:80", "[2001:db8::1]"),
            ("\"a_b.c\"", "a_b.c"),
        ] {
            assert_eq!(parse(text.as_bytes()).as_deref(), Some(host), "{text}");
        }
        for text in ["", ".", ":80", "a b", "a/b", "a:b", "a:123456", "[::1", "[x]", "[::1]x", "é", "a,b", "http://a"]
        {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse("a".repeat(256).as_bytes()), None);
    }
}
