use crate::model::{AnomalyKind as K, Limits, SkipReason};
use crate::parse::message::from_parts;
use crate::parse::testing::messages::{ExtractedMessage, extract_body, extract_message_within};
use proptest::prelude::*;

const MEDIA: &str = "multipart/form-data; boundary=B";

fn parse(body: &str) -> ExtractedMessage {
    extract_body(MEDIA, body.as_bytes())
}

/// A body of one part with these headers and this content.
fn one(headers: &str, content: &str) -> String {
    format!("--B\r\n{headers}\r\n\r\n{content}\r\n--B--\r\n")
}

#[test]
fn an_ordinary_body_is_split_into_fields_and_files() {
    let parsed = parse(
        "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\none\r\ntwo\r\n--B\r\n\
         Content-Disposition: form-data; name=\"f\"; filename=\"x.png\"\r\nContent-Type: image/png\r\nX-Odd: y\r\n\r\n\
         \u{1}data\r\n--B--\r\n",
    );
    assert!(parsed.has("[post][multipart,'a']=one\\x0d\\x0atwo"), "{:?}", parsed.values);
    assert!(parsed.has("[post][multipart,'f'][file]=\\x01data"));
    assert!(parsed.has("[post][multipart,'f'][content_disp,'filename']=x.png"));
    assert!(parsed.has("[post][multipart,'f'][header,'X-ODD']=y"));
    assert!(parsed.has("[post][multipart_name]=a") && parsed.has("[post][multipart_name]=f"));
    assert!(!parsed.inspects("Content-Disposition"), "the parts hold everything");
    assert_eq!((parsed.anomalies.len(), parsed.skipped.len()), (0, 0), "{:?}", parsed.anomalies);
}

#[test]
fn repeated_fields_are_arrays() {
    let field = |value| format!("--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n{value}\r\n");
    let parsed = parse(&format!("{}{}--B--", field("1"), field("2")));
    assert!(parsed.has("[post][multipart,'a'][array,1]=2") && parsed.has("[post][multipart,'a'][pollution]=1,2"));
}

#[test]
fn brackets_in_names_are_steps() {
    let field = |name, value| format!("--B\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
    let file = "--B\r\nContent-Disposition: form-data; name=\"f[]\"; filename=\"x\"\r\nX-Odd: y\r\n\r\ndata\r\n";
    let parsed = parse(&[&field("a[b][0]", "1"), &field("c[]", "2"), &field("d[", "3"), file, "--B--\r\n"].concat());
    for entry in [
        "[post][multipart,'a'][hash,'b'][array,0]=1",
        "[post][multipart,'c'][array,0]=2",
        "[post][multipart,'d[']=3",
        "[post][multipart,'f'][array,0][file]=data",
        "[post][multipart,'f'][header,'X-ODD']=y",
        "[post][multipart_name]=a[b][0]",
    ] {
        assert!(parsed.has(entry), "{entry}: {:?}", parsed.values);
    }
}

/// A body that can be read in another way is an anomaly, and is inspected as a whole too.
#[test]
fn broken_bodies_are_still_inspected() {
    const FIELD: &str = "Content-Disposition: form-data; name=\"a\"";
    for (what, body, entry) in [
        ("no final boundary", format!("--B\r\n{FIELD}\r\n\r\nevil\r\n"), "[post][multipart,'a']=evil\\x0d\\x0a"),
        ("LF only", one(FIELD, "evil").replace('\r', ""), "[post][multipart,'a']=evil"),
        ("text past the final boundary", one(FIELD, "x") + "\r\n--B\r\n\r\nevil\r\n--B--", "[post][multipart,'']=evil"),
        ("text behind a boundary", one(FIELD, "x").replace("--B\r", "--Bx\r"), "[post][multipart,'a']=x"),
        ("boundary within a line", one(FIELD, "x--B evil"), "[post][multipart,'a']=x--B evil"),
        ("no empty line", format!("--B\r\n{FIELD}\r\n--B--"), ""),
        ("folded header", one("Content-Disposition: form-data;\r\n name=\"a\"", "evil"), "[post][multipart,'a']=evil"),
        ("line without colon", one(&format!("evil\r\n{FIELD}"), "x"), "[post][multipart,'a'][header,'EVIL']=evil"),
        ("space before colon", one(&FIELD.replace(':', " :"), "evil"), "[post][multipart,'a']=evil"),
        ("single quotes", one(&FIELD.replace('"', "'"), "evil"), "[post][multipart,'a']=evil"),
        ("open quote", one("Content-Disposition: form-data; name=\"a", "evil"), "[post][multipart,'a']=evil"),
    ] {
        let parsed = parse(&body);
        assert!(parsed.has_anomaly(K::BadMultipart), "{what}: {:?}", parsed.anomalies);
        assert!(entry.is_empty() || parsed.has(entry), "{what}: {:?}", parsed.values);
        assert!(parsed.values.iter().any(|v| v.starts_with("[post]=")), "{what}: {:?}", parsed.values);
    }
}

#[test]
fn boundaries_are_found_however_declared() {
    let body = one("Content-Disposition: form-data; name=\"a\"", "evil");
    for (media, odd) in [
        ("multipart/form-data; boundary=\"B\"", false),
        ("Multipart/Form-Data; charset=x; Boundary=B", false),
        ("multipart/form-data", true),
        ("multipart/form-data; boundary=", true),
        ("multipart/form-data; boundary=other", true),
        ("multipart/form-data; boundary=other; boundary=B", true),
        ("multipart/form-data; boundary=B; boundary=other", true),
        ("multipart/form-data; boundary='B'", true),
        ("multipart/form-data; boundary*0=B", true),
        ("multipart/form-data, boundary=B", true),
        ("multipart/form-data; boundary=B,x", true),
        ("multipart/form-data, x boundary=\"B\"; y=z", true),
        ("text/plain", false),
        ("application/json", false),
    ] {
        let parsed = extract_body(media, body.as_bytes());
        assert!(parsed.has("[post][multipart,'a']=evil"), "{media}: {:?}", parsed.values);
        assert_eq!(parsed.has_anomaly(K::BadMultipart), odd, "{media}: {:?}", parsed.anomalies);
    }
}

#[test]
fn a_part_that_only_some_servers_take_for_a_file_is_a_field_too() {
    let long = format!("{} evil", "word ".repeat(300));
    for (headers, is_field) in [
        ("Content-Disposition: form-data; name=\"a\"; filename=\"x.txt\"", false),
        ("Content-Disposition: form-data; name=\"a\"; filename=\"x.txt\"; filename*=utf-8''x.txt", false),
        ("Content-Disposition: form-data; name=\"a\"; filename*=utf-8''x.txt", true),
        ("Content-Disposition: form-data; name=\"a\"; filename*0=\"x.txt\"", true),
        ("Content-Disposition: form-data; name=\"a\"; filename=\".\"", true),
        ("Content-Disposition: form-data; name=\"a\"; filename=\"x/\"", true),
        ("Content-Disposition: form-data; name=\"a\"; filename=\"x\\\"", true),
        ("Content-Disposition: form-data; name=\"a\"; filename=\"x.txt\"; filename=\"\"", true),
        ("Content-Disposition: form-data; name=\"a\";\r\n filename=\"x.txt\"", true),
        ("Content-Disposition : form-data; name=\"a\"; filename=\"x.txt\"", true),
    ] {
        let parsed = parse(&one(headers, &long));
        assert!(parsed.has(&format!("[post][multipart,'a'][file]={long}")), "{headers}: {:?}", parsed.values);
        assert_eq!(parsed.has(&format!("[post][multipart,'a']={long}")), is_field, "{headers}: {:?}", parsed.values);
    }
}

#[test]
fn delimiters_within_a_line_are_read_both_ways() {
    let field = "Content-Disposition: form-data; name=\"b\"\r\n\r\nevil";
    for end in ["\r", "x", " "] {
        let parsed = parse(&one("Content-Disposition: form-data; name=\"a\"", &format!("x{end}--B\r\n{field}")));
        assert!(parsed.has("[post][multipart,'b']=evil"), "{end:?}: {:?}", parsed.values);
        assert!(parsed.values.iter().any(|v| v.starts_with("[post][multipart,'a']=x") && v.ends_with("evil")));
    }
}

#[test]
fn boundaries_may_be_as_long_as_a_header() {
    let boundary = "B".repeat(2000);
    let body = one("Content-Disposition: form-data; name=\"a\"", "evil").replace("--B", &format!("--{boundary}"));
    let parsed = extract_body(&format!("multipart/form-data; boundary={boundary}"), body.as_bytes());
    assert!(parsed.has("[post][multipart,'a']=evil"), "{:?}", parsed.values);
}

#[test]
fn an_empty_boundary_is_one() {
    let body = one("Content-Disposition: form-data; name=\"a\"", "evil").replace("--B", "--");
    let parsed = extract_body("multipart/form-data; boundary=\"\"", body.as_bytes());
    assert!(parsed.has("[post][multipart,'a']=evil"), "{:?}", parsed.values);
}

#[test]
fn odd_spellings_of_the_media_type_are_declarations() {
    let body = format!("preamble\r\n{}", one("Content-Disposition: form-data; name=\"a\"", "evil"));
    for media in
        ["multipart /form-data; boundary=B", "text/plain, multipart/form-data; boundary=B", "x-Multipart; boundary=B"]
    {
        let parsed = extract_body(media, body.as_bytes());
        assert!(parsed.has("[post][multipart,'a']=evil"), "{media}: {:?}", parsed.values);
    }
}

#[test]
fn repeated_names_are_ambiguous() {
    for headers in [
        "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
        "Content-Disposition: form-data; name=\"a\"; filename=\"x.png\"; filename=\"x.php\"",
        "Content-Disposition: form-data; name=\"a\"\r\nContent-Disposition: form-data; name=\"b\"",
    ] {
        let parsed = parse(&one(headers, "evil"));
        assert!(
            parsed.has_anomaly(K::AmbiguousMultipart) && parsed.has_anomaly(K::BadMultipart),
            "{headers}: {:?}",
            parsed.anomalies
        );
        assert!(parsed.inspects("evil"));
    }
}

#[test]
fn every_reading_of_a_file_name_is_inspected() {
    let parsed =
        parse(&one("Content-Disposition: form-data; name=\"a\"; filename=\"x.png\"; filename*=utf-8''%2e%2e%2f", ""));
    assert!(parsed.has("[post][multipart,'a'][content_disp,'filename']=../"), "{:?}", parsed.values);
    assert!(parsed.has("[post][multipart,'a'][content_disp,'filename']=x.png"));
}

#[test]
fn transfer_encodings_are_decoded() {
    for (coding, content, entry) in [
        ("base64", "PHNjcmlwdD4=", "[post][multipart,'a'][base64]=<script>"),
        ("BASE64; x=y", "PHNj!cmlwdD4=====", "[post][multipart,'a'][base64]=<script>"),
        ("\"base64\"", "PHNj\r\ncmlwdD4", "[post][multipart,'a'][base64]=<script>"),
        ("base64, 8bit", "PHM=Y3JpcHQ+", "[post][multipart,'a'][base64]=<script>"),
        ("Quoted-Printable", "=3Cscript=3E", "[post][multipart,'a']=<script>"),
    ] {
        let headers = format!("Content-Disposition: form-data; name=\"a\"\r\nContent-Transfer-Encoding: {coding}");
        let parsed = parse(&one(&headers, content));
        assert!(parsed.has(entry), "{:?}", parsed.values);
    }
}

#[test]
fn preamble_and_epilogue_are_inspected() {
    let parsed =
        parse(&format!("before evil1\r\n{}after evil2", one("Content-Disposition: form-data; name=\"a\"", "x")));
    assert!(parsed.has("[post]=before evil1") && parsed.has("[post]=after evil2"), "{:?}", parsed.values);
}

#[test]
fn nested_bodies_are_parsed_up_to_the_limit() {
    let inner = "--C\r\nContent-Disposition: attachment; name=\"i\"\r\n\r\nevil\r\n--C--";
    let middle = one("Content-Disposition: form-data; name=\"o\"\r\nContent-Type: multipart/mixed; boundary=C", inner);
    let parsed = parse(&middle);
    assert!(parsed.has("[post][multipart,'o'][multipart,'i']=evil"), "{:?}", parsed.values);
    let deep = middle.replace("--C", "--D").replace("boundary=C", "boundary=D").replace("--B", "--C");
    let deep = one("Content-Type: multipart/mixed; boundary=C", &deep);
    let parsed = parse(&deep);
    assert_eq!(parsed.skipped[0].0, SkipReason::DepthLimit);
    assert!(parsed.inspects("evil"));
}

#[test]
fn files_in_nested_bodies_are_fields_too() {
    let long = format!("{} evil", "word ".repeat(300));
    let inner = format!("--C\r\nContent-Disposition: file; filename=\"x.txt\"\r\n\r\n{long}\r\n--C--");
    let outer = "Content-Disposition: form-data; name=\"o\"\r\nContent-Type: multipart/mixed; boundary=C";
    let parsed = parse(&one(outer, &inner));
    for end in ["", "[file]"] {
        assert!(parsed.has(&format!("[post][multipart,'o'][multipart,'']{end}={long}")), "{:?}", parsed.values);
    }
}

#[test]
fn too_many_parts_are_inspected_as_a_whole() {
    let body = one("Content-Disposition: form-data; name=\"a\"", "x").replace("--B--\r\n", "").repeat(5) + "evil";
    let limits = Limits { multipart_parts: 3, ..Limits::default() };
    let headers = [(&b"Content-Type"[..], MEDIA.as_bytes())];
    let parsed = extract_message_within(&from_parts(b"POST", b"/", b"HTTP/1.1", headers, body.as_bytes()), &limits);
    assert_eq!(parsed.skipped[0].0, SkipReason::CountLimit);
    assert!(parsed.inspects("evil"));
}

proptest! {
    /// Whatever the body is, its text is in some inspected value.
    #[test]
    fn every_part_is_inspected(
        needle in "[a-z]{6}",
        before in "(--B|--|B|\r\n|\n|:| |\"|;|name=|Content-Disposition: form-data; |filename=x|a){0,12}",
        after in "(--B--|--B|\r\n|\n|\"|;|=|a){0,8}",
        declared: bool,
    ) {
        let body = format!("--B\r\n{before}{needle}{after}");
        let parsed = extract_body(if declared { MEDIA } else { "text/plain" }, body.as_bytes());
        let found = parsed.inspects(&needle) || parsed.values.iter().any(|v| v.to_ascii_lowercase().contains(&format!("'{needle}")));
        prop_assert!(found, "{body:?} {:?}", parsed.values);
    }

    #[test]
    fn never_panics(media in "multipart/x(; ?boundary\\*?=[\"']?[Ba-c\\\\]{0,3}[\"']?){0,3}", body: Vec<u8>) {
        extract_body(&media, &body);
        extract_body(&media, &[b"--B\r\n", &body[..], b"\r\n--B"].concat());
    }
}

#[test]
fn a_bare_cr_ends_lines_for_some_servers() {
    let coded = "Content-Disposition: form-data; name=\"a\"\r\
                 Content-Transfer-Encoding: quoted-printable\r\r=3Bid";
    for body in [format!("--B\r{coded}\r--B--\r"), format!("--B\r\n{coded}\r\n--B--\r\n")] {
        let parsed = parse(&body);
        assert!(parsed.has("[post][multipart,'a']=;id"), "{body:?}: {:?}", parsed.values);
    }
    let content = parse(&one("Content-Disposition: form-data; name=\"a\"", "x\ry\r--z"));
    assert_eq!(content.anomalies.len(), 0, "a CR in the content is ordinary: {:?}", content.anomalies);
}

#[test]
fn a_nested_body_is_a_field_to_servers_that_do_not_read_it() {
    let inner = "--in\r\nContent-Disposition: form-data; name=\"b\"\r\n\r\n1\r\n--in--";
    let headers = "Content-Disposition: attachment; name=\"a\"; filename=\"x.txt\"\r\n\
                   Content-Type: multipart/mixed; boundary=in";
    let parsed = parse(&one(headers, inner));
    assert!(
        parsed.values.iter().any(|v| v.starts_with("[post][multipart,'a'][multipart,'b']=")),
        "{:?}",
        parsed.values
    );
}
