//! Encodings of one value, in query, path, form and headers.

use crate::codecs::*;
use crate::run::*;
use weir_core::model::AttackType;

#[test]
fn of_a_query_value() {
    const ROWS: &[Row] = &[
        ("once", |p| Sent::target(format!("/?id={}", query(p)))),
        ("plus for space", |p| Sent::target(format!("/?id={}", query(p).replace("%20", "+")))),
        ("twice", |p| Sent::target(format!("/?id={}", query(&query(p))))),
        ("three times", |p| Sent::target(format!("/?id={}", query(&query(&query(p)))))),
        ("every byte", |p| Sent::target(format!("/?id={}", percent(p)))),
        ("%u", |p| Sent::target(format!("/?id={}", json_escaped(p).replace('\\', "%")))),
        ("%u of wide forms", |p| {
            let wide = |c: char| if c.is_ascii_punctuation() { c as u32 + 0xfee0 } else { c as u32 };
            Sent::target(format!("/?id={}", p.chars().map(|c| format!("%u{:04x}", wide(c))).collect::<String>()))
        }),
        ("overlong in two", |p| {
            let long =
                |b: u8| if b.is_ascii_punctuation() { percent([0xc0 | b >> 6, 0x80 | b & 0x3f]) } else { percent([b]) };
            Sent::target(format!("/?id={}", p.bytes().map(long).collect::<String>()))
        }),
        ("overlong in three", |p| {
            let long = |b: u8| percent([0xe0, 0x80 | b >> 6, 0x80 | b & 0x3f]);
            Sent::target(format!("/?id={}", p.bytes().map(long).collect::<String>()))
        }),
        ("base64", |p| Sent::target(format!("/?id={}", query(&base64(p))))),
        ("base64 url", |p| Sent::target(format!("/?id={}", base64url(p)))),
        ("base64 twice", |p| Sent::target(format!("/?id={}", query(&base64(base64(p)))))),
        ("base64 of percent", |p| Sent::target(format!("/?id={}", query(&base64(query(p)))))),
        ("data uri", |p| Sent::target(format!("/?id=data:text/plain;base64,{}", base64(p)))),
        ("hex", |p| Sent::target(format!("/?id={}", percent(p).replace('%', "")))),
        ("0x", |p| Sent::target(format!("/?id=0x{}", percent(p).replace('%', "")))),
        ("\\x", |p| Sent::target(format!("/?id={}", query(&percent(p).replace('%', "\\x"))))),
        ("\\u", |p| Sent::target(format!("/?id={}", query(&json_escaped(p))))),
        ("\\u{}", |p| {
            Sent::target(format!(
                "/?id={}",
                query(&p.chars().map(|c| format!("\\u{{{:x}}}", c as u32)).collect::<String>())
            ))
        }),
        ("decimal references", |p| {
            Sent::target(format!("/?id={}", query(&p.bytes().map(|b| format!("&#{b};")).collect::<String>())))
        }),
        ("hexadecimal references", |p| {
            Sent::target(format!("/?id={}", query(&p.bytes().map(|b| format!("&#x{b:x};")).collect::<String>())))
        }),
        ("padded hexadecimal references", |p| {
            Sent::target(format!("/?id={}", query(&p.bytes().map(|b| format!("&#x0000{b:x};")).collect::<String>())))
        }),
        ("json in it", |p| Sent::target(format!("/?id={}", query(&format!("{{\"a\":{}}}", json(p)))))),
        ("json in base64", |p| Sent::target(format!("/?id={}", query(&base64(format!("{{\"a\":{}}}", json(p))))))),
        ("xml in it", |p| {
            Sent::target(format!("/?id={}", query(&format!("<?xml version=\"1.0\"?><a>{}</a>", xml(p)))))
        }),
        ("as a name", |p| Sent::target(format!("/?{}=1", query(p)))),
        ("no name", |p| Sent::target(format!("/?{}", query(p)))),
        ("in brackets", |p| Sent::target(format!("/?a[{}]=1", query(p)))),
        ("under brackets", |p| Sent::target(format!("/?a[b][]={}", query(p)))),
        ("two question marks", |p| Sent::target(format!("/?a?b={}", query(p)))),
        ("semicolons for ampersands", |p| Sent::target(format!("/?a=1;id={}", query(p)))),
        ("gzip in base64", |p| Sent::target(format!("/?id={}", query(&base64(gzip(p)))))),
        ("zlib in base64", |p| Sent::target(format!("/?id={}", query(&base64(zlib(p)))))),
    ];
    check(ROWS, &[SQLI, XSS, PTRAV]);
    // Interpreters of SQL and file systems know no UTF-7.
    const SEVEN: &[Row] = &[("UTF-7", |p| Sent::target(format!("/?id={}", percent(utf7(p)))))];
    check(SEVEN, &[XSS]);
}

#[test]
fn nothing_is_said_of_a_harmless_query() {
    let got = Sent::target("/?a=1&b=hello+world").look();
    assert!(got.findings.is_empty() && got.not_inspected.is_empty(), "{got:?}");
}

#[test]
fn of_a_path() {
    const ROWS: &[Row] = &[
        ("a segment", |p| Sent::target(format!("/a/{}/b", query(p)))),
        ("the last segment", |p| Sent::target(format!("/a/{}", query(p)))),
        ("twice", |p| Sent::target(format!("/a/{}", query(&query(p))))),
        ("%u", |p| Sent::target(format!("/a/{}", json_escaped(p).replace('\\', "%")))),
        ("a path parameter", |p| Sent::target(format!("/a;jsessionid={}/b", query(p)))),
        ("a matrix parameter", |p| Sent::target(format!("/a;x=1;y={}", query(p)))),
        ("an extension", |p| Sent::target(format!("/a.{}", query(p)))),
        ("a fragment", |p| Sent::target(format!("/a#{}", query(p)))),
        ("absolute form", |p| Sent::target(format!("http://example.com/{}", query(p)))),
        ("user information", |p| Sent::target(format!("http://{}@example.com/", query(p)))),
    ];
    check(ROWS, &[SQLI, XSS, PTRAV]);
}

#[test]
fn of_a_climb() {
    const ROWS: &[Row] = &[
        ("backslashes", |_| Sent::target("/..\\..\\..\\windows\\win.ini")),
        ("encoded backslashes", |_| Sent::target("/..%5c..%5c..%5cwindows%5cwin.ini")),
        ("dot parameters", |_| Sent::target("/a/..;/..;/..;/etc/passwd")),
        ("dot parameters with a value", |_| Sent::target("/static/..;x=1/..;/..;/..;/etc/passwd")),
        ("overlong slashes", |_| Sent::target("/?a=..%c0%af..%c0%af..%c0%afetc%c0%afpasswd")),
        ("overlong slashes in three", |_| Sent::target("/?a=..%e0%80%af..%e0%80%af..%e0%80%afetc%e0%80%afpasswd")),
        ("overlong dots", |_| Sent::target("/%c0%ae%c0%ae/%c0%ae%c0%ae/%c0%ae%c0%ae/etc/passwd")),
        ("double dots", |_| Sent::target("/?f=....//....//....//etc/passwd")),
        ("mixed slashes", |_| Sent::target("/?f=..%2f..%5c..%2fetc%5cpasswd")),
        ("self references", |_| Sent::target("/?f=/./etc/./passwd")),
        ("NUL", |_| Sent::target("/?f=../../../etc/passwd%00.png")),
        ("three layers", |_| Sent::target("/?f=%25252e%25252e%25252f%25252e%25252e%25252fetc%25252fpasswd")),
    ];
    for (name, hide) in ROWS {
        let got = hide("").look();
        assert!(got.attacks().contains(&AttackType::Ptrav), "{name}");
    }
}

#[test]
fn of_headers() {
    const ROWS: &[Row] = &[
        ("referer", |p| Sent::header("Referer", format!("https://example.com/?q={}", query(p)))),
        ("user agent", |p| Sent::header("User-Agent", p)),
        ("a client's address", |p| Sent::header("X-Forwarded-For", p)),
        ("a forwarded host", |p| Sent::header("X-Forwarded-Host", p)),
        ("a header of its own", |p| Sent::header("X-Api-Version", p)),
        ("base64 in a header", |p| Sent::header("X-State", base64(p))),
        ("json in a header", |p| Sent::header("X-Context", format!("{{\"a\":{}}}", json(p)))),
        ("repeated", |p| Sent::header("X-A", "1").and("X-A", p)),
        ("accept language", |p| Sent::header("Accept-Language", p)),
        ("basic", |p| Sent::header("Authorization", format!("Basic {}", base64(format!("admin:{p}"))))),
        ("jwt claim", |p| {
            let claims = base64url(format!("{{\"sub\":{}}}", json(p)));
            Sent::header("Authorization", format!("Bearer {}.{claims}.c2ln", base64url("{\"alg\":\"HS256\"}")))
        }),
        ("jwt key id", |p| {
            let head = base64url(format!("{{\"alg\":\"HS256\",\"kid\":{}}}", json(p)));
            Sent::header("Authorization", format!("Bearer {head}.{}.c2ln", base64url("{\"sub\":\"a\"}")))
        }),
        ("jwt in a query", |p| {
            let claims = base64url(format!("{{\"sub\":{}}}", json(p)));
            Sent::target(format!("/?t={}.{claims}.c2ln", base64url("{\"alg\":\"none\"}")))
        }),
    ];
    check(ROWS, &[SQLI, XSS]);
}

#[test]
fn of_cookies() {
    const ROWS: &[Row] = &[
        ("plain", |p| Sent::header("Cookie", format!("a=1; id={p}"))),
        ("percent", |p| Sent::header("Cookie", format!("a=1; id={}", query(p)))),
        ("plus", |p| Sent::header("Cookie", format!("id={}", query(p).replace("%20", "+")))),
        ("quoted", |p| Sent::header("Cookie", format!("id=\"{p}\""))),
        ("percent in quotes", |p| Sent::header("Cookie", format!("id=\"{}\"", percent(p)))),
        ("version", |p| Sent::header("Cookie", format!("$Version=1; id=\"{p}\"; $Path=\"/\""))),
        ("a semicolon within quotes", |p| Sent::header("Cookie", format!("$Version=1; id=\"x;{p}\""))),
        ("octal escapes", |p| {
            Sent::header("Cookie", format!("id=\"{}\"", p.bytes().map(|b| format!("\\{b:03o}")).collect::<String>()))
        }),
        ("base64", |p| Sent::header("Cookie", format!("id={}", base64(p)))),
        ("as a name", |p| Sent::header("Cookie", format!("{p}=1"))),
        ("no name", |p| Sent::header("Cookie", p)),
        ("comma", |p| Sent::header("Cookie", format!("$Version=1,id={p}"))),
        ("two headers", |p| Sent::header("Cookie", "a=b").and("Cookie", &format!("id={p}"))),
        ("json", |p| Sent::header("Cookie", format!("id={}", query(&format!("{{\"a\":{}}}", json(p)))))),
    ];
    check(ROWS, &[SQLI, XSS]);
}
