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
    /// Product that the attack is for; empty where it is for many.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub product: String,
    /// Vulnerabilities that it is made for, e.g. `CVE-2025-29927`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cve: Vec<String>,
    /// Public descriptions of the vulnerability.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
    /// CWE number where it is narrower than that of the attack class.
    pub cwe: Option<u32>,
    /// OWASP category where it differs from that of the attack class.
    pub owasp: Option<String>,
    /// Zones by name; those of free text (`parameters`) unless given.
    pub zones: Vec<String>,
    /// Points to which it is confined.
    pub points: Vec<PointPattern>,
    /// What else must be true of the request.
    #[serde(rename = "where", skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<ConditionDoc>,
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
    /// Does not match code that a text of several lines shows, in a field that is made for texts or code.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub spares_documents: bool,
    /// How sure it is on its own.
    pub confidence: Confidence,
    /// Texts that it must match.
    pub positive: Vec<String>,
    /// Texts that it must not match.
    pub negative: Vec<String>,
}

/// A condition of a signature as written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConditionDoc {
    /// Part of the request.
    #[serde(flatten)]
    pub part: RequestPart,
    /// Regular expression that must match in it.
    pub pattern: String,
    /// Whether it must match nowhere in it instead.
    #[serde(rename = "not", skip_serializing_if = "std::ops::Not::not")]
    pub negated: bool,
}

/// A part of a request that a condition reads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase", tag = "part", content = "name")]
pub enum RequestPart {
    /// The method.
    Method,
    /// The path, percent-decoded, and the path that a server routes.
    Path,
    /// The start of the body, without its content coding and in UTF-8.
    Body,
    /// A query parameter, percent-decoded, as `name=value`.
    Query,
    /// The name of each header, and of each query parameter, that may carry a credential, whatever product reads it.
    Credential,
    /// The name of the parameter, member or field that holds the value in which the signature matched.
    Parameter,
    /// The Referer, if it is a URL of another host than that of the request.
    #[serde(rename = "foreign_referer")]
    ForeignReferer,
    /// A header by name.
    Header(String),
}

impl std::fmt::Display for RequestPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            RequestPart::Method => f.write_str("method"),
            RequestPart::Path => f.write_str("path"),
            RequestPart::Body => f.write_str("body"),
            RequestPart::Query => f.write_str("query"),
            RequestPart::Credential => f.write_str("credential"),
            RequestPart::Parameter => f.write_str("parameter"),
            RequestPart::ForeignReferer => f.write_str("foreign_referer"),
            RequestPart::Header(name) => write!(f, "header {name}"),
        }
    }
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
