//! Index of the address lists: a lookup is one walk down a prefix trie, however many networks are listed.
//!
//! Each network has one entry per list and application, sorted, with the latest expiry. A lookup visits the at most 33
//! (IPv6: 129) networks that cover the address and searches each by bisection. Overlapping networks and `0.0.0.0/0` need
//! no special treatment; a property test compares the result with that of trying every entry.

use super::list::{List, ListHit, MatchedBy};
use super::source::{Country, Region, SOURCE_KINDS, Source};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use prefix_trie::PrefixMap;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What is listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListedSource {
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
pub struct ListEntry {
    /// The list.
    pub list: List,
    /// What is listed.
    pub what: ListedSource,
    /// The application; `None` for all.
    pub application: Option<i64>,
    /// When it expires, in seconds since 1970; `u64::MAX` for never.
    pub expires: u64,
    /// The value as shown in a hit.
    pub value: Arc<str>,
    /// Reason given by whoever listed it.
    pub reason: Option<Arc<str>>,
}

/// An entry as stored at the network, country... that it lists.
#[derive(Clone, Copy, Debug)]
struct IndexedEntry {
    list: List,
    application: Option<i64>,
    expires: u64,
    details: u32,
}

/// Entries of one network, country..., sorted by list and application, each pair once.
type IndexedEntries = Vec<IndexedEntry>;

/// All lists.
#[derive(Debug, Default)]
pub struct IpIndex {
    v4: PrefixMap<Ipv4Net, IndexedEntries>,
    v6: PrefixMap<Ipv6Net, IndexedEntries>,
    countries: HashMap<Country, IndexedEntries>,
    regions: HashMap<Region, IndexedEntries>,
    asns: HashMap<u32, IndexedEntries>,
    kinds: HashMap<usize, IndexedEntries>,
    details: Vec<(Arc<str>, Option<Arc<str>>)>,
}

impl IpIndex {
    /// Indexes `entries`.
    pub fn new(entries: impl IntoIterator<Item = ListEntry>) -> Self {
        let mut all = Self::default();
        for entry in entries {
            let details = u32::try_from(all.details.len()).expect("entries are bounded by the document");
            let ListEntry { list, what, application, expires, value, reason } = entry;
            let indexed = IndexedEntry { list, application, expires, details };
            all.details.push((value, reason));
            let entries = match what {
                ListedSource::Network(IpNet::V4(net)) => all.v4.entry(net.trunc()).or_default(),
                ListedSource::Network(IpNet::V6(net)) => all.v6.entry(net.trunc()).or_default(),
                ListedSource::Country(country) => all.countries.entry(country).or_default(),
                ListedSource::Region(region) => all.regions.entry(region).or_default(),
                ListedSource::Asn(asn) => all.asns.entry(asn).or_default(),
                ListedSource::Kind(kind) => all.kinds.entry(kind).or_default(),
            };
            match entries.binary_search_by_key(&(list, application), |s| (s.list, s.application)) {
                Ok(at) if entries[at].expires < expires => entries[at] = indexed,
                Ok(_) => {}
                Err(at) => entries.insert(at, indexed),
            }
        }
        all
    }

    /// Whether nothing is listed.
    pub fn is_empty(&self) -> bool {
        self.details.is_empty()
    }

    /// The first list, of those up to `last`, that contains a source for `application` at `now`.
    pub fn find(&self, ip: Option<IpAddr>, source: &Source, application: i64, now: u64, last: List) -> Option<ListHit> {
        if self.is_empty() {
            return None;
        }
        let mut best = BestMatch { last, application, now, found: None };
        match ip.map(|ip| ip.to_canonical()) {
            Some(IpAddr::V4(ip)) => self.v4.cover_values(&ip.into()).for_each(|s| best.consider(s, MatchedBy::Ip)),
            Some(IpAddr::V6(ip)) => self.v6.cover_values(&ip.into()).for_each(|s| best.consider(s, MatchedBy::Ip)),
            None => {}
        }
        let location = source.country.and_then(|c| self.countries.get(&c)).into_iter();
        let location = location.chain(source.region.and_then(|r| self.regions.get(&r)));
        location.for_each(|entries| best.consider(entries, MatchedBy::Location));
        source.asn.and_then(|asn| self.asns.get(&asn)).into_iter().for_each(|s| best.consider(s, MatchedBy::Asn));
        if !self.kinds.is_empty() {
            let kinds = source.kinds.members().filter_map(|kind| self.kinds.get(&kind));
            kinds.for_each(|entries| best.consider(entries, MatchedBy::SourceType));
        }
        best.found.map(|(list, by, details)| {
            let (value, reason) = self.details[details as usize].clone();
            ListHit { list, by, value, reason }
        })
    }
}

/// The best match so far: the first list wins; within a list, an address before a location, a longer prefix before a
/// shorter one.
struct BestMatch {
    last: List,
    application: i64,
    now: u64,
    found: Option<(List, MatchedBy, u32)>,
}

impl BestMatch {
    fn consider(&mut self, entries: &IndexedEntries, by: MatchedBy) {
        for &list in List::ALL.iter().filter(|&&list| list <= self.last) {
            let better = self.found.is_none_or(|(have, have_by, _)| (list, by) <= (have, have_by));
            if !better {
                return;
            }
            for application in [None, Some(self.application)] {
                let at = entries.binary_search_by_key(&(list, application), |s| (s.list, s.application));
                if let Some(entry) = at.ok().map(|at| entries[at]).filter(|entry| entry.expires > self.now) {
                    self.found = Some((list, by, entry.details));
                    return;
                }
            }
        }
    }
}

impl ListedSource {
    /// Whether a source is listed by this value; the slow path that tests compare the index with.
    #[cfg(test)]
    fn covers(&self, ip: Option<IpAddr>, source: &Source) -> bool {
        match self {
            ListedSource::Network(net) => ip.is_some_and(|ip| net.contains(&ip.to_canonical())),
            ListedSource::Country(country) => source.country == Some(*country),
            ListedSource::Region(region) => source.region == Some(*region),
            ListedSource::Asn(asn) => source.asn == Some(*asn),
            ListedSource::Kind(kind) => source.kinds.members().any(|k| k == *kind),
        }
    }
}

impl std::fmt::Display for ListedSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ListedSource::Network(net) if net.prefix_len() == net.max_prefix_len() => write!(f, "{}", net.addr()),
            ListedSource::Network(net) => write!(f, "{net}"),
            ListedSource::Country(country) => write!(f, "{country}"),
            ListedSource::Region(region) => write!(f, "{region}"),
            ListedSource::Asn(asn) => write!(f, "AS{asn}"),
            ListedSource::Kind(kind) => f.write_str(SOURCE_KINDS[*kind]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SourceKinds;
    use proptest::prelude::*;

    const NEVER: u64 = u64::MAX;

    fn entry(list: List, what: ListedSource, application: Option<i64>, expires: u64) -> ListEntry {
        ListEntry { list, value: what.to_string().into(), what, application, expires, reason: None }
    }

    fn net(text: &str) -> ListedSource {
        ListedSource::Network(super::super::filters::network(text).unwrap())
    }

    fn find(all: &IpIndex, ip: &str, application: i64, now: u64) -> Option<(List, String)> {
        let hit = all.find(Some(ip.parse().unwrap()), &Source::default(), application, now, List::Gray)?;
        Some((hit.list, hit.value.to_string()))
    }

    #[test]
    fn lists_go_allow_deny_gray_and_huge_networks_work() {
        let all = IpIndex::new([
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
        let all = IpIndex::new([
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
        let all = IpIndex::new([
            entry(List::Deny, ListedSource::Country(country), None, NEVER),
            entry(List::Allow, ListedSource::Region(region), None, NEVER),
            entry(List::Gray, ListedSource::Asn(64500), None, NEVER),
            entry(List::Deny, ListedSource::Kind(tor.members().next().unwrap()), None, NEVER),
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
    fn slow(entries: &[ListEntry], ip: Option<IpAddr>, source: &Source, application: i64, now: u64) -> Option<List> {
        let holds = |e: &&ListEntry| {
            e.what.covers(ip, source) && e.application.is_none_or(|a| a == application) && e.expires > now
        };
        entries.iter().filter(holds).map(|e| e.list).min()
    }

    fn any_net() -> impl Strategy<Value = ListedSource> {
        prop_oneof![
            (0u32..=u32::MAX, 0u8..=32).prop_map(|(a, l)| {
                // Few distinct high bits, so that networks overlap.
                IpNet::V4(Ipv4Net::new((a & 0x0303_00ff).into(), l).unwrap().trunc())
            }),
            (0u128..=u128::MAX, 0u8..=128)
                .prop_map(|(a, l)| { IpNet::V6(Ipv6Net::new((a & (0x3 << 120 | 0xff)).into(), l).unwrap().trunc()) }),
        ]
        .prop_map(ListedSource::Network)
    }

    fn any_entry() -> impl Strategy<Value = ListEntry> {
        let what = prop_oneof![
            8 => any_net(),
            1 => (0u32..4).prop_map(ListedSource::Asn),
            1 => (0usize..4).prop_map(ListedSource::Kind),
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
            let all = IpIndex::new(entries.iter().cloned());
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
        let entries: Vec<ListEntry> = (0..100_000)
            .map(|n| {
                let net = Ipv4Net::new(random().into(), 12 + (random() % 21) as u8).unwrap();
                entry(List::ALL[n % 3], ListedSource::Network(net.trunc().into()), None, u64::from(random()))
            })
            .collect();
        let all = IpIndex::new(entries.iter().cloned());
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
