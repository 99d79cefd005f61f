//! Mitigation controls of the replaced system, in the terms of rules on behaviour.

use super::abuse::{KeyPart, Reaction};
use super::abuse_reader::{MAX_LISTED, MAX_WINDOW, part};
use super::doc::FieldReader;
use super::error::PolicyError;
use serde_json::{Map, Value};

/// Rule types that are controls there; some are rule types here, too.
const TYPES: [&str; 5] = ["enum", "brute", "bola", "forced_browsing", "rate_limit_enum"];

/// What the parameters of a control say.
#[derive(Debug, Default)]
pub(super) struct Control {
    /// How many are allowed in a window.
    pub threshold: Option<u64>,
    /// Seconds of the window.
    pub window: Option<u64>,
    /// What follows.
    pub reaction: Option<Reaction>,
    /// Whether a session of a source is punished instead of the source.
    pub by_session: bool,
    /// Whether the control only reports.
    pub only_reports: bool,
    /// The part whose different values it counts.
    pub distinct: Option<KeyPart>,
}

/// Reads the parameters that only a control has; a rule of type `name` without them says nothing.
pub(super) fn read(fields: &mut FieldReader<'_, '_>, name: &str, notices: &mut Vec<PolicyError>) -> Control {
    let mut control = Control::default();
    if !TYPES.contains(&name) {
        return control;
    }
    if let Some(Value::Object(map)) = fields.get("threshold") {
        control.threshold = number(fields, "threshold", map, "count", u64::from(u32::MAX));
        control.window = number(fields, "threshold", map, "period", MAX_WINDOW);
    }
    if let Some(Value::Object(map)) = fields.get("reaction") {
        (control.reaction, control.by_session) = reaction(fields, map, notices);
    }
    let modes = [("off", true), ("monitoring", true), ("default", false), ("safe_blocking", false), ("block", false)];
    if fields.get_silently("mode").is_some() {
        control.only_reports = fields.choice("mode", &modes).unwrap_or(false);
    }
    control.distinct = enumerated(fields, notices);
    for name in ["advanced_conditions", "arbitrary_conditions"] {
        if fields.get_silently(name).is_some_and(|value| value.as_array().is_none_or(|items| !items.is_empty())) {
            // It would apply to requests that it is not for.
            control.only_reports = true;
            notices
                .push(fields.notice(format!("{name} are not read, so the rule only reports: write them as `action`")));
        }
    }
    control
}

/// The member `name` of a map, which must be there, from 1 to `most`.
fn number(fields: &mut FieldReader<'_, '_>, of: &str, map: &Map<String, Value>, name: &str, most: u64) -> Option<u64> {
    let given = map.get(name).and_then(Value::as_u64).filter(|n| (1..=most).contains(n));
    if given.is_none() {
        fields.error(&format!("{of}.{name}"), format!("expected a number from 1 to {most}"));
    }
    given
}

/// The reaction, and whether it is to the session.
fn reaction(
    fields: &mut FieldReader<'_, '_>,
    map: &Map<String, Value>,
    notices: &mut Vec<PolicyError>,
) -> (Option<Reaction>, bool) {
    let mut found = (None, false);
    for (name, value) in map {
        let Some(seconds) = value.as_u64().filter(|seconds| *seconds > 0) else {
            fields.error(&format!("reaction.{name}"), "expected seconds");
            continue;
        };
        if seconds > MAX_LISTED {
            notices.push(fields.notice(format!("reaction.{name}: entries last {MAX_LISTED} seconds at most")));
        }
        let seconds = seconds.min(MAX_LISTED);
        match name.as_str() {
            "block_by_ip" => found = (Some(Reaction::Denylist(seconds)), false),
            "block_by_session" => found = (Some(Reaction::Denylist(seconds)), true),
            "graylist_by_ip" => found = (Some(Reaction::Graylist(seconds)), false),
            _ => fields.error(&format!("reaction.{name}"), "expected block_by_ip, block_by_session or graylist_by_ip"),
        }
    }
    if map.len() > 1 {
        notices.push(fields.notice("of several reactions the last one counts: write a rule for each"));
    }
    found
}

/// The parameter whose values are enumerated, where it is one point.
fn enumerated(fields: &mut FieldReader<'_, '_>, notices: &mut Vec<PolicyError>) -> Option<KeyPart> {
    let given = fields.get_silently("enumerated_parameters")?;
    let points = given.get("points").and_then(Value::as_array);
    match points.map(Vec::as_slice) {
        Some([point]) => {
            let point = point.get("point").unwrap_or(point);
            part(point).map_err(|message| fields.error("enumerated_parameters.points[0]", message)).ok()
        }
        _ => {
            notices.push(
                fields.notice("enumerated_parameters is read if it has one point: set `distinct`, in a rule for each"),
            );
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::{AbuseKind, KeyPart, Policy, PolicyDoc, Reaction, Settings};

    fn policy(rule: &str) -> Policy {
        let doc = PolicyDoc::parse("p.yaml", &format!("rules: [{{id: 1, {rule}}}]")).unwrap();
        Policy::compile(&Settings::default(), Some(&doc)).unwrap()
    }

    #[test]
    fn controls_are_read_as_rules_on_behaviour() {
        let point = "enumerated_parameters: {mode: exact, points: [[[get, id]]]}";
        for (rule, kind, reaction, limit, window) in [
            (
                format!("type: enum, {point}, reaction: {{block_by_ip: 900}}"),
                AbuseKind::Bola,
                Reaction::Denylist(900),
                7,
                30,
            ),
            (
                format!("type: bola, {point}, reaction: {{graylist_by_ip: 900}}"),
                AbuseKind::Bola,
                Reaction::Graylist(900),
                7,
                30,
            ),
            ("type: brute, reaction: {block_by_session: 900}".into(), AbuseKind::Brute, Reaction::Denylist(900), 7, 30),
            (
                "type: forced_browsing, reaction: {block_by_ip: 315569520}".into(),
                AbuseKind::ForcedBrowsing,
                Reaction::Denylist(2_592_000),
                7,
                30,
            ),
            (
                "type: rate_limit_enum, reaction: {block_by_ip: 900}".into(),
                AbuseKind::RateLimit,
                Reaction::Denylist(900),
                7,
                30,
            ),
        ] {
            let policy = policy(&format!("{rule}, mode: block, threshold: {{count: 7, period: 30}}"));
            let read = policy.abuse().rule(1).unwrap();
            assert_eq!(
                (read.kind, read.reaction, read.limit(), read.window),
                (kind, reaction, limit, window),
                "{rule}"
            );
            assert!(read.is_enforced());
            assert_eq!(read.key.contains(&KeyPart::Session), rule.contains("by_session"), "{rule}");
            assert_eq!(read.distinct.is_some(), rule.contains("enumerated"), "{rule}");
            assert_eq!(policy.notices().len(), usize::from(rule.contains("315569520")), "{rule}");
        }
    }

    #[test]
    fn what_a_control_says_and_a_rule_cannot_only_reports() {
        for (rule, notices) in [
            ("mode: monitoring", 0),
            ("mode: 'off'", 0),
            ("advanced_conditions: [{field: status_code, operator: eq, value: [200]}]", 1),
            ("mode: block, arbitrary_conditions: [{point: [[get, a]], operator: eq, value: [b]}]", 1),
        ] {
            let policy = policy(&format!("type: forced_browsing, reaction: {{block_by_ip: 600}}, {rule}"));
            assert!(!policy.abuse().rule(1).unwrap().is_enforced(), "{rule}");
            assert_eq!(policy.notices().len(), notices, "{rule}");
        }
        let policy = policy("type: brute, enumerated_parameters: {mode: regexp, name_regexps: [user]}");
        assert!(policy.notices()[0].message.contains("set `distinct`"));
    }

    #[test]
    fn mistakes_in_controls_have_a_place() {
        for (rule, at) in [
            ("type: brute, threshold: {count: 0, period: 5}", "rules[0].threshold.count"),
            ("type: brute, reaction: {block: 5}", "rules[0].reaction.block"),
            ("type: enum, enumerated_parameters: {points: [x]}", "rules[0].enumerated_parameters.points[0]"),
            ("type: rate_limit_enum, threshold: {count: 5}", "rules[0].threshold.period"),
            ("type: rate_limit, threshold: {count: 5}", "rules[0].threshold"),
        ] {
            let doc = PolicyDoc::parse("p.yaml", &format!("rules: [{{{rule}}}]")).unwrap();
            let errors = Policy::compile(&Settings::default(), Some(&doc)).unwrap_err();
            assert_eq!(errors[0].at, at, "{errors:?}");
        }
    }
}
