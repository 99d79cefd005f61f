//! Determines the client's address behind trusted proxies.
//!
//! A header is used only if a [`ProxyHeaders`] entry trusts the gateway's peer. Its hops are walked from the right, where
//! the nearest proxy appended, past every trusted proxy; hops further left come from untrusted parties. A client can
//! therefore not forge its address, unless the configuration trusts everyone. At a hop that is not an address, the walk
//! stops at the last hop that a trusted proxy reported.

mod address;
mod forwarded;
mod host;

pub use address::{Endpoint, parse_endpoint};

use ipnet::IpNet;
use std::net::IpAddr;
use weir_core::model::Header;

/// Hops that are read: real chains have two or three.
pub const MAX_HOPS: usize = 32;
/// Bytes of a header line that are read, from its right end, where the nearest hops are.
pub const MAX_LINE: usize = 8 << 10;

/// One entry of `proxy_headers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProxyHeaders {
    /// Proxies whose headers are trusted.
    pub trusted: Vec<IpNet>,
    /// Headers with the client's address; the first one present is used. `Forwarded` is parsed according to RFC 7239.
    pub real_ip: Vec<String>,
    /// Headers with the host that the client requested; the first one present is used.
    pub original_host: Vec<String>,
}

/// Which proxies to trust. The first entry whose `trusted` networks contain the peer applies.
#[derive(Clone, Debug, Default)]
pub struct ClientRules {
    records: Vec<ProxyHeaders>,
}

/// The client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; IPv4-mapped IPv6 addresses become IPv4.
    pub address: IpAddr,
    /// Where the address comes from.
    pub found: AddressSource,
    /// The host that the client requested, lower case, without port, if a trusted proxy forwards it.
    pub host: Option<String>,
    /// Problems found, in order of discovery, each kind once.
    pub notes: Vec<ClientNote>,
}

/// Where the client's address comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressSource {
    /// The gateway's peer.
    Peer,
    /// A header of a trusted proxy.
    Header {
        /// Number of the `proxy_headers` entry, from 0.
        record: usize,
        /// Name of the header, as configured.
        name: String,
        /// Hops walked, from 1: the number of proxies between client and gateway.
        hops: usize,
    },
}

/// A problem with the headers that carry the client's address. The codes are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientNote {
    /// The header came from a peer that no entry trusts; it was ignored.
    Untrusted,
    /// A hop is not an address.
    BadHop,
    /// A hop hides its address (`unknown` or `_name`, RFC 7239 §6).
    HiddenHop,
    /// More hops than [`MAX_HOPS`], or a longer line than [`MAX_LINE`].
    TooManyHops,
    /// The original host is not valid.
    BadHost,
}

impl ClientNote {
    /// Stable code, e.g. `bad_hop`.
    pub const fn code(self) -> &'static str {
        match self {
            ClientNote::Untrusted => "untrusted",
            ClientNote::BadHop => "bad_hop",
            ClientNote::HiddenHop => "hidden_hop",
            ClientNote::TooManyHops => "too_many_hops",
            ClientNote::BadHost => "bad_host",
        }
    }
}

impl ClientRules {
    /// Rules with these `proxy_headers` entries.
    pub fn new(records: Vec<ProxyHeaders>) -> Self {
        Self { records }
    }

    /// Determines the client behind `peer` (the gateway's peer) from the headers of its request.
    /// Takes time proportional to the size of the headers named by one entry.
    pub fn find(&self, peer: IpAddr, headers: &[Header<'_>]) -> Client {
        let peer = peer.to_canonical();
        let mut client = Client { address: peer, found: AddressSource::Peer, host: None, notes: Vec::new() };
        let Some((number, record)) = self.records.iter().enumerate().find(|(_, record)| record.trusts(peer)) else {
            let named = |name: &String| headers.iter().any(|header| header.is(name));
            if self.records.iter().any(|record| record.real_ip.iter().any(named)) {
                client.note(ClientNote::Untrusted);
            }
            return client;
        };
        let hops = record.walk(number, headers, &mut client);
        record.host(headers, hops, &mut client);
        client
    }
}

impl Client {
    fn note(&mut self, note: ClientNote) {
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }
}

/// One hop.
enum Hop {
    Address(IpAddr),
    Hidden,
    Bad,
}

impl ProxyHeaders {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| contains(network, address))
    }

    /// Walks the hops of the first header present. Returns how many proxies besides the peer were trusted.
    fn walk(&self, number: usize, headers: &[Header<'_>], client: &mut Client) -> usize {
        let present = |name: &&String| headers.iter().any(|header| header.is(name));
        let Some(name) = self.real_ip.iter().find(present) else { return 0 };
        let by_rfc = name.eq_ignore_ascii_case("forwarded");
        // The last line was added last, so it is the nearest.
        let lines = headers.iter().rev().filter(|header| header.is(name)).map(|header| header.value);
        let mut walked = 0;
        for line in lines {
            let cut = line.len() > MAX_LINE;
            let line = &line[line.len().saturating_sub(MAX_LINE)..];
            let mut elements = forwarded::elements_from_right(line, by_rfc).peekable();
            while let Some(element) = elements.next() {
                let element = element.trim_ascii();
                if element.is_empty() {
                    // Empty list members are ignored (RFC 9110 §5.6.1).
                    continue;
                }
                // The leftmost element of a truncated line may itself be truncated.
                if walked == MAX_HOPS || (cut && elements.peek().is_none()) {
                    client.note(ClientNote::TooManyHops);
                    return walked.saturating_sub(1);
                }
                match if by_rfc { forwarded::hop(element) } else { address::hop(element) } {
                    Hop::Address(address) => {
                        walked += 1;
                        client.address = address;
                        client.found = AddressSource::Header { record: number, name: name.clone(), hops: walked };
                        if !self.trusts(address) {
                            return walked - 1;
                        }
                    }
                    Hop::Hidden => {
                        client.note(ClientNote::HiddenHop);
                        return walked;
                    }
                    Hop::Bad => {
                        client.note(ClientNote::BadHop);
                        return walked;
                    }
                }
            }
        }
        walked.saturating_sub(1)
    }

    /// The host requested from the outermost trusted proxy: the element `hops` from the right, since each proxy appends
    /// one. Elements further left may be forged by the client.
    fn host(&self, headers: &[Header<'_>], hops: usize, client: &mut Client) {
        let present = |name: &&String| headers.iter().any(|header| header.is(name));
        let Some(name) = self.original_host.iter().find(present) else { return };
        let by_rfc = name.eq_ignore_ascii_case("forwarded");
        let lines = headers.iter().rev().filter(|header| header.is(name)).map(|header| header.value);
        let members = lines
            .map(|line| &line[line.len().saturating_sub(MAX_LINE)..])
            .flat_map(|line| forwarded::elements_from_right(line, by_rfc))
            .map(<[u8]>::trim_ascii)
            .filter(|element| !element.is_empty());
        let Some(element) = members.take(hops + 1).last() else { return };
        let value = if by_rfc { forwarded::parameter(element, "host") } else { Some(element.into()) };
        match value.as_deref().map(host::parse) {
            Some(Some(host)) => client.host = Some(host),
            Some(None) => client.note(ClientNote::BadHost),
            None => {}
        }
    }
}

/// Whether `network` contains `address`; IPv4-mapped networks count as IPv4 networks.
fn contains(network: &IpNet, address: IpAddr) -> bool {
    if network.contains(&address) {
        return true;
    }
    match (network, address) {
        (IpNet::V6(v6), IpAddr::V4(v4)) => v6.prefix_len() >= 96 && v6.contains(&v4.to_ipv6_mapped()),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
