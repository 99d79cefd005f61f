//! Padding never hides an attack: what is blocked alone is blocked behind, before and between any padding.
//!
//! Every sample of every signature and detector that is blocked in a form field, a JSON string, a query or a header is
//! sent again with each padding of [`paddings`]. By default a part of the samples is taken; all of them with
//!
//! ```text
//! PADDING_ALL=1 cargo test --release --test padding
//! ```

use std::sync::OnceLock;
use weir_core::detect::TABLE;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};
use weir_policy::{OverlimitAction, OverlimitPolicy};

/// Samples taken when not all are.
const SAMPLES: usize = 40;

fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

/// Whether the default policy blocks the request: by an attack, or because a part of it was not inspected.
fn is_blocked(raw: &[u8]) -> bool {
    let found =
        inspect(&message::request(raw), ruleset(), &InspectionOptions::default(), &mut Scratch::default(), &|| false);
    let gaps = found.not_inspected.iter().map(|gap| gap.reason);
    !found.attacks().is_empty() || OverlimitPolicy::default().decide(gaps) == OverlimitAction::Block
}

fn percent(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn post(media: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Type: {media}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn form(body: &str) -> Vec<u8> {
    post("application/x-www-form-urlencoded", body.as_bytes())
}

fn json(body: &str) -> Vec<u8> {
    post("application/json", body.as_bytes())
}

fn get(query: &str, headers: &str) -> Vec<u8> {
    format!("GET /api?{query} HTTP/1.1\r\nHost: shop.example\r\n{headers}\r\n").into_bytes()
}

/// A form with a field or, with the attribute `file`, a file.
fn part(file: &str, content: &str) -> Vec<u8> {
    let body = format!("--sep\r\nContent-Disposition: form-data; name=\"q\"{file}\r\n\r\n{content}\r\n--sep--\r\n");
    post("multipart/form-data; boundary=sep", body.as_bytes())
}

fn field_alone(text: &str) -> Vec<u8> {
    part("", text)
}

/// JSON in a form's field.
fn json_field_alone(text: &str) -> Vec<u8> {
    part("", &format!("{{\"q\":{}}}", json_text(text)))
}

/// Whether a text is a relative path, which in a file names another file of the same project.
fn climbs(text: &str) -> bool {
    text.to_ascii_lowercase().replace("%2e", ".").contains("..")
}

/// Whether a text is a value in a file, too: it is short, and none that only files hold (docs/policy.md, "Files").
fn is_value_in_file(text: &str) -> bool {
    let begins =
        |known: &str| text.trim_start().get(..known.len()).is_some_and(|head| head.eq_ignore_ascii_case(known));
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    let page = ["<!doctype html", "<html", "#!/"].iter().any(|known| begins(known));
    let document = lines > 1 && text.ends_with('\n');
    !climbs(text) && text.len() <= 1024 && !page && !document
}

/// Lines of a text.
const LINES: &str = "\nThe second line\n\nthe third one,\nand more.\n";

/// Whether an attack runs wherever it is in a text: it is markup, a look-up or an expression of a template, or closes a
/// quote and goes on. Code that does neither is a syntax error behind other lines.
fn runs_anywhere(text: &str) -> bool {
    let closes = text.starts_with(['\'', '"']) && text[1..].trim_start().starts_with([';', '+', '.', '|', '&', ')']);
    text.starts_with("<script")
        || text.starts_with("${jndi:")
        || text.starts_with("{{7*7")
        || closes && !text.contains('\n')
}

fn member_alone(name: &str, text: &str) -> Vec<u8> {
    json(&format!("{{\"id\":7,\"{name}\":{}}}", json_text(text)))
}

/// A way to send an attack, alone and padded.
struct Padding {
    name: &'static str,
    alone: fn(&str) -> Vec<u8>,
    padded: fn(&str) -> Vec<u8>,
}

fn form_alone(text: &str) -> Vec<u8> {
    form(&format!("q={}", percent(text)))
}

fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn json_alone(text: &str) -> Vec<u8> {
    json(&format!("{{\"q\":{}}}", json_text(text)))
}

fn query_alone(text: &str) -> Vec<u8> {
    get(&format!("q={}", percent(text)), "")
}

fn paddings() -> Vec<Padding> {
    vec![
        Padding {
            name: "form: empty names before",
            alone: form_alone,
            padded: |text| form(&format!("{}q={}", "a&".repeat(20_000), percent(text))),
        },
        Padding {
            name: "form: fields around",
            alone: form_alone,
            padded: |text| {
                let fields = |from: usize| (from..from + 3000).map(|n| format!("f{n}=v{n}&")).collect::<String>();
                form(&format!("{}q={}&{}", fields(0), percent(text), fields(3000)))
            },
        },
        Padding {
            name: "form: a ladder of encodings before",
            alone: form_alone,
            padded: |text| {
                let ladder = format!("%{}41{}&{}lt;", "25".repeat(8), "||&&".repeat(500), "amp;".repeat(8));
                form(&format!("a={}&q={}", percent(&ladder), percent(text)))
            },
        },
        Padding {
            name: "JSON: empty strings before",
            alone: json_alone,
            padded: |text| json(&format!("[{}{{\"q\":{}}}]", "\"\",".repeat(20_000), json_text(text))),
        },
        Padding {
            name: "JSON: empty arrays before",
            alone: json_alone,
            padded: |text| json(&format!("[{}{{\"q\":{}}}]", "[],".repeat(20_000), json_text(text))),
        },
        Padding {
            name: "JSON: numbers behind",
            alone: json_alone,
            padded: |text| json(&format!("{{\"q\":{},\"n\":[{}1]}}", json_text(text), "1,".repeat(50_000))),
        },
        Padding {
            name: "JSON: brackets around, deeper than is parsed",
            alone: json_alone,
            padded: |text| json(&format!("{}{{\"q\":{}}}{}", "[".repeat(400), json_text(text), "]".repeat(400))),
        },
        Padding {
            name: "JSON in JSON, deeper than is parsed",
            alone: json_alone,
            padded: |text| {
                json(&(0..7).fold(format!("{{\"q\":{}}}", json_text(text)), |inner, _| {
                    format!("{{\"q\":{}}}", json_text(&inner))
                }))
            },
        },
        Padding {
            name: "a file name",
            alone: field_alone,
            padded: |text| part(if is_value_in_file(text) { "; filename=\"x.txt\"" } else { "" }, text),
        },
        Padding {
            name: "an encoded file name, and a type",
            alone: field_alone,
            padded: |text| {
                let file = "; filename*=UTF-8''x.png\r\nContent-Type: image/png";
                part(if is_value_in_file(text) { file } else { "" }, text)
            },
        },
        Padding {
            name: "JSON in a file, behind 100 KB of members",
            alone: json_field_alone,
            padded: |text| {
                let members: String = (0..5000).map(|n| format!("\"member{n}\":\"value\",")).collect();
                part(
                    if climbs(text) { "" } else { "; filename=\"blob\"" },
                    &format!("{{{members}\"q\":{}}}", json_text(text)),
                )
            },
        },
        Padding {
            name: "a form in a file",
            alone: form_alone,
            padded: |text| {
                let fields: String = (0..500).map(|n| format!("field{n}=value&")).collect();
                let body = format!("{fields}q={}", percent(text));
                if climbs(text) { form(&body) } else { part("; filename=\"form.txt\"", &body) }
            },
        },
        Padding {
            name: "a comment in a form: lines behind",
            alone: |text| form(&format!("comment={}", percent(text))),
            padded: |text| form(&format!("comment={}", percent(&format!("{text}{LINES}")))),
        },
        Padding {
            name: "a message in JSON: lines behind",
            alone: |text| member_alone("message", text),
            padded: |text| member_alone("message", &format!("{text}{LINES}")),
        },
        Padding {
            name: "content in JSON: comments before, lines behind",
            alone: |text| member_alone("content", text),
            padded: |text| member_alone("content", &format!("// one\n# two\n\n-- three\n{text}{LINES}")),
        },
        Padding {
            name: "code in a query: lines behind",
            alone: |text| get(&format!("code={}", percent(text)), ""),
            padded: |text| get(&format!("code={}", percent(&format!("{text}{LINES}"))), ""),
        },
        Padding {
            name: "a body in a form: lines and a fence behind",
            alone: |text| form(&format!("body={}", percent(text))),
            padded: |text| form(&format!("body={}", percent(&format!("{text}{LINES}```js\nx\n```\n")))),
        },
        Padding {
            name: "a description in JSON: lines and a fence around what runs anywhere",
            alone: |text| member_alone("description", text),
            padded: |text| {
                let padded = format!("First line\nSecond\nThird\n\n```\n{text}\n```{LINES}");
                member_alone("description", if runs_anywhere(text) { &padded } else { text })
            },
        },
        Padding {
            name: "query: names before",
            alone: query_alone,
            padded: |text| get(&format!("{}q={}", "a&".repeat(20_000), percent(text)), ""),
        },
        Padding {
            name: "query: a body of runs behind",
            alone: query_alone,
            padded: |text| {
                let mut raw =
                    format!("POST /api?q={} HTTP/1.1\r\nHost: shop.example\r\n\r\n", percent(text)).into_bytes();
                raw.extend("||&&%2525".repeat(4000).bytes());
                raw
            },
        },
        Padding {
            name: "query: header lines behind",
            alone: query_alone,
            padded: |text| {
                let lines: String = (0..990).map(|n| format!("X-{n}: a=b; c=d\r\n")).collect();
                get(&format!("q={}", percent(text)), &lines)
            },
        },
    ]
}

/// Samples of all rules, from every class alike.
fn samples() -> Vec<String> {
    let signatures = ruleset().signatures.iter().flat_map(|signature| signature.doc.positive.iter().cloned());
    let detectors = TABLE.iter().flat_map(|detector| detector.samples.positive.iter().map(|text| (*text).to_owned()));
    let all: Vec<String> = signatures.chain(detectors).collect();
    if std::env::var_os("PADDING_ALL").is_some() {
        return all;
    }
    let step = (all.len() / SAMPLES).max(1);
    all.into_iter().step_by(step).collect()
}

#[test]
fn padding_never_hides_an_attack() {
    let (mut checked, mut hidden) = (0, Vec::new());
    for text in samples() {
        for padding in paddings() {
            if is_blocked(&(padding.alone)(&text)) {
                checked += 1;
                if !is_blocked(&(padding.padded)(&text)) {
                    hidden.push(format!("{}: {text:?}", padding.name));
                }
            }
        }
    }
    println!("{checked} padded attacks");
    assert!(checked > 200, "only {checked} samples are blocked alone");
    assert!(hidden.is_empty(), "{} of {checked} are hidden:\n{}", hidden.len(), hidden.join("\n"));
}

/// What no ordinary client exceeds must not be blocked.
#[test]
fn large_ordinary_requests_pass() {
    let list = |unit: &str, n: usize| format!("[{}{unit}]", format!("{unit},").repeat(n - 1));
    let fields: String = (0..30_000).map(|n| format!("field{n}=value{n}&")).collect();
    let rows = (0..20_000).map(|n| format!("{{\"id\":{n},\"name\":\"Product {n}\",\"tags\":[\"red\",\"blue\"]}}"));
    for (name, raw) in [
        ("100,000 strings", json(&list("\"ab\"", 100_000))),
        ("100,000 empty strings", json(&list("\"\"", 100_000))),
        ("100,000 numbers", json(&list("12.5", 100_000))),
        ("a form of 30,000 fields", form(&fields)),
        ("20,000 rows", json(&format!("[{}]", rows.collect::<Vec<_>>().join(",")))),
        ("4 MiB of text", post("text/plain", "The quick brown fox jumps over it.\n".repeat(120_000).as_bytes())),
    ] {
        assert!(!is_blocked(&raw), "{name}");
    }
}
