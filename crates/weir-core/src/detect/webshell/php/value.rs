//! What is known about a value of a PHP program without running it.

use std::rc::Rc;

/// Longest text of a program that is kept.
const MAX_TEXT: usize = 64 << 10;
/// Longest text that is computed, and from which one is computed: calls take time of their own then, whatever they do.
pub(super) const MAX_COMPUTED: usize = 512;
/// Longest text that says nothing of the name of which it is a piece.
const MAX_PIECE: usize = 3;
/// Most elements of an array that are kept.
const MAX_ITEMS: usize = 64;

/// An element of an array, with its key if that is a known text.
pub(super) type Item = (Option<Rc<[u8]>>, Value);

/// What is known about a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Value {
    /// Its text, if that is known.
    pub text: Option<Rc<[u8]>>,
    /// Its elements, with their keys where these are known texts, if it is a small array.
    pub items: Option<Rc<[Item]>>,
    /// The client decides it, or a part of it.
    pub tainted: bool,
    /// It is what the client sent, and nothing else.
    pub whole: bool,
    /// It was decoded, so that the program does not show it.
    pub hidden: bool,
    /// Its text is not written in one piece.
    pub computed: bool,
    /// Characters of it were picked from a text.
    pub picked: bool,
    /// It was put together from pieces that say nothing.
    pub assembled: bool,
    /// It is a variable to which nothing is assigned.
    pub unset: bool,
    /// Bits of the parameters of a constructor on which it depends.
    pub made: u32,
    /// Bits of the parameters of the current function on which it depends.
    pub params: u32,
}

impl Value {
    /// A known text.
    pub fn text(text: &[u8]) -> Self {
        let text = (text.len() <= MAX_TEXT).then(|| text.into());
        Self { text, ..Self::default() }
    }

    /// What a client sent.
    pub fn sent() -> Self {
        Self { tainted: true, whole: true, ..Self::default() }
    }

    /// The parameter number `at` of a function.
    pub fn param(at: usize) -> Self {
        Self { params: 1 << at.min(31), whole: true, ..Self::default() }
    }

    /// An array of these elements.
    pub fn array(items: Vec<Value>) -> Self {
        Self::keyed(items.into_iter().map(|item| (None, item)).collect())
    }

    /// An array of these elements with their keys.
    pub fn keyed(items: Vec<(Option<Rc<[u8]>>, Value)>) -> Self {
        let mut all = Self::default();
        items.iter().for_each(|(_, item)| all.join(item));
        all.whole = items.len() == 1 && items[0].1.whole;
        let items = (items.len() <= MAX_ITEMS).then(|| items.into());
        Self { items, ..all }
    }

    /// The elements, if they are known.
    pub fn elements(&self) -> impl Iterator<Item = &Value> {
        self.items.iter().flat_map(|items| items.iter().map(|(_, item)| item))
    }

    /// Whether nothing is known about it.
    pub fn is_unknown(&self) -> bool {
        self.text.is_none() && !self.tainted && !self.hidden && self.params == 0
    }

    /// Something made of `parts`: what holds for one of them holds for all.
    pub fn of(parts: &[Value]) -> Self {
        let mut all = Self::default();
        parts.iter().for_each(|part| all.join(part));
        all.whole = parts.len() == 1 && parts[0].whole;
        all
    }

    /// Adds what holds for `other`.
    pub fn join(&mut self, other: &Value) {
        self.tainted |= other.tainted;
        self.hidden |= other.hidden;
        self.picked |= other.picked;
        self.computed |= other.computed;
        self.assembled |= other.assembled;
        self.params |= other.params;
        self.made |= other.made;
    }

    /// The same facts, without text and elements.
    pub fn flags(&self) -> Self {
        Self { text: None, items: None, unset: false, ..self.clone() }
    }

    /// The same facts, about `text`.
    pub fn with_text(&self, text: Option<Vec<u8>>) -> Self {
        let text = text.filter(|text| text.len() <= MAX_COMPUTED).map(Into::into);
        Self { text, items: None, ..self.clone() }
    }

    /// The same, hidden.
    pub fn hide(self) -> Self {
        Self { hidden: true, ..self }
    }

    /// Both in a row.
    pub fn concat(&self, other: &Value) -> Self {
        let mut all = self.flags();
        all.join(other);
        all.whole = false;
        let text = self.short().zip(other.short()).map(|(a, b)| [a, b].concat());
        let says_something = |value: &Value| value.bytes().is_some_and(|text| text.len() > MAX_PIECE);
        all.assembled |= text.is_none() && !says_something(self) && !says_something(other);
        Self { computed: true, ..all.with_text(text) }
    }

    /// Both combined bit by bit.
    pub fn xor(&self, other: &Value) -> Self {
        let mut all = self.flags();
        all.join(other);
        all.whole = false;
        let text = self.short().zip(other.short());
        let text = text.map(|(a, b)| a.iter().zip(b).map(|(a, b)| a ^ b).collect());
        all.with_text(text).hide()
    }

    /// The element, or the character, at `index`.
    pub fn at(&self, index: &Value) -> Self {
        let number = index.number();
        if let Some(items) = &self.items {
            let key = index.short();
            let keyed = items.iter().rev().find(|(known, _)| known.is_some() && known.as_deref() == key);
            let numbered = || number.and_then(|at| items.get(usize::try_from(at).ok()?));
            if let Some((_, item)) = keyed.or_else(numbered) {
                return item.clone();
            }
        }
        let mut found = self.flags();
        found.join(&Value { tainted: false, params: 0, ..index.flags() });
        if self.text.is_some() {
            let text = self.bytes().unwrap_or_default();
            let at = number.map(|at| if at < 0 { at + text.len() as i64 } else { at });
            let byte = at.and_then(|at| usize::try_from(at).ok()).and_then(|at| text.get(at));
            // Characters picked from a text are how names are hidden.
            return Self { picked: true, ..found.with_text(byte.map(|byte| vec![*byte])) };
        }
        found
    }

    /// The known text.
    pub fn bytes(&self) -> Option<&[u8]> {
        self.text.as_deref()
    }

    /// The known text, if it is short enough to compute with.
    pub fn short(&self) -> Option<&[u8]> {
        self.bytes().filter(|text| text.len() <= MAX_COMPUTED)
    }

    /// The known text as a number.
    pub fn number(&self) -> Option<i64> {
        const MAX_DIGITS: usize = 20;
        std::str::from_utf8(self.bytes().filter(|text| text.len() <= MAX_DIGITS)?).ok()?.trim().parse().ok()
    }

    /// The known text in lower case, as a name of a function.
    pub fn name(&self) -> Option<Vec<u8>> {
        const MAX_NAME: usize = 64;
        let text = self.bytes().filter(|text| text.len() <= MAX_NAME)?.trim_ascii();
        let name = text.rsplit(|&b| b == b'\\').next()?;
        Some(name.to_ascii_lowercase())
    }
}

/// One of both.
pub(super) fn either(first: Value, second: Value) -> Value {
    let mut all = first.flags();
    all.join(&second);
    all.whole = first.whole || second.whole;
    // A fallback says what is usual.
    let text = if first.text.is_some() { first.text } else { second.text };
    Value { text: if all.tainted { None } else { text }, ..all }
}

/// The result of an operator on numbers.
pub(super) fn arithmetic(operator: u8, first: &Value, second: &Value) -> Value {
    let (Some(a), Some(b)) = (first.number(), second.number()) else {
        return Value {
            hidden: (first.hidden || second.hidden) && matches!(operator, b'|' | b'&'),
            ..Value::default()
        };
    };
    let result = match operator {
        b'+' => a.checked_add(b),
        b'-' => a.checked_sub(b),
        b'*' => a.checked_mul(b),
        b'/' => a.checked_div(b),
        b'%' => a.checked_rem(b),
        b'|' => Some(a | b),
        _ => Some(a & b),
    };
    result.map_or_else(Value::default, |number| Value::text(number.to_string().as_bytes()))
}

/// The next letter, hidden.
pub(super) fn step(value: &Value) -> Value {
    let text = value.short().map(|text| {
        let mut text = text.to_vec();
        if let Some(last) = text.last_mut() {
            *last = last.wrapping_add(1);
        }
        text
    });
    value.with_text(text).hide()
}
