//! Text from traffic, made harmless to read: what is invisible or turns the writing direction is shown as a code.

use std::fmt;

/// Longest text taken over, in bytes: pages stay small whatever the data is.
const MAX_TEXT: usize = 64 << 10;
/// Characters shown of a long value before "more".
const HEAD: usize = 120;

/// Data as shown. Askama escapes it; control characters, bidirectional overrides and invisible characters are visible.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text(String);

impl Text {
    /// On one line: line ends are shown as codes too.
    pub fn new(data: &str) -> Self {
        Self(visible(data, false))
    }

    /// With its line ends and tabs.
    pub fn block(data: &str) -> Self {
        Self(visible(data, true))
    }

    /// Bytes that may be no text, with their line ends and tabs.
    pub fn bytes(data: &[u8]) -> Self {
        let mut out = String::new();
        for chunk in data[..data.len().min(MAX_TEXT)].utf8_chunks() {
            out.push_str(&visible(chunk.valid(), true));
            chunk.invalid().iter().for_each(|byte| out.push_str(&format!("\\x{byte:02x}")));
        }
        Self(out)
    }

    /// Whether there is nothing to show.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it is cut until asked for.
    pub fn is_long(&self) -> bool {
        self.0.chars().nth(HEAD + 20).is_some()
    }

    /// The beginning of a long text.
    pub fn head(&self) -> &str {
        self.0.char_indices().nth(HEAD).map_or(&self.0, |(at, _)| &self.0[..at])
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn visible(data: &str, lines: bool) -> String {
    let mut end = data.len().min(MAX_TEXT);
    while !data.is_char_boundary(end) {
        end -= 1;
    }
    let mut out = String::with_capacity(end);
    let mut chars = data[..end].chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' | '\t' if lines => out.push(c),
            '\r' if lines && chars.peek() == Some(&'\n') => {}
            c if (c as u32) < 0x80 && c.is_control() => out.push_str(&format!("\\x{:02x}", c as u32)),
            c if is_hidden(c) => out.push_str(&format!("\u{2039}U+{:04X}\u{203a}", c as u32)),
            c => out.push(c),
        }
    }
    if end < data.len() {
        out.push('…');
    }
    out
}

/// Characters without a shape of their own: C1 controls, format characters (Unicode class Cf), separators of lines and
/// paragraphs, fillers, variation selectors, tags, private use.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c as u32,
            0xAD | 0x34F | 0x600..=0x605 | 0x61C | 0x6DD | 0x70F | 0x8E2 | 0x115F | 0x1160 | 0x17B4 | 0x17B5
            | 0x180B..=0x180F | 0x200B..=0x200F | 0x2028..=0x202E | 0x2060..=0x206F | 0x3164 | 0xFE00..=0xFE0F
            | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFB | 0x110BD | 0x110CD | 0x1D173..=0x1D17A | 0xE000..=0xF8FF
            | 0xE0000..=0xE0FFF | 0xF0000..=0x10FFFF)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deceives_the_eye_is_shown_as_a_code() {
        assert_eq!(Text::new("a\u{202e}b\u{0}\n").as_str(), "a\u{2039}U+202E\u{203a}b\\x00\\x0a");
        assert_eq!(Text::block("a\r\n\tb\u{85}\r").as_str(), "a\n\tb\u{2039}U+0085\u{203a}\\x0d");
        assert_eq!(Text::bytes(b"a\xff\x1b").as_str(), "a\\xff\\x1b");
        assert_eq!(Text::new("Grüße العربية 漢字").as_str(), "Grüße العربية 漢字");
    }

    #[test]
    fn text_is_bounded() {
        let long = "é".repeat(MAX_TEXT);
        assert!(Text::new(&long).as_str().len() <= MAX_TEXT + 4);
        assert!(Text::new(&long).is_long());
        assert_eq!(Text::new(&long).head().chars().count(), HEAD);
    }
}
