//! The API that a control plane offers to nodes. An aggregation offers the same API in its place.
//!
//! All under `/node/v1`, JSON, over HTTP/1.1. `register` is authorised by a deploy token, everything else by
//! `Authorization: Bearer NODE_ID.SECRET` of the identity that registration gave. Readers ignore members that they do
//! not know: a control plane of version N serves nodes N-1 and N.

use crate::code::NodeRole;
use serde::{Deserialize, Serialize};

/// `POST`: a [`Register`] for a [`Registered`].
pub const REGISTER: &str = "/node/v1/register";
/// `POST`: a [`Heartbeat`], 204. At least every [`HEARTBEAT_SECONDS`].
pub const HEARTBEAT: &str = "/node/v1/heartbeat";
/// Header of a heartbeat that speaks for replicas: the token of usage node deployment. With it an aggregation may take over
/// nodes that are silent elsewhere.
pub const REGISTRATION_TOKEN: &str = "weir-registration-token";
/// `POST`: newline-separated JSON of [`crate::hit::Hit`] and [`HitUpdate`] records, for an [`Ack`]. May be gzip.
pub const EVENTS: &str = "/node/v1/events";
/// `POST`: [`Statistics`], for 204.
pub const STATISTICS: &str = "/node/v1/statistics";
/// `POST`: an [`AbuseReport`] for an [`AbuseNews`]. An aggregation also adds up the counters of its nodes.
pub const ABUSE: &str = "/node/v1/abuse";
/// `GET ?after=SERIAL&wait=SECONDS`: a [`SignedPolicy`] newer than SERIAL, or 204 when none came in time.
pub const POLICY: &str = "/node/v1/policy";
/// `GET /node/v1/blobs/SHA256`: a file that a policy names, by the hash of its content.
pub const BLOBS: &str = "/node/v1/blobs";

/// Seconds between heartbeats. With two missing a node does not answer, after two minutes it is inactive.
pub const HEARTBEAT_SECONDS: u64 = 5;
/// Seconds between heartbeats of nodes that do not say how often they send them.
pub const OLD_HEARTBEAT_SECONDS: u64 = 30;
/// Most gaps of a heartbeat.
pub const MAX_GAPS: usize = 50;
/// Most rules without responses of a heartbeat.
pub const MAX_UNANSWERED: usize = 50;
/// Most secrets that a node reports.
pub const MAX_SECRETS: usize = 16;
/// Longest wait for a policy, in seconds: below the idle limits of common proxies.
pub const MAX_WAIT_SECONDS: u64 = 30;
/// Most records in one batch.
pub const MAX_BATCH: usize = 1_000;
/// Most changes of one [`AbuseReport`] or [`AbuseNews`].
pub const MAX_ABUSE_CHANGES: usize = 1_000;
/// Most bytes of an [`AbuseReport`]: most changes and counters, each of the largest kind.
pub const MAX_ABUSE_BYTES: usize = 6 << 20;
/// Most bytes of one batch, before compression.
pub const MAX_BATCH_BYTES: usize = 8 << 20;
/// Largest policy document, in bytes.
pub const MAX_POLICY_BYTES: usize = 64 << 20;
/// Largest rule pack, in bytes: ten times the built-in rules.
pub const MAX_PACK_BYTES: u64 = 16 << 20;
/// Largest address database, in bytes.
pub const MAX_DATABASE_BYTES: u64 = 512 << 20;
/// Most files that one policy names.
pub const MAX_BLOBS: usize = 64;
/// Most keys from a pinned one to the one in use.
pub const MAX_CHAIN: usize = 64;
/// Prefix of a document when it is signed.
pub const POLICY_CONTEXT: &[u8] = b"weir policy v1\n";
/// Prefix of a key when its predecessor signs it.
pub const KEY_CONTEXT: &[u8] = b"weir policy key v1\n";
/// Policy features that this build supports; sent at registration and with each heartbeat.
pub const CAPABILITIES: &[&str] = &["policy.1", "rule_packs.1", "databases.1", "block_reply.1"];

/// Request of a node for an identity.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Register {
    /// Identity that it already has, to keep it; the secret proves ownership.
    #[serde(default)]
    pub identity: Option<Identity>,
    /// Group to join.
    pub group: String,
    /// Display name.
    pub name: String,
    /// Its role.
    pub role: NodeRole,
    /// Version of the program.
    pub version: String,
    /// [`CAPABILITIES`].
    pub capabilities: Vec<String>,
}

/// Identity of a node.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq)]
pub struct Identity {
    /// Id of the node.
    pub node_id: String,
    /// Its secret.
    pub secret: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Identity({}, ****)", self.node_id)
    }
}

/// Response to [`Register`]: the identity, and the key that signs policies.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Registered {
    /// The identity.
    pub identity: Identity,
    /// The key now in use.
    pub policy_key: PolicyKey,
    /// Version of the control plane.
    pub version: String,
}

/// An Ed25519 public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyKey {
    /// First 16 hex digits of the SHA-256 of the key.
    pub key_id: String,
    /// The 32 bytes, base64.
    pub public_key: String,
}

/// A key and the signature of its predecessor on its 32 bytes: a chain from a pinned key to the one in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuccessorKey {
    /// The new key.
    pub key: PolicyKey,
    /// Id of the key that signed it.
    pub signed_by: String,
    /// Ed25519 signature over `weir policy key v1\\n` and the 32 bytes of the new key, base64.
    pub signature: String,
}

/// Status of a node.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Heartbeat {
    /// Version of the program.
    pub version: String,
    /// [`CAPABILITIES`].
    pub capabilities: Vec<String>,
    /// Serial of the policy in force, 0 for none.
    pub policy_serial: u64,
    /// Why the newest policy is not in force, if it is not.
    pub policy_error: Option<String>,
    /// Records in the spool that are not delivered yet.
    pub spooled: u64,
    /// Records dropped since the start.
    pub dropped: u64,
    /// Seconds since the start.
    pub uptime: u64,
    /// Signatures in use.
    pub signatures: u64,
    /// Signatures built into the node's program that are not in use.
    #[serde(skip_serializing_if = "is_zero")]
    pub missing_signatures: u64,
    /// Seconds between heartbeats; 0 for [`OLD_HEARTBEAT_SECONDS`].
    #[serde(skip_serializing_if = "is_zero")]
    pub interval: u64,
    /// Milliseconds since the node sent it, if an aggregation reports it.
    #[serde(skip_serializing_if = "is_zero")]
    pub age_ms: u64,
    /// What passed uninspected lately, at most [`MAX_GAPS`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
    /// What rules on behaviour cannot do on this node.
    #[serde(skip_serializing_if = "BehaviourStatus::is_empty")]
    pub behaviour: BehaviourStatus,
    /// Display name, if an aggregation reports for the node.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Heartbeats of the nodes behind an aggregation, by node id.
    pub replicas: Vec<(String, Heartbeat)>,
}

impl Heartbeat {
    /// Seconds until the next one.
    pub fn interval(&self) -> u64 {
        if self.interval == 0 { OLD_HEARTBEAT_SECONDS } else { self.interval }
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// How rules on behaviour are on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BehaviourStatus {
    /// When a connector that does not authenticate last sent a request under a rule that would list its source, in
    /// milliseconds since 1970; 0 for never. Such calls list nothing.
    pub unlisted: u64,
    /// Rules on responses to whose requests no responses come, at most [`MAX_UNANSWERED`].
    pub unanswered: Vec<UnansweredRule>,
    /// Ids of the secrets under which keys are found, at most [`MAX_SECRETS`]; none from nodes of an earlier version.
    pub secrets: Vec<String>,
}

impl BehaviourStatus {
    /// Whether there is nothing to report.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Keeps what a receiver has room for: [`MAX_UNANSWERED`] rules, [`MAX_SECRETS`] secrets, and of each text what `short` leaves.
    pub fn limit(&mut self, short: impl Fn(&str) -> String) {
        self.unanswered.truncate(MAX_UNANSWERED);
        self.secrets.truncate(MAX_SECRETS);
        self.secrets.iter_mut().for_each(|id| *id = short(id));
        self.unanswered.iter_mut().for_each(|one| one.route = short(&one.route));
    }
}

/// A rule on responses, and a route for whose requests no responses come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct UnansweredRule {
    /// Id of the rule.
    pub rule: u64,
    /// Route of the gateway; empty where it is not known.
    pub route: String,
    /// The last request of these, in milliseconds since 1970.
    pub last: u64,
}

/// Messages that passed uninspected for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gap {
    /// Route of the gateway; empty where it is not known.
    pub route: String,
    /// `request` or `response`.
    pub leg: String,
    /// Why, as in coverage reports.
    pub reason: String,
    /// Messages since the start of the node that reports it.
    pub count: u64,
    /// The last of them, in milliseconds since 1970.
    pub last: u64,
}

/// Information about a hit that became known after it was spooled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HitUpdate {
    /// Id of the hit.
    pub hit: String,
    /// The upstream's response.
    pub response: crate::hit::HitResponse,
    /// `Inspector-Consumer`.
    #[serde(default)]
    pub consumer: String,
}

/// One line of a batch.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub enum Record {
    /// A hit.
    Hit(Box<crate::hit::Hit>),
    /// An update of a hit.
    Update(HitUpdate),
}

/// Confirms that a batch is stored. Until it arrives, the sender keeps the batch and sends it again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Ack {
    /// Records that were new.
    pub stored: u64,
    /// Records that were already stored.
    pub duplicates: u64,
    /// Records that cannot be stored: line number from 0 and reason. The sender counts them as dropped.
    pub rejected: Vec<(u64, String)>,
}

/// Traffic of a node in a period of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Statistics {
    /// UUIDv7: a repeated report counts once.
    pub id: String,
    /// Id of the node; set by the receiver that authenticated it.
    pub node: String,
    /// First second, since 1970.
    pub from: u64,
    /// Length in seconds.
    pub seconds: u32,
    /// A row for each application and host.
    pub rows: Vec<StatisticsRow>,
    /// What keys of abuse rules reached, by rule and minute; at most [`MAX_RULE_MINUTES`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleMinute>,
    /// Requests of sessions that are of interest; at most [`MAX_SESSION_BATCH`] requests.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sessions: Vec<SessionTrail>,
}

/// Most requests of sessions in one report.
pub const MAX_SESSION_BATCH: usize = 500;
/// Requests that are kept of a session: the last ones.
pub const MAX_SESSION_REQUESTS: usize = 200;

/// Requests of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionTrail {
    /// An HMAC of the session: the session itself is not stored.
    pub session: String,
    /// Application id.
    pub application: i64,
    /// The client's address at the last request.
    pub client: String,
    /// Requests that were not reported before, in the order in which they came.
    pub requests: Vec<SessionRequest>,
}

/// A request of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SessionRequest {
    /// When it was inspected, in milliseconds since 1970.
    pub time: u64,
    /// Method.
    pub method: String,
    /// Path, masked, without query.
    pub path: String,
    /// Status of the response; 0 if it is not known.
    pub status: u16,
    /// Whether it was blocked.
    #[serde(skip_serializing_if = "is_false")]
    pub blocked: bool,
    /// Id of its hit; empty for none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub hit: String,
    /// Attacks found, and counters above their limit, in words.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// Most histograms of one report.
pub const MAX_RULE_MINUTES: usize = 300;

/// A minute of an abuse rule: how many keys reached which count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RuleMinute {
    /// The rule.
    pub rule: u64,
    /// What it counts: minutes of a rule add up only if this is the same.
    pub measure: u64,
    /// Minutes since 1970.
    pub minute: u64,
    /// Buckets of a [`weir_abuse::Histogram`] with their keys.
    pub counts: Vec<(u8, u64)>,
}

/// Upper bounds of the buckets of [`StatisticsRow::latency`], in microseconds; the last bucket has none.
pub const LATENCY_BOUNDS_US: &[u64] = &[50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 50_000, 250_000];

/// Counts of one application and host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct StatisticsRow {
    /// Application id.
    pub application: i64,
    /// Host; `*` for those past the limit of rows.
    pub host: String,
    /// Requests with a verdict.
    pub requests: u64,
    /// Requests in which an attack was found.
    pub attacks: u64,
    /// Requests blocked.
    pub blocked: u64,
    /// Requests passed without inspection.
    pub bypassed: u64,
    /// Bytes received.
    pub bytes: u64,
    /// Requests by inspection time, in the buckets of [`LATENCY_BOUNDS_US`].
    pub latency: Vec<u64>,
}

/// Automatic entries of address lists that a node made, and what it counted.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AbuseReport {
    /// New entries.
    pub changes: Vec<weir_abuse::Change>,
    /// Number of the last change that the node knows.
    pub after: u64,
    /// What it counted, if it wants to count with others. A control plane ignores it.
    pub counters: Option<weir_abuse::CounterReport>,
}

/// Automatic entries of all nodes of a group, decisions of analysts about them, and the counts of all nodes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct AbuseNews {
    /// Random name of the run of the server, if numbers begin anew with each; empty for a control plane.
    pub server: String,
    /// Changes past the number that the node knows; perhaps not all at once.
    pub changes: Vec<weir_abuse::Change>,
    /// Number of the last of them.
    pub last: u64,
    /// The server's time, in milliseconds since 1970: the changes are by its clock. 0 from a server of an earlier version.
    pub time: u64,
    /// The counts of all nodes; none from a server that does not add them up.
    pub counters: Option<weir_abuse::CounterNews>,
}

/// A policy document as published.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignedPolicy {
    /// JSON text of a [`PolicyPayload`]: exactly the bytes that are signed.
    pub document: String,
    /// Id of the signing key.
    pub key_id: String,
    /// Ed25519 signature over `weir policy v1\\n` and the document, base64.
    pub signature: String,
    /// Keys since the first one, each signed by its predecessor.
    #[serde(default)]
    pub chain: Vec<SuccessorKey>,
}

/// The signed content.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PolicyPayload {
    /// Version of this schema, 1.
    pub schema: u32,
    /// Increases with each publication; a lower one is rejected.
    pub serial: u64,
    /// When it was published, in seconds since 1970.
    pub published_at: u64,
    /// Group that it applies to.
    pub group: String,
    /// Capabilities without which a node must not use it.
    #[serde(default)]
    pub requires: Vec<String>,
    /// The policy document, in the form of a local policy file.
    pub policy: serde_json::Value,
    /// Rule packs, each a file of `BLOBS` in the format of a rule file (rules/README.md). One called `builtin` takes the
    /// place of the signatures that ship with the node, one called `cve` that of its virtual patches.
    #[serde(default)]
    pub rule_packs: Vec<Blob>,
    /// Address databases; `name` is `country`, `asn` or `source_type`.
    #[serde(default)]
    pub databases: Vec<Blob>,
}

/// A file by the hash of its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blob {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 in hex.
    pub sha256: String,
    /// Its length.
    pub bytes: u64,
}
