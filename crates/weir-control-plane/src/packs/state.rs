//! [`Packs`]: what the service of packs and databases holds between calls.

use crate::policy::replay::RuleFiles;
use std::sync::{Arc, Mutex};
use weir_protocol::node_api::Blob;

/// Turns for those who change packs, and the rule files of packs as last read.
#[derive(Debug, Default)]
pub struct Packs {
    /// One change at a time: content may be large, and what is removed must not be put in use meanwhile.
    pub(super) turn: tokio::sync::Mutex<()>,
    pub(super) files: Mutex<Vec<(Vec<Blob>, Arc<RuleFiles>)>>,
}
