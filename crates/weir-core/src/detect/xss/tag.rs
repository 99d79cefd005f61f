//! Tags, parsed as leniently as browsers do (WHATWG HTML §13.2.5.6), and rated by what they execute or load.

use super::super::ahead::Ahead;
use super::super::{Match, work};
use super::attribute::{self, Attribute, Attributes};
use super::{hosts, script};
use crate::model::Confidence;

/// Most bytes inspected of one tag.
const MAX_TAG: usize = 2048;
/// Bytes of tags inspected per byte of the text. A tag may begin within the quotes of another, so tags may overlap.
const FUEL_RATIO: usize = 8;
/// Bytes that could be examined while a `<` is looked at.
const TAG_BYTES: usize = 16;
/// Most bytes inspected of the content of an element.
const MAX_CONTENT: usize = 512;
/// Elements that load code or documents into the page, and the attributes with their source.
const LOADS: &[(&[u8], &[&[u8]])] = &[
    (b"object", &[b"data", b"classid", b"codebase"]),
    (b"embed", &[b"src", b"code"]),
    (b"applet", &[b"code", b"archive", b"codebase"]),
    (b"frame", &[b"src"]),
    (b"iframe", &[b"src", b"srcdoc", b"onload"]),
    (b"fencedframe", &[b"src"]),
    (b"portal", &[b"src"]),
    (b"base", &[b"href"]),
    (b"bgsound", &[b"src"]),
    (b"layer", &[b"src"]),
    (b"ilayer", &[b"src"]),
    (b"xml", &[b"src"]),
    (b"isindex", &[b"action", b"formaction", b"type"]),
    (b"vmlframe", &[b"src"]),
];

/// The match of highest confidence among the tags of `text`.
pub fn find(text: &[u8], pays: &work::Pays<'_>) -> Option<Match> {
    let mut best: Option<Match> = None;
    let mut fuel = text.len() * FUEL_RATIO + MAX_TAG;
    let mut at = 0;
    let mut page = Page { text, ..Page::default() };
    while let Some(offset) = memchr::memchr(b'<', &text[at..]) {
        let start = at + offset;
        at = start + 1;
        work::count(offset + TAG_BYTES);
        if !pays() {
            break;
        }
        let Some((confidence, len)) = classify(&mut page, start) else { continue };
        if confidence.is_some_and(|c| best.is_none_or(|b| c > b.confidence)) {
            best = confidence.map(|confidence| Match { confidence, start, end: start + len });
        }
        if confidence == Some(Confidence::High) {
            return best;
        }
        if len > fuel {
            at = start + len;
        } else {
            fuel -= len;
        }
    }
    best
}

/// The text that the tags are in, and what was found out about it.
#[derive(Default)]
struct Page<'t> {
    text: &'t [u8],
    /// Whether it names the namespace of XHTML or SVG, in which the elements of a prefix may be those of a page.
    names_space: Option<bool>,
    /// The next `</`, and the next byte that code has.
    closing: Ahead,
    code: Ahead,
}

impl Page<'_> {
    /// Whether the text may declare a prefix for elements of a page.
    fn names_space(&mut self) -> bool {
        let text = self.text;
        *self.names_space.get_or_insert_with(|| {
            work::count(text.len());
            [&b"1999/xhtml"[..], b"2000/svg"].iter().any(|space| memchr::memmem::find(text, space).is_some())
        })
    }

    /// Whether script follows the `<script>` that ends at `at`, rather than the rest of a sentence about the tag.
    fn has_script(&mut self, at: usize, whole: bool) -> bool {
        let text = self.text;
        let end = (at + MAX_CONTENT).min(text.len());
        let close = self.closing.next(text, b"</", at, end).unwrap_or(end);
        let codes = |b: &u8| matches!(b, b'(' | b'=' | b'[' | b';' | b'$');
        let code = self.code.next_of(text, 1, at, close, |text| text.iter().position(codes)).is_some();
        let blanks = text[at..close].iter().take_while(|b| b.is_ascii_whitespace()).count();
        work::count(blanks);
        let first = text[at..close].get(blanks);
        let closed = text[close..end].get(2..8).is_some_and(|name| name.eq_ignore_ascii_case(b"script"));
        let mention = matches!(first, Some(b'`' | b'\'' | b'"' | b',' | b')' | b'.'));
        (closed && first.is_some()) || (whole && code && !mention)
    }
}

/// The confidence that the tag of `page` at `start` executes script, and its length; `None` if no tag begins there.
fn classify(page: &mut Page<'_>, start: usize) -> Option<(Option<Confidence>, usize)> {
    let text = &page.text[start..];
    let window = &text[..text.len().min(MAX_TAG)];
    let mut at = 1;
    while at < 8 && matches!(window.get(at), Some(0..=b' ' | b'/' | b'?' | b'!' | b'\\' | b'%' | 0x7f)) {
        at += 1;
    }
    if !window.get(at)?.is_ascii_alphabetic() {
        return None;
    }
    let lead = &window[1..at];
    let letters = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_');
    let name_end = at + window[at..].iter().take_while(letters).count();
    let name = window[at..name_end].to_ascii_lowercase();
    let mut local = name.rsplit(|&b| b == b':').next().unwrap_or_default();
    let mut traits = TagTraits { opened: lead.is_empty() || lead == b"\0", ..TagTraits::default() };
    let mut attributes = Attributes { text: window, at: name_end, in_tag: true };
    for attribute in &mut attributes {
        traits.add(local, &attribute);
    }
    // `<bpmn:script>` is no element of a page, unless its prefix is declared for XHTML or SVG.
    let prefix = name.strip_suffix(local).and_then(|before| before.strip_suffix(b":"));
    let foreign = prefix.is_some_and(|prefix| !matches!(prefix, b"" | b"svg" | b"html" | b"xhtml"));
    if foreign && local == b"script" && !traits.source && !page.names_space() {
        local = b"";
    }
    let end = attributes.at;
    if traits.runs || traits.frame && !(traits.sized && window[..end].last() == Some(&b'>')) {
        return Some((Some(Confidence::High), end));
    }
    let whole = window[..end].last() == Some(&b'>');
    let by_element = element(local, lead.contains(&b'/'), &traits, page, (start + end, whole));
    Some((by_element.max(traits.handler.then_some(Confidence::Low)), end))
}

/// The confidence that follows from the kind of element, whose tag ends at `end` in `page` and is `whole` or cut off.
fn element(
    local: &[u8],
    closing: bool,
    traits: &TagTraits,
    page: &mut Page<'_>,
    (end, whole): (usize, bool),
) -> Option<Confidence> {
    let sure = |yes: bool| Some(if yes { Confidence::High } else { Confidence::Low });
    match local {
        b"script" if closing => Some(Confidence::Medium),
        // A block of data, which no browser executes.
        b"script" if traits.data == Some(true) => Some(Confidence::Low),
        b"script" if traits.source || page.has_script(end, whole) => Some(Confidence::High),
        b"script" => Some(Confidence::Medium),
        b"style" if !closing => sure(style_runs(&page.text[end..(end + MAX_CONTENT).min(page.text.len())])),
        b"meta" => sure(traits.http_equiv && !(whole && traits.refreshes && traits.stays)),
        b"link" => sure(traits.sheet && traits.foreign && !traits.fonts),
        b"import" => sure(traits.implementation),
        b"xml-stylesheet" => sure(traits.source && !traits.beside),
        b"form" if traits.source => Some(Confidence::Low),
        b"iframe" | b"object" | b"embed" | b"applet" | b"base" | b"frameset" if !closing => Some(Confidence::Low),
        _ => None,
    }
}

/// Whether a style sheet loads or executes something.
pub fn style_runs(css: &[u8]) -> bool {
    let squeezed = without_comments(css);
    work::count(css.len().min(MAX_TAG));
    let any = |what: &[u8], runs: fn(&[u8]) -> bool| {
        memchr::memmem::find_iter(&squeezed, what).any(|at| runs(&squeezed[at + what.len()..]))
    };
    [&b"expression("[..], b"javascript:", b"-moz-binding", b"vbscript:"].iter().any(|what| any(what, |_| true))
        || any(b"url(data:", |kind| !is_picture(kind))
        || any(b"@import", |from| !imports_fonts(from))
        // Mails of Outlook have this one for their shapes.
        || any(b"behavior:url", |from| !from.starts_with(b"(#default#vml)"))
}

/// Whether an import, without white space, is of a style sheet at a well-known host.
fn imports_fonts(from: &[u8]) -> bool {
    let from = from.strip_prefix(b"url(").unwrap_or(from);
    let from = from.strip_prefix(b"'").or(from.strip_prefix(b"\"")).unwrap_or(from);
    hosts::is_sheet(&from[..from.len().min(64)])
}

/// Whether the media type of a `data:` URL is that of a picture or a font, which style sheets contain.
fn is_picture(kind: &[u8]) -> bool {
    [&b"image/"[..], b"font/", b"application/font", b"application/x-font", b"application/vnd.ms-fontobject"]
        .iter()
        .any(|picture| kind.starts_with(picture))
}

/// Lower case, without white space, backslashes and comments.
fn without_comments(css: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(css.len().min(MAX_TAG));
    let mut rest = &css[..css.len().min(MAX_TAG)];
    while let Some((&b, after)) = rest.split_first() {
        if b == b'/' && after.first() == Some(&b'*') {
            rest = memchr::memmem::find(&after[1..], b"*/").map_or(&[][..], |close| &after[close + 3..]);
            continue;
        }
        if b > b' ' && b != b'\\' {
            out.push(b.to_ascii_lowercase());
        }
        rest = after;
    }
    out
}

/// Whether a frame's source is a document on a named host over TLS, or over whatever the page came by.
fn is_embed(url: &[u8]) -> bool {
    const SCHEME: &[u8] = b"https:";
    let secure = url.get(..SCHEME.len()).is_some_and(|scheme| scheme.eq_ignore_ascii_case(SCHEME));
    let rest = if secure { &url[SCHEME.len()..] } else { url };
    rest.strip_prefix(b"//").is_some_and(|rest| rest.first().is_some_and(u8::is_ascii_alphanumeric))
        && rest.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&()*+,;=%".contains(b))
}

/// What the attributes of a tag do.
#[derive(Default)]
struct TagTraits {
    /// Whether the name follows the `<` directly, so that the element is created.
    opened: bool,
    /// Whether an attribute executes script.
    runs: bool,
    /// Whether there is an event handler.
    handler: bool,
    /// Whether an attribute refers to a URL.
    source: bool,
    /// Whether an attribute refers to another site.
    foreign: bool,
    /// Whether a link leads to a well-known host of style sheets.
    fonts: bool,
    http_equiv: bool,
    /// Whether a page loads itself or another one anew, and whether it stays on its site by that.
    refreshes: bool,
    stays: bool,
    /// Whether a reference is to a file beside the document.
    beside: bool,
    /// Whether a link refers to a style sheet or an import.
    sheet: bool,
    /// Whether an import names the behaviour that implements its elements, as old browsers load it.
    implementation: bool,
    /// Whether the first `type` is that of a block of data, if there is one. Browsers ignore further ones.
    data: Option<bool>,
    /// Whether a frame shows a document of another site over TLS, as embedded players and maps do.
    frame: bool,
    /// Whether there are the attributes that markup of embedded players has, or its host is one of them. A frame with both executes nothing in the page.
    sized: bool,
}

/// Attributes that the markup of embedded players, maps and forms has, and that attack probes leave out.
const EMBED: &[&[u8]] = &[b"width", b"height", b"allow", b"allowfullscreen", b"loading", b"title", b"frameborder"];

/// Types of `<script>` that hold data, and that neither browsers nor the libraries of a page execute: JSON, texts, and templates
/// in HTML. A browser executes only the types of JavaScript and modules (WHATWG HTML §4.12.1); a library may execute its own,
/// such as `text/babel`.
const DATA: &[&[u8]] = &[
    b"application/json",
    b"application/ld+json",
    b"text/html",
    b"text/plain",
    b"text/template",
    b"text/x-template",
    b"text/x-handlebars",
    b"text/x-handlebars-template",
    b"x-shader/x-vertex",
    b"x-shader/x-fragment",
];

/// Values of `http-equiv` that documents have and that neither load nor change anything. Odd character sets are a signature.
const PLAIN_EQUIV: &[&[u8]] = &[b"content-type", b"x-ua-compatible", b"content-language", b"cache-control", b"expires"];

/// Whether a URL leads to another site, or holds its document itself.
fn is_foreign(url: &[u8]) -> bool {
    let start = &url[..url.len().min(64)];
    start.contains(&b':') || start.contains(&b'\\') || start.trim_ascii_start().starts_with(b"//")
}

/// Whether a reference is relative and plain, so that it leads to the same site: `0; url=next.html`, `doc.xsl`.
fn is_relative(reference: &[u8]) -> bool {
    const MAX_REFERENCE: usize = 256;
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b" ;=._/-".contains(b);
    reference.len() <= MAX_REFERENCE
        && !reference.is_empty()
        && reference.iter().all(plain)
        && memchr::memmem::find(reference, b"//").is_none()
}

impl TagTraits {
    fn add(&mut self, element: &[u8], attribute: &Attribute<'_>) {
        let is = |name: &[u8]| attribute.name.eq_ignore_ascii_case(name);
        let filled = !attribute.value.is_empty();
        self.implementation |= is(b"implementation");
        if is(b"type") {
            let kind = attribute.value.trim_ascii();
            self.data.get_or_insert(DATA.iter().any(|data| kind.eq_ignore_ascii_case(data)));
        }
        self.http_equiv |= is(b"http-equiv") && !PLAIN_EQUIV.iter().any(|v| attribute.value.eq_ignore_ascii_case(v));
        self.refreshes |= is(b"http-equiv") && attribute.value.eq_ignore_ascii_case(b"refresh");
        self.stays |= is(b"content") && is_relative(attribute.value);
        self.beside |= is(b"href") && is_relative(attribute.value);
        self.sheet |= is(b"rel") && {
            let rel = attribute.value.to_ascii_lowercase();
            [&b"stylesheet"[..], b"import"].iter().any(|r| memchr::memmem::find(&rel, r).is_some())
        };
        self.source |= filled && (is(b"src") || is(b"href") || is(b"xlink:href") || is(b"action"));
        self.foreign |= (is(b"href") || is(b"src")) && is_foreign(attribute.value);
        self.fonts |= is(b"href") && hosts::is_sheet(attribute.value);
        self.handler |= attribute::is_handler(attribute.name);
        let loads = || self.opened && LOADS.iter().any(|(e, names)| *e == element && names.iter().any(|n| is(n)));
        let embeds = self.opened && element == b"iframe" && is(b"src") && is_embed(attribute.value);
        self.frame |= embeds;
        self.sized |= EMBED.iter().any(|name| is(name)) || embeds && hosts::is_player(attribute.value);
        self.runs |= filled
            && !embeds
            && (attribute::handles(attribute)
                || script::is_script_url(attribute.value)
                || (is(b"style") && style_runs(attribute.value))
                || is(b"srcdoc")
                || loads());
    }
}
