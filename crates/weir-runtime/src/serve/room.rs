//! Places for connections: so many in all, half of them for one address, so that nobody can take them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who shares one portion: an IPv4 address, or the 64 bits of an IPv6 network, of which one host has every address.
fn portion(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 => v4,
    }
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All are taken.
    All,
    /// The address has its portion.
    Address,
}

impl Full {
    /// Stable code, a metric label.
    pub const fn code(self) -> &'static str {
        match self {
            Full::All => "full",
            Full::Address => "full_for_address",
        }
    }
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// As many entries as there are addresses with a connection.
    by_address: HashMap<IpAddr, usize>,
}

/// The places of a listener.
#[derive(Clone, Debug)]
pub(super) struct Room {
    taken: Arc<Mutex<Taken>>,
    most: usize,
}

impl Room {
    pub fn new(most: usize) -> Self {
        Self { taken: Arc::default(), most }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `ip`, held until it is dropped.
    pub fn enter(&self, ip: IpAddr) -> Result<Place, Full> {
        let ip = portion(ip);
        let mut taken = self.taken();
        if taken.all >= self.most {
            return Err(Full::All);
        }
        let most = self.most.div_ceil(2);
        let of = taken.by_address.entry(ip).or_default();
        if *of >= most {
            return Err(Full::Address);
        }
        *of += 1;
        taken.all += 1;
        Ok(Place { room: self.clone(), ip })
    }
}

/// A place that is taken.
#[derive(Debug)]
pub(super) struct Place {
    room: Room,
    ip: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.room.taken();
        taken.all -= 1;
        if let Some(of) = taken.by_address.get_mut(&self.ip) {
            *of -= 1;
            if *of == 0 {
                taken.by_address.remove(&self.ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_takes_half_and_all_come_back() {
        let room = Room::new(5);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let mut held: Vec<_> = (0..3).map(|_| room.enter(ip("203.0.113.1")).unwrap()).collect();
        assert_eq!(room.enter(ip("203.0.113.1")).unwrap_err(), Full::Address);
        assert_eq!(room.enter(ip("::ffff:203.0.113.1")).unwrap_err(), Full::Address);
        held.extend(["2001:db8::1", "2001:db8::2"].map(|text| room.enter(ip(text)).unwrap()));
        assert_eq!(room.enter(ip("203.0.113.2")).unwrap_err(), Full::All);
        assert_eq!(room.taken().by_address.len(), 2, "addresses of one IPv6 network are one");
        drop(held);
        assert!(room.taken().by_address.is_empty() && room.taken().all == 0);
        assert!(room.enter(ip("203.0.113.1")).is_ok());
    }
}
