//! Masks secrets in messages before they are recorded. Every part of a message in a record passes through this module.
//!
//! Secrets are: credentials, cookies, tokens, passwords and other values with a revealing name ([`secret_names`]), in one
//! member or in two (`{"name": "password", "value": ...}`, [`name_value`]), card numbers, e-mail addresses and other
//! secrets with a recognisable format ([`secret_patterns`], [`emails`]), tokens in paths ([`path_tokens`]), and the points
//! of `sensitive_data` rules.
//! They are masked in place, byte by byte, so that the message can still be parsed and inspected again. Then the masked
//! message is parsed as by an inspection: a secret that is still readable in it, in any encoding, is masked together with
//! the value that contains it. If that is not possible, the body, or the query and the headers, are withheld as a whole,
//! and the record says so. Secrets found are masked in path, fragments and points too.
//!
//! Only the bytes that are kept, and a few more, are processed, with a separate budget.

mod credentials;
mod emails;
mod json_path;
mod known_secrets;
mod located_value;
mod masker;
mod masking_buffer;
mod name_value;
mod path_tokens;
mod residual_scan;
mod secret_names;
mod secret_patterns;
#[cfg(test)]
mod tests;
mod value_locator;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
pub use path_tokens::masked as masked_path;

use known_secrets::SecretMatcher;
use masker::Masker;
use secret_patterns::{MaskStyle, Span};
use weir_core::model::point::{OwnedKey, PathItem};
use weir_core::model::{MessageKind, PointId, PointPath, PointPattern, PointTree, Tag};

/// Replaces a fragment that is a secret as a whole, without revealing its length.
const MASK: &str = "****";

/// A message to be recorded.
#[derive(Clone, Copy, Debug)]
pub struct MaskInput<'a> {
    /// Request or response.
    pub kind: MessageKind,
    /// Its head as received, the empty line included.
    pub head: &'a [u8],
    /// Its body, transfer coding removed.
    pub body: &'a [u8],
    /// Bytes of the body to keep.
    pub max_body: usize,
    /// Points of `sensitive_data` rules.
    pub sensitive: &'a [&'a PointPattern],
    /// Points of findings: their values are not searched for elsewhere, or an attack could hide behind a revealing name.
    pub attacked: &'a [&'a PointPath],
}

/// A message without its secrets.
#[derive(Debug)]
pub struct MaskedMessage<'a> {
    /// Head and the kept part of the body, as `message/http`.
    pub raw: Vec<u8>,
    /// Bytes of the body that are not in `raw`.
    pub bytes_cut: u64,
    /// Whether a part was withheld because a secret in it could not be masked in place.
    pub withheld: bool,
    /// Number of masked spans.
    pub masked_spans: u32,
    matcher: SecretMatcher,
    sensitive: &'a [&'a PointPattern],
}

/// Masks `input`.
pub fn mask<'a>(input: &MaskInput<'a>) -> MaskedMessage<'a> {
    let mut masker = Masker::new(input);
    masker.mask_located_values();
    let clean = masker.mask_until_clean();
    // Only now: masking by a guess at the syntax of a text must not hide secrets from the parsers.
    let scanned = masker.mask_text_secrets();
    if (scanned || !clean) && !masker.mask_until_clean() {
        masker.withhold_residue();
    }
    masker.finish()
}

impl MaskedMessage<'_> {
    /// `path`, that of the same message, without secrets.
    pub fn path(&self, path: &str) -> String {
        self.text(&String::from_utf8_lossy(&masked_path(path.as_bytes())))
    }

    /// `text`, a part of the same message, without secrets.
    pub fn text(&self, text: &str) -> String {
        self.replace(text, false)
    }

    /// A fragment of the value at `point` without secrets.
    pub fn fragment(&self, point: &PointPath, text: &str) -> String {
        if is_secret_point(point, self.sensitive) { MASK.into() } else { self.replace(text, true) }
    }

    /// `point` with names without secrets.
    pub fn point(&self, point: &PointPath) -> PointPath {
        let item = |item: &PathItem| {
            let key = match &item.key {
                OwnedKey::Name(name) => OwnedKey::Name(self.text(name)),
                key => key.clone(),
            };
            PathItem { tag: item.tag, key }
        };
        PointPath(point.0.iter().map(item).collect())
    }

    /// The bytes in base64.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.raw)
    }

    fn replace(&self, text: &str, fragment: bool) -> String {
        let bytes = text.as_bytes();
        let mut spans = secret_patterns::scan(bytes);
        spans.extend(self.matcher.find(bytes).into_iter().map(Span::star));
        if fragment {
            spans.extend(self.matcher.edges(bytes).into_iter().map(Span::star));
        }
        if spans.is_empty() {
            return text.to_owned();
        }
        let mut out = bytes.to_vec();
        spans.iter().for_each(|span| apply(&mut out, span));
        String::from_utf8(out).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }
}

/// Masks one span.
fn apply(bytes: &mut [u8], span: &Span) {
    for byte in &mut bytes[span.range.clone()] {
        match span.style {
            MaskStyle::Star => *byte = b'*',
            MaskStyle::Digit if byte.is_ascii_digit() => *byte = b'1',
            MaskStyle::Digit => {}
        }
    }
}

/// Whether `value` is completely masked. It may begin with an authentication scheme.
fn is_masked(value: &[u8]) -> bool {
    let value = credentials::credentials(value);
    let (mut stars, mut ones, mut signs) = (false, false, false);
    for byte in value {
        match byte {
            b'*' => stars = true,
            b'1' => ones = true,
            b'-' | b'+' | b'.' | b'e' | b'E' => signs = true,
            b'"' | b'\'' | b',' | b';' | b' ' => {}
            _ => return false,
        }
    }
    if stars { !ones && !signs } else { ones || value.is_empty() }
}

/// Whether names in `point` or a `sensitive_data` rule mark the value there as a secret.
fn is_secret_point(point: &PointPath, sensitive: &[&PointPattern]) -> bool {
    let named = |item: &PathItem| match &item.key {
        OwnedKey::Name(name) => secret_names::is_secret_step(item.tag, name.as_bytes()),
        _ => false,
    };
    point.0.iter().any(named) || sensitive.iter().any(|pattern| pattern.covers(point))
}

/// The same for a node of a tree. A cookie header contains names as well, and is checked cookie by cookie.
fn is_secret_node(tree: &PointTree<'_>, node: PointId, sensitive: &[&PointPattern]) -> bool {
    let mut set_cookie = false;
    let mut cookie: Option<&[u8]> = None;
    for segment in tree.ancestors(node) {
        let weir_core::model::Key::Name(name) = segment.key else { continue };
        match segment.tag {
            Tag::Cookie => cookie = Some(name),
            Tag::Header if name == b"COOKIE" => {}
            Tag::ResponseHeader if name == b"SET-COOKIE" => set_cookie = true,
            tag if secret_names::is_secret_step(tag, name) => return true,
            _ => {}
        }
    }
    cookie.is_some_and(|name| !(set_cookie && (name.is_empty() || secret_names::is_cookie_attribute(name))))
        || sensitive.iter().any(|pattern| pattern.covers_node(tree, node))
}
