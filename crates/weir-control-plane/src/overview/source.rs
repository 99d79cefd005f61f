//! A source address: what it sent, and what is listed about it.

use super::{Period, RANKED, Sampled, ranked};
use crate::abuse::ListedEntry;
use crate::app::App;
use crate::error::Result;
use crate::policy::{IpEntry, PolicyState};
use crate::store::{Count, Filter, Replay, Series, StoreError, Terms};
use ipnet::IpNet;
use serde::Serialize;
use std::net::IpAddr;

/// Newest hits whose requests are looked at for paths and user agents.
const SAMPLE: usize = 50;
/// Newest hits from which attack types and targets are counted: no count by hour knows these of a source.
const COUNTED: u64 = 200;
/// Longest user agent or path in a report, in characters.
const MAX_SHOWN: usize = 200;

/// What is known of a source address over a period.
#[derive(Clone, Debug, Serialize)]
pub struct SourceReport {
    /// The address.
    pub ip: IpAddr,
    /// The period.
    pub period: Period,
    /// Hits, those that sampling folded included.
    pub hits: u64,
    /// Of these, blocked.
    pub blocked: u64,
    /// Hits of the period before.
    pub hits_before: u64,
    /// Country by its newest hit; empty where unknown.
    pub country: String,
    /// Autonomous system by its newest hit; 0 where unknown.
    pub asn: u32,
    /// Source types by its newest hit.
    pub source_types: Vec<String>,
    /// Hits over time.
    pub series: Series,
    /// Attack types with most hits, of the newest hits that were counted.
    pub attack_types: Vec<Count>,
    /// Hosts with most hits, of the newest hits that were counted.
    pub targets: Vec<Count>,
    /// Newest hits from which attack types and hosts were counted, at most 200.
    pub counted: u64,
    /// Whether there are older hits in the period that were not counted so.
    pub cut: bool,
    /// Most frequent user agents of the hits looked at; empty text where there was none.
    pub user_agents: Vec<Sampled>,
    /// Most frequent paths of the hits looked at.
    pub paths: Vec<Sampled>,
    /// Hits looked at: the newest ones.
    pub sampled: usize,
    /// Entries of the address lists that name the address, a network around it, or its country, system or type.
    pub entries: Vec<IpEntry>,
    /// Automatic entries about it.
    pub automatic: Vec<ListedEntry>,
}

impl App {
    /// What is known of `ip` over `period`.
    pub async fn source_report(&self, ip: IpAddr, period: Period) -> Result<SourceReport> {
        let only = Filter { ips: Terms::only(IpNet::from(ip)), ..Filter::default() };
        let inside = Filter { from: Some(period.from), to: Some(period.to), ..only.clone() };
        let before = async {
            let Some(before) = period.before() else { return Ok(0) };
            Ok(sum(&self.store.series(&only, before.from, before.to, before.step).await?).0)
        };
        let (series, hits_before, sample, newest_counts) = tokio::try_join!(
            self.store.series(&only, period.from, period.to, period.step),
            before,
            self.newest_records(&inside),
            self.store.newest_counts(&inside, COUNTED, RANKED),
        )?;
        let newest = sample.first().map(|record| record.hit.client.clone()).unwrap_or_default();
        let (hits, blocked) = sum(&series);
        let automatic = self.abuse_entries().await?.into_iter().filter(|one| is_about(&one.entry.source, ip)).collect();
        let known = Known { ip, country: &newest.country, asn: newest.asn, kinds: &newest.source_types };
        Ok(SourceReport {
            ip,
            period,
            hits,
            blocked,
            hits_before,
            attack_types: newest_counts.attack_types,
            targets: newest_counts.targets,
            counted: newest_counts.read,
            cut: newest_counts.cut,
            user_agents: ranked(sample.iter().map(|record| short(&user_agent(&record.raw)))),
            paths: ranked(sample.iter().map(|record| short(&record.hit.request.path))),
            sampled: sample.len(),
            entries: entries(&self.policy.head().state, &known),
            automatic,
            series,
            country: newest.country,
            asn: newest.asn,
            source_types: newest.source_types,
        })
    }

    /// Records of the newest hits that fit `filter`, newest first.
    async fn newest_records(&self, filter: &Filter) -> Result<Vec<Replay>, StoreError> {
        let mut sample = Vec::new();
        let keep = |record| {
            sample.push(record);
            true
        };
        self.store.replay(filter, SAMPLE, keep).await?;
        Ok(sample)
    }
}

/// Hits and blocked hits of a series.
pub(super) fn sum(series: &Series) -> (u64, u64) {
    series.slots.iter().fold((0, 0), |sum, slot| (sum.0 + slot.hits, sum.1 + slot.blocked))
}

fn short(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// The first `User-Agent` of a message, as far as it is text.
fn user_agent(raw: &[u8]) -> String {
    let lines = raw.split(|&byte| byte == b'\n').skip(1).take_while(|line| !line.trim_ascii().is_empty());
    let mut values = lines.filter_map(|line| {
        let at = line.iter().position(|&byte| byte == b':')?;
        line[..at].eq_ignore_ascii_case(b"user-agent").then(|| line[at + 1..].trim_ascii())
    });
    values.next().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

/// Whether an automatic entry, whose source may name several parts, is about `ip`.
fn is_about(source: &str, ip: IpAddr) -> bool {
    source.split(',').any(|part| {
        let part = part.trim();
        part.parse::<IpAddr>() == Ok(ip) || part.parse::<IpNet>().is_ok_and(|net| net.contains(&ip))
    })
}

/// An address and what the databases said of it.
struct Known<'k> {
    ip: IpAddr,
    country: &'k str,
    asn: u32,
    kinds: &'k [String],
}

/// Listed values that hold for the address.
fn entries(state: &PolicyState, known: &Known<'_>) -> Vec<IpEntry> {
    state.ip_lists.iter().filter(|entry| names(entry, known)).cloned().collect()
}

fn names(entry: &IpEntry, known: &Known<'_>) -> bool {
    let value = entry.value.as_str();
    match entry.rule_type.as_str() {
        "ip_range" | "subnet" => covers(value, known.ip),
        "country" => !known.country.is_empty() && value.eq_ignore_ascii_case(known.country),
        "asn" => {
            let number = value.trim_start_matches(['A', 'S', 'a', 's']);
            known.asn != 0 && number.parse() == Ok(known.asn)
        }
        "proxy_type" | "datacenter" => known.kinds.iter().any(|kind| kind.eq_ignore_ascii_case(value)),
        _ => false,
    }
}

/// Whether an address, a network or a range of addresses holds `ip`.
fn covers(value: &str, ip: IpAddr) -> bool {
    if let Some((first, last)) = value.split_once('-') {
        let ends = first.trim().parse::<IpAddr>().ok().zip(last.trim().parse::<IpAddr>().ok());
        return ends.is_some_and(|(first, last)| {
            first.is_ipv4() == ip.is_ipv4() && last.is_ipv4() == ip.is_ipv4() && first <= ip && ip <= last
        });
    }
    value.parse::<IpAddr>() == Ok(ip) || value.parse::<IpNet>().is_ok_and(|net| net.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(rule_type: &str, value: &str) -> IpEntry {
        IpEntry {
            id: 1,
            list: "deny".into(),
            rule_type: rule_type.into(),
            value: value.into(),
            applications: Vec::new(),
            groups: Vec::new(),
            expired_at: None,
            reason: String::new(),
            created_by: String::new(),
            created_at: 0,
        }
    }

    #[test]
    fn entries_hold_for_an_address_by_network_range_country_system_and_type() {
        let kinds = ["tor".to_owned()];
        let known = Known { ip: "192.0.2.7".parse().unwrap(), country: "NL", asn: 64_500, kinds: &kinds };
        for (rule_type, value, holds) in [
            ("ip_range", "192.0.2.7", true),
            ("ip_range", "192.0.2.0/24", true),
            ("ip_range", "192.0.2.1-192.0.2.9", true),
            ("ip_range", "192.0.2.8-192.0.2.9", false),
            ("ip_range", "2001:db8::/32", false),
            ("country", "nl", true),
            ("country", "DE", false),
            ("asn", "AS64500", true),
            ("asn", "AS64501", false),
            ("proxy_type", "tor", true),
            ("datacenter", "aws", false),
        ] {
            assert_eq!(names(&entry(rule_type, value), &known), holds, "{rule_type} {value}");
        }
        let nothing = Known { ip: known.ip, country: "", asn: 0, kinds: &[] };
        assert!(!names(&entry("country", ""), &nothing) && !names(&entry("asn", "AS0"), &nothing));
    }

    #[test]
    fn user_agents_are_read_from_the_head_alone() {
        assert_eq!(user_agent(b"GET / HTTP/1.1\r\nHost: a\r\nuser-AGENT: curl/8 \r\n\r\n"), "curl/8");
        assert_eq!(user_agent(b"POST / HTTP/1.1\r\nHost: a\r\n\r\nUser-Agent: b"), "");
        assert_eq!(user_agent(b""), "");
    }
}
