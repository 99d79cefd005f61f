//! Reads binary formats from their first byte on.

use super::text_runs::is_text;

/// The part of a binary message that was not read yet, and whether what was read so far is text beyond the texts in it.
///
/// A receiver may not read the message as this format at all, whatever is declared: every text in ASCII is a list of small
/// numbers in MessagePack. So a parser whose numbers, names or lengths spell text, or join texts to a longer one, has not
/// covered the message.
#[derive(Clone, Copy, Debug)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
    /// Bytes of text just before `rest` that belong to no text of the message.
    run: usize,
    /// Whether a text of the message comes before them without a gap.
    follows_text: bool,
    /// The longest of such runs.
    longest_run: usize,
    joins_texts: bool,
}

impl<'a> ByteReader<'a> {
    /// Reads `bytes`.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, run: 0, follows_text: false, longest_run: 0, joins_texts: false }
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether there is text in what was read that is not in one of the texts of the message: at least `least` contiguous
    /// bytes besides them, or two that are one with what is between them.
    pub fn has_text_outside(&self, least: usize) -> bool {
        self.joins_texts || self.longest_run >= least
    }

    /// The next `length` bytes, if there are as many: a text, which the parser emits.
    pub fn text(&mut self, length: usize) -> Option<&'a [u8]> {
        let head = self.split(length)?;
        if let (Some(first), Some(last)) = (head.first(), head.last()) {
            self.joins_texts |= self.follows_text && self.run > 0 && is_text(*first);
            (self.run, self.follows_text) = (0, is_text(*last));
        }
        Some(head)
    }

    /// The next `length` bytes, if there are as many: not a text.
    pub fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let head = self.split(length)?;
        for byte in head {
            if is_text(*byte) {
                self.run += 1;
                self.longest_run = self.longest_run.max(self.run);
            } else {
                (self.run, self.follows_text) = (0, false);
            }
        }
        Some(head)
    }

    /// The next byte, if there is one: not of a text.
    pub fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|head| head[0])
    }

    /// The number in the next `bytes` bytes, of which the first is the highest. At most eight bytes.
    pub fn number(&mut self, bytes: usize) -> Option<usize> {
        Some(self.take(bytes)?.iter().fold(0, |all, &b| all << 8 | usize::from(b)))
    }

    fn split(&mut self, length: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.rest.split_at_checked(length)?;
        self.rest = tail;
        Some(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_outside_of_the_texts_is_noticed() {
        let read = |bytes: &'static [u8], lengths: &[(bool, usize)]| {
            let mut reader = ByteReader::new(bytes);
            for (is_text, length) in lengths {
                if *is_text { reader.text(*length) } else { reader.take(*length) }.unwrap();
            }
            reader.has_text_outside(6)
        };
        assert!(read(b"\x01numbers", &[(false, 8)]));
        assert!(!read(b"\x01num\x02bers", &[(false, 9)]));
        // A text after a text, with what is between them.
        assert!(read(b"\x03one\"(two", &[(false, 1), (true, 3), (false, 2), (true, 3)]));
        assert!(!read(b"\x03one\x03two", &[(false, 1), (true, 3), (false, 1), (true, 3)]));
        assert!(!read(b"\"(two", &[(false, 2), (true, 3)]));
        assert!(ByteReader::new(b"a").take(2).is_none());
    }
}
