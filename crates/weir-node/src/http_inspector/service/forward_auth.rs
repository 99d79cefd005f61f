//! Subrequests of proxies.

use super::Service;
use crate::http_inspector::AccessRules;
use crate::http_inspector::api_error::ApiError;
use crate::http_inspector::connection::Connection;
use crate::http_inspector::forward_auth::{KEY_HEADER, Proxy, reply};
use crate::http_inspector::receive::receive;
use axum::body::Body;
use http::request::Parts as Head;
use http::{HeaderValue, Response};
use hyper::body::Incoming;
use std::sync::Arc;

impl Service {
    /// Inspects the client request that a proxy describes.
    pub(super) async fn forward_auth(
        &self,
        proxy: Proxy,
        head: &Head,
        body: &mut Incoming,
        at: &Connection,
    ) -> Result<Response<Body>, ApiError> {
        let access = self.authorize_proxy(head, at)?;
        let mut permit = self.admission.admit()?;
        let body = receive(body, &mut permit, self.config.max_call_bytes, self.config.body_timeout).await?;
        at.received(super::calls::head_size(&head.headers) + body.len());
        let request = proxy.read(head, &body)?;
        let keys = self.keys.load_full();
        let response = self.decide_described(request, permit, at.caller, access).await?;
        Ok(match (&response.reply, proxy) {
            (None, _) => reply::pass(response.attacks),
            (Some(reply), Proxy::Nginx | Proxy::IngressNginx) => reply::block_nginx(reply, &keys),
            (Some(reply), _) => reply::block(reply),
        })
    }

    /// The reply of a blocked request behind nginx.
    pub(super) fn nginx_reply(&self, head: &Head, at: &Connection) -> Result<Response<Body>, ApiError> {
        self.authorize_proxy(head, at)?;
        Ok(reply::open(head.headers.get(reply::REPLY_HEADER), &self.keys.load()))
    }

    /// As for connectors, with the key in a header of its own, since `Authorization` is the client's.
    fn authorize_proxy(&self, head: &Head, at: &Connection) -> Result<Arc<AccessRules>, ApiError> {
        let key = head.headers.get(KEY_HEADER).map(HeaderValue::as_bytes);
        self.authorize_key(at.caller, at.certificate, key)
    }
}
