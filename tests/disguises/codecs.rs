//! What payloads are hidden in.

use flate2::Compression;
use std::io::Write;

/// Each byte as `%XX`.
pub fn percent(text: impl AsRef<[u8]>) -> String {
    text.as_ref().iter().map(|b| format!("%{b:02x}")).collect()
}

/// As browsers encode a query.
pub fn query(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.*".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

pub fn base64(text: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

pub fn base64url(text: impl AsRef<[u8]>) -> String {
    use base64::Engine;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

pub fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// Each character as `\uXXXX`.
pub fn json_escaped(text: &str) -> String {
    text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect()
}

pub fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

pub fn gzip(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
    out.write_all(text.as_ref()).unwrap();
    out.finish().unwrap()
}

pub fn zlib(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), Compression::default());
    out.write_all(text.as_ref()).unwrap();
    out.finish().unwrap()
}

pub fn deflate(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = flate2::write::DeflateEncoder::new(Vec::new(), Compression::default());
    out.write_all(text.as_ref()).unwrap();
    out.finish().unwrap()
}

pub fn brotli(text: impl AsRef<[u8]>) -> Vec<u8> {
    let mut out = Vec::new();
    brotli::CompressorWriter::new(&mut out, 4096, 5, 22).write_all(text.as_ref()).unwrap();
    out
}

pub fn utf16(text: &str, little: bool) -> Vec<u8> {
    text.encode_utf16().flat_map(|unit| if little { unit.to_le_bytes() } else { unit.to_be_bytes() }).collect()
}

/// One uncompressed block of Zstandard (RFC 8878 section 3.1.1).
pub fn zstd_stored(text: &str) -> Vec<u8> {
    let block = (((text.len() as u32) << 3) | 1).to_le_bytes();
    [&b"\x28\xb5\x2f\xfd\x20"[..], &[text.len() as u8], &block[..3], text.as_bytes()].concat()
}

/// One uncompressed meta-block of Brotli (RFC 7932 section 9.2), and the empty last one.
pub fn brotli_stored(text: &str) -> Vec<u8> {
    let head = ((text.len() as u32 - 1) << 4) | (1 << 20);
    [&head.to_le_bytes()[..3], text.as_bytes(), b"\x03"].concat()
}

/// Each character in four bytes.
pub fn utf32le(text: &str) -> Vec<u8> {
    text.chars().flat_map(|c| (c as u32).to_le_bytes()).collect()
}

/// A field of Protocol Buffers.
pub fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8], bytes].concat()
}

/// A frame of gRPC.
pub fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

/// A map with the text in an array.
pub fn msgpack(text: &str) -> Vec<u8> {
    [&b"\x81\xa1a\x92\x01\xd9"[..], &[text.len() as u8], text.as_bytes()].concat()
}

/// A map with the text in an array, in chunks of at most seven bytes, after a tag.
pub fn cbor(text: &str) -> Vec<u8> {
    let chunks = text.as_bytes().chunks(7).flat_map(|chunk| [&[0x60 + chunk.len() as u8], chunk].concat());
    [&b"\xa1\x61a\x82\x01\xc0\x7f"[..], &chunks.collect::<Vec<_>>(), b"\xff"].concat()
}

/// All but letters and digits in UTF-7.
pub fn utf7(text: &str) -> String {
    let shifted = |c: char| {
        let units: Vec<u8> = c.to_string().encode_utf16().flat_map(u16::to_be_bytes).collect();
        format!("+{}-", base64(units).trim_end_matches('='))
    };
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == ' ' { c.to_string() } else { shifted(c) }).collect()
}

/// Code page 37, for the characters of the payloads.
pub fn ebcdic(text: &str) -> Vec<u8> {
    const SYNTAX: &[(char, u8)] = &[
        (' ', 0x40),
        ('.', 0x4b),
        ('<', 0x4c),
        ('(', 0x4d),
        ('>', 0x6e),
        ('?', 0x6f),
        (')', 0x5d),
        ('-', 0x60),
        ('/', 0x61),
        ('\'', 0x7d),
        ('=', 0x7e),
        ('"', 0x7f),
        ('{', 0xc0),
        ('}', 0xd0),
        (':', 0x7a),
        ('\\', 0xe0),
        ('&', 0x50),
        (';', 0x5e),
    ];
    let letter = |c: u8, base: u8| match c {
        0..9 => base + 1 + c,
        9..18 => base + 0x11 + (c - 9),
        _ => base + 0x22 + (c - 18),
    };
    let byte = |c: char| match c {
        'a'..='z' => letter(c as u8 - b'a', 0x80),
        'A'..='Z' => letter(c as u8 - b'A', 0xc0),
        '0'..='9' => 0xf0 + (c as u8 - b'0'),
        _ => SYNTAX.iter().find(|(s, _)| *s == c).unwrap_or_else(|| panic!("{c} has no place in the table")).1,
    };
    text.chars().map(byte).collect()
}
