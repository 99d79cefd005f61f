//! From the tree of a rule file to signatures as written, collecting every mistake with its place.

use super::compile::RuleError;
use super::format::{Case, SignatureDoc};
use super::node::{At, Node, Place};
use crate::model::distance::distance;
use crate::model::{AttackType, Confidence, PointPattern, Zone};
use crate::normalize::{PLAIN, VIEWS};

/// Keys of a signature.
const KEYS: &[&str] = &[
    "id",
    "attack",
    "about",
    "cwe",
    "owasp",
    "zones",
    "points",
    "views",
    "pattern",
    "case",
    "literals",
    "unfiltered",
    "confidence",
    "positive",
    "negative",
];

/// Collects the mistakes of one file.
pub struct Mistakes<'f> {
    /// File as named by the caller.
    pub file: &'f str,
    /// What was found.
    pub errors: Vec<RuleError>,
}

impl Mistakes<'_> {
    /// Notes a mistake.
    pub fn add(&mut self, place: Place, message: impl Into<String>) {
        let Place { line, column } = place;
        self.errors.push(RuleError { file: self.file.to_string(), line, column, message: message.into() });
    }
}

/// A signature with the places of what can be wrong with it later.
pub struct Read {
    /// The signature.
    pub doc: SignatureDoc,
    /// Its zones.
    pub zones: Zone,
    /// Its views, as bits.
    pub views: u16,
    /// Place of the signature's id.
    pub id_at: Place,
    /// Place of the pattern.
    pub pattern_at: Place,
    /// Places of the positive samples.
    pub positive_at: Vec<Place>,
    /// Places of the negative samples.
    pub negative_at: Vec<Place>,
}

/// The signatures of a file. Those with a mistake are left out of the result, never out of the report.
pub fn signatures(root: &At<Node>, mistakes: &mut Mistakes<'_>) -> Vec<Read> {
    match &root.node {
        Node::List(items) => items.iter().filter_map(|item| signature(item, mistakes)).collect(),
        Node::Null => Vec::new(),
        other => {
            mistakes.add(
                root.place,
                format!("a rule file is a list of signatures (`- id: ...`), this is {}", other.kind()),
            );
            Vec::new()
        }
    }
}

fn signature(item: &At<Node>, mistakes: &mut Mistakes<'_>) -> Option<Read> {
    let Node::Map(members) = &item.node else {
        mistakes.add(item.place, format!("a signature is a mapping, this is {}", item.node.kind()));
        return None;
    };
    let before = mistakes.errors.len();
    for (key, _) in members.iter().filter(|(key, _)| !KEYS.contains(&key.node.as_str())) {
        mistakes.add(key.place, format!("unknown key `{}`{}", key.node, suggest(&key.node, KEYS.iter().copied())));
    }
    let fields = Fields { place: item.place, members };
    let id = fields.text("id", mistakes);
    let attack = fields.named("attack", "attack type", AttackType::ALL.iter().map(|a| (a.code(), *a)), mistakes);
    let about = fields.text("about", mistakes);
    let pattern = fields.text("pattern", mistakes);
    let levels = [("low", Confidence::Low), ("medium", Confidence::Medium), ("high", Confidence::High)];
    let confidence = fields.named("confidence", "confidence", levels.into_iter(), mistakes);
    let (positive, positive_at) = fields.samples("positive", mistakes);
    let (negative, negative_at) = fields.samples("negative", mistakes);
    let zones = zones(&fields, mistakes);
    let views = views(&fields, mistakes);
    let case = case(&fields, mistakes);
    let doc = SignatureDoc {
        attack: attack.unwrap_or(AttackType::Sqli),
        cwe: cwe(&fields, mistakes),
        owasp: fields.get("owasp").and_then(|at| text_of(at, mistakes)),
        zones: fields.texts("zones", mistakes).into_iter().map(|t| t.node).collect(),
        points: points(&fields, mistakes),
        views: fields
            .texts("views", &mut Mistakes { file: "", errors: Vec::new() })
            .into_iter()
            .map(|t| t.node)
            .collect(),
        case,
        literals: fields.texts("literals", mistakes).into_iter().map(|t| t.node).collect(),
        unfiltered: unfiltered(&fields, mistakes),
        confidence: confidence.unwrap_or(Confidence::Low),
        about: about.map(|t| t.node).unwrap_or_default(),
        id: id.as_ref().map(|t| t.node.clone()).unwrap_or_default(),
        pattern: pattern.as_ref().map(|t| t.node.clone()).unwrap_or_default(),
        positive,
        negative,
    };
    if let (Some(id), Some(attack)) = (&id, attack) {
        check_id(id, attack, mistakes);
    }
    (mistakes.errors.len() == before).then_some(())?;
    Some(Read { doc, zones, views, id_at: id?.place, pattern_at: pattern?.place, positive_at, negative_at })
}

fn check_id(id: &At<String>, attack: AttackType, mistakes: &mut Mistakes<'_>) {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match id.node.split_once('.') {
        Some((class, name)) if !name.is_empty() && name.chars().all(fine) => {
            if class != attack.code() {
                mistakes.add(id.place, format!("id `{}` must begin with its attack type: `{attack}.{name}`", id.node));
            }
        }
        _ => mistakes.add(
            id.place,
            format!("id `{}` must be `class.name` of a-z, 0-9, `-`, `_`, e.g. `{attack}.my-rule`", id.node),
        ),
    }
}

/// The members of one signature.
struct Fields<'n> {
    place: Place,
    members: &'n [(At<String>, At<Node>)],
}

impl<'n> Fields<'n> {
    fn get(&self, key: &str) -> Option<&'n At<Node>> {
        self.members.iter().find(|(k, _)| k.node == key).map(|(_, value)| value)
    }

    /// A text that must be there.
    fn text(&self, key: &str, mistakes: &mut Mistakes<'_>) -> Option<At<String>> {
        let Some(at) = self.get(key) else {
            mistakes.add(self.place, format!("`{key}` is missing"));
            return None;
        };
        let text = text_of(at, mistakes)?;
        if text.trim().is_empty() {
            mistakes.add(at.place, format!("`{key}` is empty"));
            return None;
        }
        Some(At { place: at.place, node: text })
    }

    /// A value that has one of these names.
    fn named<T>(
        &self,
        key: &str,
        what: &str,
        mut names: impl Iterator<Item = (&'static str, T)> + Clone,
        mistakes: &mut Mistakes<'_>,
    ) -> Option<T> {
        let text = self.text(key, mistakes)?;
        let known = names.clone().map(|(name, _)| name);
        let found = names.find(|(name, _)| *name == text.node).map(|(_, value)| value);
        if found.is_none() {
            mistakes.add(text.place, format!("unknown {what} `{}`{}", text.node, suggest(&text.node, known)));
        }
        found
    }

    /// A list of texts, or one text; empty where it is not given.
    fn texts(&self, key: &str, mistakes: &mut Mistakes<'_>) -> Vec<At<String>> {
        let Some(at) = self.get(key) else { return Vec::new() };
        let mut one = |at: &At<Node>| Some(At { place: at.place, node: text_of(at, mistakes)? });
        match &at.node {
            Node::List(items) => items.iter().filter_map(one).collect(),
            _ => one(at).into_iter().collect(),
        }
    }

    fn samples(&self, key: &str, mistakes: &mut Mistakes<'_>) -> (Vec<String>, Vec<Place>) {
        let samples = self.texts(key, mistakes);
        if samples.is_empty() {
            let at = self.get(key).map_or(self.place, |at| at.place);
            mistakes.add(at, format!("`{key}` needs at least one sample"));
        }
        samples.into_iter().map(|at| (at.node, at.place)).unzip()
    }
}

fn text_of(at: &At<Node>, mistakes: &mut Mistakes<'_>) -> Option<String> {
    match &at.node {
        Node::Text(text) => Some(text.clone()),
        Node::Number(_) | Node::Bool(_) | Node::Null => {
            mistakes.add(at.place, format!("write this in quotes: YAML reads it as {}", at.node.kind()));
            None
        }
        other => {
            mistakes.add(at.place, format!("a text is expected, this is {}", other.kind()));
            None
        }
    }
}

fn zones(fields: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> Zone {
    let names = fields.texts("zones", &mut Mistakes { file: "", errors: Vec::new() });
    if names.is_empty() {
        return Zone::PARAMETERS;
    }
    names.iter().fold(Zone::NONE, |all, name| match name.node.as_str() {
        "parameters" => all.with(Zone::PARAMETERS),
        code => match Zone::from_code(code) {
            Some(zone) => all.with(zone),
            None => {
                let known = Zone::NAMED.iter().map(|(name, _)| *name).chain(["parameters"]);
                mistakes.add(name.place, format!("unknown zone `{code}`{}", suggest(code, known)));
                all
            }
        },
    })
}

fn views(fields: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> u16 {
    let names = fields.texts("views", mistakes);
    if names.is_empty() {
        return PLAIN;
    }
    names.iter().fold(0, |all, name| {
        if name.node == "plain" {
            return all | PLAIN;
        }
        match VIEWS.iter().position(|view| view.name == name.node) {
            Some(number) => all | 1 << number,
            None => {
                let known = VIEWS.iter().map(|view| view.name).chain(["plain"]);
                mistakes.add(name.place, format!("unknown view `{}`{}", name.node, suggest(&name.node, known)));
                all
            }
        }
    })
}

fn case(fields: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> Case {
    if fields.get("case").is_none() {
        return Case::Insensitive;
    }
    let names = [("insensitive", Case::Insensitive), ("sensitive", Case::Sensitive)];
    fields.named("case", "case", names.into_iter(), mistakes).unwrap_or_default()
}

fn cwe(fields: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> Option<u32> {
    let at = fields.get("cwe")?;
    let number = match &at.node {
        Node::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        _ => None,
    };
    if number.is_none() {
        mistakes.add(at.place, "`cwe` is a number, e.g. `cwe: 89`");
    }
    number
}

fn unfiltered(fields: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> bool {
    match fields.get("unfiltered") {
        None => false,
        Some(At { node: Node::Bool(value), .. }) => *value,
        Some(at) => {
            mistakes.add(at.place, "`unfiltered` is true or false");
            false
        }
    }
}

fn points(fields: &Fields<'_>, mistakes: &mut Mistakes<'_>) -> Vec<PointPattern> {
    let Some(at) = fields.get("points") else { return Vec::new() };
    let Node::List(items) = &at.node else {
        mistakes.add(at.place, "`points` is a list of points, e.g. `[[[\"header\", \"HOST\"]]]`");
        return Vec::new();
    };
    let mut point = |item: &At<Node>| match serde_json::from_value(item.node.to_json()) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            mistakes.add(item.place, format!("not a point: {error}"));
            None
        }
    };
    items.iter().filter_map(&mut point).collect()
}

/// `; did you mean ...?` or the list of what there is.
fn suggest<'k>(wrong: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    const NEAR: usize = 3;
    let near =
        known.clone().map(|name| (distance(wrong, name), name)).min().filter(|(d, name)| *d <= NEAR && *d < name.len());
    match near {
        Some((_, name)) => format!("; did you mean `{name}`?"),
        None => format!("; there are: {}", known.collect::<Vec<_>>().join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested() {
        assert_eq!(distance("quary", "query"), 1);
        assert_eq!(suggest("quary", ["query", "path"].into_iter()), "; did you mean `query`?");
        assert_eq!(suggest("xyzzyx", ["query", "path"].into_iter()), "; there are: query, path");
        assert_eq!(distance(&"a".repeat(99), "b"), usize::MAX);
    }
}
