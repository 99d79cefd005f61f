//! The search syntax of the Attacks page, as users of comparable products know it: words and `attribute:value`, different
//! attributes AND, the same one OR, `!` negates. [docs/search.md](../../../docs/search.md) describes it for people.

mod dates;
mod words;

use super::filter::{Filter, Mark, Span, Terms};
use super::free_text::MIN_TEXT;
use super::{AttackStatus, StoreError};
use weir_core::model::AttackType;
use words::{Word, split};

/// Longest search, in bytes.
pub const MAX_SEARCH: usize = 2_048;

/// What a search is read with.
#[derive(Clone, Copy, Debug, Default)]
pub struct SearchContext<'a> {
    /// Milliseconds since 1970, for words like `today`. Days are those of UTC.
    pub now: i64,
    /// Applications by id and name, for `app:'name'`.
    pub applications: &'a [(i64, String)],
}

/// A mistake in a search: where, what, and the fix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}: {help}")]
pub struct SearchError {
    /// Column from 1, in characters.
    pub column: usize,
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

impl From<SearchError> for StoreError {
    fn from(error: SearchError) -> Self {
        StoreError::Input(error.to_string())
    }
}

/// What is wrong with a word, and the fix.
type Wrong = (String, String);

fn wrong<T>(message: impl Into<String>, help: impl Into<String>) -> Result<T, Wrong> {
    Err((message.into(), help.into()))
}

/// Reads a search.
pub fn parse(text: &str, context: SearchContext<'_>) -> Result<Filter, SearchError> {
    if text.len() > MAX_SEARCH {
        let message = format!("the search is longer than {MAX_SEARCH} bytes");
        return Err(SearchError { column: 1, message, help: "ask for less at once".into() });
    }
    let words = split(text)?;
    let mut filter = Filter::default();
    let mut rest = &words[..];
    while let Some((word, after)) = rest.split_first() {
        let at = |(message, help)| SearchError { column: word.column, message, help };
        if let Some((taken, from, to)) = dates::read(rest, context.now).map_err(at)? {
            period(&mut filter, word, from, to).map_err(at)?;
            rest = &rest[taken..];
            continue;
        }
        match &word.attribute {
            Some(name) => attribute(&mut filter, name, word, context).map_err(at)?,
            None => bare(&mut filter, word).map_err(at)?,
        }
        rest = after;
    }
    Ok(filter)
}

/// `value` as it is written in a search, in quotes where it needs them.
pub fn quote(value: &str) -> String {
    if !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || c == '\'' || c == '"') {
        return value.to_owned();
    }
    let mark = if value.contains('\'') { '"' } else { '\'' };
    format!("{mark}{}{mark}", value.replace(mark, "?"))
}

fn period(filter: &mut Filter, word: &Word, from: Option<i64>, to: Option<i64>) -> Result<(), Wrong> {
    if word.negated {
        return wrong("a period cannot be negated", "name the period that you want, e.g. `11/01/2026-11/09/2026`");
    }
    if filter.from.is_some() && from.is_some() || filter.to.is_some() && to.is_some() {
        return wrong("a second period", "name one period, from its first to its last day");
    }
    (filter.from, filter.to) = (filter.from.or(from), filter.to.or(to));
    if filter.from.zip(filter.to).is_some_and(|(from, to)| from >= to) {
        return wrong("the period ends before it begins", "write the earlier date first");
    }
    Ok(())
}

fn add<T>(terms: &mut Terms<T>, word: &Word, value: T) {
    if word.negated { terms.none.push(value) } else { terms.any.push(value) }
}

/// Attributes: names, and an example of each for messages.
const ATTRIBUTES: &[(&str, &[&str])] = &[
    ("ip:203.0.113.0/24", &["ip"]),
    ("country:NL", &["country"]),
    ("source:tor", &["source"]),
    ("statuscode:500-599", &["statuscode"]),
    ("size:>1000", &["s", "size"]),
    ("method:POST", &["method"]),
    ("d:*.example.com", &["d", "domain", "host"]),
    ("u:/login*", &["u", "url", "path"]),
    ("app:1", &["app", "application", "pool"]),
    ("p:password", &["p", "param", "parameter", "point"]),
    ("N:>100", &["N", "n", "hits"]),
    ("sources:>10", &["sources"]),
    ("request_id:ID", &["request_id"]),
    ("node_uuid:ID", &["node_uuid", "node"]),
    ("proto:HTTP/2*", &["proto"]),
    ("mode:monitoring", &["mode"]),
    ("action:block", &["action"]),
    ("status:blocked", &["status"]),
    ("mark:fp", &["mark"]),
    ("rule:42", &["rule"]),
    ("type:sqli", &["type"]),
    ("text:'union select'", &["text"]),
    ("since:24h", &["since"]),
    ("until:2026-11-23", &["until"]),
];

fn attribute(filter: &mut Filter, name: &str, word: &Word, context: SearchContext<'_>) -> Result<(), Wrong> {
    let Some((example, names)) = ATTRIBUTES.iter().find(|(_, names)| names.contains(&name)) else {
        let all: Vec<&str> = ATTRIBUTES.iter().map(|(example, _)| *example).collect();
        return wrong(format!("no attribute `{name}:`"), format!("known are {}", all.join(", ")));
    };
    let value = word.value.as_str();
    if value.is_empty() {
        return wrong(format!("`{name}:` without a value"), format!("write e.g. `{example}`"));
    }
    let text = || value.to_owned();
    match names[0] {
        "ip" => ip(filter, word)?,
        "country" => add(&mut filter.countries, word, country(value)?),
        "source" => add(&mut filter.source_types, word, value.to_ascii_lowercase()),
        "statuscode" => add(&mut filter.status_codes, word, words::span(value)?),
        "s" => add(&mut filter.sizes, word, words::span(value)?),
        "method" => add(&mut filter.methods, word, value.to_ascii_uppercase()),
        "d" => add(&mut filter.hosts, word, value.to_ascii_lowercase()),
        "u" => add(&mut filter.paths, word, text()),
        "app" => add(&mut filter.applications, word, application(value, context)?),
        "p" => add(&mut filter.points, word, text()),
        "N" => number_of(&mut filter.hits, word, words::span(value)?)?,
        "sources" => number_of(&mut filter.sources, word, words::span(value)?)?,
        "since" => period(filter, word, Some(dates::instant(value, context.now)?), None)?,
        "until" => period(filter, word, None, Some(dates::instant(value, context.now)?))?,
        "request_id" => add(&mut filter.request_ids, word, text()),
        "node_uuid" => add(&mut filter.nodes, word, text()),
        "proto" => add(&mut filter.protocols, word, text()),
        "mode" => add(&mut filter.modes, word, one_of(value, &["monitoring", "safe_blocking", "block"])?),
        "action" => add(&mut filter.actions, word, one_of(value, &["pass", "block"])?),
        "status" => add(&mut filter.statuses, word, status(value)?),
        "mark" => add(&mut filter.marks, word, mark(value)?),
        "rule" => add(&mut filter.rules, word, text()),
        "text" => free_text(filter, word)?,
        _ => add(&mut filter.attack_types, word, attack(value)?),
    }
    Ok(())
}

/// Words without an attribute.
fn bare(filter: &mut Filter, word: &Word) -> Result<(), Wrong> {
    let value = word.value.as_str();
    let lower = value.to_ascii_lowercase();
    match lower.as_str() {
        _ if word.quoted && !value.starts_with('/') => free_text(filter, word)?,
        // What the search is about anyway.
        "attack" | "attacks" | "hit" | "hits" | "event" | "events" if !word.negated => {}
        "blocked" | "partially_blocked" | "monitored" | "monitoring" => {
            let status = status(&lower)?;
            add(&mut filter.statuses, word, status);
        }
        "falsepositive" => add(&mut filter.marks, word, Some(Mark::Fp)),
        "truepositive" => add(&mut filter.marks, word, Some(Mark::Tp)),
        _ if AttackType::from_code(&lower).is_some() => add(&mut filter.attack_types, word, attack(&lower)?),
        _ if value.starts_with('/') => add(&mut filter.paths, word, value.to_owned()),
        _ if value.len() > 1 && value.ends_with('=') => {
            add(&mut filter.points, word, value.trim_end_matches('=').to_owned());
        }
        _ if METHODS.contains(&value) => add(&mut filter.methods, word, value.to_owned()),
        _ if words::looks_like_address(value) => ip(filter, word)?,
        _ if words::looks_like_host(value) => add(&mut filter.hosts, word, lower),
        _ => return unknown(value, &lower),
    }
    Ok(())
}

/// Methods that need no attribute, in capitals.
const METHODS: &[&str] = &["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"];

/// Words of the documented syntax that ask for what is not kept here.
const ABSENT: &[&str] = &[
    "incidents",
    "incident",
    "vulns",
    "sampled",
    "custom_rule",
    "client",
    "database",
    "server",
    "low",
    "medium",
    "high",
];

fn unknown(value: &str, lower: &str) -> Result<(), Wrong> {
    if ABSENT.contains(&lower) || lower.starts_with("owasp_") {
        return wrong(format!("`{value}` is not kept here"), "leave it out");
    }
    let shown: String = value.chars().take(40).collect();
    let help = "write an attack type (`sqli`), a path (`/login`), a host (`d:shop`), a parameter (`p:name`), \
        an address, a period (`today`), an attribute such as `country:NL`, or the text in quotes to find it in requests";
    wrong(format!("`{shown}` is not understood"), help)
}

fn free_text(filter: &mut Filter, word: &Word) -> Result<(), Wrong> {
    if word.value.chars().count() < MIN_TEXT {
        return wrong(
            format!("a text of fewer than {MIN_TEXT} characters"),
            format!("write at least {MIN_TEXT} characters, e.g. `text:union`"),
        );
    }
    add(&mut filter.texts, word, word.value.clone());
    Ok(())
}

fn ip(filter: &mut Filter, word: &Word) -> Result<(), Wrong> {
    if let Some(least) = word.value.strip_suffix('+').and_then(|n| n.parse().ok()) {
        return number_of(&mut filter.sources, word, Span { min: Some(least), max: None });
    }
    for net in words::networks(&word.value)? {
        add(&mut filter.ips, word, net);
    }
    Ok(())
}

fn number_of(target: &mut Option<Span>, word: &Word, span: Span) -> Result<(), Wrong> {
    if word.negated || target.is_some() {
        return wrong("a number of hits or sources is named once, and not negated", "write a range such as `N:10-100`");
    }
    *target = Some(span);
    Ok(())
}

fn country(value: &str) -> Result<String, Wrong> {
    let code = value.to_ascii_uppercase();
    if code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()) {
        return Ok(code);
    }
    wrong(format!("`{value}` is not a country code"), "write two letters of ISO 3166-1, e.g. `country:NL`")
}

fn application(value: &str, context: SearchContext<'_>) -> Result<i64, Wrong> {
    if let Ok(id) = value.parse() {
        return Ok(id);
    }
    match context.applications.iter().find(|(_, name)| name.eq_ignore_ascii_case(value)) {
        Some((id, _)) => Ok(*id),
        None => wrong(format!("no application is called `{value}`"), "write its id, or its name as in Settings"),
    }
}

fn attack(value: &str) -> Result<AttackType, Wrong> {
    let all = || AttackType::ALL.iter().map(|a| a.code()).collect::<Vec<_>>().join(", ");
    let known = AttackType::from_code(&value.to_ascii_lowercase());
    known.ok_or_else(|| (format!("no attack type `{value}`"), format!("known are {}", all())))
}

fn status(value: &str) -> Result<AttackStatus, Wrong> {
    let value = if value == "monitored" { "monitoring" } else { value };
    let known = AttackStatus::ALL.iter().copied().find(|status| status.code() == value);
    let help = "write `blocked`, `partially_blocked` or `monitoring`; for an HTTP status `statuscode:403`";
    known.ok_or_else(|| (format!("no status `{value}`"), help.into()))
}

fn mark(value: &str) -> Result<Option<Mark>, Wrong> {
    match value {
        "none" => Ok(None),
        _ => match Mark::from_code(value) {
            Some(mark) => Ok(Some(mark)),
            None => wrong(format!("no mark `{value}`"), "write `tp`, `fp` or `none`"),
        },
    }
}

fn one_of(value: &str, known: &[&str]) -> Result<String, Wrong> {
    let lower = value.to_ascii_lowercase();
    if known.contains(&lower.as_str()) {
        return Ok(lower);
    }
    wrong(format!("unknown value `{value}`"), format!("write {}", known.join(" or ")))
}

#[cfg(test)]
#[path = "search/tests.rs"]
mod tests;
