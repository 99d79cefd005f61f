//! Rankings and plots that several pages show.

use crate::console::search::{link, term};
use crate::console::time_range::TimeRange;
use crate::console::view::dashboard::{Figure, Ranked, percent};
use crate::console::view::number::{compact, grouped, share};
use crate::console::view::parts::{AttackKind, HitCount};
use crate::console::view::plot::stacked::Stacked;
use crate::console::view::plot::{Buckets, Form, Series};
use crate::console::view::text::Text;
use crate::console::view::ui::{href, segment};
use crate::overview::Sampled;
use crate::store::{self, Count, RuleCount};
use weir_core::model::AttackType;

/// The page of a source address.
pub fn source_page(ip: &str, range: &str) -> String {
    href(&format!("/sources/{}", segment(ip)), &[("range", range)])
}

/// The page of a host.
pub fn host_page(host: &str, range: &str) -> String {
    href(&format!("/hosts/{}", segment(host)), &[("range", range)])
}

/// Sources, each with its page.
pub fn sources(counts: &[Count], range: TimeRange) -> Vec<Ranked> {
    ranking(counts, |ip| source_page(ip, range.code))
}

/// Hosts, each with its page.
pub fn hosts(counts: &[Count], range: TimeRange) -> Vec<Ranked> {
    ranking(counts, |host| host_page(host, range.code))
}

fn ranking(counts: &[Count], page: impl Fn(&str) -> String) -> Vec<Ranked> {
    let largest = counts.first().map_or(0, |count| count.hits);
    let ranked = |count: &Count| Ranked {
        label: Text::new(if count.value.is_empty() { "unknown" } else { &count.value }),
        note: Text::new(&if count.blocked == 0 {
            String::new()
        } else {
            format!("{} blocked", share(count.blocked, count.hits))
        }),
        href: if count.value.is_empty() { String::new() } else { page(&count.value) },
        count: grouped(count.hits),
        bar: percent(count.hits, largest),
        slot: None,
    };
    counts.iter().map(ranked).collect()
}

/// Attack types, each with the search for it and `within`, a term of the search.
pub fn kinds(counts: &[Count], within: &str, range: TimeRange) -> Vec<Ranked> {
    let largest = counts.first().map_or(0, |count| count.hits);
    let ranked = |count: &Count| {
        let kind = AttackKind::of(AttackType::from_code(&count.value)?);
        let terms = [kind.code.to_owned(), within.to_owned()];
        Some(Ranked {
            href: link("/attacks", &terms, range.code),
            ..Ranked::kind(kind, count.hits, largest, range.code)
        })
    };
    counts.iter().filter_map(ranked).collect()
}

/// Values of the hits looked at, without links.
pub fn sampled(values: &[Sampled], none: &str) -> Vec<Ranked> {
    let largest = values.first().map_or(0, |one| one.hits);
    let ranked = |one: &Sampled| Ranked {
        label: Text::new(if one.value.is_empty() { none } else { &one.value }),
        note: Text::default(),
        href: String::new(),
        count: grouped(one.hits),
        bar: percent(one.hits, largest),
        slot: None,
    };
    values.iter().map(ranked).collect()
}

/// Blocked and passed hits over time.
pub fn hits_plot(series: &store::Series, from: i64, form: [Form; 2]) -> Stacked {
    let values = |of: fn(&store::Slot) -> u64| series.slots.iter().map(of).collect();
    let buckets = Buckets { from, step: series.step, count: series.slots.len() };
    let shown = vec![
        Series { label: "Blocked".into(), slot: 2, values: values(|slot| slot.blocked) },
        Series { label: "Passed".into(), slot: 3, values: values(|slot| slot.hits - slot.blocked.min(slot.hits)) },
    ];
    Stacked::new("hits", "Hits over time", buckets, shown, form)
}

/// A figure without a link.
pub fn figure(label: &'static str, value: u64, note: impl Into<String>) -> Figure {
    Figure { label, value: compact(value), note: note.into(), href: None, alarm: false }
}

/// `now` against `before`, in words.
pub fn change(now: u64, before: u64) -> String {
    match (now, before) {
        (_, 0) => "none in the previous period".into(),
        (now, before) if now >= before => format!("+{} vs. previous period", share(now - before, before)),
        (now, before) => format!("\u{2212}{} vs. previous period", share(before - now, before)),
    }
}

/// Hits of a signature or rule; no count is no hits.
pub fn hit_count(count: Option<&RuleCount>, now: i64) -> HitCount {
    let none = RuleCount::default();
    let count = count.unwrap_or(&none);
    HitCount::new(count.hits, count.last_hour, now)
}

/// `ip:` and an address, as a term of the search.
pub fn by_source(ip: &str) -> String {
    term("ip", ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_relative_to_the_previous_period() {
        assert_eq!(
            (change(5, 0).as_str(), change(15, 10).as_str()),
            ("none in the previous period", "+50.0% vs. previous period")
        );
        assert_eq!(change(5, 10), "\u{2212}50.0% vs. previous period");
    }

    #[test]
    fn addresses_are_encoded_in_links() {
        assert_eq!(source_page("2001:db8::1", "24h"), "/sources/2001%3Adb8%3A%3A1?range=24h");
        assert_eq!(host_page("a/../b", ""), "/hosts/a%2F..%2Fb");
    }
}
