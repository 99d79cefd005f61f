//! `weir rules list --cve`: the known vulnerabilities whose exploits the rules block.

use std::fmt::Write as _;
use weir_core::ruleset::{CveEntry, Ruleset};

/// What `--cve` asks for.
#[derive(Debug, clap::Args)]
pub struct CveSelection {
    /// List the known vulnerabilities whose exploits the rules block, or say whether this one is blocked and by what. If
    /// it is not, the exit code is 1.
    #[arg(long, value_name = "CVE", num_args = 0..=1, default_missing_value = "", value_parser = number)]
    pub cve: Option<String>,
    /// Print the list as a page in Markdown.
    #[arg(long, requires = "cve", conflicts_with = "json")]
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
    let own = entries.iter().filter(|entry| entry.by.starts_with("cve.")).count();
    let mut out = format!(
        "# Known vulnerabilities\n\n<!-- Made by `weir rules list --cve --markdown > docs/cve.md`; a test keeps it up to date. -->\n\n\
         Exploits of these {} vulnerabilities are blocked in a default installation: {own} by a virtual patch for the product (rules `cve.*`\n\
         in [rules/cve](../rules/cve)), {} by a rule or detector for the whole class of attacks. For each of them a test sends a request\n\
         that exploits it through the engine. [rules/README.md](../rules/README.md) describes how to add one. A virtual patch gains time\n\
         to install the update of the vendor; it does not replace it. A vulnerability that is not in this list may be blocked as well.\n\n\
         | vulnerability | product | blocked by | described at |\n|---|---|---|---|\n",
        entries.len(),
        entries.len() - own
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
