//! What crosses the wire between nodes, aggregations and control planes: [`node_api`] names the calls and their bodies,
//! [`hit`] the record of one malicious request.

pub mod hit;
pub mod node_api;

pub use hit::Hit;
