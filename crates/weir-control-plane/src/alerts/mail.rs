//! Delivery of messages by e-mail, over SMTP.

use super::message::Message;
use crate::outgoing::Outgoing;
use lettre::address::AddressError;
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::TcpStream;

/// Longest connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest delivery, however many answers it takes.
const DELIVERY: Duration = Duration::from_secs(20);
/// Longest password file, in bytes.
const MAX_PASSWORD: usize = 4_096;

/// How a connection to a mail server is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmtpTls {
    /// By the command STARTTLS. A server that does not offer it gets no message.
    StartTls,
    /// From the first byte on.
    Implicit,
    /// Not at all.
    None,
}

/// Login at a mail server. The file is read for each message, so that a new password needs no restart.
#[derive(Clone, Debug)]
pub struct SmtpLogin {
    /// User name.
    pub user: String,
    /// File with the password on its first line, at most 4096 bytes.
    pub password_file: PathBuf,
}

/// The mail server through which alerts are sent.
#[derive(Clone, Debug)]
pub struct Smtp {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Encryption.
    pub tls: SmtpTls,
    /// Login; none without.
    pub login: Option<SmtpLogin>,
    /// Sender: `weir <weir@example.com>`.
    pub from: String,
}

/// Why an e-mail was not delivered. No text holds a password.
#[derive(Debug, thiserror::Error)]
pub enum MailError {
    /// The configuration names no mail server.
    #[error("`control_plane.smtp.host` is not set")]
    NotConfigured,
    /// An address is none.
    #[error("`{0}` is not an e-mail address")]
    Address(String, #[source] AddressError),
    /// The name of the server has no address, or none that may be contacted.
    #[error("the mail server cannot be contacted")]
    Resolve(#[source] std::io::Error),
    /// The file with the password cannot be used.
    #[error("the password of the mail server cannot be read from {}", .0.display())]
    Password(PathBuf, #[source] std::io::Error),
    /// The message cannot be written.
    #[error("the message cannot be written")]
    Message(#[source] lettre::error::Error),
    /// The server was not reached, does not offer what is required, or refused.
    #[error("the mail server did not take the message")]
    Server(#[source] smtp::Error),
    /// The server was too slow.
    #[error("the mail server took longer than {} seconds", DELIVERY.as_secs())]
    Slow,
}

/// Whether `text` is a sender as [`Smtp::from`] takes it.
///
/// # Errors
/// It is not an address.
pub fn check_sender(text: &str) -> Result<(), MailError> {
    mailbox(text).map(drop)
}

fn mailbox(text: &str) -> Result<Mailbox, MailError> {
    text.parse().map_err(|error| MailError::Address(text.to_owned(), error))
}

impl Smtp {
    /// Delivers one message to all of `to`: the server takes it for all or for none. Its `Message-ID` is made of the id, so
    /// that mail servers recognise a repetition.
    pub(super) async fn send(&self, outgoing: &Outgoing, to: &[String], message: &Message) -> Result<(), MailError> {
        let from = mailbox(&self.from)?;
        let domain = from.email.domain().to_owned();
        let id = format!("<{}@{domain}>", message.id);
        let mut mail = lettre::Message::builder().from(from).message_id(Some(id));
        for address in to {
            mail = mail.to(mailbox(address)?);
        }
        let mail = mail.subject(&message.subject).header(ContentType::TEXT_PLAIN).body(message.text.clone());
        let mail = mail.map_err(MailError::Message)?;
        let delivery = async {
            // The address that was checked is the one connected to: a name may lead elsewhere a moment later.
            let addresses = outgoing.resolve(&self.host, self.port).await.map_err(MailError::Resolve)?;
            let transport = self.transport(outgoing, reachable(&addresses).await?, domain).await?;
            transport.send(mail).await.map(drop).map_err(MailError::Server)
        };
        tokio::time::timeout(DELIVERY, delivery).await.map_err(|_| MailError::Slow)?
    }

    async fn transport(
        &self,
        outgoing: &Outgoing,
        address: SocketAddr,
        domain: String,
    ) -> Result<AsyncSmtpTransport<Tokio1Executor>, MailError> {
        let tls = match self.tls {
            SmtpTls::StartTls => Tls::Required(self.trusted(outgoing)?),
            SmtpTls::Implicit => Tls::Wrapper(self.trusted(outgoing)?),
            SmtpTls::None => Tls::None,
        };
        let transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(address.ip().to_string());
        let mut transport = transport.port(address.port()).tls(tls).timeout(Some(CONNECT));
        transport = transport.hello_name(ClientId::Domain(domain));
        if let Some(login) = &self.login {
            transport = transport.credentials((login.user.clone(), login.password().await?).into());
        }
        Ok(transport.build())
    }

    /// The authorities that every outgoing connection trusts.
    fn trusted(&self, outgoing: &Outgoing) -> Result<TlsParameters, MailError> {
        let mut tls = TlsParameters::builder(self.host.clone());
        match outgoing.authorities() {
            None => tls = tls.certificate_store(CertificateStore::WebpkiRoots),
            Some(all) => {
                tls = tls.certificate_store(CertificateStore::None);
                for one in all {
                    let one = Certificate::from_der(one.to_vec()).map_err(MailError::Server)?;
                    tls = tls.add_root_certificate(one);
                }
            }
        }
        tls.build_rustls().map_err(MailError::Server)
    }
}

/// The first of several addresses that accepts a connection: a name may have one of a protocol that does not work here.
async fn reachable(addresses: &[SocketAddr]) -> Result<SocketAddr, MailError> {
    if let [only] = addresses {
        return Ok(*only);
    }
    let mut last = std::io::ErrorKind::NotFound.into();
    for address in addresses {
        match tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => return Ok(*address),
            Ok(Err(error)) => last = error,
            Err(_) => last = std::io::ErrorKind::TimedOut.into(),
        }
    }
    Err(MailError::Resolve(last))
}

impl SmtpLogin {
    async fn password(&self) -> Result<String, MailError> {
        let failed = |error| MailError::Password(self.password_file.clone(), error);
        let text = tokio::fs::read_to_string(&self.password_file).await.map_err(failed)?;
        let first = text.lines().next().unwrap_or_default();
        if first.is_empty() || first.len() > MAX_PASSWORD {
            return Err(failed(std::io::Error::other(format!("expected a first line of 1 to {MAX_PASSWORD} bytes"))));
        }
        Ok(first.to_owned())
    }
}
