//! SIGTERM and SIGINT: the first one drains, the second one ends the process at once.

use super::StartError;
use std::sync::Arc;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use weir_runtime::telemetry::Health;

/// The signal of a write beyond the limit on the size of files (`ulimit -f`), on Linux and macOS.
const SIGXFSZ: i32 = 25;

/// Lets writes beyond the limit on the size of files fail, as on a full disk: by default the system would end the process.
pub fn survive_file_limit() -> Result<(), StartError> {
    StartError::system("SIGXFSZ", signal(SignalKind::from_raw(SIGXFSZ))).map(drop)
}

/// Connects the signals of the process to the part that runs.
#[derive(Default)]
pub struct Signals {
    abort: CancellationToken,
}

impl Signals {
    /// Cancelled by the second signal.
    pub fn abort(&self) -> &CancellationToken {
        &self.abort
    }

    /// Handles signals from now on: the first one makes the process not ready and cancels `drain`.
    pub fn listen(self, drain: CancellationToken, health: Arc<Health>) -> Result<(), StartError> {
        let mut terminate = StartError::system("SIGTERM", signal(SignalKind::terminate()))?;
        let mut interrupt = StartError::system("SIGINT", signal(SignalKind::interrupt()))?;
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = interrupt.recv() => {}
                }
                if drain.is_cancelled() {
                    self.abort.cancel();
                    return;
                }
                tracing::info!("draining");
                health.set_ready(false);
                drain.cancel();
            }
        });
        Ok(())
    }
}
