//! Quoted-printable (RFC 2045 §6.7), decoded as leniently as mail and form libraries do.

use super::percent::hex;

/// Decodes `=XX` and removes soft line breaks. Anything else is kept. `None` if nothing changes.
pub fn decode(input: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'=', input)?;
    let mut out = Vec::with_capacity(input.len());
    let mut rest = input;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        match *rest {
            [b'\r', b'\n', ..] => rest = &rest[2..],
            [b'\n', ..] => rest = &rest[1..],
            [a, b, ..] if hex(a).is_some() && hex(b).is_some() => {
                out.push(hex(a)? << 4 | hex(b)?);
                rest = &rest[2..];
            }
            _ => out.push(b'='),
        }
    }
    out.extend_from_slice(rest);
    (out != input).then_some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn decodes_leniently() {
        assert_eq!(decode(b"=3Cb=3e=\r\n!=zz="), Some(b"<b>!=zz=".to_vec()));
        assert_eq!(decode(b"1=2"), None);
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded(bytes in proptest::collection::vec(any::<u8>(), 1..99)) {
            let quoted: String = bytes.iter().map(|b| format!("={b:02X}")).collect();
            prop_assert_eq!(decode(quoted.as_bytes()), Some(bytes));
        }
    }
}
