//! The parts of keys that the rules of one request count by: each is read and hashed once, however many rules name it.

use super::points::{AtPoint, at_points};
use super::request::{RequestView, Subject};
use super::spelling::folded;
use super::values::{self, PartValues};
use super::{Abuse, counted_address};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use weir_abuse::Keys;
use weir_core::model::Tag;
use weir_policy::{AbuseGroup, AbuseKind, AbuseRule, KeyPart, Plan};

/// Subjects under which one request may count for one rule: repeated names give several. Where there are more, only the first
/// and the last value of each part count, which are those that upstreams take.
const MAX_SUBJECTS: usize = 16;
/// Accounts of one request that count: the first ones and the last one.
const MAX_ACCOUNTS: usize = 4;
/// Different values of one point that are counted, where a rule counts these: a request may hold a batch.
const MAX_DISTINCT: usize = 64;
/// Begins the value of a point in a body that was not read to its end.
const UNREAD: &[u8] = b"unread\0";
/// Separates keys of values from those of sources.
const VALUE: u64 = 1;

/// Keys of the values of a part, or of subjects.
pub(super) type KeyList = SmallVec<[u128; 1]>;

/// A value whose variety is counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct DistinctValue {
    pub hash: u64,
    /// The number that it is, if it is one.
    pub number: Option<u64>,
}

/// The values of one part: several where a name is repeated, for only the upstream knows which of them it takes.
pub(super) type DistinctValues = SmallVec<[DistinctValue; 1]>;

/// The keys of the values of a part.
#[derive(Clone, Debug, Default)]
struct HashedPart {
    keys: KeyList,
    /// How often the value that is repeated most is there.
    times: u8,
}

/// A request, and what it is counted with.
#[derive(Clone, Copy)]
pub(super) struct Counted<'p, 'h, 'a> {
    pub abuse: &'p Abuse,
    pub view: &'p RequestView<'h, 'a>,
    pub plan: &'p Plan,
    pub keys: &'p Keys,
    /// Which of the secrets `keys` are under; 0 for the one in use.
    pub secret: usize,
    pub subject: &'p Subject,
}

/// The parts of one request.
pub(super) struct Parts<'p, 'h, 'a> {
    request: Counted<'p, 'h, 'a>,
    groups: &'p [&'p Arc<AbuseGroup>],
    /// Key of the value of each part that has one value, by its number in the policy, once it was asked for; 0 otherwise.
    single: SmallVec<[u128; 16]>,
    /// Keys of the values of other parts, by their numbers in the policy, once they were asked for.
    hashed: SmallVec<[Option<HashedPart>; 16]>,
    /// The values of each part whose variety is counted, by its number in the policy, once they were asked for.
    distinct: SmallVec<[Option<DistinctValues>; 2]>,
    /// Points of the message that rules name, and what is there, once one of them was asked for.
    points: Option<Vec<(&'p KeyPart, AtPoint)>>,
    /// Whether a part of the body was not read.
    is_unread: bool,
}

impl<'p, 'h, 'a> Parts<'p, 'h, 'a> {
    pub fn new(request: Counted<'p, 'h, 'a>, groups: &'p [&'p Arc<AbuseGroup>]) -> Self {
        Self {
            request,
            groups,
            single: SmallVec::new(),
            hashed: SmallVec::new(),
            distinct: SmallVec::new(),
            points: None,
            is_unread: false,
        }
    }

    /// The subject of the key of `rule`, if the request has each part of it once.
    #[inline]
    pub fn subject(&mut self, rule: &'p AbuseRule) -> Option<u128> {
        let mut subject = 0;
        for (part, &number) in rule.key.iter().zip(rule.part_numbers()) {
            let key = match self.single.get(number as usize) {
                Some(&key) if key != 0 => key,
                _ => self.single_part(part, number, rule)?,
            };
            subject = Keys::with_part(subject, key);
        }
        Some(subject)
    }

    /// The subjects of the key of `rule`: none if the request lacks a part, several where a name is repeated.
    pub fn subjects(&mut self, rule: &'p AbuseRule) -> KeyList {
        if let Some(subject) = self.subject(rule) {
            return smallvec![subject];
        }
        for (part, &number) in rule.key.iter().zip(rule.part_numbers()) {
            self.hashed_part(part, number, rule);
        }
        self.combined(rule.part_numbers()).into_iter().map(Keys::subject).collect()
    }

    /// The key of the value of a part, if there is one value.
    fn single_part(&mut self, part: &'p KeyPart, number: u32, rule: &AbuseRule) -> Option<u128> {
        let key = match part {
            KeyPart::Client => self.request.subject.source,
            KeyPart::Point(_) => match self.hashed_part(part, number, rule).keys[..] {
                [key] => key,
                _ => return None,
            },
            _ => match &self.values(part)[..] {
                [value] => self.key_of(value, rule.folds(part)),
                _ => return None,
            },
        };
        let number = number as usize;
        if self.single.len() <= number {
            self.single.resize(number + 1, 0);
        }
        self.single[number] = key;
        Some(key)
    }

    /// The key of a value.
    fn key_of(&self, value: &[u8], folds: bool) -> u128 {
        let value = if folds { folded(value) } else { value.into() };
        self.request.keys.key(VALUE, &[&value])
    }

    /// How many attempts the request holds at most at one account, for a rule whose subjects were asked for: a batch of a GraphQL
    /// API logs in many times.
    pub fn attempts(&self, rule: &AbuseRule) -> u8 {
        if rule.kind != AbuseKind::Brute {
            return 1;
        }
        let parts = rule.part_numbers().iter().filter_map(|&number| self.hashed.get(number as usize)?.as_ref());
        parts.map(|part| part.times).max().unwrap_or(1).max(1)
    }

    /// Each combination of the values of these parts, which are hashed.
    fn combined(&self, parts: &[u32]) -> Vec<SmallVec<[u128; 6]>> {
        let lists = || parts.iter().flat_map(|&number| &self.hashed[number as usize]).map(|part| &part.keys);
        let all: usize = lists().map(|list| list.len()).product();
        let mut combined: Vec<SmallVec<[u128; 6]>> = vec![SmallVec::new()];
        for list in lists() {
            let ends = [list.first(), list.last()].into_iter().flatten().take(list.len());
            let list: KeyList = if all > MAX_SUBJECTS { ends.copied().collect() } else { list.clone() };
            let with = |key: &SmallVec<[u128; 6]>, part: &u128| key.iter().copied().chain([*part]).collect();
            combined = combined.iter().flat_map(|key| list.iter().map(move |part| with(key, part))).collect();
        }
        combined
    }

    /// The values whose variety `rule` counts; none if it counts requests.
    #[inline]
    pub fn distinct(&mut self, rule: &'p AbuseRule) -> &DistinctValues {
        let number = rule.distinct_number() as usize;
        if self.distinct.get(number).is_none_or(Option::is_none) {
            self.read_distinct(rule, number);
        }
        self.distinct[number].get_or_insert_default()
    }

    #[inline(never)]
    fn read_distinct(&mut self, rule: &'p AbuseRule, number: usize) {
        let values = rule.distinct.as_ref().map(|part| self.varied(part)).unwrap_or_default();
        while self.distinct.len() <= number {
            self.distinct.push(None);
        }
        self.distinct[number] = Some(values);
    }

    /// The values at a part whose variety is counted.
    fn varied(&mut self, part: &'p KeyPart) -> DistinctValues {
        let keys = self.request.keys;
        let hashed = |value: &[u8]| DistinctValue {
            hash: keys.value(value),
            number: std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
        };
        if !matches!(part, KeyPart::Point(_)) {
            return self.values(part).iter().map(|value| hashed(value)).collect();
        }
        let mut values = DistinctValues::new();
        for value in self.at_point(part).iter().map(|value| hashed(value)) {
            if !values.iter().any(|known| known.hash == value.hash) {
                values.truncate(MAX_DISTINCT - 1);
                values.push(value);
            }
        }
        if values.is_empty() && self.is_unread && is_in_body(part) {
            // What the node did not read may be another value in each request, or whoever makes bodies long enough could walk.
            values.push(hashed(uuid::Uuid::new_v4().as_bytes()));
        }
        values
    }

    /// The values of a part.
    pub fn values(&mut self, part: &'p KeyPart) -> PartValues<'p> {
        let RequestView { message, head, .. } = *self.request.view;
        let one = |value: Cow<'p, [u8]>| -> PartValues<'p> { smallvec![value] };
        match part {
            KeyPart::Client => one(counted_address(self.request.view.client).to_vec().into()),
            KeyPart::Application => one(self.request.plan.application.to_string().into_bytes().into()),
            KeyPart::Host => one((&*head.host).into()),
            KeyPart::Route => one(self.request.view.route.as_bytes().into()),
            KeyPart::Consumer => {
                let Counted { abuse, subject, secret, .. } = self.request;
                let consumer = abuse.sessions.consumer(subject.credential, secret);
                consumer.map(|consumer| consumer.to_be_bytes().to_vec().into()).into_iter().collect()
            }
            KeyPart::Session if self.request.subject.session != 0 => {
                one(self.request.subject.session.to_be_bytes().to_vec().into())
            }
            KeyPart::Session => {
                let agent = message.header("user-agent").unwrap_or_default();
                one([&counted_address(self.request.view.client)[..], &agent[..agent.len().min(256)]].concat().into())
            }
            KeyPart::Header(name) => values::header(message, name),
            KeyPart::Cookie(name) => values::cookie(message, name),
            KeyPart::Query(name) => values::query(head, name),
            KeyPart::Claim(name) => values::claim(message, name),
            KeyPart::Segment(number) => values::segment(head, *number),
            KeyPart::Point(_) => {
                let mut values = PartValues::new();
                self.at_point(part).iter().for_each(|value| values::push(&mut values, value.clone()));
                if values.is_empty() && self.is_unread && is_in_body(part) {
                    values.push(self.unread().into());
                }
                values
            }
        }
    }

    /// The values at a point: those of all points that rules name are read in one pass.
    fn at_point(&mut self, part: &'p KeyPart) -> &[Cow<'static, [u8]>] {
        if self.points.is_none() {
            self.read_points();
        }
        let mut points = self.points.iter().flatten();
        points.find(|(known, _)| *known == part).map_or(&[], |(_, values)| values)
    }

    fn read_points(&mut self) {
        let rules = self.groups.iter().flat_map(|group| group.rules());
        let all = rules.flat_map(|rule| rule.key.iter().chain(&rule.distinct));
        let mut parts: Vec<(&KeyPart, &_)> = Vec::new();
        for part in all {
            if let KeyPart::Point(point) = part
                && !parts.iter().any(|(known, _)| *known == part)
            {
                parts.push((part, point));
            }
        }
        let points: Vec<_> = parts.iter().map(|(_, point)| *point).collect();
        let (found, is_whole) = at_points(self.request.view.message, &points, &self.request.plan.limits);
        self.points = Some(parts.into_iter().map(|(part, _)| part).zip(found).collect());
        self.is_unread = !is_whole;
    }

    /// The value that is counted for a point that may be where the upstream looks and the node did not: such requests of a source
    /// count together, or whoever makes a body long enough would not be counted.
    fn unread(&self) -> Vec<u8> {
        [UNREAD, &counted_address(self.request.view.client)].concat()
    }

    /// The keys of the values of a part.
    #[inline]
    fn hashed_part(&mut self, part: &'p KeyPart, number: u32, rule: &AbuseRule) -> &HashedPart {
        let number = number as usize;
        if self.hashed.get(number).is_none_or(Option::is_none) {
            let hashed = self.hash(part, rule.folds(part));
            while self.hashed.len() <= number {
                self.hashed.push(None);
            }
            self.hashed[number] = Some(hashed);
        }
        self.hashed[number].get_or_insert_default()
    }

    fn hash(&mut self, part: &'p KeyPart, folds: bool) -> HashedPart {
        let mut keys = KeyList::new();
        match part {
            // The key of the source is one of the address already.
            KeyPart::Client => keys.push(self.request.subject.source),
            KeyPart::Point(_) if folds => return self.hash_accounts(part),
            _ => {
                for value in self.values(part) {
                    let key = self.key_of(&value, folds);
                    if !keys.contains(&key) {
                        keys.push(key);
                    }
                }
            }
        }
        HashedPart { keys, times: 1 }
    }

    /// The keys of the accounts at a point. What was not read may be another account, whatever was found before.
    fn hash_accounts(&mut self, part: &'p KeyPart) -> HashedPart {
        let keys = self.request.keys;
        let key = |value: &[u8]| keys.key(VALUE, &[value]);
        let all: Vec<u128> = self.at_point(part).iter().map(|value| key(&folded(value))).collect();
        let mut times: HashMap<u128, u8> = HashMap::new();
        let mut list = KeyList::new();
        for one in all {
            let times = times.entry(one).or_default();
            *times = times.saturating_add(1);
            if !list.contains(&one) {
                list.truncate(MAX_ACCOUNTS - 1);
                list.push(one);
            }
        }
        if self.is_unread && is_in_body(part) {
            list.push(key(&self.unread()));
        }
        HashedPart { keys: list, times: times.into_values().max().unwrap_or(1) }
    }
}

/// Whether a part is a point of the body.
fn is_in_body(part: &KeyPart) -> bool {
    matches!(part, KeyPart::Point(point) if point.0.first().is_some_and(|item| item.tag == Tag::Post))
}
