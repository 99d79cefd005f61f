//! What a verdict would be.

use super::InspectionJob;
use crate::http_inspector::api_error::ApiError;
use std::time::Instant;
use weir_policy::Action;
use weir_runtime::clock::now_millis;

impl InspectionJob {
    /// Whether the message would be blocked. Nothing is recorded or counted: [`InspectionJob::run`] does that.
    pub fn preview(&self) -> Result<bool, ApiError> {
        self.guarded(|| {
            self.with_message(|mut message, _| {
                self.apply_call_headers(&mut message);
                let client = self.client(&message);
                let (facts, now) = (self.facts(&message, &client)?, now_millis());
                let request = self.policy_request(&message, &facts, client.address, now);
                let plan = self.generation.policy.plan(&request);
                let inspection = self.inspect(&message, &plan, Instant::now());
                let verdict = self.generation.policy.decide_with(&request, &plan, inspection.as_ref(), &[]);
                Ok(verdict.action == Action::Block)
            })
        })
    }
}
