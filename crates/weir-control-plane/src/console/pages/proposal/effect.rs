//! Describes what an exception ignores and what is still detected.

use super::RuleProposal;
use crate::console::point_text;
use crate::console::view::parts::AttackKind;
use crate::console::view::proposal::ExceptionEffect;
use crate::console::view::text::Text;
use crate::policy::propose::By;
use crate::policy::{Choice, Purpose, Residual};
use serde_json::json;
use weir_core::model::point::PatternItem;

impl RuleProposal {
    /// What is still detected with the exception; empty if nothing is.
    pub fn left(&self) -> String {
        left(&self.material.left(&self.choice))
    }

    /// Whether the exception is enough for the request to pass.
    pub fn enough(&self, subject: usize, by: By) -> String {
        let choice = Choice { subject: Some(subject), by: Some(by), steps: None, ..Choice::default() };
        match left(&self.material.left(&choice)) {
            left if left.is_empty() => "Enough for this request to pass.".to_owned(),
            left => format!("Not enough for this request: {left}."),
        }
    }
}

/// Describes what is still detected; empty if nothing is.
fn left(all: &[Residual]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let at = if first.point.0.is_empty() { String::new() } else { format!(" in {}", first.point) };
    let more = if all.len() > 1 { format!(" and {} more", all.len() - 1) } else { String::new() };
    let verb = if all.len() > 1 { "are" } else { "is" };
    format!("{}{at}{more} {verb} still detected", AttackKind::of(first.attack).name)
}

/// Describes a location.
pub fn at(steps: &[PatternItem]) -> String {
    if steps.is_empty() { "anywhere".into() } else { format!("in {}", point_text::write(&json!(steps))) }
}

/// What the exception ignores, and what is still detected.
pub fn of(asked: &RuleProposal) -> Option<ExceptionEffect> {
    let (number, by) = asked.chosen();
    let subject = asked.material.subjects.get(number).filter(|_| asked.purpose == Purpose::Exception)?;
    let point = asked.material.point(number, by, asked.choice.steps);
    let (kind, at) = (AttackKind::of(subject.attack).name, at(&point.0));
    let (ignored, stays) = match (&subject.stamp, by) {
        (_, By::Any) => (
            format!("All attacks of every type {at}, including decoded values"),
            "Attacks in all other places and requests".to_owned(),
        ),
        (Some(stamp), By::Stamp) => (
            format!("Matches of {stamp} {at}, including decoded values"),
            "Matches of other signatures there, and attacks in all other places".to_owned(),
        ),
        _ => (
            format!("All attacks of type {kind} {at}, including decoded values"),
            "Attacks of other types there, and attacks in all other places".to_owned(),
        ),
    };
    let left = asked.left();
    let stays = if left.is_empty() { format!("{stays}.") } else { format!("{stays}. In this request, {left}.") };
    Some(ExceptionEffect { ignored: Text::new(&format!("{ignored}.")), detected: Text::new(&stays) })
}
