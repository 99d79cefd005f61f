//! Changes that have to be confirmed: what a refusal says, and what a request carries to confirm one.

use serde::Serialize;
use std::fmt;

/// One change that needs confirmation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Danger {
    /// In words.
    pub says: String,
    /// Whether it weakens protection; otherwise it blocks requests everywhere.
    pub weakens: bool,
    /// Host, or `everywhere`: what a person types to confirm it.
    pub word: String,
}

/// The confirmation that a request carries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Confirm {
    /// The hash that the refusal named.
    pub hash: String,
    /// What a person typed; none from programs.
    pub word: Option<String>,
}

/// Why a change was not published.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unconfirmed {
    /// What has to be confirmed.
    pub changes: Vec<Danger>,
    /// Confirms exactly this difference.
    pub confirm: String,
    /// What a person has to type.
    pub word: String,
    /// What the change would have done to the hits of the last 24 hours; none where it could not be found out.
    pub effect: Option<Effect>,
    /// Whether the confirmation that came along is another one.
    pub stale: bool,
}

impl Unconfirmed {
    /// The changes in one line.
    pub fn listed(&self) -> String {
        self.changes.iter().map(|one| one.says.as_str()).collect::<Vec<_>>().join("; ")
    }
}

impl fmt::Display for Unconfirmed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "this change has to be confirmed: {}", self.listed())?;
        self.effect.as_ref().map_or(Ok(()), |effect| write!(f, ". {}", effect.words()))
    }
}

/// What a change would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Effect {
    /// Hits judged again.
    pub replayed: usize,
    /// Whether there were more, or the time was over.
    pub cut: bool,
    /// Of these, those that would have passed although they are attacks: not detected, or not blocked any more.
    pub let_through: usize,
    /// Attacks to which these hits belong.
    pub attacks: usize,
    /// Whether they belong to more.
    pub more_attacks: bool,
    /// Those that would have been blocked and were not.
    pub blocked: usize,
}

impl Effect {
    /// In a sentence.
    pub fn words(&self) -> String {
        let count = |number: usize, one: &str| format!("{number} {one}{}", if number == 1 { "" } else { "s" });
        let mut parts = Vec::new();
        if self.let_through > 0 {
            let least = if self.more_attacks { "at least " } else { "" };
            let attacks = count(self.attacks, "attack");
            parts.push(format!("would let through {} of {least}{attacks}", count(self.let_through, "hit")));
        }
        if self.blocked > 0 {
            parts.push(format!("would block {} that passed", count(self.blocked, "hit")));
        }
        let seen = format!("{} of the last 24 hours", count(self.replayed, "hit"));
        let newest = if self.cut { ", the newest," } else { "" };
        match parts.as_slice() {
            [] if self.replayed == 0 => "There were no hits in the last 24 hours to try it on.".into(),
            [] => format!("Of {seen}{newest} it would change none."),
            parts => format!("Of {seen}{newest} it {}.", parts.join(" and ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_effect_is_told_in_words() {
        let says = |let_through, attacks, blocked| {
            Effect { replayed: 300, let_through, attacks, blocked, ..Effect::default() }.words()
        };
        assert_eq!(says(214, 3, 0), "Of 300 hits of the last 24 hours it would let through 214 hits of 3 attacks.");
        assert_eq!(says(0, 0, 1), "Of 300 hits of the last 24 hours it would block 1 hit that passed.");
        assert_eq!(says(0, 0, 0), "Of 300 hits of the last 24 hours it would change none.");
        assert_eq!(Effect::default().words(), "There were no hits in the last 24 hours to try it on.");
    }
}
