//! Searches for the inputs that cost most CPU per byte, and prints them beside the bound that every input must keep:
//! 200 µs + 25 ns a byte.
//!
//! ```text
//! cargo bench --bench worst                  # known inputs and a short search
//! cargo bench --bench worst -- --seconds 600 # a longer search
//! cargo bench --bench worst -- --save FILE   # writes the table as Markdown, too
//! cargo bench --bench worst -- --seconds 0 --only "form a&"   # known inputs whose name holds this, no search;
//!                                                             # --runs 1000 gives a profiler time to look
//! ```
//!
//! Known inputs are those that once switched inspection off or starved it. The search glues fragments of every syntax
//! that a parser or detector reads, keeps what costs more than its parent, and tries the winners at other sizes.
//! Decompressed bytes count as input, up to 1 MiB and 32 times the bytes on the wire.
//! Time is the CPU time of this thread, the least of several runs, so that a busy machine changes little. A unit of work
//! is what the budget of an inspection counts.

use cpu_time::ThreadTime;
use std::fmt::Write as _;
use std::time::{Duration, Instant};
use weir_core::engine::{InspectionOptions, Scratch, inspect};
use weir_core::model::SkipReason;
use weir_core::parse::message;
use weir_core::ruleset::{Ruleset, builtin, compile};

/// Fixed share of the bound, in nanoseconds.
const BASE_NS: f64 = 200_000.0;
/// Share of the bound for each byte, in nanoseconds.
const BYTE_NS: f64 = 25.0;
/// Runs of one input, of which the fastest counts.
const RUNS: usize = 3;

/// A request and what it is.
struct Input {
    name: String,
    raw: Vec<u8>,
    /// Bytes to which its body decompresses.
    inflated: usize,
}

impl Input {
    fn new(name: &str, raw: Vec<u8>) -> Self {
        Self { name: name.to_owned(), raw, inflated: 0 }
    }

    /// Bytes that count for the bound.
    fn bytes(&self) -> usize {
        self.raw.len() + self.inflated.min((1 << 20) + 32 * self.raw.len())
    }
}

/// What an inspection cost.
#[derive(Clone, Copy)]
struct Cost {
    nanos: f64,
    decided: bool,
    limited: bool,
    work: u64,
}

impl Cost {
    /// Cost as a share of the bound; above 1 it is broken.
    fn share(&self, bytes: usize) -> f64 {
        self.nanos / (BASE_NS + BYTE_NS * bytes as f64)
    }
}

fn measure(raw: &[u8], ruleset: &Ruleset, scratch: &mut Scratch, runs: usize) -> Cost {
    let mut best = Cost { nanos: f64::MAX, decided: false, limited: false, work: 0 };
    for _ in 0..runs {
        let before = ThreadTime::now();
        let message = message::request(raw);
        let found = inspect(&message, ruleset, &InspectionOptions::default(), scratch, &|| false);
        let nanos = before.elapsed().as_nanos() as f64;
        if nanos < best.nanos {
            let limited = found.not_inspected.iter().any(|gap| gap.reason != SkipReason::NotSent);
            best = Cost { nanos, decided: !found.attacks().is_empty(), limited, work: found.work };
        }
        if nanos > 2e9 {
            break;
        }
    }
    best
}

fn body(media: &str, extra: &str, body: &[u8]) -> Vec<u8> {
    let mut raw =
        format!("POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Type: {media}\r\n{extra}\r\n").into_bytes();
    raw.extend_from_slice(body);
    raw
}

fn header(value: &[u8]) -> Vec<u8> {
    let mut raw = b"GET /api HTTP/1.1\r\nHost: shop.example\r\nX-Note: ".to_vec();
    raw.extend_from_slice(value);
    raw.extend_from_slice(b"\r\n\r\n");
    raw
}

fn query(value: &[u8]) -> Vec<u8> {
    let mut raw = b"GET /api?q=".to_vec();
    raw.extend(value.iter().map(|&b| if b <= b' ' { b'+' } else { b }));
    raw.extend_from_slice(b" HTTP/1.1\r\nHost: shop.example\r\n\r\n");
    raw
}

/// `pieces` in a random order up to `bytes`, letters between some. What repeats itself at equal distances leads an automaton
/// through the same few states; this does not.
fn mixed(pieces: &[&str], seed: u64, bytes: usize) -> Vec<u8> {
    const LETTERS: &[u8] = b"abcdef ;/";
    let (mut random, mut text) = (Random(seed), Vec::with_capacity(bytes));
    while text.len() < bytes {
        text.extend_from_slice(pieces[random.below(pieces.len())].as_bytes());
        if random.below(5) < 2 {
            text.extend((0..random.below(12)).map(|_| LETTERS[random.below(LETTERS.len())]));
        }
    }
    text.truncate(bytes);
    text
}

/// `unit` again and again up to about `bytes`.
fn repeated(unit: &[u8], bytes: usize) -> Vec<u8> {
    unit.repeat((bytes / unit.len()).max(1))
}

/// A ladder of percent and of entities around `middle`.
fn ladder(depth: usize, middle: &[u8]) -> Vec<u8> {
    let mut out = b"%".to_vec();
    out.extend(b"25".repeat(depth));
    out.extend(b"41");
    out.extend_from_slice(middle);
    out.extend(b"&");
    out.extend(b"amp;".repeat(depth));
    out.extend(b"lt;");
    out
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Texts in which matches of a pattern begin at distances that do not repeat.
fn mixtures(out: &mut Vec<Input>) {
    let sheet: &[&str] =
        &["<xsl:template match=\"a\">", "<xsl:value-of select=\"b\"/>", "<xsl:apply-templates/>", "</xsl:template>"];
    let texts: [(&str, &str, &[&str]); 4] = [
        ("lookups", "application/xml", &["${"]),
        ("a stylesheet", "application/xml", sheet),
        ("escapes and lookups", "text/plain", &["%c0%af", "${", "H4sIAAAA"]),
        ("nested lookups", "application/xml", &["\\{{\\", "${${lower:", "+AHw-"]),
    ];
    for (name, media, pieces) in texts {
        out.push(Input::new(&format!("mixture of {name}, 64 KiB"), body(media, "", &mixed(pieces, 1, 64 << 10))));
    }
}

/// Inputs that were found by reading the source or by earlier searches.
fn known() -> Vec<Input> {
    let mut out = Vec::new();
    let mut add = |name: &str, raw: Vec<u8>| out.push(Input::new(name, raw));
    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/json";
    const TEXT: &str = "text/plain";
    const MIB: usize = 1 << 20;
    for bytes in [2 << 10, 40 << 10, MIB, 8 * MIB] {
        let size = if bytes < MIB { format!("{} KiB", bytes >> 10) } else { format!("{} MiB", bytes / MIB) };
        let mut unit = |name: &str, media: &str, unit: &str| {
            add(&format!("{name}, {size}"), body(media, "", &repeated(unit.as_bytes(), bytes)));
        };
        unit("form a&", FORM, "a&");
        unit("form a=1&", FORM, "a=1&");
        unit("||&&", TEXT, "||&&");
        unit("select(", TEXT, "select(");
        unit("${${lower:j}", TEXT, "${${lower:j}");
        unit("%25252527", TEXT, "%25252527");
        unit("&amp;", TEXT, "&amp;amp;amp;amp;amp;lt;");
        unit("graphql braces", "application/graphql", "query{a{");
        unit("broken JSON template", JSON, "{{a.__class__");
        unit("shift_jis", "text/plain; charset=shift_jis", "\u{83}\\");
        unit("iso-2022-jp", "text/plain; charset=iso-2022-jp", "\x1b$B!!\x1b(B");
        unit("backslashes", JSON, "\\u005cu005c");
        unit("XML elements", "application/xml", "<a/>");
        unit("tags", TEXT, "<a href=javascript:");
        unit("base64", TEXT, "PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==");
        unit("cookies", TEXT, "a=b; c=d; ");
        unit(
            "multipart",
            "multipart/form-data; boundary=x",
            "--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n",
        );
        unit("shell", TEXT, ";a|b&$(c)`d`");
        unit("dots", TEXT, "../..\\");
        unit("closing", TEXT, "))))))))=");
        unit("quotes", TEXT, "'\"`");
        unit("comments", TEXT, "/*!/**/--");
        add(
            &format!("JSON array of empty strings, {size}"),
            body(JSON, "", &[b"[".to_vec(), repeated(b"\"\",", bytes), b"1]".to_vec()].concat()),
        );
        add(
            &format!("JSON array of arrays, {size}"),
            body(JSON, "", &[b"[".to_vec(), repeated(b"[],", bytes), b"1]".to_vec()].concat()),
        );
        add(&format!("JSON [[[, {size}"), body(JSON, "", &repeated(b"[", bytes)));
        add(
            &format!("JSON strings with &amp;, {size}"),
            body(JSON, "", &[b"{\"a\":\"".to_vec(), repeated(b"&amp;", bytes), b"\"}".to_vec()].concat()),
        );
        add(&format!("gzip members, {size}"), body(TEXT, "Content-Encoding: gzip\r\n", &repeated(&gzip(b"a"), bytes)));
        add(&format!("view state, {size}"), body(TEXT, "", &[b"\xff\x01".to_vec(), repeated(b"\x0f", bytes)].concat()));
    }
    for (bytes, depth) in [(600, 8), (2_100, 8), (4_200, 8), (8_300, 8)] {
        let middle = repeated(b"||&&", bytes);
        add(&format!("ladder around ||&&, body, {bytes} B"), body(TEXT, "", &ladder(depth, &middle)));
        add(&format!("ladder around ||&&, header, {bytes} B"), header(&ladder(depth, &middle)));
        add(&format!("ladder around ||&&, query, {bytes} B"), query(&ladder(depth, &middle)));
    }
    add("ladder around x, 32 KiB", body(TEXT, "", &ladder(8, &repeated(b"x", 32 << 10))));
    let four: Vec<u8> = (0..4)
        .flat_map(|n| {
            [format!("X-{n}: ").into_bytes(), ladder(8, &repeated(b"||&&", 6_000)), b"\r\n".to_vec()].concat()
        })
        .collect();
    add(
        "four headers of 6 KB with ladders",
        [b"GET / HTTP/1.1\r\nHost: h\r\n".to_vec(), four, b"\r\n".to_vec()].concat(),
    );
    mixtures(&mut out);
    files(&mut out);
    heads(&mut out);
    compressed(&mut out);
    found(&mut out);
    out
}

/// Uploaded files: code, archives, and many parts.
fn files(out: &mut Vec<Input>) {
    const MULTIPART: &str = "multipart/form-data; boundary=x";
    let part = |name: &str, content: &[u8]| {
        let head = format!("--x\r\nContent-Disposition: form-data; name=a; filename=\"{name}\"\r\n\r\n");
        [head.as_bytes(), content, b"\r\n"].concat()
    };
    for bytes in [40 << 10, 1 << 20] {
        let size = format!("{} KiB", bytes >> 10);
        let mut file = |name: &str, head: &[u8], unit: &[u8]| {
            let content = [head, &repeated(unit, bytes)].concat();
            let parts = [part("a.bin", &content), b"--x--\r\n".to_vec()].concat();
            out.push(Input::new(&format!("{name}, {size}"), body(MULTIPART, "", &parts)));
        };
        file("PHP assignments", b"<?php ", b"$a=$b.$c;$b=f($a);");
        file("PHP tags", b"", b"<?=$a?>");
        file("JSP tags", b"", b"<%=a%>");
        file("SVG", b"<svg>", b"<a href=x onload=y>");
        file("ZIP headers", b"", b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x04\0\0\0../x");
        file("text", b"", b"a line of a log, and what follows it\n");
        let many = [part("a.php", b"<?php f(1);").repeat(bytes / 80), b"--x--\r\n".to_vec()].concat();
        out.push(Input::new(&format!("many files, {size}"), body(MULTIPART, "", &many)));
    }
}

/// Targets and headers that several readings, views and conditions look at, and packed text.
fn heads(out: &mut Vec<Input>) {
    let target = |path: &[u8]| [b"GET ", path, b" HTTP/1.1\r\nHost: shop.example\r\n\r\n"].concat();
    for (name, unit) in [
        ("readings", &b"/a;b=c/..;/%252e%252e/x"[..]),
        ("backslashes", b"\\..\\a/./b//"),
        ("patched paths", b"/mgmt/tm/../tmui/login.jsp/..;/"),
    ] {
        out.push(Input::new(&format!("path of {name}, 4 KiB"), target(&repeated(unit, 4 << 10))));
    }
    let pairs = [b"/mgmt/tm/util/bash?".to_vec(), repeated(b"a=%2e&", 32 << 10)].concat();
    out.push(Input::new("conditions on many parameters, 32 KiB", target(&pairs)));
    let (mut random, mut packed) = (Random(0x2545_f491_4f6c_dd1d), Vec::new());
    while packed.len() < 8 << 10 {
        // The bytes of Ascii85.
        packed.push(b'!' + random.below(85) as u8);
    }
    for bytes in [2 << 10, 8 << 10] {
        let text = String::from_utf8_lossy(&packed[..bytes]);
        let json = serde_json::json!({ "data": text }).to_string();
        out.push(Input::new(&format!("packed text, {bytes} B"), body("application/json", "", json.as_bytes())));
    }
    for bytes in [2 << 10, 20 << 10] {
        // Clients of file services declare a form where they send a file.
        let binary: Vec<u8> = (0..bytes).map(|_| random.below(256) as u8).collect();
        out.push(Input::new(
            &format!("binary file as a form, {bytes} B"),
            body("application/x-www-form-urlencoded", "", &binary),
        ));
    }
}

/// Bodies that decompress to what costs much.
fn compressed(out: &mut Vec<Input>) {
    let mixed: String =
        (0..4000).map(|n| format!("{}{}", "&amp;lt;".repeat(n % 3), "%2525u0027'||".repeat(n % 2))).collect();
    for (name, unit, inflated) in [
        ("gzip that inflates to 480 KiB of runs", mixed.as_bytes(), 480 << 10),
        ("gzip of 64 KiB that inflates to 60 MiB", &b"a"[..], 60 << 20),
        ("gzip of 64 KiB that inflates to 60 MiB of ||&&", b"||&&", 60 << 20),
    ] {
        let packed = gzip(&repeated(unit, inflated));
        out.push(Input { inflated, ..Input::new(name, body("text/plain", "Content-Encoding: gzip\r\n", &packed)) });
    }
}

/// What earlier searches found: head, repeated unit, tail and place.
const FOUND: &[(&str, &str, &str, &str)] = &[
    ("a[]=a[]=", "`id`", "{%c0%af", "application/graphql"),
    ("JTI1+AHw-", "`id`", "or(＜", "application/xml"),
    ("[", "}${${lower:`id`\\u0027", "%2525{{", "text/plain"),
    ("'", "|id<%|id><%－", "*{%c0%af", "application/graphql"),
    ("/*!prototype\\u0027", "{{{{", "", "text/plain"),
    ("", "[\"$<a %2525[\"", "\n", "application/json"),
    ("\n\"1=1", "<script><%|", "{\\u0027&lt;{\\u0027&lt;", "application/json"),
    (";cat &lt;", "\nsystem(${%25$(+AHw-*{\nsystem(a%25<![CDATA[+AHw-*{", ",/*!", "application/json"),
    ("https://127.0.0.1/https://127.0.0.1/", "\r\n$where`id`\\u0027", "%2525", "application/json"),
    ("", "union all select $(", "", "application/json"),
    ("\\u0027]", "{\"a\":[%25eval(", "", "application/json"),
    ("<script>from <script>from ", "<script>..\\", "b{{/*!", "application/xml"),
    (">..\\%25", "../\\\\\u{e9}(#{\\\\(\\\\&lt;\\\\like ", "Content-Type: ", "application/json"),
    ("\"", "0x+AHw-%2525==", "and 9", "application/xml"),
    ("/*%2525", ";$ne;$ne", "*{<script>#", "application/x-www-form-urlencoded"),
];

fn found(out: &mut Vec<Input>) {
    for (head, unit, tail, at) in FOUND {
        let place_number = PLACES.iter().position(|place| place == at).expect("a place of PLACES");
        for bytes in [2 << 10, 128 << 10, 1 << 20] {
            let middle = repeated(unit.as_bytes(), bytes - head.len() - tail.len());
            let text = [head.as_bytes(), &middle, tail.as_bytes()].concat();
            let name = format!("{unit:?} behind {head:?} in {at}, {} KiB", bytes >> 10);
            out.push(Input::new(&name, place(place_number, &text)));
        }
    }
}

/// Fragments of everything that some parser or detector reads.
const FRAGMENTS: &[&str] = &[
    "%25",
    "%2525",
    "%u0027",
    "%c0%af",
    "&amp;",
    "&lt;",
    "&#x27;",
    "\\u0027",
    "\\x27",
    "\\\\",
    "+AHw-",
    "'",
    "\"",
    "`",
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    "<",
    ">",
    "=",
    "&",
    "|",
    "||",
    "&&",
    ";",
    ",",
    ".",
    "/",
    "../",
    "..\\",
    "//",
    "--",
    "#",
    "/*",
    "*/",
    "/*!",
    "@@",
    "$",
    "${",
    "${jndi:",
    "${${lower:",
    "{{",
    "}}",
    "{%",
    "<%",
    "<?",
    "<!--",
    "<![CDATA[",
    "<a ",
    "<svg/onload=",
    "<script>",
    "javascript:",
    "select ",
    "select(",
    "union ",
    "union all select ",
    "or ",
    "and ",
    "or(",
    "from ",
    "case when ",
    "1=1",
    "1,",
    "0x",
    "in(",
    "between ",
    "like ",
    "concat(",
    "sleep(",
    "waitfor delay ",
    "exec ",
    "$(",
    "`id`",
    "|id",
    ";cat ",
    "/etc/",
    "/bin/",
    "?",
    "*",
    "??",
    "eval(",
    "constructor",
    "__proto__",
    "prototype",
    "\"a\":",
    "{\"a\":[",
    "[\"",
    "\",\"",
    "a=",
    "a[b]=",
    "a[]=",
    "\r\n",
    "\n",
    "\t",
    " ",
    "\0",
    "\u{7f}",
    "é",
    "＜",
    "－",
    "http://",
    "https://127.0.0.1/",
    "file:///",
    "gopher://",
    "Content-Type: ",
    "Set-Cookie:",
    "HTTP/1.1",
    "<!DOCTYPE a [",
    "<!ENTITY a ",
    "query{",
    "mutation{a(b:",
    "fragment a on b{",
    "eyJhbGciOi",
    "PHNjcmlwdD4",
    "H4sIAAAA",
    "rO0ABX",
    "JTI1",
    "aaaa",
    "a",
    "b",
    "1",
    "9",
    "-1",
    "$ne",
    "$where",
    "*)(",
    "objectClass",
    "<!--#exec",
    "phpinfo(",
    "system(",
    "T(java.lang",
    "%{",
    "#{",
    "*{",
];

/// Where the search puts what it glues.
const PLACES: &[&str] = &[
    "text/plain",
    "application/json",
    "application/x-www-form-urlencoded",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/graphql",
    "query",
    "header",
    "json string",
];

fn place(at: usize, text: &[u8]) -> Vec<u8> {
    match PLACES[at] {
        "query" => query(text),
        "header" => header(&text.iter().map(|&b| if b < b' ' { b' ' } else { b }).collect::<Vec<_>>()),
        "json string" => {
            let text = String::from_utf8_lossy(text);
            body("application/json", "", serde_json::json!({ "a": text }).to_string().as_bytes())
        }
        media => body(media, "", text),
    }
}

/// A small random number generator: the search must be the same on every run (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
}

/// Pieces that texts are made of: [`FRAGMENTS`], then the samples of all signatures.
struct Pieces(Vec<String>);

impl Pieces {
    fn new(ruleset: &Ruleset) -> Self {
        let samples = ruleset.signatures.iter().flat_map(|signature| signature.doc.positive.iter().cloned());
        Self(FRAGMENTS.iter().map(|&fragment| fragment.to_owned()).chain(samples).collect())
    }

    /// One of them; a fragment as often as a sample.
    fn pick(&self, random: &mut Random) -> usize {
        if random.below(2) == 0 { random.below(FRAGMENTS.len()) } else { random.below(self.0.len()) }
    }

    fn glue(&self, part: &[usize]) -> String {
        part.iter().map(|&at| self.0[at].as_str()).collect()
    }
}

/// What the search varies: a head, a unit that is repeated or whose pieces are mixed, a tail.
#[derive(Clone)]
struct Shape {
    parts: [Vec<usize>; 3],
    /// The seed of the mixture; none for repetition.
    mixed: Option<u64>,
    place: usize,
    bytes: usize,
}

impl Shape {
    /// Most pieces of a unit.
    const MOST: usize = 16;

    fn random(random: &mut Random, pieces: &Pieces, bytes: usize) -> Self {
        let mut part = |most: usize| (0..random.below(most + 1)).map(|_| pieces.pick(random)).collect();
        let parts = [part(3), part(4), part(3)];
        let mixed = (random.below(2) == 0).then(|| Self::seed(random));
        Self { parts, mixed, place: random.below(PLACES.len()), bytes }
    }

    fn seed(random: &mut Random) -> u64 {
        random.below(usize::MAX) as u64 | 1
    }

    fn mutate(&self, random: &mut Random, pieces: &Pieces) -> Self {
        let mut new = self.clone();
        let part = &mut new.parts[[0, 1, 1, 1, 2][random.below(5)]];
        let piece = pieces.pick(random);
        match (random.below(6), part.len()) {
            (0, 1..) => drop(part.remove(random.below(part.len()))),
            (1, 1..) => {
                let at = random.below(part.len());
                part[at] = piece;
            }
            (2, 1..) if part.len() < Self::MOST => part.extend(part.clone()),
            (3, _) => new.place = random.below(PLACES.len()),
            (4, _) => new.mixed = (random.below(3) > 0).then(|| Self::seed(random)),
            (_, length) if length < Self::MOST => part.insert(random.below(length + 1), piece),
            _ => {}
        }
        new
    }

    fn raw(&self, pieces: &Pieces) -> Vec<u8> {
        let [head, unit, tail] = [0, 1, 2].map(|at| pieces.glue(&self.parts[at]).into_bytes());
        let bytes = self.bytes.saturating_sub(head.len() + tail.len());
        let middle = match self.mixed {
            _ if unit.is_empty() => Vec::new(),
            Some(seed) => {
                let unit: Vec<&str> = self.parts[1].iter().map(|&at| pieces.0[at].as_str()).collect();
                mixed(&unit, seed, bytes)
            }
            None => repeated(&unit, bytes),
        };
        place(self.place, &[head, middle, tail].concat())
    }

    fn name(&self, pieces: &Pieces) -> String {
        let [head, unit, tail] = [0, 1, 2].map(|at| pieces.glue(&self.parts[at]));
        let how = if self.mixed.is_some() { "mixed" } else { "n x" };
        format!("{} {how} {unit:?} behind {head:?} + {tail:?}", PLACES[self.place])
    }
}

/// Hill-climbs from random shapes until `end`.
fn search(ruleset: &Ruleset, scratch: &mut Scratch, end: Instant) -> Vec<(Input, Cost)> {
    let (mut random, pieces) = (Random(0x9e37_79b9_7f4a_7c15), Pieces::new(ruleset));
    let mut winners: Vec<(Input, Cost)> = Vec::new();
    while Instant::now() < end {
        let bytes = [512, 2 << 10, 16 << 10, 128 << 10][random.below(4)];
        let mut best = Shape::random(&mut random, &pieces, bytes);
        let raw = best.raw(&pieces);
        let mut share = measure(&raw, ruleset, scratch, 1).share(raw.len());
        let mut since = 0;
        while since < 60 && Instant::now() < end {
            let next = best.mutate(&mut random, &pieces);
            let raw = next.raw(&pieces);
            let cost = measure(&raw, ruleset, scratch, 1).share(raw.len());
            since += 1;
            // Twice, so that a disturbance of the machine is no progress.
            if cost > share * 1.02 && measure(&raw, ruleset, scratch, 2).share(raw.len()) > share * 1.02 {
                (best, share, since) = (next, cost, 0);
            }
        }
        for bytes in [best.bytes, 64 << 10, 1 << 20] {
            let shape = Shape { bytes, ..best.clone() };
            let raw = shape.raw(&pieces);
            let cost = measure(&raw, ruleset, scratch, RUNS);
            winners.push((Input::new(&shape.name(&pieces), raw), cost));
        }
        winners.sort_by(|a, b| b.1.share(b.0.bytes()).total_cmp(&a.1.share(a.0.bytes())));
        winners.truncate(15);
    }
    winners
}

fn row(input: &Input, cost: Cost) -> String {
    let bytes = input.raw.len();
    let marks = [(cost.decided, "attack"), (cost.limited, "limit")]
        .iter()
        .filter(|m| m.0)
        .map(|m| m.1)
        .collect::<Vec<_>>()
        .join(", ");
    let name: String = input.name.chars().take(90).collect();
    format!(
        "| {} | {} | {:.3} | {:.1} | {:.2} | {:.1} | {:.2} | {} |",
        name.replace('|', "\\|"),
        bytes,
        cost.nanos / 1e6,
        cost.nanos / bytes as f64,
        cost.share(input.bytes()),
        cost.work as f64 / bytes as f64,
        cost.nanos / cost.work as f64,
        marks
    )
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| arguments.iter().position(|a| a == name).and_then(|at| arguments.get(at + 1));
    let seconds = value("--seconds").map_or(20, |text| text.parse().expect("--seconds takes a number"));
    let runs = value("--runs").map_or(RUNS, |text| text.parse().expect("--runs takes a number"));
    let only = value("--only").map_or("", String::as_str);
    let ruleset = compile::compile(&builtin::files()).expect("built-in rules compile");
    let mut scratch = Scratch::default();
    let mut rows: Vec<(Input, Cost)> = known()
        .into_iter()
        .filter(|input| input.name.contains(only))
        .map(|input| {
            let cost = measure(&input.raw, &ruleset, &mut scratch, runs);
            (input, cost)
        })
        .collect();
    rows.extend(search(&ruleset, &mut scratch, Instant::now() + Duration::from_secs(seconds)));
    rows.sort_by(|a, b| b.1.share(b.0.bytes()).total_cmp(&a.1.share(a.0.bytes())));
    let mut table = String::from(
        "| input | bytes | CPU ms | ns/byte | share of the bound | units/byte | ns/unit | |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (input, cost) in rows.iter().take(60) {
        writeln!(table, "{}", row(input, *cost)).expect("String");
    }
    let over = rows.iter().filter(|(input, cost)| cost.share(input.bytes()) > 1.0).count();
    writeln!(table, "\n{} inputs, {over} above the bound of 200 µs + 25 ns a byte.", rows.len()).expect("String");
    print!("{table}");
    if let Some(file) = value("--save") {
        std::fs::write(file, table).expect("--save");
    }
}
