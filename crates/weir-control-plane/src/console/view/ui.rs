//! Icons of the sprite, addresses of assets, links with parameters.

use std::fmt;

/// An icon of the sprite; decorative, so that screen readers skip it.
#[derive(Clone, Copy, Debug)]
pub struct Icon(&'static str);

/// The icon of that name in `assets/icons.svg`.
pub const fn icon(name: &'static str) -> Icon {
    Icon(name)
}

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sprite = super::super::assets::url("icons.svg");
        write!(f, "<svg class=\"icon\" aria-hidden=\"true\"><use href=\"{sprite}#{}\"/></svg>", self.0)
    }
}

// The name is written in our sources, the address made from a hash.
impl askama::filters::HtmlSafe for Icon {}

/// The address of an asset; it changes with its content, so that browsers may keep it for ever.
pub fn asset(name: &str) -> &'static str {
    super::super::assets::url(name)
}

/// `path?key=value&…`; every value is percent-encoded but for the unreserved characters (RFC 3986 §2.3).
pub fn href(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut out = String::from(path);
    let mut joint = if path.contains('?') { '&' } else { '?' };
    for (key, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        out.push(joint);
        encode(key, &mut out);
        out.push('=');
        encode(value, &mut out);
        joint = '&';
    }
    out
}

/// A path segment, percent-encoded.
pub fn segment(text: &str) -> String {
    let mut out = String::new();
    encode(text, &mut out);
    out
}

fn encode(text: &str, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(byte as char);
        } else {
            out.push('%');
            out.push(HEX[usize::from(byte >> 4)] as char);
            out.push(HEX[usize::from(byte & 15)] as char);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_encode_what_they_carry() {
        assert_eq!(href("/attacks", &[("q", "a&b=\"<é>"), ("x", "")]), "/attacks?q=a%26b%3D%22%3C%C3%A9%3E");
        assert_eq!(href("/a?b=1", &[("c", "2")]), "/a?b=1&c=2");
        assert_eq!(segment("../x/y"), "..%2Fx%2Fy");
    }
}
