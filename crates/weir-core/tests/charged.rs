//! Inputs that cost much CPU cost many units of work, in proportion to their length, so that the work limit ends them in time.
//! Each was found by the search of `benches/worst.rs`, when what it made detectors and parsers do was charged too little.

use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::Limits;
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};

/// Units that the inspection of a body of `unit` again and again takes, at about `bytes` bytes.
fn work(rules: &Ruleset, media: &str, unit: &str, bytes: usize) -> u64 {
    let body = unit.repeat(bytes / unit.len());
    let raw = format!("POST /api HTTP/1.1\r\nHost: a.example\r\nContent-Type: {media}\r\n\r\n{body}");
    let (message, options) = (message::request(raw.as_bytes()), InspectionOptions::default());
    inspect(&message, rules, &options, &mut Scratch::default(), &|| false).work
}

#[test]
fn what_costs_much_is_charged_much() {
    let rules = compile::compile(&builtin::files()).expect("built-in rules compile");
    for (media, unit, least) in [
        ("application/graphql", "`id`", 15),
        ("application/graphql", "{a}", 30),
        ("text/plain", "`id`", 12),
        ("text/plain", ";id\tx", 25),
        ("application/json", "[\"$<a %2525[\"", 50),
        ("application/json", "<script><%|", 7),
        ("text/plain", "|id<%|id><%－", 9),
        ("application/json", "\nsystem(${%25$(+AHw-*{", 30),
    ] {
        let [once, twice] = [8 << 10, 16 << 10].map(|bytes| work(&rules, media, unit, bytes));
        assert!(once >= least * (8 << 10), "{unit} as {media}: {} units a byte", once >> 13);
        assert!(2 * twice <= 5 * once, "{unit} as {media}: {once} units, {twice} for twice as many bytes");
        // Both parts of the message, and once more as it is.
        let most = 3 * Limits::default().work_for(8 << 10) + Limits::WORK_UNPARSED_PER_BYTE * (8 << 10);
        assert!(once <= most, "{unit} as {media}: {once} units");
    }
}

/// The point of a value in a deep document is long, and to name it or to walk along it takes time.
#[test]
fn a_value_costs_about_the_same_however_deep_it_is() {
    let rules = compile::compile(&builtin::files()).expect("built-in rules compile");
    let values = "\"$<a %2525[ (x)\",".repeat(200);
    let work = |depth: usize| {
        let nested = [&"[".repeat(depth), values.as_str(), "1", &"]".repeat(depth)].concat();
        work(&rules, "application/json", &nested, nested.len())
    };
    let [shallow, deep] = [2, 200].map(work);
    assert!(deep <= shallow + shallow / 2, "{shallow} units at the top, {deep} below 200 arrays");
}
