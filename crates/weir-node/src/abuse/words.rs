//! Reasons for people: which key, how many, in which time, since when. Keys are masked.

use super::client_of;
use super::values::PartValues;
use std::net::IpAddr;
use weir_abuse::Details;
use weir_policy::{AbuseKind, AbuseRule, KeyPart};

/// Characters of a value that are shown.
const SHOWN: usize = 2;

/// A value of which little is shown.
fn masked(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let shown: String = text.chars().filter(|c| c.is_ascii_graphic()).take(SHOWN).collect();
    if text.chars().count() > 2 * SHOWN { format!("{shown}***") } else { "***".into() }
}

/// A client's address as it is counted.
pub(super) fn address(client: IpAddr) -> String {
    match client_of(client) {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => {
            format!("{}/64", std::net::Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64))
        }
    }
}

/// One part of a key.
pub(super) fn part(part: &KeyPart, value: &[u8], client: IpAddr) -> String {
    let plain = || String::from_utf8_lossy(value).chars().filter(|c| !c.is_control()).take(64).collect::<String>();
    match part {
        KeyPart::Client => address(client),
        KeyPart::Application => format!("application {}", plain()),
        KeyPart::Host => format!("host {}", plain()),
        KeyPart::Route => format!("route {}", plain()),
        KeyPart::Consumer => "a consumer".into(),
        KeyPart::Session => "a session".into(),
        KeyPart::Header(name) => format!("{} {}", name.to_ascii_lowercase(), masked(value)),
        KeyPart::Cookie(name) | KeyPart::Query(name) | KeyPart::Claim(name) => format!("{name} {}", masked(value)),
        KeyPart::Segment(number) => format!("path segment {number} {}", masked(value)),
        KeyPart::Point(_) => masked(value),
    }
}

/// The key of a rule.
pub(super) fn key(rule: &AbuseRule, values: &[PartValues<'_>], client: IpAddr) -> String {
    let first = |values: &PartValues<'_>| values.first().map(|value| value.to_vec()).unwrap_or_default();
    let parts = rule.key.iter().zip(values).map(|(of, values)| part(of, &first(values), client));
    parts.collect::<Vec<_>>().join(", ")
}

/// Why a request is over a limit.
pub(super) fn excess(
    rule: &AbuseRule,
    key: &str,
    (count, details): (u32, &Details),
    sessions: u32,
    now: u64,
) -> String {
    let what = match (rule.kind, rule.distinct.is_some()) {
        (AbuseKind::RateLimit, _) => "requests",
        (AbuseKind::Brute, true) => "different values in failed attempts",
        (AbuseKind::Brute, false) => "failed attempts",
        (AbuseKind::ForcedBrowsing, _) => "requests for what does not exist",
        (AbuseKind::Bola, _) => "different values",
    };
    let sequence = if details.sequential { ", mostly in sequence" } else { "" };
    let nat = if sessions > 1 { format!(" for each of {sessions} sessions") } else { String::new() };
    let (window, id, limit) = (rule.window, rule.id, rule.limit());
    let dry = if rule.dry_run { " (dry run)" } else { "" };
    let since = time(details.since.min(now));
    format!("{key}: {count} {what}{sequence} in {window} s, since {since}; rule {id} allows {limit}{nat}{dry}")
}

/// `12:01:59Z`.
fn time(ms: u64) -> String {
    let second = ms / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_masked() {
        let client = "2001:db8:1:2:3::4".parse().unwrap();
        assert_eq!(part(&KeyPart::Client, b"", client), "2001:db8:1:2::/64");
        for translated in ["::ffff:192.0.2.7", "64:ff9b::192.0.2.7"] {
            assert_eq!(address(translated.parse().unwrap()), "192.0.2.7");
        }
        assert_eq!(part(&KeyPart::Cookie("sid".into()), b"secret-token", client), "sid se***");
        assert_eq!(part(&KeyPart::Query("u".into()), b"bob", client), "u ***");
        assert_eq!(time(3_661_000), "01:01:01Z");
    }
}
