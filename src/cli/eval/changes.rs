//! What differs between two runs.

use super::outcome::Outcome;
use serde::Serialize;
use std::collections::HashMap;

/// Verdicts that differ between two runs.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Changes {
    /// Requests with another verdict, in the order of the later run.
    pub changed: Vec<Change>,
    /// Requests that only the earlier run has.
    pub gone: usize,
    /// Requests that only the later run has.
    pub new: usize,
}

/// A request whose verdict changed.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Change {
    /// Its name.
    pub id: String,
    /// Its source.
    pub source: String,
    /// Its label.
    pub class: String,
    /// The later verdict.
    pub blocked: bool,
    /// Whether the later verdict is that of the label.
    pub better: bool,
    /// Rules that decided: of the run in which the request was blocked.
    pub rules: Vec<String>,
}

impl Changes {
    /// Compares `before` with `now`.
    pub fn between(before: &[Outcome], now: &[Outcome]) -> Self {
        let key = |outcome: &Outcome| (outcome.source.clone(), outcome.id.clone());
        let mut earlier: HashMap<(String, String), &Outcome> = before.iter().map(|one| (key(one), one)).collect();
        let mut changes = Changes::default();
        for outcome in now {
            let Some(was) = earlier.remove(&key(outcome)) else {
                changes.new += 1;
                continue;
            };
            if was.blocked != outcome.blocked {
                let decided = if outcome.blocked { outcome } else { was };
                changes.changed.push(Change {
                    id: outcome.id.clone(),
                    source: outcome.source.clone(),
                    class: outcome.class.clone(),
                    blocked: outcome.blocked,
                    better: outcome.is_right(),
                    rules: decided.deciding_rules().into_iter().map(str::to_owned).collect(),
                });
            }
        }
        changes.gone = earlier.len();
        changes
    }

    /// Requests that were judged rightly and are judged wrongly now.
    pub fn worse(&self) -> usize {
        self.changed.iter().filter(|change| !change.better).count()
    }
}
