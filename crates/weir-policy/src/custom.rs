//! User-defined signatures: `regex` rules.
//!
//! The policy returns them as plain data; the caller compiles them into the ruleset under [`CustomSignature::name`]. They
//! then match in every request, and `Policy::decide` keeps a finding only if the conditions of the rule hold, so that the
//! ruleset needs no conditions.

use super::finding_name::{self, FindingKind};
use weir_core::model::{AttackType, PointPattern};
use weir_core::ruleset::custom::CompiledSignature;

/// A signature from a `regex` or `experimental_regex` rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomSignature {
    /// Id of the rule.
    pub rule: u64,
    /// Attack type of a match; [`AttackType::Vpatch`] blocks like a virtual patch.
    pub attack: AttackType,
    /// Pattern for crate `regex` on bytes: case-sensitive, `.` matches line feeds, ASCII classes. It compiles.
    pub pattern: String,
    /// Points to which it is limited; empty for any value.
    pub points: Vec<PointPattern>,
    /// Its findings are reported and never decisive.
    pub experimental: bool,
}

impl CustomSignature {
    /// Its name in the ruleset and in findings: `custom.<id>`.
    pub fn name(&self) -> String {
        finding_name::custom(self.rule)
    }

    /// Compiles it for the ruleset. The error is that of the pattern.
    pub fn compile(&self) -> Result<CompiledSignature, regex::Error> {
        CompiledSignature::new(&self.name(), self.attack, &self.pattern, self.points.clone())
    }

    /// The rule's id in the name of a custom signature.
    pub fn rule_of(name: &str) -> Option<u64> {
        if let FindingKind::Custom(id) = FindingKind::of(name) { id } else { None }
    }
}
