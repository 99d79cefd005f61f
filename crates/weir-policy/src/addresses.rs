//! Address lists, indexed: a request costs one walk down a prefix trie, however many networks are listed.
//!
//! Each network holds its entries once for each list and application, with the latest expiry, sorted; a lookup visits
//! the at most 33 (129) networks that cover the address and searches each by bisection. So overlapping networks and
//! `0.0.0.0/0` are nothing special, and the answer is that of trying every entry (held by a property test).

use super::list::{List, ListHit, MatchedBy};
use super::source::{Country, Region, SOURCE_KINDS, Source};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listed {
    /// A network, or a single address as /32 or /128.
    Network(IpNet),
    /// A country.
    Country(Country),
    /// A region.
    Region(Region),
    /// An autonomous system.
    Asn(u32),
    /// A source type, as a number in [`SOURCE_KINDS`].
    Kind(usize),
}

/// One entry of a list.
#[derive(Clone, Debug)]
pub struct Entry {
    /// On which list.
    pub list: List,
    /// What.
    pub what: Listed,
    /// For which application; none for all.
    pub application: Option<i64>,
    /// Seconds since 1970 from which it is over; `u64::MAX` for never.
    pub expires: u64,
    /// As told in a hit.
    pub value: Arc<str>,
    /// Why.
    pub reason: Option<Arc<str>>,
}

/// An entry as kept at what it lists.
#[derive(Clone, Copy, Debug)]
struct Slot {
    list: List,
    application: Option<i64>,
    expires: u64,
    told: u32,
}

/// Entries of one network, country..., sorted by list and application, each pair once.
type Slots = Vec<Slot>;

/// All lists.
#[derive(Debug, Default)]
pub struct Addresses {
    v4: PrefixMap<Ipv4Net, Slots>,
    v6: PrefixMap<Ipv6Net, Slots>,
    countries: HashMap<Country, Slots>,
    regions: HashMap<Region, Slots>,
    asns: HashMap<u32, Slots>,
    kinds: HashMap<usize, Slots>,
    told: Vec<(Arc<str>, Option<Arc<str>>)>,
}

impl Addresses {
    /// Indexes `entries`.
    pub fn new(entries: impl IntoIterator<Item = Entry>) -> Self {
        let mut all = Self::default();
        for entry in entries {
            let told = u32::try_from(all.told.len()).expect("entries are bounded by the document");
            let slot = Slot { list: entry.list, application: entry.application, expires: entry.expires, told };
            all.told.push((entry.value, entry.reason));
            let slots = match entry.what {
                Listed::Network(IpNet::V4(net)) => all.v4.entry(net.trunc()).or_default(),
                Listed::Network(IpNet::V6(net)) => all.v6.entry(net.trunc()).or_default(),
                Listed::Country(country) => all.countries.entry(country).or_default(),
                Listed::Region(region) => all.regions.entry(region).or_default(),
                Listed::Asn(asn) => all.asns.entry(asn).or_default(),
                Listed::Kind(kind) => all.kinds.entry(kind).or_default(),
            };
            match slots.binary_search_by_key(&(slot.list, slot.application), |s| (s.list, s.application)) {
                Ok(at) if slots[at].expires < slot.expires => slots[at] = slot,
                Ok(_) => {}
                Err(at) => slots.insert(at, slot),
            }
        }
        all
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.told.is_empty()
    }

    /// The first list, of those up to `last`, that a source stands on for `application` at `now`.
    pub fn find(&self, ip: Option<IpAddr>, source: &Source, application: i64, now: u64, last: List) -> Option<ListHit> {
        if self.is_empty() {
            return None;
        }
        let mut best = Best { last, application, now, found: None };
        match ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => self.v4.cover_values(&ip.into()).for_each(|s| best.look(s, MatchedBy::Ip)),
            Some(IpAddr::V6(ip)) => self.v6.cover_values(&ip.into()).for_each(|s| best.look(s, MatchedBy::Ip)),
            None => {}
        }
        let location = source.country.and_then(|c| self.countries.get(&c)).into_iter();
        let location = location.chain(source.region.and_then(|r| self.regions.get(&r)));
        location.for_each(|slots| best.look(slots, MatchedBy::Location));
        source.asn.and_then(|asn| self.asns.get(&asn)).into_iter().for_each(|s| best.look(s, MatchedBy::Asn));
        if !self.kinds.is_empty() {
            let kinds = source.kinds.members().filter_map(|kind| self.kinds.get(&kind));
            kinds.for_each(|slots| best.look(slots, MatchedBy::SourceType));
        }
        best.found.map(|(list, by, told)| {
            let (value, reason) = self.told[told as usize].clone();
            ListHit { list, by, value, reason }
        })
    }
}

/// The best hit so far: the first list wins; on the same list an address over a location, a longer prefix over a shorter.
struct Best {
    last: List,
    application: i64,
    now: u64,
    found: Option<(List, MatchedBy, u32)>,
}

impl Best {
    fn look(&mut self, slots: &Slots, by: MatchedBy) {
        for &list in List::ALL.iter().filter(|&&list| list <= self.last) {
            let better = self.found.is_none_or(|(have, have_by, _)| (list, by) <= (have, have_by));
            if !better {
                return;
            }
            for application in [None, Some(self.application)] {
                let at = slots.binary_search_by_key(&(list, application), |s| (s.list, s.application));
                if let Some(slot) = at.ok().map(|at| slots[at]).filter(|slot| slot.expires > self.now) {
                    self.found = Some((list, by, slot.told));
                    return;
                }
            }
        }
    }
}

impl Listed {
    /// Whether a source is what is listed; the slow path that the index is held against.
    #[cfg(test)]
    fn covers(&self, ip: Option<IpAddr>, source: &Source) -> bool {
        match self {
            Listed::Network(net) => ip.is_some_and(|ip| net.contains(&ip.to_canonical())),
            Listed::Country(country) => source.country == Some(*country),
            Listed::Region(region) => source.region == Some(*region),
            Listed::Asn(asn) => source.asn == Some(*asn),
            Listed::Kind(kind) => source.kinds.members().any(|k| k == *kind),
        }
    }
}

impl std::fmt::Display for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Listed::Network(net) if net.prefix_len() == net.max_prefix_len() => write!(f, "{}", net.addr()),
            Listed::Network(net) => write!(f, "{net}"),
            Listed::Country(country) => write!(f, "{country}"),
            Listed::Region(region) => write!(f, "{region}"),
            Listed::Asn(asn) => write!(f, "AS{asn}"),
            Listed::Kind(kind) => f.write_str(SOURCE_KINDS[*kind]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceKinds;
    use proptest::prelude::*;

    const NEVER: u64 = u64::MAX;

    fn entry(list: List, what: Listed, application: Option<i64>, expires: u64) -> Entry {
        Entry { list, value: what.to_string().into(), what, application, expires, reason: None }
    }

    fn net(text: &str) -> Listed {
        Listed::Network(super::super::filters::network(text).unwrap())
    }

    fn find(all: &Addresses, ip: &str, application: i64, now: u64) -> Option<(List, String)> {
        let hit = all.find(Some(ip.parse().unwrap()), &Source::default(), application, now, List::Gray)?;
        Some((hit.list, hit.value.to_string()))
    }

    #[test]
    fn lists_go_allow_deny_gray_and_huge_networks_work() {
        let all = Addresses::new([
            entry(List::Gray, net("0.0.0.0/0"), None, NEVER),
            entry(List::Deny, net("16.0.0.0/4"), None, NEVER),
            entry(List::Deny, net("20.16.0.0/12"), None, NEVER),
            entry(List::Deny, net("20.16.1.0/24"), None, NEVER),
            entry(List::Allow, net("20.16.1.1"), None, NEVER),
            entry(List::Deny, net("2000::/3"), None, NEVER),
            entry(List::Allow, net("::ffff:9.9.9.0/120"), None, NEVER),
        ]);
        let hit = |list, value: &str| Some((list, value.to_owned()));
        assert_eq!(find(&all, "1.1.1.1", 1, 0), hit(List::Gray, "0.0.0.0/0"));
        assert_eq!(find(&all, "17.0.0.1", 1, 0), hit(List::Deny, "16.0.0.0/4"));
        assert_eq!(find(&all, "20.17.0.1", 1, 0), hit(List::Deny, "20.16.0.0/12"));
        assert_eq!(find(&all, "20.16.1.2", 1, 0), hit(List::Deny, "20.16.1.0/24"));
        assert_eq!(find(&all, "20.16.1.1", 1, 0), hit(List::Allow, "20.16.1.1"));
        assert_eq!(find(&all, "::ffff:20.16.1.2", 1, 0), hit(List::Deny, "20.16.1.0/24"));
        assert_eq!(find(&all, "::ffff:9.9.9.9", 1, 0), hit(List::Allow, "9.9.9.0/24"));
        assert_eq!(find(&all, "2a00::1", 1, 0), hit(List::Deny, "2000::/3"));
        assert_eq!(find(&all, "fe80::1", 1, 0), None);
    }

    #[test]
    fn entries_end_and_are_scoped() {
        let all = Addresses::new([
            entry(List::Deny, net("10.0.0.1"), Some(7), 100),
            entry(List::Deny, net("10.0.0.1"), Some(7), 50),
            entry(List::Gray, net("10.0.0.0/8"), None, NEVER),
        ]);
        assert_eq!(find(&all, "10.0.0.1", 7, 99).unwrap().0, List::Deny);
        assert_eq!(find(&all, "10.0.0.1", 7, 100).unwrap().0, List::Gray);
        assert_eq!(find(&all, "10.0.0.1", 8, 0).unwrap().0, List::Gray);
        let deny_only = all.find("10.0.0.1".parse().ok(), &Source::default(), 8, 0, List::Deny);
        assert_eq!(deny_only, None);
    }

    #[test]
    fn sources_are_known_by_place_network_and_kind() {
        let (country, region) = (Country::new("DE").unwrap(), Region::new("DE-BY").unwrap());
        let tor = SourceKinds::from_code("tor").unwrap();
        let all = Addresses::new([
            entry(List::Deny, Listed::Country(country), None, NEVER),
            entry(List::Allow, Listed::Region(region), None, NEVER),
            entry(List::Gray, Listed::Asn(64500), None, NEVER),
            entry(List::Deny, Listed::Kind(tor.members().next().unwrap()), None, NEVER),
        ]);
        let ask = |source: Source| {
            all.find(None, &source, 1, 0, List::Gray).map(|hit| (hit.list, hit.by, hit.value.to_string()))
        };
        let source = Source { country: Some(country), ..Source::default() };
        assert_eq!(ask(source), Some((List::Deny, MatchedBy::Location, "DE".into())));
        assert_eq!(ask(Source { region: Some(region), ..source }).unwrap().0, List::Allow);
        let asn = Source { asn: Some(64500), ..Source::default() };
        assert_eq!(ask(asn), Some((List::Gray, MatchedBy::Asn, "AS64500".into())));
        assert_eq!(ask(Source { kinds: tor, ..asn }), Some((List::Deny, MatchedBy::SourceType, "tor".into())));
        assert_eq!(ask(Source::default()), None);
    }

    /// The first list with any entry that covers the source, by trying each.
    fn slow(entries: &[Entry], ip: Option<IpAddr>, source: &Source, application: i64, now: u64) -> Option<List> {
        let holds =
            |e: &&Entry| e.what.covers(ip, source) && e.application.is_none_or(|a| a == application) && e.expires > now;
        entries.iter().filter(holds).map(|e| e.list).min()
    }

    fn any_net() -> impl Strategy<Value = Listed> {
        prop_oneof![
            (0u32..=u32::MAX, 0u8..=32).prop_map(|(a, l)| {
                // Few distinct high bits, so that networks overlap.
                IpNet::V4(Ipv4Net::new((a & 0x0303_00ff).into(), l).unwrap().trunc())
            }),
            (0u128..=u128::MAX, 0u8..=128)
                .prop_map(|(a, l)| { IpNet::V6(Ipv6Net::new((a & (0x3 << 120 | 0xff)).into(), l).unwrap().trunc()) }),
        ]
        .prop_map(Listed::Network)
    }

    fn any_entry() -> impl Strategy<Value = Entry> {
        let what = prop_oneof![
            8 => any_net(),
            1 => (0u32..4).prop_map(Listed::Asn),
            1 => (0usize..4).prop_map(Listed::Kind),
        ];
        (0usize..3, what, prop::option::of(0i64..3), prop_oneof![Just(NEVER), 0u64..10])
            .prop_map(|(list, what, application, expires)| entry(List::ALL[list], what, application, expires))
    }

    proptest! {
        #[test]
        fn the_index_answers_as_trying_every_entry(
            entries in prop::collection::vec(any_entry(), 0..60),
            v4 in any::<bool>(), bytes in any::<u128>(), asn in 0u32..5, application in 0i64..4, now in 0u64..10,
        ) {
            let ip: IpAddr = if v4 {
                IpAddr::V4((bytes as u32 & 0x0303_00ff).into())
            } else {
                IpAddr::V6((bytes & (0x3 << 120 | 0xff)).into())
            };
            let source = Source { asn: Some(asn), ..Source::default() };
            let all = Addresses::new(entries.iter().cloned());
            let fast = all.find(Some(ip), &source, application, now, List::Gray).map(|hit| hit.list);
            prop_assert_eq!(fast, slow(&entries, Some(ip), &source, application, now));
        }
    }

    #[test]
    fn a_hundred_thousand_entries_answer_as_trying_each() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut random = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 32) as u32
        };
        let entries: Vec<Entry> = (0..100_000)
            .map(|n| {
                let net = Ipv4Net::new(random().into(), 12 + (random() % 21) as u8).unwrap();
                entry(List::ALL[n % 3], Listed::Network(net.trunc().into()), None, u64::from(random()))
            })
            .collect();
        let all = Addresses::new(entries.iter().cloned());
        let mut seen = [0; 4];
        for n in 0..60 {
            let ip = IpAddr::V4(random().into());
            let now = u64::from(random() % (u32::MAX >> (n % 8)));
            let fast = all.find(Some(ip), &Source::default(), 1, now, List::Gray).map(|hit| hit.list);
            assert_eq!(fast, slow(&entries, Some(ip), &Source::default(), 1, now), "{ip} at {now}");
            seen[fast.map_or(3, |list| list as usize)] += 1;
        }
        assert!(seen[..3].iter().all(|&n| n > 0), "every list is hit: {seen:?}");
    }
}
