//! Delivers batches of records.

use super::call_error::CallError;
use super::link::Link;
use crate::events::ship::BatchContent;
use crate::events::{Batch, Upload, UploadError};
use weir_protocol::node_api::Ack;

impl Upload for Link {
    async fn upload(&self, batch: Batch) -> Result<Ack, UploadError> {
        let Batch { content, lines, .. } = batch;
        let sent = self.call(|client, identity| {
            let lines = lines.clone();
            async move {
                match content {
                    BatchContent::Events => client.events(&identity, lines).await,
                    BatchContent::Statistics => client.statistics(&identity, lines).await.map(|()| Ack::default()),
                }
            }
        });
        sent.await.map_err(|error| match error {
            // Malformed, too large or not processable: a retry of the same bytes cannot succeed.
            CallError::Refused(400 | 413 | 422, why) => UploadError::Rejected(why),
            CallError::Busy(_, pause) => UploadError::Retry(error.to_string(), pause),
            _ => UploadError::Retry(error.to_string(), None),
        })
    }
}
