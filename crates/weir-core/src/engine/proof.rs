//! The proof that an entry of the index of known vulnerabilities is right: its request travels through the engine.

use super::{InspectionOptions, Scratch, inspect};
use crate::parse::message::request;
use crate::ruleset::{CveEntry, Ruleset};

/// Names of the rules whose findings make the request of `entry` an attack.
pub fn deciding_rules(entry: &CveEntry, ruleset: &Ruleset) -> Vec<String> {
    let raw = entry.raw_request();
    let inspection =
        inspect(&request(&raw), ruleset, &InspectionOptions::default(), &mut Scratch::default(), &|| false);
    let deciding = inspection.findings.iter().filter(|finding| finding.decisive);
    let mut names: Vec<String> = deciding.map(|finding| finding.rule.to_string()).collect();
    names.sort();
    names.dedup();
    names
}
