//! Requests that a proxy describes in a protocol of its own.

use super::Service;
use crate::http_inspector::AccessRules;
use crate::http_inspector::admission::AdmissionPermit;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::described_request::DescribedRequest;
use crate::http_inspector::inspection_job::{InspectionJob, InspectionOutcome};
use crate::http_inspector::verdict_response::VerdictResponse;
use std::sync::Arc;
use weir_runtime::serve::Caller;
use weir_runtime::telemetry::RejectedCallEvent;

impl Service {
    /// Authenticates the caller, inspects the request and waits until the record of a malicious one is in the spool.
    pub async fn inspect_described(
        &self,
        request: DescribedRequest,
        permit: AdmissionPermit,
        caller: Caller,
    ) -> Result<VerdictResponse, ApiError> {
        let access = self.access.load_full();
        if !access.authenticate_key(caller, false, request.key.as_deref())? {
            self.telemetry.metrics.unauthenticated.inc();
        }
        let inspected = self.decide_described(request, permit, caller, access);
        match self.config.reply_timeout {
            None => inspected.await,
            Some((limit, status)) => {
                let late = Err(ApiError::ReplyTimeout(status));
                tokio::time::timeout(limit, inspected).await.unwrap_or(late)
            }
        }
    }

    /// Inspects the request of an authenticated caller.
    pub(super) async fn decide_described(
        &self,
        request: DescribedRequest,
        permit: AdmissionPermit,
        caller: Caller,
        access: Arc<AccessRules>,
    ) -> Result<VerdictResponse, ApiError> {
        let route = request.call.route.as_ref().map_or(request.counted_as, |route| route.as_str());
        self.coverage.count(route, request.call.body, request.body_bytes, &self.telemetry.metrics);
        let job = self.job(request.call, request.message, caller, access);
        let (InspectionOutcome { response, record }, ..) = self.run_job(job, permit, InspectionJob::run).await?;
        if let (Some(recorder), Some(record)) = (&self.recorder, record) {
            recorder.await_written(record).await;
        }
        Ok(response)
    }

    /// Logs and counts a request that was described and gets no verdict.
    pub fn log_rejected_request(&self, error: &ApiError, caller: Caller) {
        RejectedCallEvent {
            code: error.code(),
            status: error.status().as_u16(),
            shed: error.shed(),
            peer: caller,
            request_id: "",
            detail: &error.detail(),
        }
        .emit(&self.telemetry);
    }
}
