//! What an inspection found.

use super::anomaly::Anomaly;
use super::attack::AttackType;
use super::graphql::GraphqlStats;
use super::point::PointPath;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// How sure a signature is on its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Confidence {
    /// Needs company: three lows of one attack type on one value make an attack.
    Low,
    /// Two mediums, or a medium and two lows, make an attack.
    Medium,
    /// An attack by itself.
    High,
}

impl Confidence {
    /// Weight in the sum for one attack type on one value.
    pub const fn weight(self) -> u32 {
        match self {
            Confidence::Low => 4,
            Confidence::Medium => 6,
            Confidence::High => Self::ATTACK,
        }
    }

    /// The sum from which on the findings on a value are an attack.
    pub const ATTACK: u32 = 12;
}

/// A signature or detector that matched a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Attack class.
    #[serde(rename = "type")]
    pub attack: AttackType,
    /// Name of the signature or detector, e.g. `ptrav.etc-passwd`. Exceptions name it as a stamp.
    pub rule: Arc<str>,
    /// Where the value sits.
    pub point: PointPath,
    /// Other points at which decoding led to the same bytes: exceptions for these apply, too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub also_at: Vec<PointPath>,
    /// How sure the rule is.
    pub confidence: Confidence,
    /// Whether the sum on this value reached [`Confidence::ATTACK`]; findings that did not are kept for `explain`.
    pub decisive: bool,
    /// First byte of the match within the value as decoded (or as normalised for the rule).
    pub start: usize,
    /// The matched bytes, printable and cut. Personal data: mask before showing.
    pub matched: String,
}

/// Longest fragment kept in a finding, in bytes.
pub const MAX_MATCHED: usize = 256;

/// Why a part of a message was not inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SkipReason {
    /// The connector did not send it (`Inspector-Body: prefix` or `unread`).
    NotSent,
    /// The work budget was spent.
    WorkLimit,
    /// The time limit was reached.
    TimeLimit,
    /// More values than [`super::Limits::values`].
    ValueLimit,
    /// Stacked or nested deeper than allowed.
    DepthLimit,
    /// More parts, members or tokens than allowed.
    CountLimit,
    /// Larger than allowed once decoded.
    SizeLimit,
    /// Encodings stacked so that decoding them all would produce too many bytes.
    Recodings,
    /// A compressed stream that unpacks to more than allowed.
    Decompression,
    /// The parser is switched off by policy.
    ParserOff,
    /// A content coding or framing that cannot be undone.
    Undecodable,
    /// A parser or detector failed on it, which is a defect of weir.
    InternalError,
}

impl SkipReason {
    /// Every reason; the codes are metric labels.
    pub const ALL: &'static [SkipReason] = &[
        SkipReason::NotSent,
        SkipReason::WorkLimit,
        SkipReason::TimeLimit,
        SkipReason::ValueLimit,
        SkipReason::DepthLimit,
        SkipReason::CountLimit,
        SkipReason::SizeLimit,
        SkipReason::Recodings,
        SkipReason::Decompression,
        SkipReason::ParserOff,
        SkipReason::Undecodable,
        SkipReason::InternalError,
    ];

    /// Stable code, e.g. `work_limit`.
    pub const fn code(self) -> &'static str {
        match self {
            SkipReason::NotSent => "not_sent",
            SkipReason::WorkLimit => "work_limit",
            SkipReason::TimeLimit => "time_limit",
            SkipReason::ValueLimit => "value_limit",
            SkipReason::DepthLimit => "depth_limit",
            SkipReason::CountLimit => "count_limit",
            SkipReason::SizeLimit => "size_limit",
            SkipReason::Recodings => "recodings",
            SkipReason::Decompression => "decompression",
            SkipReason::ParserOff => "parser_off",
            SkipReason::Undecodable => "undecodable",
            SkipReason::InternalError => "internal_error",
        }
    }
}

/// A part of the message that was not, or not fully, inspected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotInspected {
    /// Where; empty for the message from some place on.
    pub point: PointPath,
    /// Why.
    pub reason: SkipReason,
}

/// How much of a message was inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// Everything.
    Full,
    /// Some of it: see [`Inspection::not_inspected`].
    Partial,
    /// Nothing: policy said so.
    None,
}

/// A file that the message uploads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Upload {
    /// Where.
    pub point: PointPath,
    /// Its size in bytes.
    pub bytes: u64,
}

/// One value as the engine saw it, for `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DecodeStep {
    /// Where the value sits: each parser in the path is a decoding step.
    pub point: PointPath,
    /// The value, printable and cut.
    pub value: String,
    /// Its full length in bytes.
    pub length: usize,
    /// Whether detectors looked at it, or at what was decoded from it only.
    pub scanned: bool,
    /// Normalised forms that detectors looked at besides the value: name and text.
    pub views: Vec<(&'static str, String)>,
}

/// The outcome of [`crate::engine::inspect`]: mode-blind facts about one message.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// Every finding, decisive or not, in order of the message.
    pub findings: Vec<Finding>,
    /// Anomalies of the message.
    pub anomalies: Vec<Anomaly>,
    /// What was not inspected, and why.
    pub not_inspected: Vec<NotInspected>,
    /// Uploaded files, at most [`super::Limits::multipart_parts`].
    pub uploads: Vec<Upload>,
    /// Measures of its GraphQL documents, if it has any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graphql: Option<GraphqlStats>,
    /// Values extracted.
    pub values: u32,
    /// Work units spent.
    pub work: u64,
    /// Findings dropped because of [`super::Limits::findings`].
    pub findings_dropped: u32,
    /// Every value with its decodings; only when asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<DecodeStep>,
}

impl Inspection {
    /// Attack types that the findings establish, in order of first appearance.
    pub fn attacks(&self) -> Vec<AttackType> {
        let mut out = Vec::new();
        for finding in self.findings.iter().filter(|f| f.decisive) {
            if !out.contains(&finding.attack) {
                out.push(finding.attack);
            }
        }
        out
    }

    /// Full unless something is listed as not inspected.
    pub fn coverage(&self) -> Coverage {
        if self.not_inspected.is_empty() { Coverage::Full } else { Coverage::Partial }
    }
}
