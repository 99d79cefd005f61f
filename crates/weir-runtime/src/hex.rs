//! Hexadecimal text.

use std::fmt::Write as _;

/// `bytes` as lower-case hexadecimal digits.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let Ok(()) = write!(text, "{byte:02x}") else { unreachable!("writing to a String cannot fail") };
        text
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn each_byte_becomes_two_lower_case_digits() {
        assert_eq!(super::encode(&[0x00, 0x0a, 0x9f, 0xff]), "000a9fff");
        assert_eq!(super::encode(&[]), "");
    }
}
