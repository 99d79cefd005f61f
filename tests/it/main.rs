//! The node from outside: the program is started, called over TCP and stopped.

mod abuse; // behaviour over many requests, on several nodes
mod aggregation; // between nodes and a control plane
mod api; // verdicts, both forms, refusals, coverage
mod backup;
mod block_page; // the store of a control plane in a file, and back
mod control_plane; // accounts, nodes, policy, API
mod crowdsec; // the protocols of CrowdSec
mod database_away; // PostgreSQL stops and comes back
mod description; // the API of a control plane against its description
mod golden; // files of an older build
mod in_process; // the library for gateways
mod inspect; // the verdicts of the command line
mod lifecycle; // limits of connections, reload, drain
mod openapi; // the description and the code agree
mod packs; // rule packs and databases, from upload to verdict
mod pki; // certificates for tests, and a client that verifies them
mod policy; // signatures, lists and databases on a running node
mod privacy; // no secret of a request is readable anywhere
mod redis; // TLS, Sentinel, cluster
mod refused_bodies; // what is still being sent when it is refused
mod spoe; // the agent for HAProxy
mod stub; // a control plane of the test
mod sync; // registration, policy, last good policy
mod traces; // spans at a collector of the test
mod transport; // TLS, client certificates, h2, time-outs
mod unix_socket; // the API on a Unix socket

use weir_testkit::Program;

/// The program under test.
const WEIR: Program = Program(env!("CARGO_BIN_EXE_weir"));
