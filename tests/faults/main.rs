//! Faults, counted: processing, aggregation and control plane as real processes, load over loopback, and an oracle that
//! compares the responses that clients got with what the store has.
//!
//! The short form of each test runs with `cargo test`; `tests/chaos KILLS [SEED]` runs the long one.

mod clock; // clocks that jump
mod disk; // full disks
mod fleet; // the three processes
mod http; // calls
mod kills; // kill -9 at random moments
mod listeners; // connections that send nothing
mod load; // clients
mod oracle; // answered against stored
mod outage; // the control plane is away
mod part; // one process
mod random; // seeded
