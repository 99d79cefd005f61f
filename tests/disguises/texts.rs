//! JSON, XML and GraphQL.

use crate::codecs::*;
use crate::run::*;

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
        ("lines as text", |p| Sent::body("text/plain", format!("{{\"a\":1}}\n{{\"a\":{}}}\n", json(p)))),
        ("cut within a string", |p| Sent::body(MEDIA, format!("{{\"a\":{}", json(p).trim_end_matches('"')))),
    ];
    check(ROWS, &[SQLI, PTRAV]);
}

/// A document that says that it is in UTF-16.
fn declared(payload: &str) -> String {
    format!("<?xml version=\"1.0\" encoding=\"utf-16\"?><a>{}</a>", xml(payload))
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
        ("UTF-16LE, declared, unmarked", |p| Sent::body(MEDIA, utf16(&declared(p), true))),
        ("UTF-7, declared within", |p| {
            Sent::body(MEDIA, format!("<?xml version=\"1.0\" encoding=\"utf-7\"?><a>{}</a>", utf7(p)))
        }),
        ("EBCDIC", |p| {
            Sent::body(MEDIA, ebcdic(&format!("<?xml version=\"1.0\" encoding=\"ibm037\"?><a>{}</a>", xml(p))))
        }),
        ("EBCDIC, declared outside", |p| {
            Sent::body("application/xml; charset=ibm037", ebcdic(&format!("<a>{}</a>", xml(p))))
        }),
        ("text and CDATA in pieces", |p| {
            let (one, two) = p.split_at(6);
            let (two, three) = two.split_at(6);
            Sent::body(MEDIA, format!("<a>{}<![CDATA[{two}]]>{}</a>", xml(one), xml(three)))
        }),
        ("attribute of hexadecimal references", |p| {
            Sent::body(MEDIA, format!("<a b=\"{}\"/>", p.bytes().map(|b| format!("&#x{b:x};")).collect::<String>()))
        }),
        ("CDATA as text", |p| Sent::body("text/plain", format!("<a><![CDATA[{p}]]></a>"))),
        ("UTF-16BE, declared, unmarked", |p| Sent::body(MEDIA, utf16(&declared(p), false))),
        ("UTF-16LE, declared and marked", |p| {
            Sent::body(MEDIA, [b"\xff\xfe".to_vec(), utf16(&declared(p), true)].concat())
        }),
        ("UTF-16BE, declared and marked", |p| {
            Sent::body(MEDIA, [b"\xfe\xff".to_vec(), utf16(&declared(p), false)].concat())
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
        ("second alias", |p| body_of(&format!("{{a:user(id:1){{name}} b:user(id:{}){{name}}}}", json(p)), "{}")),
        ("bare block string", |p| Sent::body("application/graphql", format!("{{user(id:\"\"\"{p}\"\"\"){{name}}}}"))),
    ];
    check(ROWS, &[SQLI, PTRAV]);
}

fn body_of(document: &str, variables: &str) -> Sent {
    Sent::body("application/json", format!("{{\"query\":{},\"variables\":{variables}}}", json(document)))
}
