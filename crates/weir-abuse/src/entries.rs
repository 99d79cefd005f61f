//! Sources that their behaviour brought on a list, and what analysts excepted. Every entry expires.

use super::keys::KeyHasher;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// An entry is renewed if that prolongs it by more than this, in milliseconds.
const RENEWED_MS: u64 = 5_000;
/// Time between removals of expired entries from a full store, in milliseconds: each looks at all.
const PURGED_MS: u64 = 1_000;

/// Longest source and reason that are kept, in bytes.
const MAX_SOURCE: usize = 200;
const MAX_REASON: usize = 2_000;
/// Longest time on a list, in milliseconds: 30 days, as rules have at most, and a day for clocks that differ.
const MAX_LISTED_MS: u64 = 31 * 86_400_000;
/// Longest exception, in milliseconds: a year, and a day for clocks that differ.
const MAX_EXCEPTED_MS: u64 = 367 * 86_400_000;

/// A hash as 32 hex digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key(pub u128);

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map(Key).map_err(|_| serde::de::Error::custom("expected hex digits"))
    }
}

/// The list of an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Listed {
    /// The graylist.
    #[default]
    Gray,
    /// The denylist.
    Deny,
}

impl Listed {
    /// `gray` or `deny`.
    pub const fn code(self) -> &'static str {
        match self {
            Listed::Gray => "gray",
            Listed::Deny => "deny",
        }
    }
}

/// A source on a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Hash of the source, or of source and session.
    pub subject: Key,
    /// The rule that put it there.
    pub rule: u64,
    /// Key of the rule's counter.
    pub key: Key,
    /// How the key was made.
    #[serde(skip_serializing_if = "Made::is_unknown")]
    pub made: Made,
    /// The list.
    pub list: Listed,
    /// Application; -1 for none.
    pub application: i64,
    /// The source, masked, for people.
    pub source: String,
    /// Why: what a finding of the rule says.
    pub reason: String,
    /// When it was put there, in milliseconds since 1970.
    pub at: u64,
    /// When it expires, in milliseconds since 1970.
    pub expires: u64,
}

impl Entry {
    /// With no more than a node makes, whoever sent it.
    fn bounded(mut self, now: u64) -> Self {
        for (text, most) in [(&mut self.source, MAX_SOURCE), (&mut self.reason, MAX_REASON)] {
            text.truncate(text.floor_char_boundary(most));
        }
        self.expires = self.expires.min(now.saturating_add(MAX_LISTED_MS));
        // By a clock that is ahead it was listed in the future: a decision of now would not lift it.
        self.at = self.at.min(now);
        Self { made: self.made.bounded(), ..self }
    }
}

/// How a key was made. It is found only by nodes that have the same secret, under a rule with the same parts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Made {
    /// The secret, by [`Keys::id`](super::Keys::id); empty if a node of an earlier version made it.
    pub secret: String,
    /// Fingerprint of the parts of the rule's key; 0 if it is not known.
    pub parts: u64,
}

impl Made {
    fn bounded(mut self) -> Self {
        self.secret.truncate(self.secret.floor_char_boundary(MAX_SOURCE));
        self
    }

    /// Whether nothing is known.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// What an analyst decided about one key of a rule: the rule does not apply to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Exception {
    /// The rule.
    pub rule: u64,
    /// Key of its counter.
    pub key: Key,
    /// How the key was made.
    #[serde(skip_serializing_if = "Made::is_unknown")]
    pub made: Made,
    /// The source, masked, for people; empty if it is not known.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    /// When it was decided, in milliseconds since 1970.
    pub at: u64,
    /// Until when it holds, in milliseconds since 1970.
    pub until: u64,
}

impl Exception {
    /// With no more than the control plane makes, whoever sent it.
    fn bounded(mut self, now: u64) -> Self {
        self.source.truncate(self.source.floor_char_boundary(MAX_SOURCE));
        Self { until: self.until.min(now.saturating_add(MAX_EXCEPTED_MS)), made: self.made.bounded(), ..self }
    }
}

/// A change to tell other replicas.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A source was listed.
    Listed(Entry),
    /// A key was excepted.
    Excepted(Exception),
}

impl Change {
    /// With no more than a node or a control plane makes, whoever sent it: texts are cut, times end within bounds of `now`.
    #[must_use]
    pub fn bounded(self, now: u64) -> Self {
        match self {
            Change::Listed(entry) => Change::Listed(entry.bounded(now)),
            Change::Excepted(exception) => Change::Excepted(exception.bounded(now)),
        }
    }
}

/// Where a change is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Place {
    /// Subject, rule and key of an entry.
    Entry(Key, u64, Key),
    /// Rule and key of an exception.
    Exception(u64, Key),
}

impl Place {
    fn of(change: &Change) -> Self {
        match change {
            Change::Listed(entry) => Place::Entry(entry.subject, entry.rule, entry.key),
            Change::Excepted(exception) => Place::Exception(exception.rule, exception.key),
        }
    }
}

#[derive(Debug, Default)]
struct Store {
    entries: HashMap<Key, Vec<Arc<Entry>>, BuildHasherDefault<KeyHasher>>,
    /// Number of entries.
    len: usize,
    /// When expired ones were last removed, in milliseconds since 1970.
    purged: u64,
    exceptions: HashMap<(u64, Key), Exception, BuildHasherDefault<KeyHasher>>,
    /// Changes made here that others do not know yet.
    news: Vec<Change>,
    /// Places in the order of their latest change, and whether the server of this store has to hear of it.
    log: BTreeMap<u64, (Place, bool)>,
    numbers: HashMap<Place, u64>,
}

impl Store {
    /// Gives the change at `place` a number, instead of the one that it had.
    fn note(&mut self, place: Place, number: u64, own: bool) {
        if let Some(before) = self.numbers.insert(place, number) {
            self.log.remove(&before);
        }
        self.log.insert(number, (place, own));
    }

    /// Gives up the number of a place that is no longer stored.
    fn forget(&mut self, place: Place) {
        if let Some(number) = self.numbers.remove(&place) {
            self.log.remove(&number);
        }
    }

    /// The entry of a rule's key for a subject.
    fn entry(&self, subject: Key, rule: u64, key: Key) -> Option<&Arc<Entry>> {
        self.entries.get(&subject)?.iter().find(|entry| (entry.rule, entry.key) == (rule, key))
    }

    /// Until when a key of a rule is excepted; 0 if it is not.
    fn excepted_until(&self, rule: u64, key: Key) -> u64 {
        self.exceptions.get(&(rule, key)).map_or(0, |exception| exception.until)
    }

    /// Whether `entry` says nothing that matters: it is excepted, or hardly prolongs one that is known. Entries are renewed at
    /// most every few seconds, so that a flood of requests is no flood of changes.
    fn is_idle(&self, entry: &Entry) -> bool {
        let known = self.entry(entry.subject, entry.rule, entry.key);
        self.excepted_until(entry.rule, entry.key) > entry.at
            || known.is_some_and(|known| entry.expires <= known.expires + RENEWED_MS)
    }

    /// The change at `place`, if it holds at `now`.
    fn at(&self, place: Place, now: u64) -> Option<Change> {
        match place {
            Place::Entry(subject, rule, key) => {
                let entry = self.entry(subject, rule, key)?;
                (entry.expires > now).then(|| Change::Listed(Entry::clone(entry)))
            }
            Place::Exception(rule, key) => {
                let exception = self.exceptions.get(&(rule, key)).filter(|exception| exception.until > now)?;
                Some(Change::Excepted(exception.clone()))
            }
        }
    }
}

/// Entries and exceptions, at most so many of each. Replicas that have seen the same changes hold the same, in whatever order.
#[derive(Debug)]
pub struct Entries {
    store: RwLock<Store>,
    most: usize,
    len: AtomicUsize,
    exceptions: AtomicUsize,
    version: AtomicU64,
    refused: AtomicU64,
}

impl Entries {
    /// A store of at most `most` entries and as many exceptions.
    pub fn new(most: usize) -> Self {
        let (len, exceptions) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (version, refused) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { store: RwLock::default(), most, len, exceptions, version, refused }
    }

    /// The strictest entry of a source at `now` for requests of `application`.
    pub fn find(&self, subject: Key, application: i64, now: u64) -> Option<Arc<Entry>> {
        if self.len.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let store = self.read();
        let fits = |entry: &&Arc<Entry>| entry.expires > now && entry.application == application;
        let fitting = store.entries.get(&subject)?.iter().filter(fits);
        fitting.max_by_key(|entry| (entry.list == Listed::Deny, entry.expires)).cloned()
    }

    /// The exceptions at present, which cannot change while this is held; `None` if there is none.
    pub fn exceptions(&self) -> Option<Exceptions<'_>> {
        (self.exceptions.load(Ordering::Relaxed) > 0).then(|| Exceptions(self.read()))
    }

    /// Lists a source because of what was seen here. True if that is new.
    pub fn list(&self, entry: Entry, now: u64) -> bool {
        if self.read().is_idle(&entry) {
            return false;
        }
        let added = self.change(Change::Listed(entry.clone()), now, true);
        if added {
            self.write().news.push(Change::Listed(entry));
        }
        added
    }

    /// Excepts a key of a rule, and lifts the entries that it brought.
    pub fn except(&self, exception: Exception, now: u64) {
        if self.change(Change::Excepted(exception.clone()), now, true) {
            self.write().news.push(Change::Excepted(exception));
        }
    }

    /// Applies a change that was made elsewhere, or kept. True if it changed something.
    pub fn apply(&self, change: Change, now: u64) -> bool {
        self.change(change, now, false)
    }

    /// Applies a change of a replica for which this store speaks: [`Self::changes`] has it among the own ones. True if it
    /// changed something.
    pub fn accept(&self, change: Change, now: u64) -> bool {
        self.change(change, now, true)
    }

    fn change(&self, change: Change, now: u64, own: bool) -> bool {
        let mut store = self.write();
        let place = Place::of(&change);
        let changed = match change.bounded(now) {
            Change::Listed(entry) => self.insert(&mut store, entry, now),
            Change::Excepted(exception) => self.insert_exception(&mut store, exception, now),
        };
        self.note_sizes(&store);
        if changed {
            // Under the lock, so that numbers are given in order.
            let number = self.version.fetch_add(1, Ordering::Relaxed) + 1;
            store.note(place, number, own);
        }
        changed
    }

    /// At most `most` changes past number `after` that hold at `now`, in order, and the number up to which these are all;
    /// with `own` only those made or accepted here. A place that changed again has only its latest change.
    pub fn changes(&self, after: u64, most: usize, own: bool, now: u64) -> (Vec<Change>, u64) {
        let newest = self.version();
        if newest <= after {
            return (Vec::new(), newest);
        }
        let store = self.read();
        let (mut changes, mut last) = (Vec::new(), after);
        for (&number, &(place, is_own)) in store.log.range(after + 1..) {
            if changes.len() == most {
                return (changes, last);
            }
            changes.extend(store.at(place, now).filter(|_| is_own || !own));
            last = number;
        }
        (changes, last)
    }

    fn insert(&self, store: &mut Store, entry: Entry, now: u64) -> bool {
        if entry.expires <= now || store.is_idle(&entry) {
            return false;
        }
        let list = store.entries.get_mut(&entry.subject);
        let same = |known: &&mut Arc<Entry>| (known.rule, known.key) == (entry.rule, entry.key);
        if let Some(known) = list.and_then(|list| list.iter_mut().find(same)) {
            *known = Arc::new(entry);
            return true;
        }
        if store.len >= self.most && store.purged + PURGED_MS <= now {
            purge(store, now);
        }
        if store.len >= self.most {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        store.len += 1;
        store.entries.entry(entry.subject).or_default().push(Arc::new(entry));
        true
    }

    fn insert_exception(&self, store: &mut Store, exception: Exception, now: u64) -> bool {
        let is_new = exception.until > now && !store.exceptions.contains_key(&(exception.rule, exception.key));
        if is_new && store.exceptions.len() >= self.most && store.purged + PURGED_MS <= now {
            purge(store, now);
        }
        if is_new && store.exceptions.len() >= self.most {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        insert_exception(store, exception, now)
    }

    fn note_sizes(&self, store: &Store) {
        self.len.store(store.len, Ordering::Relaxed);
        self.exceptions.store(store.exceptions.len(), Ordering::Relaxed);
    }

    /// What was changed here since the last call.
    pub fn take_news(&self) -> Vec<Change> {
        if self.read().news.is_empty() { Vec::new() } else { std::mem::take(&mut self.write().news) }
    }

    /// Everything that holds at `now`, to be kept or shown.
    pub fn all(&self, now: u64) -> Vec<Change> {
        let store = self.read();
        let entries = store.entries.values().flatten().filter(|entry| entry.expires > now);
        let exceptions = store.exceptions.values().filter(|exception| exception.until > now);
        let entries = entries.map(|entry| Change::Listed(Entry::clone(entry)));
        entries.chain(exceptions.cloned().map(Change::Excepted)).collect()
    }

    /// Removes what has expired.
    pub fn purge(&self, now: u64) {
        let mut store = self.write();
        purge(&mut store, now);
        self.note_sizes(&store);
    }

    /// Entries at present.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Increases with each change.
    pub fn version(&self) -> u64 {
        self.version.load(Ordering::Relaxed)
    }

    /// Entries and exceptions not made because the store was full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The exceptions of a store.
#[derive(Debug)]
pub struct Exceptions<'e>(RwLockReadGuard<'e, Store>);

impl Exceptions<'_> {
    /// Whether the rule does not apply to this key.
    pub fn cover(&self, rule: u64, key: Key, now: u64) -> bool {
        self.0.excepted_until(rule, key) > now
    }
}

fn insert_exception(store: &mut Store, exception: Exception, now: u64) -> bool {
    let place = (exception.rule, exception.key);
    let known = store.exceptions.get(&place);
    if known.is_some_and(|known| known.at >= exception.at) {
        return false;
    }
    if exception.until <= now {
        // Whoever was away when an exception was ended early still ends it.
        store.forget(Place::Exception(place.0, place.1));
        return store.exceptions.remove(&place).is_some();
    }
    let lifted = |entry: &Arc<Entry>| (entry.rule, entry.key) == place && entry.at <= exception.until;
    remove(store, lifted);
    store.exceptions.insert(place, exception);
    true
}

/// Removes the entries that are `gone`.
fn remove(store: &mut Store, gone: impl Fn(&Arc<Entry>) -> bool) {
    let mut places = Vec::new();
    for list in store.entries.values_mut() {
        list.retain(|entry| {
            let is_gone = gone(entry);
            if is_gone {
                places.push(Place::Entry(entry.subject, entry.rule, entry.key));
            }
            !is_gone
        });
    }
    store.entries.retain(|_, list| !list.is_empty());
    store.len -= places.len();
    places.into_iter().for_each(|place| store.forget(place));
}

fn purge(store: &mut Store, now: u64) {
    store.purged = now;
    remove(store, |entry| entry.expires <= now);
    let expired = store.exceptions.values().filter(|exception| exception.until <= now);
    let expired: Vec<(u64, Key)> = expired.map(|exception| (exception.rule, exception.key)).collect();
    for (rule, key) in expired {
        store.exceptions.remove(&(rule, key));
        store.forget(Place::Exception(rule, key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(subject: u128, expires: u64) -> Entry {
        Entry { subject: Key(subject), rule: 1, key: Key(subject), at: 100, expires, ..Entry::default() }
    }

    #[test]
    fn entries_expire_and_the_strictest_counts() {
        let entries = Entries::new(10);
        assert!(entries.list(entry(1, 20_000), 100));
        assert!(entries.list(Entry { rule: 2, list: Listed::Deny, ..entry(1, 9_000) }, 100));
        assert_eq!(entries.find(Key(1), 0, 200).map(|e| e.list), Some(Listed::Deny));
        assert_eq!(entries.find(Key(1), 0, 9_000).map(|e| e.list), Some(Listed::Gray));
        assert_eq!(entries.find(Key(1), 5, 200), None, "another application");
        assert_eq!(entries.find(Key(1), 0, 20_000), None);
        assert_eq!(entries.take_news().len(), 2);
        assert!(entries.take_news().is_empty());
    }

    #[test]
    fn an_exception_lifts_and_keeps_away_until_it_ends() {
        let entries = Entries::new(10);
        entries.list(entry(1, 20_000), 100);
        entries.except(Exception { rule: 1, key: Key(1), at: 200, until: 5_000, ..Exception::default() }, 200);
        assert_eq!(entries.find(Key(1), 0, 300), None);
        assert!(!entries.list(Entry { at: 300, ..entry(1, 30_000) }, 300));
        let exceptions = entries.exceptions().unwrap();
        assert!(exceptions.cover(1, Key(1), 300) && !exceptions.cover(2, Key(1), 300));
        drop(exceptions);
        assert!(entries.list(Entry { at: 5_000, ..entry(1, 30_000) }, 5_000));
    }

    #[test]
    fn replicas_agree_in_whatever_order_changes_come() {
        let changes = [
            Change::Listed(entry(1, 20_000)),
            Change::Excepted(Exception { rule: 1, key: Key(1), at: 200, until: 5_000, ..Exception::default() }),
            Change::Listed(entry(2, 30_000)),
        ];
        let [a, b] = [Entries::new(10), Entries::new(10)];
        changes.iter().for_each(|change| {
            a.apply(change.clone(), 250);
        });
        changes.iter().rev().for_each(|change| {
            b.apply(change.clone(), 250);
        });
        let sorted = |entries: &Entries| {
            let mut all: Vec<String> = entries.all(250).iter().map(|c| serde_json::to_string(c).unwrap()).collect();
            all.sort();
            all
        };
        assert_eq!(sorted(&a), sorted(&b));
        assert_eq!(sorted(&a).len(), 2);
        assert!(a.take_news().is_empty(), "changes of others are no news");
    }

    #[test]
    fn changes_are_told_in_order_and_only_once() {
        let entries = Entries::new(10);
        (1..=3).for_each(|n| {
            entries.list(entry(n, 20_000), 100);
        });
        entries.apply(entry_of_others(4), 100);
        entries.accept(entry_of_others(5), 100);
        let subjects = |changes: &[Change]| -> Vec<u128> {
            changes.iter().map(|change| if let Change::Listed(entry) = change { entry.subject.0 } else { 0 }).collect()
        };
        let (first, last) = entries.changes(0, 2, false, 200);
        assert_eq!((subjects(&first), last), (vec![1, 2], 2));
        entries.list(entry(1, 90_000), 200);
        let (second, last) = entries.changes(last, 10, false, 200);
        assert_eq!((subjects(&second), last), (vec![3, 4, 5, 1], 6));
        assert_eq!(entries.changes(last, 10, false, 200), (Vec::new(), 6));
        assert_eq!(subjects(&entries.changes(0, 10, true, 200).0), [2, 3, 5, 1], "without that of another");
        entries.except(Exception { rule: 1, key: Key(3), at: 300, until: 5_000, ..Exception::default() }, 300);
        assert_eq!(subjects(&entries.changes(2, 10, false, 300).0), [4, 5, 1, 0], "what was lifted is not told");
        entries.purge(50_000);
        assert_eq!(subjects(&entries.changes(0, 10, false, 50_000).0), [1]);
        assert_eq!(entries.read().log.len(), 1);
    }

    fn entry_of_others(subject: u128) -> Change {
        Change::Listed(entry(subject, 20_000))
    }

    #[test]
    fn a_full_store_refuses_and_counts() {
        let entries = Entries::new(2);
        assert_eq!((1..=3).filter(|&n| entries.list(entry(n, 9_000), 100)).count(), 2);
        assert_eq!((entries.len(), entries.refused()), (2, 1));
        assert!(entries.list(Entry { at: 9_500, ..entry(3, 20_000) }, 9_500), "the others have expired");
    }

    #[test]
    fn what_others_report_is_bounded() {
        let entries = Entries::new(3);
        let long = "\u{e9}".repeat(100_000);
        let made = Made { secret: long.clone(), parts: 1 };
        let entry = Entry { source: long.clone(), reason: long.clone(), made: made.clone(), ..entry(1, u64::MAX) };
        assert!(entries.apply(Change::Listed(entry), 100));
        let kept = entries.find(Key(1), 0, 200).unwrap();
        assert!(kept.source.len() + kept.reason.len() + kept.made.secret.len() <= 2_400);
        assert_eq!(kept.expires, 100 + MAX_LISTED_MS);
        let exception = |key: u128| Exception {
            rule: 9,
            key: Key(key),
            made: made.clone(),
            source: long.clone(),
            at: 200,
            until: u64::MAX,
        };
        let taken = (0..100).filter(|&key| entries.apply(Change::Excepted(exception(key)), 200)).count();
        assert_eq!((taken, entries.refused()), (3, 97));
        let exceptions = entries.exceptions().unwrap();
        assert!(exceptions.cover(9, Key(2), MAX_EXCEPTED_MS) && !exceptions.cover(9, Key(2), 200 + MAX_EXCEPTED_MS));
    }

    #[test]
    fn keys_survive_json() {
        let change = Change::Listed(entry(u128::MAX - 5, 7));
        let text = serde_json::to_string(&change).unwrap();
        assert_eq!(serde_json::from_str::<Change>(&text).unwrap(), change);
        assert!(serde_json::from_str::<Change>(r#"{"listed": {"key": "xyz"}}"#).is_err());
    }
}
