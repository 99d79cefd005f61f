//! `weir rules list --cve`: the known vulnerabilities whose exploits the rules block.

use std::collections::HashSet;
use std::fmt::Write as _;
use weir_core::ruleset::{CveEntry, Ruleset};

/// What `--cve` asks for.
#[derive(Debug, clap::Args)]
pub struct CveSelection {
    /// List the known vulnerabilities whose exploits the rules block, or say whether this one is blocked and by what. If
    /// it is not, the exit code is 1.
    #[arg(long, value_name = "CVE", num_args = 0..=1, default_missing_value = "", value_parser = number)]
    pub cve: Option<String>,
    /// Print the list as a page in Markdown: the catalogue of rules, or with `--cve` the list of vulnerabilities.
    #[arg(long, conflicts_with = "json")]
    pub markdown: bool,
}

/// The number of a vulnerability in upper case; empty for all of them.
fn number(text: &str) -> Result<String, String> {
    let number = text.to_ascii_uppercase();
    if number.is_empty() || CveEntry::is_cve(&number) {
        return Ok(number);
    }
    Err("expected the number of a vulnerability, e.g. CVE-2025-29927".into())
}

/// The answer and the exit code: 0 well, 1 if nothing is known to block the vulnerability `cve`.
pub fn list(rules: &Ruleset, cve: &str, json: bool) -> (String, u8) {
    let entries: Vec<&CveEntry> =
        sorted(rules).into_iter().filter(|entry| cve.is_empty() || entry.cve == cve).collect();
    let code = u8::from(entries.is_empty());
    if json {
        let entries: Vec<_> = entries.iter().map(|entry| to_json(entry)).collect();
        return (format!("{}\n", serde_json::to_string_pretty(&entries).expect("plain data")), code);
    }
    if entries.is_empty() && !cve.is_empty() {
        return (format!("{cve} is not in the index: no rule is known to block its exploit\n"), code);
    }
    let mut out = String::new();
    for entry in entries {
        let _ = writeln!(out, "{:16} {:40} {:36} {}", entry.cve, entry.by, entry.product, entry.source);
    }
    (out, code)
}

/// The index as a page in Markdown.
pub fn markdown(rules: &Ruleset) -> String {
    let entries = sorted(rules);
    let own = entries.iter().filter(|entry| entry.by.starts_with("cve.")).map(|entry| &entry.cve);
    let own = own.collect::<HashSet<_>>().len();
    let all = entries.iter().map(|entry| &entry.cve).collect::<HashSet<_>>().len();
    let mut out = format!(
        "# Known vulnerabilities\n\n<!-- Made by `weir rules list --cve --markdown > docs/cve.md`; a test keeps it up to date. -->\n\n\
         Exploits of these {} vulnerabilities are blocked in a default installation: {own} by a virtual patch for the product (rules `cve.*`\n\
         in [rules/cve](../rules/cve)), {} by a rule or detector for the whole class of attacks. For each of them a test sends a request\n\
         that exploits it through the engine. [rules/README.md](../rules/README.md) describes how to add one. A virtual patch gains time\n\
         to install the update of the vendor; it does not replace it. A vulnerability that is not in this list may be blocked as well.\n\n\
         | vulnerability | product | blocked by | described at |\n|---|---|---|---|\n",
        all,
        all - own
    );
    for CveEntry { cve, product, by, source, .. } in entries {
        let host = source.trim_start_matches("https://").split('/').next().unwrap_or_default();
        let _ = writeln!(out, "| {cve} | {product} | `{by}` | [{host}]({source}) |");
    }
    out
}

/// The entries, newest first.
fn sorted(rules: &Ruleset) -> Vec<&CveEntry> {
    let mut entries: Vec<&CveEntry> = rules.cve_index.iter().collect();
    let key = |entry: &CveEntry| {
        let mut numbers = entry.cve.split('-').filter_map(|part| part.parse::<u64>().ok());
        (numbers.next(), numbers.next())
    };
    entries.sort_by_key(|entry| std::cmp::Reverse(key(entry)));
    entries
}

fn to_json(entry: &CveEntry) -> serde_json::Value {
    serde_json::to_value(entry).expect("plain data")
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::ruleset::builtin;
    use weir_core::ruleset::compile::compile;

    fn rules() -> Ruleset {
        compile(&builtin::files()).unwrap()
    }

    #[test]
    fn one_vulnerability_is_looked_up() {
        let rules = rules();
        let (text, code) = list(&rules, "CVE-2025-29927", false);
        assert_eq!(code, 0);
        assert!(
            text.starts_with("CVE-2025-29927 ") && text.contains(" Next.js ") && text.lines().count() == 1,
            "{text}"
        );
        let (text, code) = list(&rules, "CVE-1999-0001", false);
        assert_eq!(
            (text.as_str(), code),
            ("CVE-1999-0001 is not in the index: no rule is known to block its exploit\n", 1)
        );
        assert_eq!(list(&rules, "CVE-1999-0001", true), ("[]\n".into(), 1));
        assert_eq!((number("cve-2025-29927"), number("2025").is_err()), (Ok("CVE-2025-29927".into()), true));
    }

    #[test]
    fn the_whole_index_is_listed_newest_first() {
        let rules = rules();
        let (text, code) = list(&rules, "", false);
        let years: Vec<&str> = text.lines().map(|line| &line[4..8]).collect();
        assert_eq!((code, years.len()), (0, rules.cve_index.len()));
        assert!(years.is_sorted_by(|a, b| a >= b), "{text}");
    }

    /// `weir rules list --cve --markdown > docs/cve.md` makes it fresh, and so does this test with `WEIR_UPDATE_DOCS=1`.
    #[test]
    fn the_page_of_vulnerabilities_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cve.md");
        let fresh = markdown(&rules());
        if std::env::var_os("WEIR_UPDATE_DOCS").is_some() {
            std::fs::write(path, &fresh).unwrap();
        }
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            page == fresh,
            "docs/cve.md is stale: run `WEIR_UPDATE_DOCS=1 cargo test --lib page_of_vulnerabilities`"
        );
    }
}
