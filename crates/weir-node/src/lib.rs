//! The filtering node of weir.
//!
//! [`http_inspector`] serves the inspection API for connectors; [`generation`] holds the rules and the policy that it
//! uses, swapped atomically on a reload. [`events`] records malicious requests and ships them. [`sync`] connects the node
//! to a control plane, and [`aggregation`] offers the API of a control plane to the nodes of a site. [`geo`] looks up
//! location and type of client addresses. [`spoe`] is the agent for HAProxy, and
//! [`crowdsec`] reads lists. [`traces`] exports spans of verdicts.

pub mod abuse;
pub mod aggregation;
pub mod crowdsec;
pub mod events;
pub mod generation;
pub mod geo;
pub mod http_inspector;
pub mod spoe;
pub mod sync;
pub mod traces;
