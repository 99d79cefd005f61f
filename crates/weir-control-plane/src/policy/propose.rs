//! From a hit to a rule: an exception for what was found, or a virtual patch against it, at that point of that host and path.

use super::residual::{self, Counted};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use weir_core::model::point::{OwnedKey, PatternItem};
use weir_core::model::{AttackType, DecodedHead, PointPath, PointPattern, Tag};
use weir_core::parse::{facts, message};
use weir_policy::CustomSignature;
use weir_protocol::hit::{Hit, HitDirection, HitFinding};

/// Path segments that become conditions; those further down are left open.
const MAX_SEGMENTS: usize = 20;
/// A path segment longer than this is taken for a value, not a name.
const MAX_NAME: usize = 64;
/// Hex digits from which on a segment is taken for an id.
const HEX_ID: usize = 12;

/// What kind of rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// What was found does not count there.
    Exception,
    /// Attacks of this type there are blocked in every mode.
    VirtualPatch,
}

/// What an exception leaves out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The one signature or detector.
    #[default]
    Stamp,
    /// Every attack of its type.
    Type,
    /// Every attack in the request, where all that counts was found.
    Any,
}

/// What is chosen. What is left open becomes the narrowest that suffices (see [`Material::chosen`]).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Choice {
    /// Number of the subject, from 0.
    pub subject: Option<usize>,
    /// What an exception leaves out.
    pub by: Option<By>,
    /// Steps of the point that are kept, so that it covers more; all without.
    pub steps: Option<usize>,
    /// Whether the rule is bound to the host.
    pub host: bool,
    /// Whether it is bound to the path.
    pub path: bool,
    /// Whether it is bound to the method.
    pub method: bool,
    /// End, in seconds since 1970; none for never.
    pub expired_at: Option<u64>,
    /// Why.
    pub comment: String,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            subject: None,
            by: None,
            steps: None,
            host: true,
            path: true,
            method: false,
            expired_at: None,
            comment: String::new(),
        }
    }
}

/// Something that a rule can be about.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Subject {
    /// Attack type.
    pub attack: AttackType,
    /// Signature or detector; none for what only has a type, as an anomaly.
    pub stamp: Option<String>,
    /// Where, indexes and masked names left open; empty for the message as a whole.
    pub point: PointPattern,
    /// The point as found.
    pub found_at: PointPath,
}

/// What can be chosen for a hit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Material {
    /// What was found, the decisive first.
    pub subjects: Vec<Subject>,
    /// Host; empty where it is not known or masked.
    pub host: String,
    /// Method.
    pub method: String,
    /// The path, `*` for segments that look like values.
    pub path: String,
    /// Conditions that fix it.
    #[serde(skip)]
    pub path_conditions: Vec<Value>,
    /// What was found, as it counts.
    #[serde(skip)]
    pub(super) counted: Vec<Counted>,
}

impl Material {
    /// What `hit`, whose request is `raw`, is made of.
    pub fn of(hit: &Hit, raw: &[u8]) -> Result<Self> {
        if hit.leg == HitDirection::Response {
            return Err(Error::Conflict("rules are about requests; this was found in a response".into()));
        }
        let message = message::request(raw);
        let facts = facts::facts(&message);
        let subjects = subjects(hit);
        if subjects.is_empty() && hit.attacks.contains(&AttackType::BlockedSource) {
            let why = "the source of this request is on the denylist: remove its entry under IP lists, or lift it under Automatic entries";
            return Err(Error::Conflict(why.into()));
        }
        if subjects.is_empty() {
            return Err(Error::Conflict("nothing was found in this request that a rule could be about".into()));
        }
        let (path, path_conditions) = path(&facts);
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok().filter(|text| is_plain(text));
        Ok(Self {
            counted: residual::counted(hit, &subjects),
            subjects,
            host: text(&facts.host).unwrap_or_default(),
            method: text(facts.method).unwrap_or_default(),
            path,
            path_conditions,
        })
    }

    /// The rule for `choice`, in the form of docs/policy.md.
    pub fn rule(&self, purpose: Purpose, choice: &Choice, hit: &str) -> Result<Map<String, Value>> {
        let (number, by) = self.chosen(purpose, choice);
        let subject = self.subjects.get(number);
        let subject = subject.ok_or_else(|| Error::invalid("subject", "there is no such subject in this hit"))?;
        let mut rule = self.what(purpose, by, subject);
        let point = self.point(number, by, choice.steps);
        if !point.0.is_empty() {
            rule.insert("point".into(), json!(point));
        }
        let mut conditions = Vec::new();
        if choice.host && !self.host.is_empty() {
            conditions.push(json!({"type": "equal", "point": ["header", "HOST"], "value": self.host}));
        }
        if choice.method && !self.method.is_empty() {
            conditions.push(json!({"type": "equal", "point": ["method"], "value": self.method}));
        }
        if choice.path {
            let about = |other: &&Subject| by == By::Any || *other == subject;
            let found: Vec<&PointPath> = self.subjects.iter().filter(about).map(|one| &one.found_at).collect();
            let own = |condition: &&Value| !found.iter().any(|at| is_at(at, &condition["point"]));
            conditions.extend(self.path_conditions.iter().filter(own).cloned());
        }
        if !conditions.is_empty() {
            rule.insert("action".into(), Value::Array(conditions));
        }
        if let Some(end) = choice.expired_at {
            rule.insert("expired_at".into(), json!(end));
        }
        let comment = if choice.comment.is_empty() { format!("from hit {hit}") } else { choice.comment.clone() };
        rule.insert("comment".into(), json!(comment));
        Ok(rule)
    }

    fn what(&self, purpose: Purpose, by: By, subject: &Subject) -> Map<String, Value> {
        let object = |value: Value| value.as_object().cloned().unwrap_or_default();
        let attack = subject.attack.code();
        if purpose == Purpose::VirtualPatch {
            return object(json!({"type": "vpatch", "attack_type": attack}));
        }
        match (&subject.stamp, by) {
            (_, By::Any) => object(json!({"type": "disable_attack_type", "attack_type": "any"})),
            (Some(stamp), By::Stamp) => match CustomSignature::rule_of(stamp) {
                Some(id) => object(json!({"type": "disable_regex", "regex_id": id})),
                None => object(json!({"type": "disable_stamp", "stamp": stamp})),
            },
            _ => object(json!({"type": "disable_attack_type", "attack_type": attack})),
        }
    }
}

/// Whether an exception can be made from `hit`: something in its request was found. No exception lets a source on the denylist
/// pass.
pub fn is_exceptable(hit: &Hit) -> bool {
    hit.leg == HitDirection::Request && hit.findings.iter().any(is_about_the_request)
}

/// Whether it is about what the request says, and not about its source.
fn is_about_the_request(finding: &HitFinding) -> bool {
    finding.attack != AttackType::BlockedSource
}

/// Findings, then anomalies that count, then types that have neither.
fn subjects(hit: &Hit) -> Vec<Subject> {
    let mut out: Vec<Subject> = Vec::new();
    let mut add = |attack: AttackType, stamp: Option<String>, at: &PointPath| {
        let subject = Subject { attack, stamp, point: open(at), found_at: at.clone() };
        if !out.contains(&subject) {
            out.push(subject);
        }
    };
    let (decisive, rest): (Vec<_>, Vec<_>) = hit.findings.iter().partition(|finding| finding.decisive);
    // No exception lets a source on the denylist pass, and no patch is needed for it.
    for finding in decisive.iter().chain(&rest).filter(|finding| is_about_the_request(finding)) {
        add(finding.attack, Some(finding.rule.clone()), &finding.point);
    }
    for anomaly in &hit.anomalies {
        let attack = weir_policy::anomalies::attack_of(anomaly.kind);
        if hit.attacks.contains(&attack) {
            add(attack, None, &anomaly.point);
        }
    }
    let named: Vec<AttackType> = out.iter().map(|subject| subject.attack).collect();
    let bare = hit.attacks.iter().filter(|attack| !named.contains(attack));
    // A source on a list and a patch that fits are no findings: the list or the patch is what to change.
    let bare = bare.filter(|attack| !matches!(attack, AttackType::BlockedSource | AttackType::Vpatch));
    out.extend(bare.map(|&attack| Subject {
        attack,
        stamp: None,
        point: PointPattern::default(),
        found_at: PointPath::default(),
    }));
    out
}

/// The point as a rule has it: positions in lists and names that are not known in full fit any.
pub(super) fn open(point: &PointPath) -> PointPattern {
    let item = |item: &weir_core::model::point::PathItem| PatternItem {
        tag: item.tag,
        key: match &item.key {
            OwnedKey::None => None,
            OwnedKey::Name(name) => is_plain(name).then(|| OwnedKey::Name(name.clone())),
            OwnedKey::Index(at) => (item.tag == Tag::Path).then_some(OwnedKey::Index(*at)),
        },
    };
    PointPattern(point.0.iter().map(item).collect())
}

/// Whether the text is as it was sent: not masked, cut or escaped.
fn is_plain(text: &str) -> bool {
    !text.contains("**") && !text.contains('\\') && !text.contains('\u{2026}') && !text.chars().any(char::is_control)
}

/// Whether a path segment is a name, rather than a value that differs from request to request.
fn is_name(segment: &str) -> bool {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let hex = segment.len() >= HEX_ID && digits > 0 && segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    let number = digits > 0 && digits == segment.len();
    is_plain(segment) && segment.len() <= MAX_NAME && !number && !hex
}

/// The path with `*` for what is left open, and the conditions that fix the rest: names, and how long the path is.
fn path(facts: &DecodedHead<'_>) -> (String, Vec<Value>) {
    let name = |bytes: &[u8]| std::str::from_utf8(bytes).ok().filter(|text| is_name(text)).map(str::to_owned);
    let (mut shown, mut conditions) = (String::new(), Vec::new());
    let equal = |point: Value, value: &str| json!({"type": "equal", "point": point, "value": value});
    // As the form of a rule has `*`.
    let any = |point: &Value| json!({"type": "regex", "point": point, "value": "^.+$"});
    for (number, segment) in facts.path.segments.iter().take(MAX_SEGMENTS).enumerate() {
        let segment = name(segment);
        shown.push('/');
        shown.push_str(segment.as_deref().unwrap_or("*"));
        let point = json!(["path", number]);
        conditions.push(segment.map_or_else(|| any(&point), |segment| equal(point.clone(), &segment)));
    }
    if facts.path.segments.len() <= MAX_SEGMENTS {
        conditions.push(json!({"type": "absent", "point": ["path", facts.path.segments.len()]}));
    }
    shown.push('/');
    let (action, ext) = (name(&facts.path.action_name), facts.path.action_ext.as_deref().map(name));
    // `/` ends in an empty name, which is one too.
    shown.push_str(action.as_deref().unwrap_or("*"));
    let is_open = action.is_none();
    let point = json!(["action_name"]);
    conditions.push(action.map_or_else(|| any(&point), |action| equal(point.clone(), &action)));
    match ext {
        None if is_open => {}
        None => conditions.push(json!({"type": "absent", "point": ["action_ext"]})),
        Some(ext) => {
            shown.push('.');
            shown.push_str(ext.as_deref().unwrap_or("*"));
            conditions.extend(ext.map(|ext| equal(json!(["action_ext"]), &ext)));
        }
    }
    (shown, conditions)
}

/// Whether a condition looks at the very part of the path in which was found: that part holds the attack.
fn is_at(found: &PointPath, condition: &Value) -> bool {
    let Some(first) = found.0.first() else { return false };
    let about = condition[0].as_str().unwrap_or_default();
    match first.tag {
        Tag::Uri => true,
        Tag::Path => about == "path" && first.key == OwnedKey::Index(condition[1].as_u64().unwrap_or(u64::MAX) as u32),
        Tag::ActionName | Tag::ActionExt => about == "action_name" || about == "action_ext",
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::model::Confidence;
    use weir_protocol::hit::HitFinding;

    fn hit(point: &str) -> Hit {
        let finding = |rule: &str, decisive| HitFinding {
            attack: AttackType::Sqli,
            rule: rule.into(),
            point: serde_json::from_str(point).unwrap(),
            confidence: Confidence::High,
            decisive,
            matched: "x".into(),
        };
        Hit {
            attacks: vec![AttackType::Sqli],
            findings: vec![finding("sqli.weak", false), finding("sqli.strong", true)],
            ..Hit::default()
        }
    }

    const RAW: &[u8] = b"POST /api/users/4711/orders.json?x=1 HTTP/1.1\r\nHost: Shop.Example:8080\r\n\r\n";

    #[test]
    fn an_exception_is_bound_to_signature_point_host_and_path() {
        let hit = hit(r#"[["post"],["json_doc"],["hash","items"],["array",3],["hash","q"]]"#);
        let material = Material::of(&hit, RAW).unwrap();
        assert_eq!((material.path.as_str(), material.host.as_str()), ("/api/users/*/orders.json", "shop.example"));
        let rule = material.rule(Purpose::Exception, &Choice::default(), "1").unwrap();
        assert_eq!(
            Value::Object(rule),
            json!({
                "type": "disable_stamp", "stamp": "sqli.strong",
                "point": [["post"], ["json_doc"], ["hash", "items"], ["array_all"], ["hash", "q"]],
                "action": [
                    {"type": "equal", "point": ["header", "HOST"], "value": "shop.example"},
                    {"type": "equal", "point": ["path", 0], "value": "api"},
                    {"type": "equal", "point": ["path", 1], "value": "users"},
                    {"type": "regex", "point": ["path", 2], "value": "^.+$"},
                    {"type": "absent", "point": ["path", 3]},
                    {"type": "equal", "point": ["action_name"], "value": "orders"},
                    {"type": "equal", "point": ["action_ext"], "value": "json"},
                ],
                "comment": "from hit 1",
            })
        );
    }

    #[test]
    fn choices_widen_it() {
        let hit = hit(r#"[["post"],["json_doc"],["hash","q"]]"#);
        let material = Material::of(&hit, RAW).unwrap();
        let choice = Choice {
            subject: Some(1),
            by: Some(By::Type),
            steps: Some(2),
            host: false,
            path: false,
            method: true,
            expired_at: Some(9),
            comment: "ticket 1".into(),
        };
        let rule = material.rule(Purpose::Exception, &choice, "1").unwrap();
        assert_eq!(
            Value::Object(rule),
            json!({"type": "disable_attack_type", "attack_type": "sqli", "point": [["post"], ["json_doc"]],
                "action": [{"type": "equal", "point": ["method"], "value": "POST"}], "expired_at": 9, "comment": "ticket 1"})
        );
        let wrong = Choice { subject: Some(2), ..Choice::default() };
        assert!(material.rule(Purpose::Exception, &wrong, "1").is_err());
        let patch = material.rule(Purpose::VirtualPatch, &Choice::default(), "1").unwrap();
        assert_eq!((&patch["type"], &patch["attack_type"]), (&json!("vpatch"), &json!("sqli")));
    }

    #[test]
    fn what_holds_the_attack_is_no_condition() {
        let at = |point: &str, raw: &'static [u8]| {
            let rule =
                Material::of(&hit(point), raw).unwrap().rule(Purpose::Exception, &Choice::default(), "1").unwrap();
            let conditions = rule["action"].as_array().unwrap().clone();
            conditions.iter().map(|one| one["point"].to_string()).collect::<Vec<_>>().join(" ")
        };
        let raw: &[u8] = b"GET /a/b/c HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(at(r#"[["uri"]]"#, raw), r#"["header","HOST"]"#);
        assert!(!at(r#"[["path",1]]"#, raw).contains(r#"["path",1]"#));
        assert!(!at(r#"[["action_name"]]"#, raw).contains("action"));
        let masked: &[u8] = b"GET /a/************/c HTTP/1.1\r\nHost: h\r\n\r\n";
        let rule = Material::of(&hit(r#"[["get","q"]]"#), masked).unwrap();
        let rule = rule.rule(Purpose::Exception, &Choice::default(), "1").unwrap();
        let any = json!({"type": "regex", "point": ["path", 1], "value": "^.+$"});
        let mut second = rule["action"].as_array().unwrap().iter().filter(|one| one["point"] == json!(["path", 1]));
        assert_eq!((second.next(), second.next()), (Some(&any), None), "what is masked may be anything");
    }
}
