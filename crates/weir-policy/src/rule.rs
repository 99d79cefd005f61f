//! Rules, one by one: what each does, and where.

mod read;

pub(super) use read::read;

use super::condition::Condition;
use super::custom::{CUSTOM_PREFIX, CustomSignature};
use super::graphql::GraphqlLimits;
use super::mode::{Mode, OwnMode};
use super::settings::OverlimitMode;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use weir_core::model::{AttackType, ParserSet, PointPattern};

/// A time that never comes.
pub(super) const NEVER: u64 = u64::MAX;
/// Which document a rule stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The node's own.
    Local,
    /// The control plane's.
    Remote,
}

/// One rule, checked.
#[derive(Debug)]
pub(super) struct Rule {
    pub origin: Origin,
    pub id: u64,
    /// Seconds since 1970 from which it is over.
    pub expires: u64,
    pub conditions: Vec<Condition>,
    /// The conditions as text, the same for rules with the same ones.
    pub action: String,
    pub kind: Kind,
}

/// What a rule does.
#[derive(Debug)]
pub(super) enum Kind {
    /// Sets the mode; none falls back to the node's own.
    Mode(Option<Mode>),
    /// Blocks attacks of a type (none: any) at a point, also in monitoring.
    Vpatch(Option<AttackType>, Option<PointPattern>),
    /// A signature of the user's.
    Custom(CustomSignature),
    /// What is not to be reported, and where.
    Except(Except, Option<PointPattern>),
    /// A point whose value is masked before anything is stored.
    Sensitive(PointPattern),
    /// Switches a parser.
    Parser { parser: ParserSet, off: bool, point: Option<PointPattern> },
    /// Time for an inspection and what follows when it is over.
    Overlimit { time: Option<Duration>, mode: OverlimitMode },
    /// Largest upload.
    Upload { bytes: u64, mode: OwnMode, point: Option<PointPattern> },
    /// Bounds of GraphQL requests.
    Graphql(GraphqlLimits),
    /// Accepted, without effect.
    Ignored,
}

/// What an exception leaves out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Except {
    /// A custom signature.
    Regex(u64),
    /// An attack type; none for any.
    Attack(Option<AttackType>),
    /// A signature or detector by name.
    Stamp(Arc<str>),
    /// Bytes that are no text, and what matches them by accident.
    Binary,
    /// What files of a type may hold.
    Upload(FileType),
}

/// File types that an upload may be allowed to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileType {
    Docs,
    Html,
    Images,
    Music,
    Video,
}

/// Rule types that are read.
pub(super) const TYPES: &str = "wallarm_mode, vpatch, regex, experimental_regex, disable_regex, ignore_regex, disable_attack_type, \
                     disable_stamp, binary_data, uploads, sensitive_data, parser_state, overlimit_res_settings, \
                     file_upload_size_limit, graphql_detection, set_response_header";

impl Rule {
    /// Gives new ids to what bears or means one of the ids in `moved`.
    pub fn renumber(&mut self, moved: &HashMap<u64, u64>) {
        let renumber = |id: &mut u64| *id = moved.get(id).copied().unwrap_or(*id);
        renumber(&mut self.id);
        match &mut self.kind {
            Kind::Custom(signature) => renumber(&mut signature.rule),
            Kind::Graphql(limits) => renumber(&mut limits.rule),
            Kind::Except(Except::Regex(id), _) => renumber(id),
            Kind::Except(Except::Stamp(stamp), _) => {
                let new = CustomSignature::rule_of(stamp).and_then(|id| moved.get(&id));
                *stamp = new.map_or_else(|| stamp.clone(), |id| format!("{CUSTOM_PREFIX}{id}").into());
            }
            _ => {}
        }
    }
}
