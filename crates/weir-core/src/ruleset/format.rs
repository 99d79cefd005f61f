//! The form of a rule file; `rules/README.md` explains it to authors.

use crate::model::{AttackType, Confidence, PointPattern};
use serde::{Deserialize, Serialize};

/// One signature as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SignatureDoc {
    /// `class.name`, unique over all files.
    pub id: String,
    /// Attack class.
    pub attack: AttackType,
    /// What it means and why it is an attack, for people.
    pub about: String,
    /// CWE number where it is narrower than that of the attack class.
    pub cwe: Option<u32>,
    /// OWASP category where it differs from that of the attack class.
    pub owasp: Option<String>,
    /// Zones by name; those of free text (`parameters`) unless given.
    pub zones: Vec<String>,
    /// Points to which it is confined.
    pub points: Vec<PointPattern>,
    /// Views by name; `plain` unless given.
    pub views: Vec<String>,
    /// Regular expression (crate `regex`, bytes, case-insensitive unless `case: sensitive`).
    pub pattern: String,
    /// `sensitive` where case matters.
    pub case: Case,
    /// Required literals where the compiler cannot derive good ones: every match must contain one of them.
    pub literals: Vec<String>,
    /// Tried on every value although no literal is required. Costs time; give a reason in `about`.
    pub unfiltered: bool,
    /// How sure it is on its own.
    pub confidence: Confidence,
    /// Texts that it must match.
    pub positive: Vec<String>,
    /// Texts that it must not match.
    pub negative: Vec<String>,
}

/// Whether case matters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// It does not.
    #[default]
    Insensitive,
    /// It does.
    Sensitive,
}
