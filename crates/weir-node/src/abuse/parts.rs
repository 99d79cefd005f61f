//! The parts of keys that the rules of one request count by: each is read and hashed once, however many rules name it.

use super::request::{RequestView, Subject};
use super::values::{self, PartValues};
use super::{Abuse, counted_address};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::sync::Arc;
use weir_abuse::Keys;
use weir_core::model::Tag;
use weir_policy::{AbuseRule, KeyPart, Plan};

/// Subjects under which one request may count for one rule: repeated names give several. Where there are more, only the first
/// and the last value of each part count, which are those that upstreams take.
const MAX_SUBJECTS: usize = 16;
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
    rules: &'p [&'p Arc<AbuseRule>],
    /// Keys of the values of each part, by its number in the policy, once they were asked for.
    hashed: SmallVec<[Option<KeyList>; 16]>,
    distinct: SmallVec<[(&'p KeyPart, DistinctValues); 2]>,
    /// Points of the message that rules name, and what is there, once one of them was asked for.
    points: Option<Vec<(&'p KeyPart, PartValues<'p>)>>,
    /// Whether a part of the body was not read.
    is_unread: bool,
}

impl<'p, 'h, 'a> Parts<'p, 'h, 'a> {
    pub fn new(request: Counted<'p, 'h, 'a>, rules: &'p [&'p Arc<AbuseRule>]) -> Self {
        Self { request, rules, hashed: SmallVec::new(), distinct: SmallVec::new(), points: None, is_unread: false }
    }

    /// The subjects of the key of `rule`: none if the request lacks a part, several where a name is repeated.
    pub fn subjects(&mut self, rule: &'p AbuseRule) -> KeyList {
        let mut single: SmallVec<[u128; 6]> = SmallVec::new();
        for (part, &number) in rule.key.iter().zip(rule.part_numbers()) {
            if let [key] = self.hashed_part(part, number, rule.folds(part))[..] {
                single.push(key);
            }
        }
        if single.len() == rule.key.len() {
            return smallvec![Keys::subject(single)];
        }
        self.combined(rule.part_numbers()).into_iter().map(Keys::subject).collect()
    }

    /// Each combination of the values of these parts, which are hashed.
    fn combined(&self, parts: &[u32]) -> Vec<SmallVec<[u128; 6]>> {
        let lists = || parts.iter().flat_map(|&number| &self.hashed[number as usize]);
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

    /// The values at `part` whose variety is counted.
    pub fn distinct(&mut self, part: &'p KeyPart) -> &DistinctValues {
        let known = self.distinct.iter().position(|(known, _)| *known == part);
        let at = known.unwrap_or_else(|| {
            let keys = self.request.keys;
            // What the node did not read may be another value in each request, or whoever makes bodies long enough could walk.
            let unread = |value: &[u8]| value.starts_with(UNREAD) && is_in_body(part);
            let hashed = |value: &Cow<'_, [u8]>| DistinctValue {
                hash: if unread(value) { keys.value(uuid::Uuid::new_v4().as_bytes()) } else { keys.value(value) },
                number: std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
            };
            let values = self.values(part).iter().map(hashed).collect();
            self.distinct.push((part, values));
            self.distinct.len() - 1
        });
        &self.distinct[at].1
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
            KeyPart::Point(_) => self.at_point(part),
        }
    }

    /// The values at a point: those of all points that rules name are read in one pass.
    fn at_point(&mut self, part: &'p KeyPart) -> PartValues<'p> {
        if self.points.is_none() {
            let all = self.rules.iter().flat_map(|rule| rule.key.iter().chain(&rule.distinct));
            let mut parts: Vec<(&KeyPart, &_)> = Vec::new();
            for part in all {
                if let KeyPart::Point(point) = part
                    && !parts.iter().any(|(known, _)| *known == part)
                {
                    parts.push((part, point));
                }
            }
            let points: Vec<_> = parts.iter().map(|(_, point)| *point).collect();
            let (found, is_whole) = values::at_points(self.request.view.message, &points, &self.request.plan.limits);
            self.points = Some(parts.into_iter().map(|(part, _)| part).zip(found).collect());
            self.is_unread = !is_whole;
        }
        let points = self.points.iter().flatten();
        let found: PartValues<'p> =
            points.filter(|(known, _)| *known == part).flat_map(|(_, values)| values.clone()).collect();
        if found.is_empty() && self.is_unread && is_in_body(part) {
            // It may be where the upstream looks and the node does not: such requests of a source count together, or whoever
            // makes a body long enough would not be counted.
            return smallvec![Cow::Owned([UNREAD, &counted_address(self.request.view.client)].concat())];
        }
        found
    }

    /// The keys of the values of a part.
    #[inline]
    fn hashed_part(&mut self, part: &'p KeyPart, number: u32, folds: bool) -> &KeyList {
        let number = number as usize;
        while self.hashed.len() <= number {
            self.hashed.push(None);
        }
        if self.hashed[number].is_none() {
            self.hashed[number] = Some(self.hash(part, folds));
        }
        self.hashed[number].get_or_insert_default()
    }

    fn hash(&mut self, part: &'p KeyPart, folds: bool) -> KeyList {
        let keys = self.request.keys;
        let key = |value: &[u8]| keys.key(VALUE, &[value]);
        match part {
            // The key of the source is one of the address already.
            KeyPart::Client => smallvec![self.request.subject.source],
            _ if folds => {
                let mut list = KeyList::new();
                for value in self.values(part) {
                    let key = key(&values::folded(&value));
                    if !list.contains(&key) {
                        list.push(key);
                    }
                }
                list
            }
            _ => self.values(part).iter().map(|value| key(value)).collect(),
        }
    }
}

/// Whether a part is a point of the body.
fn is_in_body(part: &KeyPart) -> bool {
    matches!(part, KeyPart::Point(point) if point.0.first().is_some_and(|item| item.tag == Tag::Post))
}
