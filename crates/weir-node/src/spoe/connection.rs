//! One connection of HAProxy: negotiation, then messages and their ACKs, several at a time.

use super::assembly::{Admitted, Assembly};
use super::frame::{Frame, FrameReader, Ids, Kind, Problem};
use super::hello::{self, Agreement};
use super::{reply, request};
use crate::http_inspector::Service;
use crate::http_inspector::api_error::ApiError;
use spop::StatusCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use weir_runtime::serve::Caller;
use weir_runtime::telemetry::metrics::Kind as Seen;

/// Messages of one connection in progress. While as many are, nothing is read from it.
const MAX_PIPELINED: usize = 64;
/// Longest time, and most bytes, for which a closed connection is read until HAProxy closes it too.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_BYTES: u64 = 1 << 20;

/// Serves `stream` until HAProxy closes it, breaks the protocol or falls silent, or until `drain`.
pub async fn serve<S>(service: &Arc<Service>, stream: S, caller: Caller, drain: &CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (from, to) = tokio::io::split(stream);
    let mut connection = Connection {
        service: Arc::clone(service),
        caller,
        reader: FrameReader::new(from),
        to,
        assembly: Assembly::new(Arc::clone(service.admission()), service.config().max_call_bytes),
        running: JoinSet::new(),
    };
    let status = match connection.run(drain).await {
        Ok(()) => StatusCode::None,
        Err(Problem::Status(status)) => {
            tracing::warn!(peer = %caller, %status, "HAProxy's connection is closed");
            status
        }
        Err(Problem::Gone(error)) => {
            tracing::debug!(peer = %caller, %error, "HAProxy's connection ended");
            return;
        }
    };
    // Closing the connection is all that is left if this fails.
    if let Err(error) = timeout(LINGER, connection.close(status)).await.unwrap_or(Ok(())) {
        tracing::debug!(peer = %caller, ?error, "HAProxy's connection ended");
    }
}

struct Connection<S> {
    service: Arc<Service>,
    caller: Caller,
    reader: FrameReader<ReadHalf<S>>,
    to: WriteHalf<S>,
    assembly: Assembly,
    /// Messages in progress; each results in its ACK.
    running: JoinSet<Vec<u8>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> Connection<S> {
    async fn run(&mut self, drain: &CancellationToken) -> Result<(), Problem> {
        let limit = self.service.config().header_timeout;
        let first = timeout(limit, self.reader.next()).await.map_err(|_| StatusCode::Timeout)??;
        if first.kind != Kind::Hello || !first.fin {
            return Err(StatusCode::Invalid.into());
        }
        let agreed = hello::negotiate(&first.payload)?;
        self.write(&hello::hello(agreed)).await?;
        if agreed.health_check {
            return Ok(());
        }
        self.reader.max = agreed.max_frame;
        let served = self.messages(agreed, drain).await;
        if !matches!(served, Err(Problem::Gone(_))) {
            while let Some(ack) = self.running.join_next().await {
                self.acknowledge(ack).await?;
            }
        }
        served
    }

    async fn messages(&mut self, agreed: Agreement, drain: &CancellationToken) -> Result<(), Problem> {
        let mut since = Instant::now();
        loop {
            let (waits, reads) = (!self.running.is_empty(), self.running.len() < MAX_PIPELINED);
            let within = self.reader.is_within_frame() || self.assembly.is_incomplete();
            let config = self.service.config();
            let limit = if within { config.body_timeout } else { config.idle_timeout };
            let quiet = if waits && !within { Duration::from_secs(u32::MAX.into()) } else { limit };
            tokio::select! {
                biased;
                () = drain.cancelled() => return Ok(()),
                Some(ack) = self.running.join_next(), if waits => self.acknowledge(ack).await?,
                frame = self.reader.next(), if reads => {
                    since = Instant::now();
                    let frame = frame?;
                    if frame.kind == Kind::Disconnect {
                        return Ok(());
                    }
                    self.take(frame, agreed)?;
                }
                () = tokio::time::sleep_until(since + quiet), if reads => {
                    return if within { Err(StatusCode::Timeout.into()) } else { Ok(()) };
                }
            }
        }
    }

    /// Starts the inspection of a message once it is complete.
    fn take(&mut self, frame: Frame, agreed: Agreement) -> Result<(), Problem> {
        let Some((ids, admitted)) = self.assembly.add(frame)? else { return Ok(()) };
        let (service, caller) = (Arc::clone(&self.service), self.caller);
        self.running.spawn(async move { message(&service, caller, ids, admitted, agreed.max_frame).await });
        Ok(())
    }

    async fn acknowledge(&mut self, ack: Result<Vec<u8>, tokio::task::JoinError>) -> Result<(), Problem> {
        // An inspection that panics is caught and counted; that a task fails all the same would be a defect.
        let ack = ack.map_err(|_| StatusCode::Unknown)?;
        self.write(&ack).await
    }

    async fn close(&mut self, status: StatusCode) -> Result<(), Problem> {
        self.write(&hello::disconnect(status)).await?;
        self.to.shutdown().await.map_err(Problem::Gone)?;
        self.reader.discard(LINGER_BYTES).await;
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let written = timeout(self.service.config().body_timeout, self.to.write_all(bytes)).await;
        written.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())).map_err(Problem::Gone)
    }
}

/// Inspects one message and returns its ACK.
async fn message(service: &Service, caller: Caller, ids: Ids, admitted: Admitted, max_frame: usize) -> Vec<u8> {
    service.telemetry().metrics.messages_seen.get_or_create(&Seen { r#type: "spoe" }).inc();
    let asked = async {
        let (payload, permit) = admitted?;
        let described = request::read(&payload, max_frame)?;
        let id = described.call.request_id.clone();
        let response = service.inspect_described(described, permit, caller).await?;
        Ok::<_, ApiError>((id, response))
    };
    match asked.await {
        Ok((id, response)) => reply::verdict(ids, id.as_str(), &response, max_frame),
        Err(error) => {
            service.log_rejected(&error, "", caller);
            reply::error(ids, &error)
        }
    }
}
