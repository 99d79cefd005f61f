//! [`inspect`]: a message goes in, findings come out, whatever the mode. Read this function first.
//!
//! The message is parsed into values, and each value is scanned as soon as parsers have seen it: first those of target
//! and headers, then those of the body. A limit ends only the branch of the message that reached it.

mod binary;
mod body_readings;
mod conditions;
mod excerpt;
pub mod proof;
mod scanner;

use crate::detect::{self, relayed};
use crate::model::{BenignCache, Budget, Inspection, Limits, Message, Zone};
use crate::parse::benign_lookup::BenignLookup;
use crate::parse::extract::{ParseOptions, ScratchBuffers, extract_with_buffers};
use crate::ruleset::{CandidateSet, Ruleset};
use bumpalo::Bump;
use conditions::ConditionChecks;
use scanner::Scanner;
use std::cell::RefCell;

/// How to inspect one message. The default inspects everything within the default [`Limits`].
#[derive(Clone, Debug, Default)]
pub struct InspectionOptions<'p> {
    /// Bounds of work and memory.
    pub limits: Limits,
    /// Parsers that are switched off, everywhere or at some points.
    pub parsing: ParseOptions<'p>,
    /// Whether [`Inspection::steps`] is filled.
    pub explain: bool,
    /// Skips the detectors that call libinjection ([`detect::LIBINJECTION_DETECTORS`]).
    pub skip_libinjection: bool,
}

/// Memory of an inspection, kept between inspections so that a small request allocates next to nothing.
#[derive(Debug, Default)]
pub struct Scratch {
    bump: Bump,
    candidates: CandidateSet,
    benign: RefCell<BenignCache>,
    buffers: ScratchBuffers,
}

/// Bytes that a [`Scratch`] keeps between inspections. What a large message allocated beyond is freed.
const SCRATCH_KEPT: usize = 1 << 20;

impl Scratch {
    fn reset(&mut self) {
        self.bump.reset();
        if self.bump.allocated_bytes() > SCRATCH_KEPT {
            self.bump = Bump::new();
        }
        if self.buffers.memory() > SCRATCH_KEPT {
            self.buffers = ScratchBuffers::default();
        }
    }
}

/// Inspects `message` with `ruleset`. The inspection of the body ends early once `stop` returns true, e.g. at a time
/// limit. Never fails and never panics on input: [`Inspection::not_inspected`] lists what could not be inspected.
pub fn inspect(
    message: &Message<'_>,
    ruleset: &Ruleset,
    options: &InspectionOptions<'_>,
    scratch: &mut Scratch,
    stop: &dyn Fn() -> bool,
) -> Inspection {
    scratch.reset();
    let budget = Budget::new(0, stop);
    let Scratch { bump, candidates, benign, buffers } = scratch;
    benign.get_mut().reset_for(ruleset.id);
    let benign = &*benign;
    let scanned = detect::TABLE.iter().fold(ruleset.zones, |all, detector| all.with(detector.zones));
    // An explanation shows every value, those known to be benign included.
    let lookup =
        (!options.explain).then_some(BenignLookup { cache: benign, skip_libinjection: options.skip_libinjection });
    let parsing = ParseOptions { unscanned_zones: Zone::ALL.without(scanned), benign: lookup, ..options.parsing };
    let checks = ConditionChecks::new(ruleset, message, &budget);
    let conditions = |number| checks.met(number);
    let mut scanner = Scanner::new(ruleset, options, &budget, candidates, benign, &conditions)
        .for_service(relayed::Service::of(message.target));
    let buffered = std::mem::take(buffers);
    let extracted = extract_with_buffers(message, &parsing, &options.limits, &budget, bump, buffered, &mut scanner);
    let inspection = scanner.finish(&extracted.notes);
    *buffers = extracted.into_buffers();
    inspection
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Header, SkipReason};

    #[test]
    fn etc_passwd_is_found_at_its_point() {
        let ruleset = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let message = Message {
            method: b"GET",
            target: b"/etc/passwd",
            protocol: b"HTTP/1.1",
            headers: vec![Header { name: b"Host", value: b"example.com" }],
            ..Message::default()
        };
        let got = inspect(&message, &ruleset, &InspectionOptions::default(), &mut Scratch::default(), &|| false);
        assert_eq!(got.findings[0].rule.as_ref(), "ptrav.etc-passwd");
        assert!(got.findings[0].decisive);
        assert_eq!(got.findings[0].point.to_string(), "[uri]");
    }

    fn get<'m>(headers: Vec<Header<'m>>, body: &'m [u8]) -> Message<'m> {
        Message { method: b"POST", target: b"/", protocol: b"HTTP/1.1", headers, body, ..Message::default() }
    }

    #[test]
    fn a_signature_with_conditions_needs_all_of_them_in_one_request() {
        let rule = "- id: cve.sample\n  attack: cve\n  about: x\n  zones: [path]\n  views: [route]\n  pattern: '^/mgmt/'\n  \
                    where:\n  - method: '^POST$'\n  - {header: X-Token, pattern: '^$'}\n  confidence: high\n  \
                    positive: ['//mgmt/x']\n  negative: ['/a/mgmt/']\n";
        let ruleset = crate::ruleset::compile::compile(&[("a.yaml".into(), rule.into())]).unwrap();
        let mut scratch = Scratch::default();
        let mut passes = |method: &'static [u8], target: &'static [u8], header: Option<&'static [u8]>| {
            let headers = header.map(|value| Header { name: b"x-token", value }).into_iter().collect();
            let message = Message { method, target, headers, ..get(Vec::new(), b"") };
            inspect(&message, &ruleset, &InspectionOptions::default(), &mut scratch, &|| false).findings.is_empty()
        };
        // The same path comes with and without what else is required: no answer is remembered for another request.
        for _ in 0..3 {
            assert!(passes(b"POST", b"//mgmt/x", Some(b"a")));
            assert!(passes(b"POST", b"//mgmt/x", None));
            assert!(passes(b"GET", b"//mgmt/x", Some(b"")));
            assert!(!passes(b"POST", b"//mgmt/x", Some(b"")));
            assert!(!passes(b"POST", b"/a/..;/%6dgmt/./x", Some(b"")));
        }
    }

    /// The time may be over before the body begins, or while a parser is at it.
    #[test]
    fn a_body_that_the_time_did_not_allow_is_reported() {
        let ruleset = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let long = b"some text, ".repeat(10_000);
        let json = [&b"{\"a\":["[..], &b"1,".repeat(10_000), b"1]}"].concat();
        for (body, kind) in [(&long, "text/plain"), (&json, "application/json")] {
            for late in [0, 1] {
                let asked = std::cell::Cell::new(0);
                let stop = || asked.replace(asked.get() + 1) >= late;
                let message = get(vec![Header { name: b"Content-Type", value: kind.as_bytes() }], body);
                let got = inspect(&message, &ruleset, &InspectionOptions::default(), &mut Scratch::default(), &stop);
                let reasons: Vec<_> = got.not_inspected.iter().map(|gap| gap.reason).collect();
                assert_eq!(reasons, [crate::model::SkipReason::TimeLimit], "{kind}, {late}");
            }
        }
    }

    /// Names and headers that came before are passed over; that must change no answer, wherever they come again.
    #[test]
    fn what_is_known_changes_no_answer() {
        let ruleset = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let samples = ruleset.signatures.iter().flat_map(|s| s.doc.positive.iter().chain(&s.doc.negative));
        let detectors = detect::TABLE.iter().flat_map(|d| d.samples.positive.iter().chain(d.samples.negative));
        let ordinary = ["customer_id", "prototype", "constructor", "$ne", "filter", "q"];
        let texts = samples.map(String::as_str).chain(detectors.copied()).chain(ordinary);
        let mut used = Scratch::default();
        let mut all = 0;
        for text in texts {
            let bodies = [
                serde_json::json!({ text: "x" }),
                serde_json::json!({ "constructor": { text: 1 } }),
                serde_json::json!({ "filter": { text: 1 } }),
                serde_json::json!({ "q": text, "url": [text] }),
            ];
            for round in 0..3 {
                for body in bodies.iter().map(|body| body.to_string()) {
                    let header = |name: &'static [u8]| Header { name, value: text.as_bytes() };
                    let message =
                        get(vec![header(b"X-One"), header(b"User-Agent"), header(b"Referer")], body.as_bytes());
                    let inspect = |scratch: &mut Scratch| {
                        inspect(&message, &ruleset, &InspectionOptions::default(), scratch, &|| false)
                    };
                    let (got, want) = (inspect(&mut used), inspect(&mut Scratch::default()));
                    assert_eq!(got.findings, want.findings, "{text:?} in round {round}: {body}");
                    assert_eq!((got.anomalies, got.not_inspected), (want.anomalies, want.not_inspected), "{text:?}");
                    assert_eq!((got.values, got.work), (want.values, want.work), "{text:?}");
                    all += want.work;
                }
            }
        }
        let spared = used.benign.get_mut().spared.get();
        assert!(spared * 10 > all, "hardly anything was known: {spared} of {all}");
    }

    /// User agents hold slashes, semicolons and words that are commands; no detector may ask for their location because of
    /// that, for then they are scanned anew in each request.
    #[test]
    fn user_agents_that_come_again_are_passed_over() {
        let ruleset = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let agent = b"Mozilla/5.0 (X11; Linux x86_64; rv:126.0) Gecko/20100101 Firefox/126.0";
        let mut scratch = Scratch::default();
        let mut spared = || {
            let message = get(vec![Header { name: b"User-Agent", value: agent }], b"");
            inspect(&message, &ruleset, &InspectionOptions::default(), &mut scratch, &|| false);
            scratch.benign.get_mut().spared.get()
        };
        let [first, _, third] = [spared(), spared(), spared()];
        assert!(third >= first + agent.len() as u64, "{third} work units spared");
    }

    #[test]
    fn a_panic_costs_the_opinion_of_one_detector_or_parser_on_one_value() {
        let ruleset = crate::ruleset::compile::compile(&crate::ruleset::builtin::files()).unwrap();
        let body = br#"{"a": "1' union select password from users--", "b": "../../../../etc/passwd"}"#;
        let message = get(vec![Header { name: b"Content-Type", value: b"application/json" }], body);
        let mut scratch = Scratch::default();
        let mut inspect = || inspect(&message, &ruleset, &InspectionOptions::default(), &mut scratch, &|| false);
        let whole = inspect();
        assert!(whole.not_inspected.is_empty());
        for failing in ["parser", "signatures", "sqli.grammar", "ptrav.climb"] {
            crate::model::guard::testing::make_panic(failing);
            let got = inspect();
            crate::model::guard::testing::make_panic("");
            assert!(got.not_inspected.iter().any(|gap| gap.reason == SkipReason::InternalError), "{failing}");
            assert!(!got.attacks().is_empty(), "{failing}: the rest still finds the attacks");
            assert_eq!(inspect().findings, whole.findings, "{failing} left nothing behind");
        }
    }
}
