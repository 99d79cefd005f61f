//! Signatures that come with a policy instead of a rule file.

use super::format::{Case, SignatureDoc};
use super::literal::{self, RequiredLiterals};
use super::pattern::{Pattern, Syntax};
use super::{Origin, RequiredClasses, Signature};
use crate::model::{AttackType, Confidence, PointPattern, Zone};
use crate::normalize::PLAIN;
use std::sync::Arc;

/// A signature of a user's, compiled: with case, `.` taking line feeds, in every zone unless points confine it, an attack
/// by itself. One whose pattern requires no literal is tried on every value.
#[derive(Debug)]
pub struct CompiledSignature {
    pub(super) signature: Signature,
    pub(super) required: RequiredLiterals,
}

impl CompiledSignature {
    /// Compiles one. The error is that of the pattern.
    pub fn new(id: &str, attack: AttackType, pattern: &str, points: Vec<PointPattern>) -> Result<Self, regex::Error> {
        let mut parser = regex_syntax::ParserBuilder::new();
        let hir = parser.unicode(false).utf8(false).dot_matches_new_line(true).build().parse(pattern);
        let hir = hir.map_err(|error| regex::Error::Syntax(error.to_string()))?;
        let compiled = Pattern::new(pattern, Syntax { dot_matches_new_line: true, ..Syntax::default() })?;
        let signature = Signature {
            id: id.into(),
            attack,
            confidence: Confidence::High,
            zones: Zone::NAMED.iter().fold(Zone::NONE, |all, (_, zone)| all.with(*zone)),
            points: points.clone(),
            conditions: Vec::new(),
            views: PLAIN,
            needs: RequiredClasses::of(&hir),
            pattern: compiled,
            origin: Origin::User,
            doc: Arc::new(doc(id, attack, pattern, points)),
        };
        Ok(Self { signature, required: literal::required(&hir) })
    }
}

fn doc(id: &str, attack: AttackType, pattern: &str, points: Vec<PointPattern>) -> SignatureDoc {
    SignatureDoc {
        id: id.into(),
        attack,
        about: "A signature of the policy.".into(),
        product: String::new(),
        cve: Vec::new(),
        references: Vec::new(),
        cwe: None,
        owasp: None,
        zones: Vec::new(),
        points,
        conditions: Vec::new(),
        views: Vec::new(),
        pattern: pattern.into(),
        case: Case::Sensitive,
        literals: Vec::new(),
        unfiltered: false,
        spares_documents: false,
        confidence: Confidence::High,
        positive: Vec::new(),
        negative: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{InspectionOptions, Scratch, inspect};
    use crate::model::{Header, Message};
    use crate::ruleset::compile::compile_with;

    #[test]
    fn custom_signatures_find_with_and_without_literals_and_at_their_points() {
        let point = |text: &str| serde_json::from_str::<PointPattern>(text).unwrap();
        let custom = [
            CompiledSignature::new("custom.1", AttackType::Sqli, "evil[0-9]+", vec![point(r#"[["get","id"]]"#)]),
            CompiledSignature::new("custom.2", AttackType::Vpatch, "^[0-9]{6}$", Vec::new()),
            CompiledSignature::new("custom.3", AttackType::Rce, "Forbidden", vec![point(r#"[["header","X-A"]]"#)]),
        ];
        let custom = custom.into_iter().map(Result::unwrap).collect();
        let ruleset = compile_with(&[], custom).unwrap();
        let found = |target: &'static [u8]| -> Vec<String> {
            let headers = vec![Header { name: b"x-a", value: b"Forbidden" }];
            let message = Message { method: b"GET", target, protocol: b"HTTP/1.1", headers, ..Message::default() };
            let got = inspect(&message, &ruleset, &InspectionOptions::default(), &mut Scratch::default(), &|| false);
            let mut all: Vec<_> = got.findings.iter().map(|f| format!("{} {}", f.rule, f.point)).collect();
            all.sort();
            all.dedup();
            all
        };
        let header = "custom.3 [header,'X-A']";
        assert_eq!(found(b"/?id=evil7"), ["custom.1 [get,'id']", header]);
        assert_eq!(found(b"/?other=evil7"), [header]);
        assert_eq!(found(b"/?n=123456"), ["custom.2 [get,'n']", header]);
        assert!(CompiledSignature::new("custom.4", AttackType::Rce, "(", Vec::new()).is_err());
    }
}
