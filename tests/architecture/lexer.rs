//! Just enough of Rust's lexical rules to tell code from comments, strings and tests. Each function keeps the length and
//! the lines of its input: what it removes becomes spaces.

/// `text` without comments.
pub fn without_comments(text: &str) -> String {
    blank(text, false)
}

/// `text` without comments and without the contents of strings and characters.
pub fn bare(text: &str) -> String {
    blank(text, true)
}

fn blank(text: &str, strings: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let (end, remove) = if rest.starts_with(b"//") {
            (at + rest.iter().position(|b| *b == b'\n').unwrap_or(rest.len()), true)
        } else if rest.starts_with(b"/*") {
            (block_comment(bytes, at), true)
        } else if let Some(hashes) = raw_string(bytes, at) {
            let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
            let open = at + bytes[at..].iter().position(|b| *b == b'"').unwrap() + 1;
            let end = bytes[open..].windows(close.len()).position(|window| window == close);
            (end.map_or(bytes.len(), |end| open + end + close.len()), strings)
        } else if rest[0] == b'"' {
            (quoted(bytes, at, b'"'), strings)
        } else if rest[0] == b'\'' && is_char(rest) {
            (quoted(bytes, at, b'\''), strings)
        } else {
            at += 1;
            continue;
        };
        if remove {
            out[at..end].iter_mut().filter(|b| **b != b'\n').for_each(|b| *b = b' ');
        }
        at = end;
    }
    String::from_utf8(out).expect("whole comments and literals become spaces")
}

/// The end of the block comment at `at`; they nest.
fn block_comment(bytes: &[u8], at: usize) -> usize {
    let (mut depth, mut at) = (1, at + 2);
    while at < bytes.len() && depth > 0 {
        match &bytes[at..] {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
    }
    at
}

/// The number of `#` where a raw string begins at `at`.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let before = at.checked_sub(1).map(|before| bytes[before]);
    if before.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return None;
    }
    let rest = &bytes[at..];
    let rest = rest.strip_prefix(b"b").or_else(|| rest.strip_prefix(b"c")).unwrap_or(rest);
    let rest = rest.strip_prefix(b"r")?;
    let hashes = rest.iter().take_while(|b| **b == b'#').count();
    (rest.get(hashes) == Some(&b'"')).then_some(hashes)
}

/// The end of the string or character at `at`.
fn quoted(bytes: &[u8], at: usize, quote: u8) -> usize {
    let mut at = at + 1;
    while at < bytes.len() && bytes[at] != quote {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    (at + 1).min(bytes.len())
}

/// Whether an apostrophe begins a character, not a lifetime.
fn is_char(rest: &[u8]) -> bool {
    let text = String::from_utf8_lossy(&rest[1..rest.len().min(12)]);
    let mut chars = text.chars();
    match chars.next() {
        Some('\\') => true,
        Some(_) => chars.next() == Some('\''),
        None => false,
    }
}

/// The end of the item at `at` of bare code: after its closing brace or its semicolon.
pub fn end_of_item(bare: &str, at: usize) -> usize {
    let mut depth = 0usize;
    for (offset, c) in bare[at..].char_indices() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => {
                depth = depth.saturating_sub(1);
                if depth == 0 && c == '}' {
                    return at + offset + 1;
                }
            }
            ';' if depth == 0 => return at + offset + 1,
            _ => {}
        }
    }
    bare.len()
}

/// Where the items of bare code are that exist under `#[cfg(test)]` alone.
pub fn tests(bare: &str) -> Vec<std::ops::Range<usize>> {
    const ATTRIBUTE: &str = "#[cfg(test)]";
    let mut out: Vec<std::ops::Range<usize>> = Vec::new();
    for (at, _) in bare.match_indices(ATTRIBUTE) {
        if out.last().is_some_and(|last| last.contains(&at)) {
            continue;
        }
        // Further attributes belong to the item.
        let mut item = at + ATTRIBUTE.len();
        while bare[item..].trim_start().starts_with("#[") {
            item += bare[item..].find(']').unwrap() + 1;
        }
        out.push(at..end_of_item(bare, item));
    }
    out
}

#[test]
fn comments_strings_and_tests_are_told_from_code() {
    let text = "fn a() { \"}\\\"//\"; r#\"\"}\"#; '{'; '\\''; let _: &'static str; } // }\n/* { /* */ { */ b\n";
    let bare = bare(text);
    assert_eq!(bare.len(), text.len());
    assert_eq!(end_of_item(&bare, 0), bare.find("} ").unwrap() + 1, "{bare}");
    assert!(bare.contains("&'static str") && bare.trim_end().ends_with('b') && !bare.contains("//"), "{bare}");
    assert!(without_comments(text).contains("\"}\\\"//\""));
    let code = "#[cfg(test)]\n#[path = \"x.rs\"]\nmod tests;\nfn kept() {}\n#[cfg(test)]\nmod more { fn a() {} }\nfn last() {}\n";
    let mut left = code.to_owned();
    tests(code).into_iter().rev().for_each(|range| left.replace_range(range, ""));
    assert_eq!(left.split_whitespace().collect::<Vec<_>>().join(" "), "fn kept() {} fn last() {}");
}
