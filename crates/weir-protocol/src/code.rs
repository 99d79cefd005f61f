//! Codes of hits and nodes as enums. A value that this build does not know is kept and written as it was read, so that
//! records of newer nodes pass through unchanged.

use serde::{Deserialize, Serialize};

/// Declares an enum of string codes. The default is the empty code.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
            /// A code that this build does not know.
            Other(String),
        }

        impl $name {
            /// The code, e.g. as in JSON.
            pub fn as_str(&self) -> &str {
                match self {
                    $($name::$variant => $code,)+
                    $name::Other(code) => code,
                }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::from("")
            }
        }

        impl From<&str> for $name {
            fn from(code: &str) -> Self {
                match code {
                    $($code => $name::$variant,)+
                    other => $name::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(code: String) -> Self {
                match code.as_str() {
                    $($code => $name::$variant,)+
                    _ => $name::Other(code),
                }
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> String {
                match value {
                    $name::Other(code) => code,
                    known => known.as_str().to_owned(),
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    )+};
}

codes! {
    /// Filtration mode that applied to a hit.
    HitMode {
        /// No mode is recorded.
        Unset = "",
        /// `off`
        Off = "off",
        /// `monitoring`
        Monitoring = "monitoring",
        /// `safe_blocking`
        SafeBlocking = "safe_blocking",
        /// `block`
        Block = "block",
    }
    /// Action of the gateway.
    HitAction {
        /// No action is recorded.
        Unset = "",
        /// Forward the request.
        Pass = "pass",
        /// Reply in place of the upstream.
        Block = "block",
    }
    /// Why a hit was blocked, or would have been.
    HitReason {
        /// No reason.
        Unset = "",
        /// It contains an attack.
        Attack = "attack",
        /// Its source is denylisted.
        Denylist = "denylist",
        /// A virtual patch matched.
        Vpatch = "vpatch",
        /// It goes over the limit of an abuse rule.
        Limit = "limit",
    }
    /// Address list that contains the source of a hit.
    HitList {
        /// No list.
        Unset = "",
        /// The allowlist.
        Allow = "allow",
        /// The denylist.
        Deny = "deny",
        /// The graylist.
        Gray = "gray",
    }
    /// Role of a node. There is no default role; an empty one is unknown.
    NodeRole {
        /// Inspects requests.
        Processing = "processing",
        /// Forwards the records of other nodes.
        Aggregation = "aggregation",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_written_as_it_was_read() {
        for code in ["", "off", "block", "safe_blocking", "learning"] {
            let json = serde_json::to_string(code).unwrap();
            let mode: HitMode = serde_json::from_str(&json).unwrap();
            assert_eq!((mode.as_str(), serde_json::to_string(&mode).unwrap()), (code, json));
        }
        assert_eq!(HitMode::from("block"), HitMode::Block);
        assert_eq!(HitMode::from("learning"), HitMode::Other("learning".into()));
        assert_eq!(HitReason::default(), HitReason::Unset);
        assert_eq!(NodeRole::from("aggregation".to_owned()), NodeRole::Aggregation);
    }
}
