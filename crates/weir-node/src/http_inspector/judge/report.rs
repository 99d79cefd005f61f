//! What is told of a verdict besides the answer: the record of a malicious message, and the statistics of traffic.

use super::{Case, Job};
use crate::events::Recorded;
use crate::events::record::{Exchange, is_hit};
use crate::events::statistics::Sample;
use crate::http_inspector::call::{Form, Leg, Token};
use crate::http_inspector::envelope;
use std::borrow::Cow;
use std::time::Duration;
use weir_policy::{Action, Plan, Verdict};
use weir_protocol::hit::{HitLeg, HitResponse};

impl Job {
    /// The head of the message as received; of an envelope, as it would have been.
    fn head_bytes(&self, case: &Case<'_, '_>) -> Cow<'_, [u8]> {
        match self.call.form {
            Form::Raw => Cow::Borrowed(&self.body[..case.head.min(self.body.len())]),
            Form::Envelope => Cow::Owned(envelope::head(case.message)),
        }
    }

    /// Records the message, if it is malicious.
    pub(super) fn record(&self, case: &Case<'_, '_>, verdict: &Verdict, plan: &Plan) -> Option<Recorded> {
        let recorder = self.recorder.as_ref().filter(|_| is_hit(verdict))?;
        let text = |token: &Option<Token>| token.as_ref().map(|token| token.as_str().to_owned());
        let [service, route, consumer, protocol] =
            [&self.call.service, &self.call.route, &self.call.consumer, &self.call.protocol].map(text);
        let (sent, head) = (String::from_utf8_lossy(case.message.protocol), self.head_bytes(case));
        let sensitive: Vec<_> = self.generation.policy.sensitive(plan, case.now / 1000).collect();
        recorder.record(&Exchange {
            leg: if self.call.leg == Leg::Request { HitLeg::Request } else { HitLeg::Response },
            time: case.now,
            request_id: self.call.request_id.as_str(),
            connector: self.call.connector.as_str(),
            attempt: self.call.attempt,
            client: Some(case.client),
            peer: self.call.peer,
            source: self.generation.source(Some(case.client)),
            application: plan.application,
            service: service.as_deref().unwrap_or_default(),
            route: route.as_deref().unwrap_or_default(),
            consumer: consumer.as_deref().unwrap_or_default(),
            method: case.facts.method,
            scheme: case.message.scheme.as_str(),
            host: &case.facts.host,
            path: &case.facts.path.text,
            protocol: protocol.as_deref().unwrap_or(&sent),
            head: &head,
            body: case.message.body,
            bytes: case.bytes,
            verdict,
            sensitive: &sensitive,
            policy_serial: self.generation.policy_serial,
            response: (self.call.leg == Leg::Response).then(|| answered(case)),
        })
    }

    /// Tells what became of a request that was recorded.
    pub(super) fn update(&self, case: &Case<'_, '_>) {
        if let (Some(recorder), Some(hit)) = (&self.recorder, case.context.and_then(|context| context.hit)) {
            let consumer = self.call.consumer.as_ref().map_or("", |token| token.as_str());
            recorder.update(uuid::Uuid::from_bytes(hit), answered(case), consumer);
        }
    }

    /// Counts a request in the statistics of traffic.
    pub(super) fn count(&self, case: &Case<'_, '_>, verdict: &Verdict, plan: &Plan, elapsed: Duration) {
        if let (Leg::Request, Some(recorder)) = (self.call.leg, &self.recorder) {
            recorder.count(&Sample {
                application: plan.application,
                host: &case.facts.host,
                attack: !verdict.attacks.is_empty(),
                blocked: verdict.action == Action::Block,
                bypassed: plan.bypass.is_some(),
                bytes: case.bytes,
                elapsed,
            });
        }
    }
}

/// The status of the response of `case`, and how long after the request's verdict it came.
fn answered(case: &Case<'_, '_>) -> HitResponse {
    let after_ms = case.context.map_or(0, |context| case.now.saturating_sub(context.time));
    HitResponse { status: case.message.status, after_ms }
}
