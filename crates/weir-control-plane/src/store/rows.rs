//! What queries answer.

use super::filter::{AttackStatus, Mark};
use serde::Serialize;
use weir_core::model::{AttackType, PointPath};
use weir_protocol::hit::Hit;

/// A group of hits: one attack type, point and host, no hour between two hits, within one month (UTC).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Attack {
    /// UUID. When attacks merge the older one's stays, and the other leads to it.
    pub id: String,
    /// Attack type.
    pub attack_type: AttackType,
    /// Where in the message.
    pub point: PointPath,
    /// Host of the requests.
    pub host: String,
    /// Time of the first hit, in milliseconds since 1970.
    pub first_time: i64,
    /// Time of the last one.
    pub last_time: i64,
    /// Hits: exact.
    pub hits: u64,
    /// Of these, blocked: exact.
    pub blocked: u64,
    /// Requests that the hits stand for besides themselves (sampling): exact.
    pub folded: u64,
    /// Distinct sources: exact up to 64, within some 5 % above.
    pub sources: u64,
    /// Whether hits, blocked, folded and sources are lower bounds: a search for addresses counts only the newest 1,000 hits of an
    /// attack where more are from there.
    pub at_least: bool,
    /// What became of the hits.
    pub status: AttackStatus,
    /// What a person said of it.
    pub mark: Option<Marked>,
    /// The last hit in short.
    pub last_hit: Option<HitRow>,
    /// What was found in the last hit; none where nothing was: a listed source, a virtual patch, an anomaly.
    pub excerpt: Option<Excerpt>,
}

/// What matched in a hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Excerpt {
    /// Signature or detector.
    pub rule: String,
    /// The matched fragment, printable, cut and masked.
    pub matched: String,
    /// Findings of the hit besides this one.
    pub others: usize,
}

/// A mark, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Marked {
    /// The mark.
    pub mark: Mark,
    /// Who set it.
    pub author: String,
    /// When, in milliseconds since 1970.
    pub time: i64,
}

/// A hit in short, for lists.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct HitRow {
    /// UUIDv7.
    pub id: String,
    /// Time of the id, in milliseconds since 1970.
    pub time: i64,
    /// What the client and the gateway's log show.
    pub request_id: String,
    /// Source address; empty where unknown.
    pub ip: String,
    /// Its country; empty where unknown.
    pub country: String,
    /// Method.
    pub method: String,
    /// Host.
    pub host: String,
    /// Path, cut at 1,024 bytes.
    pub path: String,
    /// Status code of the upstream's answer; 0 where not known.
    pub status_code: u16,
    /// Application id, -1 for none.
    pub application: i64,
    /// Node that judged it.
    pub node: String,
    /// Mode in which it was judged.
    pub mode: String,
    /// The action that the gateway received: `pass` or `block`.
    pub action: String,
    /// Attack types.
    pub attack_types: Vec<AttackType>,
    /// Bytes of the request.
    pub size: u64,
    /// Further identical hits that it stands for.
    pub folded: u64,
}

/// A hit with all that is known of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StoredHit {
    /// The record; its response and consumer are those that came later.
    pub hit: Hit,
    /// The attacks that it belongs to.
    pub attacks: Vec<Attack>,
}

/// By what hits are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dimension {
    /// Attack type.
    AttackType,
    /// Source address.
    Source,
    /// Host that was attacked.
    Target,
    /// Country of the source.
    Country,
    /// Signature or detector by name, rule by id.
    Rule,
}

/// Hits of a signature or rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// Hits, those that sampling folded included.
    pub hits: u64,
    /// Of these, blocked.
    pub blocked: u64,
    /// First millisecond of the hour of the last hit.
    pub last_hour: i64,
}

/// One value and its hits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The value.
    pub value: String,
    /// Hits, those that sampling folded included.
    pub hits: u64,
    /// Of these, blocked.
    pub blocked: u64,
}

/// Counts of a stretch of time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Series {
    /// Length of a slot in milliseconds.
    pub step: i64,
    /// Slots in order of time, without gaps.
    pub slots: Vec<Slot>,
}

/// Counts of one slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Slot {
    /// Its first millisecond since 1970.
    pub time: i64,
    /// Hits, those that sampling folded included.
    pub hits: u64,
    /// Of these, blocked.
    pub blocked: u64,
}
