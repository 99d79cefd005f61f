//! Policy as the control plane keeps it: one state, versioned; a signed document for each node group; what can be made from a hit.

pub mod as_code;
mod before_after;
pub mod blocking;
pub mod check;
pub mod diff;
pub mod document;
pub mod edit;
pub mod effect;
pub mod explain;
pub mod guard;
pub mod key;
pub mod preview;
pub mod propose;
pub mod replay;
mod residual;
pub mod rule_test;
pub mod service;
pub mod state;
pub mod version;

pub use diff::{Difference, Differences, diff};
pub use document::Understands;
pub use edit::{Listed, NewIpEntry, NewRule};
pub use key::SigningKey;
pub use preview::Preview;
pub use propose::{Choice, Material, Purpose};
pub use residual::Residual;
pub use service::{Change, Head, PolicyService};
pub use state::{Application, IpEntry, PolicyState, RuleEntry, Scope, is_for};
