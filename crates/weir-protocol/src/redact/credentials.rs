//! The authentication scheme of credentials (RFC 9110 section 11.4), which is not a secret.

/// Authentication schemes: the IANA registry and other common ones.
const SCHEMES: &[&str] = &[
    "apikey",
    "aws4-hmac-sha256",
    "basic",
    "bearer",
    "digest",
    "dpop",
    "gnap",
    "hawk",
    "hoba",
    "jwt",
    "mutual",
    "negotiate",
    "ntlm",
    "oauth",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "signature",
    "token",
    "vapid",
];

/// The credentials without their authentication scheme.
pub fn credentials(value: &[u8]) -> &[u8] {
    let word = value.iter().position(|b| *b == b' ').unwrap_or(0);
    let scheme = SCHEMES.iter().any(|scheme| value[..word].eq_ignore_ascii_case(scheme.as_bytes()));
    if scheme { value[word..].trim_ascii_start() } else { value }
}
