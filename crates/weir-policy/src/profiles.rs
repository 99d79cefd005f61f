//! Profiles: ready-made exceptions for routes whose fields carry code, queries, prompts or telemetry by design.
//!
//! Their definitions are data, in `profiles.yaml`. A rule of type `profile` applies one to the requests of its action.

use serde::Deserialize;
use std::sync::LazyLock;
use weir_core::model::point::OwnedKey;
use weir_core::model::{Finding, PointPath, Tag};

/// What a route carries, and which findings are normal there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name in a rule, e.g. `llm-chat`.
    pub name: String,
    /// Name for people.
    pub label: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// Codes of the attack types that are ignored.
    pub ignores: Vec<String>,
    /// Signatures and detectors that count all the same.
    pub keeps: Vec<String>,
    /// Whether a body without fields belongs to it.
    pub plain_body: bool,
    /// Names of the fields in which it applies, lower case.
    pub fields: Vec<String>,
}

static ALL: LazyLock<Vec<Profile>> =
    LazyLock::new(|| serde_saphyr::from_str(include_str!("profiles.yaml")).unwrap_or_default());

/// Every profile, in the order of the documentation.
pub fn profiles() -> &'static [Profile] {
    &ALL
}

impl Profile {
    /// Whether the attack type or the rule of `finding` is normal content.
    pub(super) fn ignores(&self, finding: &Finding) -> bool {
        let code = finding.attack.code();
        self.ignores.iter().any(|ignored| ignored == code) && !self.keeps.iter().any(|kept| **kept == *finding.rule)
    }

    /// Whether `point` is a value in one of the fields, or a body without fields. Names of fields, headers, cookies and the
    /// path never are.
    pub(super) fn has_field(&self, point: &PointPath) -> bool {
        let (Some(first), Some(last)) = (point.0.first(), point.0.last()) else { return false };
        if !matches!(first.tag, Tag::Get | Tag::Post) || is_name(last.tag) {
            return false;
        }
        let mut names = point.0.iter().filter_map(|step| match &step.key {
            OwnedKey::Name(name) => Some(name),
            _ => None,
        });
        let listed = |name: &String| self.fields.iter().any(|field| field.eq_ignore_ascii_case(name));
        names.clone().any(listed) || self.plain_body && first.tag == Tag::Post && names.next().is_none()
    }
}

fn is_name(tag: Tag) -> bool {
    matches!(
        tag,
        Tag::GetName | Tag::FormUrlencodedName | Tag::MultipartName | Tag::HashName | Tag::XmlTagName | Tag::CookieName
    )
}

/// The names, for messages.
pub(super) fn names() -> Vec<(&'static str, &'static Profile)> {
    profiles().iter().map(|profile| (profile.name.as_str(), profile)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::model::AttackType;
    use weir_core::ruleset::{builtin, compile};

    fn find(name: &str) -> &'static Profile {
        profiles().iter().find(|profile| profile.name == name).unwrap()
    }

    #[test]
    fn definitions_are_complete_and_refer_to_what_exists() {
        let names: Vec<&str> = profiles().iter().map(|profile| profile.name.as_str()).collect();
        assert_eq!(names, ["code", "query-language", "llm-chat", "telemetry", "rich-text", "manifests"]);
        let attacks = profiles().iter().flat_map(|profile| &profile.ignores);
        let unknown: Vec<&String> = attacks.filter(|code| AttackType::from_code(code).is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
        let rules = compile::compile(&builtin::files()).unwrap();
        for profile in profiles() {
            assert!(!profile.fields.is_empty() && !profile.about.is_empty(), "{}", profile.name);
            assert!(profile.fields.iter().all(|field| *field == field.to_ascii_lowercase()), "{}", profile.name);
            for kept in &profile.keeps {
                assert!(rules.signatures.iter().any(|signature| *signature.id == **kept), "{kept}");
            }
        }
    }

    #[test]
    fn the_documentation_describes_every_profile() {
        let page = include_str!("../../../docs/policy.md");
        for profile in profiles() {
            assert!(page.contains(&format!("| `{}` |", profile.name)), "{}", profile.name);
        }
    }

    #[test]
    fn only_values_of_the_fields_belong_to_a_profile() {
        let code = find("code");
        let point = |text: &str| -> PointPath { serde_json::from_str(text).unwrap() };
        for inside in [
            r#"[["post"],["json_doc"],["hash","code"]]"#,
            r#"[["post"],["json_doc"],["hash","Code"],["array",0],["percent"]]"#,
            r#"[["post"],["json_doc"],["hash","files"],["hash","a.py"]]"#,
            r#"[["get","source"]]"#,
            r#"[["post"],["form_urlencoded","snippet"]]"#,
            r#"[["post"]]"#,
        ] {
            assert!(code.has_field(&point(inside)), "{inside}");
        }
        for outside in [
            r#"[["post"],["json_doc"],["hash","id"]]"#,
            r#"[["post"],["json_doc"],["hash","code"],["hash_name"]]"#,
            r#"[["get","id"]]"#,
            r#"[["header","CODE"]]"#,
            r#"[["header","COOKIE"],["cookie","code"]]"#,
            r#"[["path",0]]"#,
            r#"[["post"],["form_urlencoded_name"]]"#,
        ] {
            assert!(!code.has_field(&point(outside)), "{outside}");
        }
        assert!(!find("llm-chat").has_field(&point(r#"[["post"]]"#)));
    }
}
