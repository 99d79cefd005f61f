//! Rule packs and address databases.

use super::form::{Control, Field};
use super::policy::{Change, DiffLine};
use super::shell::{Shell, Tone};
use super::text::Text;
use super::time::Moment;
use super::ui;
use askama::Template;

/// A version.
#[derive(Clone, Debug)]
pub struct VersionRow {
    /// Address below `/packs`: kind, name, version.
    pub path: String,
    /// Its name.
    pub name: Text,
    /// Its number.
    pub version: u64,
    /// Signatures, or what a database says of itself.
    pub about: Text,
    /// Notes.
    pub note: Text,
    /// Length, for people.
    pub size: String,
    /// First digits of its hash.
    pub hash: Text,
    /// Who brought it.
    pub author: Text,
    /// When.
    pub created: Moment,
    /// Whether it is in use.
    pub active: bool,
    /// Whether there is a comparison.
    pub comparable: bool,
}

/// A mirror.
#[derive(Clone, Debug)]
pub struct MirrorRow {
    /// Address below `/packs`: kind and name.
    pub path: String,
    /// What it brings.
    pub name: Text,
    /// Where from.
    pub url: Text,
    /// How often, for people.
    pub period: String,
    /// How the last look went.
    pub state: (Tone, Text),
    /// Last look that went well.
    pub succeeded: Option<Moment>,
}

/// A list with the form that adds to it.
#[derive(Clone, Debug)]
pub struct Section {
    /// `rule-packs` or `databases`.
    pub code: &'static str,
    /// Heading.
    pub label: &'static str,
    /// What they are.
    pub about: &'static str,
    /// Text shown if there are no versions.
    pub empty: &'static str,
    /// What the file is called.
    pub file: &'static str,
    /// Endings of files.
    pub accept: &'static str,
    /// Versions.
    pub rows: Vec<VersionRow>,
    /// Fields of the form beside the file.
    pub fields: Vec<Field>,
    /// Whether the form is open.
    pub open: bool,
    /// Mistakes of the file.
    pub mistakes: Vec<Text>,
}

/// The page.
#[derive(Debug, Template)]
#[template(path = "packs.html")]
pub struct Packs {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// Rule packs, databases.
    pub sections: Vec<Section>,
    /// Mirrors.
    pub mirrors: Vec<MirrorRow>,
    /// Fields of the form that sets one.
    pub mirror_fields: Vec<Field>,
    /// Whether that form is open.
    pub mirror_open: bool,
}

/// A version of a pack against another.
#[derive(Debug, Template)]
#[template(path = "pack.html")]
pub struct Comparison {
    /// Page frame: navigation, user, notice.
    pub shell: Shell,
    /// The version.
    pub row: VersionRow,
    /// With which version it is compared; 0 for none.
    pub against: u64,
    /// Versions that it can be compared with.
    pub others: Vec<u64>,
    /// Counts of what is added, removed, changed.
    pub counts: (usize, usize, usize),
    /// Lines.
    pub lines: Vec<DiffLine>,
    /// Whether lines were left out for their number.
    pub cut: bool,
}
