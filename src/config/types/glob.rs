//! Host patterns.

use super::{Bad, Setting};

/// A host pattern with `*`, `?` and `[a-z]`, compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// Longest host pattern, in bytes: as long as a host name can be.
const MAX_GLOB: usize = 255;

impl Glob {
    /// The pattern, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Why the pattern fits no host as requests are compared: without port, and as browsers send names.
    pub fn fits_nothing(&self) -> Option<(&'static str, &'static str)> {
        // A colon within `[...]` is part of a class, or of an IPv6 address.
        let bare = self.0.rsplit_once(']').map_or(self.0.as_str(), |(_, rest)| rest);
        if bare.contains(':') {
            return Some(("hosts are compared without their port: this pattern fits none", "leave the port out"));
        }
        if !self.0.is_ascii() {
            let help =
                "write the name as browsers send it, such as `xn--mnchen-3ya.example` for `m\u{fc}nchen.example`";
            return Some(("browsers send no letters beyond ASCII in a host: this pattern fits none of theirs", help));
        }
        None
    }
}

/// Where the class that begins at `p` ends. None if it is empty, reversed or open.
fn class(pattern: &[u8], p: usize) -> Option<usize> {
    let mut at = p + 1 + usize::from(pattern.get(p + 1) == Some(&b'^'));
    let first = at;
    loop {
        let low = *pattern.get(at)?;
        if low == b']' {
            return (at > first).then_some(at + 1);
        }
        let range = pattern.get(at + 1) == Some(&b'-') && pattern.get(at + 2).is_some_and(|&b| b != b']');
        if range && pattern[at + 2] < low {
            return None;
        }
        at += if range { 3 } else { 1 };
    }
}

impl Setting for Glob {
    const TYPE: &'static str = "host pattern";

    fn parse(text: &str) -> Result<Self, Bad> {
        if text.is_empty() || text.len() > MAX_GLOB {
            return Err(Bad::with("not a host pattern", "write `api.example.com` or `*.example.com`"));
        }
        if text.contains("//") || text.contains('/') {
            return Err(Bad::with("a host pattern has no scheme and no path", "write the host only"));
        }
        let text = text.to_ascii_lowercase();
        let pattern = text.as_bytes();
        let mut at = 0;
        while at < pattern.len() {
            at = match pattern[at] {
                b'[' => class(pattern, at).ok_or_else(|| Bad::new("a `[` class is empty, reversed or not closed"))?,
                b'\\' if at + 1 == pattern.len() => {
                    return Err(Bad::new("a backslash at the end has nothing to escape"));
                }
                b'\\' => at + 2,
                _ => at + 1,
            };
        }
        Ok(Self(text))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_fits_no_host_is_told() {
        for (pattern, fits) in [
            ("shop.example", true),
            ("*.example.", true),
            ("[:a-z]hop.example", true),
            ("[[]2001:db8::1]", true),
            ("xn--mnchen-3ya.example", true),
            ("shop.example:8443", false),
            ("[[]::1]:443", false),
            ("m\u{fc}nchen.example", false),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().fits_nothing().is_none(), fits, "{pattern}");
        }
    }

    #[test]
    fn what_is_no_host_pattern_is_refused() {
        for good in ["api.example.com", "*.Example.com", "api-?.[a-z]om", "[^a]pi", "\\*.x"] {
            assert_eq!(Glob::parse(good).unwrap().as_str(), good.to_ascii_lowercase());
        }
        for bad in ["", "[", "[]", "[z-a]", "a\\", "http://x", "x/y"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _any = Glob::parse(&text);
        }
    }
}
