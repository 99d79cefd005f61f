//! Input and output of a policy: [`RequestContext`], [`Plan`], [`Verdict`].

use super::list::{List, ListHit};
use super::mode::Mode;
use super::overlimit::OverlimitPolicy;
use super::reading::ActiveActions;
use super::reply::Reply;
use super::source::Source;
use serde::Serialize;
use smallvec::SmallVec;
use std::net::IpAddr;
use std::time::Duration;
use weir_core::model::{Anomaly, AttackType, DecodedHead, Finding, Limits, Message, ParserSet, PointPattern};

/// A request before it is inspected, with what is known about its client.
#[derive(Clone, Copy, Debug)]
pub struct RequestContext<'h, 'a> {
    /// The message.
    pub message: &'h Message<'a>,
    /// Its decoded head.
    pub facts: &'h DecodedHead<'a>,
    /// The client's address, if it is known.
    pub client: Option<IpAddr>,
    /// Location and type of that address, from the databases.
    pub source: Source,
    /// Current time in seconds since 1970, for expiry.
    pub now: u64,
    /// Whether the gateway can block: `connector.blocking` is set and the call is in-line.
    pub blocking: bool,
    /// Id of the request, for the block reply.
    pub request_id: &'h str,
}

/// Why a request is not inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bypass {
    /// Its mode is `off`.
    ModeOff,
    /// Its source is allowlisted.
    Allowlisted,
    /// Its source is denylisted: [`super::Policy::decide`] blocks it without inspection.
    Denylisted,
    /// `input_filters` exclude it.
    InputFilter,
}

impl Bypass {
    /// Every reason; the codes are metric labels.
    pub const ALL: &'static [Bypass] = &[Bypass::ModeOff, Bypass::Allowlisted, Bypass::Denylisted, Bypass::InputFilter];

    /// Stable code, e.g. `mode_off`.
    pub const fn code(self) -> &'static str {
        match self {
            Bypass::ModeOff => "mode_off",
            Bypass::Allowlisted => "allowlisted",
            Bypass::Denylisted => "denylisted",
            Bypass::InputFilter => "input_filters",
        }
    }
}

/// Numbers of the actions of a policy that match a request.
pub(super) type Active = SmallVec<[u32; 8]>;

/// How to treat a request, decided from its head before inspection.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Application that the request belongs to.
    pub application: i64,
    /// Mode that applies to it.
    pub mode: Mode,
    /// Why it is not inspected; `None` to inspect it.
    pub bypass: Option<Bypass>,
    /// The list that contains its source.
    pub list: Option<ListHit>,
    /// Limits of its inspection.
    pub limits: Limits,
    /// Parsers switched off.
    pub parsers_off: ParserSet,
    /// Parsers switched off at some points.
    pub parsers_off_at: Vec<(ParserSet, PointPattern)>,
    /// Time for its inspection.
    pub time_limit: Duration,
    /// What to do if a part of it is not inspected.
    pub overlimit: OverlimitPolicy,
    /// Whether libinjection is used.
    pub libdetection: bool,
    /// Number of the reply if it is blocked.
    pub(super) reply: usize,
    /// Matching conditional actions, from general to specific.
    pub(super) active: ActiveActions,
    /// Conditional actions whose rules on behaviour apply, if these are others than those that match under any reading.
    pub(super) counted: Option<Active>,
}

impl Plan {
    /// Which list contains the source.
    pub fn listed(&self) -> Option<List> {
        self.list.as_ref().map(|hit| hit.list)
    }
}

/// What the gateway shall do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Forward the request.
    #[default]
    Pass,
    /// Answer with the reply.
    Block,
}

impl Action {
    /// `pass` or `block`.
    pub const fn code(self) -> &'static str {
        match self {
            Action::Pass => "pass",
            Action::Block => "block",
        }
    }
}

/// Why a request is blocked, or would be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// It contains an attack.
    Attack,
    /// Its source is denylisted.
    Denylist,
    /// A virtual patch matches.
    Vpatch,
    /// Its source did something too often: an abuse rule whose reaction is `block`.
    Limit,
}

impl Reason {
    /// Every reason; the codes are metric labels.
    pub const ALL: &'static [Reason] = &[Reason::Attack, Reason::Denylist, Reason::Vpatch, Reason::Limit];

    /// Stable code, e.g. `attack`.
    pub const fn code(self) -> &'static str {
        match self {
            Reason::Attack => "attack",
            Reason::Denylist => "denylist",
            Reason::Vpatch => "vpatch",
            Reason::Limit => "limit",
        }
    }
}

/// The decision on a request.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What to do.
    pub action: Action,
    /// Why it is blocked, or would be.
    pub reason: Option<Reason>,
    /// It passes only because of its mode or because the gateway cannot block: in-line and in mode `block` it would be
    /// blocked.
    pub would_block: bool,
    /// Mode that applied to it.
    pub mode: Mode,
    /// Attack types found, in order of first appearance; also if it passes.
    pub attacks: Vec<AttackType>,
    /// Findings not covered by an exception, decisive or not.
    pub findings: Vec<Finding>,
    /// Anomalies to report.
    pub anomalies: Vec<Anomaly>,
    /// Reply to a blocked client.
    pub reply: Option<Reply>,
    /// The list that contains its source.
    pub list: Option<ListHit>,
    /// Ids of the policy rules that it violates: virtual patches, upload and GraphQL limits.
    pub rules: Vec<u64>,
}

impl Verdict {
    /// What the client gets instead of the response of the upstream; `None` if the request passes.
    pub fn block_reply(&self) -> Option<Reply> {
        (self.action == Action::Block).then(|| self.reply.clone().unwrap_or_default())
    }
}
