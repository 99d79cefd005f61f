//! How compressed, encrypted and encoded data differs from text: by its bytes and by where it is.

use crate::model::{ByteClasses, PointTree, Tag, Value};

/// Shorter values are never taken for data.
const MIN_LENGTH: usize = 2048;
/// Fewest control bytes and bytes beyond ASCII of which data is made: one of each in so many.
struct Shares {
    control: usize,
    high: usize,
    /// Control bytes, NULs and bytes beyond ASCII together.
    no_text: usize,
}

/// The kinds of data. Text has hardly any control bytes, in any character set of one byte or in UTF-8.
const KINDS: [Shares; 3] = [
    // Compressed and encrypted: of random bytes every tenth is such a control byte, and every second is beyond ASCII.
    Shares { control: 32, high: 4, no_text: 4 },
    // Sound and pictures without compression.
    Shares { control: 64, high: 2, no_text: 2 },
    // Small numbers in fields of fixed size: fonts, compiled programs, dictionaries.
    Shares { control: 8, high: usize::MAX, no_text: 4 },
];

/// Whether `text`, whose byte classes are `classes`, is long and mostly no text.
fn is_data(text: &[u8], classes: ByteClasses) -> bool {
    if text.len() < MIN_LENGTH || !classes.contains(ByteClasses::CONTROL.with(ByteClasses::HIGH)) {
        return false;
    }
    let count = |is: fn(u8) -> bool| text.iter().filter(|b| is(**b)).count();
    // Escape begins the colours of a terminal's text.
    let control = count(|b| matches!(b, 1..=8 | 0x0e..=0x1a | 0x1c..=0x1f | 0x7f));
    let high = count(|b| b >= 0x80);
    let no_text = control + high + count(|b| b == 0);
    KINDS.iter().any(|least| {
        control >= text.len() / least.control
            && high >= text.len() / least.high
            && no_text >= text.len() / least.no_text
    })
}

/// Whether `text`, which is `value` or a part of it and whose byte classes are `classes`, is data that no application reads
/// as text: by its bytes, and since it is a body as a whole, a file, or a field of a binary format.
pub fn holds_data(text: &[u8], classes: ByteClasses, value: &Value<'_>, tree: &PointTree<'_>) -> bool {
    is_data(text, classes) && is_kept(value, tree)
}

/// Whether the value is where applications keep data.
fn is_kept(value: &Value<'_>, tree: &PointTree<'_>) -> bool {
    let decides = |tag| match tag {
        Tag::Post
        | Tag::ResponseBody
        | Tag::File
        | Tag::Archive
        | Tag::Grpc
        | Tag::Protobuf
        | Tag::Msgpack
        | Tag::Cbor
        | Tag::Viewstate => Some(true),
        // Decodings, and the places of values in what was decoded.
        Tag::Percent
        | Tag::Htmljs
        | Tag::Charset
        | Tag::Base64
        | Tag::Hex
        | Tag::Gzip
        | Tag::Deflate
        | Tag::Brotli
        | Tag::Zstd
        | Tag::Hash
        | Tag::Array => None,
        _ => Some(false),
    };
    tree.ancestors(value.point).find_map(|segment| decides(segment.tag)).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_any_character_set_is_no_data() {
        let russian = "Съешь же ещё этих мягких французских булок. ".repeat(80);
        let cp1251: Vec<u8> =
            russian.chars().map(|c| if c.is_ascii() { c as u8 } else { (c as u32 % 64) as u8 | 0xc0 }).collect();
        let log = "\x1b[31mfailed\x1b[0m: naïve\n".repeat(200);
        let coloured = "\x1b[1mé\x1b[0m".repeat(400);
        for text in [russian.as_bytes(), &cp1251, log.as_bytes(), coloured.as_bytes(), &[0; 4096], &[0xff; 4096]] {
            assert!(!is_data(text, ByteClasses::of(text)));
        }
        let random: Vec<u8> = (0..4096u32).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 13) as u8).collect();
        assert!(is_data(&random, ByteClasses::of(&random)));
        assert!(!is_data(&random[..1024], ByteClasses::of(&random)));
        // Sound of eight bits around silence, and a table of small numbers of two bytes.
        let sound: Vec<u8> = (0..4096u32).map(|n| if n % 40 == 0 { 0x0f } else { 0xf0 | (n % 16) as u8 }).collect();
        let numbers: Vec<u8> = (0..2048u16).flat_map(|n| (n % 300).to_be_bytes()).collect();
        for data in [&sound, &numbers] {
            assert!(is_data(data, ByteClasses::of(data)));
        }
    }
}
