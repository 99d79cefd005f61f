//! The vendor whose nodes this one replaces.

/// Whether `host` is the vendor's: such a host is never contacted, and no token meant for it is sent anywhere.
pub fn is_vendor(host: &str) -> bool {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    ["wallarm.com", "wallarm.ru"].iter().any(|domain| host == *domain || host.ends_with(&format!(".{domain}")))
}
