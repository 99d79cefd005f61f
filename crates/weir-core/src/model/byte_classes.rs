//! Which kinds of bytes occur in a value.

use super::bits::{bit_names, ones};

bit_names! {
    /// Which kinds of bytes occur in a value: the cheap first question of every parser and detector.
    ByteClasses(u64) {
        /// Letters.
        ALPHA = "alpha";
        /// Digits.
        DIGIT = "digit";
        /// Space and tab.
        BLANK = "blank";
        /// CR and LF.
        NEWLINE = "newline";
        /// Other control bytes and DEL.
        CONTROL = "control";
        /// Bytes from 0x80 up.
        HIGH = "high";
        /// `%`
        PERCENT = "%";
        /// `+`
        PLUS = "+";
        /// `<`
        LT = "<";
        /// `>`
        GT = ">";
        /// `&`
        AMP = "&";
        /// `'`
        QUOTE = "'";
        /// `"`
        DQUOTE = "\"";
        /// `` ` ``
        BACKTICK = "`";
        /// `;`
        SEMICOLON = ";";
        /// `|`
        PIPE = "|";
        /// `$`
        DOLLAR = "$";
        /// `\`
        BACKSLASH = "\\";
        /// `/`
        SLASH = "/";
        /// `:`
        COLON = ":";
        /// `=`
        EQUALS = "=";
        /// `(`
        LPAREN = "(";
        /// `)`
        RPAREN = ")";
        /// `{`
        LBRACE = "{";
        /// `}`
        RBRACE = "}";
        /// `[`
        LBRACKET = "[";
        /// `]`
        RBRACKET = "]";
        /// `#`
        HASH = "#";
        /// `@`
        AT = "@";
        /// `.`
        DOT = ".";
        /// `-`
        DASH = "-";
        /// `*`
        STAR = "*";
        /// `,`
        COMMA = ",";
        /// `!`
        BANG = "!";
        /// `?`
        QUESTION = "?";
        /// `^`
        CARET = "^";
        /// `~`
        TILDE = "~";
        /// `_`
        UNDERSCORE = "_";
    }
}

/// The bit of each byte.
static CLASS_BITS: [u64; 256] = {
    let mut table = [0u64; 256];
    let mut b = 0usize;
    while b < 256 {
        table[b] = class_of(b as u8).0;
        b += 1;
    }
    table
};

const fn class_of(b: u8) -> ByteClasses {
    match b {
        b'a'..=b'z' | b'A'..=b'Z' => ByteClasses::ALPHA,
        b'0'..=b'9' => ByteClasses::DIGIT,
        b' ' | b'\t' => ByteClasses::BLANK,
        b'\r' | b'\n' => ByteClasses::NEWLINE,
        0x80..=0xff => ByteClasses::HIGH,
        b'%' => ByteClasses::PERCENT,
        b'+' => ByteClasses::PLUS,
        b'<' => ByteClasses::LT,
        b'>' => ByteClasses::GT,
        b'&' => ByteClasses::AMP,
        b'\'' => ByteClasses::QUOTE,
        b'"' => ByteClasses::DQUOTE,
        b'`' => ByteClasses::BACKTICK,
        b';' => ByteClasses::SEMICOLON,
        b'|' => ByteClasses::PIPE,
        b'$' => ByteClasses::DOLLAR,
        b'\\' => ByteClasses::BACKSLASH,
        b'/' => ByteClasses::SLASH,
        b':' => ByteClasses::COLON,
        b'=' => ByteClasses::EQUALS,
        b'(' => ByteClasses::LPAREN,
        b')' => ByteClasses::RPAREN,
        b'{' => ByteClasses::LBRACE,
        b'}' => ByteClasses::RBRACE,
        b'[' => ByteClasses::LBRACKET,
        b']' => ByteClasses::RBRACKET,
        b'#' => ByteClasses::HASH,
        b'@' => ByteClasses::AT,
        b'.' => ByteClasses::DOT,
        b'-' => ByteClasses::DASH,
        b'*' => ByteClasses::STAR,
        b',' => ByteClasses::COMMA,
        b'!' => ByteClasses::BANG,
        b'?' => ByteClasses::QUESTION,
        b'^' => ByteClasses::CARET,
        b'~' => ByteClasses::TILDE,
        b'_' => ByteClasses::UNDERSCORE,
        _ => ByteClasses::CONTROL,
    }
}

impl ByteClasses {
    /// Letters, digits and the punctuation of plain tokens: values of only these carry no syntax.
    pub const TOKEN: ByteClasses = ByteClasses::ALPHA
        .with(ByteClasses::DIGIT)
        .with(ByteClasses::DASH)
        .with(ByteClasses::UNDERSCORE)
        .with(ByteClasses::DOT);

    /// How many kinds there are.
    pub const KINDS: usize = ByteClasses::NAMED.len();

    /// Every kind.
    pub const ALL: ByteClasses = ByteClasses((1 << ByteClasses::KINDS) - 1);

    /// The kinds of bytes that occur in `bytes`. Once all have, no more bytes are looked at: binary content costs little.
    #[inline]
    pub fn of(bytes: &[u8]) -> ByteClasses {
        const BLOCK: usize = 1024;
        if bytes.len() <= BLOCK {
            return Self::of_block(bytes);
        }
        let mut found = ByteClasses::NONE;
        for block in bytes.chunks(BLOCK) {
            found = found.with(Self::of_block(block));
            if found == Self::ALL {
                break;
            }
        }
        found
    }

    #[inline]
    fn of_block(bytes: &[u8]) -> ByteClasses {
        let (mut a, mut b, mut c, mut d) = (0, 0, 0, 0);
        let mut chunks = bytes.chunks_exact(4);
        for chunk in &mut chunks {
            a |= CLASS_BITS[chunk[0] as usize];
            b |= CLASS_BITS[chunk[1] as usize];
            c |= CLASS_BITS[chunk[2] as usize];
            d |= CLASS_BITS[chunk[3] as usize];
        }
        chunks.remainder().iter().for_each(|&byte| a |= CLASS_BITS[byte as usize]);
        ByteClasses(a | b | c | d)
    }

    /// Numbers of the kinds that occur: their places in [`Self::NAMED`].
    #[inline]
    pub fn kinds(self) -> impl Iterator<Item = usize> {
        ones(self.0)
    }

    /// The kinds that occur, each as a set of its own.
    pub fn each(self) -> impl Iterator<Item = ByteClasses> {
        self.kinds().map(|kind| Self::NAMED[kind].1)
    }

    /// Whether nothing but members of `other` occurs.
    pub const fn within(self, other: ByteClasses) -> bool {
        self.without(other).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_has_a_class() {
        for b in 0..=255u8 {
            assert_eq!(ByteClasses::of(&[b]), class_of(b));
            assert_eq!(ByteClasses::of(&[b'a', b'a', b, b'a', b'a']), class_of(b).with(ByteClasses::ALPHA));
        }
    }
}
