//! `input_filters`: which requests are inspected.

use super::error::PolicyError;
use super::pattern;
use super::reading::Reading;
use super::settings::{FilterSettings, Settings};
use ipnet::IpNet;
use regex::bytes::Regex;
use std::net::IpAddr;
use weir_core::model::DecodedHead;

/// The compiled entries of `inspect` and `bypass`.
#[derive(Debug, Default)]
pub struct Filters {
    inspect: Vec<Filter>,
    bypass: Vec<Filter>,
}

/// Conditions that must all hold.
#[derive(Debug, Default)]
struct Filter {
    path: Option<Regex>,
    url: Option<Regex>,
    headers: Vec<(String, Regex)>,
    networks: Vec<IpNet>,
}

impl Filters {
    /// Compiles the filters of `settings`.
    pub fn compile(settings: &Settings, errors: &mut Vec<PolicyError>) -> Self {
        let mut side = |items: &[FilterSettings], name: &str| {
            let filter = |(number, item)| Filter::compile(item, &format!("input_filters.{name}[{number}]"), errors);
            items.iter().enumerate().map(filter).collect()
        };
        Self { inspect: side(&settings.inspect, "inspect"), bypass: side(&settings.bypass, "bypass") }
    }

    /// Whether a request is not inspected: it matches a `bypass` entry, or no entry of a non-empty `inspect` list.
    pub fn is_bypassed(&self, reading: &Reading<'_, '_, '_>) -> bool {
        if self.inspect.is_empty() && self.bypass.is_empty() {
            return false;
        }
        self.bypass.iter().any(|filter| filter.matches(reading))
            || (!self.inspect.is_empty() && !self.inspect.iter().any(|filter| filter.matches(reading)))
    }
}

impl Filter {
    fn compile(item: &FilterSettings, at: &str, errors: &mut Vec<PolicyError>) -> Self {
        let mut errors_at =
            |key: &str, message: String| errors.push(PolicyError::setting(format!("{at}{key}"), message));
        if item.path.is_none() && item.url.is_none() && item.headers.is_empty() && item.ip_addresses.is_empty() {
            errors_at("", "an item needs at least one of `path`, `url`, `headers`, `ip_addresses`".into());
        }
        let mut regex =
            |key: &str, text: &str| pattern::regex(text, false).map_err(|error| errors_at(key, error.to_string())).ok();
        let path = item.path.as_ref().and_then(|text| regex(".path", text));
        let url = item.url.as_ref().and_then(|text| regex(".url", text));
        let headers = item.headers.iter();
        let headers = headers
            .filter_map(|(name, text)| Some((name.clone(), regex(&format!(".headers.{name}"), text)?)))
            .collect();
        let networks = item.ip_addresses.iter().filter_map(|text| match network(text) {
            Some(network) => Some(network),
            None => {
                errors_at(".ip_addresses", format!("`{text}` is not an address or network such as `10.0.0.0/8`"));
                None
            }
        });
        let networks = networks.collect();
        Self { path, url, headers, networks }
    }

    fn matches(&self, reading: &Reading<'_, '_, '_>) -> bool {
        let request = reading.request;
        (self.networks.is_empty() || request.client.is_some_and(|ip| contains(&self.networks, ip)))
            && self.path.as_ref().is_none_or(|path| path.is_match(&reading.path.text))
            && self.headers.iter().all(|(name, regex)| {
                DecodedHead::header(request.message, name).is_some_and(|value| regex.is_match(&value))
            })
            && self.url.as_ref().is_none_or(|url| url.is_match(&full_url(reading)))
    }
}

/// `host/path?query`: the path decoded, the query as sent.
fn full_url(reading: &Reading<'_, '_, '_>) -> Vec<u8> {
    let facts = reading.request.facts;
    let mut url = [reading.host, &*reading.path.text].concat();
    if let Some(at) = memchr::memchr(b'?', &facts.uri) {
        url.extend_from_slice(&facts.uri[at..]);
    }
    url
}

/// An address or network; an IPv4 network in its IPv6 form is taken as what it is.
pub fn network(text: &str) -> Option<IpNet> {
    let text = text.trim();
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    match network {
        IpNet::V6(v6) if v6.prefix_len() >= 96 && v6.addr().to_ipv4_mapped().is_some() => {
            let v4 = v6.addr().to_ipv4_mapped()?;
            Some(IpNet::new(v4.into(), v6.prefix_len() - 96).ok()?.trunc())
        }
        network => Some(network.trunc()),
    }
}

fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|network| network.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Source;
    use crate::verdict::RequestContext;
    use weir_core::model::{DecodedPath, Header, Message};

    fn compiled(inspect: Vec<FilterSettings>, bypass: Vec<FilterSettings>) -> Result<Filters, Vec<PolicyError>> {
        let mut errors = Vec::new();
        let filters = Filters::compile(&Settings { inspect, bypass, ..Settings::default() }, &mut errors);
        if errors.is_empty() { Ok(filters) } else { Err(errors) }
    }

    fn left_alone(filters: &Filters, path: &'static str, client: &str) -> bool {
        let message = Message { headers: vec![Header { name: b"API-Version", value: b"v2" }], ..Message::default() };
        let facts = DecodedHead {
            host: b"shop.example"[..].into(),
            path: DecodedPath { text: path.as_bytes().into(), ..DecodedPath::default() },
            uri: b"/raw?q=1"[..].into(),
            ..DecodedHead::default()
        };
        let request = RequestContext {
            message: &message,
            facts: &facts,
            client: client.parse().ok(),
            source: Source::default(),
            now: 0,
            blocking: true,
            request_id: "",
        };
        filters.is_bypassed(&Reading { request: &request, host: &facts.host, path: &facts.path, application: 0 })
    }

    fn path(text: &str) -> FilterSettings {
        FilterSettings { path: Some(text.into()), ..FilterSettings::default() }
    }

    #[test]
    fn items_are_ored_conditions_anded_and_bypass_wins() {
        let both = FilterSettings {
            path: Some("^/api/".into()),
            headers: vec![("api-version".into(), "^v[0-9]+$".into())],
            ..FilterSettings::default()
        };
        let absent = FilterSettings { headers: vec![("x-other".into(), ".*".into())], ..FilterSettings::default() };
        let filters = compiled(vec![both, absent, path("^/login$")], vec![path(r"\.png$")]).unwrap();
        for (path, alone) in [("/api/x", false), ("/login", false), ("/other", true), ("/api/x.png", true)] {
            assert_eq!(left_alone(&filters, path, ""), alone, "{path}");
        }
        let none = compiled(Vec::new(), Vec::new()).unwrap();
        assert!(!left_alone(&none, "/", ""));
    }

    #[test]
    fn urls_and_addresses() {
        let url = FilterSettings { url: Some(r"^shop\.example/x\?q=1$".into()), ..FilterSettings::default() };
        let ip = FilterSettings {
            ip_addresses: vec!["10.0.0.0/8".into(), "::ffff:192.0.2.0/120".into(), "2001:db8::1".into()],
            ..FilterSettings::default()
        };
        let filters = compiled(Vec::new(), vec![url, ip]).unwrap();
        assert!(left_alone(&filters, "/x", ""));
        assert!(!left_alone(&filters, "/y", "11.0.0.1"));
        for inside in ["10.1.2.3", "::ffff:10.1.2.3", "192.0.2.7", "2001:db8::1"] {
            assert!(left_alone(&filters, "/y", inside), "{inside}");
        }
    }

    #[test]
    fn mistakes_are_told_all_at_once() {
        let bad = FilterSettings {
            path: Some("(".into()),
            ip_addresses: vec!["10.0.0.0/33".into(), "x".into()],
            ..FilterSettings::default()
        };
        let errors = compiled(vec![FilterSettings::default()], vec![bad]).unwrap_err();
        assert_eq!(errors.len(), 4);
        assert_eq!(errors[1].to_string(), "input_filters.bypass[0].path: unclosed group");
    }
}
