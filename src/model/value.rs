//! Values: the pieces of a message that detectors look at.

use super::point::PointId;

/// Declares a set of bits over an enum-like list of names.
macro_rules! bit_names {
    ($(#[$meta:meta])* $set:ident($int:ty) { $($(#[$doc:meta])* $konst:ident = $code:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $set($int);

        #[allow(non_upper_case_globals)]
        impl $set {
            bit_names!(@consts $set, 0, $($(#[$doc])* $konst,)*);
            /// The empty set.
            pub const NONE: $set = $set(0);
            /// Names and single members.
            pub const NAMED: &'static [(&'static str, $set)] = &[$(($code, $set::$konst),)*];

            /// The union of both.
            pub const fn with(self, other: $set) -> $set { $set(self.0 | other.0) }
            /// Members of self that are not in `other`.
            pub const fn without(self, other: $set) -> $set { $set(self.0 & !other.0) }
            /// Whether any member is shared.
            pub const fn meets(self, other: $set) -> bool { self.0 & other.0 != 0 }
            /// Whether every member of `other` is one of self.
            pub const fn holds(self, other: $set) -> bool { other.0 & !self.0 == 0 }
            /// Whether there is no member.
            pub const fn is_empty(self) -> bool { self.0 == 0 }
            /// The member called `code`.
            pub fn from_code(code: &str) -> Option<$set> {
                Self::NAMED.iter().find(|(name, _)| *name == code).map(|(_, set)| *set)
            }
        }

        impl std::fmt::Debug for $set {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_set().entries(Self::NAMED.iter().filter(|(_, m)| self.meets(*m)).map(|(name, _)| name)).finish()
            }
        }
    };
    (@consts $set:ident, $n:expr, $(#[$doc:meta])* $konst:ident, $($rest:tt)*) => {
        $(#[$doc])* pub const $konst: $set = $set(1 << ($n));
        bit_names!(@consts $set, $n + 1, $($rest)*);
    };
    (@consts $set:ident, $n:expr,) => {};
}

bit_names! {
    /// The part of the message that a value comes from; signatures say in which zones they apply.
    Zone(u16) {
        /// The path of the target, as a whole or a segment.
        PATH = "path";
        /// A query parameter.
        QUERY = "query";
        /// A header that is no cookie.
        HEADER = "header";
        /// A cookie.
        COOKIE = "cookie";
        /// The body of a request.
        BODY = "body";
        /// A parameter's name rather than its value.
        NAME = "name";
        /// The content of an uploaded file.
        FILE = "file";
        /// The file name of an upload.
        FILENAME = "filename";
        /// A header of a response.
        RESPONSE_HEADER = "response_header";
        /// The body of a response.
        RESPONSE_BODY = "response_body";
        /// Request metadata: method, protocol.
        META = "meta";
    }
}

impl Zone {
    /// Every zone.
    pub const ALL: Zone = Zone((1 << Zone::NAMED.len()) - 1);
    /// What a client fills with free text: where injection signatures look unless they say otherwise.
    pub const PARAMETERS: Zone =
        Zone::PATH.with(Zone::QUERY).with(Zone::COOKIE).with(Zone::BODY).with(Zone::NAME).with(Zone::FILENAME);
}

bit_names! {
    /// Parsers that policy can switch off, by their documented names.
    ParserSet(u32) {
        /// `percent`
        PERCENT = "percent";
        /// `form_urlencoded`
        FORM_URLENCODED = "form_urlencoded";
        /// `multipart`
        MULTIPART = "multipart";
        /// `json_doc`
        JSON_DOC = "json_doc";
        /// `xml`
        XML = "xml";
        /// `gql`
        GQL = "gql";
        /// `jwt`
        JWT = "jwt";
        /// `base64`
        BASE64 = "base64";
        /// `hex`
        HEX = "hex";
        /// `gzip`: every decompressor
        GZIP = "gzip";
        /// `htmljs`
        HTMLJS = "htmljs";
        /// `cookie`
        COOKIE = "cookie";
        /// `viewstate`
        VIEWSTATE = "viewstate";
        /// `grpc`
        GRPC = "grpc";
        /// `protobuf`
        PROTOBUF = "protobuf";
        /// `msgpack`
        MSGPACK = "msgpack";
        /// `charset`
        CHARSET = "charset";
    }
}

/// One parser of a [`ParserSet`], by name.
pub type ParserId = ParserSet;

/// What the message declares about a value's syntax. A hint adds a parser to those tried, it never takes one away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Hint<'a> {
    /// Nothing is declared.
    #[default]
    None,
    /// A media type (RFC 9110 §8.3.1) with its parameters, as sent.
    Media(&'a [u8]),
    /// Content codings still to be undone (RFC 9110 §8.4), and the media type of what is within.
    Coding {
        /// `gzip`, `br`..., in the order in which they were applied.
        codings: &'a [u8],
        /// Media type with parameters; empty where none is declared.
        media: &'a [u8],
    },
    /// A parser to run for sure.
    Parser(ParserId),
}

/// A piece of a message and the point where it sits.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// Where it sits.
    pub point: PointId,
    /// Its octets, decoded as far as its point says.
    pub bytes: &'a [u8],
    /// What part of the message it comes from.
    pub zone: Zone,
    /// What is declared about it.
    pub hint: Hint<'a>,
    /// Parsers stacked so far.
    pub depth: u8,
    /// Whether other values hold all that is in this one, so that detectors need not look at it.
    pub covered: bool,
    /// Which kinds of octets occur in `bytes`.
    pub chars: Chars,
}

/// How many leading octets are sampled to tell binary from text.
const BINARY_SAMPLE: usize = 512;

impl Value<'_> {
    /// Whether `bytes` look like no text: a NUL or more than one control octet in sixteen within the first 512.
    pub fn looks_binary(bytes: &[u8]) -> bool {
        let sample = &bytes[..bytes.len().min(BINARY_SAMPLE)];
        let control = sample.iter().filter(|&&b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c)).count();
        control * 16 > sample.len()
    }
}

bit_names! {
    /// Which kinds of octets occur in a value: the cheap first question of every parser and detector.
    Chars(u64) {
        /// Letters.
        ALPHA = "alpha";
        /// Digits.
        DIGIT = "digit";
        /// Space and tab.
        BLANK = "blank";
        /// CR and LF.
        NEWLINE = "newline";
        /// Other control octets and DEL.
        CONTROL = "control";
        /// Octets from 0x80 up.
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

/// The bit of each octet.
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

    /// Every kind.
    const ALL: Chars = Chars((1 << Chars::NAMED.len()) - 1);

    /// The kinds of octets that occur in `bytes`. Once all have, no more octets are looked at: binary content costs little.
    #[inline]
    pub fn of(bytes: &[u8]) -> Chars {
        const BLOCK: usize = 1024;
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

    /// Whether nothing but members of `other` occurs.
    pub fn within(self, other: Chars) -> bool {
        self.without(other).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chars_sees_every_octet() {
        for b in 0..=255u8 {
            assert_eq!(Chars::of(&[b]), chars_of(b));
            assert_eq!(Chars::of(&[b'a', b'a', b, b'a', b'a']), chars_of(b).with(Chars::ALPHA));
        }
    }

    #[test]
    fn sets_name_their_members() {
        assert_eq!(Zone::from_code("query"), Some(Zone::QUERY));
        assert_eq!(ParserSet::from_code("json_doc"), Some(ParserSet::JSON_DOC));
        assert_eq!(format!("{:?}", Zone::PATH.with(Zone::NAME)), r#"{"path", "name"}"#);
    }
}
