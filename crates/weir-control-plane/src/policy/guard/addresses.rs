//! Address lists that come to hold a large part of all addresses.

use super::super::state::{IpEntry, PolicyState};
use super::{Danger, EVERYWHERE, NO_APPLICATION};
use ipnet::{IpNet, Ipv6Net};
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

/// Part of the addresses above which listed values count as listing everything: a single /8 of IPv4, as private networks
/// have, is half of it.
const LARGE_SHARE: f64 = 1.0 / 128.0;
/// Share of all addresses that a country counts as: few countries have more.
const COUNTRY_SHARE: f64 = 1.0 / 256.0;
/// Share that a type of source counts as on an allowlist: about that of hosting companies.
const SOURCE_TYPE_SHARE: f64 = 1.0 / 64.0;
/// Bits that the networks in use of IPv6 share (`2000::/3`).
const IPV6_UNICAST: u8 = 3;

/// Parts of the addresses of IPv4 and of IPv6.
#[derive(Clone, Copy, Debug, Default)]
struct Share(f64, f64);

impl Share {
    fn plus(self, other: Share) -> Share {
        Share(self.0 + other.0, self.1 + other.1)
    }

    fn larger(self) -> f64 {
        self.0.max(self.1).min(1.0)
    }
}

/// A list, and the application that it is for; none for all.
type Place<'e> = (&'e str, Option<i64>);

/// The lists that grow by a large part of all addresses, at once or in steps: one that is large already is asked about
/// each time it doubles. Entries that are over, or are renewed when they were, count as new.
pub(super) fn grown(before: &PolicyState, after: &PolicyState, now: u64) -> Vec<Danger> {
    let live = |entry: &&IpEntry| entry.expired_at.is_none_or(|end| end > now);
    let known: HashMap<u64, &IpEntry> = before.ip_lists.iter().filter(live).map(|entry| (entry.id, entry)).collect();
    let is_new = |entry: &&IpEntry| {
        known.get(&entry.id).is_none_or(|old| {
            (&old.list, &old.value, &old.applications) != (&entry.list, &entry.value, &entry.applications)
        })
    };
    let added = shares(after.ip_lists.iter().filter(live).filter(is_new));
    if added.values().all(|share| share.larger() == 0.0) {
        return Vec::new();
    }
    let old = shares(before.ip_lists.iter().filter(live));
    let mut out = Vec::new();
    for ((list, application), new) in added {
        let (weakens, verb) = match list {
            "allow" => (true, "neither inspected nor blocked"),
            "deny" => (false, "blocked"),
            _ => continue,
        };
        let old = old.get(&(list, application)).copied().unwrap_or_default().larger();
        let total = (old + new.larger()).min(1.0);
        let doubled = total > LARGE_SHARE && total.log2().floor() > old.log2().floor();
        if new.larger() > LARGE_SHARE || doubled {
            let place = application.map_or_else(|| EVERYWHERE.to_owned(), |id| format!("for application {id}"));
            let word = application.map_or_else(|| EVERYWHERE.to_owned(), |id| format!("app:{id}"));
            let says = format!("{} of all addresses are {verb} by the {list}list {place}", percent(total));
            out.push(Danger { says, weakens, word });
        }
    }
    out
}

fn percent(share: f64) -> String {
    if share < 0.1 { format!("{:.1} %", share * 100.0) } else { format!("{:.0} %", share * 100.0) }
}

/// How much of all addresses each list holds, by application.
fn shares<'e>(entries: impl Iterator<Item = &'e IpEntry>) -> BTreeMap<Place<'e>, Share> {
    let mut out: BTreeMap<Place<'_>, Share> = BTreeMap::new();
    for entry in entries {
        let share = share(entry);
        let mut add = |application| {
            let place = out.entry((entry.list.as_str(), application)).or_default();
            *place = place.plus(share);
        };
        if entry.applications.is_empty() || entry.applications.contains(&NO_APPLICATION) {
            add(None);
        } else {
            entry.applications.iter().for_each(|id| add(Some(*id)));
        }
    }
    out
}

/// The part of the addresses that a value names.
fn share(entry: &IpEntry) -> Share {
    match entry.rule_type.as_str() {
        "ip_range" | "subnet" => networks(&entry.value),
        "country" => Share(COUNTRY_SHARE, COUNTRY_SHARE),
        "proxy_type" | "datacenter" if entry.list == "allow" => Share(SOURCE_TYPE_SHARE, SOURCE_TYPE_SHARE),
        _ => Share::default(),
    }
}

fn networks(value: &str) -> Share {
    if let Some((first, last)) = value.split_once('-') {
        return match (first.trim().parse(), last.trim().parse()) {
            (Ok(IpAddr::V4(first)), Ok(IpAddr::V4(last))) => {
                let count = f64::from(u32::from(last).saturating_sub(u32::from(first))) + 1.0;
                Share(count / 2f64.powi(32), 0.0)
            }
            (Ok(IpAddr::V6(first)), Ok(IpAddr::V6(last))) => {
                let count = u128::from(last).saturating_sub(u128::from(first)) as f64;
                Share(0.0, count / 2f64.powi(128 - i32::from(IPV6_UNICAST)))
            }
            _ => Share::default(),
        };
    }
    match value.parse::<IpNet>() {
        Ok(IpNet::V4(net)) => Share(2f64.powi(-i32::from(net.prefix_len())), 0.0),
        Ok(IpNet::V6(net)) => {
            let unicast = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), IPV6_UNICAST);
            let inside = unicast.contains(&net) || net.contains(&unicast);
            let bits = i32::from(IPV6_UNICAST) - i32::from(net.prefix_len());
            Share(0.0, if inside { 2f64.powi(bits.min(0)) } else { 0.0 })
        }
        Err(_) => Share::default(),
    }
}
