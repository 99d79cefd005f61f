//! Many copies of responses in one call.

use super::Service;
use crate::http_inspector::Access;
use crate::http_inspector::admission::Entry;
use crate::http_inspector::answer;
use crate::http_inspector::batch::{self, Copy};
use crate::http_inspector::call::{Call, Leg};
use crate::http_inspector::connection::Connection;
use crate::http_inspector::judge::Job;
use crate::http_inspector::refusal::Refusal;
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts as Head;
use http::{Response, StatusCode};
use std::sync::Arc;
use weir_runtime::telemetry::Refused;
use weir_runtime::telemetry::metrics::Kind;

impl Service {
    /// Takes each copy on its own, and answers what became of each, in order.
    pub(super) fn batch(
        &self,
        head: &Head,
        body: &Bytes,
        entry: Entry,
        at: &Connection,
        access: &Arc<Access>,
    ) -> Result<Response<Body>, Refusal> {
        let copies = batch::copies(&head.headers, body)?;
        // The call itself has been counted as one.
        let seen = self.telemetry.metrics.messages_seen.get_or_create(&Kind { r#type: Leg::Response.code() });
        seen.inc_by(copies.len() as u64 - 1);
        let held = Arc::new(entry);
        let results: Vec<_> = copies
            .into_iter()
            .map(|copy| match self.take(copy, &held, access) {
                Ok(()) => (StatusCode::ACCEPTED, None),
                Err(refusal) => {
                    self.tell(&refusal, at);
                    (refusal.status(), Some(refusal.code()))
                }
            })
            .collect();
        Ok(answer::taken(&results))
    }

    fn take(&self, copy: Copy, held: &Arc<Entry>, access: &Arc<Access>) -> Result<(), Refusal> {
        let job = self.job(copy.call?, copy.body, Arc::clone(access));
        self.copy(job, Arc::clone(held))
    }

    fn tell(&self, refusal: &Refusal, at: &Connection) {
        Refused {
            code: refusal.code(),
            status: refusal.status().as_u16(),
            shed: refusal.shed(),
            peer: at.peer.ip(),
            request_id: "",
            detail: &refusal.detail(),
        }
        .emit(&self.telemetry);
    }

    /// A call with what its verdict depends on now.
    pub(super) fn job(&self, call: Call, body: Bytes, access: Arc<Access>) -> Job {
        Job {
            call,
            body,
            generation: self.current.get(),
            access,
            keys: self.keys.load_full(),
            telemetry: Arc::clone(&self.telemetry),
            recorder: self.recorder.clone(),
        }
    }
}
