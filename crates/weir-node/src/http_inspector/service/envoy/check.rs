//! A check of `ext_authz`: one request, with its body as far as the filter sends it.

use super::{CallContext, MessageOptions};
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::call::{self, Direction, HeaderText};
use crate::http_inspector::described_request::DescribedRequest;
use crate::http_inspector::envoy::answer;
use crate::http_inspector::envoy::head::{Head, HeadOptions};
use crate::http_inspector::envoy::proto::authz::{AttributeContext, CheckRequest, CheckResponse, HttpRequest};
use crate::http_inspector::envoy::proto::{HeaderMap, HeaderValue};
use crate::http_inspector::receive::receive;
use axum::body::Body;
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use tonic::Status;
use tonic::codegen::BoxFuture;
use tonic::server::{Grpc, UnaryService};
use tonic_prost::ProstCodec;
use weir_core::model::BodyState;

/// With a body that Envoy sent: whether it is only the beginning.
const PARTIAL: &str = "x-envoy-auth-partial-body";

/// Serves one check.
pub(super) async fn serve(call: CallContext, head: Parts, mut body: Incoming) -> Response<Body> {
    let service = Arc::clone(&call.service);
    let limit = call.max_message();
    let received = async {
        let mut permit = service.admission.admit()?;
        let body = receive(&mut body, &mut permit, limit, service.config.body_timeout).await?;
        call.connection.received(body.len());
        Ok((body, permit))
    };
    let (body, permit) = match received.await {
        Ok(received) => received,
        Err(error) => return call.failed(&error).into_http(),
    };
    let codec: ProstCodec<CheckResponse, CheckRequest> = ProstCodec::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(limit);
    let check = Check(Some((call, permit)));
    grpc.unary(check, Request::from_parts(head, Full::new(body))).await.map(Body::new)
}

type Permit = crate::http_inspector::admission::AdmissionPermit;

/// The method `Check` for one call.
struct Check(Option<(CallContext, Permit)>);

impl UnaryService<CheckRequest> for Check {
    type Response = CheckResponse;
    type Future = BoxFuture<tonic::Response<CheckResponse>, Status>;

    fn call(&mut self, request: tonic::Request<CheckRequest>) -> Self::Future {
        let call = self.0.take();
        Box::pin(async move {
            let Some((call, permit)) = call else { return Err(Status::internal("called twice")) };
            let checked = check(&call, permit, request.into_inner()).await;
            checked.map(tonic::Response::new).map_err(|error| call.failed(&error))
        })
    }
}

async fn check(call: &CallContext, mut permit: Permit, request: CheckRequest) -> Result<CheckResponse, ApiError> {
    const NO_HTTP: ApiError = ApiError::BadMessage("a check without a request of HTTP");
    let attributes = request.attributes.ok_or(NO_HTTP)?;
    let source = source(&attributes);
    let http = attributes.request.and_then(|request| request.http).ok_or(NO_HTTP)?;
    let headers = header_map(&http);
    let head = Head::request(&headers, HeadOptions { source, own: Some(PARTIAL) })?;
    let body = if http.raw_body.is_empty() { http.body } else { http.raw_body };
    let framed = headers.named("transfer-encoding").next().is_some();
    let state = body_state(&head, framed, &body, headers.named(PARTIAL).last());
    let client = source.or(head.forwarded_for).ok_or(ApiError::MissingHeader("x-forwarded-for"))?;
    let message = [&head.lines[..], b"\r\n", &body].concat();
    permit.reserve(message.len())?;
    let options =
        MessageOptions { direction: Direction::Request, client, scheme: head.scheme, body: state, context: None };
    let mut made = call.headers(&options)?;
    let extension = |name: &str| attributes.context_extensions.get(name).cloned();
    if let Some(route) = extension("route") {
        made.route = Some(HeaderText::try_from(route)?);
    }
    if let Some(service) = extension("service") {
        made.service = Some(HeaderText::try_from(service)?);
    }
    made.anomalies = head.anomalies;
    let (message, body_bytes, counted_as) = (message.into(), body.len(), call.kind.code());
    let request = DescribedRequest { call: made, message, body_bytes, key: None, counted_as };
    let service = &call.service;
    let access = Arc::clone(&call.access);
    let verdict = service.in_time(service.decide_described(request, permit, call.connection.caller, access)).await?;
    Ok(answer::check(&verdict, &call.request_id))
}

/// Address of Envoy's peer.
fn source(attributes: &AttributeContext) -> Option<IpAddr> {
    let address = attributes.source.as_ref()?.address.as_ref()?.socket_address.as_ref()?;
    call::address(&http::HeaderValue::try_from(address.address.as_str()).ok()?)
}

/// Headers and pseudo headers of the request.
fn header_map(http: &HttpRequest) -> HeaderMap {
    let header = |key: &str, value: Bytes| HeaderValue { key: key.to_owned(), value, raw_value: Bytes::new() };
    let pseudo =
        [(":method", &http.method), (":path", &http.path), (":authority", &http.host), (":scheme", &http.scheme)];
    let mut headers: Vec<_> = pseudo.map(|(name, value)| header(name, value.clone())).into();
    match &http.header_map {
        Some(map) => headers.extend(map.headers.iter().filter(|header| !header.key.starts_with(':')).cloned()),
        None => {
            let named: &BTreeMap<String, Vec<u8>> = &http.headers;
            let plain = named.iter().filter(|(name, _)| !name.starts_with(':'));
            headers.extend(plain.map(|(name, value)| header(name, value.clone().into())));
        }
    }
    HeaderMap { headers }
}

/// How much of the body was sent. The size that Envoy gives is that of what has arrived so far, and `partial` is Envoy's
/// own only where it sent a body: a client can send that header too.
fn body_state(head: &Head, framed: bool, body: &[u8], partial: Option<&[u8]>) -> BodyState {
    let sent = body.len() as u64;
    match head.length {
        Some(length) if length == sent => BodyState::Complete,
        Some(_) if sent == 0 => BodyState::Unread,
        Some(length) if length > sent => BodyState::Prefix,
        _ if sent > 0 && partial == Some(b"false") => BodyState::Complete,
        _ if sent > 0 => BodyState::Prefix,
        _ if framed => BodyState::Unread,
        // Envoy does not say whether there is a body that it does not send.
        _ if matches!(&head.method[..], b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE") => BodyState::Complete,
        _ => BodyState::Unread,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_is_never_complete() {
        let state = |length: Option<u64>, body: &[u8], method: &[u8], partial: Option<&str>| {
            let head = Head { length, method: method.to_vec(), ..Head::default() };
            body_state(&head, false, body, partial.map(str::as_bytes))
        };
        assert_eq!(state(Some(3), b"x=1", b"POST", Some("false")), BodyState::Complete);
        assert_eq!(state(Some(9), b"x=1", b"POST", Some("true")), BodyState::Prefix);
        assert_eq!(state(None, b"x=1", b"POST", Some("true")), BodyState::Prefix);
        assert_eq!(state(None, b"x=1", b"POST", Some("false")), BodyState::Complete);
        assert_eq!(state(Some(9), b"", b"POST", None), BodyState::Unread);
        assert_eq!(state(None, b"", b"POST", None), BodyState::Unread);
        assert_eq!(state(None, b"", b"GET", None), BodyState::Complete);
        assert_eq!(state(Some(0), b"", b"POST", None), BodyState::Complete);
        // A header of the client claims that nothing is missing.
        assert_eq!(state(None, b"", b"POST", Some("false")), BodyState::Unread);
        assert_eq!(state(Some(9), b"x=1", b"POST", Some("false")), BodyState::Prefix);
        let get = Head { method: b"GET".to_vec(), ..Head::default() };
        assert_eq!(body_state(&get, true, b"", None), BodyState::Unread);
    }
}
