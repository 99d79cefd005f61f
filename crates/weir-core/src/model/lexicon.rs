//! A fixed vocabulary with a meaning for each word, looked up without regard to case in about thirty instructions.
//!
//! The table is made by the compiler and probed linearly; every answer is a comparison of the whole word.

/// Words with their meanings, in `SLOTS` places: a power of two, at least a half more than there are words.
#[derive(Debug)]
pub struct Lexicon<V: 'static, const SLOTS: usize> {
    slots: [Option<(u64, &'static [u8], V)>; SLOTS],
    /// Lengths of the words that begin with each byte, as bits; the last bit is for all longer ones.
    lengths: [u32; 256],
}

impl<V: Copy, const SLOTS: usize> Lexicon<V, SLOTS> {
    /// The vocabulary of `groups`. A word given twice keeps the meaning that it was given first.
    pub const fn new(groups: &[(V, &[&'static str])]) -> Self {
        assert!(SLOTS.is_power_of_two());
        let mut slots = [None; SLOTS];
        let mut lengths = [0; 256];
        let (mut group, mut words) = (0, 0);
        while group < groups.len() {
            let (meaning, list) = groups[group];
            let mut at = 0;
            while at < list.len() {
                let word = list[at].as_bytes();
                if let Some(first) = word.first() {
                    lengths[first.to_ascii_lowercase() as usize] |= length(word);
                    lengths[first.to_ascii_uppercase() as usize] |= length(word);
                }
                let key = key(word);
                let mut slot = Self::first(key);
                while let Some((_, known, _)) = slots[slot] {
                    if word.eq_ignore_ascii_case(known) {
                        break;
                    }
                    slot = (slot + 1) % SLOTS;
                }
                if slots[slot].is_none() {
                    slots[slot] = Some((key, word, meaning));
                    words += 1;
                }
                at += 1;
            }
            group += 1;
        }
        assert!(words * 3 <= SLOTS * 2, "too few slots: probing would be slow");
        Self { slots, lengths }
    }

    const fn first(key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % SLOTS
    }

    /// What `word` means, if it is one of the vocabulary.
    #[inline]
    pub fn get(&self, word: &[u8]) -> Option<V> {
        // Most words of ordinary text end here.
        if word.first().is_some_and(|first| self.lengths[usize::from(*first)] & length(word) == 0) {
            return None;
        }
        let wanted = key(word);
        let mut slot = Self::first(wanted);
        while let Some((key, known, meaning)) = self.slots[slot] {
            if key == wanted && word.eq_ignore_ascii_case(known) {
                return Some(meaning);
            }
            slot = (slot + 1) % SLOTS;
        }
        None
    }
}

/// The bit of a word's length.
#[inline]
const fn length(word: &[u8]) -> u32 {
    1 << if word.len() < 31 { word.len() } else { 31 }
}

/// A number that words equal but for case share: their length and up to eight bytes, letters in lower case.
#[inline]
const fn key(word: &[u8]) -> u64 {
    let bytes = if let (Some(first), Some(last)) = (word.first_chunk::<4>(), word.last_chunk::<4>()) {
        (u32::from_le_bytes(*first) as u64) << 32 | u32::from_le_bytes(*last) as u64
    } else {
        match *word {
            [] => 0,
            [a] => a as u64,
            [a, b] => (a as u64) << 8 | b as u64,
            [a, b, c, ..] => (a as u64) << 16 | (b as u64) << 8 | c as u64,
        }
    };
    // The bit that tells lower from upper case; of other bytes it only makes more alike.
    (bytes | 0x2020_2020_2020_2020) ^ (word.len() as u64).wrapping_mul(0x0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::Lexicon;
    use proptest::prelude::*;

    const GROUPS: &[(u8, &[&str])] = &[
        (1, &["or", "and", "a", "current_user"]),
        (2, &["select", "selects", "curr_nt_user", "or"]),
        (3, &["ab1", ""]),
    ];
    static LEXICON: Lexicon<u8, 16> = Lexicon::new(GROUPS);

    #[test]
    fn finds_words_in_any_case_and_nothing_else() {
        for (meaning, words) in GROUPS {
            for word in words.iter().filter(|word| **word != "or") {
                assert_eq!(LEXICON.get(word.as_bytes()), Some(*meaning), "{word}");
                assert_eq!(LEXICON.get(word.to_uppercase().as_bytes()), Some(*meaning), "{word}");
            }
        }
        assert_eq!(LEXICON.get(b"or"), Some(1), "the first meaning stays");
        for word in [&b"selec"[..], b"o", b"b", b"selecT_", b"CURR\x7fNT_USER", b"xx", b"abc", b"OR\0"] {
            assert_eq!(LEXICON.get(word), None, "{word:?}");
        }
    }

    proptest! {
        #[test]
        fn same_answer_as_a_list(word in "[a-cOrRn_]{0,5}|[sS]elects?") {
            let found = GROUPS.iter().find(|(_, words)| words.iter().any(|w| w.eq_ignore_ascii_case(&word)));
            prop_assert_eq!(LEXICON.get(word.as_bytes()), found.map(|(meaning, _)| *meaning));
        }
    }
}
