//! An address as proxies write it: bare, with a port, in brackets, with a zone, quoted.

use super::Hop;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Longest text that can be an address with zone, brackets and port, in bytes.
const MAX_TEXT: usize = 128;

/// An address and, where it was written, a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The address, IPv4-mapped IPv6 as IPv4.
    pub address: IpAddr,
    /// TCP port.
    pub port: Option<u16>,
}

/// Reads `203.0.113.9`, `203.0.113.9:51234`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:443`, each IPv6 form with a
/// zone (`%eth0`, RFC 4007 §11; `%25eth0`, RFC 6874) that is dropped. No other form: an octal or shortened IPv4
/// address means different things to different readers.
pub fn parse_endpoint(text: &[u8]) -> Option<Endpoint> {
    let text = std::str::from_utf8(text).ok().filter(|text| text.len() <= MAX_TEXT)?;
    if let Some(inner) = text.strip_prefix('[') {
        let (inner, rest) = inner.split_once(']')?;
        let port = match rest {
            "" => None,
            _ => Some(port(rest.strip_prefix(':')?)?),
        };
        return Some(Endpoint { address: v6(inner)?, port });
    }
    match text.split_once(':') {
        None => Some(Endpoint { address: v4(text)?, port: None }),
        Some((host, rest)) if !rest.contains(':') && host.contains('.') => {
            Some(Endpoint { address: v4(host)?, port: Some(port(rest)?) })
        }
        Some(_) => Some(Endpoint { address: v6(text)?, port: None }),
    }
}

fn v4(text: &str) -> Option<IpAddr> {
    text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)
}

fn v6(text: &str) -> Option<IpAddr> {
    let (text, zone) = match text.split_once('%') {
        Some((text, zone)) => (text, Some(zone)),
        None => (text, None),
    };
    if zone.is_some_and(|zone| {
        zone.is_empty() || !zone.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b))
    }) {
        return None;
    }
    text.parse::<Ipv6Addr>().ok().map(|address| IpAddr::V6(address).to_canonical())
}

fn port(text: &str) -> Option<u16> {
    (text.len() <= 5 && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse().ok())?
}

/// A member of an `X-Forwarded-For`-like list. Some proxies quote it.
pub(super) fn hop(element: &[u8]) -> Hop {
    let bare = element.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(element);
    if bare.eq_ignore_ascii_case(b"unknown") || bare == b"-" {
        return Hop::Hidden;
    }
    parse_endpoint(bare).map_or(Hop::Bad, |endpoint| Hop::Address(endpoint.address))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_of_an_address() {
        let cases: &[(&str, &str, Option<u16>)] = &[
            ("203.0.113.9", "203.0.113.9", None),
            ("203.0.113.9:51234", "203.0.113.9", Some(51234)),
            ("203.0.113.9:0", "203.0.113.9", Some(0)),
            ("2001:db8::1", "2001:db8::1", None),
            ("2001:DB8:0:0:0:0:0:1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:443", "2001:db8::1", Some(443)),
            ("::1", "::1", None),
            ("::", "::", None),
            ("::ffff:203.0.113.9", "203.0.113.9", None),
            ("::ffff:cb00:7109", "203.0.113.9", None),
            ("[::ffff:203.0.113.9]:80", "203.0.113.9", Some(80)),
            ("fe80::1%eth0", "fe80::1", None),
            ("[fe80::1%25eth0]:80", "fe80::1", Some(80)),
            ("64:ff9b::203.0.113.9", "64:ff9b::cb00:7109", None),
        ];
        for &(text, address, port) in cases {
            let expected = Endpoint { address: address.parse().unwrap(), port };
            assert_eq!(parse_endpoint(text.as_bytes()), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            " ",
            "203.0.113",
            "203.0.113.9.",
            "203.0.113.256",
            "0203.0.113.9",
            "0xcb.0.113.9",
            "3405803785",
            "203.0.113.9:",
            "203.0.113.9:65536",
            "203.0.113.9:+80",
            "203.0.113.9:80:80",
            "[203.0.113.9]",
            "[::1",
            "::1]",
            "[::1]80",
            "[::1]:",
            "[::1]:99999",
            "[]",
            ":",
            ":80",
            "localhost",
            "example.com:80",
            "fe80::1%",
            "fe80::1%a b",
            "1::2::3",
            "203.0.113.9 ",
            "203.0.113.9/24",
            "unix:",
            "::ffff:203.0.113.9:80:1",
            "\u{ff11}.1.1.1",
        ] {
            assert_eq!(parse_endpoint(text.as_bytes()), None, "{text}");
        }
        assert_eq!(parse_endpoint(b"\xff"), None);
        assert_eq!(parse_endpoint("0".repeat(1_000).as_bytes()), None);
    }

    proptest! {
        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = (parse_endpoint(&bytes), hop(&bytes));
        }

        #[test]
        fn addresses_round_trip(v6 in any::<u128>(), v4 in any::<u32>(), port in any::<u16>()) {
            let v6 = Ipv6Addr::from(v6);
            let expected = Some(Endpoint { address: IpAddr::V6(v6).to_canonical(), port: Some(port) });
            prop_assert_eq!(parse_endpoint(format!("[{v6}]:{port}").as_bytes()), expected);
            let v4 = Ipv4Addr::from(v4);
            let expected = Some(Endpoint { address: IpAddr::V4(v4), port: Some(port) });
            prop_assert_eq!(parse_endpoint(format!("{v4}:{port}").as_bytes()), expected);
        }
    }
}
