//! Calls of CrowdSec's bouncers.

use super::Service;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::connection::Connection;
use crate::http_inspector::crowdsec::{self, Call};
use crate::http_inspector::receive::receive;
use axum::body::Body;
use http::request::Parts as Head;
use http::{Method, Response};
use hyper::body::Incoming;

impl Service {
    /// Answers `call`.
    pub(super) async fn crowdsec(
        &self,
        call: Call,
        head: &Head,
        body: &mut Incoming,
        at: &Connection,
    ) -> Result<Response<Body>, ApiError> {
        let access = self.authorize_key(at.caller, at.certificate, call.key(&head.headers))?;
        if call == Call::Decisions {
            let reads = head.method == Method::GET || head.method == Method::HEAD;
            return if reads {
                Ok(crowdsec::no_decisions(head.uri.path()))
            } else {
                Err(ApiError::Method("GET, HEAD"))
            };
        }
        let mut permit = self.admission.admit()?;
        let body = receive(body, &mut permit, self.config.max_call_bytes, self.config.body_timeout).await?;
        at.received(super::calls::head_size(&head.headers) + body.len());
        let request = crowdsec::read(head, &body)?;
        let response = self.decide_described(request, permit, at.caller, access).await?;
        Ok(crowdsec::verdict(&response))
    }
}
