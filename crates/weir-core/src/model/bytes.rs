//! Showing bytes to people: printable, bounded, reversible enough to recognise.

use std::fmt::Write as _;

/// `bytes` as text: valid UTF-8 kept, control and invalid bytes as `\xNN`, a backslash as `\\`.
/// At most `max` input bytes are shown; an ellipsis marks the rest.
pub fn printable(bytes: &[u8], max: usize) -> String {
    let cut = bytes.len() > max;
    let mut out = String::with_capacity(bytes.len().min(max) + 8);
    for chunk in bytes[..bytes.len().min(max)].utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\\' => out.push_str("\\\\"),
                c if c.is_control() => c.to_string().bytes().for_each(|b| write!(out, "\\x{b:02x}").expect("String")),
                c => out.push(c),
            }
        }
        chunk.invalid().iter().for_each(|b| write!(out, "\\x{b:02x}").expect("String"));
    }
    if cut {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn escapes_what_a_terminal_would_act_on() {
        assert_eq!(printable(b"a\x1b[31m\\\xff", 99), "a\\x1b[31m\\\\\\xff");
        assert_eq!(printable("é\u{85}".as_bytes(), 99), "é\\xc2\\x85");
        assert_eq!(printable(b"abcdef", 3), "abc…");
    }
}
