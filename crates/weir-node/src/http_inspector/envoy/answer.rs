//! Verdicts in the messages of Envoy's filters.

use super::proto::authz::{CheckResponse, DeniedHttpResponse, HttpResponse, OkHttpResponse, RpcStatus};
use super::proto::ext_proc::{Answer, HeaderMutation, ImmediateResponse, ProcessingResponse};
use super::proto::{HeaderValueOption, HttpStatus, Kind, ListValue, Struct, Value};
use crate::http_inspector::verdict_response::VerdictResponse;
use std::collections::BTreeMap;
use tonic::Code;
use weir_policy::Reply;

/// Namespace of the dynamic metadata of `ext_proc`; that of `ext_authz` is Envoy's own.
pub const NAMESPACE: &str = "weir";

/// What access logs can show of a verdict: `verdict`, `request_id`, and `attacks` where some were found.
pub fn metadata(verdict: &VerdictResponse, request_id: &str) -> Struct {
    let outcome = if verdict.reply.is_some() { "block" } else { "pass" };
    let mut fields = BTreeMap::from([
        ("verdict".to_owned(), Value::text(outcome)),
        ("request_id".to_owned(), Value::text(request_id)),
    ]);
    if let Some(attacks) = verdict.attacks.as_ref().and_then(|attacks| attacks.to_str().ok()) {
        let values = attacks.split(',').map(Value::text).collect();
        fields.insert("attacks".to_owned(), Value { kind: Some(Kind::List(ListValue { values })) });
    }
    Struct { fields }
}

/// Adds the metadata of `verdict` to the first of `answers`.
pub fn with_metadata(answers: &mut [ProcessingResponse], verdict: &VerdictResponse, request_id: &str) {
    if let Some(first) = answers.first_mut() {
        let value = Value { kind: Some(Kind::Fields(metadata(verdict, request_id))) };
        first.dynamic_metadata = Some(Struct { fields: BTreeMap::from([(NAMESPACE.to_owned(), value)]) });
    }
}

/// The reply that the client gets in place of the message that was blocked.
pub fn immediate(reply: &Reply) -> ProcessingResponse {
    let set_headers = reply.headers.iter().map(|(name, value)| HeaderValueOption::set(name, value, true)).collect();
    let immediate = ImmediateResponse {
        status: Some(HttpStatus { code: reply.status.into() }),
        headers: Some(HeaderMutation { set_headers }),
        body: reply.body.clone().into(),
        details: "weir_blocked".into(),
    };
    ProcessingResponse { answer: Some(Answer::Immediate(immediate)), dynamic_metadata: None }
}

/// The response to a check.
pub fn check(verdict: &VerdictResponse, request_id: &str) -> CheckResponse {
    let (code, http_response) = match &verdict.reply {
        None => (Code::Ok, HttpResponse::Ok(OkHttpResponse {})),
        Some(reply) => {
            let headers =
                reply.headers.iter().map(|(name, value)| HeaderValueOption::set(name, value, false)).collect();
            let denied = DeniedHttpResponse {
                status: Some(HttpStatus { code: reply.status.into() }),
                headers,
                body: String::from_utf8_lossy(&reply.body).into_owned(),
            };
            (Code::PermissionDenied, HttpResponse::Denied(denied))
        }
    };
    CheckResponse {
        status: Some(RpcStatus { code: code.into() }),
        http_response: Some(http_response),
        dynamic_metadata: Some(metadata(verdict, request_id)),
    }
}
