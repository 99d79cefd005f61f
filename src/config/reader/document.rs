//! What the reference page says about a key.

/// A key as the reference page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// Dotted path; `[]` stands for each member of a list.
    pub path: String,
    /// Whether it has a value or further keys.
    pub kind: KeyKind,
    /// Name of the type.
    pub type_name: String,
    /// What holds when it is left out.
    pub default: Unset,
    /// Environment variable, where one can set it.
    pub variable: Option<String>,
    /// Where the key comes from: [`super::super::resolve::V4`] and its like.
    pub from: &'static str,
    /// Meaning, for people.
    pub meaning: &'static str,
}

/// Whether a key has a value or further keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A value.
    Value,
    /// Further keys.
    Section,
    /// Neither: accepted and ignored.
    Ignored,
}

/// What holds when a key is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unset {
    /// This value, as it would be written.
    Value(String),
    /// As described in words.
    Words(String),
}
