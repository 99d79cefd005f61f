//! Copies that a connector sends again because it did not hear that they arrived: each counts once.

use super::call::CallHeaders;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

/// Copies remembered in each of two generations: a connector gives up a copy after seconds.
const GENERATION: usize = 65_536;

/// The copies that were taken lately, as hashes under a key of this process.
#[derive(Default)]
pub struct Repeats {
    key: RandomState,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    young: HashSet<u64>,
    old: HashSet<u64>,
}

impl Repeats {
    /// Whether `call` is a further attempt at a copy that was taken.
    pub fn is_repeat(&self, call: &CallHeaders) -> bool {
        call.attempt > 1 && {
            let hash = self.hash(call);
            let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
            taken.young.contains(&hash) || taken.old.contains(&hash)
        }
    }

    /// Remembers that `call` was taken.
    pub fn took(&self, call: &CallHeaders) {
        let hash = self.hash(call);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.young.len() >= GENERATION {
            taken.old = std::mem::take(&mut taken.young);
        }
        taken.young.insert(hash);
    }

    fn hash(&self, call: &CallHeaders) -> u64 {
        self.key.hash_one((call.connector.as_str(), call.request_id.as_str(), call.direction.code()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_inspector::call::Direction;
    use http::{HeaderMap, HeaderValue};

    fn call(leg: Direction, id: &str, attempt: &'static str) -> CallHeaders {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("message/http"));
        headers.insert("inspector-request-id", HeaderValue::from_str(id).unwrap());
        headers.insert("inspector-client", HeaderValue::from_static("203.0.113.9"));
        headers.insert("inspector-connector", HeaderValue::from_static("test/1"));
        headers.insert("inspector-attempt", HeaderValue::from_static(attempt));
        CallHeaders::parse(leg, &headers).unwrap()
    }

    #[test]
    fn a_further_attempt_at_what_was_taken_is_a_repeat() {
        let repeats = Repeats::default();
        let again = call(Direction::Response, "a", "2");
        assert!(!repeats.is_repeat(&again), "the first attempt did not arrive");
        repeats.took(&call(Direction::Response, "a", "1"));
        assert!(repeats.is_repeat(&again));
        assert!(
            !repeats.is_repeat(&call(Direction::Request, "a", "2"))
                && !repeats.is_repeat(&call(Direction::Response, "b", "2"))
        );
        assert!(!repeats.is_repeat(&call(Direction::Response, "a", "1")), "a first attempt is no repeat");
    }

    #[test]
    fn only_the_latest_are_remembered() {
        let repeats = Repeats::default();
        repeats.took(&call(Direction::Response, "first", "1"));
        for number in 0..2 * GENERATION {
            repeats.took(&call(Direction::Response, &number.to_string(), "1"));
        }
        assert!(!repeats.is_repeat(&call(Direction::Response, "first", "2")));
        assert!(repeats.is_repeat(&call(Direction::Response, &(2 * GENERATION - 1).to_string(), "2")));
        let taken = repeats.taken.lock().unwrap();
        assert!(taken.young.len() <= GENERATION && taken.old.len() <= GENERATION);
    }
}
