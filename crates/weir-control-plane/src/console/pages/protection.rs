//! What protects, for the dashboard: the mode in force everywhere and for each host, and the rules that weaken it.

use crate::console::page::Page;
use crate::console::rule_text;
use crate::console::view::dashboard::{ModeLine, WeakRule};
use crate::console::view::shell::Tone;
use crate::console::view::text::Text;
use crate::policy::guard::{hosts, mode_in_force, mode_words, weakening};
use crate::policy::state::DEFAULT_GROUP;

/// Rules shown; the rest is counted.
const SHOWN: usize = 8;
/// Where the policy says nothing.
const OF_NODES: &str = "as configured on each node: blocking unless a node says otherwise";
/// Hosts shown.
const HOSTS: usize = 50;

/// The mode in force for all hosts, then for each host and node group that has another.
pub fn modes(page: &Page) -> Vec<ModeLine> {
    let (head, now) = (page.app.policy.head(), page.app.clock.seconds());
    let of = |group: &str, host: Option<&str>| mode_in_force(&head.state, group, host, now);
    let general = of(DEFAULT_GROUP, None);
    let mut out = vec![line("All hosts", general.as_deref())];
    for host in hosts(&head.state, now).iter().take(HOSTS) {
        let mode = of(DEFAULT_GROUP, Some(host));
        out.extend((mode != general).then(|| line(host, mode.as_deref())));
    }
    for group in head.state.own_groups() {
        let mode = of(group, None);
        out.extend((mode != general).then(|| line(&format!("Node group {group}"), mode.as_deref())));
    }
    out
}

/// The mode in force at a place; none where each node decides.
pub fn line(place: &str, mode: Option<&str>) -> ModeLine {
    ModeLine {
        place: Text::new(place),
        mode: mode.map_or(OF_NODES, |mode| mode_words(Some(mode))),
        tone: match mode {
            Some("block") => Tone::Good,
            None => Tone::Note,
            Some(_) => Tone::Bad,
        },
    }
}

/// Rules in force that weaken protection, newest first, and how many more there are.
pub fn weak(page: &Page) -> (Vec<WeakRule>, usize) {
    let head = page.app.policy.head();
    let all = weakening(&head.state, page.app.clock.seconds());
    let shown = all
        .iter()
        .rev()
        .take(SHOWN)
        .map(|(entry, _)| WeakRule { id: entry.id, says: Text::new(&rule_text::sentence(&entry.rule)) });
    (shown.collect(), all.len().saturating_sub(SHOWN))
}
