//! E-mail addresses (RFC 5321 §4.1.2, without quotes), which identify people. Linear: bounded steps around each `@`.

use super::secret_patterns::Span;

/// Longest local part.
const MAX_LOCAL: usize = 64;
/// Longest domain.
const MAX_DOMAIN: usize = 255;
/// Extensions of files: `logo@2x.png` is no address.
const FILES: &[&str] = &["css", "gif", "jpeg", "jpg", "js", "png", "svg", "webp"];

/// Adds the addresses in `text`.
pub fn scan(text: &[u8], spans: &mut Vec<Span>) {
    for at in memchr::memchr_iter(b'@', text) {
        let before = &text[at.saturating_sub(MAX_LOCAL)..at];
        let local = before.iter().rev().take_while(|byte| is_local(**byte)).count();
        // An escape of the encoding before the address does not belong to it.
        let start = at - local;
        // In a URL this is the user, who is at a host and not at an address.
        let user = text[..start].ends_with(b"//") || text[..start].ends_with(b"://");
        let after = &text[at + 1..text.len().min(at + 1 + MAX_DOMAIN)];
        let length = after.iter().take_while(|byte| is_domain(**byte)).count();
        let domain = &after[..length];
        let domain = domain.strip_suffix(b".").unwrap_or(domain);
        if local > 0 && !user && has_top_level(domain) {
            spans.push(Span::star(start..at + 1 + domain.len()));
        }
    }
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$&*+-_^~".contains(&byte) || byte >= 0x80
}

fn is_domain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.') || byte >= 0x80
}

/// Whether a domain has at least two labels, and the last one letters.
fn has_top_level(domain: &[u8]) -> bool {
    let Some(dot) = memchr::memrchr(b'.', domain).filter(|dot| *dot > 0) else { return false };
    let last = &domain[dot + 1..];
    let letters = last.len() >= 2 && last.iter().all(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80);
    letters && !FILES.iter().any(|file| last.eq_ignore_ascii_case(file.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        let mut spans = Vec::new();
        scan(text.as_bytes(), &mut spans);
        spans.into_iter().map(|span| &text[span.range]).collect()
    }

    #[test]
    fn addresses_are_found() {
        assert_eq!(found("to=a.b+c@mail.example.org&x"), ["a.b+c@mail.example.org"]);
        assert_eq!(found("<jörg@bücher.example>, Bob <bob@x.io>."), ["jörg@bücher.example", "bob@x.io"]);
        assert_eq!(found("mailto:x@y.zz."), ["x@y.zz"]);
    }

    #[test]
    fn other_texts_with_the_sign_are_none() {
        for text in [
            "logo@2x.png",
            "lodash@4.17.21",
            "@angular/core",
            "a@b",
            "git://git@host.example",
            "select @@version",
            "x@",
            "@",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }
}
