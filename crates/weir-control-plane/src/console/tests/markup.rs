//! No page lets data become markup: what comes from traffic is rendered hostile, and the tags are compared.

use super::super::fixtures::{pages, plain};
use std::path::{Path, PathBuf};

/// What would act if it got out of its place.
pub const HOSTILE: &[&str] = &[
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "</textarea></script><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\" autofocus onfocus=alert(1) x=\"",
    "</title><base href=//evil.example/>",
    "{{7*7}}{% raw %}<!--",
    "//evil.example/",
    "\u{202e}\u{0}\u{2028}\u{feff}<b>",
    "` onclick=alert(1) style=position:fixed",
];

/// A tag with its attributes.
#[derive(Debug, PartialEq)]
pub struct Tag {
    /// Name.
    pub name: String,
    /// Names and values.
    pub attributes: Vec<(String, String)>,
}

/// The start tags of `html`, as a browser reads them.
pub fn tags(html: &str) -> Vec<Tag> {
    let mut out = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            assert!(!rest.starts_with("!--"), "no page has comments");
            continue;
        }
        let end = rest.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/').expect("a tag ends");
        let mut tag = Tag { name: rest[..end].to_ascii_lowercase(), attributes: Vec::new() };
        rest = &rest[end..];
        loop {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break;
            }
            let end = rest.find(|c: char| c.is_ascii_whitespace() || "=>/".contains(c)).expect("a tag ends");
            let name = rest[..end].to_ascii_lowercase();
            rest = &rest[end..];
            let mut value = "";
            if let Some(after) = rest.strip_prefix('=') {
                let after = after.strip_prefix('"').unwrap_or_else(|| panic!("unquoted attribute {name} in {tag:?}"));
                let end = after.find('"').expect("a value ends");
                (value, rest) = (&after[..end], &after[end + 1..]);
            }
            tag.attributes.push((name, value.to_owned()));
        }
        out.push(tag);
    }
    out
}

/// Tags and names of attributes; which option of a list is chosen depends on the data.
fn names(html: &str) -> Vec<(String, Vec<String>)> {
    let kept = |tag: Tag| tag.attributes.into_iter().map(|(name, _)| name).filter(|name| name != "selected").collect();
    tags(html).into_iter().map(|mut tag| (std::mem::take(&mut tag.name), kept(tag))).collect()
}

#[test]
fn hostile_data_adds_no_tag_and_no_attribute() {
    let clean = pages(&plain);
    assert!(clean.len() > 20, "the fixtures show too few pages to mean anything");
    for payload in HOSTILE {
        // Empty fields stay empty: they decide what is shown at all.
        let taint = |text: &str| if text.is_empty() { String::new() } else { (*payload).to_owned() };
        for ((name, before), (_, after)) in clean.iter().zip(pages(&taint)) {
            // A cut value adds what unfolds it.
            let count = |all: &[(String, Vec<String>)]| {
                all.iter().filter(|(tag, _)| tag != "details" && tag != "summary").count()
            };
            let (before, after) = (names(before), names(&after));
            if *name != "audit" && *name != "rule-form" {
                assert_eq!(before, after, "{name} with {payload:?}");
            }
            assert!(count(&after) <= count(&before), "{name} with {payload:?}");
        }
    }
}

/// `html` without the values of form fields, which repeat the input unchanged.
pub fn without_input(html: &str) -> String {
    let mut out = String::new();
    for (number, part) in html.split(" value=\"").enumerate() {
        out.push_str(if number == 0 { part } else { part.split_once('"').map_or("", |(_, rest)| rest) });
    }
    let mut parts = out.split("<textarea");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    parts.for_each(|part| kept.push_str(part.split_once("</textarea>").map_or("", |(_, rest)| rest)));
    kept
}

/// Every tag is one that pages may have, and leads nowhere else.
pub fn check_tags(page: &str, html: &str) {
    for tag in tags(html) {
        let place = format!("{page}: {tag:?}");
        assert!(!["base", "object", "embed", "iframe", "style"].contains(&tag.name.as_str()), "{place}");
        let get = |name: &str| tag.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
        if tag.name == "script" {
            assert!(get("src").is_some_and(|src| src.starts_with("/assets/")), "{place}");
        }
        for (name, value) in &tag.attributes {
            assert!(!name.starts_with("on") && name != "style" && name != "srcdoc", "{place}");
            if ["href", "src", "action", "formaction", "data-live", "data-check"].contains(&name.as_str()) {
                let own = value.starts_with('/') && !value.starts_with("//") || value.starts_with('#');
                // An image that is part of the page.
                let own = own || tag.name == "img" && value.starts_with("data:image/svg+xml;base64,");
                assert!(own || value.starts_with("https://cwe.mitre.org/data/definitions/"), "{place}");
            }
        }
    }
}

#[test]
fn no_page_runs_or_refers_to_what_it_must_not() {
    for payload in HOSTILE {
        let taint = |text: &str| if text.is_empty() { String::new() } else { (*payload).to_owned() };
        for (page, html) in pages(&taint) {
            let hidden = ['\u{202e}', '\u{0}', '\u{2028}', '\u{feff}'];
            assert!(!without_input(&html).contains(hidden), "{page}: hidden characters");
            check_tags(page, &html);
        }
    }
}

#[test]
fn pages_are_well_formed_and_named() {
    for (page, html) in pages(&plain) {
        let all = tags(&html);
        let count = |name: &str| all.iter().filter(|tag| tag.name == name).count();
        assert_eq!(
            (count("h1"), count("main"), count("title") - count("svg").min(count("title") - 1)),
            (1, 1, 1),
            "{page}"
        );
        let ids: Vec<&str> =
            all.iter().flat_map(|t| &t.attributes).filter(|(n, _)| n == "id").map(|(_, v)| v.as_str()).collect();
        let unique: std::collections::HashSet<&&str> = ids.iter().collect();
        assert_eq!(unique.len(), ids.len(), "{page}: an id twice in {ids:?}");
        for field in all.iter().filter(|tag| ["input", "select", "textarea"].contains(&tag.name.as_str())) {
            let get = |name: &str| field.attributes.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str());
            let labelled = get("aria-label").is_some()
                || get("type").is_some_and(|kind| ["hidden", "checkbox", "radio"].contains(&kind))
                || get("id").is_some_and(|id| html.contains(&format!("for=\"{id}\"")));
            assert!(labelled, "{page}: {field:?} has no label");
        }
        for form in html
            .split("<form ")
            .skip(1)
            .filter(|form| form.starts_with("method=\"post\"") || form.contains(" method=\"post\""))
        {
            let form = form.split("</form>").next().unwrap_or_default();
            let head = form.split('>').next().unwrap_or_default();
            assert!(
                !head.contains("method=\"post\"") || form.contains("name=\"csrf\""),
                "{page}: a form without its token"
            );
        }
    }
}

fn templates(dir: &Path, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("templates are there").map(|entry| entry.expect("readable").path()) {
        if entry.is_dir() { templates(&entry, out) } else { out.push(entry) }
    }
}

#[test]
fn templates_mark_nothing_as_safe() {
    let mut files = Vec::new();
    templates(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/src/console/templates")), &mut files);
    assert!(files.len() > 25);
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        for bad in ["|safe", "| safe", "|escape(", "style=", " onclick", " onload", "javascript:", "escape = \"none\""]
        {
            assert!(!text.contains(bad), "{} contains {bad}", file.display());
        }
        assert_eq!(
            text.matches("<script").count(),
            text.matches("<script type=\"module\" src=").count(),
            "{}",
            file.display()
        );
    }
}
