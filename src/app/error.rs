//! Why a process of weir does not start, or a reload is refused.

use crate::config::Report;
use std::fmt::Display;
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use weir_core::ruleset::RuleError;
use weir_node::aggregation::OpenError;
use weir_node::geo::GeoError;
use weir_node::sync::SetupError;
use weir_policy::PolicyError;
use weir_runtime::tls::TlsError;

/// An error of a part whose own type does not matter here.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Why a process does not start, or why a reload is refused.
#[derive(Debug, Error)]
pub enum StartError {
    /// The server of shared counters cannot be used.
    #[error(transparent)]
    Share(#[from] weir_node::abuse::ShareError),
    /// The configuration is wrong; the report lists every mistake.
    #[error("{}", .0.render())]
    Configuration(Box<Report>),
    /// The configuration is well formed, but something that it names cannot be used.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A certificate or key cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The operating system refused something: an address, a log file, a signal handler, a thread.
    #[error("{what}: {source}")]
    System {
        /// What was attempted.
        what: String,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The client for the control plane cannot be set up.
    #[error(transparent)]
    Upstream(#[from] SetupError),
    /// The store or a service of the control plane does not start.
    #[error("control_plane: {0}")]
    ControlPlane(#[source] BoxError),
    /// The spool of an aggregation cannot be opened.
    #[error("aggregation: {0}")]
    Aggregation(#[source] OpenError),
    /// A spool of events cannot be opened.
    #[error(transparent)]
    Spool(BoxError),
    /// The last good policy of the control plane cannot be read.
    #[error(transparent)]
    RemotePolicy(BoxError),
}

impl StartError {
    /// Adds `what` was attempted to an error of the operating system.
    pub(super) fn system<T>(what: impl Display, result: io::Result<T>) -> Result<T, StartError> {
        result.map_err(|source| StartError::System { what: what.to_string(), source })
    }

    /// An error of the control plane.
    pub(super) fn control_plane(error: impl Into<BoxError>) -> StartError {
        StartError::ControlPlane(error.into())
    }
}

/// A setting whose value, or a file that it names, cannot be used.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// A file cannot be read.
    #[error("{}: {source}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file of `connector.auth.key_files` is empty.
    #[error("{}: expected a connector key, got an empty file", .0.display())]
    EmptyKeyFile(PathBuf),
    /// An entry of `connector.allowed_hosts` is no valid pattern.
    #[error("connector.allowed_hosts: {0}")]
    AllowedHost(#[source] weir_policy::pattern::PatternError),
    /// `api.policy_key` is no Ed25519 public key.
    #[error("api.policy_key: {0}")]
    PolicyKey(#[source] BoxError),
    /// CrowdSec's local API cannot be called so.
    #[error("crowdsec: {0}")]
    CrowdSec(#[source] weir_node::crowdsec::ReaderError),
    /// Spans cannot be exported so.
    #[error("{0}")]
    Traces(#[source] weir_node::traces::ExporterError),
    /// An aggregation has no control plane to work for.
    #[error("an aggregation needs a control plane: set api.host, api.port and api.token")]
    NoUpstream,
    /// Mistakes in the policy.
    #[error("{}", lines(.0))]
    Policy(Vec<PolicyError>),
    /// Rule files cannot be read.
    #[error(transparent)]
    RuleFiles(io::Error),
    /// The pattern of a custom signature does not compile.
    #[error("{name}: {source}")]
    CustomSignature {
        /// The signature.
        name: String,
        /// Why not.
        source: regex::Error,
    },
    /// Mistakes in the rules.
    #[error("{}", lines(.0))]
    Rules(Vec<RuleError>),
    /// Address databases cannot be used.
    #[error("{}", lines(.0))]
    Geo(Vec<GeoError>),
    /// The operating system gave no random bytes.
    #[error("the operating system provides no random bytes")]
    NoRandomness,
}

/// One error a line.
fn lines<E: Display>(errors: &[E]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error as _;

    #[test]
    fn errors_lead_to_their_cause() {
        let refused: io::Result<()> = Err(io::ErrorKind::AddrInUse.into());
        let error = StartError::system("listen on :5000", refused).unwrap_err();
        assert!(error.to_string().starts_with("listen on :5000: "), "{error}");
        assert!(error.source().is_some_and(|source| source.is::<io::Error>()));
        let missing = SettingsError::Read { path: "/keys/one".into(), source: io::ErrorKind::NotFound.into() };
        let error = StartError::from(missing);
        assert!(error.to_string().starts_with("/keys/one: "), "{error}");
        assert!(error.source().is_some_and(|source| source.is::<io::Error>()), "the wrapper adds no step of its own");
    }
}
