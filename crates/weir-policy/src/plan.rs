//! Plans the treatment of a request from its head.

use super::Policy;
use super::list::{List, ListHit};
use super::mode::Mode;
use super::reading::{ActiveActions, Reading, ReadingPlan};
use super::rule::Origin;
use super::verdict::{Active, Bypass, Plan, RequestContext};
use smallvec::SmallVec;
use std::borrow::Cow;
use weir_core::model::{DecodedPath, ParserSet, PointPattern};

impl Policy {
    /// Plans the treatment of a request. Costs well under a microsecond with a default policy, and does not grow with
    /// the number of rules, routes and listed addresses (see [`super::index`] for the one exception). A path that servers
    /// read in different ways costs as much for each of its readings, which are few.
    ///
    /// Input filters apply first: requests that they exclude are not checked at all. Then the mode: in `off`, lists have no
    /// effect. Then the lists.
    pub fn plan(&self, request: &RequestContext<'_, '_>) -> Plan {
        let readings: SmallVec<[ReadingPlan<'_>; 2]> =
            readings(request).map(|(host, path)| self.read(request, host, path)).collect();
        let plain = &readings[0];
        let mut plan = Plan {
            application: plain.application,
            mode: self.strictest_mode(request, &readings),
            bypass: None,
            list: None,
            limits: self.limits.clone(),
            parsers_off: plain.route.parsers_off,
            parsers_off_at: Vec::new(),
            time_limit: self.time_limit,
            overlimit: self.overlimit,
            libdetection: self.libdetection,
            reply: plain.route.reply,
            active: ActiveActions::combine(readings.iter().map(|reading| reading.active.clone()).collect()),
            counted: None,
        };
        plan.bypass = if self.is_bypassed(request, &readings) {
            Some(Bypass::InputFilter)
        } else if plan.mode == Mode::Off {
            Some(Bypass::ModeOff)
        } else {
            plan.list = self.listed(request, &readings, plan.mode);
            match plan.listed() {
                Some(List::Allow) => Some(Bypass::Allowlisted),
                Some(List::Deny) if self.lists_before_inspection => Some(Bypass::Denylisted),
                _ => None,
            }
        };
        if plan.bypass.is_none() {
            self.apply_rules(request, &readings, &mut plan);
            plan.counted = self.with_other_slash(request, &readings, plan.active.in_any());
        }
        plan
    }

    /// Actions that apply, or would without the slash at the end of the path, or with one, where these are more: most servers
    /// take `/login/` for `/login`, and a client must not leave a limit by it, whichever of them the rule was written for.
    fn with_other_slash(
        &self,
        request: &RequestContext<'_, '_>,
        readings: &[ReadingPlan<'_>],
        active: &Active,
    ) -> Option<Active> {
        if self.abuse.is_empty() {
            return None;
        }
        let mut all = active.clone();
        for ((host, path), plan) in self::readings(request).zip(readings) {
            let path = match without_slash(path) {
                None if self.rules.counts_at_final_slash() => with_slash(path),
                other => other,
            };
            if let Some(path) = path {
                let more = self.rules.matching(&Reading { request, host, path: &path, application: plan.application });
                all.extend(more);
            }
        }
        all.sort_unstable();
        all.dedup();
        (all.len() > active.len()).then_some(all)
    }

    /// Puts the source of a planned request on a list on which its behaviour brought it. Lists of the policy come first;
    /// as there, the graylist has an effect in `safe_blocking` only.
    pub fn enlist(&self, plan: &mut Plan, hit: ListHit) {
        let is_weaker = match plan.listed() {
            Some(List::Allow | List::Deny) => true,
            Some(List::Gray) => hit.list != List::Deny,
            None => hit.list == List::Gray && plan.mode != Mode::SafeBlocking,
        };
        if plan.bypass.is_some() || is_weaker || hit.list == List::Allow {
            return;
        }
        if hit.list == List::Deny && self.lists_before_inspection {
            plan.bypass = Some(Bypass::Denylisted);
        }
        plan.list = Some(hit);
    }

    /// Plans one reading of host and path.
    fn read(&self, request: &RequestContext<'_, '_>, host: &[u8], path: &DecodedPath<'_>) -> ReadingPlan<'_> {
        let is_plain = std::ptr::eq(path, &raw const request.facts.path);
        let text = if is_plain && !self.url_normalize { request.facts.raw_path() } else { &path.text };
        let route = self.routes.find(host, text);
        let from_gateway = Some(request.facts.application).filter(|&id| id != 0);
        let application = route.application.or(from_gateway).unwrap_or(self.application);
        let active = self.rules.matching(&Reading { request, host, path, application });
        ReadingPlan { route, application, active }
    }

    fn strictest_mode(&self, request: &RequestContext<'_, '_>, readings: &[ReadingPlan<'_>]) -> Mode {
        let modes = readings.iter().map(|reading| {
            let given = |origin, general| self.rules.mode(&reading.active, request.now, origin).unwrap_or(general);
            let local = self.mode_allow_override.combine(reading.route.mode, given(Origin::Local, self.local_mode));
            self.mode_allow_override.combine(local, given(Origin::Remote, self.remote_mode))
        });
        modes.max().unwrap_or_default()
    }

    /// Whether input filters exclude every reading.
    fn is_bypassed(&self, request: &RequestContext<'_, '_>, readings: &[ReadingPlan<'_>]) -> bool {
        let mut plans = self::readings(request).zip(readings);
        plans.all(|((host, path), plan)| {
            self.filters.is_bypassed(&Reading { request, host, path, application: plan.application })
        })
    }

    /// The list that contains the source; the graylist has an effect in `safe_blocking` only. If readings belong to
    /// applications with different lists, the strictest list applies.
    fn listed(&self, request: &RequestContext<'_, '_>, readings: &[ReadingPlan<'_>], mode: Mode) -> Option<ListHit> {
        let last = if mode == Mode::SafeBlocking { List::Gray } else { List::Deny };
        let find = |application| self.ip_index.find(request.client, &request.source, application, request.now, last);
        let strictness = |hit: &Option<ListHit>| match hit.as_ref().map(|hit| hit.list) {
            Some(List::Allow) => 0,
            None => 1,
            Some(List::Gray) => 2,
            Some(List::Deny) => 3,
        };
        let mut applications: SmallVec<[i64; 2]> = readings.iter().map(|reading| reading.application).collect();
        applications.sort_unstable();
        applications.dedup();
        applications.into_iter().map(find).max_by_key(strictness).flatten()
    }

    /// Applies the rules that change the inspection.
    fn apply_rules(&self, request: &RequestContext<'_, '_>, readings: &[ReadingPlan<'_>], plan: &mut Plan) {
        let switched = |reading: &ReadingPlan<'_>| {
            let (mut off, mut at) = (reading.route.parsers_off, Vec::new());
            self.rules.parsers(&reading.active, request.now, &mut off, &mut at);
            (off, at)
        };
        (plan.parsers_off, plan.parsers_off_at) = switched(&readings[0]);
        for reading in &readings[1..] {
            let (off, at) = switched(reading);
            intersect(plan, off, &at);
        }
        let overlimits = |active: &Active| self.rules.overlimit(active, request.now);
        let mut given = plan.active.each().iter().map(overlimits).map(|rule| match rule {
            Some((time, mode)) => (time.unwrap_or(self.time_limit), mode.into()),
            None => (self.time_limit, self.overlimit),
        });
        let first = given.next().unwrap_or((self.time_limit, self.overlimit));
        (plan.time_limit, plan.overlimit) =
            given.fold(first, |(time, overlimit), (t, o)| (time.max(t), overlimit.strictest(o)));
    }
}

/// Every reading of host and path, the plain one first.
fn readings<'h, 'a>(request: &RequestContext<'h, 'a>) -> impl Iterator<Item = (&'h [u8], &'h DecodedPath<'a>)> {
    let facts = request.facts;
    facts.hosts().flat_map(|host| facts.paths().map(move |path| (host, path)))
}

/// Keeps only those parsers switched off that are so under another reading too.
fn intersect(plan: &mut Plan, off: ParserSet, at: &[(ParserSet, PointPattern)]) {
    plan.parsers_off = plan.parsers_off.intersection(off);
    plan.parsers_off_at.retain(|entry| at.contains(entry));
}

/// A path without the slash at its end, if it has one.
fn without_slash<'p>(path: &'p DecodedPath<'_>) -> Option<DecodedPath<'p>> {
    let text = path.text.strip_suffix(b"/").filter(|text| !text.is_empty())?;
    let (last, segments) = path.segments.split_last()?;
    let dots = (memchr::memchr(b'.', last), memchr::memrchr(b'.', last));
    Some(DecodedPath {
        text: Cow::Borrowed(text),
        segments: segments.iter().map(|segment| Cow::Borrowed(&**segment)).collect(),
        action_name: Cow::Borrowed(&last[..dots.0.unwrap_or(last.len())]),
        action_ext: dots.1.map(|at| Cow::Borrowed(&last[at + 1..])),
        parameters_removed: path.parameters_removed,
    })
}

/// A path with a slash at its end, if it has none.
fn with_slash<'p>(path: &'p DecodedPath<'_>) -> Option<DecodedPath<'p>> {
    if path.text.is_empty() || path.text.ends_with(b"/") {
        return None;
    }
    let last = path.text.rsplit(|&byte| byte == b'/').next().unwrap_or_default();
    let segments = path.segments.iter().map(|segment| Cow::Borrowed(&**segment));
    Some(DecodedPath {
        text: Cow::Owned([&*path.text, b"/"].concat()),
        segments: segments.chain([Cow::Borrowed(last)]).collect(),
        action_name: Cow::Borrowed(b""),
        action_ext: None,
        parameters_removed: path.parameters_removed,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Settings, Source};
    use super::*;
    use weir_core::model::{AttackType, Confidence, Finding, Header, Inspection, Message, PointPath};
    use weir_core::parse::facts::facts;

    fn route(location: &str, mode: Mode) -> crate::settings::RouteSettings {
        crate::settings::RouteSettings { route: Some(location.into()), mode: Some(mode), ..Default::default() }
    }

    fn ask<T>(policy: &Policy, target: &str, then: impl FnOnce(&RequestContext<'_, '_>, Plan) -> T) -> T {
        ask_hosts(policy, target, &["shop.example"], then)
    }

    /// Plans a request with these Host headers.
    fn ask_hosts<T>(
        policy: &Policy,
        target: &str,
        hosts: &[&str],
        then: impl FnOnce(&RequestContext<'_, '_>, Plan) -> T,
    ) -> T {
        let headers = hosts.iter().map(|host| Header { name: b"host", value: host.as_bytes() }).collect();
        let message = Message { method: b"GET", target: target.as_bytes(), headers, ..Message::default() };
        let facts = facts(&message);
        let request = RequestContext {
            message: &message,
            facts: &facts,
            client: None,
            source: Source::default(),
            now: 1,
            blocking: true,
            request_id: "",
        };
        let plan = policy.plan(&request);
        then(&request, plan)
    }

    fn policy(settings: &Settings, rules: &str) -> Policy {
        let text = format!("{{\"version\": 1, \"rules\": [{rules}]}}");
        let doc = crate::PolicyDoc::parse("policy.json", &text).unwrap();
        Policy::compile(settings, Some(&doc)).unwrap()
    }

    /// Spellings that some server reads as `/admin/x`, and others as something below `/static/`.
    const SPELLINGS: &[&str] = &[
        "/static/..;/admin/x",
        "/static/..;jsessionid=1/admin/x",
        "/static/%2e%2e;/admin/x",
        "/static/..%3b/admin/x",
        "/static/%252e%252e/admin/x",
        "/static/..%2fadmin/x",
        "/static/..%255cadmin/x",
        "/static/..\\admin/x",
        "/static/a//../../admin/x",
        "/static/..%c0%afadmin/x",
        "/admin/../static/../admin/x",
    ];

    #[test]
    fn a_limit_for_a_path_with_a_final_slash_also_counts_the_path_without_it() {
        let form = r#"{"type": "equal", "point": ["path", 0], "value": "login"}, {"type": "absent", "point": ["path", 1]},
            {"type": "equal", "point": ["action_name"], "value": ""}, {"type": "absent", "point": ["action_ext"]}"#;
        for action in [form, r#"{"type": "equal", "point": ["uri"], "value": "/login/"}"#] {
            let rule = format!(r#"{{"id": 1, "type": "rate_limit", "threshold": 4, "action": [{action}]}}"#);
            let policy = policy(&Settings::default(), &rule);
            let counts = |target: &str| {
                ask(&policy, target, |_, plan| {
                    policy.abuse_rules(&plan, 1).map(|group| group.rules().len()).sum::<usize>()
                })
            };
            for target in ["/login/", "/login", "/LOGIN", "/%6cogin"] {
                assert_eq!(counts(target), 1, "{target}");
            }
            for target in ["/", "/login/x", "/login/x/", "/a/login", "/logins", "/login.php"] {
                assert_eq!(counts(target), 0, "{target}");
            }
        }
    }

    #[test]
    fn no_spelling_enters_a_route_in_mode_off() {
        let settings = Settings {
            mode: Some(Mode::Monitoring),
            routes: vec![route("/static/", Mode::Off), route("/admin/", Mode::Block)],
            ..Settings::default()
        };
        let policy = policy(&settings, "");
        let mode = |target: &str| ask(&policy, target, |_, plan| plan.mode);
        assert_eq!(mode("/static/a.css"), Mode::Off);
        for inside in
            ["/static/caf%C3%A9.css", "/static/a;v=1/b.css", "/static//b.css", "/static/x%2Fy", "/static/100%25"]
        {
            assert_eq!(mode(inside), Mode::Off, "{inside}");
        }
        for target in SPELLINGS {
            assert_eq!(mode(target), Mode::Block, "{target}");
        }
        // Every reading of this one is below `/static/`.
        assert_eq!(mode("/static/../static/x"), Mode::Off);
        // Too long to be read in every way.
        assert_eq!(mode(&format!("/static/{};/x", "a".repeat(5_000))), Mode::Monitoring);
    }

    #[test]
    fn no_spelling_enters_an_exception_and_any_enters_a_virtual_patch() {
        let at = |path: &str| format!(r#"[{{"type": "equal", "point": ["path", 0], "value": "{path}"}}]"#);
        let except =
            format!(r#"{{"id": 1, "type": "disable_attack_type", "attack_type": "sqli", "action": {}}}"#, at("static"));
        let patch = format!(r#"{{"id": 2, "type": "vpatch", "attack_type": "xss", "action": {}}}"#, at("admin"));
        let settings = Settings { mode: Some(Mode::Monitoring), ..Settings::default() };
        let policy = policy(&settings, &format!("{except}, {patch}"));
        let found = |attack| Finding {
            attack,
            rule: "test.rule".into(),
            point: PointPath(Vec::new()),
            also_at: Vec::new(),
            confidence: Confidence::High,
            decisive: true,
            start: 0,
            matched: String::new(),
        };
        let verdict = |target: &str, attack| {
            ask(&policy, target, |request, plan| {
                let inspection = Inspection { findings: vec![found(attack)], ..Inspection::default() };
                policy.decide(request, &plan, Some(&inspection))
            })
        };
        assert!(verdict("/static/a", AttackType::Sqli).attacks.is_empty());
        assert_eq!(verdict("/static/a;v=1/b", AttackType::Sqli).attacks, []);
        for target in SPELLINGS {
            assert_eq!(verdict(target, AttackType::Sqli).attacks, [AttackType::Sqli], "{target}");
            assert_eq!(verdict(target, AttackType::Xss).rules, [2], "{target}");
        }
    }

    #[test]
    fn no_second_host_enters_a_route_of_another_one() {
        let of_host = |host: &str, mode| crate::settings::RouteSettings {
            host: Some(host.into()),
            mode: Some(mode),
            ..Default::default()
        };
        let routes = vec![of_host("old.example", Mode::Off), of_host("pay.example", Mode::Block)];
        let settings = Settings { mode: Some(Mode::Monitoring), routes, ..Settings::default() };
        let policy = policy(&settings, "");
        let mode = |target: &str, hosts: &[&str]| ask_hosts(&policy, target, hosts, |_, plan| plan.mode);
        assert_eq!(mode("/", &["Old.example.:80"]), Mode::Off);
        assert_eq!(mode("http://old.example/", &["old.example:80"]), Mode::Off);
        assert_eq!(mode("/", &["old.example", "pay.example"]), Mode::Block);
        assert_eq!(mode("/", &["pay.example", "old.example"]), Mode::Block);
        assert_eq!(mode("http://old.example/", &["pay.example"]), Mode::Block);
        assert_eq!(mode("http://old.example/", &["new.example"]), Mode::Monitoring);
        assert_eq!(mode("/", &["old.example", "a", "b", "c", "pay.example"]), Mode::Monitoring);
    }

    #[test]
    fn no_spelling_enters_a_bypass() {
        let bypass = crate::settings::FilterSettings { path: Some("^/static/".into()), ..Default::default() };
        let settings = Settings { bypass: vec![bypass], ..Settings::default() };
        let policy = policy(&settings, "");
        let bypass = |target: &str| ask(&policy, target, |_, plan| plan.bypass);
        assert_eq!(bypass("/static/a.css"), Some(Bypass::InputFilter));
        for target in SPELLINGS {
            assert_eq!(bypass(target), None, "{target}");
        }
    }
}
