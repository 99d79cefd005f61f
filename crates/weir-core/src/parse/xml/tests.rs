use super::super::testing::{ParsedBody, parse_body};
use proptest::prelude::*;

fn xml(text: &str) -> ParsedBody {
    parse_body("application/xml", text.as_bytes())
}

#[test]
fn what_is_hidden_in_a_declaration_or_a_comment_is_a_value() {
    let parsed = parse_body("text/xml", b"<?xml version='1.0' x=';id'?><a><!--#exec cmd='id'--></a>");
    parsed.has("[post][xml][xml_pi,0]", "xml version='1.0' x=';id'");
    parsed.has("[post][xml][xml_tag,'a'][xml_comment,0]", "<!--#exec cmd='id'-->");
    let parsed = parse_body("text/xml", b"<?xml version=\"1.0\"  encoding='UTF-8' standalone='yes' ?><a>b</a>");
    assert!(!parsed.has_point("[post][xml][xml_pi,0]"), "{parsed:#?}");
}

#[test]
fn each_name_is_emitted_once() {
    let parsed = xml("<r><i a='1'/><i a='2'/></r>");
    let mut names: Vec<_> =
        parsed.values.iter().filter(|(p, ..)| p.ends_with("[xml_tag_name]")).map(|(_, v, _)| v).collect();
    names.sort();
    assert_eq!(names, ["a", "i", "r"]);
    let many: String = (0..2_000).map(|n| format!("<n{n}/>")).collect();
    let parsed = xml(&format!("<r>{many}<x'or'1/></r>"));
    assert_eq!(parsed.values.iter().filter(|(p, ..)| p.ends_with("[xml_tag_name]")).count(), super::MAX_NAMES + 1);
    assert!(parsed.skipped.contains(&"value_limit"), "{:?}", parsed.skipped);
}

#[test]
fn elements_attributes_and_the_rest_have_points() {
    let parsed = xml(
        "<?xml version='1.0'?><!-- top --><r a='1&lt;2'><i>one</i><i>t<![CDATA[w]]><!-- c -->o&amp;&#x41;</i><?pi do?></r>",
    );
    parsed.has("[post][xml][xml_tag,'r'][xml_attr,'a']", "1<2");
    parsed.has("[post][xml][xml_tag,'r'][xml_tag,'i']", "one");
    parsed.has("[post][xml][xml_tag,'r'][xml_tag,'i'][xml_tag_array,1]", "two&A");
    parsed.has("[post][xml][xml_comment,0]", " top ");
    parsed.has("[post][xml][xml_tag,'r'][xml_tag,'i'][xml_tag_array,1][xml_comment,1]", " c ");
    parsed.has("[post][xml][xml_tag,'r'][xml_pi,0]", "pi do");
    assert!(parsed.covered("[post]") && parsed.anomalies.is_empty(), "{parsed:#?}");
}

#[test]
fn text_with_elements_in_it_is_read_as_one_text() {
    let parsed = xml("<r><n>1' un<b/>ion<i> all</i> select</n><n>plain</n><n><i>x</i>y</n></r>");
    parsed.has("[post][xml][xml_tag,'r'][xml_tag,'n']", "1' un");
    parsed.has("[post][xml][xml_tag,'r'][xml_tag,'n']", "1' union all select");
    parsed.has("[post][xml][xml_tag,'r'][xml_tag,'n']", "1' union select");
    assert_eq!(parsed.values.iter().filter(|(_, text, _)| text == "plain").count(), 1);
    assert!(!parsed.values.iter().any(|(_, text, _)| text == "xy"));
    xml("<r>1' un<b/>ion").has("[post][xml][xml_tag,'r']", "1' union");
}

#[test]
fn ebcdic_is_recognised_whatever_is_declared() {
    // `<?xml version="1.0"?><a>b</a>` in IBM037.
    let text = b"\x4c\x6f\xa7\x94\x93\x40\xa5\x85\x99\xa2\x89\x96\x95\x7e\x7f\xf1\x4b\xf0\x7f\x6f\x6e\x4c\x81\x6e\x82\x4c\x61\x81\x6e";
    for media in ["text/plain", "application/octet-stream", ""] {
        parse_body(media, text).has("[post][charset][xml][xml_tag,'a']", "b");
    }
}

#[test]
fn a_body_behind_a_byte_order_mark_is_read_whatever_is_declared() {
    for media in ["text/plain", "application/octet-stream", "application/pdf"] {
        parse_body(media, "\u{feff}<a><b>x<![CDATA[y]]></b></a>".as_bytes())
            .has("[post][charset][xml][xml_tag,'a'][xml_tag,'b']", "xy");
    }
}

#[test]
fn external_entities_are_emitted_and_not_resolved() {
    let doc = r#"<?xml version="1.0"?><!DOCTYPE r [<!ELEMENT r ANY><!ENTITY xxe SYSTEM "file:///etc/passwd"><!ENTITY % p "a>b">]><r xmlns:xi="http://www.w3.org/2001/XInclude">&xxe;<xi:include href="file:///x"/></r>"#;
    for media in ["application/xml", "text/plain", "application/json"] {
        let parsed = parse_body(media, doc.as_bytes());
        parsed.has("[post][xml][xml_dtd_entity,0]", r#"<!ENTITY xxe SYSTEM "file:///etc/passwd">"#);
        parsed.has("[post][xml][xml_dtd_entity,1]", r#"<!ENTITY % p "a>b">"#);
        assert!(parsed.has_point("[post][xml][xml_dtd]"));
        parsed.has("[post][xml][xml_tag,'r']", "&xxe;");
        parsed.has("[post][xml][xml_tag,'r'][xml_attr,'xmlns:xi']", "http://www.w3.org/2001/XInclude");
        parsed.has("[post][xml][xml_tag,'r'][xml_tag,'xi:include'][xml_attr,'href']", "file:///x");
        assert!(!parsed.anomalies.contains(&"entity_bomb"));
        assert_eq!(parsed.covered("[post]"), media == "application/xml");
    }
}

#[test]
fn entity_bombs_are_detected() {
    let mut nested = String::from("<!DOCTYPE r [<!ENTITY a0 \"ha\">");
    (1..12).for_each(|n| nested += &format!("<!ENTITY a{n} \"{}\">", format!("&a{};", n - 1).repeat(10)));
    let reversed: String = {
        let mut all: Vec<_> = nested.split_inclusive('>').collect();
        all[..].reverse();
        format!("<!DOCTYPE r [{}", all.concat().replace("<!DOCTYPE r [", ""))
    };
    let circle = "<!DOCTYPE r [<!ENTITY a \"&b;&b;\"><!ENTITY b \"&a;x\">";
    let large = format!("<!DOCTYPE r [<!ENTITY a \"{}\">", "x".repeat(20_000));
    for (doctype, body) in
        [(nested, "&a11;".into()), (reversed, "x".into()), (circle.into(), "x".into()), (large, "&a;".repeat(100))]
    {
        let parsed = xml(&format!("{doctype}]><r>{body}</r>"));
        assert!(parsed.anomalies.contains(&"entity_bomb"), "{}", &doctype[..80]);
    }
    assert!(xml("<!DOCTYPE r [<!ENTITY a \"x\"><!ENTITY b \"&a;&a;\">]><r>&b;</r>").anomalies.is_empty());
}

#[test]
fn broken_documents_are_anomalies_where_declared_and_stay_inspected() {
    for text in [
        "<a><b></a>",
        "<a",
        "<a>x</a>y",
        "<a/><b/>",
        "no markup",
        "<a b=>x</a>",
        "<?xml version='1.0' encoding='utf-7'?><a/>",
        "<a>\u{0}",
        "",
    ] {
        let parsed = xml(&format!("{text} "));
        assert!(!parsed.covered("[post]") && parsed.anomalies == ["bad_xml"], "{text} {parsed:?}");
        assert!(!parse_body("text/plain", text.as_bytes()).anomalies.contains(&"bad_xml"));
    }
    let parsed = parse_body("application/xml", b"<a>\xff</a>");
    assert!(!parsed.covered("[post]") && parsed.anomalies == ["bad_xml"]);
}

#[test]
fn declared_encodings_are_decoded() {
    let text = "<?xml version='1.0' encoding='UTF-16'?><a>evil</a>";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = [0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect();
    let latin = b"<?xml version='1.0' encoding='iso-8859-1'?><a>evil</a><!--\xe9-->".to_vec();
    for body in [little, big, latin] {
        for media in ["application/xml", "text/plain"] {
            parse_body(media, &body).has("[post][xml][xml_tag,'a']", "evil");
        }
    }
}

#[test]
fn markup_that_browsers_execute_stays_inspected() {
    for media in ["image/svg+xml", "text/html", "text/plain"] {
        assert!(!parse_body(media, b"<svg onload='alert(1)'></svg>").covered("[post]"));
    }
    xml("<a'or'1/>").has("[post][xml][xml_tag_name]", "a'or'1");
}

#[test]
fn deep_and_wide_documents_are_bounded() {
    let deep = format!("{}evil{}", "<a>".repeat(5_000), "</a>".repeat(5_000));
    let parsed = xml(&deep);
    assert_eq!(parsed.skipped, ["depth_limit"]);
    assert!(!parsed.covered("[post]") && parsed.values.iter().any(|(_, v, _)| v == "evil"));
    xml(&format!("<a {}/>", "b='1' ".repeat(50_000)));
    xml(&"<a>".repeat(100_000));
    xml(&"<!--".repeat(100_000));
    xml(&"&".repeat(100_000));
    xml(&format!("<!DOCTYPE r [{}", "<!ENTITY".repeat(20_000)));
}

proptest! {
    #[test]
    fn never_panics(text in "<?[?!\\[\\]<>a&;#x'\"=/ -é]{0,60}>") {
        xml(&text);
        xml(&format!("<!DOCTYPE r [<!ENTITY {text}]><r>{text}</r>"));
    }

    #[test]
    fn never_panics_on_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        parse_body("application/xml", &bytes);
        parse_body("application/xml", &[&b"\xff\xfe<\0"[..], &bytes].concat());
    }
}
