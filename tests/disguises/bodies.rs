//! Bodies: forms, multipart, JSON, XML, GraphQL, compressed and binary ones.

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
    ];
    check(ROWS, &[SQLI, PTRAV]);
    // A path in a part's header reaches no file.
    const HEADERS: &[Row] = &[("part type", |p| {
        Sent::body(MULTIPART, part(&format!("Content-Disposition: form-data; name=\"a\"\r\nContent-Type: {p}"), "1"))
    })];
    check(HEADERS, &[SQLI]);
}

#[test]
fn json_texts() {
    const MEDIA: &str = "application/json";
    const ROWS: &[Row] = &[
        ("member", |p| Sent::body(MEDIA, format!("{{\"a\":{}}}", json(p)))),
        ("name", |p| Sent::body(MEDIA, format!("{{{}:1}}", json(p)))),
        ("escaped", |p| Sent::body(MEDIA, format!("{{\"a\":\"{}\"}}", json_escaped(p)))),
        ("first duplicate", |p| Sent::body(MEDIA, format!("{{\"a\":{},\"a\":\"x\"}}", json(p)))),
        ("last duplicate", |p| Sent::body(MEDIA, format!("{{\"a\":\"x\",\"a\":{}}}", json(p)))),
        ("behind a comment", |p| Sent::body(MEDIA, format!("{{/* \" */\"a\":{}}}", json(p)))),
        ("in a comment's shadow", |p| Sent::body(MEDIA, format!("{{// \"\n\"a\":{}}}", json(p)))),
        ("behind a mark", |p| Sent::body(MEDIA, format!("\u{feff}{{\"a\":{}}}", json(p)))),
        ("lines", |p| Sent::body("application/x-ndjson", format!("{{\"a\":1}}\n{{\"a\":{}}}\n", json(p)))),
        ("lines, undeclared", |p| Sent::body(MEDIA, format!("{{\"a\":1}}\n{{\"a\":{}}}\n", json(p)))),
        ("garbage behind", |p| Sent::body(MEDIA, format!("{{\"a\":1}}{}", p))),
        ("single quotes", |p| Sent::body(MEDIA, format!("{{'a':'{}'}}", p.replace('\'', "\\'")))),
        ("NaN before", |p| Sent::body(MEDIA, format!("{{\"n\":NaN,\"a\":{}}}", json(p)))),
        ("unclosed", |p| Sent::body(MEDIA, format!("{{\"a\":{}", json(p)))),
        ("300 deep", |p| Sent::body(MEDIA, format!("{}{}{}", "[".repeat(300), json(p), "]".repeat(300)))),
        ("lone string", |p| Sent::body(MEDIA, json(p))),
        ("as text", |p| Sent::body("text/plain", format!(" {{\"a\":{}}}", json(p)))),
        ("as xml", |p| Sent::body("application/xml", format!("{{\"a\":{}}}", json(p)))),
        ("json in json", |p| Sent::body(MEDIA, format!("{{\"a\":{}}}", json(&format!("{{\"b\":{}}}", json(p)))))),
        ("base64 member", |p| Sent::body(MEDIA, format!("{{\"a\":\"{}\"}}", base64(p)))),
        ("UTF-16", |p| {
            Sent::body("application/json; charset=utf-16le", utf16(&format!("{{\"a\":{}}}", json(p)), true))
        }),
        ("UTF-16, undeclared", |p| Sent::body(MEDIA, utf16(&format!("{{\"a\":{}}}", json(p)), false))),
        ("UTF-32", |p| {
            let wide =
                format!("{{\"a\":{}}}", json(p)).chars().flat_map(|c| (c as u32).to_be_bytes()).collect::<Vec<_>>();
            Sent::body("application/json; charset=utf-32be", wide)
        }),
        ("UTF-7", |p| Sent::body("application/json; charset=utf-7", format!("{{\"a\":\"{}\"}}", utf7(p)))),
        ("EBCDIC", |p| Sent::body("application/json; charset=ibm037", ebcdic(&format!("{{\"a\":{}}}", json(p))))),
        ("hex escapes", |p| Sent::body(MEDIA, format!("{{\"a\":\"{}\"}}", percent(p).replace('%', "\\x")))),
        ("percent member", |p| Sent::body(MEDIA, format!("{{\"a\":\"{}\"}}", percent(p)))),
        ("jsonp", |p| Sent::body("text/javascript", format!("cb({{\"a\":{}}})", json(p)))),
        ("behind a guard", |p| Sent::body(MEDIA, format!(")]}}',\n{{\"a\":{}}}", json(p)))),
    ];
    check(ROWS, &[SQLI, PTRAV]);
}

#[test]
fn xml_texts() {
    const MEDIA: &str = "application/xml";
    const ROWS: &[Row] = &[
        ("text", |p| Sent::body(MEDIA, format!("<a>{}</a>", xml(p)))),
        ("CDATA", |p| Sent::body(MEDIA, format!("<a><![CDATA[{p}]]></a>"))),
        ("CDATA in pieces", |p| {
            let (one, two) = p.split_at(6);
            Sent::body(MEDIA, format!("<a><![CDATA[{one}]]><![CDATA[{two}]]></a>"))
        }),
        ("comments between", |p| {
            let (one, two) = p.split_at(6);
            Sent::body(MEDIA, format!("<a>{}<!-- x -->{}</a>", xml(one), xml(two)))
        }),
        ("in a comment", |p| Sent::body(MEDIA, format!("<a><!--{}--></a>", p.replace("--", "#")))),
        ("instruction", |p| Sent::body(MEDIA, format!("<a><?x {p}?></a>"))),
        ("instruction between", |p| {
            let (one, two) = p.split_at(6);
            Sent::body(MEDIA, format!("<a>{}<?x?>{}</a>", xml(one), xml(two)))
        }),
        ("references", |p| {
            Sent::body(MEDIA, format!("<a>{}</a>", p.bytes().map(|b| format!("&#x{b:x};")).collect::<String>()))
        }),
        ("attribute", |p| Sent::body(MEDIA, format!("<a b=\"{}\"/>", xml(p)))),
        ("attribute of references", |p| {
            Sent::body(MEDIA, format!("<a b=\"{}\"/>", p.bytes().map(|b| format!("&#{b};")).collect::<String>()))
        }),
        ("namespace", |p| Sent::body(MEDIA, format!("<n:a xmlns:n=\"{}\"/>", xml(p)))),
        ("namespaced", |p| {
            Sent::body("application/soap+xml", format!("<s:E xmlns:s=\"u\"><s:B>{}</s:B></s:E>", xml(p)))
        }),
        ("as text", |p| Sent::body("text/plain", format!("<a>{}</a>", xml(p)))),
        ("as json", |p| Sent::body("application/json", format!("<a>{}</a>", xml(p)))),
        ("unclosed", |p| Sent::body(MEDIA, format!("<a><b>{}", xml(p)))),
        ("two roots", |p| Sent::body(MEDIA, format!("<a/><b>{}</b>", xml(p)))),
        ("300 deep", |p| Sent::body(MEDIA, format!("{}{}{}", "<a>".repeat(300), xml(p), "</a>".repeat(300)))),
        ("entity value", |p| {
            let p = p.replace('"', "'").replace('%', "");
            Sent::body(MEDIA, format!("<!DOCTYPE a [<!ENTITY e \"{}\">]><a>&e;</a>", xml(&p)))
        }),
        ("entities in pieces", |p| {
            let (one, two) = p.split_at(6);
            let dtd = format!("<!ENTITY x \"{}\"><!ENTITY y \"{}\">", xml(one), xml(two));
            Sent::body(MEDIA, format!("<!DOCTYPE a [{dtd}]><a>&x;&y;</a>"))
        }),
        ("UTF-16LE, marked", |p| {
            Sent::body(MEDIA, [b"\xff\xfe".to_vec(), utf16(&format!("<a>{}</a>", xml(p)), true)].concat())
        }),
        ("UTF-16BE, unmarked", |p| Sent::body(MEDIA, utf16(&format!("<a>{}</a>", xml(p)), false))),
        ("UTF-16LE, declared, unmarked", |p| {
            Sent::body(MEDIA, utf16(&format!("<?xml version=\"1.0\" encoding=\"utf-16\"?><a>{}</a>", xml(p)), true))
        }),
        ("UTF-7, declared within", |p| {
            Sent::body(MEDIA, format!("<?xml version=\"1.0\" encoding=\"utf-7\"?><a>{}</a>", utf7(p)))
        }),
        ("EBCDIC", |p| {
            Sent::body(MEDIA, ebcdic(&format!("<?xml version=\"1.0\" encoding=\"ibm037\"?><a>{}</a>", xml(p))))
        }),
        ("EBCDIC, declared outside", |p| {
            Sent::body("application/xml; charset=ibm037", ebcdic(&format!("<a>{}</a>", xml(p))))
        }),
    ];
    check(ROWS, &[SQLI, PTRAV]);
}

#[test]
fn graphql() {
    const ROWS: &[Row] = &[
        ("argument", |p| body_of(&format!("{{user(id:{}){{name}}}}", json(p)), "{}")),
        ("block string", |p| body_of(&format!("{{user(id:\"\"\"{p}\"\"\"){{name}}}}"), "{}")),
        ("variable", |p| body_of("query($i:ID){user(id:$i){name}}", &format!("{{\"i\":{}}}", json(p)))),
        ("default of a variable", |p| body_of(&format!("query($i:ID={}){{user(id:$i){{name}}}}", json(p)), "{}")),
        ("directive", |p| body_of(&format!("{{user @x(y:{}){{name}}}}", json(p)), "{}")),
        ("input object", |p| body_of(&format!("mutation{{m(i:{{a:[{}]}}){{x}}}}", json(p)), "{}")),
        ("comment before", |p| body_of(&format!("# \"\n{{user(id:{}){{name}}}}", json(p)), "{}")),
        ("escapes", |p| body_of(&format!("{{user(id:\"{}\"){{name}}}}", json_escaped(p)), "{}")),
        ("batch", |p| {
            let one = format!("{{\"query\":{}}}", json(&format!("{{a:user(id:{}){{name}}}}", json(p))));
            Sent::body("application/json", format!("[{{\"query\":\"{{a}}\"}},{one}]"))
        }),
        ("bare", |p| Sent::body("application/graphql", format!("{{user(id:{}){{name}}}}", json(p)))),
        ("in GET", |p| Sent::target(format!("/graphql?query={}", query(&format!("{{user(id:{}){{name}}}}", json(p)))))),
        ("variables in GET", |p| {
            let variables = query(&format!("{{\"i\":{}}}", json(p)));
            Sent::target(format!("/graphql?query={}&variables={variables}", query("query($i:ID){user(id:$i){name}}")))
        }),
    ];
    check(ROWS, &[SQLI, PTRAV]);
}

fn body_of(document: &str, variables: &str) -> Sent {
    Sent::body("application/json", format!("{{\"query\":{},\"variables\":{variables}}}", json(document)))
}

#[test]
fn compressed() {
    const ROWS: &[Row] = &[
        ("gzip", |p| Sent::body(FORM, gzip(format!("id={}", query(p)))).and("Content-Encoding", "gzip")),
        ("gzip, undeclared", |p| Sent::body(FORM, gzip(format!("id={}", query(p))))),
        ("gzip members", |p| {
            Sent::body(FORM, [gzip("a=1&b="), gzip(query(p))].concat()).and("Content-Encoding", "gzip")
        }),
        ("zlib", |p| Sent::body(FORM, zlib(format!("id={}", query(p)))).and("Content-Encoding", "deflate")),
        ("bare deflate", |p| Sent::body(FORM, deflate(format!("id={}", query(p)))).and("Content-Encoding", "deflate")),
        ("brotli", |p| Sent::body(FORM, brotli(format!("id={}", query(p)))).and("Content-Encoding", "br")),
        ("zstd", |p| {
            Sent::body(FORM, zstd::encode_all(query(p).as_bytes(), 3).unwrap()).and("Content-Encoding", "zstd")
        }),
        ("twice", |p| Sent::body(FORM, gzip(gzip(format!("id={}", query(p))))).and("Content-Encoding", "gzip, gzip")),
        ("two lines", |p| {
            let body = brotli(gzip(format!("id={}", query(p))));
            Sent::body(FORM, body).and("Content-Encoding", "gzip").and("Content-Encoding", "br")
        }),
        ("claimed", |p| Sent::body(FORM, format!("id={}", query(p))).and("Content-Encoding", "gzip")),
        ("claimed deflate", |p| Sent::body(FORM, format!("id={}", query(p))).and("Content-Encoding", "deflate")),
        ("claimed br", |p| Sent::body(FORM, format!("id={}", query(p))).and("Content-Encoding", "br")),
        ("claimed twice, applied once", |p| {
            Sent::body(FORM, gzip(format!("id={}", query(p)))).and("Content-Encoding", "gzip, gzip")
        }),
        ("other coding than claimed", |p| {
            Sent::body(FORM, gzip(format!("id={}", query(p)))).and("Content-Encoding", "br")
        }),
        ("unknown coding", |p| Sent::body(FORM, format!("id={}", query(p))).and("Content-Encoding", "none")),
        ("cut short", |p| {
            let mut body = gzip(format!("id={}{}", query(p), "&pad=1".repeat(20)));
            body.truncate(body.len() - 8);
            Sent::body(FORM, body).and("Content-Encoding", "gzip")
        }),
        ("text behind", |p| {
            let mut body = gzip("a=1");
            body.extend(format!("&id={}", query(p)).bytes());
            Sent::body(FORM, body).and("Content-Encoding", "gzip")
        }),
    ];
    check(ROWS, &[SQLI, XSS]);
}

#[test]
fn binary() {
    const ROWS: &[Row] = &[
        ("msgpack", |p| Sent::body("application/msgpack", msgpack(p))),
        ("msgpack, undeclared", |p| Sent::body("application/octet-stream", msgpack(p))),
        ("protobuf", |p| Sent::body("application/x-protobuf", field(2, &field(1, p.as_bytes())))),
        ("protobuf, undeclared", |p| Sent::body("application/octet-stream", field(2, &field(1, p.as_bytes())))),
        ("grpc", |p| Sent::body("application/grpc", frame(0, &field(1, p.as_bytes())))),
        ("grpc, compressed", |p| Sent::body("application/grpc", frame(1, &gzip(field(1, p.as_bytes()))))),
        ("grpc-web", |p| Sent::body("application/grpc-web+proto", frame(0, &field(1, p.as_bytes())))),
        ("grpc-web trailers", |p| {
            let body = [frame(0, &field(1, b"a")), frame(0x80, format!("x-user: {p}\r\n").as_bytes())].concat();
            Sent::body("application/grpc-web", body)
        }),
        ("grpc-web-text", |p| Sent::body("application/grpc-web-text", base64(frame(0, &field(1, p.as_bytes()))))),
        ("grpc-web-text in pieces", |p| {
            let body = base64(frame(0, &field(1, b"a"))) + &base64(frame(0, &field(1, p.as_bytes())));
            Sent::body("application/grpc-web-text+proto", body)
        }),
        ("grpc json", |p| Sent::body("application/grpc+json", frame(0, format!("{{\"a\":{}}}", json(p)).as_bytes()))),
        ("viewstate", |p| {
            let state = [&b"\xff\x01\x05"[..], &[p.len() as u8], p.as_bytes()].concat();
            Sent::body(FORM, format!("__VIEWSTATE={}", query(&base64(state))))
        }),
        ("between NULs", |p| Sent::body("application/octet-stream", format!("\0\0{p}\0\0"))),
        ("UTF-7", |p| Sent::body("text/plain; charset=utf-7", utf7(p))),
        ("UTF-32LE, marked", |p| {
            let wide = p.chars().flat_map(|c| (c as u32).to_le_bytes());
            Sent::body("text/plain", b"\xff\xfe\0\0".iter().copied().chain(wide).collect::<Vec<u8>>())
        }),
    ];
    check(ROWS, &[SQLI, XSS]);
}

fn field(number: u8, octets: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, octets.len() as u8], octets].concat()
}

fn frame(flag: u8, message: &[u8]) -> Vec<u8> {
    [&[flag], &(message.len() as u32).to_be_bytes()[..], message].concat()
}

fn msgpack(text: &str) -> Vec<u8> {
    [&b"\x81\xa1a\x92\x01\xd9"[..], &[text.len() as u8], text.as_bytes()].concat()
}

/// All but letters and digits in UTF-7.
fn utf7(text: &str) -> String {
    let shifted = |c: char| {
        let units: Vec<u8> = c.to_string().encode_utf16().flat_map(u16::to_be_bytes).collect();
        format!("+{}-", base64(units).trim_end_matches('='))
    };
    text.chars().map(|c| if c.is_ascii_alphanumeric() || c == ' ' { c.to_string() } else { shifted(c) }).collect()
}

/// Code page 37, for the characters of the payloads.
fn ebcdic(text: &str) -> Vec<u8> {
    const SYNTAX: &[(char, u8)] = &[
        (' ', 0x40),
        ('.', 0x4b),
        ('<', 0x4c),
        ('(', 0x4d),
        ('>', 0x6e),
        ('?', 0x6f),
        (')', 0x5d),
        ('-', 0x60),
        ('/', 0x61),
        ('\'', 0x7d),
        ('=', 0x7e),
        ('"', 0x7f),
        ('{', 0xc0),
        ('}', 0xd0),
        (':', 0x7a),
        ('\\', 0xe0),
        ('&', 0x50),
        (';', 0x5e),
    ];
    let letter = |c: u8, base: u8| match c {
        0..9 => base + 1 + c,
        9..18 => base + 0x11 + (c - 9),
        _ => base + 0x22 + (c - 18),
    };
    let octet = |c: char| match c {
        'a'..='z' => letter(c as u8 - b'a', 0x80),
        'A'..='Z' => letter(c as u8 - b'A', 0xc0),
        '0'..='9' => 0xf0 + (c as u8 - b'0'),
        _ => SYNTAX.iter().find(|(s, _)| *s == c).unwrap_or_else(|| panic!("{c} has no place in the table")).1,
    };
    text.chars().map(octet).collect()
}
