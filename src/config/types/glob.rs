//! Host patterns.

use super::{Bad, Setting};

/// A host pattern with `*`, `?` and `[a-z]`, compared without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(String);

/// Longest host pattern, in octets: as long as a host name can be.
const MAX_GLOB: usize = 255;

impl Glob {
    /// The pattern, lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `host`, which must be lower case, matches as a whole.
    pub fn matches(&self, host: &[u8]) -> bool {
        let pattern = self.0.as_bytes();
        let (mut p, mut h) = (0, 0);
        // Where to resume when what follows the last `*` fails: one place suffices, so time is at most quadratic in
        // two lengths that are both bounded.
        let mut star: Option<(usize, usize)> = None;
        while h < host.len() {
            if pattern.get(p) == Some(&b'*') {
                star = Some((p + 1, h));
                p += 1;
            } else if let Some(next) = one(pattern, p, host[h]) {
                (p, h) = (next, h + 1);
            } else if let Some((after, at)) = star {
                star = Some((after, at + 1));
                (p, h) = (after, at + 1);
            } else {
                return false;
            }
        }
        pattern[p..].iter().all(|&b| b == b'*')
    }
}

/// Where the pattern goes on after it took `octet` at `p`; none if it does not.
fn one(pattern: &[u8], p: usize, octet: u8) -> Option<usize> {
    match pattern.get(p)? {
        b'?' => Some(p + 1),
        b'\\' => (*pattern.get(p + 1)? == octet).then_some(p + 2),
        b'[' => {
            let (members, negated, end) = class(pattern, p)?;
            let inside = members.chunks_exact(2).any(|range| range[0] <= octet && octet <= range[1]);
            (inside != negated).then_some(end)
        }
        &b => (b == octet).then_some(p + 1),
    }
}

/// The class that begins at `p`: its ranges as pairs, whether it is negated, where it ends. None if it never ends.
fn class(pattern: &[u8], p: usize) -> Option<(Vec<u8>, bool, usize)> {
    let negated = pattern.get(p + 1) == Some(&b'^');
    let mut at = p + 1 + usize::from(negated);
    let mut ranges = Vec::new();
    loop {
        match (*pattern.get(at)?, ranges.is_empty()) {
            (b']', false) => return Some((ranges, negated, at + 1)),
            (b']', true) => return None,
            (low, _) => {
                let range = pattern.get(at + 1) == Some(&b'-') && pattern.get(at + 2).is_some_and(|&b| b != b']');
                let high = if range { pattern[at + 2] } else { low };
                if high < low {
                    return None;
                }
                ranges.extend([low, high]);
                at += if range { 3 } else { 1 };
            }
        }
    }
}

impl Setting for Glob {
    const TYPE: &'static str = "host pattern";

    fn parse(text: &str) -> Result<Self, Bad> {
        if text.is_empty() || text.len() > MAX_GLOB {
            return Err(Bad::with("not a host pattern", "write `api.example.com` or `*.example.com`"));
        }
        if text.contains("//") || text.contains('/') {
            return Err(Bad::with("a host pattern holds no scheme and no path", "write the host only"));
        }
        let text = text.to_ascii_lowercase();
        let pattern = text.as_bytes();
        let mut at = 0;
        while at < pattern.len() {
            at = match pattern[at] {
                b'[' => class(pattern, at).ok_or_else(|| Bad::new("a `[` class that is empty, reversed or open"))?.2,
                b'\\' if at + 1 == pattern.len() => return Err(Bad::new("a backslash at the end escapes nothing")),
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
    fn globs_match_as_a_whole() {
        let hit = |glob: &str, host: &str| Glob::parse(glob).unwrap().matches(host.as_bytes());
        assert!(hit("api.example.com", "api.example.com"));
        assert!(hit("*.Example.com", "a.b.example.com"));
        assert!(!hit("*.example.com", "example.com"));
        assert!(!hit("*.example.com", "a.example.com.evil.net"));
        assert!(hit("api-?.example.[a-z]om", "api-1.example.com"));
        assert!(!hit("[^a]pi", "api"));
        assert!(hit("*a*b*c", "xxaxxbxxc") && !hit("*a*b*c", "xxaxxbxx"));
        assert!(hit("\\*.x", "*.x") && !hit("\\*.x", "a.x"));
        for bad in ["", "[", "[]", "[z-a]", "a\\", "http://x", "x/y"] {
            assert!(Glob::parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}", host in "[a-c.]{0,12}") {
            if let Ok(glob) = Glob::parse(&text) {
                glob.matches(host.as_bytes());
            }
        }

        #[test]
        fn globs_agree_with_expressions(text in "[ab?*]{1,8}", host in "[ab]{0,10}") {
            let regex = format!("^{}$", text.replace('?', ".").replace('*', ".*"));
            let expected = regex::bytes::Regex::new(&regex).unwrap().is_match(host.as_bytes());
            prop_assert_eq!(Glob::parse(&text).unwrap().matches(host.as_bytes()), expected);
        }
    }
}
