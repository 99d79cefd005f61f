//! `!!binary` scalars of YAML (<https://yaml.org/type/binary.html>), of whose base64 a loader makes strings.

/// The tag of such a scalar, short and as a verbatim tag.
const TAGS: [&[u8]; 2] = [b"!!binary", b"!<tag:yaml.org,2002:binary>"];

/// A scalar with the tag.
pub struct Scalar {
    /// Its base64 digits.
    pub digits: Vec<u8>,
    /// How many bytes of the text were read for it, blanks included.
    pub read: usize,
}

/// Whether a text has the tag.
pub fn has_tag(text: &[u8]) -> bool {
    TAGS.iter().any(|tag| memchr::memmem::find(text, tag).is_some())
}

/// Each scalar with the tag, read when it is asked for. What looks like a tag within another scalar counts as one, since a
/// comment may have made a scalar of what is none: the caller bounds what is read in total.
pub fn scalars(text: &[u8]) -> impl Iterator<Item = Scalar> + '_ {
    TAGS.into_iter()
        .flat_map(move |tag| memchr::memmem::find_iter(text, tag).map(move |at| scalar(&text[at + tag.len()..])))
}

/// The scalar that follows a tag: on the same line, in quotes, or the lines of a block.
fn scalar(rest: &[u8]) -> Scalar {
    let line = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
    let first = rest[..line].trim_ascii();
    let text = match first.first() {
        Some(b'|' | b'>') => block(&rest[(line + 1).min(rest.len())..]),
        Some(quote @ (b'"' | b'\'')) => {
            let start = memchr::memchr(*quote, rest).map_or(rest.len(), |at| at + 1);
            let text = &rest[start..];
            &text[..memchr::memchr(*quote, text).unwrap_or(text.len())]
        }
        _ => first.split(|b| matches!(b, b' ' | b',' | b']' | b'}')).next().unwrap_or_default(),
    };
    let digits = text.iter().copied().filter(|b| !b.is_ascii_whitespace() && *b != b'\\').collect();
    Scalar { digits, read: line + text.len() }
}

/// The lines at the start of `text` that are indented as much as the first one.
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
            let digits: Vec<_> = scalars(text.as_bytes()).map(|scalar| scalar.digits).collect();
            assert_eq!(digits, [b"QUJD"], "{text}");
        }
        assert!(!has_tag(b"a: !!str QUJD"));
        assert!(scalars(b"!!binary |\nx").all(|scalar| scalar.digits.is_empty()));
    }
}
