//! What one inspection needs and a reload replaces: rules and policy, swapped as a whole so that no request sees half
//! of the old and half of the new.

use crate::geo::Geo;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_core::ruleset::Ruleset;
use weir_policy::client::ClientRules;
use weir_policy::{Policy, Source};

/// An immutable generation. A request takes one when it arrives and keeps it to its end.
#[derive(Debug)]
pub struct Generation {
    /// Counts up from 1 with each swap; 0 until it is in use.
    pub number: u64,
    /// The signatures.
    pub ruleset: Arc<Ruleset>,
    /// The policy.
    pub policy: Policy,
    /// What is known about addresses.
    pub geo: Geo,
    /// Whom to believe about the client's address.
    pub clients: ClientRules,
    /// Whether anything may be blocked at all (`connector.blocking`).
    pub blocking: bool,
    /// Serial of the control plane's policy that is part of it; 0 for none.
    pub policy_serial: u64,
}

impl Generation {
    /// A generation that is not in use yet.
    pub fn new(ruleset: Arc<Ruleset>, policy: Policy, geo: Geo, clients: ClientRules, blocking: bool) -> Self {
        Self { number: 0, ruleset, policy, geo, clients, blocking, policy_serial: 0 }
    }

    /// What is known about where `client` is.
    pub fn source(&self, client: Option<IpAddr>) -> Source {
        client.map(|ip| self.geo.source(ip)).unwrap_or_default()
    }
}

/// The generation in use.
#[derive(Debug)]
pub struct CurrentGeneration {
    generation: ArcSwap<Generation>,
    swaps: AtomicU64,
}

impl CurrentGeneration {
    /// Puts the first generation in use.
    pub fn new(mut first: Generation) -> Self {
        first.number = 1;
        Self { generation: ArcSwap::from_pointee(first), swaps: AtomicU64::new(1) }
    }

    /// The generation in use.
    pub fn get(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// Puts `next` in use and returns its number. Requests under way keep the one they took.
    pub fn swap(&self, mut next: Generation) -> u64 {
        next.number = self.swaps.fetch_add(1, Ordering::Relaxed) + 1;
        let number = next.number;
        self.generation.store(Arc::new(next));
        number
    }
}
