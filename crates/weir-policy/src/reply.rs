//! The reply to a blocked client. It reveals nothing about the findings.

use super::error::PolicyError;
use weir_core::model::{DecodedHead, Message};

/// Body of the default reply, byte for byte.
pub const DEFAULT_BODY: &str = r#"{"error": {"code": 403, "message": "request blocked"}}"#;
/// Default status.
pub const DEFAULT_STATUS: u16 = 403;
/// Longest body, in bytes.
pub const MAX_BODY: usize = 256 << 10;
/// The one variable that bodies and header values may use.
const REQUEST_ID: &str = "request_id";
/// Header fields that frame the response; only the gateway sets them.
const FRAMING: &[&str] = &["content-length", "transfer-encoding", "connection", "upgrade", "keep-alive", "trailer"];

/// The configured reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplySettings {
    /// Status, 200 to 599.
    pub status: u16,
    /// Header lines besides content-type. Values may use `${request_id}`.
    pub headers: Vec<(String, String)>,
    /// Body for clients that do not ask for HTML. May use `${request_id}`.
    pub json: String,
    /// Body for clients that prefer `text/html`; `None` sends them the JSON body too. May use `${request_id}`.
    pub html: Option<String>,
}

impl Default for ReplySettings {
    fn default() -> Self {
        Self { status: DEFAULT_STATUS, headers: Vec::new(), json: DEFAULT_BODY.into(), html: None }
    }
}

/// The reply sent to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Status.
    pub status: u16,
    /// Header lines.
    pub headers: Vec<(String, String)>,
    /// Body bytes.
    pub body: Vec<u8>,
}

/// A validated reply with placeholders.
#[derive(Clone, Debug)]
pub(super) struct ReplyTemplate {
    status: u16,
    headers: Vec<(String, TextTemplate)>,
    typed: bool,
    json: TextTemplate,
    html: Option<TextTemplate>,
}

/// Text with placeholders for the request id: the pieces around them.
#[derive(Clone, Debug)]
struct TextTemplate(Vec<String>);

impl ReplyTemplate {
    /// Checks `settings`; reports mistakes under the key `at`.
    pub fn compile(settings: &ReplySettings, at: &str, errors: &mut Vec<PolicyError>) -> Self {
        let mut report = |key: &str, message: String| errors.push(PolicyError::setting(format!("{at}.{key}"), message));
        if !(200..=599).contains(&settings.status) {
            report("status", format!("{} is not a status from 200 to 599", settings.status));
        }
        let mut text = |key: &str, source: &str| {
            if source.len() > MAX_BODY {
                report(key, format!("{} bytes are more than {MAX_BODY}", source.len()));
            }
            TextTemplate::parse(source).unwrap_or_else(|message| {
                report(key, message);
                TextTemplate(Vec::new())
            })
        };
        // The default body names the status that is sent.
        let own = settings.json != DEFAULT_BODY;
        let code = settings.status.to_string();
        let json = text("json", &if own { settings.json.clone() } else { DEFAULT_BODY.replace("403", &code) });
        let html = settings.html.as_ref().map(|html| text("html", html));
        let headers = settings.headers.iter().map(|(name, value)| (name.clone(), text("headers", value))).collect();
        for (name, value) in &settings.headers {
            if let Some(message) = bad_header(name, value) {
                report("headers", message);
            }
        }
        let typed = settings.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if typed && html.is_some() {
            report("headers", "content-type cannot be set where there are a JSON and an HTML body".into());
        }
        Self { status: settings.status, headers, typed, json, html }
    }

    /// The reply to `message`.
    pub fn render(&self, message: &Message<'_>, request_id: &str) -> Reply {
        let accept = self.html.as_ref().and_then(|_| DecodedHead::header(message, "accept"));
        let html = self.html.as_ref().filter(|_| accept.is_some_and(|accept| prefers_html(&accept)));
        let (body, content_type) = match html {
            Some(html) => (html.fill(&html_escaped(request_id)), "text/html; charset=utf-8"),
            None => (self.json.fill(&json_escaped(request_id)), "application/json"),
        };
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        if !self.typed {
            headers.push(("content-type".into(), content_type.into()));
        }
        let plain: String = request_id.chars().filter(char::is_ascii_graphic).collect();
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.fill(&plain))));
        Reply { status: self.status, headers, body: body.into_bytes() }
    }
}

impl TextTemplate {
    fn parse(source: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = source;
        let mut piece = String::new();
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return Err("`${` without `}`".into());
            };
            if name != REQUEST_ID {
                return Err(format!("unknown variable `${{{name}}}`; there is only `${{{REQUEST_ID}}}`"));
            }
            piece.push_str(before);
            pieces.push(std::mem::take(&mut piece));
            rest = after;
        }
        pieces.push(rest.to_owned());
        Ok(Self(pieces))
    }

    fn fill(&self, id: &str) -> String {
        self.0.join(id)
    }
}

fn bad_header(name: &str, value: &str) -> Option<String> {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    if name.is_empty() || !name.bytes().all(token) {
        return Some(format!("`{name}` is no header name"));
    }
    if FRAMING.iter().any(|framing| framing.eq_ignore_ascii_case(name)) {
        return Some(format!("`{name}` frames the answer and is set by the gateway"));
    }
    (!value.bytes().all(|b| b == b'\t' || (b' '..0x7f).contains(&b)))
        .then(|| format!("the value of `{name}` holds bytes that no header may have"))
}

fn html_escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn json_escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// Whether an Accept header (RFC 9110 §12.5.1) gives `text/html` more weight than `application/json`.
fn prefers_html(accept: &[u8]) -> bool {
    weight(accept, "text", "html") > weight(accept, "application", "json")
}

/// The weight, in thousandths, of a media type: that of the most specific range that covers it.
fn weight(accept: &[u8], kind: &str, subtype: &str) -> u32 {
    let mut best = (0, 0);
    for item in accept.split(|&b| b == b',') {
        let mut parts = item.split(|&b| b == b';').map(<[u8]>::trim_ascii);
        let range = parts.next().unwrap_or_default();
        let slash = range.iter().position(|&b| b == b'/').unwrap_or(range.len());
        let (have_kind, have_subtype) = (&range[..slash], range.get(slash + 1..).unwrap_or_default());
        let specific = match (have_kind, have_subtype) {
            (b"*", b"*") => 1,
            (k, b"*") if k.eq_ignore_ascii_case(kind.as_bytes()) => 2,
            (k, s) if k.eq_ignore_ascii_case(kind.as_bytes()) && s.eq_ignore_ascii_case(subtype.as_bytes()) => 3,
            _ => continue,
        };
        let q = parts.find_map(|p| p.strip_prefix(b"q=").or_else(|| p.strip_prefix(b"Q="))).map_or(1000, quality);
        best = best.max((specific, q));
    }
    best.1
}

/// `0.5` as 500; anything that is not a number counts as 0.
fn quality(text: &[u8]) -> u32 {
    let value = std::str::from_utf8(text).ok().and_then(|t| t.parse::<f32>().ok()).unwrap_or(0.0);
    (value.clamp(0.0, 1.0) * 1000.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::model::Header;

    fn compiled(settings: &ReplySettings) -> Result<ReplyTemplate, Vec<PolicyError>> {
        let mut errors = Vec::new();
        let template = ReplyTemplate::compile(settings, "reply", &mut errors);
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }

    fn accepting(accept: &'static [u8]) -> Message<'static> {
        Message { headers: vec![Header { name: b"Accept", value: accept }], ..Message::default() }
    }

    #[test]
    fn the_default_is_exact() {
        let reply = compiled(&ReplySettings::default()).unwrap().render(&accepting(b"text/html"), "id");
        assert_eq!(reply.status, 403);
        assert_eq!(reply.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(reply.body, br#"{"error": {"code": 403, "message": "request blocked"}}"#);
    }

    #[test]
    fn the_default_body_names_the_status() {
        let settings = ReplySettings { status: 451, ..ReplySettings::default() };
        let reply = compiled(&settings).unwrap().render(&accepting(b"*/*"), "id");
        assert_eq!(reply.body, br#"{"error": {"code": 451, "message": "request blocked"}}"#);
    }

    #[test]
    fn accept_chooses_the_body() {
        let settings = ReplySettings { html: Some("<b>no</b>".into()), ..ReplySettings::default() };
        let template = compiled(&settings).unwrap();
        for (accept, html) in [
            ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
            ("application/json", false),
            ("*/*", false),
            ("text/*;q=0.5", true),
            ("text/html;q=0.4, application/json;q=0.5", false),
            ("text/html;q=0, */*", false),
            ("TEXT/HTML", true),
            ("text/html;q=nan", false),
            (",;,/,*/", false),
            ("", false),
        ] {
            let reply = template.render(&accepting(accept.as_bytes()), "id");
            assert_eq!(reply.body.starts_with(b"<b>"), html, "{accept}");
            assert_eq!(reply.headers[0].1.starts_with("text/html"), html, "{accept}");
        }
    }

    #[test]
    fn the_request_id_is_escaped_for_where_it_stands() {
        let settings = ReplySettings {
            status: 451,
            headers: vec![("X-Request-Id".into(), "id ${request_id}".into())],
            json: r#"{"id":"${request_id}","again":"${request_id}"}"#.into(),
            html: Some("<p title='${request_id}'>".into()),
        };
        let template = compiled(&settings).unwrap();
        let hostile = "a\"'<b>&\\\r\nx: y";
        let json = template.render(&accepting(b"application/json"), hostile);
        let value: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!((value["id"].as_str(), value["again"].as_str()), (Some(hostile), Some(hostile)));
        assert_eq!(json.headers[1], ("X-Request-Id".into(), "id a\"'<b>&\\x:y".into()));
        let html = template.render(&accepting(b"text/html"), "a'><script>");
        assert_eq!(html.body, b"<p title='a&#39;&gt;&lt;script&gt;'>");
        assert_eq!(html.status, 451);
    }

    #[test]
    fn mistakes_are_told_all_at_once() {
        let settings = ReplySettings {
            status: 99,
            headers: vec![("Content-Length".into(), "1".into()), ("x y".into(), "a\r\nb".into())],
            json: "${attack}".into(),
            html: Some("${request_id".into()),
        };
        let errors = compiled(&settings).unwrap_err();
        assert_eq!(errors.len(), 5, "{errors:?}");
        assert!(errors.iter().any(|e| e.to_string() == "reply.status: 99 is not a status from 200 to 599"));
    }
}
