//! Sampling: of identical hits, the first five per hour are recorded individually; the rest are folded and counted exactly.
//!
//! Folded hits are represented by one record with [`Hit::folded`], written at the next [`Sampler::flush`]. Counts since the
//! last flush are lost if the process is killed; the default, recording every hit, avoids that.

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::hash::{BuildHasher, Hash};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};
use weir_protocol::hit::Hit;

/// Identical hits per window that are recorded individually, as documented.
const FIRST: u32 = 5;
/// The window, as documented.
const WINDOW: Duration = Duration::from_secs(3600);
/// Largest number of fingerprints; beyond it, hits are recorded individually.
const MAX_FINGERPRINTS: usize = 16_384;
/// Bytes of records that wait for a flush; beyond this, hits are recorded individually.
const MAX_WAITING: usize = 8 << 20;

/// Hash of the properties that identical hits share, with two random keys per process, so that collisions cannot be
/// constructed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HitFingerprint(u64, u64);

/// What to do with a hit.
#[derive(Debug, PartialEq, Eq)]
pub enum SamplingDecision {
    /// Record it individually.
    Record,
    /// It was counted; do not record it.
    Fold,
}

#[derive(Debug)]
struct HitGroup {
    since: Instant,
    count: u32,
    folded: u64,
    /// The first hit folded since the last flush.
    sample: Option<Box<Hit>>,
}

#[derive(Debug, Default)]
struct SamplerState {
    fingerprints: HashMap<HitFingerprint, HitGroup>,
    /// Approximate size of the samples in bytes.
    waiting: usize,
}

/// Folds identical hits.
#[derive(Debug, Default)]
pub struct Sampler {
    state: Mutex<SamplerState>,
    hashers: (RandomState, RandomState),
}

impl Sampler {
    /// The fingerprint of a hit with these attributes.
    pub fn fingerprint(&self, attributes: impl Hash) -> HitFingerprint {
        HitFingerprint(self.hashers.0.hash_one(&attributes), self.hashers.1.hash_one(&attributes))
    }

    /// Decides about a hit at `now`; `make` is called to build the record that represents folded hits.
    pub fn decide(&self, fingerprint: HitFingerprint, now: Instant, make: impl FnOnce() -> Hit) -> SamplingDecision {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.fingerprints.len() >= MAX_FINGERPRINTS && !state.fingerprints.contains_key(&fingerprint) {
            state.fingerprints.retain(|_, seen| seen.folded > 0 || now.duration_since(seen.since) < WINDOW);
            if state.fingerprints.len() >= MAX_FINGERPRINTS {
                return SamplingDecision::Record;
            }
        }
        let SamplerState { fingerprints, waiting } = &mut *state;
        let seen = match fingerprints.entry(fingerprint) {
            Entry::Occupied(seen) => seen.into_mut(),
            Entry::Vacant(place) => place.insert(HitGroup { since: now, count: 0, folded: 0, sample: None }),
        };
        if now.duration_since(seen.since) >= WINDOW {
            (seen.since, seen.count) = (now, 0);
        }
        if seen.count < FIRST {
            seen.count += 1;
            return SamplingDecision::Record;
        }
        if seen.sample.is_none() {
            if *waiting >= MAX_WAITING {
                return SamplingDecision::Record;
            }
            let hit = make();
            *waiting += bytes(&hit);
            seen.sample = Some(Box::new(hit));
        }
        seen.folded += 1;
        SamplingDecision::Fold
    }

    /// The records of the hits folded since the last flush; each stands for itself and [`Hit::folded`] others.
    pub fn flush(&self) -> Vec<Hit> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.waiting = 0;
        let take = |seen: &mut HitGroup| {
            let mut hit = *seen.sample.take()?;
            hit.folded = std::mem::take(&mut seen.folded).saturating_sub(1);
            Some(hit)
        };
        state.fingerprints.values_mut().filter_map(take).collect()
    }
}

/// Approximate size of a record in bytes.
fn bytes(hit: &Hit) -> usize {
    hit.request.raw.len()
        + hit.request.path.len()
        + hit.findings.iter().map(|f| f.matched.len() + 256).sum::<usize>()
        + 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit() -> Hit {
        Hit::default()
    }

    #[test]
    fn the_first_five_an_hour_are_recorded_and_the_rest_is_counted() {
        let (sampler, start) = (Sampler::default(), Instant::now());
        let (a, b) = (sampler.fingerprint(("a", 1)), sampler.fingerprint(("b", 1)));
        let decide = |fingerprint, at| sampler.decide(fingerprint, start + Duration::from_secs(at), hit);
        let first: Vec<_> = (0..12).map(|_| decide(a, 0)).collect();
        assert!(
            first[..5].iter().all(|s| *s == SamplingDecision::Record)
                && first[5..].iter().all(|s| *s == SamplingDecision::Fold)
        );
        assert_eq!(decide(b, 1), SamplingDecision::Record);
        let flushed = sampler.flush();
        assert_eq!(flushed.iter().map(|hit| hit.folded).collect::<Vec<_>>(), [6]);
        assert!(sampler.flush().is_empty());
        assert_eq!(decide(a, 3599), SamplingDecision::Fold);
        assert_eq!(decide(a, 3600), SamplingDecision::Record);
        assert_eq!(sampler.flush()[0].folded, 0);
    }

    #[test]
    fn memory_is_bounded_and_every_hit_is_recorded_or_counted() {
        let (sampler, now) = (Sampler::default(), Instant::now());
        let large = || Hit {
            request: weir_protocol::hit::HitRequest { raw: "x".repeat(1 << 20), ..Default::default() },
            ..hit()
        };
        let (mut record, mut total) = (0, 0);
        for n in 0..MAX_FINGERPRINTS + 100 {
            for _ in 0..if n < 50 { 10 } else { 1 } {
                total += 1;
                record += u64::from(sampler.decide(sampler.fingerprint(n), now, large) == SamplingDecision::Record);
            }
        }
        assert!(sampler.state.lock().unwrap().fingerprints.len() <= MAX_FINGERPRINTS);
        let flushed = sampler.flush();
        assert!(flushed.len() <= 9, "{} records wait", flushed.len());
        let folded: u64 = flushed.iter().map(|hit| hit.folded + 1).sum();
        assert_eq!(record + folded, total);
    }
}
