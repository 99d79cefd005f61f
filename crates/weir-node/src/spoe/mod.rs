//! Agent for HAProxy's Stream Processing Offload Engine: HAProxy describes a request in a NOTIFY frame, and the ACK frame
//! sets variables with the verdict. Described in `docs/haproxy.md`.
//!
//! [`frame`] splits the bytes of a connection into frames, [`values`] reads what they contain, [`hello`] negotiates,
//! [`assembly`] joins the fragments of a message, [`request`] rebuilds the request, [`reply`] writes the variables, and
//! [`connection`] runs all of that for one connection. [`Agent`] accepts connections.
//!
//! Frames are read here and not by the crate `spop`: it replaces bytes of strings that are not UTF-8, which would hide
//! what a client really sent, and knows no fragments. It writes the frames of the agent.

mod assembly;
mod connection;
mod frame;
mod hello;
mod reply;
mod request;
#[cfg(test)]
mod tests;
mod values;

use crate::http_inspector::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use weir_runtime::serve::{self, Accept};

/// Pause after a failed accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The listening agent.
pub struct Agent {
    service: Arc<Service>,
}

impl Agent {
    /// An agent that inspects with `service`.
    pub fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    /// Serves `listener` until `drain`, then finishes the messages in progress, for at most the configured time.
    /// Returns true if none was left without an ACK.
    pub async fn serve(self, listener: impl Accept, drain: CancellationToken) -> bool {
        let slots = Arc::new(Semaphore::new(self.service.config().load.connections));
        let tasks = TaskTracker::new();
        let admit = || {
            let slots = Arc::clone(&slots);
            async move { slots.acquire_owned().await.map_err(std::io::Error::other) }
        };
        let on_connection = |stream, peer, permit| {
            let (service, drain) = (Arc::clone(&self.service), drain.clone());
            tasks.spawn(async move {
                let _permit = permit;
                service.telemetry().metrics.connections.inc();
                connection::serve(&service, stream, Into::into(peer), &drain).await;
                service.telemetry().metrics.connections.dec();
            });
        };
        let on_error = |error: &std::io::Error| {
            self.service.telemetry().metrics.accept_errors.inc();
            tracing::warn!(%error, "cannot accept a connection of HAProxy");
        };
        serve::accept_connections(listener, &drain, ACCEPT_PAUSE, admit, on_connection, on_error).await;
        tasks.close();
        tokio::time::timeout(self.service.config().drain_timeout, tasks.wait()).await.is_ok()
    }
}
