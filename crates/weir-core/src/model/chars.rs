//! Which kinds of bytes occur in a value.

use super::bits::{bit_names, ones};

bit_names! {
    /// Which kinds of bytes occur in a value: the cheap first question of every parser and detector.
    Chars(u64) {
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
static CHAR_BITS: [u64; 256] = {
    let mut table = [0u64; 256];
    let mut b = 0usize;
    while b < 256 {
        table[b] = chars_of(b as u8).0;
        b += 1;
    }
    table
};

const fn chars_of(b: u8) -> Chars {
    match b {
        b'a'..=b'z' | b'A'..=b'Z' => Chars::ALPHA,
        b'0'..=b'9' => Chars::DIGIT,
        b' ' | b'\t' => Chars::BLANK,
        b'\r' | b'\n' => Chars::NEWLINE,
        0x80..=0xff => Chars::HIGH,
        b'%' => Chars::PERCENT,
        b'+' => Chars::PLUS,
        b'<' => Chars::LT,
        b'>' => Chars::GT,
        b'&' => Chars::AMP,
        b'\'' => Chars::QUOTE,
        b'"' => Chars::DQUOTE,
        b'`' => Chars::BACKTICK,
        b';' => Chars::SEMICOLON,
        b'|' => Chars::PIPE,
        b'$' => Chars::DOLLAR,
        b'\\' => Chars::BACKSLASH,
        b'/' => Chars::SLASH,
        b':' => Chars::COLON,
        b'=' => Chars::EQUALS,
        b'(' => Chars::LPAREN,
        b')' => Chars::RPAREN,
        b'{' => Chars::LBRACE,
        b'}' => Chars::RBRACE,
        b'[' => Chars::LBRACKET,
        b']' => Chars::RBRACKET,
        b'#' => Chars::HASH,
        b'@' => Chars::AT,
        b'.' => Chars::DOT,
        b'-' => Chars::DASH,
        b'*' => Chars::STAR,
        b',' => Chars::COMMA,
        b'!' => Chars::BANG,
        b'?' => Chars::QUESTION,
        b'^' => Chars::CARET,
        b'~' => Chars::TILDE,
        b'_' => Chars::UNDERSCORE,
        _ => Chars::CONTROL,
    }
}

impl Chars {
    /// Letters, digits and the punctuation of plain tokens: values of only these carry no syntax.
    pub const TOKEN: Chars = Chars::ALPHA.with(Chars::DIGIT).with(Chars::DASH).with(Chars::UNDERSCORE).with(Chars::DOT);

    /// How many kinds there are.
    pub const KINDS: usize = Chars::NAMED.len();

    /// Every kind.
    pub const ALL: Chars = Chars((1 << Chars::KINDS) - 1);

    /// The kinds of bytes that occur in `bytes`. Once all have, no more bytes are looked at: binary content costs little.
    #[inline]
    pub fn of(bytes: &[u8]) -> Chars {
        const BLOCK: usize = 1024;
        if bytes.len() <= BLOCK {
            return Self::of_block(bytes);
        }
        let mut found = Chars::NONE;
        for block in bytes.chunks(BLOCK) {
            found = found.with(Self::of_block(block));
            if found == Self::ALL {
                break;
            }
        }
        found
    }

    #[inline]
    fn of_block(bytes: &[u8]) -> Chars {
        let (mut a, mut b, mut c, mut d) = (0, 0, 0, 0);
        let mut chunks = bytes.chunks_exact(4);
        for chunk in &mut chunks {
            a |= CHAR_BITS[chunk[0] as usize];
            b |= CHAR_BITS[chunk[1] as usize];
            c |= CHAR_BITS[chunk[2] as usize];
            d |= CHAR_BITS[chunk[3] as usize];
        }
        chunks.remainder().iter().for_each(|&byte| a |= CHAR_BITS[byte as usize]);
        Chars(a | b | c | d)
    }

    /// Numbers of the kinds that occur: their places in [`Self::NAMED`].
    #[inline]
    pub fn kinds(self) -> impl Iterator<Item = usize> {
        ones(self.0)
    }

    /// The kinds that occur, each as a set of its own.
    pub fn each(self) -> impl Iterator<Item = Chars> {
        self.kinds().map(|kind| Self::NAMED[kind].1)
    }

    /// Whether nothing but members of `other` occurs.
    pub const fn within(self, other: Chars) -> bool {
        self.without(other).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chars_sees_every_byte() {
        for b in 0..=255u8 {
            assert_eq!(Chars::of(&[b]), chars_of(b));
            assert_eq!(Chars::of(&[b'a', b'a', b, b'a', b'a']), chars_of(b).with(Chars::ALPHA));
        }
    }
}
