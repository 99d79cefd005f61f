//! The inspection that a plan asks for. The node, the command line and the in-process library share it, so that all of
//! them find the same in the same message.

use super::client::Client;
use super::verdict::Plan;
use std::cell::Cell;
use weir_core::engine::{self, InspectionOptions, Scratch};
use weir_core::model::{AnomalyKind, DecodedHead, Inspection, Message};
use weir_core::parse::chunked::Chunked;
use weir_core::parse::extract::ParseOptions;
use weir_core::parse::facts::facts;
use weir_core::parse::message::append_trailers;
use weir_core::ruleset::Ruleset;

thread_local! {
    /// Memory of the inspections of this thread. Absent while one runs, so a panic leaves nothing half-used behind.
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

impl Plan {
    /// How to inspect the planned message.
    pub fn options(&self) -> InspectionOptions<'_> {
        InspectionOptions {
            limits: self.limits.clone(),
            parsing: ParseOptions {
                parsers_off: self.parsers_off,
                parsers_off_at: &self.parsers_off_at,
                ..ParseOptions::default()
            },
            explain: false,
            skip_libinjection: !self.libdetection,
        }
    }

    /// Inspects the planned message until `stop` is true, with memory that the thread keeps between inspections. `None`
    /// if the plan bypasses inspection.
    pub fn inspect(&self, message: &Message<'_>, ruleset: &Ruleset, stop: &dyn Fn() -> bool) -> Option<Inspection> {
        if self.bypass.is_some() {
            return None;
        }
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let inspection = engine::inspect(message, ruleset, &self.options(), &mut scratch, stop);
        SCRATCH.set(Some(scratch));
        Some(inspection)
    }
}

impl Client {
    /// The decoded head of the client's request, with the host that a trusted proxy forwards.
    pub fn facts<'m>(&self, message: &Message<'m>) -> DecodedHead<'m> {
        let mut facts = facts(message);
        if let Some(host) = &self.host {
            facts.host = host.clone().into_bytes().into();
            // The trusted proxy says which one it was asked for.
            facts.other_hosts.clear();
        }
        facts
    }
}

/// Replaces the framed body of `message` by the decoded body and trailers.
pub fn set_decoded_body<'b>(decoded: &'b Chunked<'b>, message: &mut Message<'b>) {
    message.body = &decoded.body;
    if decoded.broken {
        message.anomalies.push(AnomalyKind::BadChunk);
    }
    append_trailers(decoded.trailers, message);
}
