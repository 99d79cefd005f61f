//! Time-based one-time passwords (RFC 6238) of six digits and 30 seconds, with SHA-1 as every authenticator app computes them.

use ring::hmac;

/// Seconds of a time step.
const STEP: i64 = 30;
/// Steps by which a clock may be off, in either direction.
const WINDOW: i64 = 1;
/// Digits of a code.
pub const DIGITS: usize = 6;
/// Bytes of a secret (RFC 4226 §4 R6 recommends 160 bits).
pub const SECRET: usize = 20;

/// The time step within the window of `seconds` since 1970 that `code` belongs to; none if it is wrong.
pub fn step_of(secret: &[u8], code: &str, seconds: i64) -> Option<i64> {
    let now = seconds.div_euclid(STEP);
    let mut found = None;
    // Every step is computed, so that the time tells nothing.
    for step in now - WINDOW..=now + WINDOW {
        if crate::auth::secret::same(&code_at(secret, step), code) {
            found = Some(step);
        }
    }
    found
}

/// The code of a time step.
fn code_at(secret: &[u8], step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret);
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let tag = tag.as_ref();
    // Dynamic truncation (RFC 4226 §5.3).
    let at = usize::from(tag.last().copied().unwrap_or_default() & 15);
    let number = tag.iter().skip(at).take(4).fold(0u32, |number, byte| number << 8 | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:0DIGITS$}", number % 1_000_000)
}

/// The code of the step at `seconds` since 1970, for tests.
#[cfg(test)]
pub fn code(secret: &[u8], seconds: i64) -> String {
    code_at(secret, seconds.div_euclid(STEP))
}

/// Base32 without padding (RFC 4648 §6), as authenticator apps take secrets.
pub fn base32(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let mut out = String::with_capacity(bytes.len().div_ceil(5) * 8);
    for chunk in bytes.chunks(5) {
        let word = (0..5).fold(0u64, |word, at| word << 8 | u64::from(chunk.get(at).copied().unwrap_or_default()));
        for digit in 0..(chunk.len() * 8).div_ceil(5) {
            let index = (word >> (35 - 5 * digit)) & 31;
            out.push(char::from(ALPHABET[index as usize]));
        }
    }
    out
}

/// The address that a QR code holds: authenticator apps read issuer, account and secret from it.
pub fn uri(login: &str, secret: &[u8]) -> String {
    let account = crate::routes::form_urlencode(login);
    format!(
        "otpauth://totp/weir:{account}?secret={}&issuer=weir&algorithm=SHA1&digits={DIGITS}&period={STEP}",
        base32(secret)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, the last six of eight digits.
        let secret = b"12345678901234567890";
        for (time, code) in
            [(59, "287082"), (1_111_111_109, "081804"), (2_000_000_000, "279037"), (20_000_000_000, "353130")]
        {
            assert_eq!(code_at(secret, time / STEP), code);
            assert_eq!(step_of(secret, code, time), Some(time / STEP));
            assert_eq!(step_of(secret, code, time + STEP), Some(time / STEP), "a clock that is behind");
            assert_eq!(step_of(secret, code, time + 3 * STEP), None);
        }
        assert_eq!(step_of(secret, "", 59), None);
    }

    #[test]
    fn secrets_are_written_in_base32() {
        for (bytes, text) in [
            ("", ""),
            ("f", "MY"),
            ("fo", "MZXQ"),
            ("foo", "MZXW6"),
            ("foob", "MZXW6YQ"),
            ("fooba", "MZXW6YTB"),
            ("foobar", "MZXW6YTBOI"),
        ] {
            assert_eq!(base32(bytes.as_bytes()), text);
        }
        assert_eq!(
            uri("a b@c", b"fooba"),
            "otpauth://totp/weir:a%20b%40c?secret=MZXW6YTB&issuer=weir&algorithm=SHA1&digits=6&period=30"
        );
    }
}
