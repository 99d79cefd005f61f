//! `!!binary` scalars of YAML (<https://yaml.org/type/binary.html>), of whose base64 a loader makes strings.

/// The tag of such a scalar, short and as a verbatim tag.
const TAGS: [&[u8]; 2] = [b"!!binary", b"!<tag:yaml.org,2002:binary>"];
/// Most scalars of one text and tag that are read.
const MAX_SCALARS: usize = 64;

/// Whether a text has the tag.
pub fn has_tag(text: &[u8]) -> bool {
    TAGS.iter().any(|tag| memchr::memmem::find(text, tag).is_some())
}

/// The base64 digits of each scalar with the tag.
pub fn scalars(text: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    TAGS.into_iter().flat_map(move |tag| {
        memchr::memmem::find_iter(text, tag).take(MAX_SCALARS).map(move |at| digits(&text[at + tag.len()..]))
    })
}

/// The base64 digits of the scalar that follows a tag: on the same line, in quotes, or the lines of a block.
fn digits(rest: &[u8]) -> Vec<u8> {
    let line_end = |text: &[u8]| memchr::memchr(b'\n', text).unwrap_or(text.len());
    let first = rest[..line_end(rest)].trim_ascii();
    let scalar = match first.first() {
        Some(b'|' | b'>') => block(&rest[(line_end(rest) + 1).min(rest.len())..]),
        Some(quote @ (b'"' | b'\'')) => {
            let start = memchr::memchr(*quote, rest).map_or(rest.len(), |at| at + 1);
            let text = &rest[start..];
            &text[..memchr::memchr(*quote, text).unwrap_or(text.len())]
        }
        _ => first.split(|b| matches!(b, b' ' | b',' | b']' | b'}')).next().unwrap_or_default(),
    };
    scalar.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'\\').collect()
}

/// The lines at the begin of `text` that are indented as much as the first one.
fn block(text: &[u8]) -> &[u8] {
    let indent = |line: &[u8]| line.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    let least = indent(text);
    let mut end = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        if indent(line) < least && !line.trim_ascii().is_empty() || least == 0 {
            break;
        }
        end += line.len();
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_are_read_in_every_style() {
        for text in [
            "a: !!binary QUJD\n",
            "a: !!binary \"QU\\\n  JD\"\nb: c\n",
            "a: !!binary |\n  QU\n  JD\nb: c\n",
            "x:\n  a: !!binary >-\n    QUJD\n  b: c\n",
            "[!!binary 'QUJD', 1]",
            "{a: !<tag:yaml.org,2002:binary> QUJD}",
        ] {
            assert!(has_tag(text.as_bytes()));
            assert_eq!(scalars(text.as_bytes()).collect::<Vec<_>>(), [b"QUJD".to_vec()], "{text}");
        }
        assert!(!has_tag(b"a: !!str QUJD"));
        assert!(scalars(b"!!binary |\nx").all(|digits| digits.is_empty()));
    }
}
