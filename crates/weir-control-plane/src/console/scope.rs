//! The requests that a rule applies to, as users write them: host, path with `*` and `**`, method. All other conditions
//! are additional conditions.

use super::form_fields::FormFields;
use super::view::rules::ConditionRow;
use serde_json::{Value, json};

/// Most segments of a path.
const MAX_SEGMENTS: usize = 40;

/// Why texts are no host, path or method of a rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It does not begin with a slash.
    #[error("the path must begin with `/`")]
    NoSlash,
    /// It has a query string.
    #[error("remove the query string; use an additional condition for query parameters")]
    Query,
    /// It has more than [`MAX_SEGMENTS`] segments.
    #[error("the path has more than {MAX_SEGMENTS} segments")]
    TooManySegments,
    /// `**` is in a place where it cannot be expressed as conditions.
    #[error("`**` must be the last or the second-to-last segment")]
    MisplacedWildcard,
    /// A segment is empty.
    #[error("the path has an empty segment; remove repeated slashes")]
    EmptySegment,
    /// The host is an address, a list, or what no request has.
    #[error("enter the name of one host, without scheme and path, such as shop.example.com")]
    Host,
    /// The method is a list, or what no request has.
    #[error("enter one method, such as POST; for several, make an additional condition: method matches ^(PUT|PATCH)$")]
    Method,
}

impl ScopeError {
    /// The field that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            ScopeError::Host => "host",
            ScopeError::Method => "method",
            _ => "path",
        }
    }
}

/// Host, path and method of the requests that a rule applies to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleScope {
    /// Host; `*` and `?` stand for anything; empty for any.
    pub host: String,
    /// Path; empty for any.
    pub path: String,
    /// Method; empty for any.
    pub method: String,
}

/// Request parts that conditions can test: code and label.
pub const POINTS: &[(&str, &str)] = &[
    ("", "–"),
    ("header", "Header"),
    ("query", "Query parameter"),
    ("path", "Path segment (index from 0)"),
    ("action_name", "Last path segment: name"),
    ("action_ext", "Last path segment: extension"),
    ("uri", "Path and query"),
    ("method", "Method"),
    ("scheme", "Scheme"),
    ("proto", "Protocol version"),
    ("instance", "Application"),
];

fn condition(how: &str, point: Value, value: &str) -> Value {
    if how == "absent" {
        json!({"type": how, "point": point})
    } else {
        json!({"type": how, "point": point, "value": value})
    }
}

/// A glob of one word as a regex over the whole of it.
fn glob(text: &str) -> String {
    let mut out = String::from("^");
    for c in text.chars() {
        match c {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            c if c.is_ascii_alphanumeric() || "-_/ ".contains(c) || !c.is_ascii() => out.push(c),
            '^' => out.push_str("\\^"),
            c => {
                out.push('[');
                out.push_str(if c == ']' || c == '\\' { "\\" } else { "" });
                out.push(c);
                out.push(']');
            }
        }
    }
    out.push('$');
    out
}

fn word(point: Value, text: &str) -> Option<Value> {
    match text {
        "*" => Some(condition("regex", point, "^.+$")),
        text if text.contains(['*', '?']) => Some(condition("regex", point, &glob(text))),
        text => Some(condition("equal", point, text)),
    }
}

impl RuleScope {
    /// The conditions of a rule.
    pub fn conditions(&self) -> Result<Vec<Value>, ScopeError> {
        let mut out = Vec::new();
        let host = self.host.trim().trim_end_matches('.').to_lowercase();
        if !host.is_empty() && host != "*" {
            if !is_host(&host) {
                return Err(ScopeError::Host);
            }
            out.extend(word(json!(["header", "HOST"]), &host));
        }
        match self.method.trim() {
            "" | "*" => {}
            method if !is_method(method) => return Err(ScopeError::Method),
            method => out.push(condition("equal", json!(["method"]), &method.to_uppercase())),
        }
        out.extend(path(self.path.trim())?);
        Ok(out)
    }

    /// Splits the conditions of a rule into host, path, method and the remaining conditions.
    pub fn of(action: &[Value]) -> (RuleScope, Vec<ConditionRow>) {
        let mut scope = RuleScope::default();
        let mut rest: Vec<&Value> = action.iter().collect();
        let mut take = |point: Value| {
            let at = rest.iter().position(|c| c["type"] == "equal" && c["point"] == point && c["value"].is_string())?;
            rest.remove(at)["value"].as_str().map(str::to_owned)
        };
        scope.host = take(json!(["header", "HOST"])).unwrap_or_default();
        scope.method = take(json!(["method"])).unwrap_or_default();
        if let Some((path, left)) = path_of(&rest) {
            (scope.path, rest) = (path, left);
        }
        (scope, rest.into_iter().map(row).collect())
    }

    /// In a line: `POST shop.example.com/api/*`.
    pub fn describe(&self) -> String {
        let space = if self.method.is_empty() { "" } else { " " };
        match (self.host.as_str(), self.path.as_str(), self.method.as_str()) {
            ("", "", "") => "All requests".into(),
            ("", path, method) => format!("{method}{space}{}", if path.is_empty() { "*" } else { path }),
            (host, path, method) => format!("{method}{space}{host}{path}"),
        }
    }
}

/// Whether a request can have this host. `*` and `?` stand for anything; a port is allowed, and not compared.
fn is_host(text: &str) -> bool {
    let port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.rsplit_once(':').filter(|(_, after)| port(after)).map_or(text, |(host, _)| host);
    let address = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match address {
        Some(address) => address.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.*?".contains(&byte)),
        None => text.chars().all(|c| c.is_alphanumeric() || "-._*?".contains(c)),
    }
}

/// Whether it is one method (RFC 9110, 5.6.2).
fn is_method(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'+-.^_`|~".contains(&byte))
}

/// Conditions of a path with `*` for a segment and `**` for any number of them.
fn path(text: &str) -> Result<Vec<Value>, ScopeError> {
    if text.is_empty() || text == "*" || text == "/**" || text == "**" {
        return Ok(Vec::new());
    }
    let Some(inner) = text.strip_prefix('/') else { return Err(ScopeError::NoSlash) };
    if text.contains('?') {
        return Err(ScopeError::Query);
    }
    let mut segments: Vec<&str> = inner.split('/').collect();
    let last = segments.pop().unwrap_or_default();
    if segments.len() > MAX_SEGMENTS {
        return Err(ScopeError::TooManySegments);
    }
    let mut out = Vec::new();
    let open = segments.iter().position(|segment| *segment == "**");
    if open.is_some_and(|at| at + 1 < segments.len()) {
        return Err(ScopeError::MisplacedWildcard);
    }
    for (at, segment) in segments.iter().enumerate().filter(|(_, segment)| **segment != "**") {
        if segment.is_empty() {
            return Err(ScopeError::EmptySegment);
        }
        out.extend(word(json!(["path", at]), segment));
    }
    if last == "**" {
        return Ok(out);
    }
    if open.is_none() {
        out.push(condition("absent", json!(["path", segments.len()]), ""));
    }
    match last.split_once('.') {
        _ if last == "*" => out.push(condition("regex", json!(["action_name"]), "^.+$")),
        None => {
            out.extend(word(json!(["action_name"]), last));
            out.push(condition("absent", json!(["action_ext"]), ""));
        }
        Some((name, rest)) => {
            let ext = rest.rsplit('.').next().unwrap_or(rest);
            out.extend(word(json!(["action_name"]), name));
            out.extend(word(json!(["action_ext"]), ext));
        }
    }
    Ok(out)
}

/// The path that conditions express, and the conditions that are not part of it; none if they express no path.
fn path_of<'c>(all: &[&'c Value]) -> Option<(String, Vec<&'c Value>)> {
    let is_path = |c: &Value| matches!(c["point"][0].as_str(), Some("path" | "action_name" | "action_ext"));
    let (mine, rest): (Vec<&Value>, Vec<&Value>) = all.iter().partition(|c| is_path(c));
    if mine.is_empty() {
        return None;
    }
    let text = |c: &Value| match (c["type"].as_str(), c["value"].as_str()) {
        (Some("equal"), Some(value)) if !value.contains(['*', '?', '/']) => Some(value.to_owned()),
        (Some("regex"), Some("^.+$")) => Some("*".to_owned()),
        _ => None,
    };
    let find = |tag: &str, at: Option<u64>| {
        mine.iter().find(|c| c["point"][0] == tag && at.is_none_or(|at| c["point"][1] == at)).copied()
    };
    let mut out = String::new();
    let (mut used, mut at) = (0, 0);
    let mut closed = false;
    let is_there = |c: &&&Value| c["point"][0] == "path" && c["type"] != "absent";
    let numbers = mine.iter().filter(is_there).filter_map(|c| c["point"][1].as_u64());
    let last = numbers.max().filter(|&last| last <= MAX_SEGMENTS as u64);
    loop {
        let Some(c) = find("path", Some(at)) else {
            if last.is_none_or(|last| at > last) {
                break;
            }
            // A segment that is there, as a later one is, and that may be anything.
            out.push_str("/*");
            at += 1;
            continue;
        };
        used += 1;
        if c["type"] == "absent" {
            closed = true;
            break;
        }
        out.push('/');
        out.push_str(&text(c)?);
        at += 1;
    }
    let name = find("action_name", None);
    let ext = find("action_ext", None);
    if !closed {
        out.push_str("/**");
    }
    match (name, ext) {
        (None, None) if closed => return None,
        (None, None) => {}
        (Some(name), None) if name["type"] == "regex" => {
            used += 1;
            out.push('/');
            out.push_str(&text(name)?);
        }
        (Some(name), Some(ext)) => {
            used += 2;
            out.push('/');
            out.push_str(&text(name)?);
            if ext["type"] != "absent" {
                out.push('.');
                out.push_str(&text(ext)?);
            }
        }
        _ => return None,
    }
    // The written path must use every path condition, or it would mean something else.
    (used == mine.len()).then_some((out, rest))
}

fn row(condition: &Value) -> ConditionRow {
    let text = |value: &Value| {
        value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
    };
    let point = text(&condition["point"][0]);
    let named = ["header", "query", "path"].contains(&point.as_str());
    let (name, value) = if named {
        (text(&condition["point"][1]), text(&condition["value"]))
    } else {
        let given = text(&condition["value"]);
        (String::new(), if given.is_empty() { text(&condition["point"][1]) } else { given })
    };
    ConditionRow { how: text(&condition["type"]), point, name, value }
}

/// The additional conditions of a form.
pub fn rows(given: &FormFields) -> Vec<ConditionRow> {
    let column = |name: &str| given.all(name).into_iter().map(str::to_owned).collect::<Vec<_>>();
    let (points, names, hows, values) = (column("c_point"), column("c_name"), column("c_how"), column("c_value"));
    let at = |column: &[String], n: usize| column.get(n).cloned().unwrap_or_default();
    (0..points.len())
        .map(|n| ConditionRow {
            point: points[n].clone(),
            name: at(&names, n),
            how: at(&hows, n),
            value: at(&values, n),
        })
        .filter(|row| !row.point.is_empty())
        .collect()
}

/// A row as a condition of a rule.
pub fn of_row(row: &ConditionRow) -> Value {
    let point = match row.point.as_str() {
        "path" => row.name.parse::<u32>().map_or_else(|_| json!(["path", row.name]), |at| json!(["path", at])),
        "header" | "query" => json!([row.point, row.name]),
        point => json!([point]),
    };
    condition(&row.how, point, &row.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(host: &str, path: &str, method: &str) -> RuleScope {
        RuleScope { host: host.into(), path: path.into(), method: method.into() }
    }

    #[test]
    fn scopes_become_conditions_and_come_back() {
        for one in [
            scope("shop.example.com", "/api/v1/users", "POST"),
            scope("", "/api/*/users.json", ""),
            scope("h", "/api/**", ""),
            scope("h", "/api/**/list", "GET"),
            scope("h", "/api/*", ""),
            scope("h", "/", ""),
            scope("", "", ""),
        ] {
            let conditions = one.conditions().unwrap();
            let (back, rest) = RuleScope::of(&conditions);
            assert_eq!((&back, rest.len()), (&one, 0), "{conditions:?}");
        }
    }

    #[test]
    fn conditions_that_spell_no_path_stay_conditions() {
        let odd = json!([{"type": "regex", "point": ["path", 1], "value": "^a"}, {"type": "equal", "point": ["method"], "value": "GET"}]);
        let (scope, rest) = RuleScope::of(odd.as_array().unwrap());
        assert_eq!((scope.method.as_str(), scope.path.as_str(), rest.len()), ("GET", "", 1));
        assert_eq!(of_row(&rest[0]), odd[0]);
        // A later segment needs those before it; one that must be absent does not.
        let open = |last: &str| {
            let last = json!({"type": last, "point": ["path", 2], "value": "list"});
            let api = json!({"type": "equal", "point": ["path", 0], "value": "api"});
            RuleScope::of(&[api, last]).0.path
        };
        assert_eq!((open("equal").as_str(), open("absent").as_str()), ("/api/*/list/**", ""));
        let absent = json!({"type": "absent", "point": ["header", "X-A"]});
        assert_eq!(of_row(&row(&absent)), absent);
        let in_point = json!({"type": "equal", "point": ["proto", "1.1"]});
        assert_eq!(of_row(&row(&in_point))["value"], "1.1");
    }

    #[test]
    fn globs_of_hosts_become_patterns() {
        let conditions = scope("*.Example.com", "", "").conditions().unwrap();
        assert_eq!(
            conditions[0],
            json!({"type": "regex", "point": ["header", "HOST"], "value": "^.*[.]example[.]com$"})
        );
        let regex = regex::Regex::new(&glob("a.b+c]d\\^e?*")).unwrap();
        assert!(regex.is_match("a.b+c]d\\^eXyz") && !regex.is_match("aXb+c]d\\^eX"));
    }

    #[test]
    fn hosts_and_methods_that_no_request_has_are_rejected() {
        for host in ["https://shop.example/x", "shop.example/x", "a.example, b.example", "a b", "::1", "user@h"] {
            assert_eq!(scope(host, "", "").conditions(), Err(ScopeError::Host), "{host}");
        }
        for host in ["shop.example:8443", "[::1]:80", "[2001:db8::1]", "10.0.0.7", "b\u{fc}cher.example", "*.a?", "a_b"]
        {
            assert!(scope(host, "", "").conditions().is_ok(), "{host}");
        }
        for method in ["GET, POST", "GET POST", "GET|POST("] {
            assert_eq!(scope("", "", method).conditions(), Err(ScopeError::Method), "{method}");
        }
        assert!(scope("", "", "m-search").conditions().is_ok());
        assert_eq!((ScopeError::Host.field(), ScopeError::NoSlash.field()), ("host", "path"));
    }

    #[test]
    fn invalid_paths_are_rejected() {
        for (wrong, error) in [
            ("api", ScopeError::NoSlash),
            ("/a//b", ScopeError::EmptySegment),
            ("/a?b=1", ScopeError::Query),
            ("/**/a/b", ScopeError::MisplacedWildcard),
        ] {
            assert_eq!(path(wrong), Err(error), "{wrong}");
        }
    }

    #[test]
    fn places_are_described() {
        assert_eq!(scope("", "", "").describe(), "All requests");
        assert_eq!(scope("h", "/a", "GET").describe(), "GET h/a");
        assert_eq!(scope("", "/a", "").describe(), "/a");
        assert_eq!(scope("", "", "GET").describe(), "GET *");
    }
}
