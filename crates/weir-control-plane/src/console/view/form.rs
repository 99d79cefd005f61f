//! Fields of forms, with what is wrong with them.

use super::text::Text;

/// Bytes of an explanation from which on a field takes a row of its own.
const LONG_HINT: usize = 120;

/// How a field is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    /// A line of text.
    Line,
    /// A line of text in the fixed font.
    Code,
    /// Several lines, in the fixed font.
    Lines,
    /// A document, in the fixed font.
    Page,
    /// A password that is set.
    Password,
    /// A number.
    Number,
    /// A date.
    Date,
    /// One of these: value and label.
    Select(Vec<(String, String)>),
    /// Yes or no.
    Check,
}

/// A field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Name in the form.
    pub name: &'static str,
    /// Label.
    pub label: &'static str,
    /// How it is filled in.
    pub control: Control,
    /// Value as entered.
    pub value: String,
    /// What it means.
    pub hint: &'static str,
    /// What is wrong with it.
    pub wrong: Option<Text>,
    /// Whether it must be filled in.
    pub required: bool,
}

impl Field {
    /// An empty field.
    pub fn new(name: &'static str, label: &'static str, control: Control, hint: &'static str) -> Self {
        Self { name, label, control, value: String::new(), hint, wrong: None, required: false }
    }

    /// With this in it.
    pub fn with(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }

    /// That must be filled in.
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// With a mistake, where there is one.
    pub fn with_error(mut self, wrong: Option<&str>) -> Self {
        self.wrong = wrong.map(Text::new);
        self
    }

    /// Whether it takes a row of its own: documents, and what takes long to explain.
    pub fn is_wide(&self) -> bool {
        self.control == Control::Page || self.hint.len() > LONG_HINT
    }

    /// Whether a box is checked.
    pub fn checked(&self) -> bool {
        !self.value.is_empty()
    }
}
