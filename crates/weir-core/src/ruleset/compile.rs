//! From rule files to a [`Ruleset`], reporting every mistake at once.

use super::builtin;
use super::conditions::Condition;
use super::custom::CompiledSignature;
use super::error::{FileErrors, RuleError};
use super::format::{Case, SignatureDoc};
use super::literal::{self, Literal, RequiredLiterals};
use super::pattern::{Pattern, Syntax};
use super::read::{self, ParsedSignature};
use super::texts;
use super::yaml_tree::{self, Location};
use super::{Origin, RequiredClasses, Ruleset, Signature};
use crate::model::ByteClasses;
use std::collections::HashMap;
use std::sync::Arc;

/// Compiles `files` (name and text, built-in ones and a user's alike). Either all of them are right, or every mistake
/// of every file is reported.
pub fn compile(files: &[(String, String)]) -> Result<Ruleset, Vec<RuleError>> {
    compile_with(files, Vec::new())
}

/// Compiles `files`, and beside them the signatures of a policy.
pub fn compile_with(files: &[(String, String)], custom: Vec<CompiledSignature>) -> Result<Ruleset, Vec<RuleError>> {
    let mut all_errors = Vec::new();
    let mut signatures = Vec::new();
    let mut cve_index = Vec::new();
    let mut literals: Vec<RequiredLiterals> = Vec::new();
    let mut known: HashMap<String, (String, Location)> = HashMap::new();
    for (file, text) in files {
        let mut errors = FileErrors::new(file);
        let origin = if builtin::contains(file) { Origin::Embedded } else { Origin::User };
        match yaml_tree::parse(text) {
            Err((place, message)) => errors.add(place.unwrap_or(Location { line: 0, column: 0 }), message),
            Ok(root) => {
                let (parsed, cves) = read::entries(&root, &mut errors);
                cve_index.extend(cves);
                for read in parsed {
                    let (id, id_at) = (read.doc.id.clone(), read.id_at);
                    if let Some((file, Location { line, column })) = known.get(&id) {
                        errors
                            .add(id_at, format!("id `{id}` is taken at {file}:{line}:{column}; give it another name"));
                    }
                    known.entry(id).or_insert((file.clone(), id_at));
                    if let Some((signature, required)) = signature(read, &mut errors) {
                        signatures.push(Signature { origin, ..signature });
                        literals.push(required);
                    }
                }
            }
        }
        all_errors.append(&mut errors.found);
    }
    for CompiledSignature { signature, required } in custom {
        signatures.push(signature);
        literals.push(required);
    }
    if all_errors.is_empty() { Ok(Ruleset::assemble(signatures, literals, cve_index)) } else { Err(all_errors) }
}

fn signature(read: ParsedSignature, errors: &mut FileErrors<'_>) -> Option<(Signature, RequiredLiterals)> {
    let before = errors.found.len();
    let ParsedSignature { doc, zones, views, pattern_at, conditions_at, positive_at, negative_at, .. } = read;
    let insensitive = doc.case == Case::Insensitive;
    let hir = regex_syntax::ParserBuilder::new()
        .unicode(false)
        .utf8(false)
        .case_insensitive(insensitive)
        .build()
        .parse(&doc.pattern)
        .map_err(|error| errors.add(pattern_at, explain(&error)))
        .ok()?;
    let pattern = Pattern::new(&doc.pattern, Syntax { case_insensitive: insensitive, ..Syntax::default() })
        .map_err(|error| errors.add(pattern_at, format!("pattern: {error}")))
        .ok()?;
    if pattern.is_match(b"") {
        errors.add(pattern_at, "the pattern matches the empty text, so it would match everywhere");
    }
    let conditions = doc.conditions.iter().zip(&conditions_at).filter_map(|(condition, at)| {
        let compiled = Condition::new(condition, insensitive);
        compiled.map_err(|error| errors.add(*at, format!("pattern: {error}"))).ok()
    });
    let conditions = conditions.collect();
    let needs = RequiredClasses::of(&hir);
    let required = required(&doc, &hir, pattern_at, errors);
    let signature = Signature {
        id: doc.id.as_str().into(),
        attack: doc.attack,
        confidence: doc.confidence,
        zones,
        points: doc.points.clone(),
        conditions,
        views,
        needs,
        pattern,
        origin: Origin::User,
        doc: Arc::new(doc),
    };
    check_samples(&signature, &required, &positive_at, &negative_at, errors);
    (errors.found.len() == before).then_some((signature, required))
}

/// The literals by which the prefilter finds candidates.
fn required(
    doc: &SignatureDoc,
    hir: &regex_syntax::hir::Hir,
    at: Location,
    errors: &mut FileErrors<'_>,
) -> RequiredLiterals {
    if doc.unfiltered {
        return None;
    }
    let given: Vec<Vec<u8>> = doc.literals.iter().map(|l| l.to_ascii_lowercase().into_bytes()).collect();
    if given.iter().any(Vec::is_empty) {
        errors.add(at, "`literals` holds an empty text, which is in every value");
    }
    let found = if given.is_empty() { literal::required(hir) } else { Some(literal::given(hir, &given)) };
    if found.is_none() {
        errors.add(
            at,
            format!(
                "no literal of {} bytes or more is in every match, so the pattern would be tried on every value; \
                 narrow it, give `literals`, or say `unfiltered: true`",
                texts::MIN_LEN
            ),
        );
    }
    found
}

/// Samples are the contract of a signature: it does not load without keeping it.
fn check_samples(
    s: &Signature,
    required: &RequiredLiterals,
    positive: &[Location],
    negative: &[Location],
    errors: &mut FileErrors<'_>,
) {
    for (sample, at) in s.doc.positive.iter().zip(positive) {
        if !s.matches(sample.as_bytes()) {
            errors.add(*at, format!("{} does not match its positive sample {sample:?}", s.id));
        } else if !s.forms(sample.as_bytes()).any(|form| passes(s, required, &form)) {
            errors.add(*at, format!("{} matches {sample:?}, but none of its `literals` is in it", s.id));
        }
    }
    for (sample, at) in s.doc.negative.iter().zip(negative) {
        if s.matches(sample.as_bytes()) {
            errors.add(*at, format!("{} matches its negative sample {sample:?}", s.id));
        }
    }
}

fn passes(signature: &Signature, required: &RequiredLiterals, form: &[u8]) -> bool {
    let (lower, classes) = (form.to_ascii_lowercase(), ByteClasses::of(form));
    let is_in = |l: &Literal| l.needs.satisfied_by(classes) && memchr::memmem::find(&lower, &l.bytes).is_some();
    let literal = required.as_ref().is_none_or(|set| set.iter().any(is_in));
    literal && signature.pattern.is_match(form) && signature.needs.satisfied_by(classes)
}

/// A syntax error of a pattern with its position.
fn explain(error: &regex_syntax::Error) -> String {
    let (what, at) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span().start),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span().start),
        other => return format!("pattern: {other}"),
    };
    if at.line > 1 {
        return format!("pattern, line {}, character {}: {what}", at.line, at.column);
    }
    format!("pattern, character {}: {what}", at.column)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "- id: sqli.good\n  attack: sqli\n  about: x\n  pattern: 'abc\\d'\n  confidence: high\n  \
                        positive: [abc1]\n  negative: [abc]\n";

    fn errors(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(n, t)| (n.to_string(), t.to_string())).collect();
        compile(&files).err().unwrap_or_default().iter().map(ToString::to_string).collect()
    }

    fn errors_with(from: &str, to: &str) -> Vec<String> {
        assert!(GOOD.contains(from), "{from}");
        errors(&[("a.yaml", &GOOD.replace(from, to))])
    }

    #[test]
    fn the_built_in_rules_are_right() {
        let ruleset = compile(&super::super::builtin::files());
        let shown = |errors: Vec<RuleError>| errors.iter().map(|e| format!("{e}\n")).collect::<String>();
        assert!(!ruleset.map_err(shown).unwrap().signatures.is_empty());
    }

    #[test]
    fn each_mistake_points_at_its_place() {
        assert_eq!(errors(&[("a.yaml", GOOD), ("empty.yaml", "")]), [""; 0]);
        for (from, to, expected) in [
            ("attack: sqli", "attack: sqly", "a.yaml:2:11: unknown attack type `sqly`; did you mean `sqli`?"),
            ("  about: x\n", "", "a.yaml:1:3: `about` is missing"),
            ("  about: x\n", "  abuot: x\n  about: x\n", "a.yaml:3:3: unknown key `abuot`; did you mean `about`?"),
            (
                "  about: x\n",
                "  about: x\n  zones: [path, quary]\n",
                "a.yaml:4:17: unknown zone `quary`; did you mean `query`?",
            ),
            (
                "  about: x\n",
                "  about: x\n  views: [plane]\n",
                "a.yaml:4:11: unknown view `plane`; did you mean `plain`?",
            ),
            (
                "sqli.good",
                "good",
                "a.yaml:1:7: id `good` must be `class.name` of a-z, 0-9, `-`, `_`, e.g. `sqli.my-rule`",
            ),
            ("sqli.good", "xss.good", "a.yaml:1:7: id `xss.good` must begin with its attack type: `sqli.good`"),
            ("'abc\\d'", "'abc(\\d'", "a.yaml:4:12: pattern, character 4: unclosed group"),
            (
                "'abc\\d'",
                "'(?:abc\\d)*'",
                "a.yaml:4:12: the pattern matches the empty text, so it would match everywhere",
            ),
            (
                "confidence: high",
                "confidence: sure",
                "a.yaml:5:15: unknown confidence `sure`; there are: low, medium, high",
            ),
            ("[abc1]", "[abc1, abcd]", "a.yaml:6:20: sqli.good does not match its positive sample \"abcd\""),
            ("[abc]", "[abc, abc2]", "a.yaml:7:19: sqli.good matches its negative sample \"abc2\""),
            ("[abc1]", "[]", "a.yaml:6:13: `positive` needs at least one sample"),
            ("[abc1]", "[1]", "a.yaml:6:14: write this in quotes: YAML reads it as a number"),
            ("  about: x\n", "  about: x\n  cwe: many\n", "a.yaml:4:8: `cwe` is a number, e.g. `cwe: 89`"),
            (
                "  about: x\n",
                "  about: x\n  literals: [zzz]\n",
                "a.yaml:7:14: sqli.good matches \"abc1\", but none of its `literals` is in it",
            ),
        ] {
            let got = errors_with(from, to);
            assert!(got.iter().any(|e| e == expected), "{expected}\n{got:#?}");
        }
        let place = "  about: x\n";
        for (line, expected) in [
            ("where: x", "a.yaml:4:10: `where` is a list of conditions, e.g. `- path: '^/admin/'`"),
            (
                "where: [{path: a, method: b}]",
                "a.yaml:4:11: a condition has exactly one of `method`, `path`, `query`, `parameter`, `body`, `credential`, `foreign_referer` and `header`",
            ),
            ("where: [{paht: a}]", "a.yaml:4:12: unknown key `paht`; did you mean `path`?"),
            ("where: [{header: a}]", "a.yaml:4:11: `pattern` is missing"),
            (
                "where: [{path: a, pattern: b}]",
                "a.yaml:4:30: only `header` has a `pattern`; `path` is a pattern itself",
            ),
            ("cve: cve-1", "a.yaml:4:8: `cve-1` is not the number of a vulnerability, e.g. `CVE-2025-29927`"),
            ("references: ['http://a']", "a.yaml:4:16: `http://a` is not an https address"),
        ] {
            let got = errors_with(place, &format!("{place}  {line}\n"));
            assert!(got.iter().any(|e| e == expected), "{expected}\n{got:#?}");
        }
        let got = errors_with(place, "  about: x\n  where: [{path: '('}]\n");
        assert!(got[0].starts_with("a.yaml:4:11: pattern: "), "{got:?}");
        let got = errors_with(place, "  about: x\n  zones: [response_body]\n  where: [{path: a}]\n");
        assert_eq!(got, ["a.yaml:5:10: `where` reads the request, but one of the zones is part of a response"]);
        let got = errors_with("'abc\\d'", "'[a-z]\\d'");
        assert!(got[0].starts_with("a.yaml:4:12: no literal of 2 bytes or more is in every match"), "{got:?}");
        let got = errors_with("  about: x\n", "  about: x\n  points: [[[nope]]]\n");
        assert!(got[0].starts_with("a.yaml:4:12: not a point: unknown point tag `nope`"), "{got:?}");
    }

    #[test]
    fn entries_of_the_index_are_checked() {
        const ENTRY: &str = "- covers: CVE-2025-29927\n  product: x\n  by: sqli.good\n  source: https://a/b\n  \
                             request: |\n    GET / HTTP/1.1\n";
        let ruleset = compile(&[("a.yaml".into(), GOOD.to_owned() + ENTRY)]).unwrap();
        assert_eq!((ruleset.signatures.len(), ruleset.cve_index.len()), (1, 1));
        assert_eq!(ruleset.cve_index[0].raw_request(), b"GET / HTTP/1.1\r\n\r\n");
        for (from, to, expected) in [
            (
                "CVE-2025-29927",
                "CVE-25-1",
                "a.yaml:1:11: `CVE-25-1` is not the number of a vulnerability, e.g. `CVE-2025-29927`",
            ),
            ("  product: x\n", "", "a.yaml:1:3: `product` is missing"),
            ("product", "prodct", "a.yaml:2:3: unknown key `prodct`; did you mean `product`?"),
            ("https://a/b", "a b", "a.yaml:4:11: `a b` is not an https address"),
            ("GET / HTTP/1.1", "hello", "a.yaml:6:5: a request begins with its request line, e.g. `GET / HTTP/1.1`"),
        ] {
            let got = errors(&[("a.yaml", &ENTRY.replace(from, to))]);
            assert!(got.iter().any(|e| e == expected), "{expected}\n{got:#?}");
        }
    }

    #[test]
    fn all_mistakes_of_all_files_come_at_once() {
        let bad = GOOD.replace("attack: sqli", "attack: nope").replace("[abc]", "[]").replace("about: x", "about: ''");
        let got = errors(&[
            ("a.yaml", &bad),
            ("b.yaml", "- id: [\n"),
            ("c.yaml", "x: 1\n"),
            ("d.yaml", GOOD),
            ("e.yaml", GOOD),
        ]);
        let places: Vec<_> = got.iter().map(|e| e.splitn(4, ':').take(2).collect::<Vec<_>>().join(":")).collect();
        assert_eq!(places, ["a.yaml:2", "a.yaml:3", "a.yaml:7", "b.yaml:1", "c.yaml:1", "e.yaml:1"], "{got:#?}");
        assert!(got[5].contains("`sqli.good` is taken at d.yaml:1:7"), "{got:#?}");
    }
}
