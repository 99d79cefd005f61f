//! Variables of a rule.

use super::super::model::Target;

/// The variables of one rule.
#[derive(Debug, Default)]
pub(super) struct Variables {
    /// Where the rule looks.
    pub targets: Vec<Target>,
    /// What it leaves out.
    pub left_out: Vec<Target>,
    /// Whether it counts values instead of reading them.
    pub counted: bool,
    /// How it differs.
    pub notes: Vec<String>,
}

/// Reads a list such as `ARGS|!ARGS:a|REQUEST_HEADERS:Referer`. The error says what cannot be expressed.
pub(super) fn parse(text: &str) -> Result<Variables, String> {
    let mut variables = Variables::default();
    let parts = text.split('|');
    for part in parts {
        let part = part.trim().trim_matches('\'');
        if let Some(excluded) = part.strip_prefix('!') {
            exclude(excluded, &mut variables);
            continue;
        }
        let (counted, part) = part.strip_prefix('&').map_or((false, part), |part| (true, part));
        variables.counted |= counted;
        let target = target(part)?;
        // JSON and XML bodies are parameters with us: `XML:/*` adds nothing to `ARGS`.
        if !variables.targets.contains(&target) {
            variables.targets.push(target);
        }
    }
    if variables.counted && variables.targets.len() > 1 {
        return Err("it counts values of several places".into());
    }
    Ok(variables)
}

fn exclude(text: &str, variables: &mut Variables) {
    match target(text) {
        Ok(target) if is_named(&target) => variables.left_out.push(target),
        _ => variables.notes.push(format!("`!{text}` is not left out")),
    }
}

fn is_named(target: &Target) -> bool {
    matches!(
        target,
        Target::Args(Some(_))
            | Target::Query(Some(_))
            | Target::Body(Some(_))
            | Target::Cookies(Some(_))
            | Target::Headers(Some(_))
    )
}

/// One variable.
pub(super) fn target(text: &str) -> Result<Target, String> {
    let (name, key) = text.split_once(':').map_or((text, None), |(name, key)| (name, Some(key)));
    if let Some(key) = key.filter(|key| key.starts_with('/') && !name.eq_ignore_ascii_case("xml")) {
        return Err(format!("names of {name} are given as an expression: {key}"));
    }
    let key = key.map(|key| key.trim_matches('\'').to_owned());
    Ok(match name.to_ascii_uppercase().as_str() {
        "ARGS" => Target::Args(key),
        "ARGS_GET" => Target::Query(key),
        "ARGS_POST" => Target::Body(key),
        "ARGS_NAMES" | "ARGS_GET_NAMES" | "ARGS_POST_NAMES" if key.is_none() => Target::ArgNames,
        "REQUEST_COOKIES" => Target::Cookies(key),
        "REQUEST_COOKIES_NAMES" if key.is_none() => Target::CookieNames,
        "REQUEST_HEADERS" => Target::Headers(key),
        "REQUEST_FILENAME" | "REQUEST_BASENAME" => Target::Path,
        "REQUEST_URI" | "REQUEST_URI_RAW" | "REQUEST_LINE" => Target::Uri,
        "QUERY_STRING" => Target::QueryString,
        "REQUEST_METHOD" => Target::Method,
        "REQUEST_BODY" => Target::RawBody,
        "XML" => Target::Body(None),
        "FILES" => Target::FileNames,
        "FILES_TMP_CONTENT" => Target::Files,
        "RESPONSE_BODY" => Target::ResponseBody,
        "REMOTE_ADDR" | "GEO" => return Err("addresses of clients belong in an address list of the policy".into()),
        other => return Err(format!("the variable {other} has no counterpart")),
    })
}
