//! What policy conditions ask about a request: its head, decoded once.

use super::request::{Message, Scheme};
use std::borrow::Cow;

/// A decoded name and value.
pub type DecodedPair<'a> = (Cow<'a, [u8]>, Cow<'a, [u8]>);

/// One reading of a path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecodedPath<'a> {
    /// The whole path.
    pub text: Cow<'a, [u8]>,
    /// Path segments but for the last, percent-decoded.
    pub segments: Vec<Cow<'a, [u8]>>,
    /// Last path segment up to its first dot.
    pub action_name: Cow<'a, [u8]>,
    /// Last path segment past its last dot, if it has one.
    pub action_ext: Option<Cow<'a, [u8]>>,
    /// Whether parameters of segments (`;v=1`) were removed.
    pub parameters_removed: bool,
}

/// The decoded head of a request. Conditions of rules and routes are judged on this, never on raw bytes.
#[derive(Clone, Debug, Default)]
pub struct DecodedHead<'a> {
    /// Method as sent.
    pub method: &'a [u8],
    /// Target as sent, without scheme and authority.
    pub uri: Cow<'a, [u8]>,
    /// Host without port, lower case, without a trailing dot.
    pub host: Cow<'a, [u8]>,
    /// Other hosts that some servers take the request for: with several Host headers, or one that differs from a target in
    /// absolute form. Empty for most requests. What weakens protection must hold for all of them.
    pub other_hosts: Vec<Cow<'a, [u8]>>,
    /// The path as most servers read it: percent-decoded once, without dot segments and repeated slashes.
    pub path: DecodedPath<'a>,
    /// Other paths that some servers read in the same target: parameters of segments (`;v=1`) removed, decoded twice, `\`
    /// as a separator, dot segments kept... Empty for most requests. What weakens protection must hold for all readings.
    pub other_paths: Vec<DecodedPath<'a>>,
    /// Query parameters, decoded, in order.
    pub query: Vec<DecodedPair<'a>>,
    /// Protocol as the client spoke it.
    pub proto: &'a [u8],
    /// Scheme.
    pub scheme: Scheme,
    /// Application id.
    pub application: i64,
}

impl<'a> DecodedHead<'a> {
    /// The header called `name` in `message`, values joined by `, ` where it is repeated (RFC 9110 §5.3).
    pub fn header<'m>(message: &Message<'m>, name: &str) -> Option<Cow<'m, [u8]>> {
        let mut values = message.headers_named(name);
        let first = values.next()?;
        let mut joined = Cow::Borrowed(first);
        for value in values {
            let owned = joined.to_mut();
            owned.extend_from_slice(b", ");
            owned.extend_from_slice(value);
        }
        Some(joined)
    }

    /// Every host that servers may take the request for, the plain one first.
    pub fn hosts(&self) -> impl Iterator<Item = &[u8]> {
        std::iter::once(&self.host).chain(&self.other_hosts).map(AsRef::as_ref)
    }

    /// Every reading of the path, the plain one first.
    pub fn paths(&self) -> impl Iterator<Item = &DecodedPath<'a>> {
        std::iter::once(&self.path).chain(&self.other_paths)
    }

    /// Path as sent: the target up to its query.
    pub fn raw_path(&self) -> &[u8] {
        &self.uri[..self.uri.iter().position(|b| b"?#".contains(b)).unwrap_or(self.uri.len())]
    }

    /// Values of the query parameter called `name`.
    pub fn query_values<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'s [u8]> + 's {
        self.query.iter().filter(move |(n, _)| n.as_ref() == name).map(|(_, v)| v.as_ref())
    }
}
