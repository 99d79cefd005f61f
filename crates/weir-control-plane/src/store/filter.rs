//! What of the store is asked for: one filter for attacks, hits, counts and exports.
//!
//! Different members must all hold (AND); of one member's values, any (OR) of `any` and none of `none`.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use weir_core::model::AttackType;

/// Wanted and unwanted values of one attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Terms<T> {
    /// One of these, unless it is empty.
    pub any: Vec<T>,
    /// None of these.
    pub none: Vec<T>,
}

impl<T> Default for Terms<T> {
    fn default() -> Self {
        Self { any: Vec::new(), none: Vec::new() }
    }
}

impl<T> Terms<T> {
    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.any.is_empty() && self.none.is_empty()
    }

    /// Terms that want exactly `value`.
    pub fn only(value: T) -> Self {
        Self { any: vec![value], none: Vec::new() }
    }

    /// How many values it names.
    pub fn len(&self) -> usize {
        self.any.len() + self.none.len()
    }
}

/// A stretch of numbers, both ends included; an open end is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Span {
    /// Least.
    pub min: Option<u64>,
    /// Greatest.
    pub max: Option<u64>,
}

impl Span {
    /// Exactly `n`.
    pub const fn exactly(n: u64) -> Self {
        Self { min: Some(n), max: Some(n) }
    }
}

/// What became of the hits of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackStatus {
    /// None was blocked.
    Monitoring,
    /// Some were blocked.
    PartiallyBlocked,
    /// All were blocked.
    Blocked,
}

impl AttackStatus {
    /// Every status, in order of its stored number.
    pub const ALL: &'static [AttackStatus] =
        &[AttackStatus::Monitoring, AttackStatus::PartiallyBlocked, AttackStatus::Blocked];

    /// As stored.
    pub const fn number(self) -> i64 {
        self as i64
    }

    /// The status of an attack of which `blocked` of `hits` were blocked.
    pub const fn of(hits: u64, blocked: u64) -> AttackStatus {
        match blocked {
            0 => AttackStatus::Monitoring,
            n if n >= hits => AttackStatus::Blocked,
            _ => AttackStatus::PartiallyBlocked,
        }
    }

    /// As written in queries: `monitoring`, `partially_blocked`, `blocked`.
    pub const fn code(self) -> &'static str {
        match self {
            AttackStatus::Monitoring => "monitoring",
            AttackStatus::PartiallyBlocked => "partially_blocked",
            AttackStatus::Blocked => "blocked",
        }
    }
}

/// What a person said of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// True positive.
    Tp,
    /// False positive.
    Fp,
}

impl Mark {
    /// As stored and as written in queries: `tp`, `fp`.
    pub const fn code(self) -> &'static str {
        match self {
            Mark::Tp => "tp",
            Mark::Fp => "fp",
        }
    }

    /// The mark with this code.
    pub fn from_code(code: &str) -> Option<Mark> {
        [Mark::Tp, Mark::Fp].into_iter().find(|mark| mark.code() == code)
    }
}

/// What is asked for. The default asks for everything.
///
/// An attack fits if its own attributes do and one of its hits fits what is said of hits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// First millisecond since 1970 asked for.
    pub from: Option<i64>,
    /// First millisecond since 1970 no longer asked for.
    pub to: Option<i64>,
    /// Attack types.
    pub attack_types: Terms<AttackType>,
    /// Hosts; `*` and `?` as in shells, without regard to case.
    pub hosts: Terms<String>,
    /// Paths; `*` and `?` as in shells.
    pub paths: Terms<String>,
    /// Points: a tag (`json_doc`), or the name of a parameter, header or member; `*` and `?` as in shells.
    pub points: Terms<String>,
    /// Addresses and networks.
    pub ips: Terms<IpNet>,
    /// Countries, ISO 3166-1 alpha-2; empty text for unknown.
    pub countries: Terms<String>,
    /// Kinds of source: `tor`, `vpn`, `aws` and the like.
    pub source_types: Terms<String>,
    /// Status codes of the upstream's answer; 0 for not known.
    pub status_codes: Terms<Span>,
    /// Methods, without regard to case.
    pub methods: Terms<String>,
    /// Application ids, -1 for none.
    pub applications: Terms<i64>,
    /// Ids that clients and gateways see.
    pub request_ids: Terms<String>,
    /// Nodes that judged.
    pub nodes: Terms<String>,
    /// Protocols as clients spoke them, e.g. `HTTP/2.0`; `*` and `?` as in shells, without regard to case.
    pub protocols: Terms<String>,
    /// Modes in which was judged: `monitoring`, `safe_blocking`, `block`.
    pub modes: Terms<String>,
    /// The action that the gateway received: `pass`, `block`.
    pub actions: Terms<String>,
    /// Texts anywhere in the request or in what matched, without regard to case.
    pub texts: Terms<String>,
    /// Names of signatures, or ids of policy rules.
    pub rules: Terms<String>,
    /// Bytes of the request.
    pub sizes: Terms<Span>,
    /// Status of the attack.
    pub statuses: Terms<AttackStatus>,
    /// Marks of the attack; none for unmarked.
    pub marks: Terms<Option<Mark>>,
    /// Hits in the attack.
    pub hits: Option<Span>,
    /// Distinct sources of the attack.
    pub sources: Option<Span>,
}
