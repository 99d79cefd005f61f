//! What an exception will let pass and what it will not, in words.

use super::Asked;
use crate::console::point_text;
use crate::console::view::parts::Kind;
use crate::console::view::text::Text;
use crate::policy::propose::By;
use crate::policy::{Choice, Left, Purpose};
use serde_json::json;
use weir_core::model::point::PatternItem;

impl Asked {
    /// What still makes the request an attack; empty where nothing does.
    pub fn left(&self) -> String {
        left(&self.material.left(&self.choice))
    }

    /// Whether an exception would do for the request to pass.
    pub fn enough(&self, subject: usize, by: By) -> String {
        let choice = Choice { subject: Some(subject), by: Some(by), steps: None, ..Choice::default() };
        match left(&self.material.left(&choice)) {
            left if left.is_empty() => "Enough for this request to pass.".to_owned(),
            left => format!("Not enough for this request: {left}."),
        }
    }
}

/// What is left, in words; empty where nothing is.
fn left(all: &[Left]) -> String {
    let Some(first) = all.first() else { return String::new() };
    let at = if first.point.0.is_empty() { String::new() } else { format!(" at {}", first.point) };
    let more = if all.len() > 1 { format!(" and {} more", all.len() - 1) } else { String::new() };
    let verb = if all.len() > 1 { "are" } else { "is" };
    format!("{}{at}{more} {verb} left", Kind::of(first.attack).name)
}

/// Where a rule holds, in words.
pub fn at(steps: &[PatternItem]) -> String {
    if steps.is_empty() { "anywhere".into() } else { format!("at {}", point_text::write(&json!(steps))) }
}

/// What the exception will let pass, and what it will not.
pub fn of(asked: &Asked) -> Option<[Text; 2]> {
    let (number, by) = asked.chosen();
    let subject = asked.material.subjects.get(number).filter(|_| asked.purpose == Purpose::Exception)?;
    let kept = asked.choice.steps.unwrap_or(usize::MAX).max(1).min(subject.point.0.len());
    let (kind, at) = (Kind::of(subject.attack).name, at(&subject.point.0[..kept]));
    let (passes, stays) = match (&subject.stamp, by) {
        (Some(stamp), By::Stamp) => (
            format!("what {stamp} finds {at}, and in what is decoded from it"),
            "what other signatures find there, and everything elsewhere".to_owned(),
        ),
        _ => (
            format!("every {kind} {at}, and in what is decoded from it"),
            "attacks of other types there, and everything elsewhere".to_owned(),
        ),
    };
    let left = asked.left();
    let stays = if left.is_empty() { format!("{stays}.") } else { format!("{stays}. Of this request {left}.") };
    Some([Text::new(&format!("{passes}.")), Text::new(&stays)])
}
