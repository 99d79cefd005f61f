//! Which verdicts are traced, and their ids.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use weir_runtime::telemetry::TraceParent;

/// Random numbers for ids and sampling: keyed hashes of a counter. They need not be secret, and take no lock.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    key: RandomState,
    next: AtomicU64,
}

impl Numbers {
    fn number(&self) -> u64 {
        self.key.hash_one(self.next.fetch_add(1, Ordering::Relaxed))
    }

    /// An id, which is never zero.
    pub fn span_id(&self) -> [u8; 8] {
        self.number().max(1).to_be_bytes()
    }

    /// A trace id, which is never zero.
    fn trace_id(&self) -> [u8; 16] {
        ((u128::from(self.number()) << 64) | u128::from(self.number().max(1))).to_be_bytes()
    }

    /// The trace of a call, if it is traced: as its caller decided, or without one, for this part of all calls.
    pub fn sample(&self, parent: Option<TraceParent<'_>>, ratio: f64) -> Option<Sampled> {
        match parent {
            Some(parent) if !parent.is_sampled() => None,
            Some(parent) => Some(Sampled { trace: id(parent.trace_id()), parent: Some(id(parent.span_id())) }),
            // 53 bits are what a float holds exactly.
            None => {
                let drawn = (self.number() >> 11) as f64 / (1_u64 << 53) as f64;
                (drawn < ratio).then(|| Sampled { trace: self.trace_id(), parent: None })
            }
        }
    }
}

/// The trace that a verdict belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// Trace id.
    pub trace: [u8; 16],
    /// The caller's span; none if the trace begins here.
    pub parent: Option<[u8; 8]>,
}

/// Bytes of an id in hexadecimal digits, which were checked.
fn id<const N: usize>(hex: &str) -> [u8; N] {
    let digit = |at: usize| hex.as_bytes().get(at).and_then(|&b| char::from(b).to_digit(16)).unwrap_or(0) as u8;
    std::array::from_fn(|at| digit(2 * at) << 4 | digit(2 * at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_decides_and_without_one_the_ratio() {
        let numbers = Numbers::default();
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0";
        let of = |flags: &str, ratio| {
            let text = format!("{text}{flags}");
            numbers.sample(TraceParent::parse(&text), ratio)
        };
        let sampled = of("1", 0.0).unwrap();
        assert_eq!(sampled.trace[..3], [0x4b, 0xf9, 0x2f]);
        assert_eq!(sampled.parent, Some([0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 0x02, 0xb7]));
        assert_eq!((of("0", 1.0), of("3", 0.0).map(|one| one.trace)), (None, Some(sampled.trace)));
        assert_eq!(numbers.sample(None, 0.0), None);
        let ids: std::collections::HashSet<_> = (0..100).map(|_| numbers.sample(None, 1.0).unwrap().trace).collect();
        assert_eq!(ids.len(), 100);
        let some = (0..10_000).filter(|_| numbers.sample(None, 0.25).is_some()).count();
        assert!((2_000..3_000).contains(&some), "{some}");
    }
}
