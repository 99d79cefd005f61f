//! Packed, encrypted and random text passes: base85, base91, uuencoded data, passwords and tokens. An attack within such a
//! text does not.

use std::sync::OnceLock;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};

/// Strings of each kind.
const STRINGS: usize = 400;
/// Most of a thousand that may be blocked: random text of this length sometimes is a command line.
const MOST_BLOCKED_PER_MILLE: usize = 3;

fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

fn is_blocked(raw: &[u8]) -> bool {
    let message = message::request(raw);
    let found = inspect(&message, ruleset(), &InspectionOptions::default(), &mut Scratch::default(), &|| false);
    found.findings.iter().any(|finding| finding.decisive)
}

fn escaped(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '"' | '\\' => format!("\\{c}"),
            '\n' => "\\n".into(),
            c => c.to_string(),
        })
        .collect()
}

fn json(field: &str, text: &str) -> Vec<u8> {
    let body = format!("{{\"id\":7,\"{field}\":\"{}\"}}", escaped(text));
    let head = "POST /api HTTP/1.1\r\nHost: a.example\r\nContent-Type: application/json\r\nContent-Length: ";
    format!("{head}{}\r\n\r\n{body}", body.len()).into_bytes()
}

fn query(field: &str, text: &str) -> Vec<u8> {
    let value: String = text.bytes().map(|byte| format!("%{byte:02X}")).collect();
    format!("GET /api?page=2&{field}={value} HTTP/1.1\r\nHost: a.example\r\n\r\n").into_bytes()
}

/// A generator of numbers (xorshift64*), the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % below
    }

    fn text(&mut self, alphabet: &[char], length: usize) -> String {
        (0..length).map(|_| alphabet[self.next(alphabet.len())]).collect()
    }
}

/// Alphabets of encodings that make text of bytes, and of passwords.
fn alphabets() -> Vec<(&'static str, Vec<char>)> {
    let letters = || ('a'..='z').chain('A'..='Z').chain('0'..='9');
    let with = |more: &str| letters().chain(more.chars()).collect();
    vec![
        ("ascii85", ('!'..='u').collect()),
        ("base85 of RFC 1924", with("!#$%&()*+-;<=>?@^_`{|}~")),
        ("base91", with("!#$%&()*+,./:;<=>?@[]^_`{|}~\"")),
        ("Z85", with(".-:+=^!/*?&<>()[]{}@%$#")),
        ("uuencoded", (' '..='`').collect()),
        ("base64", with("+/")),
        ("base64 for URLs", with("-_")),
        ("passwords", ('!'..='~').collect()),
        ("letters of other languages", ('\u{a1}'..='\u{17f}').chain('!'..='~').collect()),
    ]
}

#[test]
fn packed_text_passes() {
    let (mut random, mut blocked, mut all) = (Random(0x9E37_79B9_7F4A_7C15), Vec::new(), 0);
    for (name, alphabet) in alphabets() {
        for number in 0..STRINGS {
            let length = [12, 24, 40, 80, 200, 600][number % 6];
            let text = random.text(&alphabet, length);
            let raw = if number % 3 == 0 { query("state", &text) } else { json("data", &text) };
            all += 1;
            if is_blocked(&raw) {
                blocked.push(format!("{name}: {text}"));
            }
        }
    }
    assert!(
        blocked.len() * 1000 <= all * MOST_BLOCKED_PER_MILLE,
        "{} of {all}:\n{}",
        blocked.len(),
        blocked.join("\n")
    );
}

#[test]
fn packed_text_hides_no_attack() {
    const ATTACKS: &[&str] = &[
        ";cat /etc/passwd;",
        "|uname -a|",
        "$(id)",
        "&& ping -c 3 127.0.0.1 &&",
        "<script>alert(1)</script>",
        "{{7*7}}",
        "<?php system($_GET[1]); ?>",
        "${jndi:ldap://a.example/x}",
        "%{(#a=@java.lang.Runtime@getRuntime())}",
    ];
    let (mut random, mut missed) = (Random(0xD1B5_4A32_D192_ED03), Vec::new());
    let alphabet: Vec<char> = ('a'..='z').chain('A'..='Z').chain('0'..='9').chain("-_=.,:".chars()).collect();
    for attack in ATTACKS {
        for length in [8, 60, 600] {
            let text = format!("{}{attack}{}", random.text(&alphabet, length), random.text(&alphabet, length));
            let passed = [("query", query("state", &text)), ("json", json("data", &text))];
            missed
                .extend(passed.iter().filter(|(_, raw)| !is_blocked(raw)).map(|(place, _)| format!("{place}: {text}")));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
