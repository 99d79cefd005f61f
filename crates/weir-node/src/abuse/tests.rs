//! Behaviour as a policy describes it, from requests and responses to verdicts.

mod hostile; // what an attacker tries who has read the source
mod rotation; // of the secret of the group

use super::*;
use weir_core::model::{AttackType, Inspection, Message};
use weir_core::parse::{facts::facts, message};
use weir_policy::{Action, List, Mode, Plan, Policy, PolicyDoc, Reason, RequestContext, Settings, Source, Verdict};

/// A node with one policy.
struct TestNode {
    abuse: Abuse,
    policy: Policy,
    now: u64,
    authenticated: bool,
}

/// A request, and what its response needs.
struct Asked {
    verdict: Verdict,
    carried: Carried,
    at: u64,
    wanted: (bool, bool),
    plan: Plan,
}

const LOGIN: &str = "{id: 7, type: brute, threshold: 10, window: 60, key: [[[post], [json_doc], [hash, user]]], \
                     action: [{type: equal, point: [action_name], value: login}]}";
const WALK: &str = "{id: 8, type: bola, threshold: 20, window: 60, key: [client], distinct: 'path:1', reaction: graylist, \
                    action: [{type: equal, point: [path, 0], value: orders}]}";

impl TestNode {
    fn new(mode: Mode, rules: &str) -> Self {
        let settings = Settings { mode: Some(mode), ..Settings::default() };
        let text = format!("rules: [{rules}, {{id: 99, type: session, key: 'cookie:sid'}}]");
        let doc = PolicyDoc::parse("p.yaml", &text).unwrap();
        let policy = Policy::compile(&settings, Some(&doc)).unwrap();
        let abuse = AbuseSettings { memory: 8 << 20, secrets: vec![b"k".to_vec()], shared: false };
        Self { abuse: Abuse::new(&abuse), policy, now: 1_700_000_000_000, authenticated: true }
    }

    fn ask(&self, client: &str, raw: &str) -> Asked {
        self.ask_message(client, &message::request(raw.as_bytes()))
    }

    fn ask_message(&self, client: &str, message: &Message<'_>) -> Asked {
        let head = facts(message);
        let client = client.parse().unwrap();
        let context = RequestContext {
            message,
            facts: &head,
            client: Some(client),
            source: Source::default(),
            now: self.now / 1000,
            blocking: true,
            request_id: "r",
        };
        let view = RequestView {
            message,
            head: &head,
            client,
            route: "",
            now: self.now,
            authenticated: self.authenticated,
            first: true,
            blocking: true,
        };
        let mut plan = self.policy.plan(&context);
        if let Some(hit) = self.abuse.listed(&view, &self.policy, &plan) {
            self.policy.enlist(&mut plan, hit);
        }
        let check = self.abuse.check(&view, &self.policy, &plan);
        let inspection = plan.bypass.is_none().then(Inspection::default);
        let verdict = self.policy.decide_with(&context, &plan, inspection.as_ref(), &check.excesses);
        Asked { verdict, carried: check.carried, at: self.now, wanted: check.wanted, plan }
    }

    fn answer(&self, asked: &Asked, raw: &str) {
        let message = message::response(raw.as_bytes());
        let view = ResponseView { message: &message, consumer: "", requested: asked.at, now: self.now };
        self.abuse.response(&view, &Carried::from_bytes(&asked.carried.to_bytes()), &self.policy, &asked.plan);
    }

    fn login(&self, client: &str, user: &str, cookie: &str) -> Asked {
        let raw = format!(
            "POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nCookie: sid={cookie}\r\n\r\n{{\"user\":\"{user}\",\"password\":\"x\"}}"
        );
        self.ask(client, &raw)
    }

    fn get(&self, client: &str, path: &str, cookie: &str) -> Asked {
        self.ask(client, &format!("GET {path} HTTP/1.1\r\nHost: h\r\nCookie: sid={cookie}\r\n\r\n"))
    }

    /// The upstream issues a session.
    fn issue(&self, client: &str, cookie: &str) {
        let asked = self.get(client, "/", "");
        self.answer(&asked, &format!("HTTP/1.1 200 OK\r\nSet-Cookie: sid={cookie}; Path=/\r\n\r\n"));
    }
}

#[test]
fn as_many_rules_as_fit_read_one_response_and_others_are_counted() {
    let rules: Vec<String> = (200..260)
        .map(|id| format!("{{id: {id}, type: brute, threshold: 3, window: 60, key: [client, 'header:x-{id}']}}"))
        .collect();
    let headers: String = (200..260).map(|id| format!("X-{id}: a{id}\r\n")).collect();
    let node = TestNode::new(Mode::SafeBlocking, &rules.join(","));
    let raw = format!("POST /login HTTP/1.1\r\nHost: h\r\n{headers}\r\n");
    // Responses come: attempts count from now on.
    node.answer(&node.ask("198.51.100.1", &raw), RIGHT);
    let before = node.abuse.not_carried();
    (0..4).for_each(|_| node.answer(&node.ask("198.51.100.1", &raw), WRONG));
    let asked = node.ask("198.51.100.1", &raw);
    let left_out = (node.abuse.not_carried() - before) as usize;
    assert!(blocked(&asked));
    assert_eq!(asked.verdict.findings.len(), 42);
    // The fourth attempt is blocked by those that fit, and leaves room for the others.
    assert!(left_out >= 3 * (60 - 42), "{left_out}");
}

const WRONG: &str = "HTTP/1.1 401 Unauthorized\r\n\r\n";
const RIGHT: &str = "HTTP/1.1 200 OK\r\n\r\n";

fn blocked(asked: &Asked) -> bool {
    asked.verdict.action == Action::Block
}

#[test]
fn the_eleventh_guess_at_an_account_is_blocked_wherever_it_comes_from() {
    let mut node = TestNode::new(Mode::SafeBlocking, LOGIN);
    for n in 0..10 {
        let asked = node.login(&format!("198.51.100.{n}"), if n % 2 == 0 { "alice" } else { " Alice" }, "");
        assert!(!blocked(&asked), "{n}");
        assert_eq!(asked.wanted, (true, false));
        node.answer(&asked, WRONG);
        node.now += 100;
    }
    node.now += 1_000;
    let guess = node.login("198.51.100.200", "ALICE", "");
    assert_eq!((guess.verdict.action, guess.verdict.reason), (Action::Block, Some(Reason::Limit)));
    assert_eq!(guess.verdict.reply.as_ref().map(|reply| reply.status), Some(403));
    let found = &guess.verdict.findings[0];
    assert_eq!((found.attack, &*found.rule), (AttackType::Brute, "abuse.7"));
    assert!(
        found.matched.starts_with("AL***: 11 failed attempts in 60 s, since 22:13:20Z; rule 7 allows 10"),
        "{}",
        found.matched
    );
    assert!(!blocked(&node.login("198.51.100.200", "bob", "")), "another account");
    node.now += 64_000;
    assert!(!blocked(&node.login("198.51.100.200", "alice", "")), "the window has passed");
}

#[test]
fn of_a_hundred_parallel_guesses_ten_reach_the_upstream() {
    let mut node = TestNode::new(Mode::Block, LOGIN);
    let first = node.login("198.51.100.1", "carol", "");
    node.answer(&first, RIGHT);
    node.now += 10;
    let asked: Vec<Asked> = (0..100).map(|n| node.login(&format!("198.51.100.{n}"), "dave", "")).collect();
    assert_eq!(asked.iter().filter(|asked| !blocked(asked)).count(), 10);
}

#[test]
fn successful_logins_are_released() {
    let node = TestNode::new(Mode::Block, LOGIN);
    for _ in 0..50 {
        let asked = node.login("198.51.100.1", "alice", "");
        assert!(!blocked(&asked));
        node.answer(&asked, RIGHT);
    }
}

#[test]
fn without_responses_nothing_is_counted_and_the_rule_is_named() {
    let mut node = TestNode::new(Mode::Block, LOGIN);
    assert!((0..50).all(|_| !blocked(&node.login("198.51.100.1", "alice", ""))));
    assert!(node.abuse.unanswered(node.now).is_empty(), "the responses may still come");
    node.now += 30_000;
    let unanswered = node.abuse.unanswered(node.now);
    assert_eq!(unanswered.iter().map(|one| one.rule).collect::<Vec<_>>(), [7]);
    node.answer(&node.login("198.51.100.1", "alice", ""), WRONG);
    assert!(node.abuse.unanswered(node.now).is_empty());
}

#[test]
fn guesses_do_not_lock_out_the_session_of_the_victim() {
    let node = TestNode::new(Mode::Block, LOGIN);
    let login = node.login("203.0.113.5", "alice", "");
    node.answer(&login, "HTTP/1.1 200 OK\r\nSet-Cookie: sid=victim\r\n\r\n");
    // The attacker has a session of the upstream too, but of another account.
    let other = node.login("198.51.100.1", "mallory", "");
    node.answer(&other, "HTTP/1.1 200 OK\r\nSet-Cookie: sid=mallory\r\n\r\n");
    for n in 0..30 {
        let guess = node.login("198.51.100.1", "alice", "mallory");
        assert_eq!(blocked(&guess), n >= 10, "{n}");
        if n < 10 {
            node.answer(&guess, WRONG);
        }
    }
    assert!(!blocked(&node.login("203.0.113.5", "alice", "victim")));
    assert!(blocked(&node.login("203.0.113.5", "alice", "")), "without its session it is one of many");
}

#[test]
fn a_walker_is_graylisted_and_blocked_where_it_walks() {
    let mut node = TestNode::new(Mode::SafeBlocking, WALK);
    let walk: Vec<bool> = (0..40).map(|n| blocked(&node.get("198.51.100.9", &format!("/orders/{n}"), ""))).collect();
    // The 21st puts the source on the list; from the next one on the list is in force.
    assert_eq!(walk.iter().filter(|blocked| !**blocked).count(), 21);
    assert_eq!(walk[..21], [false; 21]);
    let walked = node.get("198.51.100.9", "/orders/100", "");
    assert_eq!(walked.verdict.attacks, [AttackType::Bola]);
    assert!(walked.verdict.findings[0].matched.contains("mostly in sequence"), "{:?}", walked.verdict.findings);
    let list = walked.verdict.list.unwrap();
    assert_eq!((list.list, &*list.value), (List::Gray, "198.51.100.9"));
    assert!(!blocked(&node.get("198.51.100.9", "/", "")), "its other requests pass");
    assert!(!blocked(&node.get("198.51.100.10", "/orders/1", "")), "another source");
    assert!(!blocked(&node.get("198.51.100.10", "/orders/1", "")), "the same id again");
    node.now += 700_000;
    assert!(!blocked(&node.get("198.51.100.9", "/orders/1", "")), "the entry has expired");
}

#[test]
fn monitoring_reports_and_off_counts_nothing() {
    let node = TestNode::new(Mode::Monitoring, WALK);
    let walk: Vec<Asked> = (0..40).map(|n| node.get("198.51.100.9", &format!("/orders/{n}"), "")).collect();
    assert!(walk.iter().all(|asked| !blocked(asked)));
    assert!(walk[39].verdict.would_block && walk[39].verdict.attacks == [AttackType::Bola]);
    let node = TestNode::new(Mode::Off, WALK);
    (0..40).for_each(|n| drop(node.get("198.51.100.9", &format!("/orders/{n}"), "")));
    assert!(node.abuse.table().is_empty());
}

#[test]
fn a_network_of_many_sessions_is_not_punished_and_forged_cookies_are_no_sessions() {
    let node = TestNode::new(Mode::SafeBlocking, WALK);
    for n in 0..500 {
        node.issue("203.0.113.77", &format!("real-{n}"));
        for order in 0..3 {
            let asked = node.get("203.0.113.77", &format!("/orders/{}", 10 * n + order), &format!("real-{n}"));
            assert!(asked.verdict.attacks.is_empty(), "{n}");
        }
    }
    let forged = |n| node.get("198.51.100.9", &format!("/orders/{n}"), &format!("forged-{n}"));
    let walk: Vec<Asked> = (0..500).map(forged).collect();
    assert_eq!(walk.iter().filter(|asked| !blocked(asked)).count(), 21);
}

#[test]
fn unauthenticated_connectors_report_and_list_nothing() {
    let mut node = TestNode::new(Mode::SafeBlocking, WALK);
    node.authenticated = false;
    let walk: Vec<Asked> = (0..40).map(|n| node.get("198.51.100.9", &format!("/orders/{n}"), "")).collect();
    assert!(walk.iter().all(|asked| !blocked(asked)));
    assert_eq!(walk[39].verdict.attacks, [AttackType::Bola]);
    assert!(node.abuse.entries().is_empty());
    assert_eq!(node.abuse.status(node.now).unlisted, node.now);
    // Where no rule would list, there is nothing to say.
    let mut node = TestNode::new(Mode::SafeBlocking, &WALK.replace("graylist", "block"));
    node.authenticated = false;
    node.get("198.51.100.9", "/orders/1", "");
    assert_eq!(node.abuse.status(node.now).unlisted, 0);
}

#[test]
fn a_lifted_key_is_left_alone_and_an_excepted_one_stays_so() {
    let mut node = TestNode::new(Mode::SafeBlocking, WALK);
    let walk =
        |node: &TestNode| (0..40).filter(|n| blocked(&node.get("198.51.100.9", &format!("/orders/{n}"), ""))).count();
    assert_eq!(walk(&node), 19);
    let entry = node.abuse.entries().take_news();
    let weir_abuse::Change::Listed(entry) = entry[0].clone() else { panic!("{entry:?}") };
    node.abuse.except(entry.rule, entry.key, None, node.now);
    assert_eq!(walk(&node), 0);
    node.now += 61_000;
    assert_eq!(walk(&node), 19);
    node.now += 1;
    node.abuse.except(entry.rule, entry.key, Some(node.now + 86_400_000), node.now);
    node.now += 3_600_000;
    assert_eq!(walk(&node), 0);
}

#[test]
fn a_rate_limit_answers_with_standard_fields_and_recovers() {
    let rule = "{id: 9, type: rate_limit, threshold: 5, burst: 1, window: 16, key: [client]}";
    let mut node = TestNode::new(Mode::Block, rule);
    let sent: Vec<Asked> = (0..9).map(|_| node.get("198.51.100.9", "/", "")).collect();
    assert_eq!(sent.iter().filter(|asked| !blocked(asked)).count(), 6);
    let reply = sent[8].verdict.reply.as_ref().unwrap();
    assert_eq!(reply.status, 429);
    let field = |name: &str| reply.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
    let wait: u64 = field("retry-after").unwrap().parse().unwrap();
    assert_eq!(field("ratelimit-policy"), Some("\"rule-9\";q=5;w=16"));
    assert_eq!(field("ratelimit"), Some(format!("\"rule-9\";r=0;t={wait}").as_str()));
    node.now += wait * 1000;
    assert!(!blocked(&node.get("198.51.100.9", "/", "")));
    // IPv6 clients count by network.
    let v6: Vec<bool> = (0..9).map(|n| blocked(&node.get(&format!("2001:db8::{n}"), "/", ""))).collect();
    assert_eq!(v6.iter().filter(|blocked| **blocked).count(), 3);
}

#[test]
fn an_allowlisted_source_is_not_counted() {
    let mut node = TestNode::new(Mode::Block, WALK);
    let text = format!("ip_lists: [{{list: allow, values: [198.51.100.9]}}]\nrules: [{WALK}]");
    let doc = PolicyDoc::parse("p.yaml", &text).unwrap();
    node.policy = Policy::compile(&Settings::default(), Some(&doc)).unwrap();
    (0..40).for_each(|n| assert!(!blocked(&node.get("198.51.100.9", &format!("/orders/{n}"), ""))));
    assert!(node.abuse.entries().is_empty());
}

#[test]
fn credential_stuffing_counts_accounts_of_a_source() {
    let rule = "{id: 7, type: brute, threshold: 10, window: 60, key: [client], reaction: denylist, \
                distinct: [[post], [json_doc], [hash, user]]}";
    let node = TestNode::new(Mode::Monitoring, rule);
    for n in 0..11 {
        let asked = node.login("198.51.100.1", &format!("user-{n}"), "");
        assert!(asked.verdict.attacks.is_empty());
        node.answer(&asked, WRONG);
    }
    let next = node.login("198.51.100.1", "user-0", "");
    assert_eq!(next.verdict.attacks, [AttackType::CredentialStuffing]);
    // The denylist is in force in monitoring too.
    let denied = node.get("198.51.100.1", "/", "");
    assert_eq!((denied.verdict.action, denied.verdict.reason), (Action::Block, Some(Reason::Denylist)));
    assert!(denied.verdict.findings[0].matched.contains("different values in failed attempts"));
}

#[test]
fn forced_browsing_counts_what_was_not_found() {
    let rule = "{id: 6, type: forced_browsing, threshold: 5, window: 60, reaction: graylist}";
    let node = TestNode::new(Mode::SafeBlocking, rule);
    for n in 0..6 {
        let asked = node.get("198.51.100.1", &format!("/{n}"), "");
        assert!(asked.verdict.attacks.is_empty());
        node.answer(&asked, "HTTP/1.1 404 Not Found\r\n\r\n");
        node.answer(&node.get("198.51.100.2", "/", ""), RIGHT);
    }
    assert_eq!(node.get("198.51.100.1", "/x", "").verdict.attacks, [AttackType::ForcedBrowsing]);
    assert!(blocked(&node.get("198.51.100.1", "/x", "")));
    assert!(node.get("198.51.100.2", "/", "").verdict.attacks.is_empty());
}

#[test]
fn a_dry_run_reports_and_does_nothing() {
    let node = TestNode::new(Mode::Block, &WALK.replace("reaction: graylist", "reaction: denylist, dry_run: true"));
    let walk: Vec<Asked> = (0..40).map(|n| node.get("198.51.100.9", &format!("/orders/{n}"), "")).collect();
    assert!(walk.iter().all(|asked| !blocked(asked) && !asked.verdict.would_block));
    assert_eq!(walk[39].verdict.attacks, [AttackType::Bola]);
    assert!(node.abuse.entries().is_empty());
}

#[test]
fn rules_with_one_key_and_others_between_count_apart_and_are_told_in_their_order() {
    let rules = "{id: 5, type: rate_limit, threshold: 3, window: 60}, \
                 {id: 6, type: rate_limit, threshold: 2, window: 60, key: [client, host]}, \
                 {id: 7, type: rate_limit, threshold: 1, window: 30}";
    let node = TestNode::new(Mode::Monitoring, rules);
    let found = |asked: &Asked| asked.verdict.findings.iter().map(|one| one.rule.to_string()).collect::<Vec<_>>();
    let told: Vec<Vec<String>> = (0..4).map(|_| found(&node.get("198.51.100.7", "/", ""))).collect();
    let want: [&[&str]; 4] = [&[], &["abuse.7"], &["abuse.6", "abuse.7"], &["abuse.5", "abuse.6", "abuse.7"]];
    assert_eq!(told, want);
    assert!(found(&node.get("198.51.100.8", "/", "")).is_empty());
}

#[test]
fn a_name_that_is_repeated_in_another_case_is_one_account() {
    let node = TestNode::new(Mode::SafeBlocking, "{id: 7, type: brute, threshold: 3, window: 60, key: ['query:user']}");
    let guess = |users: &str| {
        let asked = node.get("198.51.100.7", &format!("/login?{users}"), "");
        node.answer(&asked, WRONG);
        blocked(&asked)
    };
    // Responses come: attempts count from now on.
    guess("user=other");
    assert!((0..3).all(|_| !guess("user=al&user=AL")));
    assert!(guess("user=al"));
    assert!(guess("user=bo&user=al"), "each of different names counts");
    assert!(!guess("user=bo"));
}
