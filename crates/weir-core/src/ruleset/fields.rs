//! The members of a mapping of a rule file, each with its place.

use super::error::FileErrors;
use super::similar_name;
use super::yaml_tree::{Located, Location, YamlValue};

/// The members of one mapping.
pub(super) struct Fields<'n> {
    /// Where the mapping begins.
    pub location: Location,
    /// Keys and values in order.
    pub members: &'n [(Located<String>, Located<YamlValue>)],
}

impl<'n> Fields<'n> {
    /// The members of `item`, which is `what`. Keys that are not in `known` are mistakes.
    pub fn of(
        item: &'n Located<YamlValue>,
        what: &str,
        known: &[&'static str],
        errors: &mut FileErrors<'_>,
    ) -> Option<Self> {
        let YamlValue::Map(members) = &item.value else {
            errors.add(item.location, format!("{what} is a mapping, this is {}", item.value.kind()));
            return None;
        };
        for (key, _) in members.iter().filter(|(key, _)| !known.contains(&key.value.as_str())) {
            errors.add(
                key.location,
                format!("unknown key `{}`{}", key.value, suggest(&key.value, known.iter().copied())),
            );
        }
        Some(Self { location: item.location, members })
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&'n Located<YamlValue>> {
        self.members.iter().find(|(k, _)| k.value == key).map(|(_, value)| value)
    }

    /// A text that must be there.
    pub fn text(&self, key: &str, errors: &mut FileErrors<'_>) -> Option<Located<String>> {
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
    pub fn named<T>(
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
    pub fn texts(&self, key: &str, errors: &mut FileErrors<'_>) -> Vec<Located<String>> {
        let Some(at) = self.get(key) else { return Vec::new() };
        let mut one = |at: &Located<YamlValue>| Some(Located { location: at.location, value: text_of(at, errors)? });
        match &at.value {
            YamlValue::List(items) => items.iter().filter_map(one).collect(),
            _ => one(at).into_iter().collect(),
        }
    }

    /// Samples and their places; one or more must be there.
    pub fn samples(&self, key: &str, errors: &mut FileErrors<'_>) -> (Vec<String>, Vec<Location>) {
        let samples = self.texts(key, errors);
        if samples.is_empty() {
            let at = self.get(key).map_or(self.location, |at| at.location);
            errors.add(at, format!("`{key}` needs at least one sample"));
        }
        samples.into_iter().map(|at| (at.value, at.location)).unzip()
    }
}

/// The text at `at`; everything else is a mistake.
pub(super) fn text_of(at: &Located<YamlValue>, errors: &mut FileErrors<'_>) -> Option<String> {
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

/// `; did you mean ...?` or the list of what there is.
pub(super) fn suggest<'k>(wrong: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
    match similar_name(wrong, known.clone()) {
        Some(name) => format!("; did you mean `{name}`?"),
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
        assert_eq!(suggest(&"xquery".repeat(99), ["query"].into_iter()), "; there are: query");
    }
}
