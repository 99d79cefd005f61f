//! The parts of keys that the rules of one request count by: each is read and hashed once, however many rules name it.

use super::request::{RequestView, Subject};
use super::values::{self, PartValues};
use super::{Abuse, counted_address};
use smallvec::{SmallVec, smallvec};
use std::borrow::Cow;
use std::sync::Arc;
use weir_abuse::Keys;
use weir_policy::{AbuseRule, KeyPart, Plan};

/// Subjects under which one request may count for one rule: repeated names give several.
const MAX_SUBJECTS: usize = 4;
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

/// A request, and what it is counted with.
#[derive(Clone, Copy)]
pub(super) struct Counted<'p, 'h, 'a> {
    pub abuse: &'p Abuse,
    pub view: &'p RequestView<'h, 'a>,
    pub plan: &'p Plan,
    pub keys: &'p Keys,
    pub subject: &'p Subject,
}

/// The parts of one request.
pub(super) struct Parts<'p, 'h, 'a> {
    request: Counted<'p, 'h, 'a>,
    rules: &'p [&'p Arc<AbuseRule>],
    /// Keys of the values of each part, by its number in the policy, once they were asked for.
    hashed: SmallVec<[Option<KeyList>; 16]>,
    distinct: SmallVec<[(&'p KeyPart, Option<DistinctValue>); 2]>,
    /// Points of the message that rules name, and what is there, once one of them was asked for.
    points: Option<Vec<(&'p KeyPart, PartValues<'p>)>>,
}

impl<'p, 'h, 'a> Parts<'p, 'h, 'a> {
    pub fn new(request: Counted<'p, 'h, 'a>, rules: &'p [&'p Arc<AbuseRule>]) -> Self {
        Self { request, rules, hashed: SmallVec::new(), distinct: SmallVec::new(), points: None }
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
        let lists = rule.part_numbers().iter().flat_map(|&number| &self.hashed[number as usize]);
        let mut combined: SmallVec<[SmallVec<[u128; 6]>; MAX_SUBJECTS]> = smallvec![SmallVec::new()];
        for list in lists {
            let next =
                combined.iter().flat_map(|key| list.iter().map(|part| key.iter().copied().chain([*part]).collect()));
            combined = next.take(MAX_SUBJECTS).collect();
        }
        combined.into_iter().map(Keys::subject).collect()
    }

    /// The value at `part`, the last one where it is repeated.
    pub fn distinct(&mut self, part: &'p KeyPart) -> Option<DistinctValue> {
        if let Some((_, known)) = self.distinct.iter().find(|(known, _)| *known == part) {
            return *known;
        }
        let values = self.values(part);
        let value = values.last().map(|value| DistinctValue {
            hash: self.request.keys.value(value),
            number: std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()),
        });
        self.distinct.push((part, value));
        value
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
                let consumer = self.request.abuse.sessions.consumer(self.request.subject.credential);
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
            let found = values::at_points(self.request.view.message, &points, &self.request.plan.limits);
            self.points = Some(parts.into_iter().map(|(part, _)| part).zip(found).collect());
        }
        let points = self.points.iter().flatten();
        points.filter(|(known, _)| *known == part).flat_map(|(_, values)| values.clone()).collect()
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
                    let key = key(&value.trim_ascii().to_ascii_lowercase());
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
