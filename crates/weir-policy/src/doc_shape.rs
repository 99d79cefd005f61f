//! Says everything that is wrong with the shape of a policy document, where reading it stops at the first mistake.

use super::doc::{YamlNode, read, shown};
use super::error::PolicyError;
use serde::Deserialize;
use std::collections::BTreeMap;
use weir_core::ruleset::similar_name;

/// Keys of a document.
const KEYS: [&str; 5] = ["version", "mode", "rules", "ip_lists", "anomalies"];

#[derive(Deserialize)]
struct Rules {
    rules: Vec<YamlNode>,
}

#[derive(Deserialize)]
struct IpLists {
    ip_lists: Vec<YamlNode>,
}

/// Every mistake in the shape of the document `name`; empty if it has none that is known here, as where it is no mapping.
pub(super) fn mistakes(name: &str, text: &str) -> Vec<PolicyError> {
    let Ok(top) = read::<BTreeMap<String, YamlNode>>(text) else { return Vec::new() };
    let mut errors = Vec::new();
    let mut complain = |node: &YamlNode, at: String, message: String| {
        let (line, column) = (node.referenced.line() as usize, node.referenced.column() as usize);
        errors.push(PolicyError { file: name.into(), line, column, at, message });
    };
    for (key, node) in &top {
        let (wanted, fits) = match key.as_str() {
            "version" | "mode" => continue,
            "rules" => ("a list of rules (`- type: ...`)", node.value.is_array()),
            "ip_lists" => ("a list of lists (`- list: ...`)", node.value.is_array()),
            "anomalies" => ("a mapping of anomalies to `ignore`, `report` or `block`", node.value.is_object()),
            _ => {
                let near = similar_name(key, KEYS).map(|near| format!("did you mean `{near}`?"));
                let help = near.unwrap_or_else(|| format!("known are {}", KEYS.join(", ")));
                complain(node, key.clone(), format!("unknown key; {help}"));
                continue;
            }
        };
        if !fits {
            complain(node, key.clone(), format!("expected {wanted}, got {}", shown(&node.value)));
        }
    }
    let rules = read::<Rules>(text).map_or_else(|_| Vec::new(), |all| all.rules);
    let lists = read::<IpLists>(text).map_or_else(|_| Vec::new(), |all| all.ip_lists);
    for (key, items) in [("rules", rules), ("ip_lists", lists)] {
        for (number, item) in items.iter().enumerate().filter(|(_, item)| !item.value.is_object()) {
            let message = format!("expected a mapping (`{{key: value, ...}}`), got {}", shown(&item.value));
            complain(item, format!("{key}[{number}]"), message);
        }
    }
    errors.sort_by_key(|error| (error.line, error.column));
    errors
}

#[cfg(test)]
mod tests {
    use crate::PolicyDoc;

    fn said(text: &str) -> Vec<(usize, usize, String, String)> {
        let errors = PolicyDoc::parse("p.yaml", text).unwrap_err();
        errors.into_iter().map(|one| (one.line, one.column, one.at, one.message)).collect()
    }

    #[test]
    fn all_mistakes_of_shape_are_named_at_once() {
        let found =
            said("rulez: []\nrules:\n- 5\n- {type: vpatch, attack_type: any}\n- text\nip_lists: 7\nanomalies: [a]\n");
        let places: Vec<_> = found.iter().map(|(line, _, at, _)| (*line, at.as_str())).collect();
        assert_eq!(places, [(1, "rulez"), (3, "rules[0]"), (5, "rules[2]"), (6, "ip_lists"), (7, "anomalies")]);
        for ((.., message), part) in found.iter().zip([
            "did you mean `rules`?",
            "expected a mapping (`{key: value, ...}`), got `5`",
            "got `\"text\"`",
            "expected a list of lists (`- list: ...`), got `7`",
            "expected a mapping of anomalies",
        ]) {
            assert!(message.contains(part), "{message}");
        }
        assert_eq!(said("rules:\n  a: 1\n")[0].2, "rules");
    }

    #[test]
    fn a_document_that_cannot_be_read_says_where_once() {
        let found = said("rules: [\n- type\n");
        assert_eq!(found.len(), 1);
        assert!(!found[0].3.contains(" at line "), "{}", found[0].3);
        let list = said("- type: vpatch\n");
        assert!(list[0].3.contains("a policy is a mapping with `version`, `mode`, `rules`"), "{}", list[0].3);
    }
}
