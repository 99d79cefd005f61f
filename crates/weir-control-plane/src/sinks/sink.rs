//! A sink: where to, in which form, which feeds.

use super::feed::FeedName;
use crate::store::StoreError;
use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Longest name.
const MAX_NAME: usize = 100;
/// Longest URL, host, header value.
const MAX_TEXT: usize = 2_048;
/// Most headers of a webhook.
const MAX_HEADERS: usize = 20;
/// Shortest secret: 128 bits in hexadecimal.
const MIN_SECRET: usize = 16;

/// Body of a webhook call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON object: feed, sink, records.
    #[default]
    Json,
    /// One record a line (NDJSON).
    Ndjson,
}

/// How syslog messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// One datagram a message (RFC 5426); what does not fit is cut by the receiver.
    Udp,
    /// Byte counting (RFC 6587).
    Tcp,
    /// TLS (RFC 5425), certificate verified.
    Tls,
}

/// Syslog facility (RFC 5424 §6.2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Facility {
    /// 10, security.
    #[default]
    Authpriv,
    /// 16.
    Local0,
    /// 20.
    Local4,
    /// 23.
    Local7,
}

impl Facility {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Facility::Authpriv => 10,
            Facility::Local0 => 16,
            Facility::Local4 => 20,
            Facility::Local7 => 23,
        }
    }
}

/// Where a sink leads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Target {
    /// An HTTP endpoint.
    Webhook {
        /// `http` or `https` URL.
        url: String,
        /// `POST` (default) or `PUT`.
        #[serde(default = "post")]
        method: String,
        /// Form of the body.
        #[serde(default)]
        format: Format,
        /// Headers added to each call.
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
    /// A syslog receiver (RFC 5424).
    Syslog {
        /// Host name or address.
        host: String,
        /// Port.
        port: u16,
        /// Transport.
        transport: Transport,
        /// Facility.
        #[serde(default)]
        facility: Facility,
    },
}

fn post() -> String {
    "POST".into()
}

/// A sink to be made, or what an existing one becomes.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewSink {
    /// Name for people.
    pub name: String,
    /// Where to.
    pub target: Target,
    /// Key of the signature on webhook calls; none signs nothing, and on a change keeps the one there is.
    #[serde(default, skip_serializing)]
    pub secret: Option<String>,
    /// What is delivered.
    pub feeds: Vec<FeedName>,
    /// Whether it is delivered to.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// A sink as it is. Its secret is not part of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Sink {
    /// UUID.
    pub id: String,
    /// Name for people.
    pub name: String,
    /// Where to.
    pub target: Target,
    /// Whether calls are signed.
    pub signed: bool,
    /// What is delivered.
    pub feeds: Vec<FeedName>,
    /// Whether it is delivered to.
    pub enabled: bool,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// Deliveries that failed since the last good one.
    pub failures: u64,
    /// When the next delivery is tried, in milliseconds since 1970.
    pub due: i64,
    /// Why the last one failed; empty after a good one.
    pub last_error: String,
    /// When the last good one was, 0 for never.
    pub last_success: i64,
    /// Records delivered.
    pub delivered: u64,
}

/// Why a sink cannot be made, kept or used.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// What is wrong with it: member, and the fix.
    #[error("`{0}`: {1}")]
    Input(&'static str, String),
    /// There is none with this id.
    #[error("there is no such sink")]
    Unknown,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for SinkError {
    fn from(error: sqlx::Error) -> Self {
        SinkError::Store(error.into())
    }
}

impl NewSink {
    /// Everything that is wrong with it; each as member and fix.
    pub fn mistakes(&self) -> Vec<(&'static str, String)> {
        let mut out = Vec::new();
        if self.name.trim().is_empty() || self.name.len() > MAX_NAME || self.name.chars().any(char::is_control) {
            out.push(("name", format!("write 1 to {MAX_NAME} characters")));
        }
        if self.feeds.is_empty() {
            out.push(("feeds", "name at least one of `new_hits`, `system`".into()));
        }
        if let Some(secret) = self.secret.as_deref().filter(|secret| !secret.is_empty())
            && (secret.len() < MIN_SECRET || secret.len() > MAX_TEXT)
        {
            out.push(("secret", format!("write at least {MIN_SECRET} characters, e.g. of `openssl rand -hex 32`")));
        }
        self.target.mistakes(&mut out);
        out
    }
}

impl Target {
    fn mistakes(&self, out: &mut Vec<(&'static str, String)>) {
        match self {
            Target::Webhook { url, method, headers, .. } => {
                let parsed =
                    Url::parse(url).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
                if parsed.is_none() || url.len() > MAX_TEXT {
                    out.push(("target.url", "write a URL that begins with `https://` or `http://`".into()));
                }
                if !matches!(method.as_str(), "POST" | "PUT") {
                    out.push(("target.method", "write `POST` or `PUT`".into()));
                }
                if headers.len() > MAX_HEADERS {
                    out.push(("target.headers", format!("at most {MAX_HEADERS}")));
                }
                for (name, value) in headers {
                    let fits = HeaderName::from_bytes(name.as_bytes()).is_ok_and(|name| !reserved(&name));
                    if !fits || HeaderValue::from_str(value).is_err() || value.len() > MAX_TEXT {
                        out.push(("target.headers", format!("`{name}` is no header that can be set")));
                    }
                }
            }
            Target::Syslog { host, port, .. } => {
                let odd = |c: char| !(c.is_ascii_alphanumeric() || ".-:".contains(c));
                if host.is_empty() || host.len() > 253 || host.contains(odd) {
                    out.push(("target.host", "write a host name or address".into()));
                }
                if *port == 0 {
                    out.push(("target.port", "write a port from 1 to 65535".into()));
                }
            }
        }
    }
}

/// What stands for a secret that is not shown.
const MASK: &str = "****";

impl Target {
    /// With the values of headers, and user information and query of the URL, masked: they often are credentials.
    pub fn masked(mut self) -> Self {
        if let Target::Webhook { url, headers, .. } = &mut self {
            *url = masked_url(url);
            headers.values_mut().for_each(|value| *value = MASK.to_owned());
        }
        self
    }

    /// With what is masked taken from `old`.
    pub fn unmasked(&self, old: &Target) -> Self {
        let mut out = self.clone();
        if let (Target::Webhook { url, headers, .. }, Target::Webhook { url: old_url, headers: old_headers, .. }) =
            (&mut out, old)
        {
            if *url == masked_url(old_url) {
                url.clone_from(old_url);
            }
            for (name, value) in headers {
                if let Some(kept) = old_headers.get(name).filter(|_| value == MASK) {
                    value.clone_from(kept);
                }
            }
        }
        out
    }
}

fn masked_url(url: &str) -> String {
    let Ok(mut parsed) = Url::parse(url) else { return MASK.to_owned() };
    if parsed.query().is_some() {
        parsed.set_query(Some(MASK));
    }
    // Neither can fail where the URL has a host, and others were refused.
    if parsed.password().is_some() && parsed.set_password(Some(MASK)).is_err() {
        return MASK.to_owned();
    }
    parsed.to_string()
}

impl Sink {
    /// As it may be shown and logged.
    pub fn masked(self) -> Self {
        Self { target: self.target.masked(), ..self }
    }
}

/// Headers that the delivery sets itself.
fn reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "host" | "content-length" | "content-type" | "transfer-encoding" | "connection")
        || name.starts_with("weir-")
}

impl fmt::Debug for NewSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewSink").field("name", &self.name).field("target", &self.target).finish_non_exhaustive()
    }
}
