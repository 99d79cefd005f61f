//! The vocabulary of the node: what a request, a point, a finding and an inspection are.
//!
//! This module imports nothing of the crate, so every other module may speak these words.

pub mod anomaly;
pub mod attack;
mod bits;
pub mod budget;
pub mod bytes;
pub mod chars;
pub mod distance;
pub mod facts;
pub mod finding;
pub mod gate;
pub mod graphql;
pub mod known;
pub mod lexicon;
pub mod limits;
pub mod point;
pub mod recycle;
pub mod request;
pub mod value;
pub mod vendor;

pub use anomaly::{Anomaly, AnomalyKind};
pub use attack::AttackType;
pub use budget::{Budget, Stop};
pub use chars::Chars;
pub use facts::Facts;
pub use finding::{Confidence, Coverage, DecodeStep, Finding, Inspection, NotInspected, SkipReason, Upload};
pub use gate::{Gate, Gates};
pub use graphql::GraphqlFacts;
pub use known::Known;
pub use lexicon::Lexicon;
pub use limits::Limits;
pub use point::{Key, PointId, PointPath, PointPattern, PointTree, Segment, Tag};
pub use request::{BodyState, Header, Message, MessageKind, Scheme};
pub use value::{Hint, ParserId, ParserSet, Value, Zone};
