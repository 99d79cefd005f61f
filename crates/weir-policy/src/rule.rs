//! A single rule: its effect and its conditions.

mod read;

pub(super) use read::read;

use super::abuse::{AbuseRule, KeyPart};
use super::condition::Condition;
use super::custom::CustomSignature;
use super::finding_name;
use super::graphql::GraphqlLimits;
use super::mode::{Mode, RuleMode};
use super::profiles::Profile;
use super::reply::ReplyTemplate;
use super::settings::OverlimitMode;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use weir_core::model::{AttackType, ParserSet, PointPattern};

/// Expiry of rules that do not expire.
pub(super) const NEVER: u64 = u64::MAX;
/// The document that a rule comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The node's own.
    Local,
    /// The control plane's.
    Remote,
}

/// One validated rule.
#[derive(Debug)]
pub(super) struct Rule {
    pub origin: Origin,
    pub id: u64,
    /// When it expires, in seconds since 1970.
    pub expires: u64,
    pub conditions: Vec<Condition>,
    /// The conditions as text; equal for rules with equal conditions.
    pub action: String,
    pub kind: RuleKind,
}

/// The effect of a rule.
#[derive(Debug)]
pub(super) enum RuleKind {
    /// Sets the mode; `None` is the node's own mode.
    Mode(Option<Mode>),
    /// Blocks attacks of a type (`None`: any) at a point, also in monitoring.
    Vpatch(Option<AttackType>, Option<PointPattern>),
    /// A user-defined signature.
    Custom(CustomSignature),
    /// What not to report, and where.
    Exception(ExceptionKind, Option<PointPattern>),
    /// A point whose value is masked before anything is stored.
    Sensitive(PointPattern),
    /// Switches a parser.
    Parser { parser: ParserSet, off: bool, point: Option<PointPattern> },
    /// Time limit of an inspection and what to do when it is exceeded.
    Overlimit { time: Option<Duration>, mode: OverlimitMode },
    /// Largest upload.
    Upload { bytes: u64, mode: RuleMode, point: Option<PointPattern> },
    /// Limits of GraphQL requests.
    Graphql(GraphqlLimits),
    /// A limit on behaviour over many requests.
    Abuse(Box<AbuseRule>),
    /// Where the session is.
    Session(KeyPart),
    /// The reply to a blocked client.
    Reply(Box<ReplyTemplate>),
    /// Accepted without effect.
    Ignored,
}

/// What an exception excludes.
#[derive(Clone, Debug)]
pub(super) enum ExceptionKind {
    /// A custom signature.
    Regex(u64),
    /// An attack type; `None` for any.
    Attack(Option<AttackType>),
    /// A signature or detector by name.
    Stamp(Arc<str>),
    /// Binary content and accidental matches in it.
    Binary,
    /// Content that is normal for files of a type.
    Upload(FileType),
    /// Content that is normal in the fields of a profile.
    Profile(&'static Profile),
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
                     disable_stamp, binary_data, uploads, profile, sensitive_data, parser_state, overlimit_res_settings, \
                     file_upload_size_limit, graphql_detection, rate_limit, brute, forced_browsing, bola, session, \
                     block_reply, set_response_header";

impl Rule {
    /// The limit on behaviour that it is, if it is one.
    pub fn abuse_mut(&mut self) -> Option<&mut AbuseRule> {
        match &mut self.kind {
            RuleKind::Abuse(rule) => Some(rule),
            _ => None,
        }
    }

    /// Replaces ids in this rule, its own or that of a rule it refers to, according to `moved`.
    pub fn renumber(&mut self, moved: &HashMap<u64, u64>) {
        let renumber = |id: &mut u64| *id = moved.get(id).copied().unwrap_or(*id);
        renumber(&mut self.id);
        match &mut self.kind {
            RuleKind::Custom(signature) => renumber(&mut signature.rule),
            RuleKind::Graphql(limits) => renumber(&mut limits.rule),
            RuleKind::Abuse(rule) => renumber(&mut rule.id),
            RuleKind::Exception(ExceptionKind::Regex(id), _) => renumber(id),
            RuleKind::Exception(ExceptionKind::Stamp(stamp), _) => {
                let new = CustomSignature::rule_of(stamp).and_then(|id| moved.get(&id));
                *stamp = new.map_or_else(|| stamp.clone(), |id| finding_name::custom(*id).into());
            }
            _ => {}
        }
    }
}
