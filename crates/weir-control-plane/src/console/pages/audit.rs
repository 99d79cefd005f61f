//! The audit log.

use crate::audit::{Entry, Query};
use crate::console::page::{Page, html};
use crate::console::view::audit::{Audit, AuditRow};
use crate::console::view::parts::Pager;
use crate::console::view::shell::Place;
use crate::console::view::text::Text;
use crate::console::view::ui::href;
use crate::error::Result;
use axum::response::Response;
use serde_json::Value;

/// Lines of a page.
const LINES: u32 = 100;

/// `GET /audit`
pub async fn audit(page: Page) -> Result<Response> {
    let (actor, action) = (page.query.get("who"), page.query.get("what"));
    let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let query =
        Query { before_id: given(page.query.get("after")), actor: given(actor), action: given(action), limit: LINES };
    let rows = page.app.audit.list(&query).await?;
    let here = |after: &str| href("/audit", &[("who", actor), ("what", action), ("after", after)]);
    let more = rows.len() == LINES as usize;
    let pager = Pager {
        first: query.before_id.is_some().then(|| here("")),
        next: rows.last().filter(|_| more).map(|last| here(&last.id)),
        shown: format!("{} entries", rows.len()),
    };
    html(&Audit {
        shell: page.shell("Audit log", Place::Audit),
        who: actor.into(),
        what: action.into(),
        rows: rows.iter().map(|entry| row(&page, entry)).collect(),
        pager,
    })
}

fn row(page: &Page, entry: &Entry) -> AuditRow {
    AuditRow {
        at: page.moment(entry.at),
        who: Text::new(entry.actor.strip_prefix("user:").unwrap_or(&entry.actor)),
        action: Text::new(words(&entry.action)),
        object: Text::new(&entry.object),
        detail: Text::new(&difference(&entry.before, &entry.after)),
        from: Text::new(&entry.address),
    }
}

/// Label of an action; unknown actions are shown by their code.
fn words(action: &str) -> &str {
    const WORDS: &[(&str, &str)] = &[
        ("login", "Logged in"),
        ("login.refused", "Login failed"),
        ("logout", "Logged out"),
        ("rule.create", "Created a rule"),
        ("rule.change", "Changed a rule"),
        ("rule.remove", "Deleted a rule"),
        ("ip_list.add", "Added IP list entries"),
        ("ip_list.remove", "Removed IP list entries"),
        ("policy.settings", "Changed mode or anomaly settings"),
        ("policy.apply", "Applied a policy document"),
        ("policy.rollback", "Rolled back the policy"),
        ("application.set", "Named an application"),
        ("node.change", "Changed a node"),
        ("node.remove", "Removed a node"),
        ("node.expire", "Removed inactive nodes"),
        ("token.create", "Created a token"),
        ("token.change", "Changed a token"),
        ("token.remove", "Revoked a token"),
        ("user.create", "Created a user"),
        ("user.change", "Changed a user"),
        ("user.password", "Set a password"),
        ("user.remove", "Deleted a user"),
        ("user.second_factor", "Turned a second factor on or off"),
        ("user.second_factor_reset", "Reset a second factor"),
        ("user.recovery_codes", "Renewed recovery codes"),
        ("user.recovery_code_used", "Used a recovery code"),
        ("login.wrong_code", "Login failed: wrong code"),
        ("session.begin", "Logged in by single sign-on"),
        ("session.refuse", "Single sign-on refused"),
        ("abuse.lift", "Lifted an automatic entry"),
        ("abuse.except", "Excepted a source from a rule"),
        ("alert.create", "Created an alert"),
        ("alert.change", "Changed an alert"),
        ("alert.remove", "Deleted an alert"),
        ("alert.test", "Tested an alert"),
        ("sink.create", "Added a receiver"),
        ("sink.change", "Changed a receiver"),
        ("sink.remove", "Deleted a receiver"),
        ("mirror.set", "Set a mirror"),
        ("mirror.remove", "Removed a mirror"),
        ("mirror.fetch", "Fetched from a mirror"),
        ("rule_pack.upload", "Uploaded a rule pack"),
        ("rule_pack.activate", "Activated a rule pack"),
        ("rule_pack.deactivate", "Deactivated a rule pack"),
        ("rule_pack.remove", "Deleted a rule pack"),
        ("database.upload", "Uploaded a database"),
        ("database.activate", "Activated a database"),
        ("database.deactivate", "Deactivated a database"),
        ("database.remove", "Deleted a database"),
        ("node.register", "Registered a node"),
        ("node.take_over", "Took over a silent node"),
        ("policy.rotate_key", "Rotated the policy key"),
        ("attack.mark", "Marked an attack"),
        ("alarm.begin", "Alarm began"),
        ("alarm.end", "Alarm ended"),
    ];
    WORDS.iter().find(|(code, _)| *code == action).map_or(action, |(_, words)| words)
}

/// Members with times and authors, which have columns of their own.
const METADATA: [&str; 3] = ["created_at", "created_by", "updated_at"];

fn without_metadata(value: &Value) -> Value {
    let mut value = value.clone();
    if let Value::Object(map) = &mut value {
        map.retain(|name, _| !METADATA.contains(&name.as_str()));
    }
    value
}

/// What differs besides [`METADATA`]: members of objects one by one, anything else as a whole.
fn difference(before: &Value, after: &Value) -> String {
    let (before, after) = (&without_metadata(before), &without_metadata(after));
    let (Value::Object(old), Value::Object(new)) = (before, after) else {
        return match (before, after) {
            (Value::Null, Value::Null) => String::new(),
            (Value::Null, made) => made.to_string(),
            (gone, Value::Null) => format!("was {gone}"),
            (old, new) => format!("{old} → {new}"),
        };
    };
    let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let side = |value: Option<&Value>| value.map_or_else(|| "–".to_owned(), Value::to_string);
    let changed = keys.into_iter().filter(|key| old.get(*key) != new.get(*key));
    changed.map(|key| format!("{key}: {} → {}", side(old.get(key)), side(new.get(key)))).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::difference;
    use serde_json::json;

    #[test]
    fn only_differences_are_shown() {
        assert_eq!(difference(&json!({"a": 1, "b": 2}), &json!({"a": 1, "b": 3, "c": "x"})), "b: 2 → 3; c: – → \"x\"");
        assert_eq!(difference(&json!(null), &json!(null)), "");
        let dated =
            |at: u64, name: &str| json!({"created_at": 1, "created_by": "user:a", "updated_at": at, "name": name});
        assert_eq!(difference(&dated(1, "x"), &dated(2, "x")), "");
        assert_eq!(difference(&json!(null), &dated(1, "x")), r#"{"name":"x"}"#);
        assert_eq!(difference(&json!({"a": 1}), &json!(null)), "was {\"a\":1}");
    }
}
