//! Hexadecimal text.

use super::percent;

/// Decodes pairs of hex digits; `None` if there is another byte or an odd number of digits.
pub fn decode(text: &[u8]) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.chunks_exact(2).map(|pair| Some(percent::hex(pair[0])? << 4 | percent::hex(pair[1])?)).collect()
}

/// Whether `bytes` are ASCII text: no control bytes except tab and line ends.
pub fn is_ascii_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|&b| matches!(b, b' '..=b'~' | b'\t' | b'\r' | b'\n'))
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn decodes_pairs_of_digits() {
        for (text, want) in [("3c73", Some(&b"<s"[..])), ("3C7", None), ("3g", None), ("", Some(b"")), ("é", None)] {
            assert_eq!(decode(text.as_bytes()).as_deref(), want, "{text}");
        }
    }
}
