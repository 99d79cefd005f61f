//! Mixed content (XML 1.0 §3.2.2): text of one element with elements in it. Applications read it as one text, with the text
//! of the elements in it (`textContent`) or without.

use super::Walker;
use crate::model::Stop;
use bumpalo::collections::Vec as BumpVec;

/// The text of the outermost element that has begun with text of its own.
pub(super) struct Mixed<'a> {
    /// Open elements up to it.
    depth: usize,
    /// Its text and that of the elements in it.
    all: BumpVec<'a, u8>,
    /// Its own text.
    own: BumpVec<'a, u8>,
    /// Texts joined in `all`.
    pieces: u32,
}

impl<'a> Walker<'_, '_, 'a> {
    /// Notes a text before a tag.
    pub(super) fn mix(&mut self, text: &'a [u8]) -> Result<(), Stop> {
        let depth = self.open.len();
        if let Some(mixed) = &mut self.mixed {
            // The two copies.
            self.em.charge_decoded(2 * text.len())?;
            mixed.pieces += 1;
            mixed.all.extend_from_slice_copy(text);
            if mixed.depth == depth {
                mixed.own.extend_from_slice_copy(text);
            }
        } else if depth > 0 {
            self.first = text;
        }
        Ok(())
    }

    /// Begins with the text before the tag of an element in the current one.
    pub(super) fn begin_mixed(&mut self) -> Result<(), Stop> {
        let first = std::mem::take(&mut self.first);
        if first.is_empty() || self.mixed.is_some() {
            return Ok(());
        }
        self.em.charge_decoded(2 * first.len())?;
        let copy = || {
            let mut text = BumpVec::new_in(self.em.bump);
            text.extend_from_slice_copy(first);
            text
        };
        self.mixed = Some(Mixed { depth: self.open.len(), all: copy(), own: copy(), pieces: 1 });
        Ok(())
    }

    /// Emits the text of the current element if it is the one whose text is joined.
    pub(super) fn end_mixed(&mut self) -> Result<(), Stop> {
        self.first = b"";
        if self.mixed.as_ref().is_none_or(|mixed| mixed.depth != self.open.len()) {
            return Ok(());
        }
        let Some(Mixed { all, own, pieces, .. }) = self.mixed.take() else { return Ok(()) };
        if pieces == 1 {
            return Ok(());
        }
        let (all, own) = (all.into_bump_slice(), own.into_bump_slice());
        self.em.value(all)?;
        if own == all { Ok(()) } else { self.em.value(own) }
    }
}
