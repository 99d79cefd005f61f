//! The vocabulary of the node: what a request, a point, a finding and an inspection are.
//!
//! This module imports nothing of the crate, so every other module may speak these words.

pub mod anomaly;
pub mod attack;
pub mod benign_cache;
pub(crate) mod bits;
pub mod budget;
pub mod byte_class_filter;
pub mod byte_classes;
pub mod byte_reader;
pub mod bytes;
pub mod changes;
pub mod decoded_head;
pub mod finding;
pub mod graphql;
pub mod guard;
pub mod lexicon;
pub mod limits;
pub mod point;
pub mod recycle;
pub mod request;
pub mod text_runs;
pub mod value;
pub mod vendor;
pub mod xml_root;

pub use anomaly::{Anomaly, AnomalyKind};
pub use attack::AttackType;
pub use benign_cache::BenignCache;
pub use budget::{Budget, Stop};
pub use byte_class_filter::{ByteClassFilter, FilterTable};
pub use byte_classes::ByteClasses;
pub use byte_reader::ByteReader;
pub use changes::Span;
pub use decoded_head::{DecodedHead, DecodedPath};
pub use finding::{Confidence, Coverage, DecodeStep, Finding, Inspection, NotInspected, SkipReason, Upload};
pub use graphql::GraphqlStats;
pub use lexicon::Lexicon;
pub use limits::Limits;
pub use point::{Key, PointId, PointPath, PointPattern, PointTree, Segment, Tag, TagSet};
pub use request::{BodyState, Header, Message, MessageKind, Scheme};
pub use value::{FormId, Hint, ParserId, ParserSet, Value, Zone};
