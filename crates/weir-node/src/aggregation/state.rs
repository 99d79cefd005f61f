//! State of an aggregation, shared by the calls of its API.

use super::group::Group;
use super::groups::Groups;
use super::metrics::AggregationMetrics;
use super::node_registry::NodeRegistry;
use super::tokens::Tokens;
use crate::events::Spool;
use std::ops::Deref;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// State shared by the API calls.
pub struct State {
    pub(super) metrics: AggregationMetrics,
    pub(super) replicas: Arc<NodeRegistry>,
    pub(super) tokens: Arc<Tokens>,
    pub(super) groups: Groups,
    /// The aggregation's own group.
    pub(super) home: Arc<Group>,
    pub(super) events: Spool,
    pub(super) statistics: Spool,
    pub(super) batches: Semaphore,
    pub(super) reports: Semaphore,
    pub(super) registrations: Semaphore,
    pub(super) polls: Semaphore,
    pub(super) stop: CancellationToken,
}

/// A cheap handle on the state.
#[derive(Clone)]
pub struct App(Arc<State>);

impl Deref for App {
    type Target = State;

    fn deref(&self) -> &State {
        &self.0
    }
}

impl App {
    /// A handle on `state`.
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(state))
    }
}
