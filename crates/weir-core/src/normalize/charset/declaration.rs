//! The encoding that an XML declaration names (XML 1.0 §4.3.3, appendix F).

use super::ebcdic::IBM037;
use super::{Charset, decode, named};

/// `<?xml` in EBCDIC. Its code pages agree in letters, digits and the signs of a declaration.
const EBCDIC: &[u8] = b"\x4c\x6f\xa7\x94\x93";
/// Bytes in which a declaration must end.
const MAX_DECLARATION: usize = 256;

/// The label of the encoding in the XML declaration, which is in ASCII.
pub fn xml_label(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let end = memchr::memmem::find(&bytes[..bytes.len().min(MAX_DECLARATION)], b"?>")?;
    let head = bytes[..end].strip_prefix(b"<?xml")?;
    let at = memchr::memmem::find(head, b"encoding")?;
    let rest = head[at + 8..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = rest.split_first()?;
    Some(&rest[..memchr::memchr(*quote, rest)?])
}

/// The code page of a document whose XML declaration is in EBCDIC.
pub fn xml_in_ebcdic(bytes: &[u8]) -> Option<Charset> {
    if !bytes.starts_with(EBCDIC) {
        return None;
    }
    let common = Charset::Ebcdic(&IBM037);
    let head = decode(&bytes[..bytes.len().min(MAX_DECLARATION)], common);
    Some(match xml_label(&head.text).map(named) {
        Some(page @ Charset::Ebcdic(_)) => page,
        _ => common,
    })
}

#[cfg(test)]
mod tests {
    use super::super::ebcdic::IBM273;
    use super::*;

    #[test]
    fn a_declaration_in_ebcdic_names_its_code_page() {
        let text = |declaration: &str| -> Vec<u8> {
            let byte = |letter: u8| IBM037.iter().position(|&known| known == letter).unwrap() as u8;
            declaration.bytes().map(byte).collect()
        };
        for (declaration, page) in [
            ("<?xml version='1.0'?><a/>", &IBM037),
            ("<?xml version='1.0' encoding='cp273'?><a/>", &IBM273),
            ("<?xml version='1.0' encoding='utf-8'?><a/>", &IBM037),
        ] {
            assert_eq!(xml_in_ebcdic(&text(declaration)), Some(Charset::Ebcdic(page)), "{declaration}");
        }
        assert_eq!(xml_in_ebcdic(b"<?xml version='1.0'?>"), None);
    }
}
