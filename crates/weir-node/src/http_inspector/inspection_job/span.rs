//! The spans of a verdict.

use super::InspectionJob;
use crate::traces::{Facts, Parts};
use std::time::{Duration, Instant};
use weir_core::model::Inspection;
use weir_policy::{Plan, Verdict};
use weir_runtime::clock::now_nanos;
use weir_runtime::telemetry::TraceParent;

/// When the parts of a verdict begin. Without spans only the time at which the head was read is known, by which the
/// inspection is limited.
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanClock {
    is_traced: bool,
    begin: Instant,
    parsed: Instant,
    inspect: Instant,
    inspected: Instant,
}

impl SpanClock {
    /// The message begins to be read; `is_traced` if spans are made.
    pub fn start(is_traced: bool) -> Self {
        let begin = Instant::now();
        Self { is_traced, begin, parsed: begin, inspect: begin, inspected: begin }
    }

    /// Its head has been read; returns when.
    pub fn parsed(&mut self) -> Instant {
        self.parsed = Instant::now();
        self.parsed
    }

    /// The inspection begins.
    pub fn planned(&mut self) {
        if self.is_traced {
            self.inspect = Instant::now();
        }
    }

    /// The inspection ends.
    pub fn inspected(&mut self) {
        if self.is_traced {
            self.inspected = Instant::now();
        }
    }

    /// In nanoseconds since 1970, for a verdict that is made now.
    fn parts(self) -> Parts {
        let (now, end) = (Instant::now(), now_nanos());
        let at = |moment: Instant| end.saturating_sub(nanos(now.saturating_duration_since(moment)));
        Parts {
            begin: at(self.begin),
            parsed: at(self.parsed),
            inspect: at(self.inspect),
            inspected: at(self.inspected),
            end,
        }
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// What spans report of a message.
pub(super) struct VerdictParts<'p> {
    /// Method as sent.
    pub method: &'p [u8],
    /// Path with secrets masked.
    pub path: &'p [u8],
    /// Bytes of the message.
    pub bytes: usize,
    /// How policy treats it.
    pub plan: &'p Plan,
}

impl InspectionJob {
    /// Queues the spans of a verdict that has just been made, if the call is traced.
    pub(super) fn trace(
        &self,
        parent: Option<TraceParent<'_>>,
        clock: SpanClock,
        of: &VerdictParts<'_>,
        verdict: &Verdict,
        inspection: Option<&Inspection>,
    ) {
        let Some((traces, sampled)) = self.traces.as_ref().and_then(|traces| Some((traces, traces.sample(parent)?)))
        else {
            return;
        };
        let facts = Facts {
            leg: self.call.direction.code(),
            method: of.method,
            path: of.path,
            application: of.plan.application,
            bytes: of.bytes,
            bypass: of.plan.bypass,
        };
        traces.record(sampled, clock.parts(), &facts, verdict, inspection);
    }
}
