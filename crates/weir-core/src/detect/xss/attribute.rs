//! Attributes of a tag, parsed as leniently as browsers do (WHATWG HTML §13.2.5.32), and event handlers outside a tag.

use super::super::{Match, is_document, work};
use super::script;
use crate::model::{Confidence, Lexicon};

/// Most bytes inspected after the name of a handler outside a tag.
const MAX_VALUE: usize = 1024;
/// Shortest and longest name of an event handler, without `on`.
const HANDLER: std::ops::RangeInclusive<usize> = 3..=26;
/// Words that begin with `on` and are not events.
const WORDS: &[&[u8]] = &[
    b"once", b"only", b"online", b"ongoing", b"onion", b"onward", b"onwards", b"onsite", b"onboard", b"onset", b"onyx",
];

/// Events for which browsers take a handler from an attribute, without `on`.
#[rustfmt::skip]
static EVENTS: Lexicon<(), 512> = Lexicon::new(&[(
    (),
    &[
        "abort", "activate", "afterprint", "afterscriptexecute", "afterupdate", "animationcancel", "animationend",
        "animationiteration", "animationstart", "auxclick", "beforeactivate", "beforecopy", "beforecut", "beforedeactivate",
        "beforeeditfocus", "beforeinput", "beforematch", "beforepaste", "beforeprint", "beforescriptexecute",
        "beforetoggle", "beforeunload", "beforeupdate", "beforexrselect", "begin", "blur", "bounce", "cached", "cancel",
        "canplay", "canplaythrough", "cellchange", "change", "checking", "click", "close", "command",
        "contentvisibilityautostatechange", "contextlost", "contextmenu", "contextrestored", "controlselect", "copy",
        "cuechange", "cut", "dataavailable", "datasetchanged", "datasetcomplete", "dblclick", "deactivate", "drag",
        "dragdrop", "dragend", "dragenter", "dragexit", "dragleave", "dragover", "dragstart", "drop", "durationchange",
        "emptied", "end", "ended", "error", "errorupdate", "filterchange", "finish", "focus", "focusin", "focusout",
        "formchange", "formdata", "forminput", "fullscreenchange", "fullscreenerror", "gotpointercapture", "hashchange",
        "help", "input", "invalid", "keydown", "keypress", "keyup", "languagechange", "layoutcomplete", "load",
        "loadeddata", "loadedmetadata", "loadend", "loadstart", "losecapture", "lostpointercapture", "mediacomplete",
        "mediaerror", "message", "messageerror", "mousedown", "mouseenter", "mouseleave", "mousemove", "mouseout",
        "mouseover", "mouseup", "mousewheel", "move", "moveend", "movestart", "mozfullscreenchange", "offline", "online",
        "outofsync", "overscroll", "pagehide", "pagereveal", "pageshow", "pageswap", "paste", "pause", "play", "playing",
        "pointercancel", "pointerdown", "pointerenter", "pointerleave", "pointermove", "pointerout", "pointerover",
        "pointerrawupdate", "pointerup", "popstate", "progress", "propertychange", "ratechange", "readystatechange",
        "rejectionhandled", "repeat", "reset", "resize", "resizeend", "resizestart", "resume", "reverse", "rowdelete",
        "rowenter", "rowexit", "rowinserted", "rowsdelete", "rowsenter", "rowsinserted", "scroll", "scrollend",
        "scrollsnapchange", "scrollsnapchanging", "search", "securitypolicyviolation", "seek", "seeked", "seeking",
        "select", "selectionchange", "selectstart", "show", "slotchange", "stalled", "start", "stop", "storage", "submit",
        "suspend", "syncrestored", "timeerror", "timeupdate", "toggle", "touchcancel", "touchend", "touchmove",
        "touchstart", "trackchange", "transitioncancel", "transitionend", "transitionrun", "transitionstart", "unload",
        "unhandledrejection", "urlflip", "volumechange", "waiting", "webkitanimationend", "webkitanimationiteration",
        "webkitanimationstart", "webkitfullscreenchange", "webkitmouseforcechanged", "webkitmouseforcedown",
        "webkitmouseforceup", "webkitmouseforcewillbegin", "webkitplaybacktargetavailabilitychanged",
        "webkitpresentationmodechanged", "webkittransitionend", "webkitwillrevealbottom", "wheel", "zoom",
    ],
)]);

/// A name and its value.
pub struct Attribute<'t> {
    /// Name as written.
    pub name: &'t [u8],
    /// Value without quotes; empty if there is none.
    pub value: &'t [u8],
}

/// Iterates over the attributes from `at` on. After the last one, `at` is the end of the tag.
pub struct Attributes<'t> {
    /// The text that the tag is in.
    pub text: &'t [u8],
    /// Where to continue.
    pub at: usize,
    /// Whether `>` ends an unquoted value.
    pub in_tag: bool,
}

impl<'t> Attributes<'t> {
    fn skip(&mut self, what: impl Fn(u8) -> bool) {
        let skipped = self.text[self.at..].iter().take_while(|b| what(**b)).count();
        self.at += skipped;
        work::count(skipped + 1);
    }

    fn value(&mut self) -> &'t [u8] {
        let text = self.text;
        self.skip(|b| b <= b' ');
        if let Some(&quote @ (b'"' | b'\'' | b'`')) = text.get(self.at)
            && let Some(len) = {
                let closing = memchr::memchr(quote, &text[self.at + 1..]);
                work::count(closing.unwrap_or(text.len() - self.at));
                closing
            }
        {
            let value = &text[self.at + 1..self.at + 1 + len];
            self.at += len + 2;
            return value;
        }
        let from = self.at;
        let in_tag = self.in_tag;
        self.skip(|b| b > b' ' && (b != b'>' || !in_tag));
        let value = &text[from..self.at];
        value.strip_prefix(b"\"").or(value.strip_prefix(b"'")).unwrap_or(value)
    }
}

impl<'t> Iterator for Attributes<'t> {
    type Item = Attribute<'t>;

    fn next(&mut self) -> Option<Attribute<'t>> {
        let text = self.text;
        self.skip(|b| !(b.is_ascii_alphanumeric() || b == b'>' || b == b'<'));
        if matches!(text.get(self.at)?, b'>' | b'<') {
            self.at += usize::from(text[self.at] == b'>');
            return None;
        }
        let from = self.at;
        self.skip(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.'));
        let name = &text[from..self.at];
        let after = self.at;
        self.skip(|b| b <= b' ' || b == 0x7f);
        if text.get(self.at) == Some(&b'=') {
            self.at += 1;
            let value = self.value();
            return Some(Attribute { name, value });
        }
        self.at = after;
        Some(Attribute { name, value: b"" })
    }
}

/// Whether `name` is that of an event handler: it begins with `on` and is not an ordinary word.
pub fn is_handler(name: &[u8]) -> bool {
    name.len() > 2
        && name[..2].eq_ignore_ascii_case(b"on")
        && HANDLER.contains(&(name.len() - 2))
        && name[2..].iter().all(u8::is_ascii_alphabetic)
        && !WORDS.iter().any(|w| name.eq_ignore_ascii_case(w))
}

/// Whether an attribute is an event handler with script.
pub fn handles(attribute: &Attribute<'_>) -> bool {
    is_handler(attribute.name) && !attribute.value.is_empty() && !is_no_script(attribute.value)
}

/// Whether `value` does nothing as script: it is a placeholder, a reference in a JSX template, or a block without an end,
/// such as `{() =>` before the rest of a JSX function, which is a syntax error.
fn is_no_script(value: &[u8]) -> bool {
    let open = value.starts_with(b"{") && memchr::memchr(b'}', value).is_none();
    work::count(value.len());
    // Such handlers keep a link or a form from doing anything.
    let statement = value.trim_ascii();
    let returns = matches!(statement.strip_suffix(b";").unwrap_or(statement), b"return false" | b"return true");
    open || returns || value.iter().all(|b| *b == b'.' || *b >= 0x80) || is_jsx_reference(value)
}

/// Whether `value` is `{name.of.a.function}`: a reference in a JSX template, which does nothing as script.
fn is_jsx_reference(value: &[u8]) -> bool {
    let inner = value.strip_prefix(b"{").map(|v| v.strip_suffix(b"}").unwrap_or(v));
    inner.is_some_and(|v| {
        !v.is_empty() && v.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$'))
    })
}

/// Where a browser is in a tag, for each kind of attribute whose value the text may be.
struct Contexts {
    at: usize,
    states: [Option<u8>; 4],
    previous: u8,
}

/// Outside of quotes in the tag.
const IN_TAG: u8 = 0;

impl Default for Contexts {
    fn default() -> Self {
        Self { at: 0, states: [Some(b'"'), Some(b'\''), Some(b'`'), Some(IN_TAG)], previous: b'=' }
    }
}

impl Contexts {
    /// Whether the byte at `to` may be in a tag and outside of its quotes. Asked for growing positions only.
    fn in_tag_at(&mut self, text: &[u8], to: usize) -> bool {
        for &b in &text[self.at..to.max(self.at)] {
            work::count(1);
            for state in &mut self.states {
                *state = match *state {
                    Some(IN_TAG) if b == b'>' => None,
                    Some(IN_TAG) if matches!(b, b'"' | b'\'' | b'`') && self.previous == b'=' => Some(b),
                    Some(quote) if b == quote => Some(IN_TAG),
                    state => state,
                };
            }
            if b > b' ' {
                self.previous = b;
            }
        }
        self.at = self.at.max(to);
        self.states.contains(&Some(IN_TAG))
    }
}

/// An event handler outside of any tag in the value: the page puts the value into an attribute, and a quote or blank ends
/// that attribute.
pub fn outside_tag(text: &[u8], pays: &work::Pays<'_>) -> Option<Match> {
    // Code has variables of any name with `on`: `const onReadDir = Symbol("x")`.
    let document = is_document(text);
    let mut from = 0;
    let mut quoted = false;
    let mut contexts = Contexts::default();
    while let Some(offset) = memchr::memchr(b'=', &text[from..]) {
        let equals = from + offset;
        work::count(offset + 1);
        let piece = &text[from..equals];
        let was_quoted = quoted || piece.iter().any(|b| matches!(b, b'\'' | b'"' | b'`'));
        from = equals + 1;
        let blanks = piece.iter().rev().take(8).take_while(|b| **b <= b' ').count();
        let name_end = equals - blanks;
        let letters =
            text[..name_end].iter().rev().take(HANDLER.end() + 3).take_while(|b| b.is_ascii_alphanumeric()).count();
        let start = name_end - letters;
        quoted = was_quoted;
        // `onoff == 1` is a comparison: as an attribute, its value would be no script.
        if !is_handler(&text[start..name_end]) || text.get(equals + 1) == Some(&b'=') {
            continue;
        }
        if document && EVENTS.get(&text[start + 2..name_end]).is_none() {
            continue;
        }
        if !pays() {
            return None;
        }
        let separated = match start.checked_sub(1).map(|i| text[i]) {
            None => true,
            Some(b) => {
                b <= b' ' || b >= 0x7f || matches!(b, b'\'' | b'"' | b'/' | b'`' | b'>' | b';' | b',' | b'+' | b'%')
            }
        };
        let mut attributes =
            Attributes { text: &text[..(equals + MAX_VALUE).min(text.len())], at: start, in_tag: false };
        let Some(attribute) = attributes.next() else { continue };
        if !contexts.in_tag_at(text, start) {
            continue;
        }
        if separated && script::runs(attribute.value) && (was_quoted || start <= 2 || script::has_sink(attribute.value))
        {
            let end = attributes.at.clamp(name_end, text.len());
            return Some(Match { confidence: Confidence::High, start, end });
        }
    }
    None
}
