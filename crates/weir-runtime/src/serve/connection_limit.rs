//! Limits the open connections of a listener, in total and per client address: one address gets at most half of them,
//! so that a single client cannot use up the listener.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The address that the per-client limit counts by: an IPv4 address, or the /64 network of an IPv6 address, because one
/// host commonly owns a whole /64.
fn client_key(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitExceeded {
    /// The listener has as many connections as it may.
    Total,
    /// The address has as many connections as it may.
    PerAddress,
}

impl LimitExceeded {
    /// Stable code, a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            LimitExceeded::Total => "full",
            LimitExceeded::PerAddress => "full_for_address",
        }
    }
}

#[derive(Debug, Default)]
struct OpenConnections {
    total: usize,
    /// Holds only addresses that have a connection, so it has at most `total` entries.
    by_address: HashMap<IpAddr, usize>,
}

/// The connection limit of a listener. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct ConnectionLimiter {
    open: Arc<Mutex<OpenConnections>>,
    max: usize,
}

impl ConnectionLimiter {
    /// At most `max` connections, half of them (rounded up) for one address.
    pub fn new(max: usize) -> Self {
        Self { open: Arc::default(), max }
    }

    fn open(&self) -> MutexGuard<'_, OpenConnections> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Admits a connection from `ip`; it counts until the permit is dropped.
    pub fn acquire(&self, ip: IpAddr) -> Result<Permit, LimitExceeded> {
        let ip = client_key(ip);
        let mut open = self.open();
        if open.total >= self.max {
            return Err(LimitExceeded::Total);
        }
        let of_address = open.by_address.entry(ip).or_default();
        if *of_address >= self.max.div_ceil(2) {
            return Err(LimitExceeded::PerAddress);
        }
        *of_address += 1;
        open.total += 1;
        Ok(Permit { limiter: self.clone(), ip })
    }
}

/// Permission for one open connection.
#[derive(Debug)]
pub(super) struct Permit {
    limiter: ConnectionLimiter,
    ip: IpAddr,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.limiter.open();
        open.total -= 1;
        if let Some(of_address) = open.by_address.get_mut(&self.ip) {
            *of_address -= 1;
            if *of_address == 0 {
                open.by_address.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_gets_half_and_dropped_permits_are_free_again() {
        let limiter = ConnectionLimiter::new(5);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut held: Vec<_> = (0..3).map(|_| limiter.acquire(ip("203.0.113.1")).unwrap()).collect();
        assert_eq!(limiter.acquire(ip("203.0.113.1")).unwrap_err(), LimitExceeded::PerAddress);
        assert_eq!(limiter.acquire(ip("::ffff:203.0.113.1")).unwrap_err(), LimitExceeded::PerAddress);
        held.extend(["2001:db8::1", "2001:db8::2"].map(|text| limiter.acquire(ip(text)).unwrap()));
        assert_eq!(limiter.acquire(ip("203.0.113.2")).unwrap_err(), LimitExceeded::Total);
        assert_eq!(limiter.open().by_address.len(), 2, "addresses of one /64 network count as one");
        drop(held);
        assert!(limiter.open().by_address.is_empty() && limiter.open().total == 0);
        assert!(limiter.acquire(ip("203.0.113.1")).is_ok());
    }
}
