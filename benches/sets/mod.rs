//! Distinct requests made from a seed, for every bench alike.

/// SplitMix64: the sets must be the same on every run and machine.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    pub fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }
}

pub const WORDS: &[&str] = &[
    "account",
    "address",
    "amount",
    "article",
    "balance",
    "basket",
    "black",
    "brand",
    "budget",
    "button",
    "camera",
    "carbon",
    "category",
    "center",
    "chapter",
    "city",
    "client",
    "color",
    "comment",
    "company",
    "contract",
    "country",
    "created",
    "currency",
    "customer",
    "delivery",
    "description",
    "discount",
    "document",
    "email",
    "engine",
    "event",
    "factory",
    "feature",
    "february",
    "filter",
    "folder",
    "garden",
    "green",
    "group",
    "history",
    "holiday",
    "image",
    "invoice",
    "item",
    "january",
    "journey",
    "kitchen",
    "label",
    "language",
    "ledger",
    "letter",
    "location",
    "machine",
    "manager",
    "market",
    "message",
    "metric",
    "mobile",
    "monday",
    "number",
    "office",
    "order",
    "packet",
    "page",
    "parcel",
    "payment",
    "person",
    "phone",
    "picture",
    "planet",
    "price",
    "printer",
    "product",
    "profile",
    "project",
    "quality",
    "quarter",
    "receipt",
    "record",
    "region",
    "report",
    "return",
    "river",
    "sample",
    "section",
    "select",
    "session",
    "shipment",
    "silver",
    "status",
    "store",
    "street",
    "subject",
    "summary",
    "ticket",
    "title",
    "total",
    "travel",
    "union",
    "update",
    "user",
    "value",
    "vendor",
    "version",
    "video",
    "village",
    "warehouse",
    "weather",
    "window",
    "winter",
    "yellow",
];
const AGENTS: &[&str] = &[
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
];
pub fn sentence(r: &mut Random, words: usize) -> String {
    (0..words).map(|_| r.pick(WORDS)).collect::<Vec<_>>().join(" ")
}

pub fn head(r: &mut Random, line: &str, extra: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: api{}.example.com\r\nUser-Agent: {}\r\nAccept: application/json\r\n{extra}\r\n",
        r.below(9),
        r.pick(AGENTS)
    )
}

pub fn get(r: &mut Random) -> Vec<u8> {
    let line = format!(
        "GET /v1/{}/{}/{}?{}={}&limit={}&cursor={:016x}",
        r.pick(WORDS),
        r.below(100_000),
        r.pick(WORDS),
        r.pick(WORDS),
        sentence(r, 2).replace(' ', "+"),
        r.below(100),
        r.next()
    );
    let extra = format!("Cookie: sid={:016x}{:016x}; theme={}\r\n", r.next(), r.next(), r.pick(WORDS));
    head(r, &line, &extra).into_bytes()
}

fn json_value(r: &mut Random) -> String {
    match r.below(6) {
        0 => r.below(1_000_000).to_string(),
        1 => format!(
            "\"{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}\"",
            r.next() as u32,
            r.below(65536),
            r.below(4096),
            r.below(4096),
            r.next() >> 16
        ),
        2 => format!("\"{}@{}.example\"", r.pick(WORDS), r.pick(WORDS)),
        3 => format!("\"2026-{:02}-{:02}T{:02}:00:00Z\"", 1 + r.below(12), 1 + r.below(28), r.below(24)),
        4 => {
            let words = 3 + r.below(9);
            format!("\"{}, and it's {}.\"", sentence(r, words), sentence(r, 2))
        }
        _ => format!("\"{}\"", r.pick(WORDS)),
    }
}

/// A document of about `size` bytes whose member names are any two words: they hardly ever come again.
pub fn json(r: &mut Random, size: usize) -> String {
    json_with(r, size, |r| format!("{}_{}", r.pick(WORDS), r.pick(WORDS)))
}

/// A document whose member names are some of the `names` that an API has.
pub fn json_of_api(r: &mut Random, size: usize, names: usize) -> String {
    json_with(r, size, |r| {
        let mut name = Random(r.below(names) as u64);
        format!("{}_{}", name.pick(WORDS), name.pick(WORDS))
    })
}

fn json_with(r: &mut Random, size: usize, name: impl Fn(&mut Random) -> String) -> String {
    let mut out = String::from("{\"items\":[");
    while out.len() + 2 < size {
        out.push('{');
        for _ in 0..6 {
            out.push_str(&format!("\"{}\":{},", name(r), json_value(r)));
        }
        out.pop();
        out.push_str("},");
    }
    out.pop();
    out.push_str("]}");
    out
}

pub fn post(r: &mut Random, content_type: &str, body: &[u8]) -> Vec<u8> {
    let line = format!("POST /v1/{}", r.pick(WORDS));
    let extra = format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n", body.len());
    let mut raw = head(r, &line, &extra).into_bytes();
    raw.extend_from_slice(body);
    raw
}
