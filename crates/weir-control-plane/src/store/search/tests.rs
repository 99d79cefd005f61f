use super::*;
use proptest::prelude::*;

/// 2026-11-25 15:30:00.250 UTC, a Wednesday.
const NOW: i64 = 1_795_620_600_250;
const DAY: i64 = 86_400_000;
/// 2026-11-25 00:00 UTC.
const TODAY: i64 = 1_795_564_800_000;

fn read(text: &str) -> Result<Filter, SearchError> {
    let applications = [(7, "Web shop".to_owned())];
    parse(text, SearchContext { now: NOW, applications: &applications })
}

fn filter(change: impl FnOnce(&mut Filter)) -> Filter {
    let mut filter = Filter::default();
    change(&mut filter);
    filter
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

#[test]
fn every_attribute_is_read() {
    let cases: Vec<(&str, Filter)> = vec![
        ("", Filter::default()),
        ("attacks", Filter::default()),
        (
            "sqli XSS !rce",
            filter(|f| {
                f.attack_types.any = vec![AttackType::Sqli, AttackType::Xss];
                f.attack_types.none = vec![AttackType::Rce];
            }),
        ),
        (
            "ip:10.0.0.1 10.1.0.0/16",
            filter(|f| f.ips.any = vec!["10.0.0.1/32".parse().unwrap(), "10.1.0.0/16".parse().unwrap()]),
        ),
        ("ip:192.168.*.*", filter(|f| f.ips.any = vec!["192.168.0.0/16".parse().unwrap()])),
        ("ip:10.0.0.0-10.0.0.3", filter(|f| f.ips.any = vec!["10.0.0.0/30".parse().unwrap()])),
        ("!ip:2001:db8::1", filter(|f| f.ips.none = vec!["2001:db8::1/128".parse().unwrap()])),
        ("2001:db8::/32", filter(|f| f.ips.any = vec!["2001:db8::/32".parse().unwrap()])),
        ("ip:100+", filter(|f| f.sources = Some(Span { min: Some(100), max: None }))),
        (
            "country:nl !country:US",
            filter(|f| {
                f.countries.any = words(&["NL"]);
                f.countries.none = words(&["US"]);
            }),
        ),
        (
            "host:a.example path:/x point:id hits:>3 sources:2-5",
            filter(|f| {
                f.hosts.any = words(&["a.example"]);
                f.paths.any = words(&["/x"]);
                f.points.any = words(&["id"]);
                f.hits = Some(Span { min: Some(4), max: None });
                f.sources = Some(Span { min: Some(2), max: Some(5) });
            }),
        ),
        ("since:24h until:2026-11-25", filter(|f| (f.from, f.to) = (Some(NOW - DAY), Some(TODAY)))),
        ("since:1795564800000", filter(|f| f.from = Some(TODAY))),
        ("since:2026-11-25T00:00:00Z", filter(|f| f.from = Some(TODAY))),
        ("source:Tor", filter(|f| f.source_types.any = words(&["tor"]))),
        (
            "statuscode:500-599 statuscode:404",
            filter(|f| {
                f.status_codes.any = vec![Span { min: Some(500), max: Some(599) }, Span::exactly(404)];
            }),
        ),
        (
            "s:>100 size:<=5",
            filter(|f| {
                f.sizes.any = vec![Span { min: Some(101), max: None }, Span { min: None, max: Some(5) }];
            }),
        ),
        ("method:post GET", filter(|f| f.methods.any = words(&["POST", "GET"]))),
        (
            "d:Shop domain:*.example.com api.example.com",
            filter(|f| f.hosts.any = words(&["shop", "*.example.com", "api.example.com"])),
        ),
        ("u:/a* /etc/passwd", filter(|f| f.paths.any = words(&["/a*", "/etc/passwd"]))),
        ("app:3 app:'web shop'", filter(|f| f.applications.any = vec![3, 7])),
        ("p:json_doc param:'my name' token=", filter(|f| f.points.any = words(&["json_doc", "my name", "token"]))),
        ("N:>100", filter(|f| f.hits = Some(Span { min: Some(101), max: None }))),
        ("request_id:a:b", filter(|f| f.request_ids.any = words(&["a:b"]))),
        ("node_uuid:n1", filter(|f| f.nodes.any = words(&["n1"]))),
        ("proto:HTTP/2*", filter(|f| f.protocols.any = words(&["HTTP/2*"]))),
        (
            "mode:monitoring action:pass",
            filter(|f| {
                f.modes.any = words(&["monitoring"]);
                f.actions.any = words(&["pass"]);
            }),
        ),
        (
            "blocked status:partially_blocked monitored",
            filter(|f| {
                f.statuses.any = vec![AttackStatus::Blocked, AttackStatus::PartiallyBlocked, AttackStatus::Monitoring];
            }),
        ),
        (
            "!falsepositive mark:none",
            filter(|f| {
                f.marks.none = vec![Some(Mark::Fp)];
                f.marks.any = vec![None];
            }),
        ),
        ("rule:42", filter(|f| f.rules.any = words(&["42"]))),
        ("type:sqli", filter(|f| f.attack_types.any = vec![AttackType::Sqli])),
    ];
    for (text, expected) in cases {
        assert_eq!(read(text), Ok(expected), "{text}");
    }
}

#[test]
fn every_period_is_read() {
    let minute = 60_000;
    let cases = [
        ("today", Some(TODAY), Some(TODAY + DAY)),
        ("sqli yesterday", Some(TODAY - DAY), Some(TODAY)),
        ("this week", Some(TODAY - 2 * DAY), Some(NOW + 1)),
        ("last week", Some(TODAY - 9 * DAY), Some(NOW + 1)),
        ("last 2 days", Some(TODAY - 2 * DAY), Some(NOW + 1)),
        ("this month", Some(TODAY - 24 * DAY), Some(NOW + 1)),
        ("last 1 month /x", Some(TODAY - 55 * DAY), Some(NOW + 1)),
        ("11/24/2026", Some(TODAY - DAY), Some(TODAY)),
        ("11/24/26", Some(TODAY - DAY), Some(TODAY)),
        ("11/24", Some(TODAY - DAY), Some(TODAY)),
        ("2026-11-24", Some(TODAY - DAY), Some(TODAY)),
        ("11/23/2026-11/24/2026", Some(TODAY - 2 * DAY), Some(TODAY)),
        ("2026-11-23-2026-11-24", Some(TODAY - 2 * DAY), Some(TODAY)),
        ("2026-11-23..2026-11-24", Some(TODAY - 2 * DAY), Some(TODAY)),
        ("11/2026", Some(TODAY - 24 * DAY), Some(TODAY + 6 * DAY)),
        ("10-11/2026", Some(TODAY - 55 * DAY), Some(TODAY + 6 * DAY)),
        ("11/25/2026 00:01", Some(TODAY + minute), Some(TODAY + 2 * minute)),
        ("00:01-00:02", Some(TODAY + minute), Some(TODAY + 3 * minute)),
        ("11/24/2026 00:01-11/25/2026 00:02", Some(TODAY - DAY + minute), Some(TODAY + 3 * minute)),
        (">11/24/2026", Some(TODAY), None),
        ("<11/24/2026", None, Some(TODAY - DAY)),
        (">11/22/2026 <11/24/2026", Some(TODAY - 2 * DAY), Some(TODAY - DAY)),
    ];
    for (text, from, to) in cases {
        let filter = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!((filter.from, filter.to), (from, to), "{text}");
    }
}

#[test]
fn mistakes_say_where_and_what_instead() {
    let cases = [
        ("sqli foo:1", 6, "known are"),
        ("nonsense", 1, "not understood"),
        ("sqli ip:", 6, "ip:203.0.113.0/24"),
        ("ip:300.1.1.1", 1, "no address"),
        ("ip:1.*.1.*", 1, "no address"),
        ("statuscode:x", 1, "`400-499`"),
        ("statuscode:9-1", 1, "range"),
        ("country:Holland", 1, "two letters"),
        ("app:unknown", 1, "Settings"),
        ("status:403", 1, "statuscode:403"),
        ("p:'open", 3, "never closed"),
        ("sqli ! x", 6, "negate"),
        ("incidents", 1, "not kept"),
        ("a:size", 1, "no attribute"),
        ("13/45/2026", 1, "no date"),
        ("today yesterday", 7, "one period"),
        ("!today", 1, "cannot be negated"),
        ("last fortnight", 1, "last week"),
        ("11/24/2026-11/23/2026", 1, "earlier date first"),
        ("mode:fast", 1, "safe_blocking"),
        ("p:é N:1 N:2", 9, "once"),
    ];
    for (text, column, part) in cases {
        let error = read(text).unwrap_err();
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
    assert!(read(&"a".repeat(MAX_SEARCH + 1)).is_err());
}

#[test]
fn quoted_values_come_back() {
    for value in ["plain", "two words", "it's", ""] {
        let text = format!("p:{} sqli", quote(value));
        if value.is_empty() {
            assert!(read(&text).is_err());
        } else {
            assert_eq!(read(&text).unwrap().points.any, [value], "{text}");
        }
    }
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,60}") {
        let _read = read(&text);
    }

    #[test]
    fn nor_does_what_looks_right(text in "(!?(ip|d|u|p|s|N|statuscode|last|this|[0-9]{1,5})[:/. -]{0,2}[0-9a-z*/:.+<>-]{0,12} ?){0,4}") {
        let _read = read(&text);
    }
}
