//! What policy is asked, and what it answers.

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

/// What is known of a request before it is inspected.
#[derive(Clone, Copy, Debug)]
pub struct Head<'h, 'a> {
    /// The message.
    pub message: &'h Message<'a>,
    /// Its head, decoded.
    pub facts: &'h DecodedHead<'a>,
    /// The client's address, if it is known.
    pub client: Option<IpAddr>,
    /// What a database says about that address.
    pub source: Source,
    /// The time, in seconds since 1970, against which expiry is judged.
    pub now: u64,
    /// Whether a block can be carried out: `connector.blocking`, and the call is in-line.
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
    /// Its source is denylisted: [`super::Policy::decide`] blocks it unseen.
    Denylisted,
    /// `input_filters` leave it out.
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

/// Numbers of the actions of a policy that fit a request.
pub(super) type Active = SmallVec<[u32; 8]>;

/// How a request is to be treated: made from its head, before inspection.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Application that the request belongs to.
    pub application: i64,
    /// Mode in which it is judged.
    pub mode: Mode,
    /// Why it is not inspected; none means inspect.
    pub bypass: Option<Bypass>,
    /// The list that its source stands on.
    pub list: Option<ListHit>,
    /// Bounds of its inspection.
    pub limits: Limits,
    /// Parsers switched off.
    pub parsers_off: ParserSet,
    /// Parsers switched off at some points.
    pub parsers_off_at: Vec<(ParserSet, PointPattern)>,
    /// Time for its inspection.
    pub time_limit: Duration,
    /// What happens if a part of it is not inspected.
    pub overlimit: OverlimitPolicy,
    /// Whether libinjection is asked.
    pub libdetection: bool,
    /// Which configured reply a block gets.
    pub(super) reply: usize,
    /// Conditional actions that fit, from general to specific.
    pub(super) active: ActiveActions,
}

impl Plan {
    /// Which list the source stands on.
    pub fn listed(&self) -> Option<List> {
        self.list.as_ref().map(|hit| hit.list)
    }
}

/// What the gateway is to do.
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
    /// It carries an attack.
    Attack,
    /// Its source is denylisted.
    Denylist,
    /// A virtual patch fits.
    Vpatch,
}

impl Reason {
    /// Every reason; the codes are metric labels.
    pub const ALL: &'static [Reason] = &[Reason::Attack, Reason::Denylist, Reason::Vpatch];

    /// Stable code, e.g. `attack`.
    pub const fn code(self) -> &'static str {
        match self {
            Reason::Attack => "attack",
            Reason::Denylist => "denylist",
            Reason::Vpatch => "vpatch",
        }
    }
}

/// The judgement on a request.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// What to do.
    pub action: Action,
    /// Why it is blocked, or why it would be.
    pub reason: Option<Reason>,
    /// It passes only because of its mode, or because nothing can be blocked here:
    /// in-line and in mode `block` it would be blocked.
    pub would_block: bool,
    /// Mode in which it was judged.
    pub mode: Mode,
    /// Attack types established, in order of first appearance; also when it passes.
    pub attacks: Vec<AttackType>,
    /// Findings that no exception covers, decisive or not.
    pub findings: Vec<Finding>,
    /// Oddities worth telling.
    pub anomalies: Vec<Anomaly>,
    /// What a blocked client gets.
    pub reply: Option<Reply>,
    /// The list that its source stands on.
    pub list: Option<ListHit>,
    /// Ids of the rules of the policy document that spoke against it: virtual patches, upload and GraphQL limits.
    pub rules: Vec<u64>,
}
