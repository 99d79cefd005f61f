//! A search in words, and the values that words stand for.

use super::super::filter::Span;
use super::{SearchError, Wrong, wrong};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use std::net::{IpAddr, Ipv4Addr};

/// Most networks into which a range of addresses is taken apart.
const MAX_NETWORKS: usize = 64;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Column from 1, in characters.
    pub column: usize,
    /// Whether a `!` stood before it.
    pub negated: bool,
    /// What stood before the colon.
    pub attribute: Option<String>,
    /// The rest, without quotes.
    pub value: String,
    /// Whether it had quotes.
    pub quoted: bool,
}

/// Words between spaces; quotes hold a value together.
pub(super) fn split(text: &str) -> Result<Vec<Word>, SearchError> {
    let mut out = Vec::new();
    let mut chars = text.chars().enumerate().peekable();
    while let Some(&(at, c)) = chars.peek() {
        if c.is_whitespace() {
            chars.next();
            continue;
        }
        let mut word = Word { column: at + 1, negated: c == '!', attribute: None, value: String::new(), quoted: false };
        if word.negated {
            chars.next();
        }
        while let Some(&(at, c)) = chars.peek() {
            if c.is_whitespace() {
                break;
            }
            chars.next();
            let starts_value = word.value.is_empty() && !word.quoted;
            if starts_value && (c == '\'' || c == '"') {
                word.quoted = true;
                if !until(&mut chars, c, &mut word.value) {
                    let help = format!("write another {c} after the value");
                    return Err(SearchError { column: at + 1, message: "a quote is never closed".into(), help });
                }
            } else if c == ':' && word.attribute.is_none() && !word.quoted && is_name(&word.value) {
                word.attribute = Some(std::mem::take(&mut word.value));
            } else {
                word.value.push(c);
            }
        }
        if word.value.is_empty() && word.attribute.is_none() && !word.quoted {
            let message = "`!` without anything to negate".to_owned();
            return Err(SearchError { column: word.column, message, help: "write `!` right before a word".into() });
        }
        out.push(word);
    }
    Ok(out)
}

/// Moves the text before the closing `mark` to `value`. False if there is none.
fn until(chars: &mut impl Iterator<Item = (usize, char)>, mark: char, value: &mut String) -> bool {
    for (_, c) in chars {
        if c == mark {
            return true;
        }
        value.push(c);
    }
    false
}

/// Whether the text before a colon is an attribute, and not an IPv6 address, a time or a URL.
fn is_name(text: &str) -> bool {
    let first = text.bytes().next();
    let name = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && text.len() <= 32;
    name && first.is_some_and(|b| b.is_ascii_alphabetic()) && !text.bytes().all(|b| b.is_ascii_hexdigit())
        || ["d", "a"].contains(&text)
}

/// `5`, `1-5`, `>5`, `>=5`, `<5`, `<=5`.
pub(super) fn span(text: &str) -> Result<Span, Wrong> {
    let number = |text: &str| text.parse::<u64>().ok();
    let span = if let Some(rest) = text.strip_prefix(">=") {
        number(rest).map(|n| Span { min: Some(n), max: None })
    } else if let Some(rest) = text.strip_prefix('>') {
        number(rest).map(|n| Span { min: Some(n.saturating_add(1)), max: None })
    } else if let Some(rest) = text.strip_prefix("<=") {
        number(rest).map(|n| Span { min: None, max: Some(n) })
    } else if let Some(rest) = text.strip_prefix('<') {
        number(rest).filter(|&n| n > 0).map(|n| Span { min: None, max: Some(n - 1) })
    } else if let Some((min, max)) = text.split_once('-') {
        number(min).zip(number(max)).filter(|(a, b)| a <= b).map(|(a, b)| Span { min: Some(a), max: Some(b) })
    } else {
        number(text).map(Span::exactly)
    };
    span.ok_or_else(|| {
        (format!("`{text}` is no number and no range"), "write `404`, `400-499`, `>499` or `<=399`".into())
    })
}

/// An address, a network, a range `a-b`, or IPv4 with `*` for its last bytes.
pub(super) fn networks(text: &str) -> Result<Vec<IpNet>, Wrong> {
    let help = "write `203.0.113.7`, `203.0.113.0/24`, `203.0.113.0-203.0.113.9`, `203.0.113.*` or `2001:db8::/32`";
    let not = || wrong(format!("`{text}` is no address and no network"), help);
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(vec![ip.into()]);
    }
    if let Ok(net) = text.parse::<IpNet>() {
        return Ok(vec![net.trunc()]);
    }
    if text.contains('*') {
        return match stars(text) {
            Some(net) => Ok(vec![net]),
            None => not(),
        };
    }
    let nets: Vec<IpNet> = match text.split_once('-').map(|(a, b)| (a.parse(), b.parse())) {
        Some((Ok(IpAddr::V4(a)), Ok(IpAddr::V4(b)))) if a <= b => {
            Ipv4Subnets::new(a, b, 0).map(IpNet::V4).take(MAX_NETWORKS + 1).collect()
        }
        Some((Ok(IpAddr::V6(a)), Ok(IpAddr::V6(b)))) if a <= b => {
            Ipv6Subnets::new(a, b, 0).map(IpNet::V6).take(MAX_NETWORKS + 1).collect()
        }
        _ => return not(),
    };
    if nets.len() > MAX_NETWORKS {
        return wrong(format!("`{text}` is too crooked a range"), "begin and end it at the bounds of networks");
    }
    Ok(nets)
}

/// `192.168.*.*`: only last bytes can be open.
fn stars(text: &str) -> Option<IpNet> {
    let parts: Vec<&str> = text.split('.').collect();
    let fixed = parts.iter().take_while(|part| **part != "*").count();
    if parts.len() != 4 || parts[fixed..].iter().any(|part| *part != "*") {
        return None;
    }
    let mut bytes = [0u8; 4];
    for (byte, part) in bytes.iter_mut().zip(&parts[..fixed]) {
        *byte = part.parse().ok()?;
    }
    IpNet::new(Ipv4Addr::from(bytes).into(), u8::try_from(fixed * 8).ok()?).ok()
}

/// Whether a word without attribute is meant as an address.
pub(super) fn looks_like_address(text: &str) -> bool {
    let dotted = text.split('.').count() == 4 && text.bytes().all(|b| b.is_ascii_digit() || b"./-*".contains(&b));
    dotted || text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok()
}

/// Whether a word without attribute is meant as a host: it has a dot and letters.
pub(super) fn looks_like_host(text: &str) -> bool {
    let fits = text.chars().all(|c| c.is_alphanumeric() || "-._*?".contains(c));
    fits && text.contains('.') && text.contains(char::is_alphabetic) && !text.starts_with('.') && text.len() <= 255
}
