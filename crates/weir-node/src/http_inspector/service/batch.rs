//! Many copies of responses in one call.

use super::Service;
use crate::http_inspector::AccessRules;
use crate::http_inspector::admission::AdmissionPermit;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::batch::{self, Copy};
use crate::http_inspector::call::{CallHeaders, Direction};
use crate::http_inspector::connection::Connection;
use crate::http_inspector::inspection_job::InspectionJob;
use crate::http_inspector::verdict_response;
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts as Head;
use http::{Response, StatusCode};
use std::sync::{Arc, OnceLock};
use weir_runtime::serve::Caller;
use weir_runtime::telemetry::metrics::Kind;

impl Service {
    /// Accepts or rejects each copy on its own. The response lists the outcomes in order.
    pub(super) fn batch(
        &self,
        head: &Head,
        body: &Bytes,
        permit: AdmissionPermit,
        at: &Connection,
        access: &Arc<AccessRules>,
    ) -> Result<Response<Body>, ApiError> {
        let copies = batch::copies(&head.headers, body)?;
        // The call itself has been counted as one.
        let seen = self.telemetry.metrics.messages_seen.get_or_create(&Kind { r#type: Direction::Response.code() });
        seen.inc_by(copies.len() as u64 - 1);
        let held = Arc::new(permit);
        let results: Vec<_> = copies
            .into_iter()
            .map(|copy| match self.take(copy, &held, at.caller, access) {
                Ok(()) => (StatusCode::ACCEPTED, None),
                Err(error) => {
                    self.log_rejected(&error, "", at.caller);
                    (error.status(), Some(error.code()))
                }
            })
            .collect();
        Ok(verdict_response::taken(&results))
    }

    fn take(
        &self,
        copy: Copy,
        held: &Arc<AdmissionPermit>,
        caller: Caller,
        access: &Arc<AccessRules>,
    ) -> Result<(), ApiError> {
        let job = self.job(copy.call?, copy.body, caller, Arc::clone(access));
        self.enqueue_copy(job, Arc::clone(held))
    }

    /// A call with what its verdict depends on now.
    pub(super) fn job(
        &self,
        call: CallHeaders,
        body: Bytes,
        caller: Caller,
        access: Arc<AccessRules>,
    ) -> InspectionJob {
        InspectionJob {
            call,
            body,
            caller,
            generation: self.current.get(),
            access,
            keys: self.keys.load_full(),
            telemetry: Arc::clone(&self.telemetry),
            recorder: self.recorder.clone(),
            abuse: Arc::clone(&self.abuse),
            decided: Arc::clone(&self.decided),
            traces: self.traces.clone(),
            checked: OnceLock::new(),
        }
    }
}
