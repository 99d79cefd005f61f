//! The filtration mode in force for a host, before and after a change.

use super::super::state::{DEFAULT_GROUP, PolicyState, RuleEntry, is_for};
use super::{Danger, EVERYWHERE, Reach, is_live, text};
use std::collections::BTreeSet;
use weir_policy::Mode;

/// The mode in force in `group` for all requests to `host`, or to any host that no rule names; none leaves it to the node.
pub fn mode_in_force(state: &PolicyState, group: &str, host: Option<&str>, now: u64) -> Option<String> {
    let sets =
        |entry: &&RuleEntry| entry.kind() == "wallarm_mode" && is_live(entry, now) && is_for(&entry.groups, group);
    let mut by_reach = (None, None);
    for entry in state.rules.iter().filter(sets) {
        match Reach::of(entry) {
            Reach::Host(name) if Some(name.as_str()) == host => by_reach.0 = Some(text(entry, "mode")),
            Reach::Everywhere => by_reach.1 = Some(text(entry, "mode")),
            _ => {}
        }
    }
    let own = state.groups.get(group).and_then(|scope| scope.mode.as_deref());
    let mode = by_reach.0.or(by_reach.1).or(own).or(state.base.mode.as_deref());
    mode.filter(|mode| *mode != "default").map(str::to_owned)
}

/// Hosts for which a rule sets the mode.
pub fn hosts(state: &PolicyState, now: u64) -> BTreeSet<String> {
    let rules = state.rules.iter().filter(|entry| entry.kind() == "wallarm_mode" && is_live(entry, now));
    let named = rules.filter_map(|entry| match Reach::of(entry) {
        Reach::Host(host) => Some(host),
        _ => None,
    });
    named.collect()
}

/// A mode in words.
pub fn words(mode: Option<&str>) -> &'static str {
    match mode.and_then(Mode::from_code) {
        Some(Mode::Off) => "off",
        Some(Mode::Monitoring) => "monitoring",
        Some(Mode::SafeBlocking) => "safe blocking",
        Some(Mode::Block) => "blocking",
        None => "as configured on each node",
    }
}

/// How much a mode protects. A node blocks unless its configuration says otherwise.
fn rank(mode: Option<&str>) -> Mode {
    mode.and_then(Mode::from_code).unwrap_or(Mode::Block)
}

/// Where the mode in force becomes weaker.
pub fn lowered(before: &PolicyState, after: &PolicyState, now: u64) -> Vec<Danger> {
    let mut groups = vec![DEFAULT_GROUP];
    let own = before.own_groups().into_iter().chain(after.own_groups());
    own.for_each(|group| groups.push(group));
    groups.dedup();
    let hosts: BTreeSet<String> = hosts(before, now).into_iter().chain(hosts(after, now)).collect();
    let places = std::iter::once(None).chain(hosts.iter().map(|host| Some(host.as_str())));
    let mut out: Vec<Danger> = Vec::new();
    for (host, group) in places.flat_map(|host| groups.iter().map(move |group| (host, *group))) {
        let (old, new) = (mode_in_force(before, group, host, now), mode_in_force(after, group, host, now));
        if rank(new.as_deref()) >= rank(old.as_deref()) {
            continue;
        }
        let change = format!("{} \u{2192} {}", words(old.as_deref()), words(new.as_deref()));
        // What holds everywhere is not told again for each host and group.
        if out.iter().any(|known| known.word == EVERYWHERE && known.says.ends_with(&change)) {
            continue;
        }
        let at = host.map_or_else(|| EVERYWHERE.to_owned(), |host| format!("on {host}"));
        let of = if group == DEFAULT_GROUP { String::new() } else { format!(" of node group {group}") };
        out.push(Danger {
            says: format!("filtration mode {at}{of}: {change}"),
            weakens: true,
            word: host.map_or_else(|| EVERYWHERE.to_owned(), str::to_owned),
        });
    }
    out
}
