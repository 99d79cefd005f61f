//! What a response must know of its request, for the rules that read responses.

/// Rules carried.
const MAX_RULES: usize = 4;
/// Bytes of a rule: id, key, value, whether it was counted.
const RULE_BYTES: usize = 8 + 16 + 8 + 1;
const FIXED: usize = 16 + 8 + 8;
/// Most bytes of it.
pub const MAX_CARRIED: usize = FIXED + MAX_RULES * RULE_BYTES;

/// A rule on the response of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CarriedRule {
    pub rule: u64,
    pub key: u128,
    /// Hash of the value whose variety is counted.
    pub value: u64,
    /// Whether the request was counted as an attempt already.
    pub counted: bool,
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
    pub(super) rules: Vec<CarriedRule>,
}

impl Carried {
    /// Whether the response tells nothing that is of use.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn has_room(&self) -> bool {
        self.rules.len() < MAX_RULES
    }

    /// Its bytes, at most [`MAX_CARRIED`].
    pub fn to_bytes(&self) -> Vec<u8> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut out = Vec::with_capacity(MAX_CARRIED);
        out.extend_from_slice(&self.source.to_be_bytes());
        out.extend_from_slice(&self.session.to_be_bytes());
        out.extend_from_slice(&self.credential.to_be_bytes());
        for rule in self.rules.iter().take(MAX_RULES) {
            out.extend_from_slice(&rule.rule.to_be_bytes());
            out.extend_from_slice(&rule.key.to_be_bytes());
            out.extend_from_slice(&rule.value.to_be_bytes());
            out.push(u8::from(rule.counted));
        }
        out
    }

    /// Reads what [`Self::to_bytes`] wrote; what is not of that form is taken as empty.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let Some((fixed, rules)) = bytes.split_at_checked(FIXED) else { return Self::default() };
        let read = |bytes: &[u8]| bytes.iter().fold(0u128, |number, byte| number << 8 | u128::from(*byte));
        let rule = |bytes: &[u8]| CarriedRule {
            rule: read(&bytes[..8]) as u64,
            key: read(&bytes[8..24]),
            value: read(&bytes[24..32]) as u64,
            counted: bytes[32] != 0,
        };
        Self {
            source: read(&fixed[..16]),
            session: read(&fixed[16..24]) as u64,
            credential: read(&fixed[24..]) as u64,
            rules: rules.chunks_exact(RULE_BYTES).map(rule).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_carried_arrives() {
        let rule = CarriedRule { rule: 7, key: u128::MAX - 3, value: 5, counted: true };
        let carried = Carried { session: 1, credential: 2, source: 3, rules: vec![rule; MAX_RULES] };
        let bytes = carried.to_bytes();
        assert_eq!(bytes.len(), MAX_CARRIED);
        assert_eq!(Carried::from_bytes(&bytes), carried);
        assert!(Carried::default().to_bytes().is_empty());
        (0..bytes.len()).for_each(|cut| drop(Carried::from_bytes(&bytes[..cut])));
        assert!(Carried::from_bytes(&bytes[..10]).is_empty());
    }
}
