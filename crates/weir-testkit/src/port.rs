//! Ports for programs that do not tell which one they got.

use std::hash::{BuildHasher, RandomState};
use std::net::TcpListener;

/// First port, and how many: below those that the system gives out by itself, since other tests run beside this one, and
/// every connection of theirs takes one of those.
const FIRST: u16 = 10_000;
const COUNT: u64 = 12_000;

/// A port on which nothing listens.
pub fn free_port() -> u16 {
    loop {
        let port = FIRST + (RandomState::new().hash_one(()) % COUNT) as u16;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
