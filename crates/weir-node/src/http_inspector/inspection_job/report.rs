//! What a verdict leaves behind beside the response: the record of a malicious message and the traffic statistics.

use super::{InspectionJob, MessageContext};
use crate::events::PendingRecord;
use crate::events::statistics::RequestSample;
use crate::http_inspector::call::{Direction, HeaderText, MessageFormat};
use crate::http_inspector::envelope;
use std::borrow::Cow;
use std::time::Duration;
use weir_policy::{Action, Plan, Verdict};
use weir_protocol::hit::{HitDirection, HitResponse};
use weir_protocol::record::{InspectedMessage, is_hit};

impl InspectionJob {
    /// The head of the message as received; for an envelope, as it would have been sent.
    fn head_bytes(&self, context: &MessageContext<'_, '_>) -> Cow<'_, [u8]> {
        match self.call.format {
            MessageFormat::Raw => Cow::Borrowed(&self.body[..context.head.min(self.body.len())]),
            MessageFormat::Envelope => Cow::Owned(envelope::head(context.message)),
        }
    }

    /// Records the message, if it is malicious.
    pub(super) fn record(
        &self,
        context: &MessageContext<'_, '_>,
        verdict: &Verdict,
        plan: &Plan,
    ) -> Option<PendingRecord> {
        let recorder = self.recorder.as_ref().filter(|_| is_hit(verdict) && !self.call.test)?;
        let text = |token: &Option<HeaderText>| token.as_ref().map(|token| token.as_str().to_owned());
        let [service, route, consumer, protocol] =
            [&self.call.service, &self.call.route, &self.call.consumer, &self.call.protocol].map(text);
        let (sent, head) = (String::from_utf8_lossy(context.message.protocol), self.head_bytes(context));
        let sensitive: Vec<_> = self.generation.policy.sensitive(plan, context.now / 1000).collect();
        recorder.record(&InspectedMessage {
            direction: if self.call.direction == Direction::Request {
                HitDirection::Request
            } else {
                HitDirection::Response
            },
            time: context.now,
            request_id: self.call.request_id.as_str(),
            connector: self.call.connector.as_str(),
            attempt: self.call.attempt,
            client: Some(context.client),
            peer: self.call.peer,
            source: self.generation.source(Some(context.client)),
            application: plan.application,
            service: service.as_deref().unwrap_or_default(),
            route: route.as_deref().unwrap_or_default(),
            consumer: consumer.as_deref().unwrap_or_default(),
            method: context.facts.method,
            scheme: context.message.scheme.as_str(),
            host: &context.facts.host,
            path: &context.facts.path.text,
            protocol: protocol.as_deref().unwrap_or(&sent),
            head: &head,
            body: context.message.body,
            bytes: context.bytes,
            verdict,
            sensitive: &sensitive,
            policy_serial: self.generation.policy_serial,
            response: (self.call.direction == Direction::Response).then(|| response_of(context)),
        })
    }

    /// Adds the response to the record of its request.
    pub(super) fn update(&self, context: &MessageContext<'_, '_>) {
        if let (Some(recorder), Some(hit)) = (&self.recorder, context.request_context.and_then(|request| request.hit)) {
            let consumer = self.call.consumer.as_ref().map_or("", |token| token.as_str());
            recorder.update(uuid::Uuid::from_bytes(hit), response_of(context), consumer);
        }
    }

    /// Counts a request in the statistics of traffic.
    pub(super) fn count(&self, context: &MessageContext<'_, '_>, verdict: &Verdict, plan: &Plan, elapsed: Duration) {
        if let (Direction::Request, Some(recorder), false) = (self.call.direction, &self.recorder, self.call.test) {
            recorder.count(&RequestSample {
                application: plan.application,
                host: &context.facts.host,
                attack: !verdict.attacks.is_empty(),
                blocked: verdict.action == Action::Block,
                bypassed: plan.bypass.is_some(),
                bytes: context.bytes,
                elapsed,
            });
        }
    }
}

/// The status of the response of `context`, and how long after the request's verdict it came.
fn response_of(context: &MessageContext<'_, '_>) -> HitResponse {
    let after_ms = context.request_context.map_or(0, |request| context.now.saturating_sub(request.time));
    HitResponse { status: context.message.status, after_ms }
}
