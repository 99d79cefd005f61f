//! Names that mark their value as a secret.

use aho_corasick::{AhoCorasick, MatchKind};
use std::sync::LazyLock;
use weir_core::model::Tag;

/// Bytes of a name that are checked.
const MAX_NAME: usize = 256;

/// Words that mark a name anywhere in it, written without separators.
const WITHIN: &[&str] = &[
    "accesskey",
    "accountnumber",
    "apikey",
    "assertion",
    "authentication",
    "authkey",
    "authorization",
    "bankaccount",
    "cardno",
    "cardnum",
    "ccnum",
    "contrasena",
    "credential",
    "creditcard",
    "csrf",
    "encryptionkey",
    "iban",
    "kennwort",
    "motdepasse",
    "passcode",
    "passphrase",
    "passwd",
    "password",
    "passwort",
    "phpsessid",
    "privatekey",
    "samlresponse",
    "secret",
    "securitycode",
    "senha",
    "sessionid",
    "sessionkey",
    "signature",
    "signingkey",
    "socialsecurity",
    "token",
    "xsrf",
];

/// Words that mark a name as a separate word, as in `user_pwd`, `card-pin` or `newPass`.
const WORDS: &[&str] = &[
    "auth", "bearer", "csc", "cvc", "cvv", "cvv2", "jwt", "otp", "pan", "pass", "pin", "pwd", "sid", "sig", "ssn",
    "totp",
];

/// Suffixes that mark a name without a separator, as in `dbpwd`.
const ENDS: &[&str] = &["pwd"];

/// Headers that no word above covers.
const HEADERS: &[&str] = &["cookie", "cookie2", "set-cookie", "x-amz-security-token", "x-forwarded-client-cert"];

/// Attributes of Set-Cookie, which are not cookies.
const COOKIE_ATTRIBUTES: &[&str] =
    &["domain", "expires", "max-age", "partitioned", "path", "priority", "samesite", "secure", "httponly"];

static WITHIN_SET: LazyLock<AhoCorasick> =
    LazyLock::new(|| AhoCorasick::builder().match_kind(MatchKind::Standard).build(WITHIN).expect("a few short words"));

/// Whether the value called `name` is a secret.
pub fn is_secret(name: &[u8]) -> bool {
    let name = &name[..name.len().min(MAX_NAME)];
    let letters: Vec<u8> = name.iter().filter(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
    WITHIN_SET.is_match(&letters)
        || ENDS.iter().any(|end| letters.ends_with(end.as_bytes()))
        || words(name).any(|word| WORDS.iter().any(|known| word.eq_ignore_ascii_case(known.as_bytes())))
}

/// Whether the value of header `name` is a secret.
pub fn is_secret_header(name: &[u8]) -> bool {
    HEADERS.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes())) || is_secret(name)
}

/// Whether `name` in a Set-Cookie header is an attribute and not a cookie.
pub fn is_cookie_attribute(name: &[u8]) -> bool {
    COOKIE_ATTRIBUTES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// Whether a step of a point called `name` marks the values below it as secrets.
pub fn is_secret_step(tag: Tag, name: &[u8]) -> bool {
    match tag {
        Tag::Header | Tag::ResponseHeader => is_secret_header(name),
        Tag::Cookie => true,
        _ => is_secret(name),
    }
}

/// The words of a name: runs of letters and digits, split before a capital that follows a lower-case letter.
fn words(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|b| !b.is_ascii_alphanumeric()).flat_map(|run| {
        run.chunk_by(|a, b| !(a.is_ascii_lowercase() && b.is_ascii_uppercase())).filter(|word| !word.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_secrets_are_known() {
        for name in [
            "password",
            "Password",
            "user[password]",
            "new-passwd",
            "user_pwd",
            "dbpwd",
            "confirmPass",
            "api_key",
            "apiKey",
            "X-Api-Key",
            "access_token",
            "client_secret",
            "pin",
            "card-pin",
            "cvv",
            "ssn",
            "otp",
            "jwt",
            "csrfmiddlewaretoken",
            "creditCardNumber",
            "JSESSIONID",
            "PHPSESSID",
            "X-Amz-Signature",
            "ns:password",
            "refresh.token",
        ] {
            assert!(is_secret(name.as_bytes()), "{name}");
        }
        for name in
            ["user", "id", "q", "pinned", "company", "compass", "author", "span", "passenger", "signal", "page", ""]
        {
            assert!(!is_secret(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn headers_and_cookies() {
        for name in ["Authorization", "proxy-authorization", "Cookie", "Set-Cookie", "X-Auth-Token", "x-api-key"] {
            assert!(is_secret_header(name.as_bytes()), "{name}");
        }
        for name in ["Host", "User-Agent", "Content-Type", "X-Forwarded-For", "WWW-Authenticate"] {
            assert!(!is_secret_header(name.as_bytes()), "{name}");
        }
        assert!(is_secret_step(Tag::Cookie, b"theme") && !is_secret_step(Tag::Hash, b"theme"));
    }
}
