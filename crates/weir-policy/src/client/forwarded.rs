//! Lists that proxies append to, and the elements of `Forwarded` (RFC 7239).
//!
//! Lists are split from the right: the nearest proxy wrote there, and what it wrote is well formed. Reading from the
//! left, a client could open a quote that swallows everything its proxies append.

use super::{Hop, address};
use std::borrow::Cow;

/// Members of a comma-separated list, from the right. With `quotes`, commas within quoted strings separate nothing.
pub(super) fn elements_from_right(line: &[u8], quotes: bool) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let mut quoted = false;
        for at in (0..line.len()).rev() {
            match line[at] {
                b'"' if quotes && !escaped(line, at) => quoted = !quoted,
                b',' if !quoted => {
                    rest = Some(&line[..at]);
                    return Some(&line[at + 1..]);
                }
                _ => {}
            }
        }
        rest = None;
        Some(line)
    })
}

/// Backslashes counted before a quote: more escape nothing that a proxy would write, and counting on would make
/// reading quadratic.
const MAX_ESCAPES: usize = 8;

/// Whether an odd number of backslashes precedes `at`.
fn escaped(line: &[u8], at: usize) -> bool {
    let count = line[..at].iter().rev().take(MAX_ESCAPES).take_while(|&&b| b == b'\\').count();
    count % 2 == 1
}

/// What one element says in its `for` parameter.
pub(super) fn hop(element: &[u8]) -> Hop {
    let Some(node) = parameter(element, "for") else { return Hop::Bad };
    // RFC 7239 §6.3: an obfuscated node begins with an underscore and may have a port.
    let obfuscated = |b: &u8| b.is_ascii_alphanumeric() || b"._-:".contains(b);
    let name = node.split(|&b| b == b':').next().unwrap_or_default();
    if name.eq_ignore_ascii_case(b"unknown") || (node.first() == Some(&b'_') && node.iter().all(obfuscated)) {
        return Hop::Hidden;
    }
    let obfuscated_port = |text: &[u8]| text.first() == Some(&b'_') && text[1..].iter().all(obfuscated);
    let bare = match node.iter().rposition(|&b| b == b':') {
        Some(at) if obfuscated_port(&node[at + 1..]) => &node[..at],
        _ => &node,
    };
    address::parse_endpoint(bare).map_or(Hop::Bad, |endpoint| Hop::Address(endpoint.address))
}

/// The value of the parameter called `name`, unquoted. None if it is missing, there twice, or not well formed.
pub(super) fn parameter<'e>(element: &'e [u8], name: &str) -> Option<Cow<'e, [u8]>> {
    let mut found = None;
    let mut rest = element;
    while !rest.is_empty() {
        let (pair, tail) = split_pair(rest)?;
        rest = tail;
        let pair = pair.trim_ascii();
        if pair.is_empty() {
            continue;
        }
        let equals = pair.iter().position(|&b| b == b'=')?;
        let (key, value) = (&pair[..equals], &pair[equals + 1..]);
        if key.eq_ignore_ascii_case(name.as_bytes()) && found.replace(unquoted(value)?).is_some() {
            return None;
        }
    }
    found
}

/// The bytes up to the next `;` outside quotes, and those after it. None if a quote stays open.
fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut quoted, mut at) = (false, 0);
    while at < text.len() {
        match text[at] {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            b';' if !quoted => return Some((&text[..at], &text[at + 1..])),
            _ => {}
        }
        at += 1;
    }
    (!quoted).then_some((text, &[]))
}

/// A token as it is, a quoted string without quotes and escapes (RFC 9110 §5.6.4).
fn unquoted(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let Some(inner) = value.strip_prefix(b"\"") else {
        return (!value.contains(&b'"')).then_some(Cow::Borrowed(value));
    };
    let inner = inner.strip_suffix(b"\"")?;
    if !inner.contains(&b'\\') && !inner.contains(&b'"') {
        return Some(Cow::Borrowed(inner));
    }
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&b) = bytes.next() {
        match b {
            b'\\' => out.push(*bytes.next()?),
            b'"' => return None,
            b => out.push(b),
        }
    }
    Some(Cow::Owned(out))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(line: &str, quotes: bool) -> Vec<String> {
        elements_from_right(line.as_bytes(), quotes).map(|e| String::from_utf8_lossy(e).into_owned()).collect()
    }

    #[test]
    fn lists_are_split_from_the_right() {
        assert_eq!(split("a, b,c", false), ["c", " b", "a"]);
        assert_eq!(split("", false), [""]);
        assert_eq!(split("for=a;x=\"1,2\", for=b", true), [" for=b", "for=a;x=\"1,2\""]);
        assert_eq!(split(r#"for="x\",y", for=b"#, true), [" for=b", r#"for="x\",y""#]);
        // A quote that the client left open does not swallow what its proxy appended.
        assert_eq!(split("for=\"x, for=b", true)[0], " for=b");
        assert_eq!(split("for=\"x, for=\"[::1]\"", true)[0], " for=\"[::1]\"");
    }

    #[test]
    fn parameters_are_unquoted_and_single() {
        let get = |text: &'static str, name| {
            parameter(text.as_bytes(), name).map(|v| String::from_utf8_lossy(&v).into_owned())
        };
        assert_eq!(get("for=1.2.3.4;proto=https", "for").as_deref(), Some("1.2.3.4"));
        assert_eq!(get("proto=https; For=\"[::1]:80\"", "for").as_deref(), Some("[::1]:80"));
        assert_eq!(get(r#"host="a\b;c";for=x"#, "host").as_deref(), Some("ab;c"));
        assert_eq!(get("for=a;for=b", "for"), None);
        assert_eq!(get("for", "for"), None);
        assert_eq!(get("for=\"a", "for"), None);
        assert_eq!(get("for=a\"b\"", "for"), None);
        assert_eq!(get(";;for=a;", "for").as_deref(), Some("a"));
    }

    proptest! {
        #[test]
        fn bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64), quotes: bool) {
            for element in elements_from_right(&bytes, quotes) {
                let _ = hop(element);
            }
        }

        #[test]
        fn splitting_loses_nothing(line in "[a\",\\\\;=]{0,40}", quotes: bool) {
            let mut parts = split(&line, quotes);
            parts.reverse();
            prop_assert_eq!(parts.join(","), line);
        }
    }
}
