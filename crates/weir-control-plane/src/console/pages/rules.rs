//! Rules of the policy.

use super::behaviour;
use super::rankings::hit_count;
use crate::alarms::Alarm;
use crate::console::form_fields::FormFields;
use crate::console::notice::with_notice;
use crate::console::page::{self, Page, html, html_with, mistakes, see_other};
use crate::console::reply_types;
use crate::console::rule_form::{RuleDraft, can_show, field};
use crate::console::rule_types::{RuleType, find, groups};
use crate::console::view::parts::{self, Choice, HitCount};
use crate::console::view::rules::{
    RuleCheck, RuleForm, RuleHistoryText, RuleRow, RuleTypes, Rules, TestFinding, TestResult,
};
use crate::console::view::shell::{Place, Tone};
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::console::{rule_text, scope};
use crate::error::{Error, Mistake, Result};
use crate::policy::rule_test::{Judgement, RuleTest};
use crate::policy::{NewRule, RuleEntry};
use crate::store::RuleCount;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use weir_policy::finding_name;

/// How far back hits are counted, in milliseconds: 30 days.
const COUNTED: i64 = 30 * 86_400_000;
/// Types of rules that make hits.
const COUNTING: [&str; 7] = ["vpatch", "regex", "experimental_regex", "rate_limit", "brute", "forced_browsing", "bola"];

/// `GET /rules`
pub async fn rules(page: Page) -> Result<Response> {
    let head = page.app.policy.head();
    let (query, wanted) = (page.query.get("q").to_lowercase(), page.query.get("kind"));
    let counts = page.app.store.rule_counts((page.now - COUNTED).max(0)).await?;
    let alarms = page.app.alarms().await?;
    let all: Vec<RuleRow> = head.state.rules.iter().rev().map(|rule| row(&page, rule, &counts, &alarms)).collect();
    let in_row = |row: &RuleRow| {
        let texts = [&row.says, &row.scope, &row.point, &row.comment];
        row.id.to_string() == query || texts.iter().any(|text| text.as_str().to_lowercase().contains(&query))
    };
    let mut counts: Vec<(&'static str, &'static str, usize)> = Vec::new();
    for rule in &head.state.rules {
        let Some(kind) = find(rule.kind()) else { continue };
        match counts.iter_mut().find(|(code, ..)| *code == kind.shown.code) {
            Some((.., count)) => *count += 1,
            None => counts.push((kind.shown.code, kind.shown.label, 1)),
        }
    }
    let mut kinds = vec![(Choice { label: "All", href: "/rules".into(), current: wanted.is_empty() }, all.len())];
    kinds.extend(counts.into_iter().map(|(code, label, count)| {
        (Choice { label, href: href("/rules", &[("kind", code), ("q", &query)]), current: code == wanted }, count)
    }));
    let total = all.len();
    let fits = |row: &RuleRow| {
        in_row(row) && (wanted.is_empty() || find(wanted).is_some_and(|kind| kind.shown.label == row.kind))
    };
    html(&Rules {
        shell: page.shell("Rules", Place::Rules),
        query: page.query.get("q").into(),
        kinds,
        rows: all.into_iter().filter(fits).collect(),
        total,
    })
}

/// Hits of a rule, and of the signature that it makes. Exceptions and settings have none.
fn hits(page: &Page, entry: &RuleEntry, counts: &HashMap<String, RuleCount>) -> Option<HitCount> {
    if !COUNTING.contains(&entry.kind()) {
        return None;
    }
    let own = [entry.id.to_string(), finding_name::custom(entry.id)];
    let found: Vec<&RuleCount> = own.iter().filter_map(|name| counts.get(name)).collect();
    // A hit of a custom signature names it, and not the rule; none is counted twice.
    Some(hit_count(found.into_iter().max_by_key(|count| count.hits), page.now))
}

/// When a rule ends, in milliseconds since 1970.
fn end(entry: &RuleEntry) -> Option<i64> {
    entry.rule.get("expired_at").and_then(Value::as_i64).map(|end| end.saturating_mul(1_000))
}

fn row(page: &Page, entry: &RuleEntry, counts: &HashMap<String, RuleCount>, alarms: &[Alarm]) -> RuleRow {
    let rule = &entry.rule;
    let (kind, icon) = rule_text::kind(rule);
    let text = |key: &str| rule.get(key).and_then(Value::as_str).unwrap_or_default();
    let comment = if text("title").is_empty() { text("comment") } else { text("title") };
    let groups =
        if entry.groups.is_empty() { String::new() } else { format!(" (node groups: {})", entry.groups.join(", ")) };
    let end = end(entry);
    RuleRow {
        id: entry.id,
        kind,
        icon,
        says: Text::new(&rule_text::summary(rule)),
        scope: Text::new(&format!("{}{groups}", rule_text::place(rule))),
        point: Text::new(&rule_text::point(rule)),
        comment: Text::new(comment),
        enabled: entry.is_enabled(),
        expires: end.map(|end| page.moment(end)),
        ended: end.is_some_and(|end| end <= page.now),
        alarm: behaviour::text_of(alarms, entry),
        author: Text::new(entry.created_by.strip_prefix("user:").unwrap_or(&entry.created_by)),
        changed: page.moment(entry.updated_at),
        hits: hits(page, entry, counts),
    }
}

/// `GET /rules/new`
pub async fn kinds(page: Page) -> Result<Response> {
    html(&RuleTypes { shell: page.shell("New rule", Place::Rules), groups: groups() })
}

fn kind_of(code: &str) -> Result<&'static RuleType> {
    find(code).ok_or(Error::NotFound("rule type"))
}

/// The form of a rule.
fn form_of(entry: &RuleEntry) -> Result<&'static RuleType> {
    if can_show(&entry.rule) {
        return kind_of(entry.kind());
    }
    let message = "This rule is written as a mitigation control, which has no form here: change it through the API or the policy \
                   file, or write it as a rule on behaviour.";
    Err(Error::Conflict(message.into()))
}

/// `GET /rules/new/{kind}`
pub async fn new(page: Page, Path(code): Path<String>) -> Result<Response> {
    let kind = kind_of(&code)?;
    let filled = RuleDraft::fresh(kind, page.query.clone());
    let check = check(&page, kind, &filled, None).await?;
    html(&form(&page, kind, &filled, None, &[], check))
}

/// `POST /rules/new/{kind}`
pub async fn create(page: Page, Path(code): Path<String>, given: FormFields) -> Result<Response> {
    let kind = kind_of(&code)?;
    let (filled, again) = sent(given);
    if again {
        return tested(&page, kind, &filled, None).await;
    }
    let made = match filled.rule(kind, None) {
        Ok(new) => mistakes(page.app.create_rule(&page.caller, new).await)?,
        Err(wrong) => Err(wrong),
    };
    match made {
        Ok(change) => Ok(see_other(&with_notice("/rules", "rule", change.value.id))),
        Err(wrong) => refused(&page, kind, &filled, None, &wrong).await,
    }
}

fn entry(page: &Page, id: u64) -> Result<RuleEntry> {
    page.app.policy.head().state.rule(id).cloned().ok_or(Error::NotFound("rule"))
}

/// `GET /rules/{id}`
pub async fn rule(page: Page, Path(id): Path<u64>) -> Result<Response> {
    let entry = entry(&page, id)?;
    let kind = form_of(&entry)?;
    let filled = RuleDraft::of(kind, &entry);
    let check = check(&page, kind, &filled, Some(&entry)).await?;
    let alarms = behaviour::of_rule(&page, &entry).await?;
    html(&RuleForm { alarms, ..form(&page, kind, &filled, Some(&entry), &[], check) })
}

/// `POST /rules/{id}`
pub async fn change(page: Page, Path(id): Path<u64>, given: FormFields) -> Result<Response> {
    let entry = entry(&page, id)?;
    let kind = form_of(&entry)?;
    let (filled, again) = sent(given);
    if again {
        return tested(&page, kind, &filled, Some(&entry)).await;
    }
    let done = match filled.rule(kind, Some(&entry)) {
        Ok(new) => mistakes(page.app.change_rule(&page.caller, id, new).await)?,
        Err(wrong) => Err(wrong),
    };
    match done {
        Ok(_) => Ok(see_other(&with_notice(&format!("/rules/{id}"), "rule", id))),
        Err(wrong) => refused(&page, kind, &filled, Some(&entry), &wrong).await,
    }
}

async fn tested(
    page: &Page,
    kind: &'static RuleType,
    filled: &RuleDraft,
    entry: Option<&RuleEntry>,
) -> Result<Response> {
    let check = check(page, kind, filled, entry).await?;
    html(&form(page, kind, filled, entry, &[], check))
}

async fn refused(
    page: &Page,
    kind: &'static RuleType,
    filled: &RuleDraft,
    entry: Option<&RuleEntry>,
    wrong: &[Mistake],
) -> Result<Response> {
    let check = check(page, kind, filled, entry).await?;
    html_with(StatusCode::UNPROCESSABLE_ENTITY, &form(page, kind, filled, entry, wrong, check))
}

fn form(
    page: &Page,
    kind: &'static RuleType,
    filled: &RuleDraft,
    entry: Option<&RuleEntry>,
    wrong: &[Mistake],
    check: RuleCheck,
) -> RuleForm {
    RuleForm {
        shell: page.shell(kind.shown.label, Place::Rules),
        id: entry.map(|entry| entry.id),
        kind: kind.shown,
        scope: filled.scope_fields(kind, wrong),
        conditions: filled.shown_rows(),
        condition_points: scope::POINTS,
        point: filled.point_field(kind, wrong),
        fields: filled.fields(kind, wrong),
        general: filled.general_fields(wrong),
        test_request: filled.given.raw("test").replace("\r\n", "\n"),
        alarms: Vec::new(),
        check,
        enabled: entry.is_none_or(RuleEntry::is_enabled),
        ended: entry.and_then(end).filter(|end| *end <= page.now).map(|end| page.moment(end)),
        from_hit: entry.map(|entry| entry.from_hit.clone()).filter(|hit| uuid::Uuid::parse_str(hit).is_ok()),
    }
}

/// `POST /rules/check/{kind}`: what the form would become, while it is filled in.
pub async fn live(page: Page, Path(code): Path<String>, given: FormFields) -> Result<Response> {
    let kind = kind_of(&code)?;
    let entry = match given.number::<u64>("id")? {
        Some(id) => Some(entry(&page, id)?),
        None => None,
    };
    html(&check(&page, kind, &RuleDraft::sent(given.with("sent", "1")), entry.as_ref()).await?)
}

/// `POST /rules/preview/{kind}`: the block page that the form would become, for a frame without rights.
pub async fn preview(page: Page, Path(code): Path<String>, given: FormFields) -> Result<Response> {
    let kind = kind_of(&code)?;
    // Who may not change a rule sees its form disabled, and browsers send nothing of that.
    let disabled = kind.parameters.iter().all(|one| !given.names(one.name));
    if let (true, Some(id)) = (disabled, given.number::<u64>("id")?) {
        return Ok(reply_types::preview(&entry(&page, id)?.rule));
    }
    // The page is the same whatever requests the rule is for.
    let rule = kind.parameters.iter().filter_map(|one| Some((one.name.to_owned(), one.value(given.get(one.name))?)));
    let rule = [("type".to_owned(), json!(kind.shown.code))].into_iter().chain(rule).collect();
    Ok(reply_types::preview(&rule))
}

async fn check(page: &Page, kind: &'static RuleType, filled: &RuleDraft, old: Option<&RuleEntry>) -> Result<RuleCheck> {
    let replaces = old.map(|old| old.id);
    let request = filled.given.raw("test").to_owned();
    let untouched = !filled.given.names("sent") && old.is_none();
    let id = replaces.unwrap_or_else(|| page.app.policy.head().state.next_rule);
    let (new, wrong, notices) = match filled.rule(kind, old) {
        Ok(new) => match mistakes(page.app.check_rule(&new, replaces).await)? {
            Ok(notices) => (Some(new), Vec::new(), notices),
            Err(wrong) => (Some(new), wrong, Vec::new()),
        },
        Err(wrong) => (None, wrong, Vec::new()),
    };
    let own = format!("rules/{id}");
    let is_own =
        |one: &&Mistake| one.field.strip_prefix(&own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let mut out = RuleCheck {
        mistakes: wrong.iter().map(|one| (Text::new(field(&one.field)), Text::new(&one.message))).collect(),
        notices: notices.iter().filter(is_own).map(|one| Text::new(&one.message)).collect(),
        dangers: Vec::new(),
        untouched,
        rule: Text::default(),
        says: Text::default(),
        test: None,
        test_wrong: None,
        history: None,
    };
    let Some(new) = new else { return Ok(out) };
    out.rule = Text::block(&rule_text::yaml(&Value::Object(new.rule.clone())));
    out.history = history(page, &new.rule, replaces).await?;
    if wrong.is_empty() {
        out.says = Text::new(&rule_text::sentence(&new.rule));
        out.dangers = page.app.dangers_of(&new, replaces)?.iter().map(|one| Text::new(&one.says)).collect();
    }
    if wrong.is_empty() && !request.trim().is_empty() {
        match mistakes(
            page.app.try_request(&request, new.groups.first().map(String::as_str), Some((&new, replaces))).await,
        ) {
            Ok(Ok(trial)) => out.test = Some(result(&trial)),
            Ok(Err(wrong)) => out.test_wrong = wrong.first().map(|one| Text::new(&one.message)),
            Err(error @ (Error::TooLarge(_) | Error::Throttled(_))) => {
                out.test_wrong = Some(Text::new(&error.to_string()))
            }
            Err(error) => return Err(error),
        }
    }
    Ok(out)
}

/// What keys of the rule have reached; none for a rule that does not count.
async fn history(page: &Page, rule: &Map<String, Value>, id: Option<u64>) -> Result<Option<RuleHistoryText>> {
    let found = page.app.thresholds_of(id, rule).await?;
    Ok(found.map(|one| RuleHistoryText {
        says: Text::new(&one.says),
        since: one.since.map(|since| page.moment(since)),
        proposed: one.proposed,
    }))
}

/// The form as it was sent, and whether it is only to be shown again: tested, or with the proposed threshold.
fn sent(given: FormFields) -> (RuleDraft, bool) {
    let given = given.with("sent", "1");
    let again = given.has("only_test") || given.has("set_threshold");
    let threshold = given.get("set_threshold").to_owned();
    let given = if threshold.is_empty() { given } else { given.with("threshold", &threshold) };
    (RuleDraft::sent(given), again)
}

fn verdict(judgement: &Judgement) -> (Tone, &'static str) {
    match (judgement.patched, judgement.attack) {
        (true, _) => (Tone::Good, "blocked in every mode except off"),
        (_, true) => (Tone::Good, "attack, blocked"),
        _ => (Tone::Note, "no attack, passes"),
    }
}

fn result(trial: &RuleTest) -> TestResult {
    let after = trial.after.as_ref().unwrap_or(&trial.before);
    let same = (trial.before.attack, trial.before.patched) == (after.attack, after.patched);
    let mut findings = Vec::new();
    for (judgement, counts) in [(after, true), (&trial.before, false)] {
        for one in &judgement.findings {
            let finding = TestFinding {
                kind: parts::AttackKind::of(one.attack),
                rule: Text::new(&one.rule),
                point: Text::new(&one.point.to_string()),
                matched: Text::new(&one.matched),
                counts,
            };
            let known =
                findings.iter().any(|known: &TestFinding| known.rule == finding.rule && known.point == finding.point);
            if !known {
                findings.push(finding);
            }
        }
    }
    TestResult {
        before: verdict(&trial.before),
        after: verdict(after),
        says: if same {
            "The rule does not change the decision for this request."
        } else {
            "The rule changes the decision for this request."
        },
        findings,
    }
}

async fn switch(page: &Page, id: u64, enabled: bool) -> Result<Response> {
    let entry = entry(page, id)?;
    let mut rule = entry.rule.clone();
    rule.insert("enabled".into(), json!(enabled));
    let new = NewRule { rule, groups: entry.groups, from_hit: entry.from_hit };
    page.app.change_rule(&page.caller, id, new).await?;
    let code = if enabled { "rule" } else { "rule-off" };
    Ok(page::back(&with_notice("/rules", code, id)))
}

/// `POST /rules/{id}/enable`
pub async fn enable(page: Page, Path(id): Path<u64>) -> Result<Response> {
    switch(&page, id, true).await
}

/// `POST /rules/{id}/disable`
pub async fn disable(page: Page, Path(id): Path<u64>) -> Result<Response> {
    switch(&page, id, false).await
}

/// `POST /rules/{id}/delete`
pub async fn delete(page: Page, Path(id): Path<u64>) -> Result<Response> {
    page.app.remove_rule(&page.caller, id).await?;
    Ok(see_other(&with_notice("/rules", "rule-gone", id)))
}
