//! A rule as a form, and back.

use super::form_fields::FormFields;
use super::rule_types::{BEHAVIOUR, RuleType, absent};
use super::scope::{self, RuleScope};
use super::view::form::{Control, Field};
use super::view::rules::ConditionRow;
use super::{point_text, rule_text};
use crate::error::Mistake;
use crate::policy::{NewRule, RuleEntry};
use jiff::civil::Date;
use serde_json::{Map, Value, json};

/// Fields that say which requests a rule is for, besides additional conditions.
const PLACE: [&str; 3] = ["host", "path", "method"];
/// Empty rows offered for additional conditions.
const EMPTY_ROWS: usize = 1;

/// A rule as entered in the form.
#[derive(Clone, Debug, Default)]
pub struct RuleDraft {
    /// Values of fields by name.
    pub given: FormFields,
    /// Additional conditions.
    pub rows: Vec<ConditionRow>,
}

impl RuleDraft {
    /// As it was sent.
    pub fn sent(given: FormFields) -> Self {
        Self { rows: scope::rows(&given), given }
    }

    /// As it is opened: what the address names, and the defaults of everything else.
    pub fn fresh(kind: &RuleType, named: FormFields) -> Self {
        if named.names("sent") {
            return Self::sent(named);
        }
        let missing: Vec<_> = kind.parameters.iter().filter(|one| !named.names(one.name)).collect();
        Self::sent(missing.iter().fold(named, |given, one| given.with(one.name, one.default)))
    }

    /// What the form of `rule` shows.
    pub fn of(kind: &RuleType, entry: &RuleEntry) -> Self {
        let none = Vec::new();
        let rule = &entry.rule;
        let (scope, rows) = RuleScope::of(rule.get("action").and_then(Value::as_array).unwrap_or(&none));
        let mut given = FormFields::default()
            .with("host", &scope.host)
            .with("path", &scope.path)
            .with("method", &scope.method)
            .with("point", &rule_text::point(rule))
            .with("groups", &entry.groups.join(", "))
            .with("comment", rule.get("comment").and_then(Value::as_str).unwrap_or_default())
            .with("expires", &rule.get("expired_at").and_then(Value::as_i64).map_or_else(String::new, date))
            .with("sent", "1");
        for parameter in kind.parameters {
            let taken = || absent(entry.kind(), parameter.name).to_owned();
            given = given.with(parameter.name, &rule.get(parameter.name).map_or_else(taken, |v| parameter.text(v)));
        }
        Self { given, rows }
    }

    /// The rule, with all of `old` that the form does not show, and exactly as it was where the form was not changed; or all
    /// errors of the form.
    pub fn rule(&self, kind: &RuleType, old: Option<&RuleEntry>) -> Result<NewRule, Vec<Mistake>> {
        let new = self.read(kind)?;
        let Some(old) = old else { return Ok(new) };
        let shown = Self::of(kind, old);
        let rule = keep(new.rule, &old.rule, |name| match name {
            "type" => true,
            "action" => self.rows == shown.rows && PLACE.iter().all(|name| self.same(&shown, name)),
            "expired_at" => self.same(&shown, "expires"),
            name => self.same(&shown, name),
        });
        Ok(NewRule { rule, from_hit: old.from_hit.clone(), ..new })
    }

    /// Whether a field is as in `shown`; a field that no form has is.
    fn same(&self, shown: &Self, name: &str) -> bool {
        let plain = |draft: &Self| draft.given.get(name).replace("\r\n", "\n");
        plain(self) == plain(shown)
    }

    /// The rule that the form says, without regard to what it was.
    fn read(&self, kind: &RuleType) -> Result<NewRule, Vec<Mistake>> {
        let (mut rule, mut wrong) = (Map::new(), Vec::new());
        rule.insert("type".into(), json!(kind.shown.code));
        for parameter in kind.parameters {
            if let Some(value) = parameter.value(self.given.get(parameter.name)) {
                rule.insert(parameter.name.into(), value);
            }
        }
        let at = |name| self.given.get(name).to_owned();
        let place = RuleScope { host: at("host"), path: at("path"), method: at("method") };
        match place.conditions() {
            Ok(mut action) => {
                action.extend(self.rows.iter().map(scope::of_row));
                if !action.is_empty() {
                    rule.insert("action".into(), Value::Array(action));
                }
            }
            Err(error) => wrong.push(Mistake::new(error.field(), error.to_string())),
        }
        match (kind.point, self.given.get("point")) {
            (None, _) | (Some(false), "") => {}
            (Some(true), "") => wrong.push(Mistake::new("point", "enter the location of the value to mask")),
            (Some(_), text) => match point_text::read(text) {
                Ok(point) => drop(rule.insert("point".into(), point)),
                Err(message) => wrong.push(Mistake::new("point", message.to_string())),
            },
        }
        match self.given.get("expires") {
            "" => {}
            text => match seconds(text) {
                Some(end) => drop(rule.insert("expired_at".into(), json!(end))),
                None => wrong.push(Mistake::new("expires", "enter a date such as 2027-01-31")),
            },
        }
        if self.given.has("comment") {
            rule.insert("comment".into(), json!(self.given.get("comment")));
        }
        let groups = self.given.get("groups").split([',', ' ']).filter(|g| !g.is_empty()).map(str::to_owned).collect();
        if wrong.is_empty() { Ok(NewRule { rule, groups, from_hit: String::new() }) } else { Err(wrong) }
    }

    /// Host, path, method of a rule of this type.
    pub fn scope_fields(&self, kind: &RuleType, wrong: &[Mistake]) -> Vec<Field> {
        let field = |name, label, hint| {
            Field::new(name, label, Control::Code, hint).with(self.given.get(name)).with_error(of(wrong, name))
        };
        let path = if kind.group == BEHAVIOUR {
            "For example /api/*/users. ** matches any number of segments. Case does not count, nor does a slash at the end."
        } else {
            "For example /api/*/users. ** matches any number of segments. Case counts; to ignore it, use additional conditions."
        };
        vec![
            field("host", "Host", "Empty: any host. * and ? are wildcards."),
            field("path", "Path", path),
            field("method", "Method", "Empty: any method."),
        ]
    }

    /// The point, where the type has one.
    pub fn point_field(&self, kind: &RuleType, wrong: &[Mistake]) -> Option<Field> {
        let hint = if kind.point? {
            "Part of the request (its point) as shown in hits, for example [post][json_doc][hash,'user']."
        } else {
            "Part of the request (its point) as shown in hits, for example [post][json_doc][hash,'user']. Empty: anywhere."
        };
        let field = Field::new("point", "Location", Control::Code, hint).with(self.given.get("point"));
        let field = field.with_error(of(wrong, "point"));
        Some(if kind.point? { field.required() } else { field })
    }

    /// Parameters of the type. A browser does not send unchecked boxes: in a submitted form a missing field is unchecked.
    pub fn fields(&self, kind: &RuleType, wrong: &[Mistake]) -> Vec<Field> {
        let sent = self.given.names("sent");
        let value = |name: &str| (sent || self.given.names(name)).then(|| self.given.get(name).to_owned());
        kind.parameters.iter().map(|p| p.field(value(p.name), of(wrong, p.name))).collect()
    }

    /// Groups, comment, end.
    pub fn general_fields(&self, wrong: &[Mistake]) -> Vec<Field> {
        let field = |name, label, control, hint| {
            Field::new(name, label, control, hint).with(self.given.get(name)).with_error(of(wrong, name))
        };
        vec![
            field("comment", "Comment", Control::Line, "Why this rule exists."),
            field("expires", "Expires on", Control::Date, "A day entered here begins at 00:00 UTC. Empty: never."),
            field("groups", "Node groups", Control::Line, "Comma-separated. Empty: all nodes."),
        ]
    }

    /// Additional conditions, with room for another.
    pub fn shown_rows(&self) -> Vec<ConditionRow> {
        let mut rows = self.rows.clone();
        rows.extend(std::iter::repeat_n(ConditionRow::default(), EMPTY_ROWS));
        rows
    }
}

/// `new`, but as `old` is where `same` says that the form was not changed: with what no form shows, without what `old` left to the
/// node, and with values in the form in which they were written.
fn keep(mut new: Map<String, Value>, old: &Map<String, Value>, same: impl Fn(&str) -> bool) -> Map<String, Value> {
    new.retain(|name, _| old.contains_key(name) || !same(name));
    new.extend(old.iter().filter(|(name, _)| same(name)).map(|(name, value)| (name.clone(), value.clone())));
    new
}

fn of<'w>(wrong: &'w [Mistake], name: &str) -> Option<&'w str> {
    wrong.iter().find(|one| field(&one.field) == name).map(|one| one.message.as_str())
}

/// The field of the form: `rules/17/point` is `point`.
pub fn field(at: &str) -> &str {
    let rest = at.strip_prefix("rules/").and_then(|rest| rest.split_once('/'));
    match rest.map_or(at, |(_, field)| field) {
        "expired_at" => "expires",
        field => field,
    }
}

/// Whether a form can show the rule: it has no fields for limits and reactions that are written as those of a mitigation control
/// (`threshold: {count, period}`, `reaction: {block_by_ip}`), and would lose them.
pub fn can_show(rule: &Map<String, Value>) -> bool {
    !["threshold", "reaction"].iter().any(|name| rule.get(*name).is_some_and(Value::is_object))
}

/// 00:00 UTC of a day, in seconds since 1970.
fn seconds(text: &str) -> Option<i64> {
    let day: Date = text.parse().ok()?;
    let at = jiff::tz::TimeZone::UTC.to_timestamp(day.at(0, 0, 0, 0)).ok()?.as_second();
    (at > 0).then_some(at)
}

fn date(seconds: i64) -> String {
    super::view::time::format(seconds.saturating_mul(1_000), "%F")
}

#[cfg(test)]
mod tests {
    use super::super::rule_types::find;
    use super::*;

    #[test]
    fn a_form_becomes_a_rule_and_shows_it_again() {
        let kind = find("vpatch").unwrap();
        let query = "attack_type=sqli&host=h&path=/a/*&method=post&point=[post][json_doc]&comment=c&expires=2027-01-31&groups=a,+b\
                     &c_point=header&c_name=X&c_how=absent&c_value=&c_point=&c_name=&c_how=equal&c_value=";
        let filled = RuleDraft::sent(FormFields::of_query(query).unwrap());
        let new = filled.rule(kind, None).unwrap();
        assert_eq!(
            Value::Object(new.rule.clone()),
            json!({"type": "vpatch", "attack_type": "sqli", "point": [["post"], ["json_doc"]], "expired_at": 1_801_353_600,
                "comment": "c", "action": [
                    {"type": "equal", "point": ["header", "HOST"], "value": "h"},
                    {"type": "equal", "point": ["method"], "value": "POST"},
                    {"type": "equal", "point": ["path", 0], "value": "a"},
                    {"type": "absent", "point": ["path", 1]},
                    {"type": "regex", "point": ["action_name"], "value": "^.+$"},
                    {"type": "absent", "point": ["header", "X"]}]})
        );
        assert_eq!(new.groups, ["a", "b"]);
        let mut entry = RuleEntry {
            id: 1,
            groups: new.groups.clone(),
            rule: new.rule.clone(),
            from_hit: String::new(),
            created_by: String::new(),
            created_at: 0,
            updated_at: 0,
        };
        entry.rule.insert("enabled".into(), json!(false));
        let again = RuleDraft::of(kind, &entry).rule(kind, Some(&entry)).unwrap();
        assert_eq!((again.rule, again.groups), (entry.rule, entry.groups));
    }

    fn entry(rule: Value) -> RuleEntry {
        let groups = vec!["a".to_owned()];
        let Value::Object(rule) = rule else { panic!("no rule: {rule}") };
        RuleEntry {
            id: 7,
            groups,
            rule,
            from_hit: String::new(),
            created_by: String::new(),
            created_at: 0,
            updated_at: 0,
        }
    }

    /// The fields as a browser sends them back: an unchecked box is not sent.
    fn sent_back(shown: RuleDraft, changes: &[(&str, &str)]) -> RuleDraft {
        let given = changes.iter().fold(shown.given, |given, (name, value)| given.with(name, value));
        RuleDraft { given, rows: shown.rows }
    }

    #[test]
    fn a_form_shows_no_mitigation_control() {
        for (rule, shown) in [
            (json!({"type": "enum", "threshold": {"count": 5, "period": 60}}), false),
            (json!({"type": "brute", "reaction": {"block_by_ip": 900}}), false),
            (json!({"type": "brute", "threshold": 5, "reaction": "report", "failure": {"status": 401}}), true),
        ] {
            assert_eq!(can_show(rule.as_object().unwrap()), shown, "{rule}");
        }
    }

    #[test]
    fn a_rule_that_is_saved_without_a_change_stays_exactly_as_it_is() {
        let user = json!([["post"], ["json_doc"], ["hash", "user"]]);
        for rule in [
            json!({"type": "brute", "failure": {"status": [200], "body": "wrong"}, "key": [user, "client"], "distinct": user,
                "burst": 2, "reply": {"status": 429}, "title": "t", "enabled": false, "expired_at": 1_900_000_123}),
            json!({"type": "brute"}),
            json!({"type": "enumeration", "distinct": "path:1", "key": ["client"]}),
            json!({"type": "dirbust_counter", "counter": "d:1"}),
            json!({"type": "rate_limit", "rate": 5, "time_unit": "rps", "delay": 3}),
            json!({"type": "rate_limit", "threshold": 5, "dry_run": true}),
            json!({"type": "graphql_detection", "max_depth": 3, "introspection": false}),
            json!({"type": "file_upload_size_limit", "size": 500}),
            json!({"type": "file_upload_size_limit", "size": 1, "size_unit": "tb"}),
            json!({"type": "overlimit_res_settings", "mode": "blocking"}),
            json!({"type": "block_reply", "body_json": "{}"}),
            json!({"type": "ignore_regex", "regex_id": 3}),
            json!({"type": "set_response_header", "name": "X-A", "values": ["1"], "mode": "append"}),
            json!({"type": "vpatch", "attack_type": "any", "action": [
                {"type": "iequal", "point": ["path", 0], "value": "orders"}, {"type": "equal", "point": ["instance"], "value": 3}]}),
        ] {
            let entry = entry(rule);
            let kind = find(entry.kind()).unwrap();
            let again = RuleDraft::of(kind, &entry).rule(kind, Some(&entry)).unwrap();
            assert_eq!((again.rule, again.groups), (entry.rule.clone(), entry.groups));
        }
    }

    #[test]
    fn a_change_of_one_field_changes_nothing_else() {
        let entry = entry(json!({"type": "brute", "failure": {"status": 200}, "title": "t"}));
        let kind = find("brute").unwrap();
        let shown = RuleDraft::of(kind, &entry);
        // The form shows what nodes take where the rule does not say.
        let texts = ["window", "reaction", "failure", "threshold"].map(|name| shown.given.get(name).to_owned());
        assert_eq!(texts, ["300", "block", "status: 200", "10"]);
        let changed = sent_back(shown.clone(), &[("threshold", "20"), ("host", "h")]).rule(kind, Some(&entry)).unwrap();
        assert_eq!(
            Value::Object(changed.rule),
            json!({"type": "brute", "failure": {"status": 200}, "title": "t", "threshold": 20,
                "action": [{"type": "equal", "point": ["header", "HOST"], "value": "h"}]})
        );
        let cleared = sent_back(shown, &[("failure", "")]).rule(kind, Some(&entry)).unwrap();
        assert!(!cleared.rule.contains_key("failure") && cleared.rule.contains_key("title"));
    }

    #[test]
    fn an_untouched_form_is_judged_with_the_defaults_that_it_shows() {
        for kind in super::super::rule_types::RULE_TYPES {
            let fresh = RuleDraft::fresh(kind, FormFields::default());
            for (parameter, field) in kind.parameters.iter().zip(fresh.fields(kind, &[])) {
                assert_eq!(fresh.given.get(parameter.name), parameter.default, "{}", kind.shown.code);
                assert_eq!(field.value.as_str(), parameter.default, "{}", kind.shown.code);
            }
        }
        let brute = find("brute").unwrap();
        let rule = RuleDraft::fresh(brute, FormFields::default()).rule(brute, None).unwrap().rule;
        let says = rule_text::sentence(&rule);
        assert!(says.starts_with("Allows 10 failed attempts in 300 s by client"), "{says}");
        // What the address names counts, and a field that was emptied stays empty.
        let named = FormFields::of_query("threshold=3").unwrap();
        assert_eq!(RuleDraft::fresh(brute, named).rule(brute, None).unwrap().rule["threshold"], json!(3));
        let emptied = FormFields::of_query("threshold=&sent=1").unwrap();
        assert!(!RuleDraft::fresh(brute, emptied).rule(brute, None).unwrap().rule.contains_key("threshold"));
    }

    #[test]
    fn all_errors_are_reported_at_once() {
        let kind = find("sensitive_data").unwrap();
        let filled = RuleDraft::sent(FormFields::of_query("path=a&expires=soon").unwrap());
        let wrong = filled.rule(kind, None).unwrap_err();
        assert_eq!(wrong.iter().map(|one| one.field.as_str()).collect::<Vec<_>>(), ["path", "point", "expires"]);
        assert!(filled.scope_fields(kind, &wrong)[1].wrong.is_some());
        assert_eq!((field("rules/17/point"), field("expired_at")), ("point", "expires"));
    }
}
