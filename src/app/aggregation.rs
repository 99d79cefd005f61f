//! `weir aggregation`: takes events from nodes and gives them policy.

use super::StartError;
use crate::config::Resolved;

/// Runs it until it is told to stop.
pub async fn run(_resolved: Resolved) -> Result<bool, StartError> {
    Err(StartError::Settings("aggregation is not built yet".into()))
}
