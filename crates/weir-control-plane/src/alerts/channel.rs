//! Delivery of messages: SMTP, and incoming webhooks of chats.

use super::alert::Channel;
use super::message::{self, Message};
use crate::outgoing::{Outgoing, Roots};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use reqwest::Url;
use serde_json::json;
use std::time::Duration;

/// Longest delivery.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The mail server.
#[derive(Clone)]
pub struct Smtp {
    /// `smtps://USER:PASSWORD@HOST:PORT`, or `smtp://` for STARTTLS, and `smtp://...?tls=none` without TLS.
    pub url: String,
    /// Sender.
    pub from: String,
    /// Which authorities are trusted.
    pub roots: Roots,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("from", &self.from).finish_non_exhaustive()
    }
}

impl Smtp {
    /// Whether the settings can be used.
    ///
    /// # Errors
    /// What is wrong with them, without the password.
    pub fn check(&self) -> Result<(), String> {
        self.from.parse::<Mailbox>().map_err(|error| format!("smtp_from: {error}"))?;
        self.transport().map(drop)
    }

    fn parsed(&self) -> Result<(Url, String), String> {
        let wrong = || "smtp_url: expected smtps://HOST, smtp://HOST or smtp://HOST?tls=none".to_owned();
        let url = Url::parse(&self.url).map_err(|_| wrong())?;
        let host = url.host_str().filter(|_| ["smtp", "smtps"].contains(&url.scheme())).map(str::to_owned);
        host.map(|host| (url, host)).ok_or_else(wrong)
    }

    fn port(url: &Url) -> u16 {
        let plain = url.query() == Some("tls=none");
        url.port().unwrap_or(match url.scheme() {
            "smtps" => 465,
            _ if plain => 25,
            _ => 587,
        })
    }

    fn transport(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, String> {
        let (url, host) = self.parsed()?;
        let tls = match (url.scheme(), url.query()) {
            ("smtps", None) => Tls::Wrapper(self.tls(&host)?),
            ("smtp", None) => Tls::Required(self.tls(&host)?),
            ("smtp", Some("tls=none")) => Tls::None,
            _ => return Err("smtp_url: the only parameter is tls=none, after smtp://".into()),
        };
        let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host).port(Self::port(&url));
        transport = transport.tls(tls).timeout(Some(TIMEOUT));
        if !url.username().is_empty() {
            let plain = |text: &str| {
                let decoded =
                    weir_core::normalize::percent::decode(text.as_bytes(), weir_core::normalize::percent::Plus::Keep);
                String::from_utf8_lossy(&decoded).into_owned()
            };
            let password = plain(url.password().unwrap_or_default());
            transport = transport.credentials((plain(url.username()), password).into());
        }
        Ok(transport.build())
    }

    fn tls(&self, host: &str) -> Result<TlsParameters, String> {
        let mut tls = TlsParameters::builder(host.to_owned());
        tls = match self.roots.file()? {
            None => tls.certificate_store(CertificateStore::WebpkiRoots),
            Some(path) => {
                let pem = std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
                let all = rustls_certificates(&pem)?;
                all.into_iter()
                    .fold(tls.certificate_store(CertificateStore::None), |tls, one| tls.add_root_certificate(one))
            }
        };
        tls.build_rustls().map_err(|error| error.to_string())
    }

    async fn send(&self, outgoing: &Outgoing, to: &[String], message: &Message) -> Result<(), String> {
        let (url, host) = self.parsed()?;
        // The same destinations are allowed as for webhooks.
        outgoing.resolve(&host, Self::port(&url)).await.map_err(|error| error.to_string())?;
        let from: Mailbox = self.from.parse().map_err(|error| format!("smtp_from: {error}"))?;
        let transport = self.transport()?;
        for address in to {
            let to: Mailbox = address.parse().map_err(|error| format!("{address}: {error}"))?;
            let mail = lettre::Message::builder()
                .from(from.clone())
                .to(to)
                .subject(&message.subject)
                .header(ContentType::TEXT_PLAIN)
                .body(message.text.clone())
                .map_err(|error| error.to_string())?;
            transport.send(mail).await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn rustls_certificates(pem: &[u8]) -> Result<Vec<Certificate>, String> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;
    CertificateDer::pem_slice_iter(pem)
        .map(|one| {
            let der = one.map_err(|error| error.to_string())?;
            Certificate::from_der(der.to_vec()).map_err(|error| error.to_string())
        })
        .collect()
}

/// Delivers a message. The error is for the log and for administrators; it holds no secret.
pub async fn deliver(
    channel: &Channel,
    message: &Message,
    smtp: Option<&Smtp>,
    outgoing: &Outgoing,
) -> Result<(), String> {
    match channel {
        Channel::Email { to } => {
            let smtp = smtp.ok_or("control_plane.smtp_url is not set")?;
            smtp.send(outgoing, to, message).await
        }
        Channel::Slack { url } => {
            outgoing.check_url(url)?;
            let client = outgoing.guarded().timeout(TIMEOUT).build().map_err(|error| error.to_string())?;
            let body = json!({"text": message::chat(message)}).to_string();
            let call = client.post(url).header("content-type", "application/json").body(body);
            let answer = call.send().await.map_err(|error| error.without_url().to_string())?;
            if answer.status().is_success() { Ok(()) } else { Err(format!("answered {}", answer.status())) }
        }
    }
}
