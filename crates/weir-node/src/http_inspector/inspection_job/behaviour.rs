//! What a message adds to the behaviour of its source.

use super::{InspectionJob, MessageContext};
use crate::abuse::{AbuseCheck, Carried, RequestView, ResponseView};
use std::net::IpAddr;
use weir_core::model::{DecodedHead, Message};
use weir_policy::Plan;

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
