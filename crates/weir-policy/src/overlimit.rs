//! [`OverlimitPolicy`]: what to do with a request of which a part was not inspected, by reason.

use super::settings::OverlimitMode;
use weir_core::model::SkipReason;

/// What to do with a request of which a part was not inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OverlimitAction {
    /// The decision uses the inspected parts; nothing is reported.
    Pass,
    /// The decision uses the inspected parts, and `overlimit_res` is reported.
    Report,
    /// The request is an attack of type `overlimit_res`.
    Block,
}

/// An action for each reason why a part of a message was not inspected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverlimitPolicy([OverlimitAction; SkipReason::ALL.len()]);

impl OverlimitPolicy {
    /// The same action for every reason, except for parsers that the policy itself has switched off.
    pub fn uniform(action: OverlimitAction) -> Self {
        let mut policy = Self([action; SkipReason::ALL.len()]);
        policy.set(SkipReason::ParserOff, OverlimitAction::Pass);
        policy
    }

    /// Sets the action for `reason`.
    pub fn set(&mut self, reason: SkipReason, action: OverlimitAction) {
        self.0[reason as usize] = action;
    }

    /// The action for `reason`.
    pub fn action(&self, reason: SkipReason) -> OverlimitAction {
        self.0[reason as usize]
    }

    /// The stricter of two policies, reason by reason.
    pub fn strictest(mut self, other: Self) -> Self {
        for (action, other) in self.0.iter_mut().zip(other.0) {
            *action = (*action).max(other);
        }
        self
    }

    /// The strictest action for any of `reasons`.
    pub fn decide(&self, reasons: impl Iterator<Item = SkipReason>) -> OverlimitAction {
        reasons.map(|reason| self.action(reason)).max().unwrap_or(OverlimitAction::Pass)
    }
}

impl Default for OverlimitPolicy {
    /// Limits that no ordinary client reaches block, since exceeding them hides content. Reasons that depend on the gateway
    /// (bodies that it did not send), on the machine (time), on unknown codings or on defects of weir are only reported.
    fn default() -> Self {
        let mut policy = Self::uniform(OverlimitAction::Block);
        let reported = [
            SkipReason::NotSent,
            SkipReason::TimeLimit,
            SkipReason::SizeLimit,
            SkipReason::Undecodable,
            SkipReason::InternalError,
        ];
        reported.into_iter().for_each(|reason| policy.set(reason, OverlimitAction::Report));
        policy
    }
}

impl From<OverlimitMode> for OverlimitPolicy {
    fn from(mode: OverlimitMode) -> Self {
        Self::uniform(match mode {
            OverlimitMode::Off => OverlimitAction::Pass,
            OverlimitMode::Monitoring => OverlimitAction::Report,
            OverlimitMode::Blocking => OverlimitAction::Block,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_action() {
        for (index, reason) in SkipReason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, index, "SkipReason::ALL is in order of declaration");
            let mut policy = OverlimitPolicy::uniform(OverlimitAction::Pass);
            policy.set(*reason, OverlimitAction::Block);
            let blocking = SkipReason::ALL.iter().filter(|other| policy.action(**other) == OverlimitAction::Block);
            assert_eq!(blocking.collect::<Vec<_>>(), [reason]);
        }
    }

    #[test]
    fn the_strictest_action_counts() {
        let decide = |reasons: &[SkipReason]| OverlimitPolicy::default().decide(reasons.iter().copied());
        assert_eq!(decide(&[]), OverlimitAction::Pass);
        assert_eq!(decide(&[SkipReason::ParserOff]), OverlimitAction::Pass);
        assert_eq!(decide(&[SkipReason::ParserOff, SkipReason::NotSent]), OverlimitAction::Report);
        assert_eq!(decide(&[SkipReason::TimeLimit, SkipReason::Recodings]), OverlimitAction::Block);
    }
}
