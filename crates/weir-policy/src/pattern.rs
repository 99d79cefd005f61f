//! Regular expressions and host globs of settings and rules: crate `regex`, on bytes, linear in the input by construction.

use regex::bytes::{Regex, RegexBuilder};

/// Size limit of one compiled pattern, in bytes.
pub const REGEX_SIZE_LIMIT: usize = 1 << 20;
/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 4096;

/// Why a pattern or a glob is not taken.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// The pattern is too long; its length in bytes.
    #[error("a pattern of {0} bytes; {MAX_PATTERN} are allowed")]
    TooLong(usize),
    /// The pattern needs too much memory.
    #[error("the pattern compiles to more than {REGEX_SIZE_LIMIT} bytes")]
    TooBig(#[source] regex::Error),
    /// The pattern has a mistake; what it is, in a line.
    #[error("{0}")]
    Syntax(String, #[source] regex::Error),
    /// The pattern has an operator that only PIRE has.
    #[error("the PIRE operator `{0}` is not supported; write `[{0}]` for the character")]
    Pire(char),
    /// A glob ends in an escape.
    #[error("a glob that ends in `\\`")]
    OpenEscape,
    /// A glob has a class without its end.
    #[error("a `[` without `]` in a glob")]
    OpenClass,
    /// A glob has a class with a range that ends before it begins.
    #[error("an empty range `{0}-{1}` in a glob")]
    EmptyRange(char, char),
    /// A glob has a character in a class that must be escaped there.
    #[error("write `\\{0}` for `{0}` in a class of a glob")]
    Unescaped(char),
    /// A glob has a character in a class that no host name has.
    #[error("`{0}` in a class of a glob: host names are ASCII")]
    NotAscii(char),
}

/// Compiles `pattern`. `\w`, `\d` and `\s` are ASCII, as in RE2; `.` also matches a line feed, so that a value cannot be
/// hidden behind one.
pub fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, PatternError> {
    if pattern.len() > MAX_PATTERN {
        return Err(PatternError::TooLong(pattern.len()));
    }
    RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(ignore_case)
        .size_limit(REGEX_SIZE_LIMIT)
        .build()
        .map_err(|error| match error {
            error @ regex::Error::CompiledTooBig(_) => PatternError::TooBig(error),
            error => PatternError::Syntax(last_line(&error.to_string()), error),
        })
}

/// Compiles the pattern of a rule condition, written for PIRE by users of comparable nodes.
///
/// Alternation, groups, classes, `[.]` for a literal dot, repetition and anchors are the same; an unanchored pattern
/// matches a substring. Operators that differ are rejected instead of misinterpreted: `~` (not) and `&` (and) outside a
/// class. As in PIRE nodes, `^.*$` does not match an empty value.
pub fn pire(pattern: &str) -> Result<Regex, PatternError> {
    if let Some(operator) = pire_operator(pattern) {
        return Err(PatternError::Pire(operator));
    }
    regex(if pattern == "^.*$" { "^.+$" } else { pattern }, false)
}

/// `~` or `&` outside a class and not escaped.
fn pire_operator(pattern: &str) -> Option<char> {
    let (mut in_class, mut escaped) = (false, false);
    for c in pattern.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '[' => in_class = true,
            ']' => in_class = false,
            '~' | '&' if !in_class => return Some(c),
            _ => {}
        }
    }
    None
}

/// Whether `glob` has no special character.
pub fn is_literal_glob(glob: &str) -> bool {
    !glob.contains(['*', '?', '[', '\\'])
}

/// Compiles a glob like Go's `path.Match`, case-insensitive: `*` any sequence without `/`, `?` any byte except `/`,
/// `[a-z]` and `[^a-z]` classes, `\` escapes the next character. The whole text must match.
pub fn glob(glob: &str) -> Result<Regex, PatternError> {
    let mut out = String::from("^(?:");
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => class(&mut chars, &mut out)?,
            '\\' => push_literal(chars.next().ok_or(PatternError::OpenEscape)?, &mut out),
            c => push_literal(c, &mut out),
        }
    }
    out.push_str(")$");
    regex(&out, true)
}

/// Translates a class; `chars` is after its `[`.
fn class(chars: &mut std::str::Chars<'_>, out: &mut String) -> Result<(), PatternError> {
    out.push('[');
    let mut next = chars.next().ok_or(PatternError::OpenClass)?;
    if next == '^' {
        out.push('^');
        next = chars.next().ok_or(PatternError::OpenClass)?;
    }
    let mut members = 0;
    while next != ']' || members == 0 {
        let low = member(next, chars)?;
        push_literal(low, out);
        next = chars.next().ok_or(PatternError::OpenClass)?;
        if next == '-' {
            let end = chars.next().ok_or(PatternError::OpenClass)?;
            let high = member(end, chars)?;
            if high < low {
                return Err(PatternError::EmptyRange(low, high));
            }
            out.push('-');
            push_literal(high, out);
            next = chars.next().ok_or(PatternError::OpenClass)?;
        }
        members += 1;
    }
    out.push(']');
    Ok(())
}

/// One end of a range in a class.
fn member(first: char, chars: &mut std::str::Chars<'_>) -> Result<char, PatternError> {
    let c = match first {
        '\\' => chars.next().ok_or(PatternError::OpenClass)?,
        ']' | '-' => return Err(PatternError::Unescaped(first)),
        c => c,
    };
    if c.is_ascii() { Ok(c) } else { Err(PatternError::NotAscii(c)) }
}

fn push_literal(c: char, out: &mut String) {
    out.push_str(&regex::escape(c.encode_utf8(&mut [0; 4])));
}

/// The last line of a regex error is the message; the lines before show the pattern.
fn last_line(message: &str) -> String {
    let line = message.lines().last().unwrap_or(message);
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_those_of_go() {
        for (pattern, text, want) in [
            ("*.example.com", "a.b.example.com", true),
            ("*.example.com", "example.com", false),
            ("api?.x", "api1.x", true),
            ("api?.x", "api.x", false),
            ("[a-c]x", "bx", true),
            ("[^a-c]x", "bx", false),
            ("[a\\]]x", "]x", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("a.c", "abc", false),
            ("*", "", true),
            ("*", "a/b", false),
            ("A*", "abc", true),
            ("a", "a\n", false),
        ] {
            assert_eq!(glob(pattern).unwrap().is_match(text.as_bytes()), want, "{pattern} {text}");
        }
        for bad in ["[", "[a", "[]", "a\\", "[b-a]", "[a-]"] {
            assert!(glob(bad).is_err(), "{bad}");
        }
        assert!(is_literal_glob("example.com") && !is_literal_glob("*.com"));
    }

    #[test]
    fn pire_habits_map_or_are_refused() {
        assert!(pire("^example[.]com$").unwrap().is_match(b"example.com"));
        assert!(!pire("^example[.]com$").unwrap().is_match(b"exampleXcom"));
        assert!(pire("admin").unwrap().is_match(b"/x/admin/y"));
        assert!(!pire("^.*$").unwrap().is_match(b""));
        assert!(pire("^a.*b$").unwrap().is_match(b"a\nb"));
        assert!(pire("[~&]").unwrap().is_match(b"~"));
        assert!(pire("(~(a))").unwrap_err().to_string().contains("`~`"));
        assert!(pire("a&b").unwrap_err().to_string().contains("`&`"));
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(regex(&"a".repeat(MAX_PATTERN + 1), false).is_err());
        assert!(regex("(?:a{1000}){1000}", false).unwrap_err().to_string().contains("bytes"));
        assert_eq!(regex("(", false).unwrap_err().to_string(), "unclosed group");
    }
}
