//! `weir control-plane`: Console, API and store.

use super::StartError;
use crate::config::Resolved;

/// Runs it until it is told to stop.
pub async fn run(_resolved: Resolved) -> Result<bool, StartError> {
    Err(StartError::Settings("the control plane is not built yet".into()))
}
