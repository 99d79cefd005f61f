//! Finds secrets in any text, by their format and by a revealing name before them. One pass each, linear in the text.

use super::credentials::credentials;
use super::{emails, name_value, secret_names};
use regex::bytes::Regex;
use std::ops::Range;
use std::sync::LazyLock;
use weir_core::normalize::base64;

/// Bytes of a name before a separator.
const MAX_KEY: usize = 64;
/// White space, quotes and backslashes between a name and its value.
const MAX_GAP: usize = 8;
/// Digits of a card number (ISO/IEC 7812-1).
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// How a span is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaskStyle {
    /// Each byte becomes a `*`.
    Star,
    /// Each digit becomes a `1`, for places where only a number is valid, as in JSON.
    Digit,
}

/// A span to be masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its bytes.
    pub range: Range<usize>,
    /// How.
    pub style: MaskStyle,
}

impl Span {
    /// A span to be masked with stars.
    pub fn star(range: Range<usize>) -> Span {
        Span { range, style: MaskStyle::Star }
    }
}

/// Secrets with a recognisable format; if a pattern has a group, it is the secret.
const PATTERNS: &[&str] = &[
    // JSON Web Token (RFC 7519): `{"`, `{ ` or `{` and a line end in base64, a dot, more.
    r"\be(?:y[AIJ]|w[0ko])[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{2,}(?:\.[A-Za-z0-9_-]*){0,3}",
    r"(?i)\bbearer(?:[ +\t]|%20)+([A-Za-z0-9._~+/=%:-]{6,})",
    // Keys of well-known services, by the prefixes that these document for scanners.
    r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b",
    r"\bgh[oprsu]_[A-Za-z0-9]{20,}",
    r"\bgithub_pat_[A-Za-z0-9_]{20,}",
    r"\bglpat-[A-Za-z0-9_-]{16,}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}",
    r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{10,}",
    r"\bsk-[A-Za-z0-9_-]{20,}",
    r"\bAIza[A-Za-z0-9_-]{30,}",
    r"\bnpm_[A-Za-z0-9]{20,}",
    r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
    // Token of a Telegram bot: id, colon, key; it is part of a path.
    r"(?:\bbot|\b)[0-9]{6,12}:([A-Za-z0-9_-]{30,64})",
    // Private keys (RFC 7468), to their end or that of the text.
    r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----([^-]*)",
    // Password in a URL (RFC 3986 §3.2.1).
    r#"://[^\s/:@?#"'<>]{0,128}:([^\s/@?#"'<>]{1,256})@"#,
];

/// `basic` and possible credentials (RFC 7617).
const BASIC: &str = r"(?i)\bbasic(?:[ +\t]|%20)+([A-Za-z0-9+/=_-]{6,})";

/// All patterns as one, so that a text is scanned once.
static REGEX: LazyLock<Regex> = LazyLock::new(|| {
    let forms: Vec<String> = PATTERNS.iter().map(|form| format!("(?:{form})")).collect();
    Regex::new(&format!("(?-u)(?:{})", forms.join("|"))).expect("tested")
});
static BASIC_REGEX: LazyLock<Regex> = LazyLock::new(|| Regex::new(&format!("(?-u){BASIC}")).expect("tested"));

/// Every secret in `text`, unordered; spans may overlap.
pub fn scan(text: &[u8]) -> Vec<Span> {
    let mut spans = Vec::new();
    for found in REGEX.captures_iter(text) {
        let group = (1..found.len()).find_map(|group| found.get(group));
        spans.extend(group.or_else(|| found.get(0)).map(|secret| Span::star(secret.range())));
    }
    spans.retain(|span| !span.range.is_empty());
    for found in BASIC_REGEX.captures_iter(text) {
        let secret = found.get(1).filter(|m| base64::decode(m.as_bytes()).is_some_and(|text| text.contains(&b':')));
        spans.extend(secret.map(|secret| Span::star(secret.range())));
    }
    cards(text, &mut spans);
    keyed(text, &mut spans);
    emails::scan(text, &mut spans);
    name_value::scan(text, &mut spans);
    spans
}

/// Values after a revealing name: `password=x`, `"token": "x"`, `<pin>1</pin>`, `api-key: x`.
fn keyed(text: &[u8], spans: &mut Vec<Span>) {
    let mut done = 0;
    for at in memchr::memchr3_iter(b'=', b':', b'>', text) {
        if at < done || !secret_names::is_secret(name_before(text, at)) {
            continue;
        }
        let Some(span) = value_after(text, at) else { continue };
        done = span.range.end;
        spans.push(span);
    }
}

/// The name before the separator at `at`; for an XML tag, the name of the element.
fn name_before(text: &[u8], at: usize) -> &[u8] {
    let from = at.saturating_sub(MAX_KEY + MAX_GAP);
    let before = &text[from..at];
    if text[at] == b'>' {
        let Some(open) = memchr::memrchr(b'<', before) else { return b"" };
        let tag = &before[open + 1..];
        let name = &tag[..tag.iter().position(u8::is_ascii_whitespace).unwrap_or(tag.len())];
        return name_value::name_in_tag(tag).unwrap_or(name);
    }
    let end =
        before.iter().rposition(|b| !matches!(b, b' ' | b'\t' | b'"' | b'\'' | b'\\' | b'`')).map_or(0, |p| p + 1);
    let name = &before[..end];
    let is_name = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b'[' | b']' | b'%' | 0x80..);
    let start = name.iter().rposition(|b| !is_name(b)).map_or(0, |p| p + 1);
    &name[start..]
}

/// The value after the separator at `at`.
fn value_after(text: &[u8], at: usize) -> Option<Span> {
    if text[at] == b'>' {
        let rest = &text[at + 1..];
        let length = memchr::memchr(b'<', rest).unwrap_or(rest.len());
        return (length > 0).then(|| Span::star(at + 1..at + 1 + length));
    }
    let mut start = at + 1;
    let mut quote = None;
    let mut backslashes = 0;
    while start < text.len() && start <= at + MAX_GAP && quote.is_none() {
        match text[start] {
            b' ' | b'\t' if backslashes == 0 => {}
            b'\\' => backslashes += 1,
            mark @ (b'"' | b'\'' | b'`') => quote = Some((mark, backslashes)),
            _ => break,
        }
        start += 1;
    }
    let rest = &text[start..];
    let length = match quote {
        Some((quote, backslashes)) => quoted(rest, quote, backslashes),
        None => plain(rest),
    };
    let behind = if quote.is_none() { rest.len() - credentials(rest).len() } else { 0 };
    let (start, value) = (start + behind, &rest[behind..length]);
    if value.is_empty() || (quote.is_none() && matches!(value, b"null" | b"true" | b"false")) {
        return None;
    }
    let number =
        quote.is_none() && text[at] == b':' && value.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b));
    Some(Span { range: start..start + value.len(), style: if number { MaskStyle::Digit } else { MaskStyle::Star } })
}

/// Bytes before the closing quote of a string whose opening quote follows `backslashes` backslashes: in nested strings,
/// each level escapes the quotes again.
fn quoted(text: &[u8], quote: u8, backslashes: usize) -> usize {
    let level = (backslashes + 1).next_power_of_two();
    let mut from = 0;
    while let Some(found) = memchr::memchr(quote, &text[from..]) {
        let at = from + found;
        let run = text[from..at].iter().rev().take_while(|b| **b == b'\\').count();
        if (run / level).is_multiple_of(2) {
            return at - run.min(backslashes);
        }
        from = at + 1;
    }
    text.len()
}

/// Bytes of a value without quotes. An authentication scheme and its credentials are one value.
fn plain(text: &[u8]) -> usize {
    let ends = |b: &u8| b.is_ascii_whitespace() || b"&;,\"'`<>(){}[]".contains(b);
    let word = |from: usize| text[from..].iter().position(ends).map_or(text.len(), |length| from + length);
    let behind = text.len() - credentials(text).len();
    word(behind)
}

/// Card numbers: 13 to 19 digits, single or double separators between groups, the Luhn check (ISO/IEC 7812-1 annex B),
/// and a first digit assigned to banks, which excludes times in milliseconds.
fn cards(text: &[u8], spans: &mut Vec<Span>) {
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.iter().position(u8::is_ascii_digit)) {
        let groups = groups(text, at + found);
        at = groups.last().map_or(text.len(), |group| group.end);
        let mut next = 0;
        for first in 0..groups.len() {
            if first < next {
                continue;
            }
            let mut digits = Vec::new();
            for (last, group) in groups.iter().enumerate().skip(first) {
                if digits.len() + group.len() > *CARD_DIGITS.end() {
                    break;
                }
                digits.extend(text[group.clone()].iter().map(|digit| digit - b'0'));
                if is_card(&digits) {
                    spans.push(Span::star(groups[first].start..group.end));
                    next = last + 1;
                }
            }
        }
    }
}

/// The groups of digits from `start` on that are joined by separators.
fn groups(text: &[u8], start: usize) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut at = start;
    loop {
        let length = text[at..].iter().position(|b| !b.is_ascii_digit()).unwrap_or(text.len() - at);
        groups.push(at..at + length);
        at += length;
        let gap = match &text[at..] {
            [b'%', b'2', b'0' | b'D' | b'd', ..] => 3,
            [b' ' | b'-' | b'+', b' ' | b'-', ..] => 2,
            [b' ' | b'-' | b'+', ..] => 1,
            _ => return groups,
        };
        if !text.get(at + gap).is_some_and(u8::is_ascii_digit) {
            return groups;
        }
        at += gap;
    }
}

/// Whether `digits` may be a card number.
fn is_card(digits: &[u8]) -> bool {
    let bank = matches!(digits.first(), Some(2..=6)) || digits.starts_with(&[9, 7, 9, 2]);
    let double = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let weigh = |(at, &digit): (usize, &u8)| u32::from(if at % 2 == 1 { double(digit) } else { digit });
    bank && CARD_DIGITS.contains(&digits.len()) && digits.iter().rev().enumerate().map(weigh).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn masked(text: &str) -> String {
        let mut out = text.as_bytes().to_vec();
        for span in scan(text.as_bytes()) {
            super::super::apply(&mut out, &span);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn secrets_are_found_in_text() {
        for (text, want) in [
            ("q=1&password=hunter2&r=2", "q=1&password=*******&r=2"),
            (r#"{"password": "hu\"nter", "a": 1}"#, r#"{"password": "********", "a": 1}"#),
            (r#"{"pin": 1234, "token": null}"#, r#"{"pin": 1111, "token": null}"#),
            (r#"mutation{login(password:\"hunter2\",x:1)}"#, r#"mutation{login(password:\"*******\",x:1)}"#),
            ("<ns:password type='x'>hunter2</ns:password>", "<ns:password type='x'>*******</ns:password>"),
            ("Authorization: Bearer abcdef123", "Authorization: Bearer *********"),
            ("see bearer abc.def-123 there", "see bearer *********** there"),
            ("basic training, basic dXNlcjpwYXNz", "basic training, basic ************"),
            ("x eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln y", "x ***************************************** y"),
            ("http://user:pa55@host/ a:b@c", "http://user:****@host/ a:b@c"),
            ("pay 4111 1111 1111 1111 now", "pay ******************* now"),
            ("1 4111-1111-1111-1111", "1 *******************"),
            ("4111%201111%201111%201111", "*************************"),
            ("3782 822463 10005 and 6011111111111117", "***************** and ****************"),
            ("AKIAIOSFODNN7EXAMPLE", "********************"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END", "-----BEGIN RSA PRIVATE KEY-----******-----END"),
        ] {
            assert_eq!(masked(text), want);
        }
    }

    #[test]
    fn text_without_secrets_is_unchanged() {
        for text in [
            "1 union select username,password from users",
            "id=1' or '1'='1",
            "<script>alert(document.cookie)</script>",
            "4111111111111112",
            "1700000000000",
            "time 1767225600000 12345678901234567890123",
            "eyewitness.example.com",
            "https://example.com:8080/a@b",
            "tokens are good; pass: ",
        ] {
            assert_eq!(masked(text), text);
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_fine(text in proptest::collection::vec(any::<u8>(), 0..400)) {
            for span in scan(&text) {
                prop_assert!(span.range.start < span.range.end && span.range.end <= text.len());
            }
        }

        #[test]
        fn cards_are_found_however_they_are_grouped(
            digits in "[3-6][0-9]{14}", cuts in proptest::collection::vec(any::<bool>(), 15), separator in "[ +-]",
        ) {
            let check = (0..10).find(|c| is_card(&format!("{digits}{c}").bytes().map(|b| b - b'0').collect::<Vec<_>>()));
            let mut text = String::from("a ");
            for (digit, bytes_cut) in digits.chars().zip(cuts) {
                text.push(digit);
                if bytes_cut { text.push_str(&separator) }
            }
            text.push_str(&format!("{} b", check.unwrap()));
            prop_assert!(masked(&text).bytes().all(|b| !b.is_ascii_digit()), "{}", text);
        }
    }

    /// The number of spans stays linear in a long text of separators.
    #[test]
    fn hostile_repetition_is_linear() {
        for piece in ["password=", "\"pin\":", "<pin>", "4111 ", "ey", "bearer ", "://a:", "e", "\\\"token\\\":"] {
            let text = piece.repeat(200_000 / piece.len());
            assert!(scan(text.as_bytes()).len() <= text.len());
        }
    }
}
