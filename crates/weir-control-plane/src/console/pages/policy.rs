//! Versions of the policy.

use crate::console::notice::with_notice;
use crate::console::page::{Page, html, see_other};
use crate::console::rule_text::{sentence, yaml};
use crate::console::view::policy::{Change, DiffLine, VersionPage, VersionRow, Versions};
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::error::Result;
use crate::policy::guard::mode_words;
use crate::policy::version::Version;
use crate::policy::{Difference, PolicyState, diff};
use axum::extract::Path;
use axum::response::Response;
use serde_json::Value;

/// Sentences shown above a comparison.
const MAX_SUMMARY: usize = 100;
/// Lines of a comparison shown.
const MAX_LINES: usize = 4_000;

/// `GET /policy`
pub async fn versions(page: Page) -> Result<Response> {
    let all = page.app.policy.versions().await?;
    let nodes = page.app.nodes.list().await?;
    let newest = page.app.policy.head().version.serial;
    let row = |version: &Version| {
        let on = nodes.iter().filter(|node| node.active && node.heartbeat.policy_serial == version.serial).count();
        row(&page, version, newest, on)
    };
    html(&Versions { rows: all.iter().map(row).collect(), shell: page.shell("Policy versions", Place::Policy) })
}

fn row(page: &Page, version: &Version, newest: u64, nodes: usize) -> VersionRow {
    VersionRow {
        serial: version.serial,
        number: version.number,
        at: page.moment(version.published_at),
        author: Text::new(version.author.strip_prefix("user:").unwrap_or(&version.author)),
        note: Text::new(&version.note),
        nodes,
        current: version.serial == newest,
    }
}

/// `GET /policy/{serial}`: what the version changed, or with `back` what a rollback to it would.
pub async fn version(page: Page, Path(serial): Path<u64>) -> Result<Response> {
    let (version, state) = page.app.policy.version(serial).await?;
    let all = page.app.policy.versions().await?;
    let others: Vec<(u64, u64)> =
        all.iter().filter(|one| one.serial != serial).map(|one| (one.serial, one.number)).collect();
    let head = page.app.policy.head();
    let back = page.query.has("back") && serial != head.version.serial;
    let before = others.iter().map(|(serial, _)| *serial).find(|one| *one < serial);
    let against = if back { Some(head.version.serial) } else { page.query.number("against")?.or(before) }.unwrap_or(0);
    let old = if against == 0 { PolicyState::first() } else { page.app.policy.version(against).await?.1 };
    let differences = diff(&old, &state);
    let mut lines: Vec<DiffLine> = differences.shown.iter().flat_map(lines_of).collect();
    let cut = differences.more > 0 || lines.len() > MAX_LINES;
    lines.truncate(MAX_LINES);
    let newest = head.version.serial;
    html(&VersionPage {
        shell: page.shell(format!("Version {}", version.number), Place::Policy),
        version: row(&page, &version, newest, 0),
        against,
        others,
        summary: differences.shown.iter().take(MAX_SUMMARY).flat_map(sentences).collect(),
        back,
        lines,
        cut,
        newest,
    })
}

/// A difference in sentences.
fn sentences(one: &Difference) -> Vec<Text> {
    let (kind, name) = one.object.split_once('/').unwrap_or((one.object.as_str(), ""));
    let verb = match (one.before.is_null(), one.after.is_null()) {
        (true, _) => "added",
        (_, true) => "removed",
        _ => "changed",
    };
    let side = if one.after.is_null() { &one.before } else { &one.after };
    let text = |key: &str| side.get(key).and_then(Value::as_str).unwrap_or_default();
    let said = match kind {
        "rule" => {
            let sentence = side.get("rule").and_then(Value::as_object).map(sentence).unwrap_or_default();
            let off = side["rule"].get("enabled") == Some(&Value::Bool(false));
            format!("Rule {name} {verb}{}: {sentence}", if off { " (disabled)" } else { "" })
        }
        "ip_list" => format!("{} {verb} on the {}list.", text("value"), text("list")),
        "general" | "group" => {
            let mode = |side: &Value| mode_words(side.get("mode").and_then(Value::as_str));
            let whose = if kind == "group" { format!(" of node group {name}") } else { String::new() };
            let (old, new) = (mode(&one.before), mode(&one.after));
            match old == new {
                true => format!("Protocol anomalies{whose} changed."),
                false => format!("Filtration mode{whose}: {old} \u{2192} {new}."),
            }
        }
        _ => format!("{} {verb}.", title(&one.object)),
    };
    vec![Text::new(&said)]
}

/// Lines of an object, without the authorship fields that the page shows elsewhere.
fn shown(value: &Value) -> Vec<String> {
    let mut value = value.clone();
    if let Value::Object(map) = &mut value {
        for key in ["created_by", "created_at", "updated_at", "id", "from_hit"] {
            map.remove(key);
        }
        if let Some(Value::Object(rule)) = map.remove("rule") {
            map.extend(rule);
        }
    }
    if value.is_null() { Vec::new() } else { yaml(&value).lines().map(str::to_owned).collect() }
}

/// The name of the object, then its unchanged, removed and added lines.
fn lines_of(one: &Difference) -> Vec<DiffLine> {
    let line = |change, text: &str| DiffLine { change, text: Text::new(text) };
    let (old, new) = (shown(&one.before), shown(&one.after));
    let mut out = vec![line(Change::Gap, &title(&one.object))];
    out.extend(old.iter().filter(|text| new.contains(text)).map(|text| line(Change::Same, text)));
    out.extend(old.iter().filter(|text| !new.contains(text)).map(|text| line(Change::Removed, text)));
    out.extend(new.iter().filter(|text| !old.contains(text)).map(|text| line(Change::Added, text)));
    out
}

fn title(object: &str) -> String {
    let (kind, name) = object.split_once('/').unwrap_or((object, ""));
    let kind = match kind {
        "rule" => "Rule",
        "ip_list" => "IP list entry",
        "application" => "Application",
        "general" => "General settings",
        "group" => "Settings of node group",
        "rule_pack" => "Rule pack",
        "database" => "Database",
        other => other,
    };
    format!("{kind} {name}").trim_end().to_owned()
}

/// `POST /policy/{serial}/rollback`
pub async fn rollback(page: Page, Path(serial): Path<u64>) -> Result<Response> {
    page.app.rollback(&page.caller, serial).await?;
    Ok(see_other(&with_notice("/policy", "rollback", page.app.policy.head().version.number)))
}
