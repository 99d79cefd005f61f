//! Policy of weir: modes, rules, address lists, limits and replies. Turns a request and the findings of its inspection
//! into a verdict.
//!
//! This crate and nothing else decides what to block. [`Policy::compile`] turns the node's [`Settings`] and a
//! [`PolicyDoc`] into an immutable [`Policy`]. Before a request is inspected, [`Policy::plan`] decides how to treat it:
//! application, mode, lists, limits. After the inspection, [`Policy::decide`] applies exceptions, virtual patches, limits
//! and the mode. Both are pure functions: the caller provides the time, the client's address and its location.
//!
//! ```
//! use weir_core::model::Message;
//! use weir_core::parse::facts::facts;
//! use weir_policy::{Action, Policy, PolicyDoc, RequestContext, Settings, Source};
//!
//! let doc = PolicyDoc::parse("policy.yaml", "ip_lists: [{list: deny, values: [192.0.2.0/24]}]").unwrap();
//! let policy = Policy::compile(&Settings::default(), Some(&doc)).unwrap();
//! let message = Message::default();
//! let request = RequestContext {
//!     message: &message,
//!     facts: &facts(&message),
//!     client: Some([192, 0, 2, 7].into()),
//!     source: Source::default(),
//!     now: 0,
//!     blocking: true,
//!     request_id: "r-1",
//! };
//! let plan = policy.plan(&request);
//! assert!(plan.bypass.is_some(), "denylisted requests are not inspected");
//! assert_eq!(policy.decide(&request, &plan, None).action, Action::Block);
//! ```

pub mod abuse;
mod abuse_controls;
mod abuse_reader;
pub mod anomalies;
pub mod client;
mod compile;
mod condition;
pub mod custom;
mod decide;
mod doc;
mod doc_shape;
pub mod error;
mod exceptions;
mod filters;
pub mod finding_name;
mod graphql;
mod index;
pub mod inspection;
pub mod ip_index;
mod ip_list_reader;
pub mod list;
pub mod mode;
pub mod overlimit;
pub mod pattern;
mod plan;
mod profiles;
mod reading;
mod reasons;
pub mod reply;
mod reply_preview;
mod routes;
mod rule;
mod rules;
pub mod settings;
pub mod source;
pub mod verdict;

pub use abuse::{AbuseExcess, AbuseGroup, AbuseKind, AbuseRule, KeyPart, Reaction};
pub use anomalies::AnomalyAction;
pub use custom::CustomSignature;
pub use doc::PolicyDoc;
pub use error::PolicyError;
pub use finding_name::FindingKind;
pub use ip_index::IpIndex;
pub use list::{List, ListHit, MatchedBy};
pub use mode::{Mode, ModeOverride};
pub use overlimit::{OverlimitAction, OverlimitPolicy};
pub use profiles::{Profile, profiles};
pub use reply::{Reply, ReplySettings};
pub use reply_preview::reply_preview;
pub use settings::{FilterSettings, OverlimitMode, RouteSettings, Settings};
pub use source::{Country, Region, Source, SourceKinds};
pub use verdict::{Action, Bypass, Plan, Reason, RequestContext, Verdict};

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;
use weir_core::model::{Limits, PointPattern};

/// A validated and indexed policy. It is immutable: a new one replaces it as a whole.
#[derive(Debug)]
pub struct Policy {
    application: i64,
    mode_allow_override: ModeOverride,
    /// Mode of the node's own document, if no rule of it sets one.
    local_mode: Option<Mode>,
    /// Mode of the control plane's document, if no rule of it sets one.
    remote_mode: Option<Mode>,
    limits: Limits,
    time_limit: Duration,
    overlimit: OverlimitPolicy,
    libdetection: bool,
    url_normalize: bool,
    lists_before_inspection: bool,
    routes: routes::Routes,
    filters: filters::Filters,
    ip_index: ip_index::IpIndex,
    rules: rules::Rules,
    abuse: abuse::AbuseRules,
    anomalies: anomalies::AnomalyTable,
    /// The default reply, then those of routes.
    replies: Vec<reply::ReplyTemplate>,
    notices: Vec<PolicyError>,
}

impl Policy {
    /// User-defined signatures, to be compiled into the ruleset under their names.
    pub fn custom_signatures(&self) -> Vec<&CustomSignature> {
        self.rules.custom_signatures()
    }

    /// Points of a planned request whose values must be masked before anything is stored.
    pub fn sensitive<'p>(&'p self, plan: &'p Plan, now: u64) -> impl Iterator<Item = &'p PointPattern> {
        self.rules.of_request(plan.active.in_any()).flat_map(move |action| rules::not_expired(&action.sensitive, now))
    }

    /// Abuse rules that apply to a planned request at `now`, in seconds since 1970. Groups with the same conditions follow each
    /// other, and of these those with the same key.
    pub fn abuse_rules<'p>(&'p self, plan: &'p Plan, now: u64) -> impl Iterator<Item = &'p Arc<AbuseGroup>> {
        let active = plan.counted.as_ref().unwrap_or(plan.active.in_any());
        let any = !self.abuse.is_empty() && plan.bypass.is_none();
        let actions = any.then(|| self.rules.of_request(active)).into_iter().flatten();
        actions.flat_map(move |action| rules::not_expired(&action.abuse, now))
    }

    /// Where the session of a planned request is; `None` if no rule says so.
    pub fn session_key<'p>(&'p self, plan: &'p Plan, now: u64) -> Option<&'p KeyPart> {
        let settings = plan.active.each().iter();
        settings.filter_map(|active| self.rules.setting(active, now, |action| &action.sessions)).next()
    }

    /// Every abuse rule by id.
    pub fn abuse(&self) -> &abuse::AbuseRules {
        &self.abuse
    }

    /// Rules that were accepted but have no effect on this node, with their location.
    pub fn notices(&self) -> &[PolicyError] {
        &self.notices
    }
}
