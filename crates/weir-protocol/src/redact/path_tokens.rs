//! Secrets in paths: tokens after a revealing segment (`/reset/TOKEN`), random segments, matrix parameters
//! (`;jsessionid=...`). One pass, linear in the text.

use super::secret_names;
use super::secret_patterns::Span;
use std::borrow::Cow;

/// Shortest segment after a revealing one that may be a token.
const MIN_TOKEN: usize = 6;
/// From this length on it is one whatever its letters: no word is as long.
const LONG: usize = 24;
/// Shortest segment that is a token by its randomness alone.
const MIN_RANDOM: usize = 20;
/// Shortest segment that a pattern of a secret matches: a card number.
const MIN_PATTERN: usize = 13;
/// Shortest value of an ambiguous name that is a token by its form.
const MIN_VALUE: usize = 10;
/// Digits from which on a segment of hexadecimal digits alone is a token and not a number or an id.
const MIN_HEX: usize = 32;

/// Segments before a token, besides the names of secrets.
const BEFORE_TOKEN: &[&str] = &[
    "activate",
    "activation",
    "confirm",
    "confirmation",
    "hook",
    "hooks",
    "invitation",
    "invitations",
    "invite",
    "invites",
    "magic",
    "magiclink",
    "optin",
    "recover",
    "recovery",
    "reset",
    "restore",
    "session",
    "sessions",
    "sso",
    "unlock",
    "unsubscribe",
    "validate",
    "verification",
    "verify",
    "webhook",
    "webhooks",
];

/// Names whose value is a secret only if it looks like one: a code may be that of a country.
const AMBIGUOUS: &[&str] =
    &["challenge", "code", "hash", "hmac", "key", "nonce", "sess", "session", "sign", "state", "ticket", "verifier"];

/// Adds the secrets in `path`, a path without a query, or one before `?`.
pub fn scan(path: &[u8], spans: &mut Vec<Span>) {
    let end = memchr::memchr2(b'?', b'#', path).unwrap_or(path.len());
    let (mut start, mut revealing) = (0, false);
    for segment in path[..end].split(|&b| b == b'/') {
        let from = start;
        start += segment.len() + 1;
        let base = memchr::memchr(b';', segment).unwrap_or(segment.len());
        parameters(from + base, &segment[base..], spans);
        let base = &segment[..base];
        if base.is_empty() {
            continue;
        }
        if is_random(base) || (revealing && is_token(base)) {
            spans.push(Span::star(from..from + base.len()));
        }
        revealing = is_before_token(base);
    }
}

/// `path` without its secrets, for a line of the log.
pub fn masked(path: &[u8]) -> Cow<'_, [u8]> {
    let mut spans = Vec::new();
    if may_hold_pattern(path) {
        spans = super::secret_patterns::scan(path);
    }
    scan(path, &mut spans);
    if spans.is_empty() {
        return Cow::Borrowed(path);
    }
    let mut out = path.to_vec();
    spans.iter().for_each(|span| super::apply(&mut out, span));
    Cow::Owned(out)
}

/// Whether any pattern can match in `path`: they need a sign or a long segment. Almost no path does, and every one is logged.
fn may_hold_pattern(path: &[u8]) -> bool {
    let long = || path.split(|&b| b == b'/').any(|segment| segment.len() >= MIN_PATTERN);
    memchr::memchr3(b'=', b':', b'@', path).is_some() || memchr::memchr(b'%', path).is_some() || long()
}

/// Matrix parameters (RFC 3986 §3.3) that begin at `from`.
fn parameters(from: usize, text: &[u8], spans: &mut Vec<Span>) {
    let mut at = from;
    for parameter in text.split(|&b| b == b';') {
        if let Some(equals) = memchr::memchr(b'=', parameter) {
            let (name, value) = (&parameter[..equals], &parameter[equals + 1..]);
            if !value.is_empty() && (secret_names::is_secret(name) || is_random(value)) {
                spans.push(Span::star(at + equals + 1..at + parameter.len()));
            }
        }
        at += parameter.len() + 1;
    }
}

/// Whether the value called `name` is a secret by the form of `value`, where the name alone does not tell.
pub fn is_ambiguous_secret(name: &[u8], value: &[u8]) -> bool {
    AMBIGUOUS.iter().any(|known| secret_names::has_word(name, known.as_bytes())) && is_value(value)
}

fn is_before_token(segment: &[u8]) -> bool {
    BEFORE_TOKEN.iter().any(|known| secret_names::has_word(segment, known.as_bytes()))
        || secret_names::is_secret(segment)
}

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.~=%+".contains(&byte)
}

/// Whether a segment after a revealing one is a token: not a word, a file name or a version.
fn is_token(segment: &[u8]) -> bool {
    let mixed = segment.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    segment.len() >= MIN_TOKEN
        && segment.iter().all(|&byte| is_token_byte(byte))
        && (segment.len() >= LONG || mixed || segment.iter().any(u8::is_ascii_digit))
}

/// Whether a value has the form of a token: letters and digits, no words.
fn is_value(value: &[u8]) -> bool {
    let digits = value.iter().filter(|byte| byte.is_ascii_digit()).count();
    let letters = value.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
    value.len() >= MIN_VALUE
        && value.iter().all(|&byte| is_token_byte(byte) || byte == b'/')
        && letters > 0
        && (digits > 1 || changes(value) >= value.len() / 4)
}

/// Whether `text` is random: long, of letters and digits that change often. A UUID is an id more often than a token.
fn is_random(text: &[u8]) -> bool {
    let text = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"=")).unwrap_or(text);
    if text.len() < MIN_RANDOM || is_uuid(text) {
        return false;
    }
    if !text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_')) {
        return false;
    }
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    if text.iter().all(u8::is_ascii_hexdigit) {
        return text.len() >= MIN_HEX && digits < text.len();
    }
    digits >= 3 && changes(text) >= text.len() / 4
}

/// How often a digit, a capital and a small letter follow one another.
fn changes(text: &[u8]) -> usize {
    let class = |byte: u8| match byte {
        b'0'..=b'9' => 1,
        b'A'..=b'Z' => 2,
        b'a'..=b'z' => 3,
        _ => 0,
    };
    text.windows(2)
        .filter(|pair| class(pair[0]) != 0 && class(pair[1]) != 0 && class(pair[0]) != class(pair[1]))
        .count()
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text
            .iter()
            .enumerate()
            .all(|(at, byte)| if matches!(at, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(path: &str) -> String {
        String::from_utf8(masked(path.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn tokens_in_paths_are_masked() {
        for (path, want) in [
            ("/reset/a1b2c3d4/", "/reset/********/"),
            ("/password-reset/Zm9vYmFy", "/password-reset/********"),
            ("/api/v1/token/8d7f/x", "/api/v1/token/8d7f/x"),
            ("/invite/123456", "/invite/******"),
            (
                "/confirm/6f1c1f6e-2b1a-4c5e-9d3e-0a1b2c3d4e5f/done",
                "/confirm/************************************/done",
            ),
            (
                "/hooks/T0AB12CD3/B0EF45GH6/aB3dE6gH9jK2mN5pQ8sT1vW4",
                "/hooks/*********/B0EF45GH6/************************",
            ),
            ("/cart/shop;jsessionid=A1B2C3;v=2", "/cart/shop;jsessionid=******;v=2"),
            ("/d/0123456789abcdef0123456789abcdef", "/d/********************************"),
            ("/mail/jane.doe@example.com/x", "/mail/********************/x"),
        ] {
            assert_eq!(shown(path), want);
        }
    }

    #[test]
    fn ordinary_paths_stay() {
        for path in [
            "/",
            "/api/v1/users/1234567890123",
            "/verify/email/page2",
            "/articles/2024-11-28-how-we-moved-to-rust-in-3-days",
            "/orders/6f1c1f6e-2b1a-4c5e-9d3e-0a1b2c3d4e5f",
            "/assets/application-bundle-main.js",
            "/token/refresh",
            "/session/v2/../../etc/passwd",
            "/a;b=c;color=red/d",
            "/internationalization-guidelines",
            "/img/logo@2x.png",
        ] {
            assert_eq!(shown(path), path);
        }
    }

    #[test]
    fn ambiguous_names_need_a_value_that_looks_like_a_secret() {
        for (name, value, secret) in [
            ("code", "4/0AX4XfWhAb9", true),
            ("state", "af0ifjsldkj1x9", true),
            ("code", "DE", false),
            ("code", "SPRING-SALE", false),
            ("key", "user.name", false),
            ("status", "af0ifjsldkj1x9", false),
        ] {
            assert_eq!(is_ambiguous_secret(name.as_bytes(), value.as_bytes()), secret, "{name}={value}");
        }
    }
}
