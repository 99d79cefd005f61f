//! Rules, policy and databases of an inspection, swapped as one unit by a reload, so that a request never uses parts of
//! both the old and the new state.

use crate::geo::Geo;
use arc_swap::ArcSwap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_core::ruleset::Ruleset;
use weir_policy::client::ClientRules;
use weir_policy::{Policy, Source};

/// An immutable set of rules, policy and databases. A request uses one from its arrival to its end.
#[derive(Debug)]
pub struct Generation {
    /// Increases from 1 with each swap; 0 until it is in use.
    pub number: u64,
    /// The signatures.
    pub ruleset: Arc<Ruleset>,
    /// The policy.
    pub policy: Policy,
    /// Location and type of addresses.
    pub geo: Geo,
    /// Trusted proxies, to determine the client's address.
    pub clients: ClientRules,
    /// Whether the gateway may block (`connector.blocking`).
    pub blocking: bool,
    /// Serial of the control plane's policy in it; 0 for none.
    pub policy_serial: u64,
}

impl Generation {
    /// A generation that is not in use yet.
    pub fn new(ruleset: Arc<Ruleset>, policy: Policy, geo: Geo, clients: ClientRules, blocking: bool) -> Self {
        Self { number: 0, ruleset, policy, geo, clients, blocking, policy_serial: 0 }
    }

    /// Location and type of `client`.
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
    /// Starts with this generation.
    pub fn new(mut first: Generation) -> Self {
        first.number = 1;
        Self { generation: ArcSwap::from_pointee(first), swaps: AtomicU64::new(1) }
    }

    /// The generation in use.
    pub fn get(&self) -> Arc<Generation> {
        self.generation.load_full()
    }

    /// Replaces the generation and returns the number of the new one. Requests in progress keep theirs.
    pub fn swap(&self, mut next: Generation) -> u64 {
        next.number = self.swaps.fetch_add(1, Ordering::Relaxed) + 1;
        let number = next.number;
        self.generation.store(Arc::new(next));
        number
    }
}
