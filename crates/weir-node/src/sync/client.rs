//! The calls of `node_api`, one method each. Responses are limited in size; redirects are not followed, so that tokens are
//! sent only to the configured host.

use super::call_error::CallError;
use super::endpoint::{Endpoint, SetupError};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::Write;
use std::time::Duration;
use weir_core::model::bytes::printable;
use weir_protocol::node_api::{
    ABUSE, AbuseNews, AbuseReport, Ack, BLOBS, EVENTS, HEARTBEAT, Heartbeat, Identity, MAX_POLICY_BYTES, POLICY,
    REGISTER, REGISTRATION_TOKEN, Register, Registered, STATISTICS,
};
use weir_runtime::bounded_body;

/// Longest call, the long poll's wait and downloads apart.
const CALL: Duration = Duration::from_secs(30);
/// Longest silence within a download.
const SILENCE: Duration = Duration::from_secs(30);
/// Connections kept for reuse: poll, events, heartbeat, one to spare.
const IDLE_CONNECTIONS: usize = 4;
/// Largest answer, policies and blobs apart.
const MAX_RESPONSE: usize = 4 << 20;
/// Largest answer with a policy: the document as a JSON string, where a byte may take six, and keys beside it. Only
/// control characters take six; twice the document leaves room for any real one.
const MAX_POLICY_RESPONSE: usize = 2 * MAX_POLICY_BYTES;
/// Bytes of a problem that are read, and that are shown.
const MAX_PROBLEM: usize = 16 << 10;
const MAX_SHOWN: usize = 300;
/// Below this many bytes compression does not pay.
const MIN_GZIP: usize = 1024;
/// Longest pause that the server may ask for.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// A client of one control plane or aggregation.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

impl Client {
    /// A client; nothing is called yet.
    pub fn new(endpoint: &Endpoint) -> Result<Self, SetupError> {
        let base = endpoint.url()?;
        let http = endpoint
            .client()?
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .build()
            .map_err(|error| SetupError::Client(CallError::from(error).to_string()))?;
        Ok(Self { http, base })
    }

    /// Registers the node.
    pub async fn register(&self, token: &str, body: &Register) -> Result<Registered, CallError> {
        let call = json(self.call(Method::POST, REGISTER, token)?, body)?;
        parsed(&send(call).await?.bytes(MAX_RESPONSE).await?)
    }

    /// Reports the status of the node.
    pub async fn heartbeat(&self, identity: &Identity, body: &Heartbeat) -> Result<(), CallError> {
        let call = json(self.call(Method::POST, HEARTBEAT, &bearer(identity))?, body)?;
        send(call).await?.bytes(MAX_RESPONSE).await.map(drop)
    }

    /// Reports the status of the node and of those behind it; with the token, also of nodes that reported elsewhere before.
    pub async fn heartbeat_with(&self, identity: &Identity, body: &Heartbeat, token: &str) -> Result<(), CallError> {
        let call =
            json(self.call(Method::POST, HEARTBEAT, &bearer(identity))?, body)?.header(REGISTRATION_TOKEN, token);
        send(call).await?.bytes(MAX_RESPONSE).await.map(drop)
    }

    /// Exchanges automatic entries.
    pub async fn abuse(&self, identity: &Identity, body: &AbuseReport) -> Result<AbuseNews, CallError> {
        let call = json(self.call(Method::POST, ABUSE, &bearer(identity))?, body)?;
        parsed(&send(call).await?.bytes(MAX_RESPONSE).await?)
    }

    /// Reports traffic: the JSON of a `Statistics`.
    pub async fn statistics(&self, identity: &Identity, body: Bytes) -> Result<(), CallError> {
        let call = self.call(Method::POST, STATISTICS, &bearer(identity))?;
        let call = call.header(header::CONTENT_TYPE, "application/json").body(body);
        send(call).await?.bytes(MAX_RESPONSE).await.map(drop)
    }

    /// Delivers lines of records.
    pub async fn events(&self, identity: &Identity, lines: Bytes) -> Result<Ack, CallError> {
        let call =
            self.call(Method::POST, EVENTS, &bearer(identity))?.header(header::CONTENT_TYPE, "application/x-ndjson");
        let call = match lines.len() {
            ..MIN_GZIP => call.body(lines),
            _ => call.header(header::CONTENT_ENCODING, "gzip").body(gzip(lines).await?),
        };
        parsed(&send(call).await?.bytes(MAX_RESPONSE).await?)
    }

    /// Waits up to `wait` seconds for a policy newer than `after`: the JSON of a `SignedPolicy`, not verified yet.
    pub async fn policy(&self, identity: &Identity, after: u64, wait: u64) -> Result<Option<Bytes>, CallError> {
        let path = format!("{POLICY}?after={after}&wait={wait}");
        let call = self.call(Method::GET, &path, &bearer(identity))?.timeout(CALL + Duration::from_secs(wait));
        let answer = send(call).await?;
        if answer.0.status() == StatusCode::NO_CONTENT {
            return Ok(None);
        }
        answer.bytes(MAX_POLICY_RESPONSE).await.map(Some)
    }

    /// Downloads the file with this hash.
    pub async fn blob(&self, identity: &Identity, sha256: &str) -> Result<Download, CallError> {
        let path = format!("{BLOBS}/{sha256}");
        // A download is limited by its longest silence instead.
        let call = self.call(Method::GET, &path, &bearer(identity))?.timeout(Duration::from_secs(3600));
        send(call).await.map(|CallResponse(response)| Download(response))
    }

    fn call(&self, method: Method, path: &str, bearer: &str) -> Result<RequestBuilder, CallError> {
        let url = self.base.join(path).map_err(|error| CallError::InvalidResponse(error.to_string()))?;
        let mut value = header::HeaderValue::from_str(&format!("Bearer {bearer}"))
            .map_err(|_| CallError::Unregistered("the token holds bytes that no header may have".into()))?;
        value.set_sensitive(true);
        Ok(self.http.request(method, url).header(header::AUTHORIZATION, value).timeout(CALL))
    }
}

/// A download in progress.
#[derive(Debug)]
pub struct Download(Response);

impl Download {
    /// Its next bytes; `None` at the end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        match tokio::time::timeout(SILENCE, self.0.chunk()).await {
            Ok(chunk) => Ok(chunk?),
            Err(_) => Err(CallError::Unreachable("the download stalled".into())),
        }
    }
}

/// A successful response.
struct CallResponse(Response);

impl CallResponse {
    async fn bytes(mut self, most: usize) -> Result<Bytes, CallError> {
        let body = bounded_body::read(&mut self.0, most).await?.map(Bytes::from);
        body.ok_or_else(|| CallError::InvalidResponse(format!("larger than {most} bytes")))
    }
}

fn bearer(identity: &Identity) -> String {
    format!("{}.{}", identity.node_id, identity.secret)
}

fn json(call: RequestBuilder, body: &impl Serialize) -> Result<RequestBuilder, CallError> {
    let body = serde_json::to_vec(body).map_err(|error| CallError::InvalidResponse(error.to_string()))?;
    Ok(call.header(header::CONTENT_TYPE, "application/json").body(body))
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, CallError> {
    serde_json::from_slice(body).map_err(|error| CallError::InvalidResponse(error.to_string()))
}

async fn send(call: RequestBuilder) -> Result<CallResponse, CallError> {
    let mut response = call.send().await?;
    let status = response.status();
    if status == StatusCode::OK || status == StatusCode::NO_CONTENT || status == StatusCode::CREATED {
        return Ok(CallResponse(response));
    }
    let pause = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let pause = pause.map(|seconds| Duration::from_secs(seconds).min(MAX_PAUSE));
    let problem_text = bounded_body::read(&mut response, MAX_PROBLEM).await?.unwrap_or_default();
    let problem_text = problem(&problem_text);
    Err(match status {
        StatusCode::UNAUTHORIZED => CallError::Unknown(problem_text),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            CallError::Busy(status.as_u16(), pause)
        }
        _ if status.is_server_error() => CallError::Busy(status.as_u16(), pause),
        _ if status.is_client_error() => CallError::Refused(status.as_u16(), problem_text),
        _ => CallError::InvalidResponse(format!("status {}", status.as_u16())),
    })
}

/// The detail of a problem (RFC 9457), or the beginning of any other body.
fn problem(body: &[u8]) -> String {
    let value: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let member = |name| Some(value.as_ref()?.get(name)?.as_str()?.to_owned());
    let text = member("detail").or_else(|| member("title"));
    printable(text.as_deref().map_or(body, str::as_bytes), MAX_SHOWN)
}

async fn gzip(lines: Bytes) -> Result<Vec<u8>, CallError> {
    let packed = tokio::task::spawn_blocking(move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(lines.len() / 4), Compression::fast());
        encoder.write_all(&lines)?;
        encoder.finish()
    });
    let failed = |error: &dyn std::fmt::Display| CallError::Unreachable(format!("compression: {error}"));
    packed.await.map_err(|error| failed(&error))?.map_err(|error| failed(&error))
}
