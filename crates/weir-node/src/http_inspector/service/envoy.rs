//! Calls of Envoy's filters.

mod arriving;
mod check;
mod session;

use super::Service;
use crate::http_inspector::AccessRules;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::call::{self, CallHeaders, Direction};
use crate::http_inspector::connection::Connection;
use crate::http_inspector::envoy::{self, Call};
use axum::body::Body;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, Response};
use hyper::body::Incoming;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;
use weir_core::model::{BodyState, Scheme};
use weir_runtime::telemetry::metrics::Kind;

/// What the configuration of the filter may say about its calls, in `initial_metadata`: headers of the connector API.
const OPTIONS: &[&str] = &[
    "inspector-service",
    "inspector-route",
    "inspector-application",
    "inspector-deadline",
    "inspector-blocking",
    "inspector-purpose",
    call::TRACEPARENT,
];

/// Room in a message of Envoy for more than a body of the largest size.
const HEADROOM: usize = 64 << 10;

/// What is the same for all messages of a call.
struct CallContext {
    service: Arc<Service>,
    connection: Arc<Connection>,
    access: Arc<AccessRules>,
    kind: Call,
    options: HeaderMap,
    answer_by: Option<Instant>,
    request_id: String,
}

/// What differs between the messages of a call.
struct MessageOptions<'m> {
    direction: Direction,
    client: IpAddr,
    scheme: Scheme,
    body: BodyState,
    context: Option<&'m HeaderValue>,
}

impl Service {
    /// Serves a call of Envoy. Its errors are statuses of gRPC.
    pub(super) async fn envoy(
        self: &Arc<Self>,
        kind: Call,
        head: Head,
        body: Incoming,
        at: &Arc<Connection>,
    ) -> Response<Body> {
        self.telemetry.metrics.messages_seen.get_or_create(&Kind { r#type: kind.code() }).inc();
        let access = match self.authorize(&head, at) {
            Ok(access) => access,
            Err(error) => {
                self.log_rejected(&error, "", at.caller);
                return envoy::status(&error).into_http();
            }
        };
        let options = OPTIONS.iter().filter_map(|name| {
            let value = head.headers.get(*name)?.clone();
            Some((http::HeaderName::from_static(name), value))
        });
        let call = CallContext {
            service: Arc::clone(self),
            connection: Arc::clone(at),
            access,
            kind,
            options: options.collect(),
            answer_by: envoy::timeout(&head.headers).map(|limit| Instant::now() + call::time_to_answer(limit)),
            request_id: call::new_id(),
        };
        at.received(super::calls::head_size(&head.headers));
        match kind {
            Call::Process => session::serve(call, head, body).await,
            Call::Check => check::serve(call, head, body).await,
        }
    }
}

impl CallContext {
    /// Largest message of Envoy, in bytes.
    fn max_message(&self) -> usize {
        self.service.config.max_call_bytes.saturating_add(HEADROOM)
    }

    /// The call as a connector would have made it.
    fn headers(&self, message: &MessageOptions<'_>) -> Result<CallHeaders, ApiError> {
        let mut headers = self.options.clone();
        let mut set = |name: &'static str, text: &str| {
            let value = HeaderValue::try_from(text).map_err(|_| ApiError::Internal)?;
            headers.insert(name, value);
            Ok(())
        };
        set("content-type", "message/http")?;
        set("inspector-request-id", &self.request_id)?;
        set("inspector-client", &message.client.to_string())?;
        set("inspector-connector", self.kind.connector())?;
        set("inspector-scheme", message.scheme.as_str())?;
        set("inspector-head", "rebuilt")?;
        if let Some(context) = message.context {
            headers.insert("inspector-context", context.clone());
        }
        let mut call = CallHeaders::parse(message.direction, &headers)?;
        call.body = message.body;
        call.answer_by = match (call.answer_by, self.answer_by) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        Ok(call)
    }

    /// Counts what the proxy sent of a request.
    fn count(&self, call: &CallHeaders, bytes: usize) {
        let route = call.route.as_ref().map_or(self.kind.code(), |route| route.as_str());
        self.service.coverage.count(route, call.body, bytes, &self.service.telemetry.metrics);
    }

    /// Logs a call without a verdict and returns its status.
    fn failed(&self, error: &ApiError) -> tonic::Status {
        self.service.log_rejected(error, &self.request_id, self.connection.caller);
        envoy::status(error)
    }
}
