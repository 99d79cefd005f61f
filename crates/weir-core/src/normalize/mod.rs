//! Decoders: pure functions from bytes to bytes, one per file. Their results say whether they changed anything.
//!
//! Parsers use them to parse a value. [`VIEWS`] lists the decoders whose results detectors inspect besides the value, if
//! they change it. A decoder never fails: it leaves what it does not understand as it is.

pub mod base64;
pub mod brackets;
pub mod charset;
pub mod fold;
pub mod form;
pub mod hex;
pub mod html_entities;
pub mod js_escape;
pub mod json_text;
pub mod path;
pub mod percent;
pub mod quoted_printable;
pub mod route;
pub mod segments;
pub mod shell;
pub mod yaml_binary;

use crate::model::ByteClasses;
use std::borrow::Cow;

/// A normalised form of a value that signatures inspect besides the value itself.
pub struct ViewKind {
    /// Name as written in a signature's `views`.
    pub name: &'static str,
    /// The view is made only of values with one of these byte classes.
    pub needs: ByteClasses,
    /// The normalisation; `Borrowed` means that nothing changed.
    pub run: fn(&[u8]) -> Cow<'_, [u8]>,
}

/// The views, by number. Bit `1 << n` of a signature's views selects view `n`; [`PLAIN`] selects the value itself.
pub static VIEWS: &[ViewKind] = &[
    ViewKind { name: "path", needs: PATH_MARKS, run: path::run },
    ViewKind { name: "shell", needs: SHELL_MARKS, run: shell::run },
    ViewKind { name: "fold", needs: ByteClasses::HIGH, run: fold::run },
    ViewKind { name: "route", needs: ROUTE_MARKS, run: route::run },
];

/// Number of the view of file paths as a server resolves them.
pub const PATH_VIEW: usize = 0;
/// Number of the view of command lines as a shell reads them.
pub const SHELL_VIEW: usize = 1;

/// Only values with one of these byte classes have a view.
pub const VIEW_MARKS: ByteClasses = PATH_MARKS.with(ROUTE_MARKS).with(SHELL_MARKS).with(ByteClasses::HIGH);

const PATH_MARKS: ByteClasses = ByteClasses::BACKSLASH
    .with(ByteClasses::HIGH)
    .with(ByteClasses::PERCENT)
    .with(ByteClasses::SLASH)
    .with(ByteClasses::CONTROL);
const ROUTE_MARKS: ByteClasses = ByteClasses::BACKSLASH.with(ByteClasses::SLASH).with(ByteClasses::SEMICOLON);
const SHELL_MARKS: ByteClasses = ByteClasses::BACKSLASH
    .with(ByteClasses::DOLLAR)
    .with(ByteClasses::CARET)
    .with(ByteClasses::QUOTE)
    .with(ByteClasses::DQUOTE)
    .with(ByteClasses::BACKTICK);

/// Bit of the value itself in a set of views.
pub const PLAIN: u16 = 1 << 15;
