//! Known vulnerabilities in a rule file: those of a signature, and the index of what the rules block.

use super::cve_index::CveEntry;
use super::error::FileErrors;
use super::fields::{Fields, text_of};
use super::yaml_tree::{Located, Location, YamlValue};

/// Keys of an entry of the index.
const KEYS: &[&str] = &["covers", "product", "by", "source", "request"];

/// Whether an item of a rule file is an entry of the index rather than a signature.
pub(super) fn is_entry(item: &Located<YamlValue>) -> bool {
    matches!(&item.value, YamlValue::Map(members) if members.iter().any(|(key, _)| key.value == "covers"))
}

/// An entry of the index.
pub(super) fn entry(item: &Located<YamlValue>, errors: &mut FileErrors<'_>) -> Option<CveEntry> {
    let before = errors.found.len();
    let fields = Fields::of(item, "a known vulnerability", KEYS, errors)?;
    let cve = fields.text("covers", errors);
    let product = fields.text("product", errors);
    let by = fields.text("by", errors);
    let source = fields.text("source", errors);
    let request = fields.text("request", errors);
    if let Some(cve) = &cve {
        check_number(&cve.value, cve.location, errors);
    }
    if let Some(source) = &source {
        check_address(&source.value, source.location, errors);
    }
    if let Some(request) = &request
        && !request.value.lines().next().is_some_and(|line| line.contains(" HTTP/"))
    {
        errors.add(request.location, "a request begins with its request line, e.g. `GET / HTTP/1.1`");
    }
    (errors.found.len() == before).then_some(())?;
    Some(CveEntry {
        cve: cve?.value,
        product: product?.value,
        by: by?.value,
        source: source?.value,
        request: request?.value,
    })
}

/// The numbers at `cve`: one or a list.
pub(super) fn numbers(fields: &Fields<'_>, errors: &mut FileErrors<'_>) -> Vec<String> {
    let found = fields.texts("cve", errors);
    found.iter().for_each(|at| check_number(&at.value, at.location, errors));
    found.into_iter().map(|at| at.value).collect()
}

/// The addresses at `key`: one or a list.
pub(super) fn addresses(fields: &Fields<'_>, key: &str, errors: &mut FileErrors<'_>) -> Vec<String> {
    let found = fields.texts(key, errors);
    found.iter().for_each(|at| check_address(&at.value, at.location, errors));
    found.into_iter().map(|at| at.value).collect()
}

/// The text at `key`; empty where it is not given.
pub(super) fn optional_text(fields: &Fields<'_>, key: &str, errors: &mut FileErrors<'_>) -> String {
    fields.get(key).and_then(|at| text_of(at, errors)).unwrap_or_default()
}

fn check_number(text: &str, at: Location, errors: &mut FileErrors<'_>) {
    if !CveEntry::is_cve(text) {
        errors.add(at, format!("`{text}` is not the number of a vulnerability, e.g. `CVE-2025-29927`"));
    }
}

fn check_address(text: &str, at: Location, errors: &mut FileErrors<'_>) {
    if !text.starts_with("https://") || text.contains(char::is_whitespace) {
        errors.add(at, format!("`{text}` is not an https address"));
    }
}
