//! Of a decoded text only what differs from the text before is scanned. Together both scans must find what a scan of the
//! whole finds.

use bumpalo::Bump;
use std::borrow::Cow;
use std::collections::BTreeSet;
use weir_core::detect::{Subject, signature};
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::changes::changed_parts;
use weir_core::model::{Budget, PointId, PointTree, Span, Value, Zone};
use weir_core::normalize::{PLAIN, percent};
use weir_core::parse::message::request;
use weir_core::ruleset::{CandidateSet, Ruleset, builtin, compile};

fn ruleset() -> Ruleset {
    compile::compile(&builtin::files()).unwrap_or_else(|errors| panic!("{}", errors[0]))
}

/// Signatures that report `text`, of which only `changes` are scanned.
fn hits(rules: &Ruleset, text: &[u8], changes: Option<&[Span]>) -> BTreeSet<String> {
    let tree = PointTree::new();
    let value = Value::new(PointId::ROOT, text, Zone::BODY);
    let subject = Subject::new(text, value.classes, &value, &tree).with_changes(changes);
    let budget = Budget::new(u64::MAX >> 1, &|| false);
    let (mut set, mut hits) = (CandidateSet::default(), Vec::new());
    signature::run(rules, &subject, PLAIN, &budget, &mut set, &mut hits).expect("no limit is reached");
    hits.iter().map(|hit| hit.rule.name().to_owned()).collect()
}

#[test]
fn scanning_changes_finds_what_scanning_all_finds() {
    let rules = ruleset();
    let padding = "Some words of a text that says nothing, in lines that are not long.\n".repeat(30);
    let (mut all, mut by_changes, mut unknown) = (0, 0, 0);
    for sample in rules.signatures.iter().flat_map(|s| &s.doc.positive).filter(|sample| sample.is_ascii()) {
        // Some byte of the sample is encoded, or one far before it, or one near its end.
        let at = [0, sample.len() / 2, sample.len().saturating_sub(1)];
        let mut texts: Vec<String> = at
            .iter()
            .filter(|at| sample.is_char_boundary(**at) && **at < sample.len())
            .map(|&at| {
                format!("{padding}{}%{:02x}{}{padding}", &sample[..at], sample.as_bytes()[at], &sample[at + 1..])
            })
            .collect();
        texts.push(format!("%41{padding}{padding}{sample}{padding}"));
        texts.push(format!("%27{sample}{padding}{padding}"));
        texts.push(format!("{padding}{padding}{sample}%29"));
        for before in &texts {
            let Cow::Owned(after) = percent::decode(before.as_bytes(), percent::Plus::Keep) else { panic!("{before}") };
            let bump = Bump::new();
            let Some(changes) = changed_parts(before.as_bytes(), &after, &bump) else {
                unknown += 1;
                continue;
            };
            let mut found = hits(&rules, &after, Some(changes));
            by_changes += found.len();
            found.extend(hits(&rules, before.as_bytes(), None));
            let missed: Vec<_> = hits(&rules, &after, None).into_iter().filter(|rule| !found.contains(rule)).collect();
            all += found.len();
            assert!(
                missed.is_empty(),
                "{missed:?} in {sample:?}, {:?}",
                before.split(&padding[..60]).collect::<Vec<_>>()
            );
        }
    }
    // Where it is not known what changed, all of a text is scanned.
    assert!(unknown < 100, "{unknown}");
    assert!(by_changes > 2000 && all > by_changes, "{by_changes} of {all}");
}

/// What is not new in a decoded form is not judged there, so it must not count as known to be benign.
#[test]
fn a_decoded_form_is_not_remembered_as_benign() {
    let rules = ruleset();
    let padding = "Some words of a text that says nothing, in lines that are not long.\n".repeat(30);
    let attack = "<script>alert(document.cookie)</script>";
    let decoded = format!("{padding}{attack}{padding} A ");
    let post = |body: &str| format!("POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n{body}");
    let mut scratch = Scratch::default();
    let mut attacks = |body: &str| {
        let raw = post(body);
        inspect(&request(raw.as_bytes()), &rules, &InspectionOptions::default(), &mut scratch, &|| false)
            .attacks()
            .len()
    };
    // First the same text is reached by a change far from the attack, then by decoding all of the attack.
    assert!(attacks(&decoded.replace(" A ", " %41 ")) > 0);
    let hidden: String = attack.bytes().map(|byte| format!("%{byte:02x}")).collect();
    assert!(attacks(&decoded.replace(attack, &hidden)) > 0);
}
