//! What can be wrong with settings or a request.

use std::fmt::Display;
use weir_core::ruleset::RuleError;
use weir_policy::PolicyError;

/// Why an inspector was not made, or a request was not inspected.
#[derive(Debug, thiserror::Error)]
pub enum InspectorError {
    /// Mistakes in the policy, with line and column.
    #[error("{}", lines(.0))]
    Policy(Vec<PolicyError>),
    /// Mistakes in the rules, with line and column.
    #[error("{}", lines(.0))]
    Rules(Vec<RuleError>),
    /// The pattern of a signature of the policy does not compile.
    #[error("{name}: {source}")]
    CustomSignature {
        /// Name of the signature.
        name: String,
        /// Why not.
        source: regex::Error,
    },
    /// A trusted proxy is not a network.
    #[error("trusted: `{text}` is not a network in CIDR notation, such as 10.0.0.0/8")]
    Network {
        /// What was given.
        text: String,
        /// Why not.
        source: ipnet::AddrParseError,
    },
    /// A setting is above its bound.
    #[error("{name} is {value}; at most {most} is possible")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// What was given.
        value: u64,
        /// Its bound.
        most: u64,
    },
    /// A request, or its head, that is longer than what is accepted. It was not inspected.
    #[error("the {what} has {bytes} bytes; at most {most} are accepted, and nothing was inspected")]
    TooLarge {
        /// `message` or `head of the message`.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The bound.
        most: usize,
    },
}

fn lines(errors: &[impl Display]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
