//! What an alert is.

use super::schedule::Schedule;
use crate::error::{Error, Mistake, Result};
use reqwest::Url;
use serde::{Deserialize, Serialize};

/// Longest name, address, URL and search, in bytes.
const MAX_TEXT: usize = 2_000;
/// Longest name, in characters.
const MAX_NAME: usize = 100;
/// Windows and periods, in minutes: up to a week.
const MINUTES: std::ops::RangeInclusive<u32> = 1..=7 * 24 * 60;
/// Most recipients of an e-mail.
const MAX_RECIPIENTS: usize = 20;
/// Most hits of a threshold.
const MAX_HITS: u32 = 10_000_000;
/// What is shown in the place of the secret part of a URL.
const MASK: &str = "****";

/// Who gets the messages of an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Channel {
    /// An incoming webhook as Slack, Mattermost, Rocket.Chat and others take it.
    Slack {
        /// Its URL, which is its secret.
        url: String,
    },
    /// E-mail, through the server of the configuration.
    Email {
        /// Addresses, at most 20.
        to: Vec<String>,
    },
}

/// An alert to be made, or what an existing one becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAlert {
    /// Name for people.
    pub name: String,
    /// Who gets the messages.
    pub channel: Channel,
    /// Which hits count, as in the search of attacks; empty for all.
    #[serde(default)]
    pub query: String,
    /// Hits from which on it is sent; not used by a report.
    #[serde(default)]
    pub hits: u32,
    /// Minutes in which they come; of a digest, the minutes that it covers. Not used by a report.
    #[serde(default)]
    pub minutes: u32,
    /// Whether it is a digest: sent once for every period, and not as soon as there are enough hits.
    #[serde(default)]
    pub digest: bool,
    /// When it is a report of all that happened in a day or week: its schedule.
    #[serde(default)]
    pub report: Option<Schedule>,
    /// Whether it is sent.
    #[serde(default = "yes")]
    pub enabled: bool,
}

fn yes() -> bool {
    true
}

/// An alert as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Alert {
    /// UUIDv7.
    pub id: String,
    /// What it is made of; the URL of a chat is masked.
    #[serde(flatten)]
    pub about: NewAlert,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// Hits from then on have not been reported yet.
    #[serde(skip)]
    pub since: i64,
    /// Hits of the hour before that, as they were known then; none before the first message.
    #[serde(skip)]
    pub known: Option<Known>,
    /// When it is looked at next.
    #[serde(skip)]
    pub due: i64,
    /// Last message; 0 for none.
    pub last_sent: i64,
    /// Messages sent.
    pub sent: u64,
    /// Failures since the last message.
    pub failures: u64,
    /// Why the last one failed; empty if it did not.
    pub last_error: String,
}

/// Hits of a stretch of time, as they were known at its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Hits.
    pub hits: u64,
    /// Of these, blocked.
    pub blocked: u64,
}

impl NewAlert {
    /// The window or period in milliseconds.
    pub fn window(&self) -> i64 {
        i64::from(self.minutes) * 60_000
    }

    /// Everything that is wrong with it, but for the search; `mail` says whether a mail server is configured.
    pub(super) fn check(&self, mail: bool) -> Result<()> {
        let mut wrong = Vec::new();
        let mut say = |field: &str, why: String| wrong.push(Mistake::new(field, why));
        let length = self.name.trim().chars().count();
        if length == 0 || length > MAX_NAME || self.name.chars().any(char::is_control) {
            say("name", format!("enter 1 to {MAX_NAME} characters"));
        }
        match self.report {
            Some(report) if report.hour > 23 => say("report.hour", "enter an hour from 0 to 23".into()),
            Some(_) if self.digest => say("digest", "a report has its own schedule: leave `digest` out".into()),
            Some(_) if !self.query.trim().is_empty() => {
                say("query", "a report covers everything: leave the search empty".into());
            }
            _ => {}
        }
        if self.report.is_none() && !MINUTES.contains(&self.minutes) {
            say("minutes", format!("enter {} to {} minutes", MINUTES.start(), MINUTES.end()));
        }
        if self.hits > MAX_HITS || (self.hits == 0 && !self.digest && self.report.is_none()) {
            say("hits", format!("enter 1 to {MAX_HITS} hits; a digest may have 0, and is then always sent"));
        }
        if self.query.len() > MAX_TEXT {
            say("query", format!("longer than {MAX_TEXT} bytes"));
        }
        if let Err((field, why)) = self.channel.check(mail) {
            say(field, why);
        }
        if wrong.is_empty() { Ok(()) } else { Err(Error::Invalid(wrong)) }
    }
}

impl Channel {
    fn check(&self, mail: bool) -> std::result::Result<(), (&'static str, String)> {
        match self {
            Channel::Slack { url } => {
                let parsed =
                    Url::parse(url).ok().filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
                if parsed.is_none() || url.len() > MAX_TEXT {
                    return Err(("channel.url", "enter a URL that begins with https:// or http://".into()));
                }
            }
            Channel::Email { .. } if !mail => {
                let why = "set `control_plane.smtp.host` and `control_plane.smtp.from` in the configuration first";
                return Err(("channel.to", why.into()));
            }
            Channel::Email { to } => {
                if to.is_empty() || to.len() > MAX_RECIPIENTS {
                    return Err(("channel.to", format!("enter 1 to {MAX_RECIPIENTS} addresses")));
                }
                if let Some(wrong) = to.iter().find(|address| address.parse::<lettre::Address>().is_err()) {
                    let shown = weir_core::model::bytes::printable(wrong.as_bytes(), MAX_NAME);
                    return Err(("channel.to", format!("`{shown}` is not an e-mail address")));
                }
            }
        }
        Ok(())
    }

    /// With the secret part of a URL masked: its path and query.
    pub fn masked(self) -> Self {
        match self {
            Channel::Slack { url } => Channel::Slack { url: masked(&url) },
            Channel::Email { to } => Channel::Email { to },
        }
    }

    /// With what came back masked taken from `old`.
    pub fn unmasked(self, old: &Channel) -> Self {
        match (&self, old) {
            (Channel::Slack { url }, Channel::Slack { url: kept }) if *url == masked(kept) => old.clone(),
            _ => self,
        }
    }
}

fn masked(url: &str) -> String {
    let Ok(parsed) = Url::parse(url) else { return MASK.to_owned() };
    let port = parsed.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}/{MASK}", parsed.scheme(), parsed.host_str().unwrap_or_default())
}

impl Alert {
    /// As it may be shown and recorded.
    pub fn masked(self) -> Self {
        let about = NewAlert { channel: self.about.channel.masked(), ..self.about };
        Self { about, ..self }
    }
}
