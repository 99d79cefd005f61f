//! Records as they come in: checked, cut to measure, and taken apart into the values of rows.

use super::ids;
use super::sql::Value;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::net::IpAddr;
use weir_core::model::{AttackType, PointPath};
use weir_protocol::code::HitAction;
use weir_protocol::hit::Hit;
use weir_protocol::hit::HitDirection;
use weir_protocol::node_api::HitUpdate;

/// Longest record as JSON: head and the largest body that a node may be configured to keep, in base64.
pub(super) const MAX_DOC: usize = 3 << 20;
/// How far ahead of this clock an id may be: clocks of nodes are wrong by hours at most.
pub(super) const MAX_AHEAD: i64 = ids::DAY;
/// Groups that one hit joins: beyond these it says nothing new.
const MAX_GROUPS: usize = 16;
/// Bytes of a path that can be searched.
const MAX_PATH: usize = 1024;
/// Bytes of every other text that can be searched.
const MAX_TEXT: usize = 256;
/// Bytes of each list.
const MAX_LIST: usize = 2048;

/// What may come in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// First time still kept.
    pub from: i64,
    /// Now.
    pub now: i64,
}

impl Window {
    /// Whether what happened at `time` can be stored.
    pub fn holds(&self, time: i64) -> bool {
        (self.from..=self.now + MAX_AHEAD).contains(&time)
    }

    /// The id in canonical form and its time, or why it cannot be stored.
    fn admit(&self, id: &str) -> Result<(String, i64), RejectedRecord> {
        let (id, time) = ids::read(id).ok_or(RejectedRecord::Id)?;
        match time {
            t if t > self.now + MAX_AHEAD => Err(RejectedRecord::Ahead),
            t if t < self.from => Err(RejectedRecord::Expired),
            _ => Ok((id, time)),
        }
    }
}

/// Why a record of a node is not stored. The text goes to the node.
#[derive(Debug, thiserror::Error)]
pub(super) enum RejectedRecord {
    #[error("the id is no UUIDv7")]
    Id,
    #[error("the id is more than a day ahead: check the node's clock")]
    Ahead,
    #[error("the id is older than what is kept")]
    Expired,
    #[error("the record cannot be written as JSON")]
    Json(#[source] serde_json::Error),
    #[error("the record is larger than {} MiB", MAX_DOC >> 20)]
    TooLarge,
}

/// A group that a hit belongs to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    /// Its key: a hash of what follows.
    pub key: String,
    /// Attack type.
    pub attack_type: AttackType,
    /// Point, JSON.
    pub point: String,
}

/// A hit ready to be stored.
#[derive(Debug)]
pub(super) struct Incoming {
    pub id: String,
    pub time: i64,
    pub hit: Hit,
    pub doc: String,
    pub host: String,
    pub ip: Option<IpAddr>,
    pub groups: Vec<Group>,
}

impl Incoming {
    /// Checks `hit`, which `node` sent.
    pub fn new(mut hit: Hit, node: &str, window: Window) -> Result<Incoming, RejectedRecord> {
        let (id, time) = window.admit(&hit.id)?;
        hit.id.clone_from(&id);
        distinct(&mut hit.attacks);
        if hit.node.is_empty() {
            node.clone_into(&mut hit.node);
        }
        let doc = serde_json::to_string(&hit).map_err(RejectedRecord::Json)?;
        if doc.len() > MAX_DOC {
            return Err(RejectedRecord::TooLarge);
        }
        let host = text(&hit.request.host.to_ascii_lowercase(), MAX_TEXT);
        let ip = hit.client.ip.parse().ok();
        let groups = groups(&hit, &host);
        Ok(Incoming { id, time, hit, doc, host, ip, groups })
    }

    /// Whether the action sent to the gateway was `block`.
    pub fn blocked(&self) -> bool {
        self.hit.action == HitAction::Block
    }

    /// How many requests it stands for.
    pub fn weight(&self) -> u64 {
        self.hit.folded.saturating_add(1).min(1 << 40)
    }

    /// Rules by number and signatures by name.
    pub fn rules(&self) -> impl Iterator<Item = String> {
        self.hit.rules.iter().map(u64::to_string).chain(self.hit.findings.iter().map(|f| f.rule.clone()))
    }

    /// Values for the columns of [`super::ingest`]'s INSERT into `hits`.
    pub fn hit_row(&self) -> Vec<Value> {
        let hit = &self.hit;
        let response = hit.response.unwrap_or_default();
        vec![
            self.id.clone().into(),
            self.time.into(),
            connector(hit).into(),
            request_id(hit).into(),
            i64::from(hit.attempt).into(),
            leg(hit.leg).into(),
            text(&hit.node, MAX_TEXT).into(),
            text(&hit.client.ip, MAX_TEXT).into(),
            self.ip.map(ip_key).unwrap_or_default().into(),
            self.country().into(),
            hit.application.into(),
            self.method().into(),
            self.host.clone().into(),
            text(&hit.request.path, MAX_PATH).into(),
            text(&hit.request.protocol, MAX_TEXT).into(),
            hit.request.bytes.into(),
            i64::from(response.status).into(),
            if hit.response.is_some() { response.after_ms.into() } else { Value::Int(-1) },
            text(hit.mode.as_str(), MAX_TEXT).into(),
            text(hit.action.as_str(), MAX_TEXT).into(),
            i64::from(self.blocked()).into(),
            (self.weight() - 1).into(),
            list(hit.attacks.iter().map(|a| a.code().to_owned())).into(),
            list(self.rules()).into(),
            list(self.groups.iter().map(|g| g.key.clone())).into(),
            list(self.groups.iter().map(|g| g.point.clone())).into(),
            list(hit.client.source_types.iter().map(|source| source.to_ascii_lowercase())).into(),
            text(&hit.gateway.consumer, MAX_TEXT).into(),
            super::free_text::words(hit).into(),
        ]
    }

    /// Values for the columns of the INSERT into `hit_groups`.
    pub fn group_row(&self, group: &Group) -> Vec<Value> {
        let hit = &self.hit;
        vec![
            group.key.clone().into(),
            self.id.clone().into(),
            self.ip.map(ip_key).unwrap_or_default().into(),
            self.country().into(),
            i64::from(hit.response.unwrap_or_default().status).into(),
            self.method().into(),
            hit.application.into(),
            text(&hit.node, MAX_TEXT).into(),
            text(&hit.request.path, MAX_PATH).into(),
            i64::from(self.blocked()).into(),
            (self.weight() - 1).into(),
        ]
    }

    /// Which message: as stored.
    pub fn leg(&self) -> &'static str {
        leg(self.hit.leg)
    }

    pub fn country(&self) -> String {
        text(&self.hit.client.country.to_ascii_uppercase(), MAX_TEXT)
    }

    pub fn method(&self) -> String {
        text(&self.hit.request.method.to_ascii_uppercase(), MAX_TEXT)
    }

    pub fn ip_text(&self) -> String {
        text(&self.hit.client.ip, MAX_TEXT)
    }
}

/// News of a hit, checked.
#[derive(Clone, Debug)]
pub(super) struct News {
    pub line: u64,
    pub id: String,
    pub time: i64,
    pub status_code: i64,
    pub response_after: i64,
    pub consumer: String,
}

impl News {
    /// Checks `update`, line `line` of a batch.
    pub fn new(line: u64, update: &HitUpdate, window: Window) -> Result<News, RejectedRecord> {
        let (id, time) = window.admit(&update.hit)?;
        Ok(News::of(line, update, id, time))
    }

    /// `update` of the hit `id`, whose time is `time`.
    pub fn of(line: u64, update: &HitUpdate, id: String, time: i64) -> News {
        News {
            line,
            id,
            time,
            status_code: i64::from(update.response.status),
            response_after: i64::try_from(update.response.after_ms).unwrap_or(i64::MAX),
            consumer: text(&update.consumer, MAX_TEXT),
        }
    }
}

/// Leaves each attack type once, so that what follows is bounded by the number of types.
fn distinct(attacks: &mut Vec<AttackType>) {
    let mut seen = std::collections::HashSet::new();
    attacks.retain(|attack| seen.insert(*attack));
}

const fn leg(leg: HitDirection) -> &'static str {
    match leg {
        HitDirection::Request => "request",
        HitDirection::Response => "response",
    }
}

/// The groups of a hit: each established attack type at each point where it was found, the decisive ones first.
fn groups(hit: &Hit, host: &str) -> Vec<Group> {
    let mut pairs: Vec<(AttackType, &PointPath)> = Vec::new();
    let mut add = |attack: AttackType, point| {
        if pairs.len() < MAX_GROUPS && !pairs.contains(&(attack, point)) {
            pairs.push((attack, point));
        }
    };
    for decisive in [true, false] {
        let found = hit.findings.iter().filter(|f| f.decisive == decisive && hit.attacks.contains(&f.attack));
        found.for_each(|f| add(f.attack, &f.point));
    }
    let nowhere = PointPath::default();
    let anomaly = hit.anomalies.first().map_or(&nowhere, |a| &a.point);
    // What no finding stands for: a denylisted source, a virtual patch, an anomaly.
    for &attack in hit.attacks.iter().filter(|a| !hit.findings.iter().any(|f| f.attack == **a)) {
        add(attack, anomaly);
    }
    pairs.into_iter().map(|(attack, point)| group(attack, point, host)).collect()
}

fn group(attack_type: AttackType, point: &PointPath, host: &str) -> Group {
    let point = serde_json::to_string(point).unwrap_or_else(|_| "[]".into());
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in [attack_type.code(), &point, host] {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let digest = context.finish();
    // 128 bits: no two groups collide, by design or by chance.
    let key = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..16]);
    Group { key, attack_type, point }
}

/// The request id as stored.
pub(super) fn request_id(hit: &Hit) -> String {
    text(&hit.request_id, MAX_TEXT)
}

/// The connector as stored.
pub(super) fn connector(hit: &Hit) -> String {
    text(&hit.connector, MAX_TEXT)
}

/// `source` cut to `max` bytes at a character, without NUL, which PostgreSQL cannot keep.
pub(super) fn text(source: &str, max: usize) -> String {
    source[..source.floor_char_boundary(max)].replace('\0', "\u{fffd}")
}

/// Members between spaces, as many as fit.
fn list(members: impl Iterator<Item = String>) -> String {
    let mut out = String::from(" ");
    for member in members.take(64) {
        let member = member.replace('\0', "\u{fffd}");
        if out.len() + member.len() < MAX_LIST && !out.contains(&format!(" {member} ")) {
            out.push_str(&member);
            out.push(' ');
        }
    }
    out
}

/// An address as 32 hex digits of IPv6, so that a network is a range of them.
pub(super) fn ip_key(ip: IpAddr) -> String {
    format!("{:032x}", ip_number(ip))
}

/// An address as a number, IPv4 mapped into IPv6.
pub(super) fn ip_number(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}
