//! A hit: the record of one malicious request, as it is spooled, shipped and stored.
//!
//! Version 1. Readers ignore members that they do not know, and give absent ones their default, so that a control plane
//! of version N reads the hits of nodes N-1 and N. Only [`crate::record`] makes hits: it masks first.

use crate::code::{HitAction, HitList, HitMode, HitReason};
use serde::{Deserialize, Serialize};
use weir_core::model::anomaly::AnomalyKind;
use weir_core::model::attack::AttackType;
use weir_core::model::finding::Confidence;
use weir_core::model::point::PointPath;

/// Version of the record that this build writes.
pub const HIT_VERSION: u32 = 1;

/// One malicious request. Everything in it is masked already.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hit {
    /// Version of the record, [`HIT_VERSION`].
    pub version: u32,
    /// UUIDv7, generated when the hit is spooled: the primary key in the store; its time selects the partition.
    pub id: String,
    /// When the message was inspected, in milliseconds since 1970.
    pub time: u64,
    /// Which message contains the attack.
    pub leg: HitDirection,
    /// `Inspector-Request-Id`: what the client and the gateway's log show.
    pub request_id: String,
    /// `Inspector-Connector`, e.g. `kong-lua/1.0.0`.
    pub connector: String,
    /// `Inspector-Attempt`: 2 for a call that the connector repeated. Hits with the same connector and request id merge.
    pub attempt: u32,
    /// Id of the node that inspected it; empty until registered.
    pub node: String,
    /// Where the request came from.
    pub client: HitClient,
    /// Application id, -1 for none.
    pub application: i64,
    /// The route of the request, as reported by the gateway.
    pub gateway: HitGateway,
    /// The request; for a response, what is known about its request.
    pub request: HitRequest,
    /// Attack types found, in order of first appearance.
    pub attacks: Vec<AttackType>,
    /// Findings, the decisive ones first.
    pub findings: Vec<HitFinding>,
    /// Anomalies of the message.
    pub anomalies: Vec<HitAnomaly>,
    /// Filtration mode that applied to it.
    pub mode: HitMode,
    /// Action of the gateway.
    pub action: HitAction,
    /// Why it was blocked, or would have been.
    pub reason: HitReason,
    /// It passed only because of its mode, or because the connector may not block.
    pub would_block: bool,
    /// The address list that contains its source.
    pub list: HitList,
    /// Ids of the policy rules that it violated.
    pub rules: Vec<u64>,
    /// Serial of the policy in force; 0 for the local one alone.
    pub policy_serial: u64,
    /// The response of the upstream, if the connector reported it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<HitResponse>,
    /// Number of further identical hits that this one stands for (sampling; 0 while it is off).
    pub folded: u64,
}

/// Which message of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HitDirection {
    /// The request.
    #[default]
    Request,
    /// The response.
    Response,
}

/// The client, from trusted headers and databases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HitClient {
    /// Address in canonical text; empty where unknown.
    pub ip: String,
    /// The gateway's socket peer, where it differs.
    pub peer: String,
    /// ISO 3166-1 alpha-2 country; empty where unknown.
    pub country: String,
    /// ISO 3166-2 region; empty where unknown.
    pub region: String,
    /// Autonomous system number; 0 where unknown.
    pub asn: u32,
    /// Source types, e.g. `tor`, `aws`.
    pub source_types: Vec<String>,
}

/// What the gateway reported about the request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HitGateway {
    /// `Inspector-Service`.
    pub service: String,
    /// `Inspector-Route`.
    pub route: String,
    /// `Inspector-Consumer`, known with the response only.
    pub consumer: String,
}

/// The message, masked and truncated.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HitRequest {
    /// Method.
    pub method: String,
    /// `http` or `https`; empty where unknown.
    pub scheme: String,
    /// Host, normalised, without port.
    pub host: String,
    /// Decoded, normalised path, masked.
    pub path: String,
    /// Protocol of the client, e.g. `HTTP/2.0`.
    pub protocol: String,
    /// The message itself as `message/http` bytes in base64: head, and the first bytes of the body. Masked in place,
    /// so that it can be inspected again (explain, preview of exceptions).
    pub raw: String,
    /// Bytes of the whole message as received.
    pub bytes: u64,
    /// Bytes of the body that are not in `raw`.
    pub cut: u64,
    /// Whether the body, or values of the head, are not in `raw` because a secret in them could not be masked in place.
    pub withheld: bool,
}

/// A finding on a masked value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitFinding {
    /// Attack type.
    #[serde(rename = "type")]
    pub attack: AttackType,
    /// Name of the signature or detector.
    pub rule: String,
    /// The point, including the decoding steps.
    pub point: PointPath,
    /// Confidence of the rule.
    pub confidence: Confidence,
    /// Whether it is an attack, by itself or together with others.
    pub decisive: bool,
    /// The matched fragment, printable, truncated and masked.
    pub matched: String,
}

/// An anomaly reported with a hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitAnomaly {
    /// Kind.
    pub kind: AnomalyKind,
    /// Where.
    #[serde(default)]
    pub point: PointPath,
}

/// The upstream's response to a request that is a hit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HitResponse {
    /// Status code.
    pub status: u16,
    /// Milliseconds from the verdict on the request to that on the response.
    pub after_ms: u64,
}
