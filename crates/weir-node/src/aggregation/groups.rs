//! The groups of the registered nodes, each with one upstream connection.

use super::Config;
use super::abuse::GroupAbuse;
use super::group::Group;
use super::metrics::AggregationMetrics;
use super::node_registry::NodeRegistry;
use crate::sync::{self, HeartbeatSource, PolicySync, SetupError, SyncMetrics};
use ring::digest::{SHA256, digest};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Mutex;
use tokio_util::sync::CancellationToken;
use weir_abuse::Table;
use weir_protocol::code::NodeRole;
use weir_protocol::node_api::{CAPABILITIES, Heartbeat};
use weir_runtime::hex;

/// Largest number of groups.
pub const MAX_GROUPS: usize = 64;

/// The groups.
pub struct Groups {
    config: Config,
    sync_metrics: SyncMetrics,
    metrics: AggregationMetrics,
    replicas: Arc<NodeRegistry>,
    /// Records in the spool and records dropped, for the heartbeat.
    spooled: Arc<dyn Fn() -> (u64, u64) + Send + Sync>,
    /// Counters of the nodes of all groups.
    table: Arc<Table>,
    open: RwLock<BTreeMap<String, Arc<Group>>>,
    opening: Mutex<()>,
    stop: CancellationToken,
}

/// Why a group cannot be served.
#[derive(Debug)]
pub enum GroupError {
    /// There are [`MAX_GROUPS`] already.
    Full,
    /// It cannot be opened.
    Setup(SetupError),
}

impl Groups {
    /// No groups yet.
    pub fn new(
        config: Config,
        metrics: (SyncMetrics, AggregationMetrics),
        replicas: Arc<NodeRegistry>,
        spooled: Arc<dyn Fn() -> (u64, u64) + Send + Sync>,
        stop: CancellationToken,
    ) -> Self {
        let (sync_metrics, metrics) = metrics;
        let (open, opening) = (RwLock::default(), Mutex::default());
        let table = Arc::new(Table::new(config.abuse_memory, false));
        Self { config, sync_metrics, metrics, replicas, spooled, table, open, opening, stop }
    }

    /// The group called `name`, if it is open.
    pub fn get(&self, name: &str) -> Option<Arc<Group>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The group called `name`; opens it and joins it upstream if necessary.
    pub async fn ensure(&self, name: &str) -> Result<Arc<Group>, GroupError> {
        if let Some(group) = self.get(name) {
            return Ok(group);
        }
        let _one = self.opening.lock().await;
        if let Some(group) = self.get(name) {
            return Ok(group);
        }
        if self.open.read().unwrap_or_else(PoisonError::into_inner).len() >= MAX_GROUPS {
            return Err(GroupError::Full);
        }
        let (config, metrics) = (self.upstream(name), self.sync_metrics.clone());
        let opened = tokio::task::spawn_blocking(move || PolicySync::open(config, metrics)).await;
        let opened = opened.map_err(|error| GroupError::Setup(SetupError::Client(error.to_string())))?;
        let abuse = GroupAbuse::new(Arc::clone(&self.table), name);
        let group = Arc::new(Group::new(opened.map_err(GroupError::Setup)?, abuse));
        group.sync.start(Arc::clone(&group), self.heartbeat(name), self.stop.clone());
        tokio::spawn(Arc::clone(&group.abuse).follow(Arc::clone(group.sync.link()), self.stop.clone()));
        let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
        open.insert(name.to_owned(), Arc::clone(&group));
        self.metrics.groups.set(open.len() as i64);
        Ok(group)
    }

    /// Takes over the state of counters into the metrics.
    pub fn measure(&self) {
        let counts = [self.table.given_up(), self.table.not_counted()];
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        let forgotten = open.values().map(|group| group.abuse.forgotten()).sum();
        self.metrics.abuse(self.table.len(), counts, forgotten);
    }

    fn upstream(&self, name: &str) -> sync::Config {
        // The name of a group may contain characters that a file name may not.
        let id = hex::encode(&digest(&SHA256, name.as_bytes()).as_ref()[..8]);
        let directory = self.config.directory.join("groups").join(id);
        sync::Config { group: name.to_owned(), directory, role: NodeRole::Aggregation, ..self.config.upstream.clone() }
    }

    fn heartbeat(&self, name: &str) -> HeartbeatSource {
        let (replicas, spooled, name) = (Arc::clone(&self.replicas), Arc::clone(&self.spooled), name.to_owned());
        Arc::new(move || {
            let replicas = replicas.heartbeats(&name);
            let (spooled, dropped) = spooled();
            Heartbeat { capabilities: common(&replicas), spooled, dropped, replicas, ..Heartbeat::default() }
        })
    }
}

/// Capabilities that all of `replicas` have, so that only supported policies are sent. A node without capabilities in its
/// heartbeat does not count.
fn common(replicas: &[(String, Heartbeat)]) -> Vec<String> {
    let all = replicas.iter().map(|(_, beat)| &beat.capabilities).filter(|capabilities| !capabilities.is_empty());
    let mut common: Option<Vec<String>> = None;
    for capabilities in all {
        match &mut common {
            None => common = Some(capabilities.clone()),
            Some(common) => common.retain(|name| capabilities.contains(name)),
        }
    }
    common.unwrap_or_else(|| CAPABILITIES.iter().map(ToString::to_string).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_common_capabilities_are_reported() {
        let node = |capabilities: &[&str]| {
            let capabilities = capabilities.iter().map(ToString::to_string).collect();
            (String::new(), Heartbeat { capabilities, ..Heartbeat::default() })
        };
        assert_eq!(common(&[]), CAPABILITIES);
        assert_eq!(common(&[node(&[])]), CAPABILITIES);
        assert_eq!(common(&[node(&["a", "b"]), node(&[]), node(&["b", "c"])]), ["b"]);
        assert_eq!(common(&[node(&["a"]), node(&["b"])]), Vec::<String>::new());
    }
}
