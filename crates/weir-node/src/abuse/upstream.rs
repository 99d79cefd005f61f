//! Exchanges automatic entries with the control plane: those made here go there, those of other nodes and the decisions of
//! analysts come back. While it is away, entries act as they are.

use super::Abuse;
use crate::sync::Link;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use weir_protocol::node_api::AbuseReport;
use weir_runtime::clock::now_millis;

/// Time between exchanges.
const INTERVAL: Duration = Duration::from_secs(1);
/// Everything is exchanged again after this time.
const ANEW: Duration = Duration::from_secs(60);
/// Changes sent at once.
const MAX_CHANGES: usize = 1_000;

/// Exchanges entries over `link` until `stop`.
pub async fn exchange(abuse: Arc<Abuse>, link: Arc<Link>, stop: CancellationToken) {
    let (mut seen, mut sent) = (0, u64::MAX);
    let mut begun = Instant::now();
    while !stop.is_cancelled() {
        if begun.elapsed() > ANEW {
            (seen, sent, begun) = (0, u64::MAX, Instant::now());
        }
        let version = abuse.entries().version();
        let mut changes = if version == sent { Vec::new() } else { abuse.entries().all(now_millis()) };
        changes.truncate(MAX_CHANGES);
        let report = AbuseReport { changes, after: seen };
        let call = link.call(|client, identity| {
            let report = report.clone();
            async move { client.abuse(&identity, &report).await }
        });
        match call.await {
            Ok(news) => {
                sent = version;
                seen = news.last;
                for change in news.changes {
                    abuse.entries().apply(change, now_millis());
                }
            }
            Err(error) => tracing::debug!(%error, "exchange of automatic entries"),
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = tokio::time::sleep(INTERVAL) => {}
        }
    }
}
