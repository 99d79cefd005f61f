//! What an inspection finds does not depend on the requests before it: values that are known to be benign are not scanned
//! again, but cost as many work units as their scan did.

use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::{Inspection, Limits};
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};

fn post(media: &str, body: &str) -> Vec<u8> {
    let head = "Accept: */*\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    format!("POST /api HTTP/1.1\r\nHost: a.example\r\n{head}\r\nContent-Type: {media}\r\n\r\n{body}").into_bytes()
}

/// Bodies of short values that come again and again; some are beyond the work limit or have an attack at their end.
fn messages() -> Vec<Vec<u8>> {
    let words = ["active", "de", "a", "x1", "on", "id", "name", "%61b", "YWI=", "0"];
    let attack = "' union select login, password from users--";
    let list =
        |count: usize| (0..count).map(|n| format!("\"{}\"", words[n % words.len()])).collect::<Vec<_>>().join(",");
    let fields = |count: usize| {
        (0..count).map(|n| format!("{}={}", words[n * 7 % 10], words[n % 10])).collect::<Vec<_>>().join("&")
    };
    let costly = "[\\\"$<a %2525[\\\"".repeat(4000);
    vec![
        post("application/json", &format!("[{}]", list(40))),
        post("application/json", &format!("{{\"a\":[{}],\"b\":\"{attack}\"}}", list(9000))),
        post("application/json", &format!("{{\"a\":[{}],\"b\":\"{costly}\",\"c\":[{}]}}", list(500), list(500))),
        post("application/x-www-form-urlencoded", &fields(60)),
        post("application/x-www-form-urlencoded", &format!("{}&q={attack}", fields(6000))),
        post(
            "application/json",
            &format!("{{\"query\":\"{{ {} s(q:\\\"{attack}\\\"){{id}} }}\"}}", "a ".repeat(20_000)),
        ),
        post("application/graphql", &format!("{{ {} }}", "`id` a ".repeat(9000))),
    ]
}

fn inspected(raw: &[u8], rules: &Ruleset, scratch: &mut Scratch) -> Inspection {
    inspect(&message::request(raw), rules, &InspectionOptions::default(), scratch, &|| false)
}

#[test]
fn an_inspection_does_not_depend_on_those_before_it() {
    let rules = compile::compile(&builtin::files()).expect("built-in rules compile");
    let (messages, mut used) = (messages(), Scratch::default());
    for message in messages.iter().chain(&messages) {
        inspected(message, &rules, &mut used);
    }
    for (number, message) in messages.iter().enumerate() {
        let fresh = inspected(message, &rules, &mut Scratch::default());
        let again = inspected(message, &rules, &mut used);
        assert_eq!(format!("{again:#?}"), format!("{fresh:#?}"), "message {number}");
    }
}

#[test]
fn some_of_these_messages_reach_the_work_limit() {
    let rules = compile::compile(&builtin::files()).expect("built-in rules compile");
    let is_over = |message: &Vec<u8>| {
        inspected(message, &rules, &mut Scratch::default()).work > Limits::default().work_for(message.len())
    };
    let over = messages().iter().filter(|message| is_over(message)).count();
    assert!((1..messages().len()).contains(&over), "{over} messages");
}
