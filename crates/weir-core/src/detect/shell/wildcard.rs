//! Words with wildcards, and what they stand for.

use super::super::work;

/// Files that attacks read, as the segments of their paths.
const SECRETS: &[&[&[u8]]] =
    &[&[b"etc", b"passwd"], &[b"etc", b"shadow"], &[b"etc", b"hosts"], &[b"proc", b"self", b"environ"]];

/// Words of a line that are looked at.
const LEADING_WORDS: usize = 3;

/// Whether one of the first words of a line is a pattern of a sensitive file: `/???/c?t /???/p?ss??`.
pub fn leads_to_secret(line: &[u8]) -> bool {
    line.split(|b| *b == b' ').take(LEADING_WORDS).any(hides_secret)
}

/// Whether a path is a pattern that matches a sensitive file and has wildcards in its first directory: `/e*c/*asswd`. Patterns
/// in documents name that directory, or match everything.
pub fn hides_secret(word: &[u8]) -> bool {
    const MAX_PATTERN: usize = 64;
    let Some(path) = word.strip_prefix(b"/").filter(|path| path.len() <= MAX_PATTERN) else { return false };
    let first = path.split(|b| *b == b'/').next().unwrap_or_default();
    let named = path.iter().filter(|b| b.is_ascii_alphanumeric()).count();
    let stands_for = |secret: &&[&[u8]]| {
        let mut parts = path.split(|b| *b == b'/').filter(|part| !part.is_empty());
        secret.iter().all(|name| parts.next().is_some_and(|part| matches(part, name))) && parts.next().is_none()
    };
    named >= 2 && is_wild(first) && SECRETS.iter().any(stands_for)
}

/// Whether a segment of a path has a wildcard.
pub fn is_wild(part: &[u8]) -> bool {
    part.iter().any(|b| matches!(b, b'?' | b'*' | b'['))
}

/// Whether the wildcards of `pattern` match `name`. A set in brackets matches any letter.
pub fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        work::count(1);
        let (letter, len) = match pattern.get(p) {
            Some(b'[') => (true, memchr::memchr(b']', &pattern[p..]).map_or(1, |end| end + 1)),
            Some(b'?') => (true, 1),
            Some(b) => (*b == name[n], 1),
            None => (false, 0),
        };
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, n));
            p += 1;
        } else if letter {
            (p, n) = (p + len, n + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, n) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern[p..].iter().all(|b| *b == b'*')
}

#[cfg(test)]
mod tests {
    use super::hides_secret;

    #[test]
    fn wildcards_from_the_first_directory_on_hide_a_secret() {
        for word in ["/e*c/*asswd", "/e??/pa???d", "/???/p?ss??", "/[e]tc/shado[w]", "/pr?c/self/envir*"] {
            assert!(hides_secret(word.as_bytes()), "{word}");
        }
        for word in ["/*/*", "/etc/*", "/etc/p*", "/???/???", "e*c/*asswd", "/a*/passwd", "/e*c/passwd/x", "/"] {
            assert!(!hides_secret(word.as_bytes()), "{word}");
        }
    }
}
