//! The rule type of block pages, for forms: header fields as lines, and the page as browsers show it.

use super::rule_types::{BLOCKING, ParameterType, RuleType, kind, parameter};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

/// Content security policy of a preview: no script, no request elsewhere, whatever the page says, in an opaque origin.
const CSP: &str = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; form-action 'none'; \
                   base-uri 'none'; frame-ancestors 'self'";

const HTML: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Request blocked</title>
<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 34em; margin: 15vh auto 0; padding: 0 1.5em; color: #222; }
  code { background: #f2f2f2; padding: .1em .3em; }
</style>
<h1>Request blocked</h1>
<p>The request to ${host} was blocked because it looks like an attack.</p>
<p>If you think this is a mistake, tell us this number: <code>${request_id}</code></p>
</html>"#;

const JSON: &str = r#"{"error": {"code": ${status}, "message": "request blocked", "request_id": "${request_id}"}}"#;

/// What a blocked client gets.
pub const BLOCK_REPLY: RuleType = kind(
    BLOCKING,
    (
        "block_reply",
        "Block page",
        "ban",
        "What blocked clients get: status, header fields, and a page for browsers or JSON for programs.",
    ),
    None,
    &[
        parameter(
            "status",
            "Status",
            ParameterType::Number,
            "400 to 599; 302, 303 or 307 with a header location.",
            "403",
        ),
        parameter(
            "headers",
            "Header fields",
            ParameterType::Headers,
            "One per line, such as retry-after: 60. cache-control, x-content-type-options and, for HTML, a \
             content-security-policy without script are sent unless you set them.",
            "",
        ),
        parameter(
            "body_html",
            "HTML",
            ParameterType::Page,
            "For clients that prefer text/html. ${request_id}, ${host}, ${application} and ${status} are replaced and escaped. \
             At most 10,240 bytes.",
            HTML,
        ),
        parameter("body_json", "JSON", ParameterType::Page, "For all other clients.", JSON),
        parameter("body_text", "Plain text", ParameterType::Page, "For clients that prefer text/plain.", ""),
    ],
);

/// Header fields of a rule as lines.
pub fn header_lines(value: &Value) -> String {
    let Some(fields) = value.as_object() else { return value.to_string() };
    let line = |(name, value): (&String, &Value)| match value {
        Value::String(text) => format!("{name}: {text}"),
        other => format!("{name}: {other}"),
    };
    fields.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Lines as header fields of a rule. Lines without a colon stay text, which validation of the rule reports.
pub fn header_fields(text: &str) -> Value {
    let mut fields = Map::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let Some((name, value)) = line.split_once(':') else { return Value::from(text) };
        fields.insert(name.trim().to_owned(), Value::from(value.trim()));
    }
    Value::Object(fields)
}

/// The page that `rule` sends to a browser, or its mistakes in words.
pub fn preview(rule: &Map<String, Value>) -> Response {
    let (content_type, body) = match weir_policy::reply_preview(rule, "text/html, */*;q=0.5") {
        Ok(reply) => {
            let html =
                reply.headers.iter().any(|(name, value)| name == "content-type" && value.starts_with("text/html"));
            (if html { "text/html; charset=utf-8" } else { "text/plain; charset=utf-8" }, reply.body)
        }
        Err(errors) => {
            let lines: Vec<String> =
                errors.iter().map(|error| format!("{}: {}", short(&error.at), error.message)).collect();
            ("text/plain; charset=utf-8", lines.join("\n").into_bytes())
        }
    };
    let mut response = ([(header::CONTENT_TYPE, content_type)], body).into_response();
    for (name, value) in [(header::CONTENT_SECURITY_POLICY, CSP), (header::X_FRAME_OPTIONS, "SAMEORIGIN")] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// `rules[0].status` is `status`.
fn short(at: &str) -> &str {
    at.rsplit('.').next().filter(|last| !last.starts_with("rules[")).unwrap_or("rule")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn header_fields_are_lines_and_back() {
        let fields = header_fields("Retry-After: 60\r\n\n location: https://a.example/?b=c: d\n");
        assert_eq!(fields, json!({"Retry-After": "60", "location": "https://a.example/?b=c: d"}));
        assert_eq!(header_fields(&header_lines(&fields)), fields);
        assert_eq!(header_lines(&json!({"retry-after": 60})), "retry-after: 60");
        assert_eq!(header_fields("no colon"), json!("no colon"));
    }
}
