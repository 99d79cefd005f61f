//! What became of every rule.

use super::model::{Entry, Fate};
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;

/// The report.
pub(super) struct Report<'e> {
    /// In the order of the files.
    pub entries: &'e [Entry],
}

impl Report<'_> {
    /// Rules that were refused.
    pub fn refused(&self) -> usize {
        self.count(|fate| matches!(fate, Fate::Refused(_)))
    }

    fn count(&self, wanted: impl Fn(&Fate) -> bool) -> usize {
        self.entries.iter().filter(|entry| wanted(&entry.fate)).count()
    }

    /// Lines for people.
    pub fn text(&self, out: Option<&Path>, exceptions: bool) -> String {
        let mut text = String::new();
        for Entry { file, line, name, ours, fate, unbounded, .. } in self.entries {
            let (word, reason) = match fate {
                Fate::Taken => ("taken", String::new()),
                Fate::Approximated(notes) => ("approximated", format!(": {}", notes.join("; "))),
                Fate::Refused(reason) => ("refused", format!(": {reason}")),
            };
            let ours = ours.as_ref().map_or_else(String::new, |ours| format!(" as {ours}"));
            let mark = if *unbounded { " [match without a bound]" } else { "" };
            let _ = writeln!(text, "{file}:{line}: {name} {word}{ours}{mark}{reason}");
        }
        let taken = self.count(|fate| matches!(fate, Fate::Taken));
        let approximated = self.count(|fate| matches!(fate, Fate::Approximated(_)));
        let _ = writeln!(
            text,
            "{} {}: {taken} taken, {approximated} approximated, {} refused",
            self.entries.len(),
            if self.entries.len() == 1 { "rule" } else { "rules" },
            self.refused()
        );
        match out {
            Some(folder) => {
                let rules = folder.join("rules.yaml");
                let _ =
                    writeln!(text, "wrote {}; check it with `weir rules check {}`", rules.display(), rules.display());
                if exceptions {
                    let _ =
                        writeln!(text, "wrote {}: add its rules to your policy", folder.join("policy.yaml").display());
                }
            }
            None => text.push_str("nothing was written: give --out DIR\n"),
        }
        text
    }

    /// One JSON object.
    pub fn json(&self) -> serde_json::Value {
        let entry = |entry: &Entry| {
            let (fate, notes) = match &entry.fate {
                Fate::Taken => ("taken", Vec::new()),
                Fate::Approximated(notes) => ("approximated", notes.clone()),
                Fate::Refused(reason) => ("refused", vec![reason.clone()]),
            };
            json!({
                "file": entry.file, "line": entry.line, "name": entry.name, "rule": entry.ours, "fate": fate,
                "notes": notes, "unbounded": entry.unbounded,
            })
        };
        json!({"rules": self.entries.iter().map(entry).collect::<Vec<_>>()})
    }
}
