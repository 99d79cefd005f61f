//! Access rules of the API: keys, client certificates and networks of connectors, and the hosts of requests.

use super::api_error::ApiError;
use http::{HeaderMap, header};
use ipnet::IpNet;
use regex::bytes::Regex;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq;
use weir_runtime::serve::Caller;

/// Networks that may call where neither key nor client certificate is configured: loopback, private and link-local.
const PRIVATE_NETWORKS: &[&str] = &[
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "169.254.0.0/16",
    "::1/128",
    "fc00::/7",
    "fe80::/10",
];

/// Which connectors may call, for which hosts. Replaced as a whole by a reload.
#[derive(Clone, Debug, Default)]
pub struct AccessRules {
    /// SHA-256 of each valid key, so that a comparison takes the same time for every guess.
    keys: Vec<[u8; 32]>,
    certificates: bool,
    networks: Option<Vec<IpNet>>,
    hosts: Vec<Regex>,
}

impl AccessRules {
    /// `keys`: bearer keys, all valid at once. `certificates`: whether client certificates are verified.
    /// `networks`: `None` for the default. `hosts`: compiled globs for the hosts of inspected requests; empty for any.
    pub fn new(keys: &[Vec<u8>], certificates: bool, networks: Option<Vec<IpNet>>, hosts: Vec<Regex>) -> Self {
        let hash = |key: &Vec<u8>| digest(&SHA256, key).as_ref().try_into().expect("32 bytes");
        let private = || PRIVATE_NETWORKS.iter().map(|n| n.parse().expect("a network")).collect();
        let open = keys.is_empty() && !certificates;
        Self {
            keys: keys.iter().map(hash).collect(),
            certificates,
            networks: networks.or_else(|| open.then(private)),
            hosts,
        }
    }

    /// Whether callers need not authenticate.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty() && !self.certificates
    }

    /// Checks whether `caller` may call with these headers. `Ok(true)` if it authenticated, `Ok(false)` if it need not. The
    /// permissions of a Unix socket stand in for the networks; a key is asked for all the same.
    pub fn authenticate(&self, caller: Caller, certificate: bool, headers: &HeaderMap) -> Result<bool, ApiError> {
        self.authenticate_key(caller, certificate, bearer(headers))
    }

    /// As [`AccessRules::authenticate`], with the key that the caller sent.
    pub fn authenticate_key(&self, caller: Caller, certificate: bool, key: Option<&[u8]>) -> Result<bool, ApiError> {
        if let (Some(networks), Caller::Ip(peer)) = (&self.networks, caller) {
            let peer = peer.to_canonical();
            if !networks.iter().any(|network| network.contains(&peer)) {
                return Err(ApiError::Network);
            }
        }
        if self.is_open() {
            return Ok(false);
        }
        if (self.certificates && certificate) || key.is_some_and(|key| self.has_key(key)) {
            return Ok(true);
        }
        Err(ApiError::Unauthenticated)
    }

    fn has_key(&self, key: &[u8]) -> bool {
        let hash = digest(&SHA256, key.trim_ascii());
        let mut found = subtle::Choice::from(0);
        for key in &self.keys {
            found |= key[..].ct_eq(hash.as_ref());
        }
        found.into()
    }

    /// Whether requests for `host` (lower case, no port) are accepted.
    pub fn allows_host(&self, host: &[u8]) -> bool {
        self.hosts.is_empty() || self.hosts.iter().any(|glob| glob.is_match(host))
    }
}

/// The key of a single `Authorization: Bearer` header.
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, key) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use weir_policy::pattern;

    fn ip(text: &str) -> Caller {
        Caller::Ip(text.parse().unwrap())
    }

    fn bearer(key: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {key}")).unwrap());
        headers
    }

    #[test]
    fn open_access_is_for_private_networks() {
        let access = AccessRules::new(&[], false, None, Vec::new());
        let ask = |peer: &str| access.authenticate(ip(peer), false, &HeaderMap::new());
        for peer in ["127.0.0.1", "10.1.2.3", "::1", "::ffff:192.168.0.1", "fd00::1"] {
            assert_eq!(ask(peer), Ok(false), "{peer}");
        }
        assert_eq!(ask("203.0.113.1"), Err(ApiError::Network));
        assert_eq!(ask("2001:db8::1"), Err(ApiError::Network));
    }

    #[test]
    fn two_keys_are_valid_at_once() {
        let access = AccessRules::new(&[b"new".to_vec(), b"old".to_vec()], false, None, Vec::new());
        let peer = ip("203.0.113.1");
        assert_eq!(access.authenticate(peer, false, &bearer("new")), Ok(true));
        assert_eq!(access.authenticate(peer, false, &bearer("old")), Ok(true));
        for headers in [bearer("other"), bearer(""), HeaderMap::new()] {
            assert_eq!(access.authenticate(peer, true, &headers), Err(ApiError::Unauthenticated));
        }
        let mut two = bearer("new");
        two.append(header::AUTHORIZATION, HeaderValue::from_static("Bearer old"));
        assert_eq!(access.authenticate(peer, false, &two), Err(ApiError::Unauthenticated));
    }

    #[test]
    fn either_key_or_certificate_suffices_within_the_networks() {
        let networks = Some(vec!["192.0.2.0/24".parse().unwrap()]);
        let access = AccessRules::new(&[b"k".to_vec()], true, networks, Vec::new());
        let inside = ip("192.0.2.7");
        assert_eq!(access.authenticate(inside, true, &HeaderMap::new()), Ok(true));
        assert_eq!(access.authenticate(inside, false, &bearer("k")), Ok(true));
        assert_eq!(access.authenticate(inside, false, &HeaderMap::new()), Err(ApiError::Unauthenticated));
        assert_eq!(access.authenticate(ip("192.0.3.7"), true, &bearer("k")), Err(ApiError::Network));
    }

    #[test]
    fn a_unix_socket_is_no_network_but_needs_the_key() {
        let networks = Some(vec!["192.0.2.0/24".parse().unwrap()]);
        let open = AccessRules::new(&[], false, networks.clone(), Vec::new());
        assert_eq!(open.authenticate(Caller::Unix(0), false, &HeaderMap::new()), Ok(false));
        let keyed = AccessRules::new(&[b"k".to_vec()], false, networks, Vec::new());
        assert_eq!(keyed.authenticate(Caller::Unix(0), false, &HeaderMap::new()), Err(ApiError::Unauthenticated));
        assert_eq!(keyed.authenticate(Caller::Unix(0), false, &bearer("k")), Ok(true));
    }

    #[test]
    fn hosts_match_globs() {
        let hosts = ["*.example.com", "api-?.test", "[a-c][^x].test"].map(|glob| pattern::glob(glob).unwrap());
        let access = AccessRules::new(&[], false, None, hosts.into());
        for (host, want) in [
            ("a.example.com", true),
            ("a.b.example.com", true),
            ("example.com", false),
            ("api-1.test", true),
            ("api-12.test", false),
            ("by.test", true),
            ("bx.test", false),
            ("", false),
        ] {
            assert_eq!(access.allows_host(host.as_bytes()), want, "{host}");
        }
        assert!(AccessRules::default().allows_host(b"anything"));
    }
}
