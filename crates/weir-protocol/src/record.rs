//! Builds the masked [`Hit`] for a verdict.

use crate::hit::{
    HIT_VERSION, Hit, HitAnomaly, HitClient, HitDirection, HitFinding, HitGateway, HitRequest, HitResponse,
};
use crate::redact::{MaskInput, MaskedMessage, mask};
use std::net::IpAddr;
use weir_core::model::bytes::printable;
use weir_core::model::{Finding, MessageKind, PointPath, PointPattern};
use weir_policy::source::SOURCE_KINDS;
use weir_policy::{Action, Source, Verdict};

/// Largest number of findings in a record.
const MAX_FINDINGS: usize = 32;
/// Bytes of a host, a method, a name.
const MAX_NAME: usize = 256;
/// Bytes of a path.
const MAX_PATH: usize = 4096;

/// An inspected message with everything that its record contains.
#[derive(Clone, Debug)]
pub struct InspectedMessage<'a> {
    /// Which message of the exchange.
    pub direction: HitDirection,
    /// When it was inspected, in milliseconds since 1970.
    pub time: u64,
    /// `Inspector-Request-Id`.
    pub request_id: &'a str,
    /// `Inspector-Connector`.
    pub connector: &'a str,
    /// `Inspector-Attempt`.
    pub attempt: u8,
    /// Client address, where known.
    pub client: Option<IpAddr>,
    /// The gateway's socket peer.
    pub peer: Option<IpAddr>,
    /// Location and type of the client's address.
    pub source: Source,
    /// Application id.
    pub application: i64,
    /// `Inspector-Service`.
    pub service: &'a str,
    /// `Inspector-Route`.
    pub route: &'a str,
    /// `Inspector-Consumer`.
    pub consumer: &'a str,
    /// Method of the request.
    pub method: &'a [u8],
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host of the request.
    pub host: &'a [u8],
    /// Path of the request, decoded.
    pub path: &'a [u8],
    /// Protocol of the client.
    pub protocol: &'a str,
    /// Head of the message as received.
    pub head: &'a [u8],
    /// Its body, transfer coding removed.
    pub body: &'a [u8],
    /// Bytes of the message as received.
    pub bytes: usize,
    /// The verdict.
    pub verdict: &'a Verdict,
    /// Points of `sensitive_data` rules for it.
    pub sensitive: &'a [&'a PointPattern],
    /// Serial of the policy in force.
    pub policy_serial: u64,
    /// The upstream's response, if the message is one.
    pub response: Option<HitResponse>,
}

/// Whether a message with this verdict becomes a record.
pub fn is_hit(verdict: &Verdict) -> bool {
    !verdict.attacks.is_empty() || verdict.action == Action::Block
}

/// The record of `message`, without an id, with at most `max_body` bytes of its body; and how many spans of the message
/// were masked.
pub fn hit(message: &InspectedMessage<'_>, max_body: usize) -> (Hit, u32) {
    let verdict = message.verdict;
    let attacked: Vec<&PointPath> = verdict.findings.iter().filter(|f| f.decisive).map(|f| &f.point).collect();
    let masked = mask(&MaskInput {
        kind: if message.direction == HitDirection::Request { MessageKind::Request } else { MessageKind::Response },
        head: message.head,
        body: message.body,
        max_body,
        sensitive: message.sensitive,
        attacked: &attacked,
    });
    let anomaly = |a: &weir_core::model::Anomaly| HitAnomaly { kind: a.kind, point: masked.point(&a.point) };
    let hit = Hit {
        version: HIT_VERSION,
        id: String::new(),
        time: message.time,
        leg: message.direction,
        request_id: message.request_id.to_owned(),
        connector: message.connector.to_owned(),
        attempt: u32::from(message.attempt),
        node: String::new(),
        client: client(message),
        application: message.application,
        gateway: gateway(message, &masked),
        request: request(message, &masked),
        attacks: verdict.attacks.clone(),
        findings: findings(verdict, &masked),
        anomalies: verdict.anomalies.iter().map(anomaly).collect(),
        mode: verdict.mode.code().into(),
        action: verdict.action.code().into(),
        reason: verdict.reason.map_or("", |reason| reason.code()).into(),
        would_block: verdict.would_block,
        list: verdict.list.as_ref().map_or("", |hit| hit.list.code()).into(),
        rules: verdict.rules.clone(),
        policy_serial: message.policy_serial,
        response: message.response,
        folded: 0,
    };
    (hit, masked.masked_spans)
}

fn client(message: &InspectedMessage<'_>) -> HitClient {
    let text = |ip: Option<IpAddr>| ip.map(|ip| ip.to_string()).unwrap_or_default();
    let source = &message.source;
    HitClient {
        ip: text(message.client),
        peer: text(message.peer.filter(|peer| Some(*peer) != message.client)),
        country: source.country.map(|code| code.to_string()).unwrap_or_default(),
        region: source.region.map(|code| code.to_string()).unwrap_or_default(),
        asn: source.asn.unwrap_or_default(),
        source_types: source.kinds.members().map(|kind| SOURCE_KINDS[kind].to_owned()).collect(),
    }
}

fn gateway(message: &InspectedMessage<'_>, masked: &MaskedMessage<'_>) -> HitGateway {
    HitGateway {
        service: masked.text(message.service),
        route: masked.text(message.route),
        consumer: masked.text(message.consumer),
    }
}

fn request(message: &InspectedMessage<'_>, masked: &MaskedMessage<'_>) -> HitRequest {
    let text = |bytes: &[u8], max| masked.text(&printable(bytes, max));
    HitRequest {
        method: text(message.method, MAX_NAME),
        scheme: message.scheme.to_owned(),
        host: text(message.host, MAX_NAME),
        path: masked.path(&printable(message.path, MAX_PATH)),
        protocol: masked.text(message.protocol),
        raw: masked.base64(),
        bytes: message.bytes as u64,
        cut: masked.bytes_cut,
        withheld: masked.withheld,
    }
}

/// The findings, decisive ones first.
fn findings(verdict: &Verdict, masked: &MaskedMessage<'_>) -> Vec<HitFinding> {
    let (decisive, others): (Vec<&Finding>, Vec<&Finding>) = verdict.findings.iter().partition(|f| f.decisive);
    let finding = |finding: &Finding| HitFinding {
        attack: finding.attack,
        rule: finding.rule.to_string(),
        point: masked.point(&finding.point),
        confidence: finding.confidence,
        decisive: finding.decisive,
        matched: masked.fragment(&finding.point, &finding.matched),
    };
    decisive.into_iter().chain(others).take(MAX_FINDINGS).map(finding).collect()
}
