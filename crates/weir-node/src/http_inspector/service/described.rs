//! Requests that a proxy describes in a protocol of its own.

use super::Service;
use crate::http_inspector::AccessRules;
use crate::http_inspector::admission::AdmissionPermit;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::described_request::DescribedRequest;
use crate::http_inspector::verdict_response::VerdictResponse;
use std::sync::Arc;
use weir_runtime::serve::Caller;

impl Service {
    /// Authenticates the caller, inspects the request and waits until the record of a malicious one is in the spool.
    pub async fn inspect_described(
        &self,
        request: DescribedRequest,
        permit: AdmissionPermit,
        caller: Caller,
    ) -> Result<VerdictResponse, ApiError> {
        let access = self.authorize_key(caller, false, request.key.as_deref())?;
        self.in_time(self.decide_described(request, permit, caller, access)).await
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
        self.verdict(job, permit).await.map(|(response, _)| response)
    }
}
