//! After the secret of the group is replaced, entries and exceptions made under the former one act until they expire.

use super::*;
use weir_abuse::{Change, Entry, Exception};

fn secrets(names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| name.as_bytes().to_vec()).collect()
}

impl TestNode {
    /// The entry of the source that walks, once it is listed.
    fn walked(&self, client: &str) -> Entry {
        (0..40).for_each(|n| drop(self.get(client, &format!("/orders/{n}"), "")));
        let listed = |change| if let Change::Listed(entry) = change { Some(entry) } else { None };
        self.abuse.entries().take_news().into_iter().find_map(listed).expect("an entry")
    }

    fn walks(&self, client: &str, cookie: &str) -> bool {
        (100..140).any(|n| blocked(&self.get(client, &format!("/orders/{n}"), cookie)))
    }
}

fn except(node: &TestNode, entry: &Entry) {
    let (at, until) = (node.now, node.now + 3_600_000);
    let exception =
        Exception { rule: entry.rule, key: entry.key, made: entry.made.clone(), at, until, ..Exception::default() };
    assert!(node.abuse.entries().apply(Change::Excepted(exception), node.now));
}

#[test]
fn entries_of_the_former_secret_act_until_they_expire() {
    let mut node = TestNode::new(Mode::SafeBlocking, WALK);
    let entry = node.walked("198.51.100.9");
    assert_eq!(entry.made.secret, node.abuse.status(node.now).secrets[0]);
    node.abuse.set_secrets(&secrets(&["new", "k"]));
    let asked = node.get("198.51.100.9", "/", "");
    assert_eq!(asked.verdict.list.map(|list| list.list), Some(List::Gray));
    node.now = entry.expires;
    assert!(node.get("198.51.100.9", "/", "").verdict.list.is_none());
    // Without the former secret it is not found, and the node says which it has.
    node.now -= 1;
    node.abuse.set_secrets(&secrets(&["new"]));
    assert!(node.get("198.51.100.9", "/", "").verdict.list.is_none());
    assert!(!node.abuse.status(node.now).secrets.contains(&entry.made.secret));
}

#[test]
fn exceptions_of_the_former_secret_act_until_they_expire() {
    let mut node = TestNode::new(Mode::SafeBlocking, WALK);
    let entry = node.walked("198.51.100.9");
    except(&node, &entry);
    assert!(!node.walks("198.51.100.9", ""));
    node.abuse.set_secrets(&secrets(&["new", "other", "k"]));
    assert!(!node.walks("198.51.100.9", ""), "excepted under the third secret");
    assert!(node.walks("198.51.100.10", ""), "another source");
    node.now += 3_600_001;
    assert!(node.walks("198.51.100.9", ""), "the exception has expired");
}

#[test]
fn a_key_that_another_node_excepted_under_its_newer_secret_is_excepted() {
    let mut newer = TestNode::new(Mode::SafeBlocking, WALK);
    newer.abuse.set_secrets(&secrets(&["new", "k"]));
    let entry = newer.walked("198.51.100.9");
    let mut older = TestNode::new(Mode::SafeBlocking, WALK);
    older.abuse.set_secrets(&secrets(&["k", "new"]));
    older.abuse.entries().apply(Change::Listed(entry.clone()), older.now);
    assert!(older.get("198.51.100.9", "/", "").verdict.list.is_some());
    except(&older, &entry);
    assert!(!older.walks("198.51.100.9", ""));
    (newer.now, older.now) = (newer.now + 1, older.now + 1);
    assert!(newer.walks("198.51.100.9", ""), "it has not heard of the exception");
}

#[test]
fn exceptions_of_sessions_accounts_and_consumers_survive_a_rotation() {
    let keys = ["[client, session]", "[client, 'header:x-user']", "[client, consumer]", "[client, 'query:a', host]"];
    for key in keys {
        let rule = WALK.replace("key: [client]", &format!("key: {key}"));
        let node = TestNode::new(Mode::SafeBlocking, &rule);
        let get = |n: usize| {
            let raw = format!(
                "GET /orders/{n}?a=x&a=y HTTP/1.1\r\nHost: h\r\nCookie: sid=s\r\nX-User: al\r\nX-User: bo\r\nAuthorization: t\r\n\r\n"
            );
            let asked = node.ask("198.51.100.9", &raw);
            let message = message::response(RIGHT.as_bytes());
            let view = ResponseView { message: &message, consumer: "c", requested: asked.at, now: node.now };
            node.abuse.response(&view, &Carried::from_bytes(&asked.carried.to_bytes()), &node.policy, &asked.plan);
            blocked(&asked)
        };
        assert!((0..40).any(get), "{key}");
        let entries: Vec<Entry> = node.abuse.entries().all(node.now).into_iter().filter_map(listed).collect();
        assert!(!entries.is_empty(), "{key}");
        // Each of the values of a repeated name has a counter of its own, and the highest of them is listed.
        let excepted = || node.abuse.entries().all(node.now).into_iter().filter_map(listed).collect::<Vec<_>>();
        for round in 0..4 {
            excepted().iter().for_each(|entry| except(&node, entry));
            let begin = 1_000 * (round + 1);
            (begin..begin + 40).for_each(|n| _ = get(n));
        }
        assert!(!(40..80).any(get), "{key}");
        node.abuse.set_secrets(&secrets(&["new", "k"]));
        // The consumer is known again with the first response.
        get(80);
        assert!(!(81..160).any(get), "{key}");
    }
}

fn listed(change: Change) -> Option<Entry> {
    if let Change::Listed(entry) = change { Some(entry) } else { None }
}
