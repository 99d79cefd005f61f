//! The rules as shipped: each sample travels through the whole engine, and the prefilter changes no answer.

use proptest::prelude::*;
use std::sync::OnceLock;
use weir_core::detect::{TABLE, text_field};
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::{Budget, Header, Message, MessageKind, PointId, PointTree, Value, Zone};
use weir_core::normalize::PLAIN;
use weir_core::ruleset::{CandidateSet, Ruleset, builtin, compile};

fn ruleset() -> &'static Ruleset {
    static RULESET: OnceLock<Ruleset> = OnceLock::new();
    RULESET.get_or_init(|| {
        compile::compile(&builtin::files()).unwrap_or_else(|errors| {
            let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
            panic!("{}", lines.join("\n"));
        })
    })
}

fn escape(text: &str) -> String {
    text.bytes().map(|b| format!("%{b:02x}")).collect()
}

const MULTIPART: Header<'static> = Header { name: b"Content-Type", value: b"multipart/form-data; boundary=x" };

/// A form with a file.
fn upload(name: &str, content: &str) -> String {
    format!("--x\r\nContent-Disposition: form-data; name=\"f\"; filename=\"{name}\"\r\n\r\n{content}\r\n--x--\r\n")
}

/// Names of the rules that report `text`, sent in a place of the first of `zones` that a message can be built for.
fn found(text: &str, zones: Zone) -> Option<Vec<String>> {
    let escaped = escape(text);
    let mut message = Message { method: b"POST", protocol: b"HTTP/1.1", target: b"/", ..Message::default() };
    let (target, body, cookie);
    if zones.intersects(Zone::QUERY) {
        target = format!("/?v={escaped}");
        message.target = target.as_bytes();
    } else if zones.intersects(Zone::BODY) {
        body = format!("v={escaped}");
        message.headers.push(Header { name: b"Content-Type", value: b"application/x-www-form-urlencoded" });
        message.body = body.as_bytes();
    } else if zones.intersects(Zone::NAME) {
        target = format!("/?{escaped}=1");
        message.target = target.as_bytes();
    } else if zones.intersects(Zone::PATH) {
        target = format!("/{escaped}");
        message.target = target.as_bytes();
    } else if zones.intersects(Zone::HEADER) {
        message.headers.push(Header { name: b"X-Sample", value: text.as_bytes() });
    } else if zones.intersects(Zone::COOKIE) {
        cookie = format!("v={text}");
        message.headers.push(Header { name: b"Cookie", value: cookie.as_bytes() });
    } else if zones.intersects(Zone::FILENAME) {
        // Quotes and line ends would end the name.
        if text.contains(['"', '\\', '\r', '\n']) {
            return None;
        }
        body = upload(text, "x");
        message.headers.push(MULTIPART);
        message.body = body.as_bytes();
    } else if zones.intersects(Zone::FILE) {
        body = upload("a", text);
        message.headers.push(MULTIPART);
        message.body = body.as_bytes();
    } else if zones.intersects(Zone::RESPONSE_BODY) {
        message = Message { kind: MessageKind::Response, status: 200, body: text.as_bytes(), ..Message::default() };
    } else {
        return None;
    }
    let got = inspect(&message, ruleset(), &InspectionOptions::default(), &mut Scratch::default(), &|| false);
    Some(got.findings.iter().map(|f| f.rule.to_string()).collect())
}

#[test]
fn every_sample_of_every_signature_passes_through_the_engine() {
    let (mut ran, mut skipped, mut wrong) = (0, 0, Vec::new());
    for signature in &ruleset().signatures {
        // A signature confined to points or by conditions, or to headers with a meaning of their own, is judged by its
        // samples at load; tests/cve.rs sends whole requests to those with conditions.
        let free = signature.points.is_empty() && signature.conditions.is_empty();
        let samples = signature.doc.positive.iter().map(|s| (s, true));
        for (sample, expected) in samples.chain(signature.doc.negative.iter().map(|s| (s, false))) {
            match free.then(|| found(sample, signature.zones)).flatten() {
                None => skipped += 1,
                Some(rules) => {
                    ran += 1;
                    // A sample that a parser takes apart whole is reported by another rule of its class, on its parts.
                    // What is decoded from a negative sample may match; negatives are judged at load.
                    let class = format!("{}.", signature.attack);
                    if expected && !rules.iter().any(|rule| **rule == *signature.id || rule.starts_with(&class)) {
                        wrong.push(format!("{} misses {sample:?} on its way through the engine", signature.id));
                    }
                }
            }
        }
    }
    let total: usize = ruleset().signatures.iter().map(|s| s.doc.positive.len() + s.doc.negative.len()).sum();
    println!("{} signatures: {ran} samples ran, {skipped} skipped", ruleset().signatures.len());
    assert_eq!(ran + skipped, total);
    assert!(ran > 20, "only {ran} samples ran");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_sample_of_every_detector_passes_through_the_engine() {
    let (mut ran, mut skipped, mut wrong) = (0, 0, Vec::new());
    for detector in TABLE {
        for sample in detector.samples.positive {
            match found(sample, detector.zones) {
                None => skipped += 1,
                Some(rules) => {
                    ran += 1;
                    if !rules.iter().any(|rule| rule == detector.name) {
                        wrong.push(format!("{} misses {sample:?} on its way through the engine", detector.name));
                    }
                }
            }
        }
    }
    println!("{} detectors: {ran} positive samples ran, {skipped} skipped", TABLE.len());
    assert_eq!(ran + skipped, TABLE.iter().map(|d| d.samples.positive.len()).sum::<usize>());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Signatures that report `text` in `zone`: by the prefilter, and by trying every regex.
fn both_ways(text: &[u8], zone: Zone) -> (Vec<String>, Vec<String>) {
    let rules = ruleset();
    let value = Value::new(PointId::ROOT, text, zone);
    let tree = PointTree::new();
    let subject = weir_core::detect::Subject::new(text, value.classes, &value, &tree);
    let budget = Budget::new(u64::MAX, &|| false);
    let mut hits = Vec::new();
    weir_core::detect::signature::run(rules, &subject, PLAIN, &budget, &mut CandidateSet::default(), &mut hits)
        .unwrap();
    let mut fast: Vec<_> = hits.iter().map(|hit| hit.rule.name().to_string()).collect();
    let applies = |s: &&weir_core::ruleset::Signature| {
        let found = || s.pattern.find_in(text, 0..text.len());
        let content = || {
            s.doc.spares_documents
                && found().is_some_and(|at| text_field::is_content(&subject, s.attack, at.start(), at.end()))
        };
        let here = s.views & PLAIN != 0 && s.zones.intersects(zone) && subject.is_at(&s.points);
        here && s.pattern.is_match(text) && !content()
    };
    let mut slow: Vec<_> = rules.signatures.iter().filter(applies).map(|s| s.id.to_string()).collect();
    fast.sort();
    slow.sort();
    (fast, slow)
}

fn samples() -> Vec<String> {
    let docs = ruleset().signatures.iter().map(|s| &s.doc);
    docs.flat_map(|doc| doc.positive.iter().chain(&doc.negative).cloned()).collect()
}

const ZONES: [Zone; 6] = [Zone::QUERY, Zone::PATH, Zone::HEADER, Zone::BODY, Zone::NAME, Zone::FILENAME];

#[test]
fn same_answer_as_every_regex_on_all_samples() {
    for sample in samples() {
        for zone in ZONES {
            let (fast, slow) = both_ways(sample.as_bytes(), zone);
            assert_eq!(fast, slow, "{sample:?} in {zone:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Samples glued, cut, upper-cased and with bytes replaced.
    #[test]
    fn same_answer_as_every_regex(
        picks in proptest::collection::vec((any::<prop::sample::Index>(), 0usize..40, 0usize..60), 1..4),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        upper in any::<bool>(),
        zone in 0usize..ZONES.len(),
    ) {
        let samples = samples();
        let mut text: Vec<u8> = Vec::new();
        for (pick, from, len) in picks {
            let sample = pick.get(&samples).as_bytes();
            let from = from.min(sample.len()) * usize::from(from > 20);
            text.extend_from_slice(&sample[from..(from + len + 4).min(sample.len())]);
        }
        for (at, byte) in edits {
            if !text.is_empty() {
                let at = at.index(text.len());
                text[at] = byte;
            }
        }
        if upper {
            text.make_ascii_uppercase();
        }
        let (fast, slow) = both_ways(&text, ZONES[zone]);
        prop_assert_eq!(fast, slow);
    }

    #[test]
    fn same_answer_as_every_regex_on_tokens(text in "[a-zA-Z0-9_.-]{0,60}", zone in 0usize..ZONES.len()) {
        let (fast, slow) = both_ways(text.as_bytes(), ZONES[zone]);
        prop_assert_eq!(fast, slow);
    }
}
