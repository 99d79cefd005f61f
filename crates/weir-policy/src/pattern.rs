//! Regular expressions and host globs of settings and rules: crate `regex`, on bytes, linear in the input by construction.

use regex::bytes::{Regex, RegexBuilder};

/// Size limit of one compiled pattern, in bytes.
pub const REGEX_SIZE_LIMIT: usize = 1 << 20;
/// Longest pattern, in bytes.
pub const MAX_PATTERN: usize = 4096;

/// Compiles `pattern`. `\w`, `\d` and `\s` are ASCII, as in RE2; `.` also matches a line feed, so that a value cannot be
/// hidden behind one.
pub fn regex(pattern: &str, ignore_case: bool) -> Result<Regex, String> {
    if pattern.len() > MAX_PATTERN {
        return Err(format!("a pattern of {} bytes; {MAX_PATTERN} are allowed", pattern.len()));
    }
    RegexBuilder::new(pattern)
        .unicode(false)
        .dot_matches_new_line(true)
        .case_insensitive(ignore_case)
        .size_limit(REGEX_SIZE_LIMIT)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(limit) => format!("the pattern compiles to more than {limit} bytes"),
            error => last_line(&error.to_string()),
        })
}

/// Compiles the pattern of a rule condition, written for PIRE by users of comparable nodes.
///
/// Alternation, groups, classes, `[.]` for a literal dot, repetition and anchors are the same; an unanchored pattern
/// matches a substring. Operators that differ are rejected instead of misinterpreted: `~` (not) and `&` (and) outside a
/// class. As in PIRE nodes, `^.*$` does not match an empty value.
pub fn pire(pattern: &str) -> Result<Regex, String> {
    if let Some(operator) = pire_operator(pattern) {
        return Err(format!("the PIRE operator `{operator}` is not supported; write `[{operator}]` for the character"));
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
pub fn glob(glob: &str) -> Result<Regex, String> {
    let mut out = String::from("^(?:");
    let mut chars = glob.chars();
    while let Some(c) = chars.next() {
        match c {
            '*' => out.push_str("[^/]*"),
            '?' => out.push_str("[^/]"),
            '[' => class(&mut chars, &mut out)?,
            '\\' => push_literal(chars.next().ok_or("a glob that ends in `\\`")?, &mut out),
            c => push_literal(c, &mut out),
        }
    }
    out.push_str(")$");
    regex(&out, true)
}

/// Translates a class; `chars` is after its `[`.
fn class(chars: &mut std::str::Chars<'_>, out: &mut String) -> Result<(), String> {
    const OPEN: &str = "a `[` without `]` in a glob";
    out.push('[');
    let mut next = chars.next().ok_or(OPEN)?;
    if next == '^' {
        out.push('^');
        next = chars.next().ok_or(OPEN)?;
    }
    let mut members = 0;
    while next != ']' || members == 0 {
        let low = member(next, chars)?;
        push_literal(low, out);
        next = chars.next().ok_or(OPEN)?;
        if next == '-' {
            let end = chars.next().ok_or(OPEN)?;
            let high = member(end, chars)?;
            if high < low {
                return Err(format!("an empty range `{low}-{high}` in a glob"));
            }
            out.push('-');
            push_literal(high, out);
            next = chars.next().ok_or(OPEN)?;
        }
        members += 1;
    }
    out.push(']');
    Ok(())
}

/// One end of a range in a class.
fn member(first: char, chars: &mut std::str::Chars<'_>) -> Result<char, String> {
    let c = match first {
        '\\' => chars.next().ok_or("a `[` without `]` in a glob")?,
        ']' | '-' => return Err(format!("write `\\{first}` for `{first}` in a class of a glob")),
        c => c,
    };
    if c.is_ascii() { Ok(c) } else { Err(format!("`{c}` in a class of a glob: host names are ASCII")) }
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
        assert!(pire("(~(a))").unwrap_err().contains("`~`"));
        assert!(pire("a&b").unwrap_err().contains("`&`"));
    }

    #[test]
    fn patterns_are_bounded() {
        assert!(regex(&"a".repeat(MAX_PATTERN + 1), false).is_err());
        assert!(regex("(?:a{1000}){1000}", false).unwrap_err().contains("bytes"));
        assert_eq!(regex("(", false).unwrap_err(), "unclosed group");
    }
}
