//! Ordinary traffic passes: what applications, their users and their machines send, put together from parts by a seeded
//! generator and placed where applications place it. Each kind is one that an inspection easily mistakes for an attack.

use std::sync::OnceLock;
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};

/// Requests of each kind.
const REQUESTS: usize = 60;
/// Most of a thousand requests that may be blocked.
const MOST_BLOCKED_PER_MILLE: usize = 2;

fn ruleset() -> &'static Ruleset {
    static RULES: OnceLock<Ruleset> = OnceLock::new();
    RULES.get_or_init(|| compile::compile(&builtin::files()).expect("built-in rules compile"))
}

/// The rules that block a request, if any.
fn blocked_by(raw: &[u8]) -> Option<String> {
    let message = message::request(raw);
    let found = inspect(&message, ruleset(), &InspectionOptions::default(), &mut Scratch::default(), &|| false);
    let decisive = found.findings.iter().filter(|finding| finding.decisive);
    let names: Vec<String> = decisive.map(|finding| format!("{} at {}", finding.rule, finding.point)).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") })
        .collect()
}

fn post(media: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("POST /api HTTP/1.1\r\nHost: a.example\r\nContent-Type: {media}\r\nContent-Length: {length}\r\n\r\n{body}")
        .into_bytes()
}

fn json(value: &serde_json::Value) -> Vec<u8> {
    post("application/json", &value.to_string())
}

fn form(field: &str, text: &str) -> Vec<u8> {
    post(
        "application/x-www-form-urlencoded",
        &format!("id=7&{field}={}&send=Save", percent(&text.replace('\n', "\r\n"))),
    )
}

fn get(query: &str) -> Vec<u8> {
    format!("GET /api?{query} HTTP/1.1\r\nHost: a.example\r\n\r\n").into_bytes()
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

    fn pick<'t>(&mut self, from: &[&'t str]) -> &'t str {
        from[self.next(from.len())]
    }
}

const NOUNS: &[&str] =
    &["order", "price", "date", "name", "type", "host", "user", "mail", "file", "sort", "group", "id", "time"];
const COMMANDS: &[&str] = &[
    "npm ci && npm run build",
    "docker compose up -d; docker compose logs -f",
    "find . -name '*.tmp' -mtime +7 -delete",
    "until nc -z db 5432; do sleep 1; done",
    "tar czf backup.tgz data | tee log.txt",
    "cp config/* /srv/app/ && chmod 600 /srv/app/key",
];

/// A text of a user with code in it, in lines or in a fence.
fn post_with_code(r: &mut Random) -> Vec<u8> {
    let code = match r.next(5) {
        0 => format!("```bash\n{}\n{}\n```", r.pick(COMMANDS), r.pick(COMMANDS)),
        1 => format!("    import os\n    import sys\n\n    os.system('{}')\n    print(open('notes.txt').read())", r.pick(NOUNS)),
        2 => format!("```php\n$x = new Shop();\nsystem('{}');\nexec(\"ls\");\n```", r.pick(NOUNS)),
        3 => "```js\nconst fs = require('fs');\nlet el = document.getElementById('x');\nwindow.location = 'https://a.example/';\n```".into(),
        _ => format!("```java\nProcess p = Runtime.getRuntime().exec(\"{}\");\np.waitFor();\n```", r.pick(NOUNS)),
    };
    let text = format!(
        "Hello all,\n\nthis is how we changed the {} of each {}:\n\n{code}\n\nAny ideas?\n",
        r.pick(NOUNS),
        r.pick(NOUNS)
    );
    let field = r.pick(&["body", "comment", "message", "description", "content"]);
    if r.next(2) == 0 { form(field, &text) } else { json(&serde_json::json!({"id": 7, field: text})) }
}

/// The address of a search page, whose query has lists and an encoded `&`.
fn address(r: &mut Random) -> Vec<u8> {
    let words = format!(
        "{}+%26+{}",
        r.pick(&["dog", "salt", "black", "test"]),
        r.pick(&["cat", "date", "white", "learn", "find"])
    );
    let list = format!("{}|{}", r.pick(NOUNS), r.pick(NOUNS));
    let url = format!("https://shop.example/search?q={words}&page=2&sort={list}");
    match r.next(3) {
        0 => get(&format!("v=2&dl={}&dt=Search", percent(&url))),
        1 => json(&serde_json::json!({"type": "view", "view": {"url": url, "referrer": "https://a.example/"}})),
        _ => format!("GET /x HTTP/1.1\r\nHost: a.example\r\nReferer: {url}\r\n\r\n").into_bytes(),
    }
}

/// A sentence about a file of the system.
fn sentence(r: &mut Random) -> Vec<u8> {
    let path = r.pick(&[
        "/etc/hosts",
        "/etc/passwd",
        "/var/log/syslog",
        "/etc/nginx/nginx.conf",
        r"C:\Windows\System32\drivers\etc\hosts",
    ]);
    let text = match r.next(3) {
        0 => format!("You need admin rights to change {path} on the {} server", r.pick(NOUNS)),
        1 => format!("{path} is the file that holds every {} of the machine", r.pick(NOUNS)),
        _ => format!("Where do I find the {} settings, in {path} or elsewhere?", r.pick(NOUNS)),
    };
    match r.next(3) {
        0 => form("comment", &text),
        1 => json(&serde_json::json!({"title": "Question", "body": text})),
        _ => get(&format!("q={}", percent(&text))),
    }
}

/// A trace with the statement of a database, or an error report with lines of source code.
fn telemetry(r: &mut Random) -> Vec<u8> {
    let (a, b) = (r.pick(NOUNS), r.pick(NOUNS));
    if r.next(2) == 0 {
        let sql =
            r.pick(&["UNION SELECT id FROM archive", "OR b IS NULL ORDER BY 1 LIMIT 10", "AND a IN (SELECT a FROM c)"]);
        let statement = format!("SELECT {a} FROM {b}s WHERE x = 'y' {sql}");
        let attribute = serde_json::json!({"key": "db.statement", "value": {"stringValue": statement}});
        return json(
            &serde_json::json!({"resourceSpans": [{"scopeSpans": [{"spans": [{"name": a, "attributes": [attribute]}]}]}]}),
        );
    }
    let line = r.pick(&[
        "  document.cookie = 'theme=dark';",
        "window.location = next;",
        "  process.exit(1);",
        "let el = document.body.firstChild;",
    ]);
    let frame = serde_json::json!({"filename": "app.js", "lineno": 3, "context_line": line, "pre_context": [format!("let {a} = {b};")]});
    json(&serde_json::json!({"exception": {"values": [{"type": "TypeError", "stacktrace": {"frames": [frame]}}]}}))
}

/// A Kubernetes object with mounts and commands.
fn manifest(r: &mut Random) -> Vec<u8> {
    let mount = r.pick(&[
        "/etc/nginx/nginx.conf",
        "/var/log/app",
        "/var/run/secrets/token",
        "/etc/ssl/certs",
        "/home/app/.ssh",
    ]);
    let container = serde_json::json!({
        "name": r.pick(NOUNS), "image": "nginx:1.27", "args": ["sh", "-c", r.pick(COMMANDS)],
        "volumeMounts": [{"name": "x", "mountPath": mount}],
    });
    json(&serde_json::json!({"kind": "Pod", "apiVersion": "v1", "spec": {"containers": [container]}}))
}

/// A selector of log lines by the file that they are from, or a pipeline that counts them.
fn log_query(r: &mut Random) -> Vec<u8> {
    let file = r.pick(&["/var/log/syslog", "/var/log/nginx/access.log", "/var/log/auth.log"]);
    let (noun, key) = (r.pick(NOUNS), r.pick(NOUNS));
    let query = match r.next(2) {
        0 => format!("{{filename=\"{file}\"}} |= \"{noun}\" | logfmt | duration > 10s"),
        _ => format!("search index=main {noun} | stats count by {key} | sort -count | head 10"),
    };
    if r.next(2) == 0 {
        return get(&format!("query={}&limit=100", percent(&query)));
    }
    json(&serde_json::json!({"queries": [{"refId": "A", "expr": query}]}))
}

/// Markup of components, whose handlers are functions in braces.
fn component(r: &mut Random) -> Vec<u8> {
    let (tag, event, name) =
        (r.pick(&["div", "button", "input"]), r.pick(&["onClick", "onChange", "onBlur"]), r.pick(NOUNS));
    let handler = r.pick(&["() => go(x)", "e => set(e.target.value)", "(a, b) => { send(a); }"]);
    let code = format!(
        "export function {name}() {{\n  return (\n    <{tag} {event}={{{handler}}} className=\"a\">x</{tag}>\n  );\n}}\n"
    );
    json(&serde_json::json!({"path": "src/App.jsx", "content": code}))
}

/// A script of a shell that is saved, with idioms of its own.
fn script(r: &mut Random) -> Vec<u8> {
    let idiom = r.pick(&[
        "exec perl -x -S $0 ${1+\"$@\"}",
        "[ -r /etc/default/app ] &&\n  . /etc/default/app",
        "x=`echo \"$1\" | cut -d= -f 2-`",
    ]);
    let text = format!("#!/bin/sh\n# builds the {}\nset -e\n{idiom}\n{}\n", r.pick(NOUNS), r.pick(COMMANDS));
    json(&serde_json::json!({"files": {"build.sh": {"content": text}}}))
}

/// Documentation with links and placeholders.
fn documentation(r: &mut Random) -> Vec<u8> {
    let link = r.pick(&["[PHP](https://a.example/php)", "[PHP][1]", "[Python](https://a.example/py)"]);
    let text = format!(
        "Clients:\n\n- {link}\n- see https://.../{}.html\n- and {{{{ {} }}}} stands for the {}\n",
        r.pick(NOUNS),
        r.pick(NOUNS),
        r.pick(NOUNS)
    );
    json(&serde_json::json!({"description": text, "product_url": format!("https://.../{}.html", r.pick(NOUNS))}))
}

/// XML that declares elements and name spaces, and loads nothing.
fn xml(r: &mut Random) -> Vec<u8> {
    let name = r.pick(NOUNS);
    let text = match r.next(3) {
        0 => format!("<!DOCTYPE {name} [<!ELEMENT {name} (#PCDATA)>]><{name}>x</{name}>"),
        1 => format!("<{name} xmlns:xi=\"http://www.w3.org/2001/XInclude\"><a>1</a></{name}>"),
        _ => format!("<?xml version=\"1.0\"?><{name}><![CDATA[a < b && c]]></{name}>"),
    };
    post("application/xml", &text)
}

#[test]
fn ordinary_traffic_passes() {
    type Kind = (&'static str, fn(&mut Random) -> Vec<u8>);
    let kinds: &[Kind] = &[
        ("posts with code", post_with_code),
        ("addresses", address),
        ("sentences about files", sentence),
        ("telemetry", telemetry),
        ("manifests", manifest),
        ("log queries", log_query),
        ("components", component),
        ("scripts", script),
        ("documentation", documentation),
        ("XML", xml),
    ];
    let (mut random, mut blocked) = (Random(0x9E37_79B9_7F4A_7C15), Vec::new());
    for (name, make) in kinds {
        for _ in 0..REQUESTS {
            let raw = make(&mut random);
            if let Some(rules) = blocked_by(&raw) {
                blocked.push(format!("{name}: {rules}\n{}\n", String::from_utf8_lossy(&raw)));
            }
        }
    }
    let all = kinds.len() * REQUESTS;
    assert!(
        blocked.len() * 1000 <= all * MOST_BLOCKED_PER_MILLE,
        "{} of {all} are blocked:\n{}",
        blocked.len(),
        blocked.join("\n")
    );
}

/// A source file of C of at least `bytes` bytes.
fn source_file(r: &mut Random, bytes: usize) -> String {
    let mut text = String::from("/* Statistics of the heap. */\n#include <stdio.h>\n#include \"heap.h\"\n\n");
    while text.len() < bytes {
        let (a, b, n) = (r.pick(NOUNS), r.pick(NOUNS), r.next(4096));
        text.push_str(&match r.next(5) {
            0 => format!("#define {}_{n}  (1ULL << {})\n", a.to_uppercase(), n % 60),
            1 => format!("static void {a}_{b}_{n}(const {a}_t* {a}, size_t count) {{\n  if ({a} == NULL || count <= {n}) return;\n"),
            2 => format!("  // {a} and {b}: 100% of them, `{a}->{b}[{n}]`, or \"{b}\" if it's not set\n"),
            3 => format!("  printf(\"%-10s: %5lu \\t%s\\n\", \"{a}\", (unsigned long){b}.count, ({b}.size > {n} ? \"ok\" : \"no\"));\n"),
            _ => format!("  for (size_t i = 0; i < {a}->count && !({b} & 0x{n:x}); i++) {{ {a}->sum += {b}[i] * {n}; }}\n}}\n\n"),
        });
    }
    text
}

/// Source files cost at most three quarters of the work limit, however they are sent and at every size.
#[test]
fn source_files_are_far_below_the_work_limit() {
    let limits = InspectionOptions::default().limits;
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    for bytes in [8, 32, 64, 128, 512].map(|kib| kib << 10) {
        let text = source_file(&mut random, bytes);
        let sent = [post("text/plain", &text), form("content", &text), json(&serde_json::json!({"content": text}))];
        for raw in sent {
            let message = message::request(&raw);
            let found = inspect(&message, ruleset(), &InspectionOptions::default(), &mut Scratch::default(), &|| false);
            let (work, limit) = (found.work, limits.work_for(raw.len()));
            assert!(found.attacks().is_empty(), "{bytes} bytes: {:?}", found.attacks());
            assert!(4 * work <= 3 * limit, "{bytes} bytes take {work} of {limit} work units");
        }
    }
}

/// What applications send that shows code, or names files and hosts, without running or opening them.
#[test]
fn code_that_a_text_shows_passes() {
    let post = |path: &str, kind: &str, body: &str| {
        let length = body.len();
        format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}")
    };
    let json = |path: &str, body: &str| post(path, "application/json", body);
    let requests = [
        json(
            "/api/posts",
            r#"{"content":"My migration:\n\n```\nCREATE FUNCTION total(int) RETURNS int LANGUAGE SQL;\nALTER FUNCTION total(int) COST 5;\nALTER FUNCTION page(int) COST 5;\n```\nIs it safe?"}"#,
        ),
        json("/api/tickets", r#"{"body":"Run 'ALTER TABLE orders ADD COLUMN note' before the release."}"#),
        json("/api/template", r#"{"template":"{{ lights | map(attribute='name') | join(', ') }}"}"#),
        json("/api/v4/projects/7/uploads", r#"{"content":"<?php\nnamespace Shop;\nrequire 'vendor/autoload.php';\n"}"#),
        post("/comment", "application/x-www-form-urlencoded", "message=See+the+new+[`Gzip`][]+object+of+the+library"),
        json(
            "/api/issues",
            r#"{"body":"It does not build:\n\n```\nROOT = ../../../..\n#include \"../../../../../libs/core.config\"\n```\nWhy?"}"#,
        ),
        json("/api/nodes", r#"{"keyPair":"id_rsa","url":"https://a.example/repos//"}"#),
        json(
            "/api/contents",
            r#"{"cells":[{"source":["import subprocess\n","print(subprocess.run([\"ls\"], text=True))"]}]}"#,
        ),
        json("/api/launch", r#"{"extra_vars":"hosts: \"{{ groups['web'] | join(',') }}\""}"#),
        json(
            "/api/edit",
            r#"{"old_string":"ALTER EXTENSION hstore ADD type hstore;\nALTER EXTENSION hstore ADD function f(a);\n","new_string":"x"}"#,
        ),
        json("/api/apis", r#"{"openapi":"3.1.0","servers":[{"url":"//shop.example.com"}]}"#),
        json("/api/pages", r#"{"content":"<script type=\"text/html\" id=\"row\"><td>{{ name }}</td></script>"}"#),
        json(
            "/api/contents",
            r#"{"path":"play.yml","content":"- set_fact:\n    names: \"{{ found | json_query('items[?open].name') }}\"\n    options: \"{{ ([first] + others) | join(' ') }}\"\n    address: \"{{ web_environment.public_ip }}\"\n"}"#,
        ),
        json(
            "/api/contents",
            r#"{"path":"shape.py","content":"class Shape:\n    def text(self):\n        return f\"<{{self.__class__.__name__}}>\"\n\n    def size(self):\n        return 2\n"}"#,
        ),
        json("/api/fields", r#"{"description":"Class of the value, \"java.lang.Integer\" if there is none."}"#),
        json("/api/fields", r#"{"description":"If defined in the order, this address is used for the invoice."}"#),
        json("/api/realms", r#"{"connectionUrl":"ldap://10.20.0.5:389","bindDn":"cn=reader,dc=a,dc=example"}"#),
        json("/api/jobs", r#"{"destinationShareName":"\\\\10.20.0.5\\backup"}"#),
        json("/api/licences", r#"{"title":"CC BY-NC 4.0 license (non-commercial use)"}"#),
        "GET /advisories?ecosystem=npm&grouping=id HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /types/Order.eventHistory HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
        "GET /api/v4/projects/7/repository/files/config%2Fdatabase.yml?ref=main HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
    ];
    let wrong: Vec<_> = requests.iter().filter_map(|raw| Some((raw, blocked_by(raw.as_bytes())?))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
