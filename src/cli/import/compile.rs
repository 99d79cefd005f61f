//! From the links of a rule to one signature: one link becomes its pattern, the others its conditions.

use super::model::{Link, SourceRule, Target, Test};
use serde_json::{Value, json};

/// A condition of a signature: part, name of a header, expression, whether it is negated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Condition {
    /// `method`, `path`, `query`, `body` or `header`.
    pub part: &'static str,
    /// Of `header`.
    pub name: Option<String>,
    /// The expression.
    pub pattern: String,
    /// Whether it must match nowhere.
    pub negated: bool,
}

/// What a signature needs.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Zones, each once.
    pub zones: Vec<&'static str>,
    /// Points; any in the zones if there are none.
    pub points: Vec<Value>,
    /// Views besides the plain one.
    pub views: Vec<&'static str>,
    /// The expression.
    pub pattern: String,
    /// Whether case matters.
    pub case_sensitive: bool,
    /// What else must be true.
    pub conditions: Vec<Condition>,
    /// How it differs from its source.
    pub notes: Vec<String>,
}

/// Matches the path of each request: for a rule all of whose links are conditions.
const ANY_PATH: &str = "^/";

/// Compiles `rule`; the error is why it cannot be expressed.
pub(super) fn compile(rule: &SourceRule) -> Result<Compiled, String> {
    let mut notes = rule.notes.clone();
    let primary = primary(&rule.links)?;
    let case_sensitive = case_of(rule, primary)?;
    let mut conditions = Vec::new();
    for (at, link) in rule.links.iter().enumerate() {
        if Some(at) != primary {
            conditions.push(condition(link, &mut notes)?);
        }
    }
    let Some(link) = primary.map(|at| &rule.links[at]) else {
        let (zones, points) = (vec!["path"], vec![json!([["uri"]])]);
        let pattern = ANY_PATH.to_owned();
        return Ok(Compiled { zones, points, views: Vec::new(), pattern, case_sensitive, conditions, notes });
    };
    let Test::Regex { pattern, .. } = &link.test else { return Err("nothing in it is a pattern".into()) };
    let (mut zones, mut points) = (Vec::new(), Vec::new());
    let mut named = false;
    for target in &link.targets {
        let part = place(target, pattern, &mut notes)?;
        for zone in part.zones {
            if !zones.contains(zone) {
                zones.push(*zone);
            }
        }
        named |= part.narrow;
        points.extend(part.points);
    }
    if !named {
        points.clear();
    }
    let views = link.views.clone();
    Ok(Compiled { zones, points, views, pattern: pattern.clone(), case_sensitive, conditions, notes })
}

/// Which link becomes the pattern: the one that cannot be a condition; `None` if all are best as conditions.
fn primary(links: &[Link]) -> Result<Option<usize>, String> {
    let values: Vec<usize> = (0..links.len()).filter(|at| !fits_condition(&links[*at])).collect();
    match values[..] {
        [at] if links[at].negated => Err("a test that must fail on a parameter cannot be expressed".into()),
        [at] if !matches!(links[at].test, Test::Regex { .. }) => {
            Err("whether a parameter is there can only be asked of headers and of the query".into())
        }
        [at] => Ok(Some(at)),
        [] => {
            // The most selective place first: a pattern finds its candidates by literals, a condition does not.
            let usable = |at: &usize| {
                let link = &links[*at];
                !link.negated && matches!(link.test, Test::Regex { .. }) && link.targets != [Target::Method]
            };
            Ok((0..links.len()).find(usable))
        }
        _ => Err("two of its links read parameters, and a signature reads one value".into()),
    }
}

/// Whether a link can be a condition.
fn fits_condition(link: &Link) -> bool {
    let [target] = &link.targets[..] else { return false };
    let views = link.views.is_empty() || link.views == ["path"];
    views
        && matches!(
            target,
            Target::Method
                | Target::Path
                | Target::Uri
                | Target::QueryString
                | Target::RawBody
                | Target::Headers(Some(_))
                | Target::Query(Some(_))
        )
}

/// Conditions share the case of the pattern.
fn case_of(rule: &SourceRule, primary: Option<usize>) -> Result<bool, String> {
    let case = |link: &Link| match &link.test {
        Test::Regex { pattern, case_sensitive } => Some((*case_sensitive, has_letters(pattern))),
        _ => None,
    };
    let all: Vec<(bool, bool)> = rule.links.iter().filter_map(case).collect();
    let wanted = primary.and_then(|at| case(&rule.links[at])).or_else(|| all.first().copied());
    let Some((sensitive, _)) = wanted else { return Ok(false) };
    if all.iter().all(|(other, _)| *other == sensitive) || !all.iter().any(|(other, letters)| *other && *letters) {
        return Ok(sensitive);
    }
    // One ignores case: all do. Methods and paths that differ in case only are other ones, but no server mixes them.
    Ok(false)
}

fn has_letters(pattern: &str) -> bool {
    pattern.chars().any(char::is_alphabetic)
}

fn condition(link: &Link, notes: &mut Vec<String>) -> Result<Condition, String> {
    let [target] = &link.targets[..] else {
        return Err("a link of a chain reads several places, and a condition reads one".into());
    };
    let (text, negated) = match &link.test {
        Test::Regex { pattern, .. } => (Some(pattern.as_str()), link.negated),
        Test::Present => (None, link.negated),
        Test::Absent => (None, !link.negated),
    };
    let mut note = |text: &str| notes.push(text.to_owned());
    let plain = |part| Condition { part, name: None, pattern: text.unwrap_or_default().to_owned(), negated };
    match target {
        Target::Headers(Some(name)) => {
            if negated && text.is_some() {
                note("a request without the header counts as one whose header does not match");
            }
            Ok(Condition { name: Some(name.clone()), ..plain("header") })
        }
        Target::Method if text.is_some() => Ok(plain("method")),
        Target::Path if text.is_some() => Ok(plain("path")),
        Target::Uri if text.is_some_and(|text| !mentions_query(text)) => {
            note("the address is read without its query");
            Ok(plain("path"))
        }
        Target::Uri => Err("a condition cannot read path and query together".into()),
        Target::QueryString if text.is_some() => {
            note("each parameter of the query is read on its own, as name=value");
            Ok(plain("query"))
        }
        Target::RawBody if text.is_some() => {
            note("of the body the first 16 KiB are read");
            Ok(plain("body"))
        }
        Target::Query(Some(name)) => {
            let name = super::pcre::escape_text(name);
            let pattern = match text {
                None => format!("^{name}="),
                Some(text) => behind_name(&name, text)?,
            };
            Ok(Condition { part: "query", name: None, pattern, negated })
        }
        _ => Err("a link of a chain reads a place that a condition cannot read".into()),
    }
}

/// `pattern` on the value of `name=value`.
fn behind_name(name: &str, pattern: &str) -> Result<String, String> {
    let (flags, rest) = match pattern.strip_prefix("(?s)") {
        Some(rest) => ("(?s)", rest),
        None => ("", pattern),
    };
    match rest.strip_prefix('^') {
        Some(rest) if !rest.contains('|') || rest.starts_with("(?:") && !rest.contains('^') => {
            Ok(format!("{flags}^{name}={rest}"))
        }
        None if !rest.contains('^') => Ok(format!("(?s)^{name}=.*?(?:{rest})")),
        _ => Err("the expression of a link has `^` in its middle".into()),
    }
}

/// Whether an expression for an address speaks of its query.
fn mentions_query(pattern: &str) -> bool {
    pattern.contains("\\?") || pattern.contains("[?") || pattern.contains('=') && !pattern.contains("(?=")
}

/// Where a signature looks for one target.
struct Part {
    zones: &'static [&'static str],
    points: Vec<Value>,
    /// Whether the points say more than the zones do.
    narrow: bool,
}

fn place(target: &Target, pattern: &str, notes: &mut Vec<String>) -> Result<Part, String> {
    let mut note = |text: &str| {
        if !notes.iter().any(|known| known == text) {
            notes.push(text.to_owned());
        }
    };
    let wide = |zones, points| Part { zones, points, narrow: false };
    let narrow = |zones, points| Part { zones, points, narrow: true };
    let in_body = |name: &str| {
        vec![
            json!([["post"], ["form_urlencoded", name]]),
            json!([["post"], ["multipart", name]]),
            json!([["post"], ["json_doc"], ["hash", name]]),
        ]
    };
    Ok(match target {
        Target::Args(None) => wide(&["query", "body"], vec![json!([["get"]]), json!([["post"]])]),
        Target::Args(Some(name)) => {
            let points = [vec![json!([["get", name]])], in_body(name)].concat();
            narrow(&["query", "body"], points)
        }
        Target::Query(None) => wide(&["query"], vec![json!([["get"]])]),
        Target::Query(Some(name)) => narrow(&["query"], vec![json!([["get", name]])]),
        Target::Body(None) => wide(&["body"], vec![json!([["post"]])]),
        Target::Body(Some(name)) => narrow(&["body"], in_body(name)),
        Target::ArgNames => narrow(&["name"], vec![json!([["get_name"]]), json!([["post"]])]),
        Target::Cookies(None) => wide(&["cookie"], vec![json!([["header", "COOKIE"], ["cookie"]])]),
        Target::Cookies(Some(name)) => narrow(&["cookie"], vec![json!([["header", "COOKIE"], ["cookie", name]])]),
        Target::CookieNames => narrow(&["name"], vec![json!([["header", "COOKIE"], ["cookie_name"]])]),
        Target::Headers(None) => wide(&["header"], vec![json!([["header"]])]),
        Target::Headers(Some(name)) if name.eq_ignore_ascii_case("cookie") => {
            note("each cookie is read on its own");
            wide(&["cookie"], vec![json!([["header", "COOKIE"], ["cookie"]])])
        }
        Target::Headers(Some(name)) => narrow(&["header"], vec![json!([["header", name.to_ascii_uppercase()]])]),
        Target::Path => narrow(&["path"], vec![json!([["uri"]])]),
        Target::Uri if pattern.contains('^') && !mentions_query(pattern) => {
            note("the address is read without its query");
            narrow(&["path"], vec![json!([["uri"]])])
        }
        Target::Uri if mentions_query(pattern) => {
            return Err("the expression reads path and query together, and a signature reads one value".into());
        }
        Target::Uri => {
            note("the path and each parameter of the query are read on their own");
            narrow(&["path", "query"], vec![json!([["uri"]]), json!([["get"]])])
        }
        Target::QueryString if mentions_query(pattern) || pattern.contains('&') => {
            return Err("the expression reads names and values of the query together".into());
        }
        Target::QueryString => {
            note("each parameter of the query is read on its own");
            wide(&["query"], vec![json!([["get"]])])
        }
        Target::RawBody => {
            note("each value of the body is read on its own, and the body as a whole only if it has no known format");
            wide(&["body"], vec![json!([["post"]])])
        }
        Target::FileNames => wide(&["filename"], vec![json!([["post"]])]),
        Target::Files => wide(&["file"], vec![json!([["post"]])]),
        Target::ResponseBody => wide(&["response_body"], vec![json!([["response_body"]])]),
        Target::Method => return Err("it looks for a pattern in the method and somewhere else at once".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_moves_behind_the_name() {
        assert_eq!(behind_name("id", "(?s)^a$").unwrap(), "(?s)^id=a$");
        assert_eq!(behind_name("id", "(?s)a|b").unwrap(), "(?s)^id=.*?(?:a|b)");
        assert!(behind_name("id", "(?s)a|^b").is_err() && behind_name("id", "^a|b").is_err());
    }
}
