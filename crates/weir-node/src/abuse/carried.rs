//! What a response must know of its request, for the rules that read responses.

use weir_abuse::Keys;

/// Form of the bytes.
const VERSION: u8 = 3;
const FIXED: usize = 1 + 16 + 8 + 8 + 8 + 4;
/// Most bytes of it: at least 22 rules, and about 40 of those that count requests, or 200 of these with the same key.
pub const MAX_CARRIED: usize = 844;
/// The request was counted as an attempt already.
const COUNTED: u8 = 1;
/// A value is counted.
const VALUE: u8 = 2;
/// Success is no proof that its session belongs to the account.
const PROVES_NOTHING: u8 = 4;
/// The request holds several attempts; how many follows.
const TIMES: u8 = 8;
/// The key is that of the subject of the rule before: it is not there again.
const SAME_SUBJECT: u8 = 16;
/// Fewest bytes of a rule: flags, id.
const SMALLEST: usize = 1 + 1;
/// Rules for which room is made at once.
const USUAL: usize = 16;
/// Most bytes of an id: seven bits in each.
const MAX_ID: usize = 10;

/// A rule on the response of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CarriedRule {
    pub rule: u64,
    pub key: u128,
    /// Hash of the value whose variety is counted; 0 for none.
    pub value: u64,
    /// Attempts that the request holds; 0 for one.
    pub times: u8,
    /// Whether the request was counted as an attempt already.
    pub counted: bool,
    /// Whether success is no proof that its session belongs to the account.
    pub proves_nothing: bool,
}

impl CarriedRule {
    /// The subject of its key.
    fn subject(&self) -> u128 {
        Keys::counter(self.key, self.rule)
    }

    /// Bytes of it behind another one.
    fn bytes(&self, before: Option<&Self>) -> usize {
        let id = (64 - self.rule.leading_zeros() as usize).div_ceil(7).max(1);
        let key = if self.has_subject_of(before) { 0 } else { 16 };
        1 + id + key + if self.value == 0 { 0 } else { 8 } + usize::from(self.times > 1)
    }

    fn has_subject_of(&self, before: Option<&Self>) -> bool {
        before.is_some_and(|before| before.subject() == self.subject())
    }

    fn write(&self, before: Option<&Self>, out: &mut Vec<u8>) {
        let has_key = !self.has_subject_of(before);
        let flags = [
            (!has_key, SAME_SUBJECT),
            (self.counted, COUNTED),
            (self.value != 0, VALUE),
            (self.proves_nothing, PROVES_NOTHING),
            (self.times > 1, TIMES),
        ];
        out.push(flags.iter().filter(|(is_set, _)| *is_set).map(|(_, flag)| flag).sum());
        let mut id = self.rule;
        while id >= 0x80 {
            out.push(id as u8 | 0x80);
            id >>= 7;
        }
        out.push(id as u8);
        if has_key {
            out.extend_from_slice(&self.key.to_be_bytes());
        }
        if self.value != 0 {
            out.extend_from_slice(&self.value.to_be_bytes());
        }
        if self.times > 1 {
            out.push(self.times);
        }
    }

    /// The rule at the beginning of `bytes`, behind another one, and what follows it.
    fn read<'b>(bytes: &'b [u8], before: Option<&Self>) -> Option<(Self, &'b [u8])> {
        let (&flags, bytes) = bytes.split_first()?;
        let end = bytes.iter().take(MAX_ID).position(|byte| byte & 0x80 == 0)? + 1;
        let (id, bytes) = bytes.split_at(end);
        let bits = |(place, byte): (usize, &u8)| u64::from(byte & 0x7f).checked_shl(7 * place as u32).unwrap_or(0);
        let rule = id.iter().enumerate().map(bits).fold(0, |id, bits| id | bits);
        let (key, bytes) = match flags & SAME_SUBJECT {
            0 => bytes.split_first_chunk::<16>().map(|(key, bytes)| (u128::from_be_bytes(*key), bytes))?,
            _ => (Keys::counter(before?.subject(), rule), bytes),
        };
        let (value, bytes) = match flags & VALUE {
            0 => (0, bytes),
            _ => bytes.split_first_chunk::<8>().map(|(value, bytes)| (u64::from_be_bytes(*value), bytes))?,
        };
        let (times, bytes) = match flags & TIMES {
            0 => (0, bytes),
            _ => bytes.split_first().map(|(times, bytes)| (*times, bytes))?,
        };
        let (counted, proves_nothing) = (flags & COUNTED != 0, flags & PROVES_NOTHING != 0);
        Some((Self { rule, key, value, times, counted, proves_nothing }, bytes))
    }
}

/// What a request leaves for its response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Hash of the session that the request names; 0 for none.
    pub(super) session: u64,
    /// Hash of its credential; 0 for none.
    pub(super) credential: u64,
    /// Hash of its source.
    pub(super) source: u128,
    /// Hash of the session in whose trail it is noted; 0 for none.
    pub(crate) trail: u64,
    /// Hash of the route of the gateway, if a rule reads the response; 0 for none.
    pub(super) route: u32,
    rules: Vec<CarriedRule>,
    /// Bytes of `rules`.
    used: usize,
}

impl Carried {
    /// Whether the response tells nothing that is of use.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules that read the response.
    pub(super) fn rules(&self) -> &[CarriedRule] {
        &self.rules
    }

    /// Adds a rule; false if there is no room for it.
    pub(super) fn add(&mut self, rule: CarriedRule) -> bool {
        let used = self.used + rule.bytes(self.rules.last());
        let fits = FIXED + used <= MAX_CARRIED;
        if fits {
            if self.rules.is_empty() {
                self.rules.reserve(USUAL);
            }
            self.rules.push(rule);
            self.used = used;
        }
        fits
    }

    /// Its bytes, at most [`MAX_CARRIED`].
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(FIXED + self.used);
        out.push(VERSION);
        out.extend_from_slice(&self.source.to_be_bytes());
        out.extend_from_slice(&self.session.to_be_bytes());
        out.extend_from_slice(&self.credential.to_be_bytes());
        out.extend_from_slice(&self.trail.to_be_bytes());
        out.extend_from_slice(&self.route.to_be_bytes());
        let mut before = None;
        for rule in &self.rules {
            rule.write(before.replace(rule), &mut out);
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote; what is not of that form is taken as empty.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        Self::read(bytes).unwrap_or_default()
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.strip_prefix(&[VERSION])?;
        let (source, bytes) = bytes.split_first_chunk::<16>()?;
        let (session, bytes) = bytes.split_first_chunk::<8>()?;
        let (credential, bytes) = bytes.split_first_chunk::<8>()?;
        let (trail, bytes) = bytes.split_first_chunk::<8>()?;
        let (route, mut bytes) = bytes.split_first_chunk::<4>()?;
        let mut carried = Self {
            source: u128::from_be_bytes(*source),
            session: u64::from_be_bytes(*session),
            credential: u64::from_be_bytes(*credential),
            trail: u64::from_be_bytes(*trail),
            route: u32::from_be_bytes(*route),
            ..Self::default()
        };
        if FIXED + bytes.len() > MAX_CARRIED {
            return None;
        }
        carried.used = bytes.len();
        carried.rules.reserve(bytes.len() / SMALLEST + 1);
        while !bytes.is_empty() {
            let (rule, rest) = CarriedRule::read(bytes, carried.rules.last())?;
            carried.rules.push(rule);
            bytes = rest;
        }
        Some(carried)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_arrives() {
        let mut carried = Carried { session: 1, credential: 2, source: 3, trail: 4, route: 5, ..Carried::default() };
        let largest = CarriedRule {
            rule: u64::MAX - 1,
            key: u128::MAX - 3,
            value: 5,
            times: 0,
            counted: true,
            proves_nothing: true,
        };
        let other = |n: u64| CarriedRule { rule: largest.rule - n, key: largest.key - u128::from(n) * 999, ..largest };
        let count = (0..).take_while(|&n| carried.add(other(n))).count();
        assert_eq!(count, 22);
        assert!(
            carried.add(CarriedRule { rule: 127, key: 9, times: 3, ..CarriedRule::default() }),
            "a smaller one still fits"
        );
        let bytes = carried.to_bytes();
        assert!(bytes.len() <= MAX_CARRIED);
        assert_eq!(Carried::from_bytes(&bytes), carried);
        assert!(Carried::default().to_bytes().is_empty());
        for cut in 0..bytes.len() {
            assert_ne!(Carried::from_bytes(&bytes[..cut]), carried);
        }
        let mut other = bytes.clone();
        other[0] = 77;
        assert!(Carried::from_bytes(&other).is_empty(), "of another version");
    }

    #[test]
    fn ids_of_every_size_arrive_and_usual_rules_are_many() {
        for rule in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut carried = Carried { source: 1, ..Carried::default() };
            assert!(carried.add(CarriedRule { rule, key: 5, ..CarriedRule::default() }));
            let bytes = carried.to_bytes();
            assert_eq!(bytes.len(), FIXED + carried.used);
            assert_eq!(Carried::from_bytes(&bytes), carried);
        }
        let mut carried = Carried::default();
        let usual = |key| CarriedRule { rule: 1_000, key, counted: true, ..CarriedRule::default() };
        assert_eq!((0..100).filter(|&key| carried.add(usual(key))).count(), 42);
    }

    #[test]
    fn the_key_of_many_rules_is_carried_once() {
        let subject = u128::MAX / 7;
        let of = |subject, rule| CarriedRule { rule, key: Keys::counter(subject, rule), ..CarriedRule::default() };
        let mut carried = Carried { source: 1, ..Carried::default() };
        (1..=100).for_each(|rule| assert!(carried.add(of(subject, rule))));
        (1..=100).for_each(|rule| assert!(carried.add(of(subject + 1, rule))));
        let bytes = carried.to_bytes();
        assert_eq!((bytes.len(), bytes.len() - FIXED), (FIXED + carried.used, 2 * (16 + 100 * 2)));
        assert_eq!(Carried::from_bytes(&bytes), carried);
        let mut orphan = bytes[..FIXED].to_vec();
        orphan.extend([SAME_SUBJECT, 1]);
        assert!(Carried::from_bytes(&orphan).is_empty(), "there is no rule before it");
    }

    #[test]
    fn any_bytes_are_read_without_harm() {
        let mut bytes = vec![0xff; 64];
        bytes[0] = VERSION;
        assert!(Carried::from_bytes(&bytes).is_empty(), "an id that does not end");
        bytes.truncate(FIXED);
        assert!(!Carried::from_bytes(&bytes).is_empty());
    }
}
