//! weir's filtering node: the inspection API ([`http_inspector`]), hits and their spool ([`events`]), the link to the
//! control plane ([`sync`]) and what stands for it towards many nodes ([`aggregation`]).

pub mod aggregation;
pub mod events;
pub mod generation;
pub mod geo;
pub mod http_inspector;
pub mod sync;
