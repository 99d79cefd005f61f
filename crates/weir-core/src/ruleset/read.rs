//! From the tree of a rule file to signatures as written, collecting every mistake with its place.

use super::error::FileErrors;
use super::format::{Case, SignatureDoc};
use super::yaml_tree::{Located, Location, YamlValue};
use crate::model::{AttackType, Confidence, PointPattern, Zone};
use crate::normalize::{PLAIN, VIEWS};
use strsim::osa_distance;

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

/// A signature with the places of what can be wrong with it later.
pub struct ParsedSignature {
    /// The signature.
    pub doc: SignatureDoc,
    /// Its zones.
    pub zones: Zone,
    /// Its views, as bits.
    pub views: u16,
    /// Location of the signature's id.
    pub id_at: Location,
    /// Location of the pattern.
    pub pattern_at: Location,
    /// Places of the positive samples.
    pub positive_at: Vec<Location>,
    /// Places of the negative samples.
    pub negative_at: Vec<Location>,
}

/// The signatures of a file. Those with a mistake are left out of the result, never out of the report.
pub fn signatures(root: &Located<YamlValue>, errors: &mut FileErrors<'_>) -> Vec<ParsedSignature> {
    match &root.value {
        YamlValue::List(items) => items.iter().filter_map(|item| signature(item, errors)).collect(),
        YamlValue::Null => Vec::new(),
        other => {
            errors.add(
                root.location,
                format!("a rule file is a list of signatures (`- id: ...`), this is {}", other.kind()),
            );
            Vec::new()
        }
    }
}

fn signature(item: &Located<YamlValue>, errors: &mut FileErrors<'_>) -> Option<ParsedSignature> {
    let YamlValue::Map(members) = &item.value else {
        errors.add(item.location, format!("a signature is a mapping, this is {}", item.value.kind()));
        return None;
    };
    let before = errors.found.len();
    for (key, _) in members.iter().filter(|(key, _)| !KEYS.contains(&key.value.as_str())) {
        errors.add(key.location, format!("unknown key `{}`{}", key.value, suggest(&key.value, KEYS.iter().copied())));
    }
    let fields = Fields { location: item.location, members };
    let id = fields.text("id", errors);
    let attack = fields.named("attack", "attack type", AttackType::ALL.iter().map(|a| (a.code(), *a)), errors);
    let about = fields.text("about", errors);
    let pattern = fields.text("pattern", errors);
    let levels = [("low", Confidence::Low), ("medium", Confidence::Medium), ("high", Confidence::High)];
    let confidence = fields.named("confidence", "confidence", levels.into_iter(), errors);
    let (positive, positive_at) = fields.samples("positive", errors);
    let (negative, negative_at) = fields.samples("negative", errors);
    let zones = zones(&fields, errors);
    let views = views(&fields, errors);
    let case = case(&fields, errors);
    let doc = SignatureDoc {
        attack: attack.unwrap_or(AttackType::Sqli),
        cwe: cwe(&fields, errors),
        owasp: fields.get("owasp").and_then(|at| text_of(at, errors)),
        zones: fields.texts("zones", errors).into_iter().map(|t| t.value).collect(),
        points: points(&fields, errors),
        views: fields.texts("views", &mut FileErrors::new("")).into_iter().map(|t| t.value).collect(),
        case,
        literals: fields.texts("literals", errors).into_iter().map(|t| t.value).collect(),
        unfiltered: unfiltered(&fields, errors),
        confidence: confidence.unwrap_or(Confidence::Low),
        about: about.map(|t| t.value).unwrap_or_default(),
        id: id.as_ref().map(|t| t.value.clone()).unwrap_or_default(),
        pattern: pattern.as_ref().map(|t| t.value.clone()).unwrap_or_default(),
        positive,
        negative,
    };
    if let (Some(id), Some(attack)) = (&id, attack) {
        check_id(id, attack, errors);
    }
    (errors.found.len() == before).then_some(())?;
    Some(ParsedSignature {
        doc,
        zones,
        views,
        id_at: id?.location,
        pattern_at: pattern?.location,
        positive_at,
        negative_at,
    })
}

fn check_id(id: &Located<String>, attack: AttackType, errors: &mut FileErrors<'_>) {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    match id.value.split_once('.') {
        Some((class, name)) if !name.is_empty() && name.chars().all(fine) => {
            if class != attack.code() {
                errors
                    .add(id.location, format!("id `{}` must begin with its attack type: `{attack}.{name}`", id.value));
            }
        }
        _ => errors.add(
            id.location,
            format!("id `{}` must be `class.name` of a-z, 0-9, `-`, `_`, e.g. `{attack}.my-rule`", id.value),
        ),
    }
}

/// The members of one signature.
struct Fields<'n> {
    location: Location,
    members: &'n [(Located<String>, Located<YamlValue>)],
}

impl<'n> Fields<'n> {
    fn get(&self, key: &str) -> Option<&'n Located<YamlValue>> {
        self.members.iter().find(|(k, _)| k.value == key).map(|(_, value)| value)
    }

    /// A text that must be there.
    fn text(&self, key: &str, errors: &mut FileErrors<'_>) -> Option<Located<String>> {
        let Some(at) = self.get(key) else {
            errors.add(self.location, format!("`{key}` is missing"));
            return None;
        };
        let text = text_of(at, errors)?;
        if text.trim().is_empty() {
            errors.add(at.location, format!("`{key}` is empty"));
            return None;
        }
        Some(Located { location: at.location, value: text })
    }

    /// A value that has one of these names.
    fn named<T>(
        &self,
        key: &str,
        what: &str,
        mut names: impl Iterator<Item = (&'static str, T)> + Clone,
        errors: &mut FileErrors<'_>,
    ) -> Option<T> {
        let text = self.text(key, errors)?;
        let known = names.clone().map(|(name, _)| name);
        let found = names.find(|(name, _)| *name == text.value).map(|(_, value)| value);
        if found.is_none() {
            errors.add(text.location, format!("unknown {what} `{}`{}", text.value, suggest(&text.value, known)));
        }
        found
    }

    /// A list of texts, or one text; empty where it is not given.
    fn texts(&self, key: &str, errors: &mut FileErrors<'_>) -> Vec<Located<String>> {
        let Some(at) = self.get(key) else { return Vec::new() };
        let mut one = |at: &Located<YamlValue>| Some(Located { location: at.location, value: text_of(at, errors)? });
        match &at.value {
            YamlValue::List(items) => items.iter().filter_map(one).collect(),
            _ => one(at).into_iter().collect(),
        }
    }

    fn samples(&self, key: &str, errors: &mut FileErrors<'_>) -> (Vec<String>, Vec<Location>) {
        let samples = self.texts(key, errors);
        if samples.is_empty() {
            let at = self.get(key).map_or(self.location, |at| at.location);
            errors.add(at, format!("`{key}` needs at least one sample"));
        }
        samples.into_iter().map(|at| (at.value, at.location)).unzip()
    }
}

fn text_of(at: &Located<YamlValue>, errors: &mut FileErrors<'_>) -> Option<String> {
    match &at.value {
        YamlValue::Text(text) => Some(text.clone()),
        YamlValue::Number(_) | YamlValue::Bool(_) | YamlValue::Null => {
            errors.add(at.location, format!("write this in quotes: YAML reads it as {}", at.value.kind()));
            None
        }
        other => {
            errors.add(at.location, format!("a text is expected, this is {}", other.kind()));
            None
        }
    }
}

fn zones(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Zone {
    let names = fields.texts("zones", &mut FileErrors::new(""));
    if names.is_empty() {
        return Zone::PARAMETERS;
    }
    names.iter().fold(Zone::NONE, |all, name| match name.value.as_str() {
        "parameters" => all.with(Zone::PARAMETERS),
        code => match Zone::from_code(code) {
            Some(zone) => all.with(zone),
            None => {
                let known = Zone::NAMED.iter().map(|(name, _)| *name).chain(["parameters"]);
                errors.add(name.location, format!("unknown zone `{code}`{}", suggest(code, known)));
                all
            }
        },
    })
}

fn views(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> u16 {
    let names = fields.texts("views", errors);
    if names.is_empty() {
        return PLAIN;
    }
    names.iter().fold(0, |all, name| {
        if name.value == "plain" {
            return all | PLAIN;
        }
        match VIEWS.iter().position(|view| view.name == name.value) {
            Some(number) => all | 1 << number,
            None => {
                let known = VIEWS.iter().map(|view| view.name).chain(["plain"]);
                errors.add(name.location, format!("unknown view `{}`{}", name.value, suggest(&name.value, known)));
                all
            }
        }
    })
}

fn case(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Case {
    if fields.get("case").is_none() {
        return Case::Insensitive;
    }
    let names = [("insensitive", Case::Insensitive), ("sensitive", Case::Sensitive)];
    fields.named("case", "case", names.into_iter(), errors).unwrap_or_default()
}

fn cwe(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Option<u32> {
    let at = fields.get("cwe")?;
    let number = match &at.value {
        YamlValue::Number(number) => number.as_u64().and_then(|n| u32::try_from(n).ok()),
        _ => None,
    };
    if number.is_none() {
        errors.add(at.location, "`cwe` is a number, e.g. `cwe: 89`");
    }
    number
}

fn unfiltered(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> bool {
    match fields.get("unfiltered") {
        None => false,
        Some(Located { value: YamlValue::Bool(value), .. }) => *value,
        Some(at) => {
            errors.add(at.location, "`unfiltered` is true or false");
            false
        }
    }
}

fn points(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Vec<PointPattern> {
    let Some(at) = fields.get("points") else { return Vec::new() };
    let YamlValue::List(items) = &at.value else {
        errors.add(at.location, "`points` is a list of points, e.g. `[[[\"header\", \"HOST\"]]]`");
        return Vec::new();
    };
    let mut point = |item: &Located<YamlValue>| match serde_json::from_value(item.value.to_json()) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            errors.add(item.location, format!("not a point: {error}"));
            None
        }
    };
    items.iter().filter_map(&mut point).collect()
}

/// `; did you mean ...?` or the list of what there is.
fn suggest<'k>(wrong: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    const NEAR: usize = 3;
    // The distance is at least the difference of the lengths: a long word is never compared.
    let near = known.clone().filter(|name| name.len().abs_diff(wrong.len()) <= NEAR);
    let near =
        near.map(|name| (osa_distance(wrong, name), name)).min().filter(|(d, name)| *d <= NEAR && *d < name.len());
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
        assert_eq!(suggest("quary", ["query", "path"].into_iter()), "; did you mean `query`?");
        assert_eq!(suggest("xyzzyx", ["query", "path"].into_iter()), "; there are: query, path");
        assert_eq!(suggest("qeury", ["query", "path"].into_iter()), "; did you mean `query`?");
        assert_eq!(suggest(&"query".repeat(99), ["query"].into_iter()), "; there are: query");
    }
}
