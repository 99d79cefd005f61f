//! Text in bytes that are mostly no text.

/// Shortest run of text that counts, in bytes. Of a mebibyte of random bytes about ten are as long.
const MIN_RUN: usize = 12;

/// The runs of text in `bytes`, one after another, each with the byte before and the byte after it, if any.
pub fn text_runs(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for run in bytes.chunk_by(|a, b| is_text(*a) && is_text(*b)).filter(|run| run.len() >= MIN_RUN) {
        let start = run.as_ptr().addr() - bytes.as_ptr().addr();
        out.extend_from_slice(&bytes[start.saturating_sub(1)..(start + run.len() + 1).min(bytes.len())]);
    }
    out
}

/// Whether two bytes of three are text, also in UTF-16: of random ones it is fewer than two of five.
pub fn is_mostly_text(bytes: &[u8]) -> bool {
    3 * bytes.iter().filter(|b| is_text(**b) || **b == 0).count() >= 2 * bytes.len()
}

/// Whether a byte is one of text in ASCII.
pub fn is_text(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_have_the_bytes_around_them() {
        assert_eq!(
            text_runs(b"\x01\x02a run of text\x03\x04short\x05another one of them"),
            b"\x02a run of text\x03\x05another one of them"
        );
        assert!(text_runs(b"\x01short\x02").is_empty() && text_runs(b"").is_empty());
    }

    #[test]
    fn text_with_some_other_bytes_is_mostly_text() {
        assert!(is_mostly_text(b"\x03&a=;id&\0") && is_mostly_text(b"\xff\xfe;\0i\0d\0") && is_mostly_text(b""));
    }
}
