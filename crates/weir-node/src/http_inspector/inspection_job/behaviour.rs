//! What a message adds to the behaviour of its source.

use super::{InspectionJob, MessageContext};
use crate::abuse::{AbuseCheck, Carried, RequestView, ResponseView, Step};
use crate::events::PendingRecord;
use std::net::IpAddr;
use weir_core::model::bytes::printable;
use weir_core::model::{DecodedHead, Message};
use weir_policy::{Action, Plan, Verdict};
use weir_protocol::node_api::SessionRequest;
use weir_protocol::record::is_hit;
use weir_protocol::redact::masked_path;

/// Longest text before it is masked, in bytes.
const MAX_TEXT: usize = 400;

impl InspectionJob {
    /// The request as abuse rules count it.
    pub(super) fn request_view<'v, 'a>(
        &'v self,
        message: &'v Message<'a>,
        head: &'v DecodedHead<'a>,
        client: IpAddr,
        now: u64,
    ) -> RequestView<'v, 'a> {
        RequestView {
            message,
            head,
            client,
            route: self.call.route.as_ref().map_or("", |route| route.as_str()),
            now,
            authenticated: !self.access.is_open(),
            first: self.call.attempt <= 1,
            blocking: self.generation.blocking && self.call.blocking,
        }
    }

    /// Puts the source on the list where its behaviour brought it, and counts the request, once.
    pub(super) fn check(&self, view: &RequestView<'_, '_>, plan: &mut Plan) -> &AbuseCheck {
        let policy = &self.generation.policy;
        if let Some(hit) = self.abuse.listed(view, policy, plan) {
            policy.enlist(plan, hit);
        }
        if let Some(hit) = self.decided.find(view.client, &self.generation.source(Some(view.client)), view.now / 1000) {
            policy.enlist(plan, hit);
        }
        self.checked.get_or_init(|| self.abuse.check(view, policy, plan))
    }

    /// Notes the request in the trail of its session.
    pub(super) fn trail(
        &self,
        context: &MessageContext<'_, '_>,
        verdict: &Verdict,
        plan: &Plan,
        record: Option<&PendingRecord>,
    ) {
        let (Some(check), trails) = (self.checked.get(), self.abuse.trails()) else { return };
        let session = check.carried.trail;
        if session == 0 || self.call.attempt > 1 || self.call.test || !trails.is_enabled() {
            return;
        }
        let time = context.now;
        // Rules on sensitive data are about points of the whole message: where there are any, no path is kept.
        let hides_paths = self.generation.policy.sensitive(plan, time / 1000).next().is_some();
        let path = &context.facts.path.text;
        let path = if hides_paths {
            "****".into()
        } else {
            printable(&masked_path(&path[..path.len().min(MAX_TEXT)]), MAX_TEXT)
        };
        let request = SessionRequest {
            time,
            method: printable(context.facts.method, MAX_TEXT),
            path,
            status: 0,
            blocked: verdict.action == Action::Block,
            hit: record.map(|record| record.id.to_string()).unwrap_or_default(),
            note: note(verdict, check),
        };
        let client = context.client.to_string();
        let noted = check.noted || is_hit(verdict);
        trails.add(Step { session, application: plan.application, client: &client, request, noted });
    }

    /// Counts the response.
    pub(super) fn answered(&self, context: &MessageContext<'_, '_>, plan: &Plan) {
        let Some(request) = context.request_context else { return };
        let view = ResponseView {
            message: context.message,
            consumer: self.call.consumer.as_ref().map_or("", |consumer| consumer.as_str()),
            requested: request.time,
            now: context.now,
        };
        self.abuse.response(&view, &Carried::from_bytes(&request.carried), &self.generation.policy, plan);
    }
}

/// Attacks found in a request, and counters above their limit.
fn note(verdict: &Verdict, check: &AbuseCheck) -> String {
    let attacks = verdict.attacks.iter().map(|attack| attack.code().to_owned());
    let parts: Vec<String> = attacks.chain(check.excesses.iter().map(|excess| excess.text.clone())).collect();
    parts.join("; ")
}
