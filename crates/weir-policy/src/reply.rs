//! The reply to a blocked client. It reveals nothing about the findings.
//!
//! Bodies and header values may have the placeholders `${request_id}`, `${application}`, `${host}` and `${status}`. Their
//! values are escaped for the place where they are put.

mod accept;
mod rule;
mod template;

pub use rule::MAX_RULE_BODY;
pub(super) use rule::read;

use super::error::PolicyError;
use template::{Context, TextTemplate, Values};
use weir_core::model::{DecodedHead, Message};

/// Body of the default reply, byte for byte.
pub const DEFAULT_BODY: &str = r#"{"error": {"code": 403, "message": "request blocked"}}"#;
/// Default status.
pub const DEFAULT_STATUS: u16 = 403;
/// Longest body, in bytes.
pub const MAX_BODY: usize = 256 << 10;
/// Header fields that frame the response; only the gateway sets them.
const FRAMING: &[&str] = &["content-length", "transfer-encoding", "connection", "upgrade", "keep-alive", "trailer"];

/// The configured reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplySettings {
    /// Status, 200 to 599.
    pub status: u16,
    /// Header lines besides content-type. Values may have placeholders.
    pub headers: Vec<(String, String)>,
    /// Body for clients that do not ask for HTML. May have placeholders.
    pub json: String,
    /// Body for clients that prefer `text/html`; `None` sends them the JSON body too. May have placeholders.
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

impl Default for Reply {
    /// The reply where nothing else is set.
    fn default() -> Self {
        Self { status: DEFAULT_STATUS, headers: Vec::new(), body: DEFAULT_BODY.into() }
    }
}

/// What a reply depends on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Blocked<'b, 'a> {
    /// The request.
    pub message: &'b Message<'a>,
    /// Its host without port, as the client sent it.
    pub host: &'b [u8],
    /// Its id.
    pub request_id: &'b str,
    /// Its application.
    pub application: i64,
}

/// A validated reply with placeholders.
#[derive(Clone, Debug)]
pub(super) struct ReplyTemplate {
    status: u16,
    headers: Vec<(String, TextTemplate)>,
    /// The escaping that the content type in `headers` asks for, if there is one.
    typed: Option<Context>,
    /// Bodies; the first one is for clients that prefer none of them.
    bodies: Vec<(MediaType, TextTemplate)>,
}

/// Media types of bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MediaType {
    Json,
    Text,
    Html,
}

impl MediaType {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    fn parts(self) -> (&'static str, &'static str) {
        match self {
            Self::Json => ("application", "json"),
            Self::Text => ("text", "plain"),
            Self::Html => ("text", "html"),
        }
    }

    fn context(self) -> Context {
        match self {
            Self::Json => Context::Json,
            Self::Text => Context::Text,
            Self::Html => Context::Markup,
        }
    }
}

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
                TextTemplate::default()
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
        let mut types = settings.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        let typed = types.next().map(|(_, value)| Context::of_type(value));
        if typed.is_some() && html.is_some() {
            report("headers", "content-type cannot be set where there are a JSON and an HTML body".into());
        }
        let html = html.map(|html| (MediaType::Html, html));
        let bodies = std::iter::once((MediaType::Json, json)).chain(html).collect();
        Self { status: settings.status, headers, typed, bodies }
    }

    /// The reply to a blocked request.
    pub fn render(&self, blocked: &Blocked<'_, '_>) -> Reply {
        let host = std::str::from_utf8(blocked.host).ok().filter(|host| is_host(host)).unwrap_or_default();
        let values =
            Values { request_id: blocked.request_id, application: blocked.application, host, status: self.status };
        let mut headers = Vec::with_capacity(self.headers.len() + 1);
        let body = self.body(blocked.message).map(|(media, body)| {
            if self.typed.is_none() {
                headers.push(("content-type".into(), media.content_type().into()));
            }
            body.fill(&values, self.typed.unwrap_or(media.context()))
        });
        headers.extend(self.headers.iter().map(|(name, value)| (name.clone(), value.fill(&values, Context::Header))));
        Reply { status: self.status, headers, body: body.unwrap_or_default().into_bytes() }
    }

    /// The body that the client prefers; the first one unless another has more weight.
    fn body(&self, message: &Message<'_>) -> Option<(MediaType, &TextTemplate)> {
        let (first, others) = self.bodies.split_first()?;
        let accept = (!others.is_empty()).then(|| DecodedHead::header(message, "accept")).flatten();
        let mut best = first;
        if let Some(accept) = accept {
            let weight = |media: MediaType| accept::weight(&accept, media.parts().0, media.parts().1);
            for other in others {
                best = if weight(other.0) > weight(best.0) { other } else { best };
            }
        }
        Some((best.0, &best.1))
    }
}

/// Whether `host` can be a host name or an address; what a client sends in the place of one is not repeated to it.
fn is_host(host: &str) -> bool {
    host.len() <= 253 && host.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b))
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

#[cfg(test)]
mod tests {
    use super::*;
    use weir_core::model::Header;

    fn compiled(settings: &ReplySettings) -> Result<ReplyTemplate, Vec<PolicyError>> {
        let mut errors = Vec::new();
        let template = ReplyTemplate::compile(settings, "reply", &mut errors);
        if errors.is_empty() { Ok(template) } else { Err(errors) }
    }

    /// The reply to a request with this Accept header and this id.
    fn reply(template: &ReplyTemplate, accept: &str, request_id: &str) -> Reply {
        let headers = vec![Header { name: b"Accept", value: accept.as_bytes() }];
        let message = Message { headers, ..Message::default() };
        template.render(&Blocked { message: &message, host: b"shop.example", request_id, application: 7 })
    }

    #[test]
    fn the_default_is_exact() {
        let got = reply(&compiled(&ReplySettings::default()).unwrap(), "text/html", "id");
        assert_eq!(got.status, 403);
        assert_eq!(got.headers, [("content-type".to_owned(), "application/json".to_owned())]);
        assert_eq!(got.body, br#"{"error": {"code": 403, "message": "request blocked"}}"#);
    }

    #[test]
    fn the_default_body_names_the_status() {
        let settings = ReplySettings { status: 451, ..ReplySettings::default() };
        let got = reply(&compiled(&settings).unwrap(), "*/*", "id");
        assert_eq!(got.body, br#"{"error": {"code": 451, "message": "request blocked"}}"#);
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
            let got = reply(&template, accept, "id");
            assert_eq!(got.body.starts_with(b"<b>"), html, "{accept}");
            assert_eq!(got.headers[0].1.starts_with("text/html"), html, "{accept}");
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
        let json = reply(&template, "application/json", hostile);
        let value: serde_json::Value = serde_json::from_slice(&json.body).unwrap();
        assert_eq!((value["id"].as_str(), value["again"].as_str()), (Some(hostile), Some(hostile)));
        assert_eq!(json.headers[1], ("X-Request-Id".into(), "id a\"'<b>&\\x:y".into()));
        let html = reply(&template, "text/html", "a'><script>");
        assert_eq!(html.body, b"<p title='a&#39;&gt;&lt;script&gt;'>");
        assert_eq!(html.status, 451);
    }

    #[test]
    fn the_escaping_follows_a_content_type_that_is_set() {
        for (content_type, body) in [("text/html", "&lt;b&gt;"), ("text/plain", "<b>"), ("application/json", "<b>")] {
            let headers = vec![("Content-Type".to_owned(), content_type.to_owned())];
            let settings = ReplySettings { headers, json: "${request_id}".into(), ..ReplySettings::default() };
            let got = reply(&compiled(&settings).unwrap(), "*/*", "<b>");
            assert_eq!(got.body, body.as_bytes(), "{content_type}");
        }
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
