//! What the API decided, by the ids of its decisions: several may be about the same address, and each ends on its own.

use serde::Deserialize;
use std::collections::HashMap;
use std::sync::Arc;
use weir_policy::ip_index::{IpIndex, ListEntry, ListedSource};
use weir_policy::{Country, List};

/// Decisions kept; further ones are counted and left out.
const MAX_DECISIONS: usize = 500_000;
/// Longest reason kept, in bytes.
const MAX_REASON: usize = 200;

/// An answer of the API.
#[derive(Debug, Default, Deserialize)]
pub struct Changes {
    /// Decisions that began.
    #[serde(default)]
    new: Option<Vec<Decision>>,
    /// Decisions that ended.
    #[serde(default)]
    deleted: Option<Vec<Decision>>,
}

#[derive(Debug, Deserialize)]
struct Decision {
    id: i64,
    #[serde(default)]
    duration: String,
    #[serde(default)]
    scenario: String,
    scope: String,
    #[serde(rename = "type")]
    kind: String,
    value: String,
    #[serde(default)]
    simulated: bool,
}

/// The decisions in force.
#[derive(Debug, Default)]
pub struct Decisions {
    by_id: HashMap<i64, ListEntry>,
}

impl Decisions {
    /// Applies `changes`; `all` if they are everything there is. `now` is in seconds since 1970. Returns how many
    /// decisions could not be used: of another scope or type, or too many.
    pub fn apply(&mut self, changes: Changes, all: bool, now: u64) -> usize {
        if all {
            self.by_id.clear();
        }
        for ended in changes.deleted.unwrap_or_default() {
            self.by_id.remove(&ended.id);
        }
        let mut unused = 0;
        for decision in changes.new.unwrap_or_default().into_iter().filter(|decision| !decision.simulated) {
            let room = self.by_id.len() < MAX_DECISIONS || self.by_id.contains_key(&decision.id);
            match decision.entry(now).filter(|_| room) {
                Some(entry) if entry.expires > now => {
                    self.by_id.insert(decision.id, entry);
                }
                Some(_) => {}
                None => unused += 1,
            }
        }
        self.by_id.retain(|_, entry| entry.expires > now);
        unused
    }

    /// Decisions kept.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// The index of them.
    pub fn index(&self) -> IpIndex {
        IpIndex::new(self.by_id.values().cloned())
    }
}

impl Decision {
    fn entry(&self, now: u64) -> Option<ListEntry> {
        let list = match self.kind.to_ascii_lowercase().as_str() {
            "ban" => List::Deny,
            "captcha" => List::Gray,
            _ => return None,
        };
        let what = match self.scope.to_ascii_lowercase().as_str() {
            "ip" => ListedSource::Network(self.value.parse::<std::net::IpAddr>().ok()?.into()),
            "range" => ListedSource::Network(self.value.parse().ok()?),
            "country" => {
                let code = self.value.to_ascii_uppercase();
                let letters = code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
                ListedSource::Country(Country::new(&code).filter(|_| letters)?)
            }
            "as" => {
                let digits = self.value.strip_prefix("AS").or_else(|| self.value.strip_prefix("as"));
                ListedSource::Asn(digits.unwrap_or(&self.value).parse().ok()?)
            }
            _ => return None,
        };
        let expires = now.saturating_add_signed(seconds(&self.duration)?);
        let end = (0..=MAX_REASON.min(self.scenario.len())).rev().find(|&at| self.scenario.is_char_boundary(at));
        let reason: Arc<str> = format!("crowdsec: {}", &self.scenario[..end.unwrap_or(0)]).into();
        Some(ListEntry {
            list,
            what,
            application: None,
            expires,
            value: self.value.as_str().into(),
            reason: Some(reason),
        })
    }
}

/// Seconds of a duration as Go writes it (`-1h2m3.5s`, `100ms`, `0s`), rounded up. `None` for anything else.
pub fn seconds(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    let mut total = 0f64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let units = [
            ("ns", 1e-9),
            ("us", 1e-6),
            ("µs", 1e-6),
            ("μs", 1e-6),
            ("ms", 1e-3),
            ("s", 1.0),
            ("m", 60.0),
            ("h", 3600.0),
        ];
        let (unit, factor) = units.into_iter().find(|(unit, _)| rest.starts_with(unit))?;
        rest = &rest[unit.len()..];
        total += number * factor;
    }
    let whole = total.ceil().min(1e15) as i64;
    Some(if negative { -whole } else { whole })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use weir_policy::Source;

    const NOW: u64 = 1_000_000;

    fn decision(id: i64, kind: &str, scope: &str, value: &str, duration: &str) -> String {
        format!(
            r#"{{"id":{id},"type":"{kind}","scope":"{scope}","value":"{value}","duration":"{duration}","scenario":"s","origin":"cscli"}}"#
        )
    }

    fn apply(decisions: &mut Decisions, new: &[String], deleted: &[String], all: bool) -> usize {
        let text = format!(r#"{{"new":[{}],"deleted":[{}]}}"#, new.join(","), deleted.join(","));
        decisions.apply(serde_json::from_str(&text).unwrap(), all, NOW)
    }

    fn found(decisions: &Decisions, ip: &str, now: u64) -> Option<List> {
        let hit = decisions.index().find(Some(ip.parse().unwrap()), &Source::default(), 0, now, List::Gray);
        hit.map(|hit| hit.list)
    }

    #[test]
    fn scopes_and_types_become_lists() {
        let mut decisions = Decisions::default();
        let unused = apply(
            &mut decisions,
            &[
                decision(1, "ban", "Ip", "192.0.2.1", "4h"),
                decision(2, "captcha", "range", "198.51.100.0/24", "1h0m0.5s"),
                decision(3, "ban", "Country", "fr", "1h"),
                decision(4, "ban", "AS", "64500", "1h"),
                decision(5, "ban", "username", "bob", "1h"),
                decision(6, "throttle", "ip", "192.0.2.2", "1h"),
                decision(7, "ban", "ip", "192.0.2.3", "-1h"),
                decision(8, "ban", "ip", "192.0.2.4", "soon"),
            ],
            &[],
            true,
        );
        assert_eq!((decisions.len(), unused), (4, 3));
        assert_eq!(found(&decisions, "192.0.2.1", NOW), Some(List::Deny));
        assert_eq!(found(&decisions, "198.51.100.77", NOW), Some(List::Gray));
        for none in ["192.0.2.2", "192.0.2.3", "192.0.2.4"] {
            assert_eq!(found(&decisions, none, NOW), None);
        }
        assert_eq!(found(&decisions, "192.0.2.1", NOW + 4 * 3600), None, "it expires while the API is away");
        let source = Source { country: Country::new("FR"), asn: Some(64500), ..Source::default() };
        assert_eq!(decisions.index().find(None, &source, 0, NOW, List::Gray).map(|hit| hit.list), Some(List::Deny));
    }

    #[test]
    fn overlapping_decisions_end_one_by_one() {
        let mut decisions = Decisions::default();
        let [long, short] = [("8h", 1), ("1h", 2)].map(|(time, id)| decision(id, "ban", "ip", "192.0.2.1", time));
        let range = decision(3, "captcha", "range", "192.0.2.0/24", "8h");
        apply(&mut decisions, &[long.clone(), short.clone(), range.clone()], &[], true);
        apply(&mut decisions, &[], &[long], false);
        assert_eq!(found(&decisions, "192.0.2.1", NOW), Some(List::Deny), "the other one is still in force");
        apply(&mut decisions, &[], std::slice::from_ref(&short), false);
        assert_eq!(found(&decisions, "192.0.2.1", NOW), Some(List::Gray), "that of the range");
        // All of them anew: what is not among them has ended.
        apply(&mut decisions, &[short], &[], true);
        assert_eq!((decisions.len(), found(&decisions, "192.0.2.9", NOW)), (1, None));
        assert_eq!(decisions.apply(serde_json::from_str(r#"{"new":null,"deleted":null}"#).unwrap(), false, NOW), 0);
        assert_eq!(decisions.len(), 1);
    }

    #[test]
    fn durations_are_those_of_go() {
        for (text, want) in [
            ("3h59m57.9s", Some(14398)),
            ("-2m", Some(-120)),
            ("100ms", Some(1)),
            ("1.5h", Some(5400)),
            ("0s", Some(0)),
            ("0", Some(0)),
            ("2562047h47m16.854775807s", Some(9_223_372_037)),
            ("5µs", Some(1)),
            ("", None),
            ("-", None),
            ("5", None),
            ("5d", None),
            ("h", None),
            ("1..2s", None),
        ] {
            assert_eq!(seconds(text), want, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_a_duration_or_not(text in "[-+]?[0-9.hmsnu\u{b5}]{0,40}|.*") {
            let _seconds = seconds(&text);
        }
    }
}
