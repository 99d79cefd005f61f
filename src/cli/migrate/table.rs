//! What is known about values: the table of older charts, and the schema of this chart.

use serde::Deserialize;
use serde_json::Value;

/// What becomes of a value of an older chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Does {
    /// Carries over.
    Same,
    /// Carries over with another meaning or default.
    Changed,
    /// Accepted without effect.
    Ignored,
    /// Means another thing here.
    Dropped,
}

/// The older charts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Chart {
    /// wallarm-node-next 0.5.3
    Next,
    /// wallarm-node-native up to 0.25
    Native,
}

/// One row of the table: it stands for its key and everything below.
#[derive(Debug, Deserialize)]
pub struct Row {
    /// Dotted path.
    pub key: String,
    /// Charts that have it.
    pub charts: Vec<Chart>,
    /// What becomes of it.
    pub does: Does,
    /// Why, in words.
    pub note: String,
    /// Its schema, where ours has no such value. For the generator of the schema only.
    #[serde(default, rename = "schema")]
    _schema: serde::de::IgnoredAny,
}

/// The table and the schema.
pub struct Known {
    rows: Vec<Row>,
    schema: Value,
}

impl Known {
    /// Those of the chart that this program was built with.
    pub fn new() -> Self {
        let rows = include_str!("../../../charts/weir/files/compat.yaml");
        let schema = include_str!("../../../charts/weir/values.schema.json");
        Self {
            rows: serde_saphyr::from_str(rows).expect("the table parses, by its test"),
            schema: serde_json::from_str(schema).expect("the schema parses, by its test"),
        }
    }

    /// The row with the longest key that `path` is or lies below.
    pub fn row(&self, path: &str) -> Option<&Row> {
        let covers =
            |row: &&Row| path == row.key || path.strip_prefix(&row.key).is_some_and(|rest| rest.starts_with('.'));
        self.rows.iter().filter(covers).max_by_key(|row| row.key.len())
    }

    /// Whether the chart accepts the member `name` of the object that `schema` describes, and as what. None: it is refused.
    pub fn member<'s>(&'s self, schema: &'s Value, name: &str) -> Option<&'s Value> {
        const ANYTHING: &Value = &Value::Bool(true);
        let schema = self.resolved(schema);
        if let Some(known) = schema.get("properties").and_then(|properties| properties.get(name)) {
            return Some(known);
        }
        match schema.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(other) => Some(other),
            None => Some(ANYTHING),
        }
    }

    /// What the members of the list that `schema` describes are.
    pub fn items<'s>(&'s self, schema: &'s Value) -> Option<&'s Value> {
        self.resolved(schema).get("items")
    }

    /// Names of the members that the object has.
    pub fn names<'s>(&'s self, schema: &'s Value) -> impl Iterator<Item = &'s str> {
        let properties = self.resolved(schema).get("properties").and_then(Value::as_object);
        properties.into_iter().flatten().map(|(name, _)| name.as_str())
    }

    /// The whole schema.
    pub fn root(&self) -> &Value {
        &self.schema
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        let target =
            schema.get("$ref").and_then(Value::as_str).and_then(|reference| reference.strip_prefix("#/definitions/"));
        target.and_then(|name| self.schema.get("definitions")?.get(name)).unwrap_or(schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_row_counts() {
        let known = Known::new();
        assert_eq!(known.row("config.connector.http_inspector.wallarm_dir").unwrap().does, Does::Ignored);
        assert_eq!(known.row("config.connector.http_inspector.workers").unwrap().does, Does::Same);
        assert_eq!(known.row("config.wcli.commands.syncNode.logLevel").unwrap().does, Does::Ignored);
        assert!(known.row("config.wcliX").is_none() && known.row("config").is_none());
    }

    #[test]
    fn the_schema_is_followed_through_references() {
        let known = Known::new();
        let mut at = known.root();
        for name in ["config", "connector", "route_config", "routes"] {
            at = known.member(at, name).unwrap();
        }
        for _ in 0..3 {
            let item = known.items(at).unwrap();
            assert!(known.member(item, "wallarm_mode").is_some() && known.member(item, "nonsense").is_none());
            at = known.member(item, "routes").unwrap();
        }
        assert!(known.member(known.root(), "nonsense").is_none());
        assert!(known.names(known.root()).any(|name| name == "processing"));
    }

    #[test]
    fn every_row_is_accepted_by_the_schema() {
        let known = Known::new();
        for row in &known.rows {
            let end = row.key.split('.').try_fold(known.root(), |at, name| known.member(at, name));
            assert!(end.is_some(), "{}", row.key);
            assert!(!row.charts.is_empty() && !row.note.is_empty(), "{}", row.key);
        }
    }
}
