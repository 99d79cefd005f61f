//! The root element of an XML document, by which its format is known whatever is declared.

use memchr::memmem;

/// The local name of the root element of `content`, if it begins like an XML document. Takes time linear in what comes before
/// that element.
pub fn root(content: &[u8]) -> Option<&[u8]> {
    let mut rest = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).trim_ascii_start();
    loop {
        let (open, close): (usize, &[u8]) = match rest {
            [b'<', b'?', ..] => (2, b"?>"),
            [b'<', b'!', b'-', b'-', ..] => (4, b"-->"),
            [b'<', b'!', ..] => {
                let end = memchr::memchr2(b'[', b'>', rest)?;
                if rest[end] == b'[' { (end, b"]") } else { (2, b">") }
            }
            [b'<', name @ ..] => return Some(local_name(name)),
            _ => return None,
        };
        let end = open + memmem::find(&rest[open..], close)? + close.len();
        rest = rest[end..].trim_ascii_start();
        // What is left of a document type.
        rest = rest.strip_prefix(b">").unwrap_or(rest).trim_ascii_start();
    }
}

/// The name of the element whose tag is `tag` without its first `<`, without its prefix.
pub fn local_name(tag: &[u8]) -> &[u8] {
    const LONGEST: usize = 128;
    let is_name = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'_' | b'-' | b'.');
    let name = &tag[..tag.iter().take(LONGEST).take_while(is_name).count()];
    name.rsplit(|&b| b == b':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_is_found_behind_what_comes_before_it() {
        for (content, name) in [
            ("<svg>", Some("svg")),
            (
                "\u{feff}<?xml version='1.0'?>\n<!-- <a> --><!DOCTYPE x [<!ENTITY a 'b'>]>\n<s:svg xmlns:s='x'/>",
                Some("svg"),
            ),
            ("<!DOCTYPE svg PUBLIC '-//W3C//DTD SVG 1.1//EN' 'x'><svg>", Some("svg")),
            ("text <svg>", None),
            ("<!-- <svg>", None),
            ("", None),
        ] {
            assert_eq!(root(content.as_bytes()), name.map(str::as_bytes), "{content}");
        }
    }
}
