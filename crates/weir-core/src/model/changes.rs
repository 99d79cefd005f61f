//! Where decoding changed a text: what is the same before and after is looked at once.

use bumpalo::Bump;
use std::ops::Range;

/// A part of a text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Past the last byte.
    pub end: u32,
}

/// Shorter texts count as changed everywhere.
const MIN_LENGTH: usize = 512;
/// Texts with more changes count as changed everywhere.
const MAX_CHANGES: usize = 512;
/// Equal bytes behind a change that end it.
const SYNC: usize = 6;
/// How much longer what decoding replaces may be than what it is replaced by. The longest HTML reference has 33 bytes.
const MAX_SHRINK: usize = 40;
/// Longest piece that something is replaced by: a few escapes close to each other.
const MAX_AFTER: usize = 24;
/// Changes that are closer than this are one.
const MERGED_BELOW: u32 = 32;

/// The parts of `after` outside of which it consists of pieces of `before`, in order; none if that is hardly anything.
/// They are in the arena `bump`. Takes time linear in the length of the texts.
pub fn changed_parts<'b>(before: &[u8], after: &[u8], bump: &'b Bump) -> Option<&'b [Span]> {
    let length = u32::try_from(after.len()).ok()?;
    if after.len() < MIN_LENGTH {
        return None;
    }
    let mut parts = bumpalo::collections::Vec::<Span>::new_in(bump);
    let (mut from, mut to, mut changed) = (0, 0, 0);
    for _ in 0..=MAX_CHANGES {
        let same = common_prefix(&before[from..], &after[to..]);
        (from, to) = (from + same, to + same);
        if from == before.len() && to == after.len() {
            return (changed < length / 2).then(|| -> &[Span] { parts.into_bump_slice() });
        }
        let (skipped, added) = resume(&before[from..], &after[to..])?;
        let part = Span { start: to as u32, end: (to + added) as u32 };
        match parts.last_mut() {
            Some(last) if part.start - last.end < MERGED_BELOW => last.end = part.end,
            _ => parts.push(part),
        }
        changed += part.end - part.start + MERGED_BELOW;
        (from, to) = (from + skipped, to + added);
    }
    None
}

/// How far `at` is from the nearest of `changes`, in bytes: 0 within one or next to it.
#[inline]
pub fn distance(changes: &[Span], at: usize) -> usize {
    let (before, behind) = distances(changes, at);
    before.min(behind)
}

/// How far `at` is from the nearest of `changes` before it and behind it, in bytes: 0 within one or next to it.
#[inline]
pub fn distances(changes: &[Span], at: usize) -> (usize, usize) {
    let next = changes.partition_point(|part| (part.end as usize) < at);
    let before = next.checked_sub(1).map_or(usize::MAX, |last| at - changes[last].end as usize);
    let Some(part) = changes.get(next) else { return (before, usize::MAX) };
    let behind = (part.start as usize).saturating_sub(at);
    (if behind == 0 { 0 } else { before }, behind)
}

/// `changes` of a text of `length` bytes with `around` bytes on each side. What touches is one part.
pub fn widened(changes: &[Span], around: usize, length: usize) -> impl Iterator<Item = Range<usize>> {
    let mut parts = changes
        .iter()
        .map(move |part| (part.start as usize).saturating_sub(around)..(part.end as usize + around).min(length))
        .peekable();
    std::iter::from_fn(move || {
        let mut part = parts.next()?;
        while let Some(next) = parts.next_if(|next| next.start <= part.end) {
            part.end = next.end;
        }
        Some(part)
    })
}

/// How many bytes both texts have in common at their start.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    const BLOCK: usize = 64;
    let blocks = a.chunks_exact(BLOCK).zip(b.chunks_exact(BLOCK)).take_while(|(a, b)| a == b).count() * BLOCK;
    blocks + a[blocks..].iter().zip(&b[blocks..]).take_while(|(a, b)| a == b).count()
}

/// Lengths of a piece of `before` and of one of `after` behind which both go on alike.
fn resume(before: &[u8], after: &[u8]) -> Option<(usize, usize)> {
    let alike = |skipped: usize, added: usize| match (head(before, skipped), head(after, added)) {
        (Some(before), Some(after)) => before == after,
        _ => ends_alike(before.get(skipped..), after.get(added..)),
    };
    for added in 0..=MAX_AFTER {
        if let Some(shrink) = (0..=MAX_SHRINK).find(|shrink| alike(added + shrink, added)) {
            return Some((added + shrink, added));
        }
    }
    // In a text that repeats itself, an earlier change may have been taken to end too late.
    for skipped in 0..=MAX_AFTER {
        if let Some(grow) = (1..=MAX_AFTER).find(|grow| alike(skipped, skipped + grow)) {
            return Some((skipped, skipped + grow));
        }
    }
    None
}

/// The [`SYNC`] bytes of `text` at `at` as a number, unless the text ends soon after.
#[inline(always)]
fn head(text: &[u8], at: usize) -> Option<u64> {
    let bytes = text.get(at..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes) << (8 * (size_of::<u64>() - SYNC)))
}

/// Whether the ends of two texts begin with the same [`SYNC`] bytes, or are the same and shorter.
#[cold]
fn ends_alike(before: Option<&[u8]>, after: Option<&[u8]>) -> bool {
    before.zip(after).is_some_and(|(before, after)| {
        let length = SYNC.min(before.len()).min(after.len());
        before[..length] == after[..length] && (length == SYNC || before.len() == after.len())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalize::{html_entities, js_escape, percent};
    use proptest::prelude::*;

    fn parts(before: &str, after: &str) -> Option<Vec<(u32, u32)>> {
        let bump = Bump::new();
        let parts = changed_parts(before.as_bytes(), after.as_bytes(), &bump)?;
        Some(parts.iter().map(|part| (part.start, part.end)).collect())
    }

    #[test]
    fn changes_are_found_where_they_are() {
        let text = "some words of text, ".repeat(50);
        assert_eq!(parts(&text, &text), Some(vec![]));
        assert_eq!(parts(&format!("{text}%27{text}"), &format!("{text}'{text}")), Some(vec![(1000, 1001)]));
        assert_eq!(parts(&format!("&amp;{text}\\\n"), &format!("&{text}")), Some(vec![(1, 1), (1001, 1001)]));
        assert_eq!(
            parts(&format!("{text}&CounterClockwiseContourIntegral;"), &format!("{text}∳")),
            Some(vec![(1000, 1003)])
        );
        assert_eq!(parts(&"%41b%42c".repeat(400), &"AbBc".repeat(400)), None);
        assert_eq!(parts(&text, &"x".repeat(1000)), None);
        assert_eq!(parts("a%20b", "a b"), None);
    }

    #[test]
    fn distances_are_to_the_nearest_change() {
        let changes = [Span { start: 10, end: 12 }, Span { start: 40, end: 40 }];
        for (at, expected) in
            [(0, 10), (9, 1), (10, 0), (12, 0), (13, 1), (25, 13), (27, 13), (39, 1), (40, 0), (99, 59)]
        {
            assert_eq!(distance(&changes, at), expected, "{at}");
        }
        assert_eq!(distance(&[], 10), usize::MAX);
    }

    proptest! {
        /// What lies between two changes is in the text before, in one piece.
        #[test]
        fn unchanged_parts_come_from_the_text_before(pieces in proptest::collection::vec(prop_oneof![
            3 => "[a-z ]{80,400}", 1 => Just("%2527".to_owned()), 1 => Just("&lt;".to_owned()), 1 => Just(r"\u0041".to_owned()),
            1 => "[%&\\\\;0-9a-z]{0,12}",
        ], 4..30)) {
            let before = pieces.concat().into_bytes();
            let once = percent::decode(&before, percent::Plus::Keep).into_owned();
            let html = html_entities::decode(&before).into_owned();
            let js = js_escape::js(&html).into_owned();
            for after in [once, html, js] {
                let bump = Bump::new();
                let Some(parts) = changed_parts(&before, &after, &bump) else { continue };
                let ends = parts.iter().map(|part| part.end as usize);
                let starts = parts.iter().map(|part| part.start as usize).chain([after.len()]);
                for (number, (start, end)) in std::iter::once(0).chain(ends).zip(starts).enumerate() {
                    let piece = &after[start..end];
                    let at = memchr::memmem::find(&before, piece);
                    prop_assert!(at.is_some(), "{:?}", String::from_utf8_lossy(piece));
                    prop_assert!(number > 0 || before.starts_with(piece));
                    prop_assert!(number < parts.len() || before.ends_with(piece));
                }
            }
        }
    }
}
