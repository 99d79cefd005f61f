//! Text with placeholders, and how their values are escaped.

/// Variables that bodies and header values may use.
const VARIABLES: &[(&str, Variable)] = &[
    ("request_id", Variable::RequestId),
    ("application", Variable::Application),
    ("host", Variable::Host),
    ("status", Variable::Status),
];

/// What replaces a placeholder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    RequestId,
    Application,
    Host,
    Status,
}

/// Where a value is put, which decides how it is escaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::reply) enum Context {
    /// A string of a JSON document.
    Json,
    /// Text or an attribute value, quoted or not, of HTML or XML.
    Markup,
    /// Plain text.
    Text,
    /// The value of a header field.
    Header,
}

impl Context {
    /// Where placeholders are in a body of this `content-type`.
    pub fn of_type(content_type: &str) -> Self {
        let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            json if json.ends_with("/json") || json.ends_with("+json") => Self::Json,
            "text/plain" | "text/csv" => Self::Text,
            // For other types the stricter escaping is the safe one: browsers may take them for markup.
            _ => Self::Markup,
        }
    }

    fn escaped(self, text: &str) -> String {
        match self {
            Self::Json => json_escaped(text),
            Self::Markup => markup_escaped(text),
            Self::Text => text.chars().filter(|c| !c.is_control()).collect(),
            Self::Header => text.chars().filter(char::is_ascii_graphic).collect(),
        }
    }
}

/// Values of the variables for one request. Clients choose the id and the host.
#[derive(Clone, Copy, Debug)]
pub(in crate::reply) struct Values<'v> {
    /// Id of the request.
    pub request_id: &'v str,
    /// Application id.
    pub application: i64,
    /// Host without port; empty unless it has the form of a host.
    pub host: &'v str,
    /// Status of the reply.
    pub status: u16,
}

/// A validated text: pieces, each with the variable that follows it, and the rest.
#[derive(Clone, Debug, Default)]
pub(in crate::reply) struct TextTemplate {
    pieces: Vec<(String, Variable)>,
    rest: String,
}

impl TextTemplate {
    /// Reads `source`. Errors say which variables exist.
    pub fn parse(source: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = source;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return Err("`${` without `}`".into());
            };
            let Some((_, variable)) = VARIABLES.iter().find(|(known, _)| *known == name) else {
                let known: Vec<String> = VARIABLES.iter().map(|(known, _)| format!("`${{{known}}}`")).collect();
                let name: String = name.chars().take(40).collect();
                return Err(format!("unknown variable `${{{name}}}`; known are {}", known.join(", ")));
            };
            pieces.push((before.to_owned(), *variable));
            rest = after;
        }
        Ok(Self { pieces, rest: rest.to_owned() })
    }

    /// How many placeholders it has.
    pub fn placeholders(&self) -> usize {
        self.pieces.len()
    }

    /// The text with `values`, escaped for `context`.
    pub fn fill(&self, values: &Values<'_>, context: Context) -> String {
        let mut out = String::with_capacity(self.rest.len());
        for (before, variable) in &self.pieces {
            out.push_str(before);
            match variable {
                Variable::RequestId => out.push_str(&context.escaped(values.request_id)),
                Variable::Host => out.push_str(&context.escaped(values.host)),
                Variable::Application => out.push_str(&values.application.to_string()),
                Variable::Status => out.push_str(&values.status.to_string()),
            }
        }
        out.push_str(&self.rest);
        out
    }
}

/// Everything but letters, digits and `-._:` as character references, so that a value cannot leave an attribute without
/// quotes either. References to control characters are errors in HTML: those are dropped.
fn markup_escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c if c.is_alphanumeric() || "-._:".contains(c) => out.push(c),
            c => write!(out, "&#{};", u32::from(c)).expect("String"),
        }
    }
    out
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_for_where_they_are() {
        let values = Values { request_id: "a\"'<b>&\\\r\nx: y=`/", application: -1, host: "h.example", status: 418 };
        let template = TextTemplate::parse("${status} ${application} ${host} ${request_id}.").unwrap();
        assert_eq!(template.placeholders(), 4);
        for (context, expected) in [
            (Context::Json, r#"a\"'<b>&\\\r\nx: y=`/"#),
            (Context::Markup, "a&quot;&#39;&lt;b&gt;&amp;&#92;x:&#32;y&#61;&#96;&#47;"),
            (Context::Text, "a\"'<b>&\\x: y=`/"),
            (Context::Header, "a\"'<b>&\\x:y=`/"),
        ] {
            assert_eq!(template.fill(&values, context), format!("418 -1 h.example {expected}."), "{context:?}");
        }
    }

    #[test]
    fn types_of_bodies_decide_the_escaping() {
        for (content_type, context) in [
            ("application/json", Context::Json),
            ("application/problem+JSON; charset=utf-8", Context::Json),
            ("Text/Plain", Context::Text),
            ("text/html; charset=utf-8", Context::Markup),
            ("application/xml", Context::Markup),
            ("anything", Context::Markup),
            ("", Context::Markup),
        ] {
            assert_eq!(Context::of_type(content_type), context, "{content_type}");
        }
    }
}
