//! Forward authentication: a proxy sends a subrequest about each client request, and forwards the request if the response
//! is 2xx. The subrequest has the headers of the client's request, and describes its method, target, host and client in
//! headers of its own.
//!
//! Each proxy has a path, on which exactly one family of such headers is read: clients can send the headers of every
//! other family themselves, and most proxies pass them on.

mod ingress_nginx;
mod options;
pub mod reply;

use super::api_error::ApiError;
use super::call::{CallHeaders, HeaderText};
use super::described_request::{DescribedRequest, is_of_subrequest, required};
use bytes::Bytes;
use http::request::Parts as Head;
use http::{HeaderMap, HeaderValue, header};
use options::{BodyForwarding, Options};
use std::net::IpAddr;
use weir_core::model::{AnomalyKind, BodyState, Scheme};

/// Begins the paths of forward authentication.
pub const PREFIX: &str = "/v1/forward-auth/";
/// Header with a connector key: `Authorization` is the client's.
pub const KEY_HEADER: &str = "inspector-key";
/// With a body that Envoy sent: whether it is only the beginning.
const ENVOY_PARTIAL: &str = "x-envoy-auth-partial-body";
/// Headers with which nginx describes the body that it does not send.
const NGINX_LENGTH: &str = "x-original-length";
const NGINX_ENCODING: &str = "x-original-encoding";

/// A proxy that asks by forward authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// Traefik's middleware ForwardAuth.
    Traefik,
    /// Caddy's directive `forward_auth`.
    Caddy,
    /// nginx's module auth_request.
    Nginx,
    /// The Kubernetes controller ingress-nginx, whose subrequests have headers of their own.
    IngressNginx,
    /// Envoy's filter ext_authz with an HTTP service: the subrequest has the method and target of the client's request.
    Envoy,
}

/// Names of the headers that describe the client's request.
struct Family {
    method: &'static str,
    uri: &'static str,
    host: &'static str,
    scheme: &'static str,
    client: &'static str,
}

const FORWARDED: Family = Family {
    method: "x-forwarded-method",
    uri: "x-forwarded-uri",
    host: "x-forwarded-host",
    scheme: "x-forwarded-proto",
    client: "x-forwarded-for",
};

const ORIGINAL: Family = Family {
    method: "x-original-method",
    uri: "x-original-uri",
    host: "x-original-host",
    scheme: "x-original-proto",
    client: "x-original-for",
};

impl Proxy {
    /// The proxy whose path `path` is.
    pub fn of(path: &str) -> Option<Proxy> {
        let name = path.strip_prefix(PREFIX)?;
        match name {
            "traefik" => Some(Proxy::Traefik),
            "caddy" => Some(Proxy::Caddy),
            "nginx" => Some(Proxy::Nginx),
            "ingress-nginx" => Some(Proxy::IngressNginx),
            _ => {
                name.strip_prefix("envoy").filter(|rest| rest.is_empty() || rest.starts_with('/')).map(|_| Proxy::Envoy)
            }
        }
    }

    /// Its name in paths, logs and metrics.
    pub const fn code(self) -> &'static str {
        match self {
            Proxy::Traefik => "traefik",
            Proxy::Caddy => "caddy",
            Proxy::Nginx => "nginx",
            Proxy::IngressNginx => "ingress-nginx",
            Proxy::Envoy => "envoy",
        }
    }

    const fn connector(self) -> &'static str {
        match self {
            Proxy::Traefik => "forward-auth-traefik/1",
            Proxy::Caddy => "forward-auth-caddy/1",
            Proxy::Nginx => "forward-auth-nginx/1",
            Proxy::IngressNginx => "forward-auth-ingress-nginx/1",
            Proxy::Envoy => "forward-auth-envoy/1",
        }
    }

    const fn family(self) -> &'static Family {
        match self {
            Proxy::Nginx => &ORIGINAL,
            Proxy::IngressNginx => &ingress_nginx::FAMILY,
            Proxy::Traefik | Proxy::Caddy | Proxy::Envoy => &FORWARDED,
        }
    }

    /// Headers that only a client can have sent, and that claim what only the proxy can know.
    const fn foreign(self) -> &'static [&'static str] {
        match self {
            Proxy::Nginx | Proxy::IngressNginx => &["x-forwarded-method", "x-forwarded-uri"],
            Proxy::Traefik | Proxy::Caddy => &["x-original-method", "x-original-uri", "x-original-url"],
            Proxy::Envoy => {
                &["x-forwarded-method", "x-forwarded-uri", "x-original-method", "x-original-uri", "x-original-url"]
            }
        }
    }

    /// The client request that the subrequest with `head` and `body` is about.
    pub fn read(self, head: &Head, body: &Bytes) -> Result<DescribedRequest, ApiError> {
        let options = if self == Proxy::Envoy { Options::default() } else { Options::of(&head.uri)? };
        let headers = &head.headers;
        let (method, target) = self.request_line(head)?;
        let (scheme, host) = self.origin(head)?;
        let (client, before) = self.client(headers)?;
        let mut message = Vec::with_capacity(512 + body.len());
        for part in [method, b" ", target, b" HTTP/1.1\r\n", b"host: ", host, b"\r\n"] {
            message.extend_from_slice(part);
        }
        if !before.is_empty() {
            [b"x-forwarded-for: ", before, b"\r\n"].iter().for_each(|part| message.extend_from_slice(part));
        }
        for (name, value) in headers.iter().filter(|(name, value)| !self.is_own(name, value, headers)) {
            for part in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
                message.extend_from_slice(part);
            }
        }
        message.extend_from_slice(b"\r\n");
        message.extend_from_slice(body);
        let foreign = self.foreign().iter().any(|name| headers.contains_key(*name))
            || self == Proxy::IngressNginx && ingress_nginx::has_foreign_uri(headers);
        let call = CallHeaders {
            scheme,
            body: self.body_state(headers, method, body, options.body),
            answer_by: options.answer_by()?,
            service: options.service.map(HeaderText::try_from).transpose()?,
            route: options.route.map(HeaderText::try_from).transpose()?,
            application: options.application,
            traceparent: headers.get(super::call::TRACEPARENT).cloned(),
            anomalies: if foreign { vec![AnomalyKind::ConflictingForward] } else { Vec::new() },
            ..CallHeaders::described(self.connector(), client, HeaderText::request_id(None)?)
        };
        let (message, body_bytes) = (message.into(), body.len());
        Ok(DescribedRequest { call, message, body_bytes, key: None, counted_as: self.code() })
    }

    /// Scheme and host of the client's request.
    fn origin(self, head: &Head) -> Result<(Scheme, &[u8]), ApiError> {
        let (headers, family) = (&head.headers, self.family());
        match self {
            Proxy::IngressNginx => ingress_nginx::origin(headers),
            Proxy::Envoy => Ok((scheme(headers, family.scheme)?, host(head))),
            Proxy::Traefik | Proxy::Caddy | Proxy::Nginx => {
                Ok((scheme(headers, family.scheme)?, required(headers, family.host)?.as_bytes()))
            }
        }
    }

    /// Method and target of the client's request.
    fn request_line(self, head: &Head) -> Result<(&[u8], &[u8]), ApiError> {
        if self == Proxy::Envoy {
            let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
            let target = target.strip_prefix(PREFIX).and_then(|rest| rest.strip_prefix("envoy")).unwrap_or(target);
            let target = if target.is_empty() { "/" } else { target };
            return Ok((head.method.as_str().as_bytes(), target.as_bytes()));
        }
        let family = self.family();
        let method = required(&head.headers, family.method)?.as_bytes();
        if http::Method::from_bytes(method).is_err() {
            return Err(ApiError::BadHeader(family.method, "a method"));
        }
        Ok((method, required(&head.headers, family.uri)?.as_bytes()))
    }

    /// The client as the proxy saw it, and the addresses that came before it.
    fn client(self, headers: &HeaderMap) -> Result<(IpAddr, &[u8]), ApiError> {
        let name = self.family().client;
        let value = required(headers, name)?;
        let (before, last) = match value.as_bytes().iter().rposition(|&byte| byte == b',') {
            Some(at) if !matches!(self, Proxy::Nginx | Proxy::IngressNginx) => {
                (&value.as_bytes()[..at], &value.as_bytes()[at + 1..])
            }
            _ => (&b""[..], value.as_bytes()),
        };
        let last = HeaderValue::from_bytes(last.trim_ascii()).ok();
        let address = last.as_ref().and_then(super::call::address);
        Ok((address.ok_or(ApiError::BadHeader(name, "an IP address, with or without port"))?, before.trim_ascii()))
    }

    /// Whether a header belongs to the subrequest and not to the client's request.
    fn is_own(self, name: &header::HeaderName, value: &HeaderValue, headers: &HeaderMap) -> bool {
        let family = self.family();
        let described = [family.method, family.uri, family.host, family.scheme, family.client];
        let own = match self {
            // Envoy passes the client's request on as it is; only the address list is the proxy's.
            Proxy::Envoy => name == family.client || name == ENVOY_PARTIAL,
            Proxy::Nginx => described.contains(&name.as_str()) || name == NGINX_LENGTH || name == NGINX_ENCODING,
            Proxy::IngressNginx => described.contains(&name.as_str()) || ingress_nginx::is_own(name, value, headers),
            Proxy::Traefik | Proxy::Caddy => described.contains(&name.as_str()),
        };
        own || name == KEY_HEADER || is_of_subrequest(name)
    }

    /// How much of the body was sent.
    fn body_state(self, headers: &HeaderMap, method: &[u8], body: &Bytes, forwarding: BodyForwarding) -> BodyState {
        // A proxy that sends no body does not say for most requests whether there is one.
        let may_have_body = !matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE");
        let unknown = || if may_have_body { BodyState::Unread } else { BodyState::Complete };
        match self {
            Proxy::Nginx => {
                let length = headers.get(NGINX_LENGTH).map_or(&b""[..], HeaderValue::as_bytes);
                let encoding = headers.get(NGINX_ENCODING).map_or(&b""[..], HeaderValue::as_bytes);
                match length {
                    b"0" if encoding.is_empty() => BodyState::Complete,
                    b"" if encoding.is_empty() => unknown(),
                    _ => BodyState::Unread,
                }
            }
            Proxy::Envoy => match headers.get(ENVOY_PARTIAL).map(HeaderValue::as_bytes) {
                Some(b"true") => BodyState::Prefix,
                Some(_) => BodyState::Complete,
                None => unknown(),
            },
            Proxy::Traefik | Proxy::Caddy if forwarding == BodyForwarding::Full || !body.is_empty() => {
                BodyState::Complete
            }
            Proxy::Traefik | Proxy::Caddy | Proxy::IngressNginx => unknown(),
        }
    }
}

fn host(head: &Head) -> &[u8] {
    let authority = head.uri.authority().map(|authority| authority.as_str().as_bytes());
    authority.or_else(|| head.headers.get(header::HOST).map(HeaderValue::as_bytes)).unwrap_or_default()
}

fn scheme(headers: &HeaderMap, name: &'static str) -> Result<Scheme, ApiError> {
    match required(headers, name)?.as_bytes() {
        b"http" | b"ws" => Ok(Scheme::Http),
        b"https" | b"wss" => Ok(Scheme::Https),
        _ => Err(ApiError::BadHeader(name, "`http`, `https`, `ws` or `wss`")),
    }
}

#[cfg(test)]
mod tests;
