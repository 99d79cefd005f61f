//! Tests of planning and deciding, from request and inspection to verdict.

use super::*;
use std::borrow::Cow;
use std::time::Duration;
use weir_core::model::{
    Anomaly, AnomalyKind, AttackType, Confidence, DecodedHead, DecodedPath, Finding, Header, Inspection, Message,
    NotInspected, ParserSet, PointPath, PointPattern, SkipReason, Upload,
};

/// A request to judge, with the parts that tests vary.
#[derive(Clone)]
struct Case {
    host: &'static str,
    path: Vec<&'static str>,
    name: &'static str,
    client: &'static str,
    now: u64,
    blocking: bool,
    headers: Vec<Header<'static>>,
    inspection: Inspection,
}

impl Default for Case {
    fn default() -> Self {
        Case {
            host: "shop.example",
            path: vec!["api", "v1"],
            name: "login",
            client: "192.0.2.1",
            now: 1_000,
            blocking: true,
            headers: Vec::new(),
            inspection: Inspection::default(),
        }
    }
}

impl Case {
    fn with(findings: &[Finding]) -> Self {
        Case { inspection: Inspection { findings: findings.to_vec(), ..Inspection::default() }, ..Case::default() }
    }

    fn ask<T>(&self, policy: &Policy, then: impl FnOnce(&RequestContext<'_, '_>, Plan) -> T) -> T {
        let message = Message { headers: self.headers.clone(), ..Message::default() };
        let full = format!("/{}/{}", self.path.join("/"), self.name).into_bytes();
        let facts = DecodedHead {
            method: b"POST",
            uri: Cow::Owned(full.clone()),
            host: Cow::Borrowed(self.host.as_bytes()),
            path: DecodedPath {
                text: Cow::Owned(full),
                segments: self.path.iter().map(|s| Cow::Borrowed(s.as_bytes())).collect(),
                action_name: Cow::Borrowed(self.name.as_bytes()),
                ..DecodedPath::default()
            },
            ..DecodedHead::default()
        };
        let request = RequestContext {
            message: &message,
            facts: &facts,
            client: self.client.parse().ok(),
            source: Source::default(),
            now: self.now,
            blocking: self.blocking,
            request_id: "r1",
        };
        let plan = policy.plan(&request);
        then(&request, plan)
    }

    fn plan(&self, policy: &Policy) -> Plan {
        self.ask(policy, |_, plan| plan)
    }

    fn verdict(&self, policy: &Policy) -> Verdict {
        self.ask(policy, |request, plan| {
            policy.decide(request, &plan, plan.bypass.is_none().then_some(&self.inspection))
        })
    }
}

fn local(mode: Mode) -> Settings {
    Settings { mode: Some(mode), ..Settings::default() }
}

fn policy(mode: Mode) -> Policy {
    Policy::compile(&local(mode), None).unwrap()
}

fn with_doc(settings: &Settings, text: &str) -> Policy {
    let doc = PolicyDoc::parse("test.yaml", text).unwrap_or_else(|e| panic!("{e:#?}"));
    Policy::compile(settings, Some(&doc)).unwrap_or_else(|e| panic!("{e:#?}"))
}

fn point(text: &str) -> PointPath {
    let pattern: PointPattern = serde_json::from_str(text).unwrap();
    let item = |item: weir_core::model::point::PatternItem| weir_core::model::point::PathItem {
        tag: item.tag,
        key: item.key.unwrap_or(weir_core::model::point::OwnedKey::None),
    };
    PointPath(pattern.0.into_iter().map(item).collect())
}

fn at(attack: AttackType, rule: &str, confidence: Confidence, place: &str) -> Finding {
    let (point, decisive) = (point(place), true);
    Finding {
        attack,
        rule: rule.into(),
        point,
        also_at: Vec::new(),
        confidence,
        decisive,
        start: 0,
        matched: String::new(),
    }
}

fn finding(attack: AttackType, decisive: bool) -> Finding {
    Finding { decisive, ..at(attack, "test.rule", Confidence::High, "[]") }
}

const ID: &str = r#"[["get","id"]]"#;
const USER: &str = r#"[["post"],["json_doc"],["hash","user"]]"#;

#[test]
fn attacks_block_in_block_mode_only_and_are_told_in_monitoring() {
    let mut case = Case::with(&[finding(AttackType::Sqli, true), finding(AttackType::Xss, false)]);
    let blocked = case.verdict(&policy(Mode::Block));
    assert_eq!((blocked.action, blocked.reason, blocked.would_block), (Action::Block, Some(Reason::Attack), false));
    assert_eq!(blocked.attacks, [AttackType::Sqli]);
    assert_eq!(blocked.findings.len(), 2);
    assert_eq!(blocked.reply.unwrap().body, reply::DEFAULT_BODY.as_bytes());
    for (mode, blocking) in [(Mode::Monitoring, true), (Mode::SafeBlocking, true), (Mode::Block, false)] {
        case.blocking = blocking;
        let passed = case.verdict(&policy(mode));
        assert_eq!((passed.action, passed.reason, passed.would_block), (Action::Pass, Some(Reason::Attack), true));
        assert_eq!(passed.attacks, [AttackType::Sqli]);
        assert_eq!(passed.reply, None);
    }
    let off = case.verdict(&policy(Mode::Off));
    assert_eq!((off.action, off.would_block, off.attacks.len()), (Action::Pass, false, 0));
}

#[test]
fn the_most_specific_rule_chooses_the_reply() {
    let text = r#"
rules:
  - {id: 1, type: block_reply, status: 451, body_text: "all"}
  - {id: 2, type: block_reply, body_text: "shop ${host} ${application}", action: [{type: equal, point: [header, HOST], value: shop.example}]}
  - {id: 3, type: block_reply, body_text: "over", expired_at: 1000, action: [{type: equal, point: [path, 0], value: api}, {type: equal, point: [path, 1], value: v1}]}
"#;
    let policy = with_doc(&local(Mode::Block), text);
    let case = Case::with(&[finding(AttackType::Sqli, true)]);
    let reply = case.verdict(&policy).reply.unwrap();
    assert_eq!((reply.status, reply.body.as_slice()), (403, &b"shop shop.example -1"[..]));
    assert_eq!(reply.headers[0], ("content-type".to_owned(), "text/plain; charset=utf-8".to_owned()));
    let other = Case { host: "other.example", ..case.clone() }.verdict(&policy).reply.unwrap();
    assert_eq!((other.status, other.body.as_slice()), (451, &b"all"[..]));
    let before = Case { now: 999, ..case }.verdict(&policy).reply.unwrap();
    assert_eq!(before.body, b"over");
    // What a client sends in the place of a host is not repeated to it.
    let shown = with_doc(&local(Mode::Block), "rules: [{type: block_reply, body_html: '<p title=${host}>'}]");
    let hostile = Case { host: "a onload=x", ..Case::with(&[finding(AttackType::Sqli, true)]) };
    assert_eq!(hostile.verdict(&shown).reply.unwrap().body, b"<p title=>");
}

#[test]
fn nothing_found_passes() {
    for case in [Case::default(), Case::with(&[finding(AttackType::Rce, false)])] {
        let verdict = case.verdict(&policy(Mode::Block));
        assert_eq!((verdict.action, verdict.reason, verdict.would_block), (Action::Pass, None, false));
        assert!(verdict.attacks.is_empty());
    }
}

/// The documented table from end to end: mode, list, what is found, in-line or not.
#[test]
fn every_cell_of_the_documented_table_from_end_to_end() {
    let doc = "
ip_lists:
  - {list: allow, values: [198.51.100.1]}
  - {list: deny, values: [198.51.100.2]}
  - {list: gray, values: [198.51.100.3]}
rules:
  - {type: vpatch, attack_type: xss}
";
    // Clients by list; for each mode (off, monitoring, safe_blocking, block) what blocks: nothing, an attack, a vpatch.
    let table = [
        ("198.51.100.9", ["---", "--v", "--v", "-av"]),
        ("198.51.100.1", ["---", "---", "---", "---"]),
        ("198.51.100.2", ["---", "nav", "nav", "nav"]),
        ("198.51.100.3", ["---", "--v", "-av", "-av"]),
    ];
    let mut cells = 0;
    for (client, row) in table {
        for (&mode, cell) in Mode::ALL.iter().zip(row) {
            let policy = with_doc(&local(mode), doc);
            let kinds = [
                ('n', vec![]),
                ('a', vec![finding(AttackType::Sqli, true)]),
                ('v', vec![finding(AttackType::Xss, true)]),
            ];
            for (letter, findings) in kinds {
                for blocking in [true, false] {
                    let case = Case { client, blocking, ..Case::with(&findings) };
                    let got = case.verdict(&policy).action == Action::Block;
                    assert_eq!(got, blocking && cell.contains(letter), "{client} {mode} {letter} {blocking}");
                    cells += 1;
                }
            }
        }
    }
    assert_eq!(cells, 4 * 4 * 3 * 2);
}

#[test]
fn lists_act_before_inspection_unless_told_otherwise() {
    let doc = "ip_lists: [{list: deny, values: [192.0.2.0/24], reason: scanning, expired_at: 2000}]";
    let plain = with_doc(&Settings::default(), doc);
    let plan = Case::default().plan(&plain);
    assert_eq!(plan.bypass, Some(Bypass::Denylisted));
    assert_eq!(plan.list.unwrap().reason.as_deref(), Some("scanning"));
    let verdict = Case::default().verdict(&plain);
    assert_eq!((verdict.reason, verdict.attacks), (Some(Reason::Denylist), vec![AttackType::BlockedSource]));
    let told = &verdict.findings[0];
    assert_eq!((&*told.rule, &*told.matched), ("list.deny", "192.0.2.0/24 is on the denylist: scanning"));
    assert_eq!(Case { now: 2000, ..Case::default() }.verdict(&plain).action, Action::Pass);
    let none = with_doc(&Settings { lists: false, ..Settings::default() }, doc);
    assert_eq!(Case::default().plan(&none).list, None);
    for (mode, action) in [(Mode::Monitoring, Action::Pass), (Mode::Block, Action::Block)] {
        let late = with_doc(&Settings { lists_before_inspection: false, ..local(mode) }, doc);
        assert_eq!(Case::default().plan(&late).bypass, None);
        assert_eq!(Case::default().verdict(&late).action, action, "{mode}");
    }
}

#[test]
fn anomalies_follow_their_table_and_exceptions() {
    let odd = |kind| Case {
        inspection: Inspection { anomalies: vec![Anomaly { kind, point: point(USER) }], ..Inspection::default() },
        ..Case::default()
    };
    let plain = policy(Mode::Block);
    let reported = odd(AnomalyKind::BadPercent).verdict(&plain);
    assert_eq!((reported.action, reported.anomalies.len(), reported.attacks.len()), (Action::Pass, 1, 0));
    assert_eq!(reported.findings, [], "what is reported only is no finding");
    let bomb = odd(AnomalyKind::DecompressionBomb).verdict(&plain);
    assert_eq!((bomb.action, bomb.attacks), (Action::Block, vec![AttackType::DataBomb]));
    let told = &bomb.findings[0];
    assert_eq!((&*told.rule, &told.point, told.decisive), ("anomaly.decompression_bomb", &point(USER), true));
    assert_eq!(told.matched, AnomalyKind::DecompressionBomb.about());
    let settings = Settings {
        anomalies: vec![(AnomalyKind::BadPercent, AnomalyAction::Block), (AnomalyKind::NulByte, AnomalyAction::Block)],
        ..Settings::default()
    };
    let strict = with_doc(&settings, "anomalies: {entity_bomb: ignore}");
    assert_eq!(odd(AnomalyKind::BadPercent).verdict(&strict).attacks, [AttackType::Protocol]);
    assert!(odd(AnomalyKind::EntityBomb).verdict(&strict).anomalies.is_empty());
    let spared = with_doc(&settings, r#"{"rules": [{"type": "binary_data", "point": [["post"]]}]}"#);
    assert_eq!(odd(AnomalyKind::NulByte).verdict(&spared).action, Action::Pass);
    let bombs = with_doc(&settings, "rules: [{type: disable_attack_type, attack_type: data_bomb, point: [[post]]}]");
    assert_eq!(odd(AnomalyKind::EntityBomb).verdict(&bombs).action, Action::Pass);
    assert_eq!(odd(AnomalyKind::NulByte).verdict(&bombs).action, Action::Block);
    let named = with_doc(&settings, "rules: [{type: disable_stamp, stamp: anomaly.nul_byte, point: [[post]]}]");
    assert_eq!(odd(AnomalyKind::NulByte).verdict(&named).action, Action::Pass, "an exception names it as a stamp");
    assert_eq!(odd(AnomalyKind::BadPercent).verdict(&named).action, Action::Block);
}

#[test]
fn an_inspection_that_a_bound_ended_is_told_and_passes_by_default() {
    let cut = Inspection {
        not_inspected: vec![NotInspected { point: PointPath::default(), reason: SkipReason::TimeLimit }],
        ..Inspection::default()
    };
    let case = Case { inspection: cut, ..Case::default() };
    for (overlimit, action, attacks) in [
        (OverlimitMode::Off, Action::Pass, 0),
        (OverlimitMode::Monitoring, Action::Pass, 1),
        (OverlimitMode::Blocking, Action::Block, 1),
    ] {
        let policy = Policy::compile(&Settings { overlimit: overlimit.into(), ..Settings::default() }, None).unwrap();
        let verdict = case.verdict(&policy);
        assert_eq!((verdict.action, verdict.attacks.len()), (action, attacks), "{overlimit:?}");
    }
    let doc = "
rules:
  - {type: overlimit_res_settings, overlimit_time: 50, mode: blocking, action: [{type: equal, point: [path, 0], value: api}]}
";
    let policy = with_doc(&Settings::default(), doc);
    assert_eq!(case.plan(&policy).time_limit, Duration::from_millis(50));
    assert_eq!(case.verdict(&policy).action, Action::Block);
    let other = Case { path: vec!["x"], ..case };
    assert_eq!((other.plan(&policy).time_limit, other.verdict(&policy).action), (Duration::from_secs(1), Action::Pass));
}

#[test]
fn what_was_not_inspected_is_decided_by_reason() {
    let body = point(r#"[["post"],["json_doc"],["hash","q"]]"#);
    let verdict = |reason, doc: &str| {
        let not_inspected = vec![NotInspected { point: body.clone(), reason }];
        let case = Case { inspection: Inspection { not_inspected, ..Inspection::default() }, ..Case::default() };
        let verdict = case.verdict(&with_doc(&Settings::default(), doc));
        (verdict.action, verdict.attacks)
    };
    let overlimit = vec![AttackType::OverlimitRes];
    for (reason, want) in [
        (SkipReason::NotSent, (Action::Pass, overlimit.clone())),
        (SkipReason::TimeLimit, (Action::Pass, overlimit.clone())),
        (SkipReason::Undecodable, (Action::Pass, overlimit.clone())),
        (SkipReason::ParserOff, (Action::Pass, Vec::new())),
        (SkipReason::WorkLimit, (Action::Block, overlimit.clone())),
        (SkipReason::DepthLimit, (Action::Block, overlimit.clone())),
        (SkipReason::Recodings, (Action::Block, overlimit.clone())),
        (SkipReason::Decompression, (Action::Block, overlimit)),
    ] {
        assert_eq!(verdict(reason, "rules: []"), want, "{reason:?}");
    }
    let excepted = "rules: [{type: disable_attack_type, attack_type: overlimit_res, point: [[post], [json_doc]]}]";
    assert_eq!(verdict(SkipReason::DepthLimit, excepted), (Action::Pass, Vec::new()));
}

#[test]
fn an_exception_for_any_path_to_the_same_bytes_applies() {
    let mut found = at(AttackType::Sqli, "sqli.grammar", Confidence::High, r#"[["get","q"]]"#);
    let doc = r#"rules: [{type: disable_stamp, stamp: sqli.grammar, point: [[get, q], [percent], [htmljs]]}]"#;
    let policy = with_doc(&Settings::default(), doc);
    let action = |finding: &Finding| {
        let inspection = Inspection { findings: vec![finding.clone()], ..Inspection::default() };
        Case { inspection, ..Case::default() }.verdict(&policy).action
    };
    assert_eq!(action(&found), Action::Block);
    found.also_at.push(point(r#"[["get","q"],["percent"],["htmljs"]]"#));
    assert_eq!(action(&found), Action::Pass);
}

#[test]
fn modes_come_from_routes_rules_and_their_combination() {
    let doc = "
mode: monitoring
rules:
  - {type: wallarm_mode, mode: block, action: [{type: equal, point: [header, HOST], value: SHOP.example}]}
  - type: wallarm_mode
    mode: safe_blocking
    action:
      - {type: equal, point: [header, HOST], value: shop.example}
      - {type: regex, point: [uri], value: ^/api/}
  - type: wallarm_mode
    mode: 'off'
    expired_at: 500
    action:
      - {type: equal, point: [header, HOST], value: shop.example}
      - {type: equal, point: [path, 0], value: api}
  - type: wallarm_mode
    mode: default
    action: [{type: iequal, point: [path, 0], value: Admin}]
";
    let route = RouteSettings { route: Some("/admin".into()), mode: Some(Mode::Off), ..RouteSettings::default() };
    let mut settings = Settings { routes: vec![route], ..local(Mode::SafeBlocking) };
    let policy = with_doc(&settings, doc);
    let mode = |host, path, now| Case { host, path: vec![path], now, ..Case::default() }.plan(&policy).mode;
    assert_eq!(mode("other.example", "x", 1_000), Mode::Monitoring, "general");
    assert_eq!(mode("shop.example", "x", 1_000), Mode::Block, "host");
    assert_eq!(mode("shop.example", "api", 1_000), Mode::SafeBlocking, "more conditions");
    assert_eq!(mode("shop.example", "api", 499), Mode::Off, "equal before regex, until it expires");
    assert_eq!(mode("other.example", "admin", 1_000), Mode::Off, "default falls back to the route");
    settings.mode_allow_override = ModeOverride::Strict;
    let strict = with_doc(&settings, doc);
    assert_eq!(Case { host: "o.example", ..Case::default() }.plan(&strict).mode, Mode::SafeBlocking);
    assert_eq!(Case { path: vec!["x"], ..Case::default() }.plan(&strict).mode, Mode::Block);
    settings.mode_allow_override = ModeOverride::Off;
    let local = with_doc(&settings, doc);
    assert_eq!(Case { path: vec!["x"], ..Case::default() }.plan(&local).mode, Mode::SafeBlocking);
}

#[test]
fn exceptions_leave_out_what_they_name_and_the_rest_is_weighed_again() {
    use Confidence::{High, Low, Medium};
    let findings = [
        at(AttackType::Sqli, "sqli.a", Medium, ID),
        at(AttackType::Sqli, "sqli.b", Medium, ID),
        at(AttackType::Sqli, "sqli.c", Medium, USER),
        at(AttackType::Sqli, "sqli.d", Medium, USER),
        at(AttackType::Xss, "xss.a", High, USER),
    ];
    let kept = |rules: &str, action, attacks: &[AttackType], left: usize| {
        let policy = with_doc(&Settings::default(), rules);
        let verdict = Case::with(&findings).verdict(&policy);
        assert_eq!((verdict.action, verdict.findings.len()), (action, left), "{rules}");
        assert_eq!(verdict.attacks, attacks, "{rules}");
    };
    let both = [AttackType::Sqli, AttackType::Xss];
    kept("rules: []", Action::Block, &both, 5);
    kept("rules: [{type: disable_stamp, stamp: sqli.a}]", Action::Block, &both, 4);
    kept(
        "rules: [{type: disable_stamp, stamp: sqli.a}, {type: disable_stamp, stamp: sqli.c}]",
        Action::Block,
        &[AttackType::Xss],
        3,
    );
    kept("rules: [{type: disable_stamp, stamp: sqli.a, point: [[post]]}]", Action::Block, &both, 5);
    kept("rules: [{type: disable_attack_type, attack_type: sqli}]", Action::Block, &[AttackType::Xss], 1);
    kept(
        "rules: [{type: disable_attack_type, attack_type: any, point: [[post]]}]",
        Action::Block,
        &[AttackType::Sqli],
        2,
    );
    kept("rules: [{type: disable_attack_type, attack_type: any}]", Action::Pass, &[], 0);
    kept("rules: [{type: disable_attack_type, attack_type: any, expired_at: 1000}]", Action::Block, &both, 5);
    kept("rules: [{type: disable_attack_type, attack_type: any, enabled: false}]", Action::Block, &both, 5);
    kept("rules: [{type: binary_data, point: [[post]]}]", Action::Block, &both, 3);
    kept("rules: [{type: uploads, file_type: html, point: [[post]]}]", Action::Block, &[AttackType::Sqli], 4);
    kept("rules: [{type: uploads, file_type: images, point: [[post]]}]", Action::Block, &both, 3);
    kept("rules: [{type: profile, profile: code}]", Action::Block, &both, 5);
    kept("rules: [{type: profile, profile: query-language, point: [[post]]}]", Action::Block, &both, 3);
    kept("rules: [{type: profile, profile: code, point: [[post]]}]", Action::Block, &[AttackType::Sqli], 2);
    let elsewhere =
        "rules: [{type: disable_attack_type, attack_type: any, action: [{type: equal, point: [method], value: GET}]}]";
    kept(elsewhere, Action::Block, &both, 5);
    let veto = Finding { decisive: false, ..at(AttackType::Rce, "rce.a", High, ID) };
    let policy = with_doc(&Settings::default(), "rules: [{type: disable_stamp, stamp: rce.b}]");
    let verdict = Case::with(&[veto, at(AttackType::Rce, "rce.b", Low, ID)]).verdict(&policy);
    assert_eq!(verdict.action, Action::Pass, "what the engine vetoed stays so");
}

#[test]
fn virtual_patches_block_at_their_point_in_every_mode_but_off() {
    let doc = "
rules:
  - id: 7
    type: vpatch
    attack_type: sqli
    point: [[get, id]]
    action: [{type: equal, point: [action_name], value: login}]
";
    let sqli = at(AttackType::Sqli, "sqli.a", Confidence::High, r#"[["get","id"],["base64"]]"#);
    let policy = with_doc(&local(Mode::Monitoring), doc);
    let hit = Case::with(std::slice::from_ref(&sqli)).verdict(&policy);
    assert_eq!((hit.action, hit.reason), (Action::Block, Some(Reason::Vpatch)));
    assert_eq!((hit.attacks, hit.rules), (vec![AttackType::Sqli, AttackType::Vpatch], vec![7]));
    for other in [
        Case::with(&[at(AttackType::Xss, "xss.a", Confidence::High, ID)]),
        Case::with(&[at(AttackType::Sqli, "sqli.a", Confidence::High, USER)]),
        Case { name: "logout", ..Case::with(std::slice::from_ref(&sqli)) },
        Case { blocking: false, ..Case::with(&[sqli]) },
    ] {
        let verdict = other.verdict(&policy);
        assert_eq!((verdict.action, verdict.would_block), (Action::Pass, true));
    }
}

#[test]
fn custom_signatures_are_exposed_and_judged_by_their_conditions() {
    let doc = "
rules:
  - {id: 5, type: regex, attack_type: sqli, regex: 'sel[e]ct', point: [[get, id]], action: [{type: equal, point: [path, 0], value: api}]}
  - {id: 6, type: experimental_regex, attack_type: rce, regex: '^.*$'}
  - {id: 8, type: regex, attack_type: vpatch, regex: x}
  - {id: 9, type: disable_regex, regex_id: 8, point: [[post]]}
";
    let policy = with_doc(&local(Mode::Monitoring), doc);
    let signatures = policy.custom_signatures();
    let told: Vec<_> =
        signatures.iter().map(|s| (s.name(), s.pattern.as_str(), s.points.len(), s.experimental)).collect();
    assert_eq!(
        told,
        [
            ("custom.5".into(), "sel[e]ct", 1, false),
            ("custom.6".into(), "^.+$", 0, true),
            ("custom.8".into(), "x", 0, false)
        ]
    );
    let found = |attack, rule, place| Case::with(&[at(attack, rule, Confidence::High, place)]);
    let hit = found(AttackType::Sqli, "custom.5", ID);
    assert_eq!(hit.verdict(&policy).attacks, [AttackType::Sqli]);
    let elsewhere = Case { path: vec!["x"], ..hit }.verdict(&policy);
    assert_eq!((elsewhere.attacks.len(), elsewhere.findings.len()), (0, 0));
    let experiment = found(AttackType::Rce, "custom.6", ID).verdict(&policy);
    assert_eq!((experiment.attacks.len(), experiment.findings.len()), (0, 1));
    let patch = found(AttackType::Vpatch, "custom.8", ID).verdict(&policy);
    assert_eq!((patch.action, patch.reason), (Action::Block, Some(Reason::Vpatch)));
    assert!(found(AttackType::Vpatch, "custom.8", USER).verdict(&policy).findings.is_empty());
    assert!(found(AttackType::Sqli, "custom.77", ID).verdict(&policy).findings.is_empty(), "a rule that is gone");
}

#[test]
fn parsers_and_sensitive_points_follow_inheritance() {
    let doc = "
rules:
  - {type: parser_state, parser: base64, state: disabled}
  - {type: parser_state, parser: gzip, state: disabled}
  - {type: parser_state, parser: base64, state: enabled, action: [{type: equal, point: [path, 0], value: api}]}
  - {type: parser_state, parser: xml, state: disabled, point: [[post]], action: [{type: equal, point: [path, 1], value: v1}]}
  - {type: sensitive_data, point: [[post], [json_doc], [hash, user]]}
  - {type: sensitive_data, point: [[header, X-KEY]], action: [{type: equal, point: [path, 0], value: x}]}
  - {type: set_response_header, mode: append, name: X-A, values: [b]}
";
    let policy = with_doc(&Settings::default(), doc);
    let plan = Case::default().plan(&policy);
    assert_eq!(plan.parsers_off, ParserSet::GZIP);
    assert_eq!(plan.parsers_off_at.len(), 1);
    assert!(plan.parsers_off_at[0].0 == ParserSet::XML && plan.parsers_off_at[0].1.is(&point(r#"[["post"]]"#)));
    assert_eq!(policy.sensitive(&plan, 0).count(), 1);
    let other = Case { path: vec!["x"], ..Case::default() }.plan(&policy);
    assert_eq!(other.parsers_off, ParserSet::GZIP.with(ParserSet::BASE64));
    assert_eq!((other.parsers_off_at.len(), policy.sensitive(&other, 0).count()), (0, 2));
    assert!(policy.notices()[0].to_string().starts_with("test.yaml:9:5: rules[6]: set_response_header is accepted"));
}

#[test]
fn uploads_and_bodies_have_limits() {
    let doc = "
rules:
  - {id: 1, type: file_upload_size_limit, size: 1, size_unit: mb, mode: block, point: [[post], [multipart, f]]}
  - {id: 2, type: file_upload_size_limit, size: 10, size_unit: kb, mode: monitoring}
";
    let policy = with_doc(&Settings::default(), doc);
    let upload = |bytes, length| Case {
        headers: vec![Header { name: b"Content-Length", value: length }],
        inspection: Inspection {
            uploads: vec![Upload { point: point(r#"[["post"],["multipart","f"],["file"]]"#), bytes }],
            ..Inspection::default()
        },
        ..Case::default()
    };
    let fits = upload(1 << 20, b"100").verdict(&policy);
    assert_eq!((fits.action, fits.attacks.len()), (Action::Pass, 0));
    let large = upload((1 << 20) + 1, b"100").verdict(&policy);
    assert_eq!((large.action, large.rules), (Action::Block, vec![1]));
    let told = &large.findings[0];
    assert_eq!((&*told.rule, told.decisive), ("limit.file_upload_violation", true));
    assert_eq!(told.matched, "1048577 bytes; 1048576 are allowed by rule 1");
    let body = upload(1, b"10241").verdict(&policy);
    assert_eq!((body.action, body.attacks), (Action::Pass, vec![AttackType::FileUploadViolation]));
}

#[test]
fn graphql_documents_have_limits() {
    let doc = "
rules:
  - {id: 1, type: graphql_detection, mode: monitoring, max_depth: 3}
  - {id: 2, type: graphql_detection, mode: block, max_depth: 3, action: [{type: equal, point: [path, 0], value: api}]}
  - {id: 3, type: disable_attack_type, attack_type: gql_introspection}
";
    let policy = with_doc(&Settings::default(), doc);
    let facts = weir_core::model::GraphqlStats { depth: 4, introspection: true, ..Default::default() };
    let case = Case { inspection: Inspection { graphql: Some(facts), ..Inspection::default() }, ..Case::default() };
    let blocked = case.verdict(&policy);
    let words: Vec<(&str, &str)> = blocked.findings.iter().map(|f| (&*f.rule, f.matched.as_str())).collect();
    assert_eq!(words, [("limit.gql_depth", "4 levels; 3 are allowed by rule 2")]);
    assert_eq!((blocked.action, blocked.attacks, blocked.rules), (Action::Block, vec![AttackType::GqlDepth], vec![2]));
    let told = Case { path: vec!["x"], ..case }.verdict(&policy);
    assert_eq!((told.action, told.rules, told.would_block), (Action::Pass, vec![1], false));
}

#[test]
fn applications_come_from_routes_and_scope_lists_and_rules() {
    let route = RouteSettings { host: Some("*.example".into()), application: Some(3), ..RouteSettings::default() };
    let settings = Settings { routes: vec![route], application: 9, ..Settings::default() };
    let doc = "
ip_lists: [{list: deny, values: [192.0.2.1], applications: [3]}]
rules: [{type: wallarm_mode, mode: monitoring, action: [{type: equal, point: [instance], value: '3'}]}]
";
    let policy = with_doc(&settings, doc);
    let inside = Case::default().plan(&policy);
    assert_eq!((inside.application, inside.mode, inside.bypass), (3, Mode::Monitoring, Some(Bypass::Denylisted)));
    let outside = Case { host: "other.org", ..Case::default() }.plan(&policy);
    assert_eq!((outside.application, outside.mode, outside.bypass), (9, Mode::Block, None));
}

#[test]
fn mistakes_in_a_document_are_told_all_at_once_with_their_place() {
    let text = "\
version: 2
mode: blocking
anomalies: {bad_percent: maybe, bad_day: block}
rules:
  - type: vpatch
    attack_type: sql
    piont: [[get, id]]
  - {type: wallarm_mode}
  - {id: 3, type: regex, attack_type: sqli, regex: '(', action: [{type: equal, point: [path, x], value: a}]}
  - {id: 4, type: disable_stamp, stamp: a}
  - {id: 4, type: disable_stamp, stamp: b, point: [[nope]]}
  - {id: 4, type: disable_stamp, stamp: b}
  - {type: teleport}
  - {type: overlimit_res_settings, overlimit_time: 0}
ip_lists:
  - {list: deny, values: [300.0.0.1]}
";
    let doc = PolicyDoc::parse("p.yaml", text).unwrap();
    let settings = Settings { reply: ReplySettings { status: 1, ..ReplySettings::default() }, ..Settings::default() };
    let told: Vec<String> =
        Policy::compile(&settings, Some(&doc)).unwrap_err().iter().map(ToString::to_string).collect();
    for start in [
        "reply.status: 1 is not a status",
        "p.yaml:1:10: version: expected a number from 1 to 1",
        "p.yaml:2:7: mode: expected one of off, monitoring",
        "p.yaml:3:26: anomalies.bad_percent: expected `ignore`, `report` or `block`",
        "p.yaml:3:42: anomalies.bad_day: there is no such anomaly",
        "p.yaml:6:18: rules[0].attack_type: expected an attack type such as `sqli`, or `any`, got `\"sql\"`",
        "p.yaml:7:12: rules[0].piont: unknown key; did you mean `point`?",
        "p.yaml:8:5: rules[1].mode: `mode` is missing",
        "p.yaml:9:52: rules[2].regex: unclosed group",
        "p.yaml:9:65: rules[2].action[0].point: `x` is not the number",
        "p.yaml:11:51: rules[4].point: unknown point tag `nope`",
        "p.yaml:12:10: rules[5].id: rules[3] has the id 4 too",
        "p.yaml:13:12: rules[6].type: unknown rule type `teleport`",
        "p.yaml:14:52: rules[7].overlimit_time: expected a number from 1 to 10000",
        "p.yaml:16:26: ip_lists[0].values[0]: `\"300.0.0.1\"`",
    ] {
        assert!(told.iter().any(|line| line.starts_with(start)), "{start}\n{told:#?}");
    }
    assert_eq!(told.len(), 15, "{told:#?}");
}

#[test]
fn the_documented_example_is_valid_and_the_page_names_everything() {
    let policy = with_doc(&Settings::default(), include_str!("../../../docs/policy.example.yaml"));
    assert_eq!(policy.notices(), []);
    let page = include_str!("../../../docs/policy.md");
    let types = rule::TYPES.split(", ").map(str::to_owned);
    let kinds = source::SOURCE_KINDS.iter().map(|code| (*code).to_owned());
    let modes = Mode::ALL.iter().map(|mode| mode.code().to_owned());
    for name in types.chain(kinds).chain(modes) {
        assert!(page.contains(&format!("`{name}`")), "docs/policy.md does not name `{name}`");
    }
    for &kind in AnomalyKind::ALL {
        let blocked = anomalies::AnomalyTable::default().get(kind) == AnomalyAction::Block;
        // A kind that the page does not name yet must at least be one that is only reported.
        let line = page.lines().find(|line| line.starts_with(&format!("| `{}` |", kind.code())));
        assert_eq!(line.is_some_and(|line| line.contains("| block |")), blocked, "{kind:?}");
    }
}

mod index {
    use super::*;
    use proptest::prelude::*;

    /// Conditions over few values, so that many hold.
    fn any_condition() -> impl Strategy<Value = String> {
        let value = prop_oneof![Just("a"), Just("A"), Just("b")];
        let point = prop_oneof![
            Just("[header, HOST]"),
            Just("[path, 0]"),
            Just("[path, 1]"),
            Just("[path, 3]"),
            Just("[action_name]"),
            Just("[instance]"),
            Just("[action_ext]"),
        ];
        (prop_oneof![Just("equal"), Just("iequal"), Just("regex"), Just("absent")], point, value).prop_map(
            |(kind, point, value)| {
                let value = if kind == "absent" { "''" } else { value };
                format!("{{type: {kind}, point: {point}, value: {value}}}")
            },
        )
    }

    proptest! {
        /// The index finds exactly the actions whose conditions hold: each rule marks itself with a sensitive point.
        #[test]
        fn answers_as_trying_every_rule(
            rules in prop::collection::vec(prop::collection::vec(any_condition(), 0..4), 1..12),
            host in prop_oneof![Just("a"), Just("b"), Just("")],
            path in prop::collection::vec(prop_oneof![Just("a"), Just("A"), Just("c")], 0..5),
            name in prop_oneof![Just("a"), Just("A"), Just("")],
        ) {
            let mut text = String::from("rules:\n");
            for (number, conditions) in rules.iter().enumerate() {
                text += &format!("  - {{type: sensitive_data, point: [[path, {number}]], action: [{}]}}\n", conditions.join(", "));
            }
            let policy = with_doc(&Settings::default(), &text);
            let case = Case { host, path, name, ..Case::default() };
            let (fast, slow) = case.ask(&policy, |request, plan| {
                let mut fast: Vec<String> = policy.sensitive(&plan, 0).map(|p| format!("{p:?}")).collect();
                fast.sort();
                let holds = |condition: &String| {
                    let value: serde_json::Value = serde_saphyr::from_str(condition).unwrap();
                    condition::Condition::read(&value).unwrap().holds(&reading::Reading {
                        request,
                        host: &request.facts.host,
                        path: &request.facts.path,
                        application: plan.application,
                    })
                };
                let fits = rules.iter().enumerate().filter(|(_, conditions)| conditions.iter().all(holds));
                let mut slow: Vec<String> = fits
                    .map(|(number, _)| format!("{:?}", serde_json::from_str::<PointPattern>(&format!("[[\"path\",{number}]]")).unwrap()))
                    .collect();
                slow.sort();
                (fast, slow)
            });
            prop_assert_eq!(fast, slow);
        }
    }
}

fn joined(settings: &Settings, local: &str, remote: &str) -> Policy {
    let doc = |text| PolicyDoc::parse("test.yaml", text).unwrap_or_else(|e| panic!("{e:#?}"));
    Policy::join(settings, Some(&doc(local)), Some(&doc(remote))).unwrap_or_else(|e| panic!("{e:#?}"))
}

#[test]
fn the_control_planes_mode_joins_the_local_one_as_the_override_says() {
    let mode = |mode_allow_override, own: &str, theirs: &str| {
        let settings = Settings { mode_allow_override, ..local(Mode::Monitoring) };
        Case::default().plan(&joined(&settings, own, theirs)).mode
    };
    for (own, theirs, off, on, strict) in [
        ("", "mode: block", Mode::Monitoring, Mode::Block, Mode::Block),
        ("", "mode: off", Mode::Monitoring, Mode::Off, Mode::Monitoring),
        ("", "mode: default", Mode::Monitoring, Mode::Monitoring, Mode::Monitoring),
        ("mode: safe_blocking", "", Mode::Monitoring, Mode::SafeBlocking, Mode::SafeBlocking),
        // The control plane may be stricter than the node's own document too, not more lenient.
        ("mode: block", "mode: off", Mode::Monitoring, Mode::Off, Mode::Block),
        ("mode: off", "mode: block", Mode::Monitoring, Mode::Block, Mode::Block),
        ("rules: [{type: wallarm_mode, mode: off}]", "mode: block", Mode::Monitoring, Mode::Block, Mode::Block),
        ("mode: block", "rules: [{type: wallarm_mode, mode: off}]", Mode::Monitoring, Mode::Off, Mode::Block),
        ("mode: block", "rules: [{type: wallarm_mode, mode: default}]", Mode::Monitoring, Mode::Block, Mode::Block),
    ] {
        let got = [ModeOverride::Off, ModeOverride::On, ModeOverride::Strict].map(|by| mode(by, own, theirs));
        assert_eq!(got, [off, on, strict], "own `{own}`, theirs `{theirs}`");
    }
}

#[test]
fn rules_and_lists_of_both_documents_apply() {
    let own = "ip_lists: [{list: deny, values: [192.0.2.1]}]\nanomalies: {nul_byte: block, bad_host: block}\n\
               rules: [{type: disable_attack_type, attack_type: sqli}]";
    let theirs = "ip_lists: [{list: allow, values: [192.0.2.7]}]\nanomalies: {bad_host: ignore}\n\
                  rules: [{type: disable_attack_type, attack_type: xss}]";
    let policy = joined(&local(Mode::Block), own, theirs);
    let client = |client| Case { client, ..Case::default() }.verdict(&policy).list.map(|hit| hit.list);
    assert_eq!((client("192.0.2.1"), client("192.0.2.7")), (Some(List::Deny), Some(List::Allow)));
    for (attack, blocked) in [(AttackType::Sqli, false), (AttackType::Xss, false), (AttackType::Rce, true)] {
        let case = Case { client: "192.0.2.9", ..Case::with(&[finding(attack, true)]) };
        assert_eq!(case.verdict(&policy).action == Action::Block, blocked, "{attack:?}");
    }
    assert_eq!(policy.anomalies.get(AnomalyKind::NulByte), AnomalyAction::Block);
    assert_eq!(policy.anomalies.get(AnomalyKind::BadHost), AnomalyAction::Ignore);
}

#[test]
fn ids_of_the_own_document_step_aside_for_those_of_the_control_plane() {
    let own = "rules:\n- {id: 7, type: regex, regex: own, attack_type: rce}\n\
               - {id: 8, type: regex, regex: alone, attack_type: rce}\n\
               - {type: disable_regex, regex_id: 7, point: [[header, X-A]]}\n\
               - {type: disable_stamp, stamp: custom.7, point: [[header, X-B]]}\n";
    let theirs = "rules: [{id: 7, type: regex, regex: theirs, attack_type: sqli}]";
    let policy = joined(&local(Mode::Block), own, theirs);
    let names: Vec<_> = policy.custom_signatures().iter().map(|s| (s.name(), s.pattern.clone())).collect();
    let moved = format!("custom.{}", 1u64 << 52);
    let want = [("custom.7", "theirs"), ("custom.8", "alone"), (moved.as_str(), "own")];
    assert_eq!(names, want.map(|(name, pattern)| (name.to_owned(), pattern.to_owned())));
    for (rule, place, blocked) in [
        ("custom.7", r#"[["header","X-A"]]"#, true),
        ("custom.7", r#"[["header","X-B"]]"#, true),
        (moved.as_str(), r#"[["header","X-A"]]"#, false),
        (moved.as_str(), r#"[["header","X-B"]]"#, false),
        (moved.as_str(), r#"[["header","X-C"]]"#, true),
    ] {
        let case = Case::with(&[at(AttackType::Rce, rule, Confidence::High, place)]);
        assert_eq!(case.verdict(&policy).action == Action::Block, blocked, "{rule} at {place}");
    }
}
