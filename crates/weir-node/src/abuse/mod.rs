//! Behaviour over many requests: counts requests and responses under the abuse rules of the policy, and keeps the list of
//! sources that went over a limit.
//!
//! A request is counted at once and locally; nothing here waits for another replica. What the response leg needs to know of
//! its request ([`Carried`]) travels in the sealed context.

mod carried; // from the request to its response
mod counting; // one request under its rules
mod histograms; // counts of keys by rule and minute
mod keep; // entries across restarts
mod legs; // whether responses come
mod metrics;
mod parts; // parts of the keys of one request
mod points; // values at points of a message
mod request; // the request leg
mod response; // the response leg
mod sessions; // sessions that the upstream issued or accepted
mod share; // counters and entries of all replicas
mod share_script; // what the server does
mod share_server; // where it is
mod share_stream; // how much of an answer is read
mod spelling; // accounts in one spelling
#[cfg(test)]
mod tests;
mod trails; // the latest requests of sessions
mod upstream;
mod values; // where the parts are
mod words; // reasons for people

pub use carried::{Carried, MAX_CARRIED};
pub use histograms::Histograms;
pub use keep::EntryFile;
pub use metrics::AbuseMetrics;
pub use request::{AbuseCheck, RequestView};
pub use response::ResponseView;
pub use share::{Share, ShareSettings};
pub use share_server::{ServerSettings, ShareError};
pub use trails::{Step, Trails};
pub use upstream::exchange;
pub(crate) use upstream::{EntryExchange, INTERVAL, call};

use arc_swap::ArcSwap;
use legs::Legs;
use sessions::Sessions;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use weir_abuse::{Entries, Keys, Spec, Table};
use weir_policy::AbuseRule;
use weir_protocol::node_api::{BehaviourStatus, MAX_SECRETS};

/// Most automatic entries of a group.
pub(crate) const MAX_ENTRIES: usize = 100_000;
/// Largest difference of clocks, in milliseconds.
const MAX_OFFSET_MS: i64 = 86_400_000;

/// Settings of [`Abuse`].
#[derive(Clone, Debug)]
pub struct AbuseSettings {
    /// Bytes for counters.
    pub memory: usize,
    /// Secrets of the group, the one in use first.
    pub secrets: Vec<Vec<u8>>,
    /// Whether counters are shared with other replicas.
    pub shared: bool,
}

/// Counters, sessions and entries of a node.
#[derive(Debug)]
pub struct Abuse {
    keys: ArcSwap<Keyring>,
    table: Table,
    entries: Entries,
    sessions: Sessions,
    histograms: Histograms,
    trails: Trails,
    /// Which responses come.
    legs: Legs,
    /// When a request came for which a rule would list its source, from a connector that does not authenticate; 0 for never.
    unlisted: AtomicU64,
    /// Rules left out on a response, because too many read it.
    not_carried: AtomicU64,
    /// What is added to the clock of the node to get that of the shared counters, in milliseconds.
    offset_ms: AtomicI64,
}

/// The keys in use, then those of earlier secrets, by which entries and exceptions are still found.
#[derive(Debug)]
struct Keyring(Vec<Keys>);

impl Keyring {
    fn new(secrets: &[Vec<u8>]) -> Self {
        let keys: Vec<Keys> = secrets.iter().map(|secret| Keys::new(secret)).collect();
        if keys.is_empty() { Self(vec![Keys::new(&process_secret())]) } else { Self(keys) }
    }
}

/// A secret of this process, for a node without a secret of a group.
fn process_secret() -> Vec<u8> {
    let mut secret = uuid::Uuid::new_v4().as_bytes().to_vec();
    secret.extend_from_slice(uuid::Uuid::new_v4().as_bytes());
    secret
}

impl Abuse {
    /// Empty counters.
    pub fn new(settings: &AbuseSettings) -> Self {
        Self {
            keys: ArcSwap::from_pointee(Keyring::new(&settings.secrets)),
            table: Table::new(settings.memory, settings.shared),
            entries: Entries::new(MAX_ENTRIES),
            sessions: Sessions::default(),
            histograms: Histograms::default(),
            trails: Trails::default(),
            legs: Legs::default(),
            unlisted: AtomicU64::new(0),
            not_carried: AtomicU64::new(0),
            offset_ms: AtomicI64::new(0),
        }
    }

    /// Replaces the secrets of the group. Counters start anew; entries and exceptions made under a secret that stays are still
    /// found.
    pub fn set_secrets(&self, secrets: &[Vec<u8>]) {
        if !secrets.is_empty() {
            self.keys.store(Arc::new(Keyring::new(secrets)));
        }
    }

    /// The counters.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The automatic entries.
    pub fn entries(&self) -> &Entries {
        &self.entries
    }

    /// What keys reached, by rule and minute.
    pub fn histograms(&self) -> &Histograms {
        &self.histograms
    }

    /// The latest requests of sessions.
    pub fn trails(&self) -> &Trails {
        &self.trails
    }

    /// The name of a key outside the node.
    pub fn name(&self, key: u128) -> String {
        self.keys.load().0[0].name(key)
    }

    /// Notes that it was `theirs` by the clock of the shared counters when it was `now` by that of the node. A difference of
    /// more than a day is no clock: counters would be emptied by whoever answers so.
    pub fn set_offset(&self, theirs: u64, now: u64) {
        let offset = i64::try_from(i128::from(theirs) - i128::from(now)).unwrap_or(i64::MAX);
        self.offset_ms.store(offset.clamp(-MAX_OFFSET_MS, MAX_OFFSET_MS), Ordering::Relaxed);
    }

    /// `now` by the clock of the shared counters.
    pub fn shared_time(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.offset_ms.load(Ordering::Relaxed))
    }

    /// What the rules cannot do on this node, for its heartbeats.
    pub fn status(&self, now: u64) -> BehaviourStatus {
        BehaviourStatus {
            unlisted: self.unlisted.load(Ordering::Relaxed),
            unanswered: self.unanswered(now),
            secrets: self.keys.load().0.iter().take(MAX_SECRETS).map(|keys| keys.id().to_owned()).collect(),
        }
    }

    /// How often a rule did not count a request because more rules read its response than can be carried to it.
    pub fn not_carried(&self) -> u64 {
        self.not_carried.load(Ordering::Relaxed)
    }
}

/// How a rule is counted, under a key that `shares` sessions share.
fn spec(rule: &AbuseRule, shares: u32) -> Spec {
    Spec { window_ms: u64::from(rule.window) * 1000, limit: rule.limit(), shares }
}

/// How many sessions share a key of a rule: for addresses as a whole, those that the upstream issued or accepted.
fn shares(rule: &AbuseRule, sessions: u32) -> u32 {
    if sessions > 1 && rule.is_shared_by_sessions() { sessions } else { 1 }
}

/// The prefix of IPv4 addresses that a gateway translated to IPv6 (RFC 6052): they are different clients in one network.
const TRANSLATED: u128 = 0x0064_ff9b_u128 << 96;

/// The client behind an address: that of IPv4, where it is mapped or translated.
fn client_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(ip) if ip.to_bits() >> 32 << 32 == TRANSLATED => Ipv4Addr::from_bits(ip.to_bits() as u32).into(),
        client => client,
    }
}

/// An address as it is counted: of IPv6 the network of 64 bits.
fn counted_address(client: IpAddr) -> [u8; 17] {
    let mut bytes = [0; 17];
    match client_of(client) {
        IpAddr::V4(ip) => bytes[1..5].copy_from_slice(&ip.to_bits().to_be_bytes()),
        IpAddr::V6(ip) => {
            bytes[0] = 6;
            bytes[1..9].copy_from_slice(&ip.to_bits().to_be_bytes()[..8]);
        }
    }
    bytes
}
