//! Splits `application/x-www-form-urlencoded` text (WHATWG URL §5.1) into pairs, without decoding them.

/// A name and a value, still percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodedPair<'a> {
    /// The part before the first `=`.
    pub name: &'a [u8],
    /// The part after the first `=`; empty without one.
    pub value: &'a [u8],
}

/// What is between `&`, without empty pieces.
pub fn pieces(input: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut begin = 0;
    let ends = memchr::memchr_iter(b'&', input).chain(std::iter::once(input.len()));
    ends.map(move |end| &input[std::mem::replace(&mut begin, end + 1)..end]).filter(|piece| !piece.is_empty())
}

/// The pairs between `&`, without empty ones.
pub fn encoded_pairs(input: &[u8]) -> impl Iterator<Item = EncodedPair<'_>> {
    pieces(input).map(|piece| match memchr::memchr(b'=', piece) {
        Some(at) => EncodedPair { name: &piece[..at], value: &piece[at + 1..] },
        None => EncodedPair { name: piece, value: b"" },
    })
}

/// Longest name of a pair between semicolons.
const MAX_NAME: usize = 64;

/// The pairs that a server reads besides if `;` separates pairs like `&`, as in HTML 4.01 (appendix B.2.2) and Rack 2: what is
/// behind a semicolon and has the name of a field.
pub fn pairs_at_semicolons(input: &[u8]) -> impl Iterator<Item = EncodedPair<'_>> {
    let is_name = |name: &[u8]| (1..=MAX_NAME).contains(&name.len()) && name.iter().all(|b| is_of_name(*b));
    let input = if memchr::memchr(b';', input).is_some() { input } else { b"" };
    pieces(input).flat_map(|piece| piece.split(|b| *b == b';').skip(1)).filter_map(move |piece| {
        let piece = piece.trim_ascii_start();
        let at = memchr::memchr(b'=', &piece[..piece.len().min(MAX_NAME + 1)])?;
        is_name(&piece[..at]).then(|| EncodedPair { name: &piece[..at], value: &piece[at + 1..] })
    })
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-.[]$@".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::{encoded_pairs, pairs_at_semicolons};

    #[test]
    fn semicolons_separate_pairs_too() {
        let split = |input: &'static str| -> Vec<(&str, &str)> {
            let text = |b| std::str::from_utf8(b).unwrap();
            pairs_at_semicolons(input.as_bytes()).map(|p| (text(p.name), text(p.value))).collect()
        };
        assert_eq!(split("a=1;b=2=3; c=4&d;e[f]=%3B;g&h=i"), [("b", "2=3"), ("c", "4"), ("e[f]", "%3B")]);
        assert!(split("a=1&b=2").is_empty());
        assert!(split("a=;b c=1;<x y=2;=3").is_empty());
    }

    #[test]
    fn splits_at_ampersands_and_the_first_equals_sign() {
        let split = |input: &'static str| -> Vec<(&str, &str)> {
            let text = |b| std::str::from_utf8(b).unwrap();
            encoded_pairs(input.as_bytes()).map(|p| (text(p.name), text(p.value))).collect()
        };
        assert_eq!(split("a=1&b=2=3&&c&=d&"), [("a", "1"), ("b", "2=3"), ("c", ""), ("", "d")]);
        assert!(split("").is_empty());
    }
}
