//! The responses of a streaming call, made by a future that ends with the stream: when Envoy resets the call, everything
//! that it holds is released.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::mpsc;
use tonic::Status;
use tonic::codegen::tokio_stream::Stream;

/// Messages under way. Envoy reads them as fast as they come.
const QUEUED: usize = 4;

/// Messages that a future sends.
pub struct Responses<T> {
    work: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    queue: mpsc::Receiver<Result<T, Status>>,
}

impl<T> Responses<T> {
    /// The messages that the future of `work` sends.
    pub fn of<F>(work: impl FnOnce(mpsc::Sender<Result<T, Status>>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, queue) = mpsc::channel(QUEUED);
        Self { work: Some(Box::pin(work(sender))), queue }
    }
}

impl<T> Stream for Responses<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let done = self.work.as_mut().is_some_and(|work| work.as_mut().poll(context).is_ready());
        if done {
            self.work = None;
        }
        self.queue.poll_recv(context)
    }
}
