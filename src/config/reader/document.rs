//! What the reference page says about a key.

/// A key as the reference page shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyDoc {
    /// Dotted path; `[]` stands for each member of a list.
    pub path: String,
    /// What stands below it.
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

/// What stands below a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A value.
    Value,
    /// Further keys.
    Section,
    /// Nothing that counts: accepted and ignored.
    Ignored,
}

/// What holds when a key is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unset {
    /// This value, as it would be written.
    Value(String),
    /// What these words say.
    Words(String),
}
