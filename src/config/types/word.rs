//! Values that are one of a few words.

use super::{Bad, Setting};
use std::path::PathBuf;
use weir_core::ruleset::similar_name;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident ($type:literal) { $($(#[$vdoc:meta])* $variant:ident = $word:literal $(| $alias:literal)*;)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every word, in order.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];
        }

        impl Setting for $name {
            const TYPE: &'static str = $type;

            fn parse(text: &str) -> Result<Self, Bad> {
                match text {
                    $($word $(| $alias)* => Ok(Self::$variant),)*
                    _ => Err(not_among(text, Self::WORDS)),
                }
            }

            fn show(&self) -> String {
                match self { $(Self::$variant => $word,)* }.to_owned()
            }
        }
    )*};
}

/// The mistake of a word outside a list.
pub fn not_among(text: &str, words: &[&str]) -> Bad {
    let list = words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
    let help = similar_name(text, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
    Bad { message: format!("not one of {list}"), help }
}

words! {
    /// What is done about attacks.
    Mode ("`off`, `monitoring`, `safe_blocking` or `block`") {
        /// Requests are not inspected.
        Off = "off";
        /// Attacks are reported.
        Monitoring = "monitoring";
        /// Attacks from graylisted addresses are blocked, others reported.
        SafeBlocking = "safe_blocking";
        /// Attacks are blocked.
        Block = "block";
    }

    /// How a mode set by the control plane and the local one combine.
    ModeOverride ("`on`, `off` or `strict`") {
        /// The control plane's mode replaces the local one.
        On = "on" | "true" | "yes";
        /// Only the local mode counts.
        Off = "off" | "false" | "no";
        /// The stricter of both counts.
        Strict = "strict";
    }

    /// Action for a protocol anomaly of a message.
    AnomalyAction ("`ignore`, `report` or `block`") {
        /// Nothing.
        Ignore = "ignore";
        /// It is reported and nothing else happens.
        Report = "report";
        /// It is treated as an attack of type `protocol`.
        Block = "block";
    }

    /// What is done about a request that could not be inspected within its limits.
    OverlimitMode ("`off`, `monitoring` or `block`") {
        /// It passes, unreported.
        Off = "off";
        /// It passes and is reported as `overlimit_res`.
        Monitoring = "monitoring";
        /// It is treated as an attack of type `overlimit_res`.
        Block = "block" | "blocking";
    }

    /// What happens to a request of which a part was not inspected, for one reason.
    OverlimitAction ("`pass`, `report` or `block`") {
        /// It passes, unreported.
        Pass = "pass";
        /// It passes and is reported as `overlimit_res`.
        Report = "report";
        /// It is treated as an attack of type `overlimit_res`.
        Block = "block";
    }

    /// How connections to the mail server are encrypted.
    SmtpTls ("`starttls`, `implicit` or `none`") {
        /// By STARTTLS, which the server must offer.
        StartTls = "starttls";
        /// From the first byte on.
        Implicit = "implicit";
        /// Not at all.
        None = "none";
    }

    /// `connector.mode` of older Helm charts.
    ConnectorMode ("`block`, `monitoring` or `connector-server`") {
        /// The same as `blocking: true`.
        Block = "block";
        /// The same as `blocking: false`.
        Monitoring = "monitoring";
        /// Says nothing.
        ConnectorServer = "connector-server";
    }

    /// Severity of log lines.
    LogLevel ("`trace`, `debug`, `info`, `warn` or `error`") {
        /// Everything.
        Trace = "trace";
        /// For debugging.
        Debug = "debug" | "DEBUG";
        /// Notable.
        Info = "info" | "INFO";
        /// Needs attention.
        Warn = "warn" | "warning" | "WARN";
        /// Failed.
        Error = "error" | "ERROR" | "fatal";
    }
}

/// How traffic reaches the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeMode {
    /// Connectors call its API.
    ConnectorServer,
}

impl Setting for NodeMode {
    const TYPE: &'static str = "`connector-server`";

    fn parse(text: &str) -> Result<Self, Bad> {
        match text {
            "connector-server" => Ok(Self::ConnectorServer),
            "off" | "monitoring" | "safe_blocking" | "block" | "blocking" => {
                let help = "set `route_config.wallarm_mode` or the variable WALLARM_MODE";
                Err(Bad::with("the filtration mode is not set here", help))
            }
            _ => Err(Bad::with("the only supported mode is `connector-server`", "leave the key out")),
        }
    }

    fn show(&self) -> String {
        "connector-server".to_owned()
    }
}

/// Where log lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

impl Setting for LogTarget {
    const TYPE: &'static str = "`stdout`, `stderr` or path";

    fn parse(text: &str) -> Result<Self, Bad> {
        match text {
            "stdout" => Ok(Self::Stdout),
            "stderr" => Ok(Self::Stderr),
            path => PathBuf::parse(path).map(Self::File),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Stdout => "stdout".to_owned(),
            Self::Stderr => "stderr".to_owned(),
            Self::File(path) => path.show(),
        }
    }
}

/// How many threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// As many as the machine, or the container's CPU quota, has.
    Auto,
    /// This many.
    Count(u16),
}

/// Most threads that may be asked for.
const MAX_WORKERS: u16 = 1024;

impl Setting for Workers {
    const TYPE: &'static str = "`auto` or integer";

    fn parse(text: &str) -> Result<Self, Bad> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => match text.parse() {
                Ok(count @ 1..=MAX_WORKERS) => Ok(Self::Count(count)),
                _ => Err(Bad::with("not a number of threads", format!("write `auto` or 1 to {MAX_WORKERS}"))),
            },
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Count(count) => count.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_their_neighbours() {
        assert_eq!(Mode::parse("safe_blocking").unwrap(), Mode::SafeBlocking);
        assert_eq!(Mode::parse("blok").unwrap_err().help.unwrap(), "did you mean `block`?");
        assert_eq!(LogLevel::parse("fatal").unwrap(), LogLevel::Error);
        for word in Mode::WORDS {
            assert_eq!(Mode::parse(word).unwrap().show(), *word);
        }
    }

    #[test]
    fn threads_are_bounded() {
        assert_eq!(Workers::parse("auto").unwrap(), Workers::Auto);
        assert_eq!(Workers::parse("4").unwrap(), Workers::Count(4));
        assert!(Workers::parse("0").is_err() && Workers::parse("100000").is_err());
    }
}
