//! Bounds of GraphQL requests (`graphql_detection`).

use super::mode::RuleMode;
use weir_core::model::{AttackType, GraphqlStats};

/// What a GraphQL request may have. Defaults are the documented ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct GraphqlLimits {
    /// Id of the rule.
    pub rule: u64,
    /// Whether going over blocks.
    pub mode: RuleMode,
    /// Nesting of selections.
    pub depth: usize,
    /// Bytes of one value.
    pub value_bytes: usize,
    /// Bytes of one document.
    pub document_bytes: usize,
    /// Aliases in one document.
    pub aliases: usize,
    /// Documents in one batch.
    pub batch: usize,
    /// Whether introspection is reported.
    pub introspection: bool,
    /// Whether a debug switch is reported.
    pub debug: bool,
}

impl Default for GraphqlLimits {
    fn default() -> Self {
        Self {
            rule: 0,
            mode: RuleMode::Block,
            depth: 10,
            value_bytes: 10 << 10,
            document_bytes: 100 << 10,
            aliases: 5,
            batch: 10,
            introspection: true,
            debug: true,
        }
    }
}

impl GraphqlLimits {
    /// What goes over, by attack type.
    pub fn violations(&self, facts: &GraphqlStats) -> impl Iterator<Item = AttackType> + use<> {
        let all = [
            (facts.depth > self.depth, AttackType::GqlDepth),
            (facts.value_bytes > self.value_bytes, AttackType::GqlValueSize),
            (facts.aliases > self.aliases, AttackType::GqlAliases),
            (facts.document_bytes > self.document_bytes, AttackType::GqlDocSize),
            (facts.documents > self.batch, AttackType::GqlDocsPerBatch),
            (facts.introspection && self.introspection, AttackType::GqlIntrospection),
            (facts.debug && self.debug, AttackType::GqlDebug),
        ];
        let mode = self.mode;
        all.into_iter().filter(move |(over, _)| *over && mode != RuleMode::Off).map(|(_, attack)| attack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_has_its_attack_type() {
        let limits = GraphqlLimits::default();
        let at_limit = GraphqlStats {
            depth: 10,
            value_bytes: 10 << 10,
            aliases: 5,
            document_bytes: 100 << 10,
            documents: 10,
            ..GraphqlStats::default()
        };
        assert_eq!(limits.violations(&at_limit).count(), 0);
        let over = GraphqlStats {
            depth: 11,
            value_bytes: (10 << 10) + 1,
            aliases: 6,
            document_bytes: (100 << 10) + 1,
            documents: 11,
            introspection: true,
            debug: true,
            ..GraphqlStats::default()
        };
        assert_eq!(limits.violations(&over).count(), 7);
        let lenient = GraphqlLimits { introspection: false, debug: false, ..limits };
        assert_eq!(lenient.violations(&over).count(), 5);
        assert_eq!(GraphqlLimits { mode: RuleMode::Off, ..limits }.violations(&over).count(), 0);
    }
}
