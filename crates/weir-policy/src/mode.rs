//! Filtration modes, and the table of what each of them blocks.

use super::list::List;
use serde::{Deserialize, Serialize};

/// What the node does about attacks. Ordered from the most lenient to the strictest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Nothing is inspected, nothing is blocked.
    Off,
    /// Attacks are reported. Only denylisted sources and virtual patches block.
    Monitoring,
    /// Like monitoring, but attacks from graylisted sources are blocked.
    SafeBlocking,
    /// Attacks are blocked.
    #[default]
    Block,
}

impl Mode {
    /// Every mode, from lenient to strict.
    pub const ALL: &'static [Mode] = &[Mode::Off, Mode::Monitoring, Mode::SafeBlocking, Mode::Block];

    /// The mode as written in configuration and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Mode::Off => "off",
            Mode::Monitoring => "monitoring",
            Mode::SafeBlocking => "safe_blocking",
            Mode::Block => "block",
        }
    }

    /// The mode called `code`.
    pub fn from_code(code: &str) -> Option<Mode> {
        Self::ALL.iter().copied().find(|mode| mode.code() == code)
    }
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

/// How the mode of the policy document combines with the local one (`wallarm_mode_allow_override`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModeOverride {
    /// Only the local mode applies.
    Off,
    /// The document's mode, if set, replaces the local one.
    #[default]
    On,
    /// The document's mode applies only if it is stricter.
    Strict,
}

impl ModeOverride {
    /// The mode that applies.
    pub fn combine(self, local: Mode, remote: Option<Mode>) -> Mode {
        match (self, remote) {
            (ModeOverride::Off, _) | (_, None) => local,
            (ModeOverride::On, Some(remote)) => remote,
            (ModeOverride::Strict, Some(remote)) => local.max(remote),
        }
    }
}

/// A cause to block a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It contains an attack.
    Attack,
    /// A virtual patch matches.
    Vpatch,
    /// Its source is denylisted.
    Denied,
    /// It goes over the limit of an abuse rule whose reaction is `block`.
    Limit,
}

/// Whether `cause` is blocked in `mode` for a source on `list`.
/// `blocking` is false for out-of-band copies and if `connector.blocking` is off: then nothing is blocked.
pub const fn blocks(mode: Mode, list: Option<List>, cause: Cause, blocking: bool) -> bool {
    if !blocking || matches!(mode, Mode::Off) || matches!(list, Some(List::Allow)) {
        return false;
    }
    match cause {
        Cause::Denied => matches!(list, Some(List::Deny)),
        Cause::Vpatch => true,
        Cause::Limit => matches!(mode, Mode::Block | Mode::SafeBlocking),
        Cause::Attack => match mode {
            Mode::Block => true,
            Mode::SafeBlocking => matches!(list, Some(List::Gray)),
            Mode::Monitoring | Mode::Off => false,
        },
    }
}

/// The mode of a rule that has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleMode {
    Off,
    Monitoring,
    Block,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each mode and list: whether an attack, a virtual patch, and being denylisted block in-line.
    const TABLE: &[(Mode, Option<List>, [bool; 3])] = &[
        (Mode::Off, None, [false, false, false]),
        (Mode::Off, Some(List::Allow), [false, false, false]),
        (Mode::Off, Some(List::Deny), [false, false, false]),
        (Mode::Off, Some(List::Gray), [false, false, false]),
        (Mode::Monitoring, None, [false, true, false]),
        (Mode::Monitoring, Some(List::Allow), [false, false, false]),
        (Mode::Monitoring, Some(List::Deny), [false, true, true]),
        (Mode::Monitoring, Some(List::Gray), [false, true, false]),
        (Mode::SafeBlocking, None, [false, true, false]),
        (Mode::SafeBlocking, Some(List::Allow), [false, false, false]),
        (Mode::SafeBlocking, Some(List::Deny), [false, true, true]),
        (Mode::SafeBlocking, Some(List::Gray), [true, true, false]),
        (Mode::Block, None, [true, true, false]),
        (Mode::Block, Some(List::Allow), [false, false, false]),
        (Mode::Block, Some(List::Deny), [true, true, true]),
        (Mode::Block, Some(List::Gray), [true, true, false]),
    ];

    #[test]
    fn every_cell_of_the_table_holds() {
        let mut cells = 0;
        for &(mode, list, row) in TABLE {
            for (cause, want) in [Cause::Attack, Cause::Vpatch, Cause::Denied].into_iter().zip(row) {
                assert_eq!(blocks(mode, list, cause, true), want, "{mode} {list:?} {cause:?}");
                assert!(!blocks(mode, list, cause, false), "out of band: {mode} {list:?} {cause:?}");
                cells += 2;
            }
        }
        assert_eq!(cells, 4 * 4 * 3 * 2);
    }

    #[test]
    fn modes_combine_as_the_override_says() {
        for &local in Mode::ALL {
            for remote in std::iter::once(None).chain(Mode::ALL.iter().copied().map(Some)) {
                assert_eq!(ModeOverride::Off.combine(local, remote), local);
                assert_eq!(ModeOverride::On.combine(local, remote), remote.unwrap_or(local));
                let strict = ModeOverride::Strict.combine(local, remote);
                assert!(strict >= local && Some(strict) >= remote && (strict == local || Some(strict) == remote));
            }
        }
        assert!(Mode::ALL.is_sorted());
    }

    #[test]
    fn codes_round_trip() {
        for &mode in Mode::ALL {
            assert_eq!(Mode::from_code(mode.code()), Some(mode));
            assert_eq!(serde_json::to_string(&mode).unwrap(), format!("\"{mode}\""));
        }
    }
}
