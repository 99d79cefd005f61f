//! Rules of type `block_reply`: the reply for a part of the requests.

use super::template::{Context, TextTemplate, Values};
use super::{MediaType, ReplyTemplate, bad_header};
use crate::doc::FieldReader;
use crate::error::PolicyError;
use serde_json::Value;

/// Longest body of a rule, in bytes: with its headers it fits what every gateway takes of a node, a frame of HAProxy
/// (16 KiB) and the token for nginx (24 KiB in base64).
pub const MAX_RULE_BODY: usize = 10 << 10;
/// Header fields of a rule.
const MAX_HEADERS: usize = 16;
/// Bytes of names and values of all header fields of a rule.
const MAX_HEADER_BYTES: usize = 2 << 10;
/// Placeholders of a body or a header value: the client chooses the length of what replaces them.
const MAX_PLACEHOLDERS: usize = 8;
/// Statuses that send the client to another address.
const REDIRECTS: &[u64] = &[302, 303, 307];
/// Header fields that a rule may not set, and why.
const RESERVED: &[(&str, &str)] = &[
    ("content-type", "follows from the body: use `body_json`, `body_html` or `body_text`"),
    ("set-cookie", "would change the session of the application"),
];
/// Header fields of rules that do not set them: a block is for one request, and no browser guesses its type.
const USUAL: &[(&str, &str)] = &[("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
/// Content security policy of HTML bodies of rules that do not set one: no script, no form, no frame around it.
const HTML_CSP: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data: https:; font-src 'self' data: https:; \
                        form-action 'none'; frame-ancestors 'none'; base-uri 'none'";

/// Reads the parameters of a `block_reply` rule; `None` if there are mistakes, which are recorded. Script that browsers will
/// not run is added to `notices`.
pub(crate) fn read(fields: &mut FieldReader<'_, '_>, notices: &mut Vec<PolicyError>) -> Option<ReplyTemplate> {
    let before = fields.mistakes();
    let headers = headers(fields);
    let status = status(fields, headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("location")));
    let bodies = [
        body(fields, "body_json", MediaType::Json, status),
        body(fields, "body_text", MediaType::Text, status),
        body(fields, "body_html", MediaType::Html, status),
    ];
    let bodies: Vec<_> = bodies.into_iter().flatten().collect();
    if bodies.is_empty() && fields.mistakes() == before {
        fields.error("", "`body_json`, `body_html` or `body_text` is missing: what the blocked client gets");
    }
    let html = bodies.iter().any(|(media, _)| *media == MediaType::Html);
    let own_csp = headers.iter().any(|(name, _)| name == "content-security-policy");
    let script = fields.get("body_html").and_then(Value::as_str).is_some_and(has_script);
    if script && !own_csp {
        notices.push(fields.notice(
            "body_html has script, which browsers do not run under the default content security policy: a header \
             content-security-policy replaces it. Script of a block page acts with the rights of the application",
        ));
    }
    let headers = with_usual(headers, html);
    (fields.mistakes() == before).then_some(ReplyTemplate { status, headers, typed: None, bodies })
}

/// The status: an error, or a redirect that says where to. Anything else would be taken for a success.
fn status(fields: &mut FieldReader<'_, '_>, located: bool) -> u16 {
    let expected = "a status from 400 to 599, or 302, 303 or 307 with a header `location`";
    let status = fields.read("status", expected, |value| {
        value.as_u64().filter(|code| (400..=599).contains(code) || REDIRECTS.contains(code))
    });
    if status.is_some_and(|code| code < 400) && !located {
        fields.error("headers", "`location` is missing: a redirect says where to");
    }
    status.map_or(super::DEFAULT_STATUS, |code| code as u16)
}

fn body(
    fields: &mut FieldReader<'_, '_>,
    key: &'static str,
    media: MediaType,
    status: u16,
) -> Option<(MediaType, TextTemplate)> {
    let source = fields.text(key)?;
    if source.trim().is_empty() {
        fields.error(key, "is empty: leave it out, or say what the client gets");
        return None;
    }
    if source.len() > MAX_RULE_BODY {
        fields.error(
            key,
            format!("{} bytes are more than {MAX_RULE_BODY}, which every gateway can pass on", source.len()),
        );
        return None;
    }
    let template = parse(fields, key, source)?;
    if media == MediaType::Json {
        let sample = Values { request_id: "id", application: 1, host: "shop.example", status };
        if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(&template.fill(&sample, Context::Json)) {
            fields.error(key, format!("is not valid JSON with values in the place of variables: {error}"));
            return None;
        }
    }
    Some((media, template))
}

fn parse(fields: &mut FieldReader<'_, '_>, key: &str, source: &str) -> Option<TextTemplate> {
    let template = TextTemplate::parse(source).map_err(|message| fields.error(key, message)).ok()?;
    if template.placeholders() > MAX_PLACEHOLDERS {
        fields.error(key, format!("{} variables are more than {MAX_PLACEHOLDERS}", template.placeholders()));
        return None;
    }
    Some(template)
}

fn headers(fields: &mut FieldReader<'_, '_>) -> Vec<(String, TextTemplate)> {
    let Some(given) = fields.read("headers", "names and values, such as `{retry-after: '60'}`", Value::as_object)
    else {
        return Vec::new();
    };
    if given.len() > MAX_HEADERS {
        fields.error("headers", format!("{} header fields are more than {MAX_HEADERS}", given.len()));
        return Vec::new();
    }
    let mut out: Vec<(String, TextTemplate)> = Vec::new();
    let mut bytes = 0;
    for (name, value) in given {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        bytes += name.len() + value.len();
        let reserved = RESERVED.iter().find(|(reserved, _)| name.eq_ignore_ascii_case(reserved));
        let twice = out.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
        let mistake = match (bad_header(name, &value), reserved) {
            (Some(message), _) => Some(message),
            (None, Some((name, why))) => Some(format!("`{name}` {why}")),
            (None, None) if twice => Some(format!("`{name}` is there twice")),
            (None, None) => None,
        };
        match mistake {
            Some(message) => fields.error("headers", message),
            None => out.extend(parse(fields, "headers", &value).map(|value| (name.to_ascii_lowercase(), value))),
        }
    }
    if bytes > MAX_HEADER_BYTES {
        fields
            .error("headers", format!("names and values have {bytes} bytes; at most {MAX_HEADER_BYTES} are possible"));
    }
    out
}

/// Whether browsers would find script elements in `html`.
fn has_script(html: &str) -> bool {
    html.as_bytes().windows(b"<script".len()).any(|seen| seen.eq_ignore_ascii_case(b"<script"))
}

fn with_usual(mut headers: Vec<(String, TextTemplate)>, html: bool) -> Vec<(String, TextTemplate)> {
    let csp = html.then_some(("content-security-policy", HTML_CSP));
    for (name, value) in USUAL.iter().copied().chain(csp) {
        if !headers.iter().any(|(known, _)| known == name) {
            headers.push((name.into(), TextTemplate::parse(value).unwrap_or_default()));
        }
    }
    headers
}

#[cfg(test)]
mod tests {
    use crate::{Policy, PolicyDoc, Settings};

    #[test]
    fn mistakes_have_a_place_and_a_fix() {
        let long = format!("body_text: '{}'", "x".repeat(super::MAX_RULE_BODY + 1));
        let many = format!("body_text: '{}'", "${host}".repeat(9));
        for (rule, at, message) in [
            ("status: 403", "", "`body_json`, `body_html` or `body_text` is missing"),
            ("status: 200, body_text: a", ".status", "a status from 400 to 599, or 302, 303 or 307"),
            ("status: 204, body_text: a", ".status", "a status from 400 to 599"),
            ("status: 302, body_text: a", ".headers", "`location` is missing"),
            ("body_html: ' '", ".body_html", "is empty"),
            (long.as_str(), ".body_text", "10241 bytes are more than 10240"),
            (many.as_str(), ".body_text", "9 variables are more than 8"),
            ("body_json: '{\"a\": ${request_id}}'", ".body_json", "is not valid JSON"),
            ("body_html: '${attack}'", ".body_html", "unknown variable `${attack}`; known are `${request_id}`"),
            ("body_text: a, headers: {content-type: text/css}", ".headers", "follows from the body"),
            ("body_text: a, headers: {Set-Cookie: a=b}", ".headers", "would change the session"),
            ("body_text: a, headers: {Connection: close}", ".headers", "frames the answer"),
            ("body_text: a, headers: {A: b, a: c}", ".headers", "is there twice"),
            ("body_text: a, headers: [a]", ".headers", "expected names and values"),
            ("body_txt: a, body_html: b", ".body_txt", "did you mean `body_text`?"),
        ] {
            let doc = PolicyDoc::parse("p.yaml", &format!("rules:\n- {{type: block_reply, {rule}}}\n")).unwrap();
            let errors = Policy::compile(&Settings::default(), Some(&doc)).unwrap_err();
            let [error] = &errors[..] else { panic!("{rule}: {errors:?}") };
            assert_eq!((error.at.clone(), error.line), (format!("rules[0]{at}"), 2), "{rule}");
            assert!(error.message.contains(message), "{rule}: {error}");
        }
    }

    #[test]
    fn script_without_a_policy_of_its_own_is_noticed() {
        let notices = |rule: &str| {
            let doc = PolicyDoc::parse("p.yaml", &format!("rules:\n- {{type: block_reply, {rule}}}\n")).unwrap();
            Policy::compile(&Settings::default(), Some(&doc)).unwrap().notices().len()
        };
        assert_eq!(notices("body_html: '<b>no</b>'"), 0);
        assert_eq!(notices("body_html: '<SCRIPT>1</script>'"), 1);
        let own = "body_html: '<script>1</script>', headers: {Content-Security-Policy: \"script-src 'unsafe-inline'\"}";
        assert_eq!(notices(own), 0);
    }
}
