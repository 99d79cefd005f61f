//! Policy: what is known of a request and what was found in it become a verdict.
//!
//! The one place that knows modes. [`Policy::compile`] turns the node's [`Settings`] and a [`PolicyDoc`] into
//! an immutable [`Policy`]; [`Policy::plan`] is asked before a request is inspected, [`Policy::decide`] after.
//! Both are pure: time, addresses and files are the caller's.

mod addresses;
pub mod anomalies;
pub mod client;
mod compile;
mod condition;
pub mod custom;
mod decide;
mod doc;
pub mod error;
mod exceptions;
mod filters;
mod graphql;
mod index;
pub mod list;
mod listing;
pub mod mode;
pub mod overlimit;
pub mod pattern;
mod plan;
mod reasons;
pub mod reply;
mod routes;
mod rule;
mod rules;
pub mod settings;
pub mod source;
pub mod verdict;

pub use anomalies::AnomalyAction;
pub use custom::CustomSignature;
pub use doc::PolicyDoc;
pub use error::PolicyError;
pub use list::{List, ListHit, MatchedBy};
pub use mode::{Mode, ModeOverride};
pub use overlimit::{OverlimitAction, OverlimitPolicy};
pub use reply::{Reply, ReplySettings};
pub use settings::{FilterSettings, OverlimitMode, RouteSettings, Settings};
pub use source::{Country, Region, Source, SourceKinds};
pub use verdict::{Action, Bypass, Head, Plan, Reason, Verdict};

#[cfg(test)]
mod tests;

use std::time::Duration;
use weir_core::model::{Limits, PointPattern};

/// A policy, checked and indexed. Never changed: a new one replaces it as a whole.
#[derive(Debug)]
pub struct Policy {
    application: i64,
    mode_allow_override: ModeOverride,
    /// Mode of the node's own document for what none of its rules is for.
    local_mode: Option<Mode>,
    /// Mode of the control plane's document for what none of its rules is for.
    remote_mode: Option<Mode>,
    limits: Limits,
    time_limit: Duration,
    overlimit: OverlimitPolicy,
    libdetection: bool,
    url_normalize: bool,
    lists_before_inspection: bool,
    routes: routes::Routes,
    filters: filters::Filters,
    addresses: addresses::Addresses,
    rules: rules::Rules,
    anomalies: anomalies::AnomalyTable,
    /// The default reply, then those of routes.
    replies: Vec<reply::ReplyTemplate>,
    notices: Vec<PolicyError>,
}

impl Policy {
    /// The user's signatures, to be compiled into the ruleset under their names.
    pub fn custom_signatures(&self) -> Vec<&CustomSignature> {
        self.rules.custom_signatures()
    }

    /// Points of a planned request whose values must be masked before anything is stored.
    pub fn sensitive<'p>(&'p self, plan: &'p Plan, now: u64) -> impl Iterator<Item = &'p PointPattern> {
        self.rules.of_request(&plan.active).flat_map(move |action| rules::live(&action.sensitive, now))
    }

    /// What was accepted but has no effect on this node, with its place.
    pub fn notices(&self) -> &[PolicyError] {
        &self.notices
    }
}
