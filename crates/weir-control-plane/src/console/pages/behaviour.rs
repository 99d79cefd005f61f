//! Alarms on pages, and those of them that concern rules on behaviour.

use crate::alarms::Alarm;
use crate::console::page::Page;
use crate::console::view::dashboard::AlarmLine;
use crate::console::view::number::grouped;
use crate::console::view::text::Text;
use crate::error::Result;
use crate::policy::RuleEntry;
use serde_json::Value;

/// Rules that an alarm names.
const NAMED: usize = 5;

/// An alarm as pages show it.
pub(super) fn alarm_line(page: &Page, alarm: &Alarm) -> AlarmLine {
    let rules = match alarm {
        Alarm::Unanswered { rule, .. } => vec![*rule],
        Alarm::Unlisted { .. } => listing(page),
        Alarm::NoNode { .. } | Alarm::Uninspected { .. } | Alarm::MissingSignatures { .. } => Vec::new(),
    };
    AlarmLine {
        says: Text::new(&alarm.text()),
        count: alarm.count().map(grouped),
        advice: alarm.advice(),
        grave: alarm.is_grave(),
        rules,
        at: page.moment(alarm.at()),
    }
}

/// The alarms that concern one rule, with only this one named.
pub(super) async fn of_rule(page: &Page, entry: &RuleEntry) -> Result<Vec<AlarmLine>> {
    let alarms = page.app.alarms().await?;
    let concerns = |alarm: &&Alarm| concerns(alarm, entry);
    let line = |alarm| AlarmLine { rules: Vec::new(), ..alarm_line(page, alarm) };
    Ok(alarms.iter().filter(concerns).map(line).collect())
}

/// What the first alarm that concerns a rule says; empty without one.
pub(super) fn text_of(alarms: &[Alarm], entry: &RuleEntry) -> Text {
    let alarm = alarms.iter().find(|alarm| concerns(alarm, entry));
    alarm.map(|alarm| Text::new(&alarm.text())).unwrap_or_default()
}

fn concerns(alarm: &Alarm, entry: &RuleEntry) -> bool {
    match alarm {
        Alarm::Unanswered { rule, .. } => *rule == entry.id,
        Alarm::Unlisted { .. } => lists(entry),
        Alarm::NoNode { .. } | Alarm::Uninspected { .. } | Alarm::MissingSignatures { .. } => false,
    }
}

/// Why the list of automatic entries may lack some.
pub(super) async fn of_entries(page: &Page) -> Result<Vec<AlarmLine>> {
    let alarms = page.app.alarms().await?;
    let missing = alarms.iter().filter(|alarm| matches!(alarm, Alarm::Unlisted { .. }));
    Ok(missing.map(|alarm| alarm_line(page, alarm)).collect())
}

/// The first rules in force that put sources on a list.
fn listing(page: &Page) -> Vec<u64> {
    let rules = &page.app.policy.head().state.rules;
    rules.iter().filter(|entry| lists(entry)).map(|entry| entry.id).take(NAMED).collect()
}

/// Whether a rule puts sources on a list.
fn lists(entry: &RuleEntry) -> bool {
    let reaction = entry.rule.get("reaction").and_then(Value::as_str);
    let dry = entry.rule.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
    matches!(reaction, Some("graylist" | "denylist")) && entry.is_enabled() && !dry
}
