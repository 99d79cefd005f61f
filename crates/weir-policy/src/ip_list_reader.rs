//! Reads `ip_lists` of a policy document.

use super::doc::{FieldReader, PolicyDoc, shown};
use super::error::PolicyError;
use super::filters::network;
use super::ip_index::{ListEntry, ListedSource};
use super::list::List;
use super::rule::NEVER;
use super::source::{Country, Region, SOURCE_KINDS};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde_json::Value;
use std::net::IpAddr;
use std::sync::Arc;

/// Listed values that a document may have, counted once per application.
const MAX_LISTED: usize = 1_000_000;
/// Applications that one entry may be limited to.
const MAX_APPLICATIONS: usize = 1_000;

/// Reads every entry of `doc`.
pub(super) fn read(doc: &PolicyDoc, errors: &mut Vec<PolicyError>) -> Vec<ListEntry> {
    let mut out = Vec::new();
    for (number, map) in doc.ip_lists.iter().enumerate() {
        let mut fields = FieldReader::new(doc, format!("ip_lists[{number}]"), map, errors);
        entries(&mut fields, &mut out);
        fields.finish();
        if out.len() > MAX_LISTED {
            let message = format!("more than {MAX_LISTED} listed values");
            errors.push(PolicyError { file: doc.name.clone(), line: 0, column: 0, at: "ip_lists".into(), message });
            break;
        }
    }
    out
}

const LISTS: &[(&str, List)] = &[
    ("allow", List::Allow),
    ("white", List::Allow),
    ("deny", List::Deny),
    ("black", List::Deny),
    ("gray", List::Gray),
    ("grey", List::Gray),
];

/// Parses a value of an entry.
type Reader = fn(&str) -> Option<Vec<ListedSource>>;

const TYPES: &[(&str, Reader)] = &[
    ("ip_range", networks),
    ("subnet", networks),
    ("country", location),
    ("location", location),
    ("asn", asn),
    ("proxy_type", kind),
    ("datacenter", kind),
];

fn entries(fields: &mut FieldReader<'_, '_>, out: &mut Vec<ListEntry>) {
    fields.need("list", "allow, deny or gray", Value::as_str);
    let list = fields.choice("list", LISTS);
    let read = match fields.get("rule_type") {
        None => Some(networks as Reader),
        Some(_) => fields.choice("rule_type", TYPES),
    };
    let expires = fields.number("expired_at", 0..=u64::MAX).unwrap_or(NEVER);
    let reason: Option<Arc<str>> = fields.text("reason").map(Arc::from);
    fields.text("comment");
    let applications = applications(fields);
    let values = fields.need("values", "a list of values", Value::as_array);
    let (Some(list), Some(read), Some(applications), Some(values)) = (list, read, applications, values) else { return };
    for (at, value) in values.iter().enumerate() {
        // Each value becomes an entry for each of its networks and applications: too many are not made first.
        if out.len() > MAX_LISTED {
            return;
        }
        let text = value.as_str().map(str::to_owned).or_else(|| value.as_u64().map(|n| n.to_string()));
        let Some(listed) = text.as_deref().and_then(read) else {
            fields
                .error(&format!("values[{at}]"), format!("{} is not a valid value of this `rule_type`", shown(value)));
            continue;
        };
        let shown_value: Arc<str> = text.unwrap_or_default().into();
        for (what, application) in listed.iter().flat_map(|what| applications.iter().map(move |a| (what, *a))) {
            let (value, reason, what) = (Arc::clone(&shown_value), reason.clone(), what.clone());
            out.push(ListEntry { list, what, application, expires, value, reason });
        }
    }
}

/// Application ids; absent, empty or 0 means all.
fn applications(fields: &mut FieldReader<'_, '_>) -> Option<Vec<Option<i64>>> {
    let Some(value) = fields.get("applications") else { return Some(vec![None]) };
    let ids = value.as_array().and_then(|items| items.iter().map(Value::as_i64).collect::<Option<Vec<i64>>>());
    match ids {
        Some(ids) if ids.is_empty() || ids.contains(&0) => Some(vec![None]),
        Some(ids) if ids.len() <= MAX_APPLICATIONS => Some(ids.into_iter().map(Some).collect()),
        _ => {
            fields.error("applications", format!("expected a list of at most {MAX_APPLICATIONS} application ids"));
            None
        }
    }
}

/// An address, a network, or a range `first-last`.
fn networks(text: &str) -> Option<Vec<ListedSource>> {
    let Some((first, last)) = text.split_once('-') else { return Some(vec![ListedSource::Network(network(text)?)]) };
    let networks: Vec<IpNet> = match (first.trim().parse().ok()?, last.trim().parse().ok()?) {
        (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => {
            Ipv4Subnets::new(first, last, 0).map(IpNet::V4).collect()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => {
            Ipv6Subnets::new(first, last, 0).map(IpNet::V6).collect()
        }
        _ => return None,
    };
    Some(networks.into_iter().map(ListedSource::Network).collect())
}

fn location(text: &str) -> Option<Vec<ListedSource>> {
    let two_letters = |c: &Country| c.as_str().len() == 2 && c.as_str().bytes().all(|b| b.is_ascii_uppercase());
    let country = Country::new(text).filter(two_letters).map(ListedSource::Country);
    let region = || Region::new(text).filter(|r| r.as_str().as_bytes().get(2) == Some(&b'-')).map(ListedSource::Region);
    country.or_else(region).map(|listed| vec![listed])
}

fn asn(text: &str) -> Option<Vec<ListedSource>> {
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    digits.parse().ok().map(|asn| vec![ListedSource::Asn(asn)])
}

fn kind(text: &str) -> Option<Vec<ListedSource>> {
    let at = SOURCE_KINDS.iter().position(|known| known.eq_ignore_ascii_case(text))?;
    Some(vec![ListedSource::Kind(at)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_become_networks() {
        let shown = |text: &str| -> Vec<String> { networks(text).unwrap().iter().map(ToString::to_string).collect() };
        assert_eq!(shown("10.0.0.1-10.0.0.4"), ["10.0.0.1", "10.0.0.2/31", "10.0.0.4"]);
        assert_eq!(shown("0.0.0.0-255.255.255.255"), ["0.0.0.0/0"]);
        assert_eq!(shown("::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), ["::/0"]);
        for bad in ["10.0.0.4-10.0.0.1", "10.0.0.1-::1", "x", "10.0.0.0/33", ""] {
            assert!(networks(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn every_type_reads_its_values() {
        let text = "
ip_lists:
  - {list: deny, values: [192.0.2.1, 198.51.100.0/24], reason: scan, expired_at: 99}
  - {list: black, rule_type: country, values: [de, US-CA], applications: [3, 4]}
  - {list: gray, rule_type: asn, values: [AS64500, 64501]}
  - {list: white, rule_type: proxy_type, values: [TOR], applications: [0]}
  - {list: allow, rule_type: datacenter, values: [aws]}
";
        let mut errors = Vec::new();
        let entries = read(&PolicyDoc::parse("p", text).unwrap(), &mut errors);
        assert_eq!(errors, []);
        let told: Vec<String> = entries
            .iter()
            .map(|e| format!("{} {} {:?} {}", e.list.code(), e.what, e.application, e.expires == NEVER))
            .collect();
        assert_eq!(
            told,
            [
                "deny 192.0.2.1 None false",
                "deny 198.51.100.0/24 None false",
                "deny DE Some(3) true",
                "deny DE Some(4) true",
                "deny US-CA Some(3) true",
                "deny US-CA Some(4) true",
                "gray AS64500 None true",
                "gray AS64501 None true",
                "allow tor None true",
                "allow aws None true",
            ]
        );
    }

    #[test]
    fn values_times_applications_are_bounded_before_they_are_made() {
        let numbers = |count: usize| (1..=count).map(|n| n.to_string()).collect::<Vec<_>>().join(", ");
        let (values, applications) = (numbers(20_000), numbers(MAX_APPLICATIONS));
        let text =
            format!("ip_lists: [{{list: deny, rule_type: asn, values: [{values}], applications: [{applications}]}}]");
        let mut errors = Vec::new();
        let entries = read(&PolicyDoc::parse("p", &text).unwrap(), &mut errors);
        assert!(entries.len() <= MAX_LISTED + MAX_APPLICATIONS, "{}", entries.len());
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].to_string().contains("more than 1000000 listed values"), "{errors:?}");
    }

    #[test]
    fn all_mistakes_are_reported_with_their_location() {
        let text = "
ip_lists:
  - {list: purple, values: [192.0.2.1]}
  - list: deny
    rule_type: country
    values: [D1, X]
    applicatons: []
";
        let mut errors = Vec::new();
        read(&PolicyDoc::parse("p.yaml", text).unwrap(), &mut errors);
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].starts_with("p.yaml:3:12: ip_lists[0].list: expected one of allow"), "{told:#?}");
        assert!(told[1].starts_with("p.yaml:6:13: ip_lists[1].values[0]: `\"D1\"`"), "{told:#?}");
        assert!(told[3].ends_with("did you mean `applications`?"), "{told:#?}");
    }
}
