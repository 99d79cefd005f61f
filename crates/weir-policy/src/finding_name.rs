//! Names of findings that come from no signature of a rule file: how they are made, and of which kind one is.

use weir_core::model::AttackType;

/// Begins the name of a custom signature: `custom.7`.
const CUSTOM: &str = "custom.";
/// Begins the name of a finding of a rule on behaviour: `abuse.7`.
const BEHAVIOUR: &str = "abuse.";
/// Begins the name of a finding for an anomaly: `anomaly.duplicate_host`.
const ANOMALY: &str = "anomaly.";
/// Begins the name of a finding for something over its limit: `limit.gql_depth`.
const LIMIT: &str = "limit.";
/// Name of the finding for a denylisted source.
pub const DENYLIST: &str = "list.deny";

/// Name of the custom signature of rule `id`.
pub fn custom(id: u64) -> String {
    format!("{CUSTOM}{id}")
}

/// Name of the findings of rule `id`, a rule on behaviour.
pub fn behaviour(id: u64) -> String {
    format!("{BEHAVIOUR}{id}")
}

/// Name of the finding for the anomaly with this code.
pub fn anomaly(code: &str) -> String {
    format!("{ANOMALY}{code}")
}

/// Name of the finding for something over its limit.
pub fn limit(attack: AttackType) -> String {
    format!("{LIMIT}{}", attack.code())
}

/// The kind of a finding, as its name says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind<'n> {
    /// A signature that comes with the program or a rule pack, or a detector.
    Signature,
    /// A custom signature, by the id of its rule; none where there is no id in the name.
    Custom(Option<u64>),
    /// A rule on behaviour, by its id; none where there is no id in the name.
    Behaviour(Option<u64>),
    /// An anomaly, by its code.
    Anomaly(&'n str),
    /// Something over its limit, by the code of its attack type.
    Limit(&'n str),
    /// A denylisted source.
    Denylist,
}

impl<'n> FindingKind<'n> {
    /// The kind of the finding called `name`.
    pub fn of(name: &'n str) -> Self {
        let rest = |prefix: &str| name.strip_prefix(prefix);
        if name == DENYLIST {
            FindingKind::Denylist
        } else if let Some(id) = rest(CUSTOM) {
            FindingKind::Custom(id.parse().ok())
        } else if let Some(id) = rest(BEHAVIOUR) {
            FindingKind::Behaviour(id.parse().ok())
        } else if let Some(code) = rest(ANOMALY) {
            FindingKind::Anomaly(code)
        } else if let Some(code) = rest(LIMIT) {
            FindingKind::Limit(code)
        } else {
            FindingKind::Signature
        }
    }

    /// Whether it is about the source or the traffic, and not about what a request says: a request alone does not show it.
    pub const fn is_of_traffic(self) -> bool {
        matches!(self, FindingKind::Behaviour(_) | FindingKind::Limit(_) | FindingKind::Denylist)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::detect;
    use weir_core::ruleset::builtin;

    #[test]
    fn names_are_read_as_they_are_made() {
        for (name, kind, traffic) in [
            (custom(7), FindingKind::Custom(Some(7)), false),
            (behaviour(7), FindingKind::Behaviour(Some(7)), true),
            (anomaly("duplicate_host"), FindingKind::Anomaly("duplicate_host"), false),
            (limit(AttackType::GqlDepth), FindingKind::Limit("gql_depth"), true),
            (DENYLIST.into(), FindingKind::Denylist, true),
            ("custom.x".into(), FindingKind::Custom(None), false),
            ("sqli.union-select".into(), FindingKind::Signature, false),
        ] {
            assert_eq!((FindingKind::of(&name), FindingKind::of(&name).is_of_traffic()), (kind, traffic), "{name}");
        }
    }

    #[test]
    fn no_signature_or_detector_is_called_like_something_else() {
        let names = builtin::ids().iter().map(String::as_str).chain(detect::TABLE.iter().map(|one| one.name));
        for name in names {
            assert_eq!(FindingKind::of(name), FindingKind::Signature, "{name}");
        }
    }
}
