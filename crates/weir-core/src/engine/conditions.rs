//! [`ConditionChecks`]: judges conditions of signatures on the request, each signature at most once.

use super::body_readings;
use crate::model::{Budget, Message, MessageKind, Stop};
use crate::parse::facts::facts;
use crate::ruleset::Ruleset;
use crate::ruleset::conditions::RequestParts;
use std::cell::{OnceCell, RefCell};

/// Work units of a condition besides those of the bytes that it reads.
const CONDITION_COST: usize = 100;

/// The conditions of a message. Nothing is decoded until a signature that has conditions matches.
pub(super) struct ConditionChecks<'r, 'm> {
    ruleset: &'r Ruleset,
    message: &'m Message<'m>,
    budget: &'r Budget<'r>,
    parts: OnceCell<RequestParts<'m>>,
    /// Signatures that have matched, and whether the request meets their conditions.
    known: RefCell<Vec<(u32, bool)>>,
}

impl<'r, 'm> ConditionChecks<'r, 'm> {
    pub fn new(ruleset: &'r Ruleset, message: &'m Message<'m>, budget: &'r Budget<'r>) -> Self {
        Self { ruleset, message, budget, parts: OnceCell::new(), known: RefCell::default() }
    }

    /// Whether the message meets the conditions of signature `number`. A response meets none.
    pub fn met(&self, number: u32) -> Result<bool, Stop> {
        if self.message.kind == MessageKind::Response {
            return Ok(false);
        }
        if let Some((_, met)) = self.known.borrow().iter().find(|(known, _)| *known == number) {
            return Ok(*met);
        }
        if self.parts.get().is_none() {
            self.budget.spend(self.message.target.len())?;
        }
        let parts = self.parts.get_or_init(|| RequestParts::new(self.message, &facts(self.message)));
        let mut met = true;
        for condition in &self.ruleset.signatures[number as usize].conditions {
            if condition.reads_body() {
                self.budget.spend(body_readings::cost(self.message.body.len()))?;
                parts.read_bodies(|| body_readings::readings(self.message));
                self.budget.spend(CONDITION_COST + body_readings::cost(condition.cost(parts)))?;
            } else {
                self.budget.spend(CONDITION_COST + condition.cost(parts))?;
            }
            met &= condition.holds(parts);
        }
        self.known.borrow_mut().push((number, met));
        Ok(met)
    }
}
