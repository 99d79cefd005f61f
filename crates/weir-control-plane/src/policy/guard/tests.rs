use super::*;
use crate::policy::{IpEntry, Scope};

const NOW: u64 = 1_767_225_600;

fn entry(id: u64, rule: Value) -> RuleEntry {
    RuleEntry {
        id,
        groups: Vec::new(),
        rule: rule.as_object().cloned().unwrap_or_default(),
        from_hit: String::new(),
        created_by: "user:a".into(),
        created_at: 1,
        updated_at: 1,
    }
}

fn with(rules: &[Value]) -> PolicyState {
    let rules = (1..).zip(rules).map(|(id, rule)| entry(id, rule.clone())).collect();
    PolicyState { rules, ..PolicyState::first() }
}

fn mode(code: &str) -> PolicyState {
    PolicyState { base: Scope { mode: Some(code.into()), ..Scope::default() }, ..PolicyState::first() }
}

/// What has to be typed for a rule that is added; none where it needs no confirmation.
fn asked(rule: Value) -> Option<String> {
    let all = dangers(&PolicyState::first(), &with(&[rule]), NOW);
    (!all.is_empty()).then(|| word(&all))
}

fn host(name: &str) -> Value {
    json!({"type": "equal", "point": ["header", "HOST"], "value": name})
}

#[test]
fn rules_without_a_scope_are_told_from_those_with_one() {
    let path = json!({"type": "equal", "point": ["path", 0], "value": "api"});
    let any_path = json!({"type": "regex", "point": ["action_name"], "value": "^.+$"});
    let post = json!({"type": "equal", "point": ["method"], "value": "POST"});
    let lacks = json!({"type": "absent", "point": ["header", "X-NEVER-SENT"]});
    let root = json!({"type": "absent", "point": ["path", 0]});
    let (everywhere, shop) = (Some("everywhere".to_owned()), Some("shop.example".to_owned()));
    for (rule, wanted) in [
        (json!({"type": "disable_attack_type", "attack_type": "any"}), everywhere.clone()),
        (
            json!({"type": "disable_attack_type", "attack_type": "sqli", "action": [post, lacks, any_path]}),
            everywhere.clone(),
        ),
        (json!({"type": "disable_attack_type", "attack_type": "sqli", "action": [path]}), None),
        (json!({"type": "disable_attack_type", "attack_type": "sqli", "action": [root]}), None),
        (json!({"type": "disable_attack_type", "attack_type": "any", "action": [host("Shop.example")]}), shop.clone()),
        (json!({"type": "disable_attack_type", "attack_type": "any", "point": [["post"]]}), everywhere.clone()),
        (json!({"type": "disable_attack_type", "attack_type": "any", "point": [["get", "q"]]}), None),
        (json!({"type": "disable_attack_type", "attack_type": "any", "point": [["path", 0]]}), everywhere.clone()),
        (
            json!({"type": "disable_attack_type", "attack_type": "any", "point": [["post"], ["json_doc"], ["array", 0]]}),
            everywhere.clone(),
        ),
        (json!({"type": "disable_stamp", "stamp": "a", "point": [["header", "User-Agent"]]}), everywhere.clone()),
        (json!({"type": "disable_stamp", "stamp": "a", "point": [["header", "X-NOTE"]]}), None),
        (json!({"type": "disable_stamp", "stamp": "a", "point": [["header", "COOKIE"], ["cookie", "sid"]]}), None),
        (
            json!({"type": "disable_attack_type", "attack_type": "any", "point": [["path", 0]], "action": [host("shop.example")]}),
            shop.clone(),
        ),
        (
            json!({"type": "disable_stamp", "stamp": "a", "point": [["path", 0]], "action": [host("shop.example")]}),
            None,
        ),
        (json!({"type": "vpatch", "attack_type": "any", "point": [["path", 1]]}), everywhere.clone()),
        (json!({"type": "disable_stamp", "stamp": "a"}), everywhere.clone()),
        (json!({"type": "disable_stamp", "stamp": "a", "action": [host("shop.example")]}), None),
        (json!({"type": "disable_stamp", "stamp": "a", "enabled": false}), None),
        (json!({"type": "disable_stamp", "stamp": "a", "expired_at": NOW}), None),
        (json!({"type": "binary_data"}), everywhere.clone()),
        (json!({"type": "profile", "profile": "code"}), everywhere.clone()),
        (json!({"type": "profile", "profile": "code", "action": [host("shop.example")]}), shop.clone()),
        (json!({"type": "profile", "profile": "code", "action": [path]}), None),
        (json!({"type": "parser_state", "parser": "json_doc", "state": "disabled"}), everywhere.clone()),
        (json!({"type": "parser_state", "parser": "json_doc", "state": "enabled"}), None),
        (json!({"type": "vpatch", "attack_type": "any"}), everywhere.clone()),
        (json!({"type": "vpatch", "attack_type": "sqli", "action": [host("shop.example")]}), None),
        (
            json!({"type": "regex", "regex": ".*", "attack_type": "vpatch", "action": [host("shop.example")]}),
            shop.clone(),
        ),
        (json!({"type": "regex", "regex": "tea-?pot", "attack_type": "vpatch"}), None),
        (json!({"type": "wallarm_mode", "mode": "off"}), everywhere.clone()),
        (json!({"type": "wallarm_mode", "mode": "monitoring", "action": [host("shop.example")]}), shop),
        (json!({"type": "wallarm_mode", "mode": "off", "action": [host("shop.example"), path]}), None),
        (json!({"type": "wallarm_mode", "mode": "block"}), None),
        (json!({"type": "sensitive_data", "point": [["post"]]}), None),
    ] {
        assert_eq!(asked(rule.clone()), wanted, "{rule}");
    }
}

#[test]
fn the_place_of_an_exception_is_named() {
    let says = |rule: Value| dangers(&PolicyState::first(), &with(&[rule]), NOW).remove(0).says;
    let rule = |point: Value| json!({"type": "disable_attack_type", "attack_type": "any", "point": point});
    assert_eq!(says(rule(json!([]))), "any attack is ignored everywhere");
    assert_eq!(says(rule(json!([["path", 0]]))), "any attack is ignored in [path,0] everywhere");
    assert_eq!(says(rule(json!([["post"], ["json_doc"]]))), "any attack is ignored in [post][json_doc] everywhere");
}

#[test]
fn a_weaker_mode_is_found_whatever_leads_to_it() {
    let told = |before: &PolicyState, after: &PolicyState| -> Vec<String> {
        dangers(before, after, NOW).into_iter().map(|one| one.says).collect()
    };
    let none: [&str; 0] = [];
    assert_eq!(told(&mode("block"), &mode("monitoring")), ["filtration mode everywhere: blocking \u{2192} monitoring"]);
    assert_eq!(told(&mode("monitoring"), &mode("block")), none);
    assert_eq!(told(&mode("off"), &mode("monitoring")), none, "it protects more");
    let fresh = told(&PolicyState::first(), &mode("off"));
    assert_eq!(fresh, ["filtration mode everywhere: as configured on each node \u{2192} off"]);
    let strict = json!({"type": "wallarm_mode", "mode": "block", "action": [host("shop.example")]});
    let both = |rules: &[Value]| PolicyState { base: mode("monitoring").base, ..with(rules) };
    let gone = told(&both(std::slice::from_ref(&strict)), &both(&[]));
    assert_eq!(gone, ["filtration mode on shop.example: blocking \u{2192} monitoring"], "its rule was removed");
    assert_eq!(told(&both(std::slice::from_ref(&strict)), &both(&[strict])), none);
    let mut edge = mode("block");
    edge.groups.insert("edge".into(), Scope { mode: Some("off".into()), ..Scope::default() });
    assert_eq!(told(&mode("block"), &edge), ["filtration mode everywhere of node group edge: blocking \u{2192} off"]);
    let mut lax = mode("block");
    lax.base.anomalies.insert("duplicate_host".into(), "report".into());
    assert_eq!(told(&mode("block"), &lax), ["protocol anomaly duplicate_host is not blocked any more"]);
    assert_eq!(told(&lax, &lax), none);
}

#[test]
fn lists_of_a_large_part_of_all_addresses_are_told() {
    let listed = |list: &str, values: &[&str]| {
        let entry = |(id, value): (u64, &&str)| IpEntry {
            id,
            list: list.into(),
            rule_type: "ip_range".into(),
            value: (*value).into(),
            applications: Vec::new(),
            groups: Vec::new(),
            expired_at: None,
            reason: String::new(),
            created_by: String::new(),
            created_at: 0,
        };
        PolicyState { ip_lists: (1..).zip(values).map(entry).collect(), ..PolicyState::first() }
    };
    let told = |list, values: &[&str]| dangers(&PolicyState::first(), &listed(list, values), NOW).len();
    assert_eq!((told("allow", &["0.0.0.0/0"]), told("deny", &["::/0"])), (1, 1));
    assert_eq!(told("deny", &["0.0.0.0/1", "128.0.0.0/1"]), 1);
    assert_eq!(told("deny", &["0.0.0.0-255.255.255.255"]), 1);
    assert_eq!(told("allow", &["10.0.0.0/8", "192.168.0.0/16", "2001:db8::/32", "192.0.2.1", "fd00::/8"]), 0);
    assert_eq!(told("gray", &["0.0.0.0/0"]), 0, "a graylist alone blocks no one");
}

#[test]
fn a_confirmation_is_for_one_difference() {
    let refused = |before: &PolicyState, after: &PolicyState, given: Option<&Confirm>| match confirmed(
        before,
        after,
        dangers(before, after, NOW),
        given,
    ) {
        Ok(()) => None,
        Err(Error::Unconfirmed(why)) => Some(*why),
        Err(other) => panic!("{other}"),
    };
    let (before, off, monitoring) = (mode("block"), mode("off"), mode("monitoring"));
    let asked = refused(&before, &off, None).unwrap();
    assert_eq!((asked.word.as_str(), asked.stale), ("everywhere", false));
    let given = |hash: &str, word: Option<&str>| Confirm { hash: hash.into(), word: word.map(str::to_owned) };
    assert_eq!(refused(&before, &off, Some(&given(&asked.confirm, None))), None);
    assert_eq!(refused(&before, &off, Some(&given(&asked.confirm, Some(" Everywhere ")))), None);
    assert!(refused(&before, &off, Some(&given(&asked.confirm, Some("yes")))).unwrap().stale, "another word was typed");
    assert!(refused(&before, &monitoring, Some(&given(&asked.confirm, None))).unwrap().stale, "another difference");
    assert!(refused(&monitoring, &off, Some(&given(&asked.confirm, None))).unwrap().stale);
    let mut more = off.clone();
    more.rules.push(entry(1, json!({"type": "disable_stamp", "stamp": "a", "point": [["get", "q"]]})));
    assert!(refused(&before, &more, Some(&given(&asked.confirm, None))).is_some(), "a harmless change came along");
    let mut later = more.clone();
    later.rules[0].created_at = 99;
    assert_eq!(
        refused(&before, &more, None).unwrap().confirm,
        refused(&before, &later, None).unwrap().confirm,
        "the time is no part of it"
    );
}

#[test]
fn rules_that_weaken_are_listed_while_they_are_in_force() {
    let state = with(&[
        json!({"type": "disable_stamp", "stamp": "a", "point": [["get", "q"]]}),
        json!({"type": "wallarm_mode", "mode": "off", "action": [host("h")]}),
        json!({"type": "wallarm_mode", "mode": "block", "action": [host("h")]}),
        json!({"type": "vpatch", "attack_type": "any"}),
        json!({"type": "binary_data", "enabled": false}),
    ]);
    let says: Vec<String> = weakening(&state, NOW).into_iter().map(|(_, says)| says).collect();
    assert_eq!(says, ["signature a is ignored", "filtration mode off"]);
    assert_eq!(mode_in_force(&state, "default", Some("h"), NOW).as_deref(), Some("block"), "the later rule");
    assert_eq!(mode_in_force(&state, "default", None, NOW), None);
}

#[test]
fn conditions_that_most_requests_meet_bound_nothing() {
    let when = |kind: &str, point: Value, value: Value| {
        let condition = json!({"type": kind, "point": point, "value": value});
        asked(json!({"type": "disable_attack_type", "attack_type": "any", "action": [condition]}))
    };
    let everywhere = Some("everywhere".to_owned());
    for (kind, point, value) in [
        ("regex", json!(["uri"]), json!("^/")),
        ("regex", json!(["uri"]), json!("[a-z]")),
        ("regex", json!(["path", 0]), json!("^[a-z]")),
        ("regex", json!(["action_name"]), json!("[a-z]{2,}")),
        ("regex", json!(["header", "host"]), json!("[.]")),
        ("regex", json!(["header", "User-Agent"]), json!("/[0-9]")),
        ("equal", json!(["header", "Accept"]), json!("*/*")),
        ("equal", json!(["header", "CONNECTION"]), json!("keep-alive")),
        ("equal", json!(["instance"]), json!("-1")),
        ("equal", json!(["instance"]), json!(-1)),
        ("equal", json!(["instance", "-1"]), Value::Null),
        ("equal", json!(["method", "POST"]), Value::Null),
    ] {
        assert_eq!(when(kind, point.clone(), value.clone()), everywhere, "{kind} {point} {value}");
    }
    assert_eq!(when("regex", json!(["uri"]), json!("^/api/v2/")), None);
    assert_eq!(
        when("regex", json!(["header", "HOST"]), json!("[.]shop[.]example$")),
        Some("[.]shop[.]example$".into())
    );
    assert_eq!(when("equal", json!(["instance", "7"]), Value::Null), Some("app:7".into()));
    assert_eq!(when("regex", json!(["header", "USER-AGENT"]), json!("^okhttp/")), None);
    // The same conditions with a mode in place of an exception.
    let condition = json!({"type": "regex", "point": ["uri"], "value": "^/"});
    assert_eq!(asked(json!({"type": "wallarm_mode", "mode": "off", "action": [condition]})), everywhere);
}

#[test]
fn limits_that_ordinary_requests_exceed_are_asked_about() {
    let everywhere = Some("everywhere".to_owned());
    for (rule, wanted) in [
        (json!({"type": "rate_limit", "threshold": 1, "window": 3600}), everywhere.clone()),
        (json!({"type": "rate_limit", "threshold": 600, "window": 60}), None),
        (json!({"type": "rate_limit", "threshold": 1, "window": 3600, "reaction": "report"}), None),
        (json!({"type": "rate_limit", "threshold": 1, "window": 3600, "dry_run": true}), None),
        (json!({"type": "rate_limit", "threshold": 1, "window": 3600, "action": [host("a.example")]}), None),
        (json!({"type": "rate_limit", "threshold": 600, "window": 86_400}), everywhere.clone()),
        (json!({"type": "rate_limit", "threshold": 2_000, "window": 86_400}), None),
        (json!({"type": "rate_limit", "threshold": 600, "key": ["host", "path:0"]}), everywhere.clone()),
        (json!({"type": "rate_limit", "threshold": 600, "key": ["host", "client"]}), None),
        (json!({"type": "rate_limit", "threshold": 600, "key": "host", "reaction": "report"}), None),
        (json!({"type": "brute"}), None),
        (json!({"type": "brute", "threshold": 1}), everywhere.clone()),
        (json!({"type": "brute", "failure": {"status": [200, 401]}}), everywhere.clone()),
        (json!({"type": "brute", "failure": {"body": "."}}), everywhere.clone()),
        (json!({"type": "brute", "failure": {"redirect": "^/"}}), everywhere.clone()),
        (json!({"type": "brute", "failure": {"body": "wrong password", "redirect": "^/login"}}), None),
        (json!({"type": "brute", "failure": {"status": 200}, "reaction": "report"}), None),
        (json!({"type": "brute_counter", "counter": "b:1", "failure": {"status": 200}}), None),
        (json!({"type": "forced_browsing", "failure": {"status": 200}, "reaction": "block"}), everywhere.clone()),
        (json!({"type": "forced_browsing", "reaction": "denylist"}), None),
        (
            json!({"type": "enumeration", "distinct": "path:1", "threshold": 2, "reaction": "graylist"}),
            everywhere.clone(),
        ),
        (json!({"type": "bola", "distinct": "path:1", "reaction": "graylist"}), None),
        (json!({"type": "regex", "regex": "e", "attack_type": "scanner"}), everywhere.clone()),
        (json!({"type": "regex", "regex": "e", "attack_type": "scanner", "point": [["get", "q"]]}), None),
        (json!({"type": "regex", "regex": "^evil-agent/", "attack_type": "scanner"}), None),
        (json!({"type": "overlimit_res_settings", "overlimit_time": 1}), everywhere.clone()),
        (json!({"type": "overlimit_res_settings", "overlimit_time": 500}), None),
        (json!({"type": "overlimit_res_settings", "overlimit_time": 1, "mode": "blocking"}), None),
        (json!({"type": "graphql_detection", "max_depth": 0, "mode": "block"}), everywhere.clone()),
        (json!({"type": "graphql_detection", "max_depth": 0, "mode": "monitoring"}), None),
        (json!({"type": "graphql_detection", "max_depth": 4, "mode": "block"}), None),
        (json!({"type": "file_upload_size_limit", "size": 0, "size_unit": "mb", "mode": "block"}), everywhere.clone()),
        (json!({"type": "file_upload_size_limit", "size": 5, "size_unit": "mb", "mode": "block"}), None),
        (json!({"type": "overlimit_res_settings", "mode": "off"}), everywhere.clone()),
        (
            json!({"type": "overlimit_res_settings", "mode": "off", "action": [host("a.example")]}),
            Some("a.example".into()),
        ),
        (json!({"type": "overlimit_res_settings", "mode": "blocking"}), None),
    ] {
        assert_eq!(asked(rule.clone()), wanted, "{rule}");
    }
}

/// A policy that lists these values, numbered from 1.
fn listing(list: &str, entries: &[(&str, &str, &[i64], Option<u64>)]) -> PolicyState {
    let entries = (1..).zip(entries).map(|(id, (kind, value, applications, end))| IpEntry {
        id,
        list: list.into(),
        rule_type: (*kind).into(),
        value: (*value).into(),
        applications: applications.to_vec(),
        groups: Vec::new(),
        expired_at: *end,
        reason: String::new(),
        created_by: String::new(),
        created_at: 1,
    });
    PolicyState { ip_lists: entries.collect(), ..PolicyState::first() }
}

#[test]
fn lists_that_come_to_hold_many_addresses_are_asked_about() {
    let none = PolicyState::first();
    let asked = |before: &PolicyState, after: &PolicyState| {
        let all = dangers(before, after, NOW);
        (!all.is_empty()).then(|| word(&all))
    };
    let (everywhere, app) = (Some("everywhere".to_owned()), Some("app:3".to_owned()));
    for (list, entries, wanted) in [
        ("allow", &[("ip_range", "0.0.0.0/0", &[-1][..], None)][..], everywhere.clone()),
        ("allow", &[("ip_range", "0.0.0.0/0", &[3], None)], app.clone()),
        ("deny", &[("ip_range", "0.0.0.0/0", &[3, 4], None)], everywhere.clone()),
        ("allow", &[("ip_range", "10.0.0.0/8", &[], None)], None),
        ("allow", &[("country", "DE", &[], None)], None),
        (
            "allow",
            &[("country", "DE", &[], None), ("country", "US", &[], None), ("country", "FR", &[], None)],
            everywhere.clone(),
        ),
        ("allow", &[("datacenter", "aws", &[], None)], everywhere.clone()),
        ("deny", &[("proxy_type", "tor", &[], None)], None),
        ("gray", &[("ip_range", "0.0.0.0/0", &[], None)], None),
        ("deny", &[("ip_range", "0.0.0.0/0", &[], Some(NOW))], None),
    ] {
        assert_eq!(asked(&none, &listing(list, entries)), wanted, "{list} {entries:?}");
    }
    // In steps that are small each: asked about when the list has doubled.
    let nets: Vec<String> = (0..8).map(|at| format!("{}.0.0.0/7", 2 * at)).collect();
    let step = |count: usize| {
        let all: Vec<_> = nets[..count].iter().map(|net| ("ip_range", net.as_str(), &[][..], None)).collect();
        listing("allow", &all)
    };
    let steps: Vec<bool> = (0..8).map(|count| asked(&step(count), &step(count + 1)).is_some()).collect();
    assert_eq!(steps, [false, true, false, true, false, false, false, true]);
    // One that was over is renewed for good.
    let over = listing("allow", &[("ip_range", "0.0.0.0/0", &[], Some(NOW - 1))]);
    assert_eq!(asked(&over, &listing("allow", &[("ip_range", "0.0.0.0/0", &[], None)])), everywhere);
}
