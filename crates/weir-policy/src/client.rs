//! Who the client is: the address behind the proxies that are trusted, and how it was found.
//!
//! A header counts only if the address that the gateway saw belongs to a proxy that a [`Record`] trusts. Its hops are
//! then walked from the right, where the nearest proxy wrote, past every trusted one: what stands further left was
//! written by somebody unknown. So a client cannot claim an address, unless everyone is trusted in so many words.
//! Where the walk meets what is no address, it stops at the last hop that a trusted proxy vouched for.

mod address;
mod forwarded;
mod host;

pub use address::{Endpoint, parse_endpoint};

use ipnet::IpNet;
use std::net::IpAddr;
use weir_core::model::Header;

/// Hops looked at: real chains have two or three.
pub const MAX_HOPS: usize = 32;
/// Longest header line looked at, in bytes from its right end: the nearest hops stand there.
pub const MAX_LINE: usize = 8 << 10;

/// One record of `proxy_headers`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Record {
    /// Proxies whose headers count.
    pub trusted: Vec<IpNet>,
    /// Headers with the client's address, the first that is present counts. `Forwarded` is read by RFC 7239.
    pub real_ip: Vec<String>,
    /// Headers with the host the client asked for, the first that is present counts.
    pub original_host: Vec<String>,
}

/// Whom to believe. Of several records the first that trusts the peer decides, and no other is looked at.
#[derive(Clone, Debug, Default)]
pub struct ClientRules {
    records: Vec<Record>,
}

/// The client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Its address; IPv4 even where it was written as IPv4-mapped IPv6.
    pub address: IpAddr,
    /// How it was found.
    pub found: Found,
    /// The host the client asked for, lower case, without port, where a trusted proxy tells another than `Host`.
    pub host: Option<String>,
    /// What was odd, in order of discovery, each kind once.
    pub notes: Vec<ClientNote>,
}

/// How an address was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// It is the peer that the gateway saw.
    Peer,
    /// A trusted proxy told it.
    Header {
        /// Number of the record, from 0.
        record: usize,
        /// Name of the header, as configured.
        name: String,
        /// Hops walked, from 1: that many proxies stand between client and gateway.
        hops: usize,
    },
}

/// What was odd about the way to an address. The codes are bounded: they are metric labels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientNote {
    /// A header that would tell the address came from a peer that no record trusts; it did not count.
    Untrusted,
    /// A hop is no address.
    BadHop,
    /// A hop hides its address (`unknown` or `_name`, RFC 7239 §6).
    HiddenHop,
    /// More hops than [`MAX_HOPS`], or a longer line than [`MAX_LINE`].
    TooManyHops,
    /// The original host is none.
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
    /// Rules of these records.
    pub fn new(records: Vec<Record>) -> Self {
        Self { records }
    }

    /// The client behind `peer` (the address that the gateway saw), by the headers of its request.
    /// Takes time proportional to the bytes of the headers named by one record.
    pub fn find(&self, peer: IpAddr, headers: &[Header<'_>]) -> Client {
        let peer = peer.to_canonical();
        let mut client = Client { address: peer, found: Found::Peer, host: None, notes: Vec::new() };
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

/// What a hop says about the one before it.
enum Hop {
    Address(IpAddr),
    Hidden,
    Bad,
}

impl Record {
    fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| contains(network, address))
    }

    /// Walks the hops of the first header present. Answers how many proxies besides the peer were trusted.
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
                    // Empty members of a list mean nothing (RFC 9110 §5.6.1).
                    continue;
                }
                // The leftmost piece of a line that was cut may itself be cut.
                if walked == MAX_HOPS || (cut && elements.peek().is_none()) {
                    client.note(ClientNote::TooManyHops);
                    return walked.saturating_sub(1);
                }
                match if by_rfc { forwarded::hop(element) } else { address::hop(element) } {
                    Hop::Address(address) => {
                        walked += 1;
                        client.address = address;
                        client.found = Found::Header { record: number, name: name.clone(), hops: walked };
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

    /// The host that the outermost trusted proxy was asked for: `hops` members from the right, since each proxy on the
    /// way that appends adds one; further left may be the client's own invention.
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

/// Whether `network` holds `address`, with IPv4-mapped networks read as the IPv4 ones they stand for.
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
