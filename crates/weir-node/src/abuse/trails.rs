//! The latest requests of each session, until those of noted sessions are shipped to the control plane: sessions with a hit,
//! or past half of a limit. Memory is bounded; sessions that were not seen for longest go first.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use weir_protocol::node_api::{MAX_SESSION_REQUESTS, SessionRequest, SessionTrail};

const SHARDS: usize = 16;
/// Sessions of one generation of a shard; two generations are kept.
const GENERATION: usize = 1_000;
/// Bytes of one generation of a shard.
const GENERATION_BYTES: usize = 1 << 20;
/// Longest path kept, in bytes.
const MAX_PATH: usize = 200;
/// Longest method kept, in bytes.
const MAX_METHOD: usize = 16;
/// Longest note kept, in bytes.
const MAX_NOTE: usize = 300;
/// Bytes of a request besides its texts, and of a session.
const OVERHEAD: usize = 200;

/// A request of a session.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// Hash of the session; 0 for none.
    pub session: u64,
    /// Application; -1 for none.
    pub application: i64,
    /// The client's address.
    pub client: &'a str,
    /// What happened, without a status yet; texts that are too long are cut.
    pub request: SessionRequest,
    /// Whether the session is to be shipped from now on.
    pub noted: bool,
}

#[derive(Debug, Default)]
struct Trail {
    application: i64,
    client: String,
    requests: VecDeque<SessionRequest>,
    /// How many of the last requests were not shipped.
    fresh: usize,
    noted: bool,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Shard {
    new: HashMap<u64, Trail>,
    old: HashMap<u64, Trail>,
    /// Bytes of `new`.
    bytes: usize,
}

/// The latest requests of sessions.
#[derive(Debug)]
pub struct Trails {
    shards: Vec<Mutex<Shard>>,
    shipped: AtomicBool,
    dropped: AtomicU64,
}

impl Default for Trails {
    fn default() -> Self {
        let shards = (0..SHARDS).map(|_| Mutex::default()).collect();
        Self { shards, shipped: AtomicBool::new(false), dropped: AtomicU64::new(0) }
    }
}

impl Trails {
    /// Begins to note requests: from now on those of noted sessions are shipped.
    pub fn enable(&self) {
        self.shipped.store(true, Ordering::Relaxed);
    }

    /// Whether requests are noted.
    pub fn is_enabled(&self) -> bool {
        self.shipped.load(Ordering::Relaxed)
    }

    /// Notes a request.
    pub fn add(&self, step: Step<'_>) {
        if step.session == 0 || !self.is_enabled() {
            return;
        }
        let mut request = step.request;
        cut(&mut request.method, MAX_METHOD);
        cut(&mut request.path, MAX_PATH);
        cut(&mut request.note, MAX_NOTE);
        let mut shard = self.shard(step.session);
        let mut trail = match shard.new.remove(&step.session) {
            Some(trail) => {
                shard.bytes = shard.bytes.saturating_sub(trail.bytes);
                trail
            }
            None => shard.old.remove(&step.session).unwrap_or_default(),
        };
        trail.application = step.application;
        step.client.clone_into(&mut trail.client);
        trail.noted |= step.noted;
        trail.push(request);
        if shard.new.len() >= GENERATION || shard.bytes + trail.bytes > GENERATION_BYTES {
            let new = std::mem::take(&mut shard.new);
            let gone = std::mem::replace(&mut shard.old, new);
            shard.bytes = 0;
            let lost: usize = gone.values().filter(|trail| trail.noted).map(|trail| trail.fresh).sum();
            self.dropped.fetch_add(lost as u64, Ordering::Relaxed);
        }
        shard.bytes += trail.bytes;
        shard.new.insert(step.session, trail);
    }

    /// Notes the status of the response to the request of `session` at `time`, in milliseconds since 1970.
    pub fn answered(&self, session: u64, time: u64, status: u16) {
        if session == 0 || !self.is_enabled() {
            return;
        }
        let mut shard = self.shard(session);
        let Shard { new, old, .. } = &mut *shard;
        if let Some(trail) = new.get_mut(&session).or_else(|| old.get_mut(&session)) {
            // One that was shipped already keeps what was known then.
            let fresh = trail.fresh;
            let open = trail.requests.iter_mut().rev().take(fresh);
            if let Some(request) = open.into_iter().find(|request| request.time == time && request.status == 0) {
                request.status = status;
            }
        }
    }

    /// Takes what was not shipped of noted sessions and is older than `before` (milliseconds since 1970), so that responses
    /// have come; at most `most` requests. `name` gives a session its name outside the node.
    pub fn take(&self, most: usize, before: u64, name: impl Fn(u64) -> String) -> Vec<SessionTrail> {
        let (mut trails, mut count) = (Vec::new(), 0);
        for number in 0..SHARDS {
            let mut shard = self.lock(number);
            let Shard { new, old, .. } = &mut *shard;
            for (&session, trail) in new.iter_mut().chain(old.iter_mut()).filter(|(_, trail)| trail.noted) {
                let fresh = trail.requests.len().saturating_sub(trail.fresh);
                let ready: Vec<SessionRequest> =
                    trail.requests.iter().skip(fresh).take_while(|request| request.time < before).cloned().collect();
                if ready.is_empty() || count + ready.len() > most {
                    continue;
                }
                count += ready.len();
                trail.fresh -= ready.len();
                let (application, client) = (trail.application, trail.client.clone());
                trails.push(SessionTrail { session: name(session), application, client, requests: ready });
            }
        }
        trails
    }

    /// Requests of noted sessions that were not shipped, for lack of memory.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    fn shard(&self, session: u64) -> MutexGuard<'_, Shard> {
        self.lock(session as usize % SHARDS)
    }

    fn lock(&self, number: usize) -> MutexGuard<'_, Shard> {
        self.shards[number].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Trail {
    fn push(&mut self, request: SessionRequest) {
        self.bytes += size(&request);
        self.requests.push_back(request);
        self.fresh += 1;
        if self.requests.len() > MAX_SESSION_REQUESTS
            && let Some(gone) = self.requests.pop_front()
        {
            self.bytes = self.bytes.saturating_sub(size(&gone));
            // Only the last ones of a session are shipped.
            self.fresh = self.fresh.min(self.requests.len());
        }
    }
}

fn size(request: &SessionRequest) -> usize {
    OVERHEAD + request.path.len() + request.method.len() + request.note.len() + request.hit.len()
}

/// Cuts `text` to at most `most` bytes, at a character.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(session: u64, time: u64, noted: bool) -> Step<'static> {
        let request =
            SessionRequest { time, method: "GET".into(), path: format!("/{time}"), ..SessionRequest::default() };
        Step { session, application: 3, client: "198.51.100.7", request, noted }
    }

    fn enabled() -> Trails {
        let trails = Trails::default();
        trails.enable();
        trails
    }

    fn times(taken: &[SessionTrail]) -> Vec<u64> {
        taken.iter().flat_map(|trail| trail.requests.iter().map(|request| request.time)).collect()
    }

    #[test]
    fn requests_before_and_after_a_session_is_noted_are_shipped_once() {
        let trails = enabled();
        (1..=3).for_each(|time| trails.add(step(7, time, false)));
        trails.add(step(8, 1, false));
        assert!(trails.take(100, 10, |_| String::new()).is_empty());
        trails.add(step(7, 4, true));
        trails.answered(7, 2, 404);
        let taken = trails.take(100, 4, |session| format!("s{session}"));
        assert_eq!((times(&taken), &*taken[0].session), (vec![1, 2, 3], "s7"));
        assert_eq!(taken[0].requests.iter().map(|one| one.status).collect::<Vec<_>>(), [0, 404, 0]);
        trails.add(step(7, 5, false));
        assert_eq!(times(&trails.take(100, 10, |_| String::new())), [4, 5], "it stays noted");
        assert!(trails.take(100, 10, |_| String::new()).is_empty());
    }

    #[test]
    fn the_last_requests_of_a_session_are_kept() {
        let trails = enabled();
        (0..500).for_each(|time| trails.add(step(7, time, true)));
        assert!(trails.take(10, 1_000, |_| String::new()).is_empty(), "more than fits at once");
        let taken = times(&trails.take(1_000, 1_000, |_| String::new()));
        assert_eq!((taken.len(), taken[0]), (MAX_SESSION_REQUESTS, 300));
        let mut long = step(9, 1, true);
        long.request.path = "\u{e9}".repeat(500);
        trails.add(long);
        assert_eq!(trails.take(1_000, 1_000, |_| String::new())[0].requests[0].path.len(), MAX_PATH);
    }

    #[test]
    fn memory_is_bounded_and_losses_are_counted() {
        let trails = enabled();
        trails.add(step(5, 1, true));
        (1..100_000).for_each(|session| trails.add(step(session * 16 + 5, 2, false)));
        let shard = trails.lock(5);
        assert!(shard.new.len() + shard.old.len() <= 2 * GENERATION);
        assert!(shard.new.values().map(|trail| trail.bytes).sum::<usize>() == shard.bytes);
        drop(shard);
        assert_eq!(trails.dropped(), 1, "the session that was noted");
        let off = Trails::default();
        off.add(step(5, 1, true));
        assert!(off.take(10, 10, |_| String::new()).is_empty());
    }
}
