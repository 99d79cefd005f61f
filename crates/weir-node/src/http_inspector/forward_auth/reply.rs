//! Responses to subrequests, and for nginx, which drops the body of a subrequest's response, a token from which a second
//! call makes the reply.

use crate::http_inspector::context::ContextKeys;
use crate::http_inspector::verdict_response::{ATTACK, VERDICT};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde::{Deserialize, Serialize};
use weir_policy::reply::{DEFAULT_BODY, DEFAULT_STATUS, Reply};

/// Path of the call that makes the reply of a blocked request behind nginx.
pub const NGINX_REPLY: &str = "/v1/forward-auth/nginx/reply";
/// Header with the token of a reply.
pub const REPLY_HEADER: HeaderName = HeaderName::from_static("inspector-reply");
/// Longest token, in bytes: it has to fit the buffer for the head of a response, which docs/forward-auth.md sets to 32 KiB.
const MAX_TOKEN: usize = 24 << 10;
/// Separates tokens of replies from other uses of the keys.
const PURPOSE: &[u8] = b"forward-auth reply 1";

#[derive(Serialize, Deserialize)]
struct Token {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

fn default_reply() -> Reply {
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Reply { status: DEFAULT_STATUS, headers, body: DEFAULT_BODY.into() }
}

/// The response that lets a request pass.
pub fn pass(attacks: Option<HeaderValue>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    headers.insert(VERDICT, HeaderValue::from_static("pass"));
    if let Some(attacks) = attacks {
        headers.insert(ATTACK, attacks);
    }
    response
}

/// The reply as the response to a subrequest. A proxy would take a 2xx status as permission: 403 replaces it.
pub fn block(reply: &Reply) -> Response<Body> {
    let mut response = Response::new(Body::from(reply.body.clone()));
    let status = StatusCode::from_u16(reply.status).ok().filter(|status| !status.is_success());
    *response.status_mut() = status.unwrap_or(StatusCode::FORBIDDEN);
    for (name, value) in &reply.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

/// The response for nginx, which takes no other status than 401 and 403: the reply is in a token.
pub fn block_nginx(reply: &Reply, keys: &ContextKeys) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FORBIDDEN;
    let token = seal(reply, keys).and_then(|token| HeaderValue::try_from(token).ok());
    if let Some(token) = token {
        response.headers_mut().insert(REPLY_HEADER, token);
    }
    response
}

/// The reply of a token. What is not a token of this group of nodes gives the default reply: it never permits anything.
pub fn open(token: Option<&HeaderValue>, keys: &ContextKeys) -> Response<Body> {
    let opened = token.and_then(|token| {
        let token = URL_SAFE_NO_PAD.decode(token.as_bytes()).ok()?;
        let json = keys.verified(PURPOSE, &token)?;
        let Token { status, headers, body } = serde_json::from_slice(json).ok()?;
        Some(Reply { status, headers, body: URL_SAFE_NO_PAD.decode(body).ok()? })
    });
    block(&opened.unwrap_or_else(default_reply))
}

/// The token of `reply`, without its body where that is too long.
fn seal(reply: &Reply, keys: &ContextKeys) -> Option<String> {
    let token = |body: &[u8], headers: &[(String, String)]| {
        let body = URL_SAFE_NO_PAD.encode(body);
        let json = serde_json::to_vec(&Token { status: reply.status, headers: headers.to_vec(), body }).ok()?;
        Some(URL_SAFE_NO_PAD.encode(keys.signed(PURPOSE, &json)))
    };
    let whole = token(&reply.body, &reply.headers)?;
    if whole.len() <= MAX_TOKEN {
        return Some(whole);
    }
    tracing::warn!(bytes = reply.body.len(), "the block reply is too long for nginx; the default body is sent instead");
    let short = default_reply();
    token(&short.body, &short.headers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header;
    use http_body_util::BodyExt;

    async fn parts(response: Response<Body>) -> (u16, Option<String>, Vec<u8>) {
        let kind = response.headers().get(header::CONTENT_TYPE).map(|kind| kind.to_str().unwrap().to_owned());
        let status = response.status().as_u16();
        (status, kind, response.into_body().collect().await.unwrap().to_bytes().to_vec())
    }

    fn reply(status: u16, body: &[u8]) -> Reply {
        Reply { status, headers: vec![("content-type".into(), "text/plain".into())], body: body.to_vec() }
    }

    #[tokio::test]
    async fn a_reply_survives_the_way_through_nginx() {
        let keys = ContextKeys::new(&[b"k".to_vec()]).unwrap();
        let asked = block_nginx(&reply(451, b"\xffgone"), &keys);
        assert_eq!(asked.status(), 403);
        let token = asked.headers().get(REPLY_HEADER).unwrap();
        let given = parts(open(Some(token), &keys)).await;
        assert_eq!(given, (451, Some("text/plain".into()), b"\xffgone".to_vec()));
        let other = ContextKeys::new(&[b"other".to_vec()]).unwrap();
        for (token, keys) in [(Some(token), &other), (None, &keys), (Some(&HeaderValue::from_static("x")), &keys)] {
            let given = parts(open(token, keys)).await;
            assert_eq!(given, (403, Some("application/json".into()), DEFAULT_BODY.into()));
        }
    }

    #[tokio::test]
    async fn a_long_body_is_replaced_and_the_status_stays() {
        let keys = ContextKeys::new(&[b"k".to_vec()]).unwrap();
        let asked = block_nginx(&reply(451, &[b'x'; 100_000]), &keys);
        let token = asked.headers().get(REPLY_HEADER).unwrap();
        assert!(token.len() < MAX_TOKEN);
        assert_eq!(parts(open(Some(token), &keys)).await, (451, Some("application/json".into()), DEFAULT_BODY.into()));
    }

    #[test]
    fn no_block_is_taken_as_permission() {
        assert_eq!(block(&reply(200, b"")).status(), 403);
        assert_eq!(block(&reply(302, b"")).status(), 302);
    }
}
