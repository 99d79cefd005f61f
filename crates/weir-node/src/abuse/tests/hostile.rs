//! What an attacker tries who has read the source: one thing in many spellings, names that are repeated, sessions that only
//! seem to have logged in.

use super::*;
use weir_core::model::BodyState;

const GUESS: &str = "{id: 7, type: brute, threshold: 3, window: 60, key: ['query:user'], \
                     action: [{type: equal, point: [action_name], value: login}]}";

impl TestNode {
    /// A guess with these parameters in the query, in the session `cookie`.
    fn post(&self, query: &str, cookie: &str) -> Asked {
        self.ask("198.51.100.7", &format!("POST /login?{query} HTTP/1.1\r\nHost: h\r\nCookie: sid={cookie}\r\n\r\n"))
    }

    /// A guess that is answered like that if it is not blocked; whether it was blocked.
    fn guess(&self, query: &str, cookie: &str, answer: &str) -> bool {
        let asked = self.post(query, cookie);
        if !blocked(&asked) {
            self.answer(&asked, answer);
        }
        blocked(&asked)
    }
}

fn passed(asked: impl Iterator<Item = bool>) -> usize {
    asked.filter(|blocked| !blocked).count()
}

/// Responses come: attempts count from now on.
fn answered(rules: &str) -> TestNode {
    let node = TestNode::new(Mode::SafeBlocking, rules);
    node.guess("user=other", "", WRONG);
    node
}

#[test]
fn a_walker_that_repeats_the_parameter_is_counted_by_each_value() {
    let rule = "{id: 8, type: bola, threshold: 20, window: 60, key: [client], distinct: 'query:id', reaction: block}";
    for query in ["id=N", "id=N&id=0", "id=0&id=N", "id=0&id=N&id=1", "%69d=N&id=0"] {
        let node = TestNode::new(Mode::SafeBlocking, rule);
        let path = |n: usize| format!("/orders?{}", query.replace('N', &(n + 10).to_string()));
        assert!(passed((0..40).map(|n| blocked(&node.get("198.51.100.9", &path(n), "")))) <= 20, "{query}");
    }
}

#[test]
fn credential_stuffing_counts_each_value_of_a_repeated_name() {
    let rule = "{id: 7, type: brute, threshold: 5, window: 60, key: [client], distinct: 'query:user', reaction: block}";
    for query in ["user=N", "user=N&user=same", "user=same&user=N"] {
        let node = answered(rule);
        let tried = (0..30).map(|n| node.guess(&query.replace('N', &format!("u{n}")), "", WRONG));
        assert!(passed(tried) <= 6, "{query}");
    }
}

#[test]
fn repeated_names_in_several_parts_do_not_hide_the_one_that_counts() {
    let rule = "{id: 7, type: brute, threshold: 3, window: 60, key: ['query:user', 'query:shop']}";
    let node = answered(rule);
    let tried = (0..20).map(|n| {
        let query = format!("user=a{n}&user=b{n}&user=c{n}&user=victim&shop=a{n}&shop=b{n}&shop=c{n}&shop=1");
        node.guess(&query, "", WRONG)
    });
    assert_eq!(passed(tried), 3, "the last of each is one account");
    let three = "{id: 7, type: brute, threshold: 3, window: 60, key: ['query:a', 'query:b', 'query:c']}";
    let node = answered(three);
    let many = |name: &str, n: usize| format!("{name}=v&{name}=x{n}&{name}=y{n}&{name}=z{n}");
    let tried = (0..20).map(|n| node.guess(&[many("a", n), many("b", n), many("c", n)].join("&"), "", WRONG));
    assert_eq!(passed(tried), 3, "with 64 combinations, the first and the last of each count");
}

#[test]
fn a_walker_cannot_hide_the_id_behind_what_is_not_read() {
    let rule = "{id: 8, type: bola, threshold: 20, window: 60, key: [client], distinct: [[post], [json_doc], [hash, id]], \
                reaction: block}";
    let node = TestNode::new(Mode::SafeBlocking, rule);
    let post = |client: &str, body: &str| {
        let head = format!(
            "POST /orders HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: {}",
            body.len()
        );
        blocked(&node.ask(client, &format!("{head}\r\n\r\n{body}")))
    };
    // Deeper than a parser goes: what lies behind is not read.
    let deep = format!("{{\"pad\": {}", "[".repeat(2_000));
    assert_eq!(passed((0..40).map(|_| post("198.51.100.9", &deep))), 20);
    // A body that was read has no id, and nothing to count.
    assert_eq!(passed((0..40).map(|_| post("198.51.100.8", "{\"pad\": \"a\"}"))), 40);
}

#[test]
fn sessions_of_the_page_of_a_login_are_no_evidence_of_many_people() {
    let rule = "{id: 7, type: brute, threshold: 10, window: 60, key: [client], \
                action: [{type: equal, point: [action_name], value: login}]}, {id: 1, type: session, key: 'cookie:sid'}";
    let guess = |node: &TestNode, n: usize| {
        // As programs do that guess: a new session with each page, then the attempt in it.
        node.issue("198.51.100.7", &format!("fetched-{n}"));
        node.guess(&format!("user=u{n}"), &format!("fetched-{n}"), WRONG)
    };
    let node = answered(rule);
    assert_eq!(
        passed((0..200).map(|n| guess(&node, n))),
        9,
        "one attempt made the rule learn that its route is answered"
    );
    // People of one network use their sessions for more than attempts.
    let node = answered(rule);
    let mistaken = |n: usize| {
        node.issue("198.51.100.7", &format!("person-{n}"));
        node.get("198.51.100.7", "/products", &format!("person-{n}"));
        node.guess(&format!("user=p{n}"), &format!("person-{n}"), WRONG)
    };
    assert_eq!(passed((0..200).map(mistaken)), 200);
}

#[test]
fn one_account_in_many_spellings_is_one_account() {
    let node = answered(GUESS);
    let spellings =
        ["jose", "JOSE", "jos%c3%a9", "%6aose", "jose%20", "%ef%bd%8aose", "jo%e2%80%8bse", "jose%cc%81", "jose%01"];
    assert_eq!(passed(spellings.iter().map(|user| node.guess(&format!("user={user}"), "", WRONG))), 3);
    assert!(!node.guess("user=joseph", "", WRONG));
}

#[test]
fn one_session_in_many_spellings_is_one_session() {
    let rule = "{id: 9, type: rate_limit, threshold: 3, window: 60, key: [session]}";
    let node = TestNode::new(Mode::Block, rule);
    let spellings = ["abc", "%61bc", "a%62c", "ab%63", "%61%62%63", "\"abc\"", "\"%61bc\""];
    assert_eq!(passed(spellings.iter().map(|sid| blocked(&node.get("198.51.100.9", "/", sid)))), 3);
    // What the upstream issues in one spelling is recognised in another.
    let node = TestNode::new(Mode::SafeBlocking, WALK);
    node.issue("198.51.100.9", "a%62c");
    node.get("198.51.100.9", "/", "abc");
    let source = node.get("198.51.100.9", "/orders/1", "abc").carried.source;
    assert_eq!(node.abuse.sessions_of(source, node.now), 1);
}

#[test]
fn translated_addresses_are_different_clients() {
    let node = TestNode::new(Mode::Block, "{id: 9, type: rate_limit, threshold: 3, window: 60, key: [client]}");
    (0..9).for_each(|_| drop(node.get("64:ff9b::203.0.113.1", "/", "")));
    assert!(blocked(&node.get("64:ff9b::203.0.113.1", "/", "")));
    assert!(blocked(&node.get("::ffff:203.0.113.1", "/", "")) && blocked(&node.get("203.0.113.1", "/", "")));
    assert!(!blocked(&node.get("64:ff9b::203.0.113.2", "/", "")), "its neighbour");
}

#[test]
fn naming_two_accounts_is_no_login_at_the_second() {
    let node = answered(GUESS);
    // The upstream reads the first name, and the password fits that.
    assert!(!node.guess("user=mallory&user=victim", "mine", RIGHT));
    assert_eq!(passed((0..20).map(|_| node.guess("user=victim", "mine", WRONG))), 3);
}

#[test]
fn opening_the_form_is_no_login() {
    let node = answered(GUESS);
    for _ in 0..5 {
        let form = node.get("198.51.100.7", "/login?user=victim", "mine");
        node.answer(&form, RIGHT);
    }
    assert_eq!(passed((0..20).map(|_| node.guess("user=victim", "mine", WRONG))), 3);
}

#[test]
fn a_session_that_only_seemed_to_log_in_gains_one_guess() {
    let node = answered(GUESS);
    // Answers that the rule does not know as failures, before the account is at its limit.
    (0..100).for_each(|n| assert!(!node.guess("user=victim", &format!("s{n}"), RIGHT)));
    assert!(!node.guess("user=victim", "of-the-victim", RIGHT));
    assert_eq!(passed((0..20).map(|_| node.guess("user=victim", "", WRONG))), 3);
    let tried = passed((0..500).map(|n| node.guess("user=victim", &format!("s{}", n % 100), WRONG)));
    assert_eq!(tried, 15, "each of the latest sixteen sessions that seemed to log in, less that of the victim");
    assert!(!node.guess("user=victim", "of-the-victim", RIGHT));
}

#[test]
fn guesses_of_a_spared_session_that_are_not_answered_have_its_limit() {
    let node = answered(GUESS);
    assert!(!node.guess("user=victim", "mine", RIGHT));
    assert_eq!(passed((0..20).map(|_| node.guess("user=victim", "", WRONG))), 3);
    let parallel: Vec<Asked> = (0..100).map(|_| node.post("user=victim", "mine")).collect();
    assert_eq!(passed(parallel.iter().map(blocked)), 3);
    for asked in parallel.iter().filter(|asked| !blocked(asked)) {
        node.answer(asked, WRONG);
    }
    assert!(blocked(&node.post("user=victim", "mine")), "it failed");
}

#[test]
fn logins_that_are_never_answered_stay_counted() {
    let mut node = answered(GUESS);
    let asked: Vec<Asked> = (0..50).map(|_| node.post("user=victim", "")).collect();
    assert_eq!(passed(asked.iter().map(blocked)), 3);
    node.now += 30_000;
    assert!(blocked(&node.post("user=victim", "")));
    assert!(!blocked(&node.post("user=bob", "")), "another account");
}

#[test]
fn a_login_that_is_hidden_behind_a_long_body_is_counted_by_source() {
    let node = answered(LOGIN);
    node.answer(&node.login("198.51.100.1", "other", ""), WRONG);
    let padded = "POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\r\n{\"pad\":\"xxxxxxxxxxxx";
    let guess = |client: &str, state| {
        let message = Message { body_state: state, ..message::request(padded.as_bytes()) };
        let asked = node.ask_message(client, &message);
        if !blocked(&asked) {
            node.answer(&asked, WRONG);
        }
        blocked(&asked)
    };
    for state in [BodyState::Prefix, BodyState::Unread] {
        let client = format!("198.51.100.{}", 10 + state as u8);
        assert_eq!(passed((0..30).map(|_| guess(&client, state))), 10, "{state:?}");
    }
    assert!(!guess("198.51.100.99", BodyState::Prefix), "another source");
    assert_eq!(passed((0..30).map(|_| guess("198.51.100.50", BodyState::Complete))), 30, "it names no account");
}

#[test]
fn a_server_that_lies_about_the_time_moves_counters_by_a_day_at_most() {
    let node = answered(GUESS);
    let day = 86_400_000;
    for (theirs, want) in [(u64::MAX, node.now + day), (0, node.now - day), (node.now + 5, node.now + 5)] {
        node.abuse.set_offset(theirs, node.now);
        assert_eq!(node.abuse.shared_time(node.now), want);
    }
}

#[test]
fn very_long_values_cost_bounded_memory() {
    let node = TestNode::new(Mode::Block, "{id: 9, type: rate_limit, threshold: 3, window: 60, key: ['header:x-key']}");
    let long = "k".repeat(1 << 20);
    let ask = |tail: &str| {
        let raw = format!("GET / HTTP/1.1\r\nHost: h\r\nX-Key: {long}{tail}\r\n\r\n");
        blocked(&node.ask("198.51.100.9", &raw))
    };
    assert_eq!(
        passed((0..20).map(|n| ask(&n.to_string()))),
        3,
        "what differs behind the first kilobyte does not count"
    );
    assert!(node.abuse.table().bytes() < 4_096);
}

#[test]
fn another_case_of_a_path_leaves_no_limit() {
    let rules = "{id: 1, type: rate_limit, threshold: 3, window: 60, \
                  action: [{type: equal, point: [path, 0], value: Api}, {type: equal, point: [action_name], value: login}]}, \
                 {id: 2, type: rate_limit, threshold: 3, window: 60, key: [client, 'path:0'], \
                  action: [{type: equal, point: [method], value: PUT}]}";
    let node = TestNode::new(Mode::SafeBlocking, rules);
    let spellings = ["/Api/login", "/api/login", "/API/LOGIN", "/aPI/Login"];
    let passed = |method: &str, client: &str| {
        let ask = |path: &&&str| !blocked(&node.ask(client, &format!("{method} {path} HTTP/1.1\r\nHost: h\r\n\r\n")));
        spellings.iter().filter(ask).count()
    };
    assert_eq!(passed("GET", "198.51.100.1"), 3);
    assert_eq!(passed("PUT", "198.51.100.2"), 3, "as part of a key");
    assert!(!blocked(&node.get("198.51.100.1", "/api/logins", "")), "another path");
}

#[test]
fn the_mode_of_a_route_compares_case_beside_a_limit_with_the_same_conditions() {
    let action = "action: [{type: equal, point: [path, 0], value: shop}]";
    let rules = format!(
        "{{id: 1, type: wallarm_mode, mode: 'off', {action}}}, {{id: 2, type: rate_limit, threshold: 1, window: 60, {action}}}"
    );
    let node = TestNode::new(Mode::SafeBlocking, &rules);
    assert!((0..3).all(|_| !blocked(&node.get("198.51.100.1", "/shop/a", ""))), "in mode off nothing counts");
    assert!(!blocked(&node.get("198.51.100.1", "/SHOP/a", "")));
    assert!(blocked(&node.get("198.51.100.1", "/SHOP/a", "")), "another spelling is not off");
}

#[test]
fn another_end_of_a_path_or_another_method_leaves_no_limit() {
    let rules = "{id: 1, type: rate_limit, threshold: 3, window: 60, \
                 action: [{type: equal, point: [path, 0], value: api}, {type: equal, point: [action_name], value: login}, \
                 {type: equal, point: [method], value: POST}]}";
    let node = TestNode::new(Mode::SafeBlocking, rules);
    let passes = |method: &str, target: &str, header: &str| {
        !blocked(&node.ask("198.51.100.1", &format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{header}\r\n")))
    };
    let spellings = [
        ("POST", "/api/login/", ""),
        ("POST", "/api/login/;x", ""),
        ("POST", "/api//login.php/", ""),
        ("post", "/api/login", ""),
        ("GET", "/api/login", "X-HTTP-Method-Override: POST\r\n"),
        ("PUT", "/api/login", "x-http-method: post \r\n"),
        ("GET", "/api/login?_method=post", ""),
    ];
    let other = [("GET", "/api/login", ""), ("POST", "/api/login/x", ""), ("POST", "/", ""), ("POST", "/api/", "")];
    for (method, target, header) in other.into_iter().cycle().take(20) {
        assert!(passes(method, target, header), "{method} {target} is another request");
    }
    for (number, (method, target, header)) in spellings.into_iter().enumerate() {
        assert_eq!(passes(method, target, header), number < 3, "{method} {target} {header}");
    }
}

#[test]
fn a_rule_for_a_path_with_a_slash_at_its_end_counts_the_path_without_it() {
    let form = "{type: equal, point: [path, 0], value: login}, {type: absent, point: [path, 1]}, \
                {type: equal, point: [action_name], value: ''}, {type: absent, point: [action_ext]}";
    for action in [form, "{type: equal, point: [uri], value: '/login/'}"] {
        let rules = format!("{{id: 1, type: rate_limit, threshold: 4, window: 60, action: [{action}]}}");
        let node = TestNode::new(Mode::SafeBlocking, &rules);
        for target in ["/", "/login/x", "/login/x/", "/other", "/a/login"].into_iter().cycle().take(30) {
            assert!(!blocked(&node.get("198.51.100.1", target, "")), "{target} is another path");
        }
        for (number, target) in ["/login", "/login/", "/LOGIN", "/%6cogin", "/login", "/login/"].into_iter().enumerate()
        {
            assert_eq!(blocked(&node.get("198.51.100.1", target, "")), number > 3, "{target}");
        }
    }
}

#[test]
fn a_slash_at_the_end_weakens_nothing() {
    let rules = "{id: 1, type: wallarm_mode, mode: 'off', action: [{type: equal, point: [action_name], value: open}]}, \
                 {id: 2, type: rate_limit, threshold: 1, window: 60}";
    let node = TestNode::new(Mode::SafeBlocking, rules);
    assert!((0..3).all(|_| !blocked(&node.get("198.51.100.1", "/open", ""))), "in mode off nothing counts");
    assert!(!blocked(&node.get("198.51.100.1", "/open/", "")));
    assert!(blocked(&node.get("198.51.100.1", "/open/", "")), "which is another path for the mode");
}

const BATCH: &str = "[[post], [json_doc], [array_all], [hash, user]]";

impl TestNode {
    /// A batch of logins at these accounts.
    fn batch(&self, users: impl Iterator<Item = String>) -> Asked {
        let items: Vec<String> = users.map(|user| format!("{{\"user\":\"{user}\",\"password\":\"x\"}}")).collect();
        let head = "POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json";
        self.ask("198.51.100.7", &format!("{head}\r\n\r\n[{}]", items.join(",")))
    }
}

#[test]
fn many_guesses_in_one_request_count_as_many() {
    let node = answered(&format!("{{id: 7, type: brute, threshold: 10, window: 60, key: [{BATCH}]}}"));
    let same = |n: usize, user: &'static str| node.batch((0..n).map(move |_| user.to_owned()));
    node.answer(&same(1, "other"), WRONG);
    assert!(blocked(&same(11, "victim")), "more than are allowed");
    // Of 4 that failed and 4 that did not, the former count.
    node.answer(&same(4, "al"), WRONG);
    node.answer(&same(4, "al"), RIGHT);
    node.answer(&same(4, "AL"), RIGHT);
    assert!(!blocked(&same(6, "al")));
    assert!(blocked(&same(1, "al")));
}

#[test]
fn many_accounts_in_one_request_are_as_many_values() {
    let rule =
        format!("{{id: 7, type: brute, threshold: 20, window: 60, key: [client], distinct: {BATCH}, reaction: block}}");
    let node = answered(&rule);
    let users = |from: usize, n: usize| (from..from + n).map(|n| format!("user-{n}"));
    // One response to all: what is no more than a repeated name gives waits for it.
    node.answer(&node.batch(users(0, 4)), RIGHT);
    assert!(!blocked(&node.batch(users(0, 1))));
    node.answer(&node.batch(users(0, 30)), WRONG);
    assert!(blocked(&node.batch(users(0, 1))));
    let walk =
        format!("{{id: 8, type: bola, threshold: 20, window: 60, key: [client], distinct: {BATCH}, reaction: block}}");
    let node = TestNode::new(Mode::SafeBlocking, &walk);
    assert!(!blocked(&node.batch(users(0, 20))));
    assert!(blocked(&node.batch(users(20, 1))));
}

#[test]
fn an_account_in_front_of_what_is_not_read_hides_none() {
    let node = answered(LOGIN);
    node.answer(&node.login("198.51.100.1", "other", ""), WRONG);
    let guess = |n: usize| {
        let raw = format!(
            "POST /login HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n\r\n{{\"user\":\"decoy-{n}\",\"pad\":\"xxx"
        );
        let message = Message { body_state: BodyState::Prefix, ..message::request(raw.as_bytes()) };
        let asked = node.ask_message("198.51.100.8", &message);
        if !blocked(&asked) {
            node.answer(&asked, WRONG);
        }
        blocked(&asked)
    };
    assert_eq!(passed((0..30).map(guess)), 10);
}

#[test]
fn repeated_names_leave_no_rule_without_room() {
    let pairs: Vec<String> = (20..26)
        .map(|id| format!("{{id: {id}, type: brute, threshold: 900, window: 60, key: ['query:a{id}', 'query:b{id}']}}"))
        .collect();
    let node = answered(&format!(
        "{}, {{id: 70, type: brute, threshold: 3, window: 60, key: ['query:user', client]}}",
        pairs.join(",")
    ));
    // Each rule has 16 keys of its own.
    let repeated = |id: u32| {
        let name = |name: &str| (1..5).map(|n| format!("{name}{id}={n}{id}&")).collect::<String>();
        name("a") + &name("b")
    };
    let repeated: String = (20..26).map(repeated).collect();
    node.guess("user=other", "", WRONG);
    assert_eq!(passed((0..20).map(|_| node.guess(&format!("{repeated}user=victim"), "", WRONG))), 3);
    assert!(node.abuse.not_carried() > 0, "there was no room for all");
}

#[test]
fn a_token_behind_any_space_is_a_token() {
    let rule = "{id: 9, type: rate_limit, threshold: 3, window: 60, key: ['jwt:sub']}";
    let node = TestNode::new(Mode::Block, rule);
    let ask = |scheme: &str| {
        let raw = format!("GET / HTTP/1.1\r\nHost: h\r\nAuthorization: {scheme}e30.eyJzdWIiOiJ1In0.x\r\n\r\n");
        !blocked(&node.ask("198.51.100.9", &raw))
    };
    let schemes = ["Bearer ", "bearer  ", "BEARER\t", " Bearer \t "];
    assert_eq!(schemes.iter().filter(|scheme| ask(scheme)).count(), 3);
}
