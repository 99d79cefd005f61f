//! Forms, urlencoded and multipart.

use crate::codecs::*;
use crate::run::*;

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=BB";

fn part(head: &str, content: &str) -> String {
    format!("--BB\r\n{head}\r\n\r\n{content}\r\n--BB--\r\n")
}

#[test]
fn forms() {
    const ROWS: &[Row] = &[
        ("declared", |p| Sent::body(FORM, format!("a=1&id={}", query(p)))),
        ("undeclared", |p| Sent::body("text/plain", format!("a=1&id={}", query(p)))),
        ("no type", |p| Sent { headers: vec![], ..Sent::body("", format!("id={}", query(p))) }),
        ("brackets", |p| Sent::body(FORM, format!("a[b][0][c]={}", query(p)))),
        ("payload in brackets", |p| Sent::body(FORM, format!("a[{}]=1", query(p)))),
        ("json in base64", |p| Sent::body(FORM, format!("a={}", query(&base64(format!("{{\"q\":{}}}", json(p))))))),
        ("json as form", |p| Sent::body(FORM, format!("{{\"a\":{}}}", json(p)))),
        ("xml as form", |p| Sent::body(FORM, format!("<a>{}</a>", xml(p)))),
        ("declared EBCDIC", |p| {
            Sent::body("application/x-www-form-urlencoded; charset=ibm037", format!("id={}", percent(ebcdic(p))))
        }),
        ("declared UTF-16", |p| {
            Sent::body("application/x-www-form-urlencoded; charset=utf-16le", format!("id={}", percent(utf16(p, true))))
        }),
    ];
    check(ROWS, &[SQLI, XSS, PTRAV]);
}

#[test]
fn multipart() {
    const ROWS: &[Row] = &[
        ("field", |p| Sent::body(MULTIPART, part("Content-Disposition: form-data; name=\"a\"", p))),
        ("name", |p| Sent::body(MULTIPART, part(&format!("Content-Disposition: form-data; name=\"{p}\""), "1"))),
        ("unquoted name", |p| Sent::body(MULTIPART, part("Content-Disposition: form-data; name=a", p))),
        ("wrong boundary", |p| {
            Sent::body("multipart/form-data; boundary=CC", part("Content-Disposition: form-data; name=\"a\"", p))
        }),
        ("no boundary", |p| Sent::body("multipart/form-data", part("Content-Disposition: form-data; name=\"a\"", p))),
        ("quoted boundary", |p| {
            Sent::body("multipart/form-data; boundary=\"BB\"", part("Content-Disposition: form-data; name=\"a\"", p))
        }),
        ("two boundaries", |p| {
            let media = "multipart/form-data; boundary=AA; boundary=BB";
            Sent::body(media, part("Content-Disposition: form-data; name=\"a\"", p))
        }),
        ("lines end in LF", |p| {
            Sent::body(MULTIPART, part("Content-Disposition: form-data; name=\"a\"", p).replace("\r\n", "\n"))
        }),
        ("folded", |p| Sent::body(MULTIPART, part("Content-Disposition: form-data;\r\n name=\"a\"", p))),
        ("no end", |p| Sent::body(MULTIPART, format!("--BB\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{p}"))),
        ("preamble", |p| {
            Sent::body(MULTIPART, format!("{p}\r\n{}", part("Content-Disposition: form-data; name=\"a\"", "1")))
        }),
        ("epilogue", |p| {
            Sent::body(MULTIPART, format!("{}{p}", part("Content-Disposition: form-data; name=\"a\"", "1")))
        }),
        ("no disposition", |p| Sent::body(MULTIPART, part("X-A: b", p))),
        ("no headers", |p| Sent::body(MULTIPART, format!("--BB\r\n\r\n{p}\r\n--BB--"))),
        ("part header", |p| {
            Sent::body(MULTIPART, part(&format!("Content-Disposition: form-data; name=\"a\"\r\nX-A: {p}"), "1"))
        }),
        ("file name", |p| {
            Sent::body(MULTIPART, part(&format!("Content-Disposition: form-data; name=\"a\"; filename=\"{p}\""), "1"))
        }),
        ("extended file name", |p| {
            let head =
                format!("Content-Disposition: form-data; name=\"a\"; filename=\"x\"; filename*=UTF-8''{}", query(p));
            Sent::body(MULTIPART, part(&head, "1"))
        }),
        ("extended name", |p| {
            let head = format!("Content-Disposition: form-data; name*=UTF-8''{}", query(p));
            Sent::body(MULTIPART, part(&head, "1"))
        }),
        ("continued file name", |p| {
            let (one, two) = p.split_at(8);
            let head =
                format!("Content-Disposition: form-data; name=\"a\"; filename*0=\"{one}\"; filename*1=\"{two}\"");
            Sent::body(MULTIPART, part(&head, "1"))
        }),
        ("encoded word", |p| {
            let head = format!("Content-Disposition: form-data; name=\"a\"; filename=\"=?utf-8?B?{}?=\"", base64(p));
            Sent::body(MULTIPART, part(&head, "1"))
        }),
        ("two dispositions", |p| {
            let head = "Content-Disposition: form-data; name=\"a\"; filename=\"b\"\r\nContent-Disposition: form-data; name=\"a\"";
            Sent::body(MULTIPART, part(head, p))
        }),
        ("empty file name", |p| {
            Sent::body(MULTIPART, part("Content-Disposition: form-data; name=\"a\"; filename=\"\"", p))
        }),
        ("file name in another case without value", |p| {
            Sent::body(MULTIPART, part("Content-Disposition: form-data; name=\"a\"; filename", p))
        }),
        ("nested", |p| {
            let inner = part("Content-Disposition: form-data; name=\"b\"", p).replace("BB", "CC");
            let head = "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: multipart/mixed; boundary=CC";
            Sent::body(MULTIPART, part(head, &inner))
        }),
        ("base64", |p| {
            let head = "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: base64";
            Sent::body(MULTIPART, part(head, &base64(p)))
        }),
        ("quoted-printable", |p| {
            let head = "Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: quoted-printable";
            Sent::body(MULTIPART, part(head, &percent(p).replace('%', "=").to_uppercase()))
        }),
        ("json part", |p| {
            let head = "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: application/json";
            Sent::body(MULTIPART, part(head, &format!("{{\"a\":{}}}", json(p))))
        }),
        ("UTF-16 part", |p| {
            let head = "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=utf-16le";
            let mut body = format!("--BB\r\n{head}\r\n\r\n").into_bytes();
            body.extend(utf16(p, true));
            body.extend(b"\r\n--BB--\r\n");
            Sent::body(MULTIPART, body)
        }),
        ("sent as text", |p| Sent::body("text/plain", part("Content-Disposition: form-data; name=\"a\"", p))),
        ("extended file name alone", |p| {
            let head = format!("Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''{}", query(p));
            Sent::body(MULTIPART, part(&head, "1"))
        }),
    ];
    check(ROWS, &[SQLI, PTRAV]);
    // A path in a part's header reaches no file.
    const HEADERS: &[Row] = &[("part type", |p| {
        Sent::body(MULTIPART, part(&format!("Content-Disposition: form-data; name=\"a\"\r\nContent-Type: {p}"), "1"))
    })];
    check(HEADERS, &[SQLI]);
}
