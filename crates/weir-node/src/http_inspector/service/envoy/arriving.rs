//! Counts the bytes of a message of Envoy while it arrives: gRPC keeps them until the message is complete, and only then
//! would the stream count them.

use crate::http_inspector::admission::AdmissionPermit;
use crate::http_inspector::api_error::ApiError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

/// Bytes before each message of gRPC: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Why a stream is not read any more, once it is not.
pub type Refusal = Arc<OnceLock<ApiError>>;

/// The body of a stream that counts what has arrived of a message that is not complete.
pub struct Arriving<B> {
    body: B,
    permit: AdmissionPermit,
    refusal: Refusal,
    prefix: [u8; PREFIX],
    /// Bytes of the message that have arrived, its prefix included.
    have: usize,
    /// Bytes that the message has as a whole, once its prefix has arrived.
    whole: Option<usize>,
}

impl<B> Arriving<B> {
    /// Counts `body` by `permit`. Over the limit, reading fails and the reason is in the refusal.
    pub fn new(body: B, permit: AdmissionPermit) -> (Self, Refusal) {
        let refusal = Refusal::default();
        let arriving = Self { body, permit, refusal: Arc::clone(&refusal), prefix: [0; PREFIX], have: 0, whole: None };
        (arriving, refusal)
    }

    /// Follows the messages through `data`, and counts what is left of the last one.
    fn follow(&mut self, mut data: &[u8]) -> Result<(), ApiError> {
        let before = self.have;
        while !data.is_empty() {
            let whole = match self.whole {
                Some(whole) => whole,
                None => {
                    self.prefix[self.have] = data[0];
                    self.have += 1;
                    data = &data[1..];
                    if self.have < PREFIX {
                        continue;
                    }
                    let [_, length @ ..] = self.prefix;
                    *self.whole.insert(PREFIX + u32::from_be_bytes(length) as usize)
                }
            };
            let part = data.len().min(whole - self.have);
            self.have += part;
            data = &data[part..];
            if self.have == whole {
                // Complete: from here on the stream counts it.
                (self.have, self.whole) = (0, None);
            }
        }
        if self.have > before {
            self.permit.reserve(self.have - before)
        } else {
            self.permit.give_back(before - self.have);
            Ok(())
        }
    }
}

impl<B> Body for Arriving<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = match std::task::ready!(Pin::new(&mut self.body).poll_frame(context)) {
            Some(Ok(frame)) => frame,
            Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
            None => return Poll::Ready(None),
        };
        let counted = frame.data_ref().map_or(Ok(()), |data| self.follow(data));
        Poll::Ready(Some(match counted {
            Ok(()) => Ok(frame),
            Err(error) => {
                let text = error.code();
                self.refusal.get_or_init(|| error);
                Err(text.into())
            }
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http_inspector::admission::Admission;
    use crate::http_inspector::config::LoadLimits;
    use http_body_util::{BodyExt, Empty};
    use proptest::prelude::*;
    use weir_runtime::telemetry::{Metrics, Telemetry, logs::AccessLog};

    fn admission(buffered_bytes: usize) -> Arc<Admission> {
        let load = LoadLimits { buffered_bytes, ..LoadLimits::default() };
        Arc::new(Admission::new(
            load,
            Arc::new(Telemetry { metrics: Metrics::unregistered(), access: AccessLog::Off.into() }),
        ))
    }

    fn message(bytes: usize) -> Vec<u8> {
        let length = u32::try_from(bytes).unwrap().to_be_bytes();
        [&[0][..], &length, &vec![b'm'; bytes]].concat()
    }

    #[test]
    fn a_message_is_counted_until_it_is_complete() {
        let admission = admission(100);
        let (mut arriving, _) = Arriving::new(Empty::<Bytes>::new(), admission.hold());
        let sent = [message(60), message(0), message(40)].concat();
        let steps = [(3, 3), (20, 23), (41, 64), (1, 0), (4, 4), (1, 0), (44, 44), (1, 0)];
        let mut at = 0;
        for (bytes, counted) in steps {
            arriving.follow(&sent[at..at + bytes]).unwrap();
            at += bytes;
            assert_eq!(admission.buffered(), counted, "after {at} bytes");
        }
        assert_eq!(at, sent.len());
        arriving.follow(&message(50)[..30]).unwrap();
        drop(arriving);
        assert_eq!(admission.buffered(), 0, "a stream that ends in the middle keeps nothing");
    }

    #[tokio::test]
    async fn streams_share_the_limit_and_the_one_beyond_it_is_refused() {
        let admission = admission(100);
        let (mut one, _) = Arriving::new(Empty::<Bytes>::new(), admission.hold());
        one.follow(&message(1000)[..80]).unwrap();
        let body = http_body_util::Full::new(Bytes::from(message(1000)).slice(..21));
        let (mut other, refusal) = Arriving::new(body, admission.hold());
        assert!(refusal.get().is_none());
        other.frame().await.unwrap().unwrap_err();
        assert!(matches!(refusal.get(), Some(ApiError::Overloaded(..))), "{refusal:?}");
        drop((one, other));
        assert_eq!(admission.buffered(), 0);
    }

    proptest! {
        /// However the bytes are cut, what is counted is the part of a message that is not complete.
        #[test]
        fn cuts_do_not_matter(sizes in prop::collection::vec(0usize..50, 1..8), cuts in prop::collection::vec(1usize..40, 1..40)) {
            let admission = admission(1 << 20);
            let (mut arriving, _) = Arriving::new(Empty::<Bytes>::new(), admission.hold());
            let sent: Vec<u8> = sizes.iter().flat_map(|&size| message(size)).collect();
            let mut at = 0;
            for cut in cuts {
                let next = sent.len().min(at + cut);
                arriving.follow(&sent[at..next]).unwrap();
                at = next;
                let ends = sizes.iter().scan(0, |end, size| { *end += size + PREFIX; Some(*end) });
                let begun = ends.take_while(|&end| end <= at).last().unwrap_or(0);
                prop_assert_eq!(admission.buffered(), at - begun);
            }
        }
    }
}
