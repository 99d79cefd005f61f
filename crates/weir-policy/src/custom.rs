//! Signatures of the user's: `regex` rules.
//!
//! Policy hands them out as plain data; whoever builds the ruleset compiles them into it under [`CustomSignature::name`].
//! They then find everywhere what they match, and `Policy::decide` keeps a finding only where the rule's conditions
//! hold, so that the ruleset needs no conditions.

use weir_core::model::{AttackType, PointPattern};

/// What the names of custom signatures begin with.
pub const CUSTOM_PREFIX: &str = "custom.";

/// A signature from a `regex` or `experimental_regex` rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomSignature {
    /// Id of the rule.
    pub rule: u64,
    /// What a match is reported as; [`AttackType::Vpatch`] blocks like a virtual patch.
    pub attack: AttackType,
    /// Pattern for crate `regex` on bytes, with case, `.` taking line feeds, ASCII classes. It is known to compile.
    pub pattern: String,
    /// Points to which it is confined; none means any value.
    pub points: Vec<PointPattern>,
    /// Its findings are told and never decisive.
    pub experimental: bool,
}

impl CustomSignature {
    /// Its name in the ruleset and in findings: `custom.<id>`.
    pub fn name(&self) -> String {
        format!("{CUSTOM_PREFIX}{}", self.rule)
    }

    /// The rule's id in the name of a custom signature.
    pub fn rule_of(name: &str) -> Option<u64> {
        name.strip_prefix(CUSTOM_PREFIX)?.parse().ok()
    }
}
