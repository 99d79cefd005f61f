//! Who is at the other end of a connection.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The peer of a connection, as access rules and logs need it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller {
    /// An address.
    Ip(IpAddr),
    /// A process on the same host that connected to a Unix socket: the id of its user.
    Unix(u32),
}

/// The address, or `unix:` and the user's id.
impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Caller::Ip(ip) => ip.fmt(f),
            Caller::Unix(uid) => write!(f, "unix:{uid}"),
        }
    }
}

impl From<SocketAddr> for Caller {
    fn from(peer: SocketAddr) -> Self {
        Caller::Ip(peer.ip())
    }
}
