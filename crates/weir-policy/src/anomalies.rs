//! What to do about each kind of anomaly.
//!
//! Ordinary clients are sloppy: a bare `%` in a query, a repeated header, a body that is not the JSON it claims to be.
//! Such anomalies are reported and pass. By default only those are blocked that no ordinary client sends and that a
//! gateway and its upstream may interpret differently (RFC 9112 §11.2), or that are made to exhaust memory.

use serde::{Deserialize, Serialize};
use weir_core::model::{AnomalyKind, AttackType, Message};

/// What to do about an anomaly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AnomalyAction {
    /// Ignore it.
    Ignore,
    /// Report it in the verdict.
    #[default]
    Report,
    /// Treat it as an attack; the mode decides whether it is blocked.
    Block,
}

impl AnomalyAction {
    /// The action called `code`.
    pub fn from_code(code: &str) -> Option<Self> {
        match code {
            "ignore" => Some(Self::Ignore),
            "report" => Some(Self::Report),
            "block" => Some(Self::Block),
            _ => None,
        }
    }
}

/// The action for each kind of anomaly.
#[derive(Clone, Debug)]
pub struct AnomalyTable([AnomalyAction; AnomalyKind::ALL.len()]);

/// Kinds that are attacks by default.
const BLOCKED: &[AnomalyKind] = &[
    AnomalyKind::SpaceBeforeColon,
    AnomalyKind::ClTeConflict,
    AnomalyKind::BadContentLength,
    AnomalyKind::BadTransferEncoding,
    AnomalyKind::BadChunk,
    AnomalyKind::DuplicateHost,
    AnomalyKind::DecompressionBomb,
    AnomalyKind::EntityBomb,
];

impl Default for AnomalyTable {
    fn default() -> Self {
        let mut table = Self([AnomalyAction::Report; AnomalyKind::ALL.len()]);
        BLOCKED.iter().for_each(|&kind| table.set(kind, AnomalyAction::Block));
        table
    }
}

impl AnomalyTable {
    /// Sets the action for `kind`.
    pub fn set(&mut self, kind: AnomalyKind, action: AnomalyAction) {
        self.0[kind as usize] = action;
    }

    /// The configured action for `kind`.
    pub fn get(&self, kind: AnomalyKind) -> AnomalyAction {
        self.0[kind as usize]
    }

    /// The action for `kind` found in `message`: a kind that is blocked is only reported if the bytes cannot be interpreted
    /// in different ways.
    pub fn action_in(&self, kind: AnomalyKind, message: &Message<'_>) -> AnomalyAction {
        match self.get(kind) {
            AnomalyAction::Block if harmless(kind, message) => AnomalyAction::Report,
            action => action,
        }
    }
}

/// `Transfer-Encoding: identity` (RFC 2616 §3.6, since withdrawn) beside a Content-Length frames nothing differently.
fn harmless(kind: AnomalyKind, message: &Message<'_>) -> bool {
    matches!(kind, AnomalyKind::ClTeConflict | AnomalyKind::BadTransferEncoding)
        && message.headers_named("transfer-encoding").count() > 0
        && message.headers_named("transfer-encoding").all(|coding| coding.eq_ignore_ascii_case(b"identity"))
}

/// The attack type under which a blocked anomaly is reported.
pub const fn attack_of(kind: AnomalyKind) -> AttackType {
    match kind {
        AnomalyKind::DecompressionBomb | AnomalyKind::EntityBomb => AttackType::DataBomb,
        AnomalyKind::BadXml => AttackType::InvalidXml,
        _ => AttackType::Protocol,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::model::Header;

    #[test]
    fn the_table_has_a_line_for_each_kind() {
        for (number, &kind) in AnomalyKind::ALL.iter().enumerate() {
            assert_eq!(kind as usize, number);
        }
    }

    #[test]
    fn sloppy_clients_are_not_blocked_by_default() {
        let table = AnomalyTable::default();
        for kind in [
            AnomalyKind::BadPercent,
            AnomalyKind::DuplicateHeader,
            AnomalyKind::BadUriByte,
            AnomalyKind::ControlByte,
            AnomalyKind::BadJson,
            AnomalyKind::BadXml,
            AnomalyKind::BadMultipart,
            AnomalyKind::DuplicateJsonKey,
            AnomalyKind::MissingHost,
            AnomalyKind::LengthMismatch,
            AnomalyKind::UnknownMethod,
            AnomalyKind::DeepEncoding,
            AnomalyKind::TooManyHeaders,
        ] {
            assert_eq!(table.get(kind), AnomalyAction::Report, "{kind:?}");
        }
        assert_eq!(attack_of(AnomalyKind::EntityBomb), AttackType::DataBomb);
        assert_eq!(attack_of(AnomalyKind::BadXml), AttackType::InvalidXml);
        assert_eq!(attack_of(AnomalyKind::ClTeConflict), AttackType::Protocol);
    }

    #[test]
    fn differing_framing_is_blocked_and_identity_is_not() {
        let table = AnomalyTable::default();
        let with = |codings: &[&'static [u8]]| Message {
            headers: codings.iter().map(|value| Header { name: b"Transfer-Encoding", value }).collect(),
            ..Message::default()
        };
        let kind = AnomalyKind::ClTeConflict;
        assert_eq!(table.action_in(kind, &with(&[b"chunked"])), AnomalyAction::Block);
        assert_eq!(table.action_in(kind, &with(&[b"identity", b"chunked"])), AnomalyAction::Block);
        assert_eq!(table.action_in(kind, &with(&[b"\x0bchunked"])), AnomalyAction::Block);
        assert_eq!(table.action_in(kind, &with(&[b"Identity"])), AnomalyAction::Report);
    }
}
