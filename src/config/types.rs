//! Scalars of the configuration: how each is written, parsed and shown.

mod address;
mod credential;
mod glob;
mod pattern;
mod quantity;
mod secret_header;
mod word;

pub use address::{ConnectorAddress, FileMode, ListenAddress};
pub use credential::Credential;
pub use glob::Glob;
pub use pattern::{Pattern, RoutePattern};
pub use quantity::ByteSize;
pub use secret_header::SecretHeader;
pub use word::{
    AnomalyAction, ConnectorMode, LogLevel, LogTarget, Mode, ModeOverride, NodeMode, OverlimitAction, OverlimitMode,
    SmtpTls, Workers,
};

use ipnet::IpNet;
use std::path::PathBuf;
use weir_core::model::{AnomalyKind, ParserSet, SkipReason};

/// Why a text is not a value of the type, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl Bad {
    /// A mistake without advice.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// A mistake with advice.
    pub fn with(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()) }
    }
}

/// A type that a scalar of the configuration can have. Files, environment and flags are parsed alike.
pub trait Setting: Sized {
    /// What the reference page calls the type.
    const TYPE: &'static str;
    /// Whether a value must never be shown.
    const SECRET: bool = false;
    /// Parses what a person wrote.
    fn parse(text: &str) -> Result<Self, Bad>;
    /// The text that parses to this value.
    fn show(&self) -> String;
}

impl Setting for bool {
    const TYPE: &'static str = "boolean";

    fn parse(text: &str) -> Result<Self, Bad> {
        // The further words are booleans in YAML 1.1, which other readers of such files speak.
        match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Ok(true),
            "false" | "no" | "off" | "n" => Ok(false),
            _ => Err(Bad::with("not a boolean", "write `true` or `false`")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

macro_rules! integers {
    ($($type:ty),*) => {$(
        impl Setting for $type {
            const TYPE: &'static str = "integer";

            fn parse(text: &str) -> Result<Self, Bad> {
                text.replace('_', "").parse().map_err(|_| {
                    Bad::with("not an integer", format!("write a number from {} to {}", <$type>::MIN, <$type>::MAX))
                })
            }

            fn show(&self) -> String {
                self.to_string()
            }
        }
    )*};
}
integers!(u8, u16, u32, u64, usize, i64);

/// Longest text accepted, in bytes: room for an HTML page, far below what hurts.
const MAX_TEXT: usize = 256 << 10;

impl Setting for String {
    const TYPE: &'static str = "text";

    fn parse(text: &str) -> Result<Self, Bad> {
        match text.len() {
            0..=MAX_TEXT => Ok(text.to_owned()),
            n => Err(Bad::new(format!("{n} bytes of text, more than {MAX_TEXT}"))),
        }
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    const TYPE: &'static str = "path";

    fn parse(text: &str) -> Result<Self, Bad> {
        if text.is_empty() || text.contains('\0') {
            return Err(Bad::with("not a path", "leave the key out for no file"));
        }
        Ok(PathBuf::from(text))
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for IpNet {
    const TYPE: &'static str = "network";

    fn parse(text: &str) -> Result<Self, Bad> {
        let network = match text.parse::<IpNet>() {
            Ok(network) => network,
            Err(_) => text
                .parse::<std::net::IpAddr>()
                .map(IpNet::from)
                .map_err(|_| Bad::with("not a network", "write `10.0.0.0/8`, `2001:db8::/32` or a single address"))?,
        };
        if network.trunc() != network {
            let help = format!("write `{}`, or `{}` for the one address", network.trunc(), network.addr());
            return Err(Bad::with("the address has bits set outside the network", help));
        }
        Ok(network)
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for ParserSet {
    const TYPE: &'static str = "parser";

    fn parse(text: &str) -> Result<Self, Bad> {
        ParserSet::from_code(text).ok_or_else(|| {
            let names: Vec<&str> = ParserSet::NAMED.iter().map(|(name, _)| *name).collect();
            word::not_among(text, &names)
        })
    }

    fn show(&self) -> String {
        let members = ParserSet::NAMED.iter().filter(|(_, member)| self.intersects(*member));
        members.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}

impl Setting for AnomalyKind {
    const TYPE: &'static str = "anomaly";

    fn parse(text: &str) -> Result<Self, Bad> {
        let known = AnomalyKind::ALL.iter().copied().find(|kind| kind.code() == text);
        known.ok_or_else(|| {
            let codes: Vec<&str> = AnomalyKind::ALL.iter().map(|kind| kind.code()).collect();
            let near = weir_core::ruleset::similar_name(text, codes.iter().copied());
            Bad { message: "not an anomaly".into(), help: near.map(|code| format!("did you mean `{code}`?")) }
        })
    }

    fn show(&self) -> String {
        self.code().to_owned()
    }
}

impl Setting for SkipReason {
    const TYPE: &'static str = "reason";

    fn parse(text: &str) -> Result<Self, Bad> {
        let known = SkipReason::ALL.iter().copied().find(|reason| reason.code() == text);
        known.ok_or_else(|| {
            word::not_among(text, &SkipReason::ALL.iter().map(|reason| reason.code()).collect::<Vec<_>>())
        })
    }

    fn show(&self) -> String {
        self.code().to_owned()
    }
}

/// A header name, kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderName(pub String);

impl Setting for HeaderName {
    const TYPE: &'static str = "header name";

    fn parse(text: &str) -> Result<Self, Bad> {
        let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        if text.is_empty() || text.len() > 256 || !text.bytes().all(token) {
            return Err(Bad::with("not a header name", "write a name such as `X-Forwarded-For`, without a colon"));
        }
        Ok(Self(text.to_ascii_lowercase()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A key that is made for weir and must not appear in logs: neither `Debug` nor messages show it. What others issue is a
/// [`Credential`].
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Shortest key accepted, in bytes; 128 bits written as hexadecimal digits are 32.
const MIN_SECRET: usize = 16;

impl Secret {
    /// The key itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(****)")
    }
}

impl Setting for Secret {
    const TYPE: &'static str = "key";
    const SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, Bad> {
        let help = "make one with `openssl rand -hex 32`";
        if text.len() < MIN_SECRET {
            return Err(Bad::with(format!("a key must have at least {MIN_SECRET} characters"), help));
        }
        if !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(Bad::with("a key may contain only printable ASCII characters without spaces", help));
        }
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        "****".to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_written_in_one_way() {
        assert_eq!(IpNet::parse("10.0.0.0/8").unwrap().show(), "10.0.0.0/8");
        assert_eq!(IpNet::parse("192.0.2.7").unwrap().show(), "192.0.2.7/32");
        assert_eq!(IpNet::parse("::1").unwrap().show(), "::1/128");
        let bad = IpNet::parse("10.0.0.1/8").unwrap_err();
        assert!(bad.help.unwrap().contains("10.0.0.0/8"));
        assert!(IpNet::parse("10.0.0.0/33").is_err());
    }

    #[test]
    fn numbers_may_be_grouped() {
        assert_eq!(u64::parse("640_000").unwrap(), 640_000);
        assert!(u16::parse("70000").unwrap_err().help.unwrap().contains("65535"));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let secret = Secret::parse("0123456789abcdef").unwrap();
        assert!(!format!("{secret:?}{}", secret.show()).contains("0123"));
        assert!(Secret::parse("short").is_err());
        assert!(Secret::parse("with spaces in it, long").is_err());
    }
}
