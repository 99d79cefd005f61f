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

#[cfg(test)]
mod tests {
    use super::encoded_pairs;

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
