//! A log event as one line of JSON: the members of the library's own format, at a third of its cost. The library passes on
//! its serializer's output in pieces of a byte or two, each checked to be UTF-8; there is an access log line per request.

use serde::Serialize;
use std::fmt::{self, Debug};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::registry::LookupSpan;

/// Bytes of an ordinary line.
const ORDINARY: usize = 512;

/// Formats events: time, level, fields, target. Spans are not used and not shown.
pub(super) struct JsonLine;

impl<S, N> FormatEvent<S, N> for JsonLine
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut time = String::with_capacity(32);
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let mut line = Line { json: Vec::with_capacity(ORDINARY), failed: false };
        line.member("timestamp", &time);
        line.member("level", event.metadata().level().as_str());
        event.record(&mut line);
        line.member("target", event.metadata().target());
        line.json.extend_from_slice(b"}\n");
        if line.failed {
            return Err(fmt::Error);
        }
        writer.write_str(str::from_utf8(&line.json).map_err(|_| fmt::Error)?)
    }
}

/// An object being written.
struct Line {
    json: Vec<u8>,
    failed: bool,
}

impl Line {
    /// Adds a member; names are Rust identifiers and need no escape.
    fn member(&mut self, name: &str, value: impl Serialize) {
        self.json.push(if self.json.is_empty() { b'{' } else { b',' });
        self.json.push(b'"');
        self.json.extend_from_slice(name.strip_prefix("r#").unwrap_or(name).as_bytes());
        self.json.extend_from_slice(b"\":");
        self.failed |= serde_json::to_writer(&mut self.json, &value).is_err();
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.member(field.name(), value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.member(field.name(), value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.member(field.name(), value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.member(field.name(), value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.member(field.name(), value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.member(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::{Arc, Mutex};
    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::layer::SubscriberExt;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl<'w> MakeWriter<'w> for Sink {
        type Writer = Sink;

        fn make_writer(&'w self) -> Sink {
            self.clone()
        }
    }

    /// What is written for the events of `work`, by this format and by the library's.
    fn both(work: impl Fn()) -> [Vec<serde_json::Value>; 2] {
        let (ours, theirs) = (Sink::default(), Sink::default());
        let layer = tracing_subscriber::fmt::layer().event_format(JsonLine).with_writer(ours.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), &work);
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(theirs.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), &work);
        [ours, theirs].map(|sink| {
            let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
        })
    }

    #[test]
    fn lines_are_those_of_the_library() {
        let [mut ours, mut theirs] = both(|| {
            let (none, path) = (None::<&str>, "/a\"b\\c\u{7}\u{e9}\n");
            tracing::info!(target: "weir::access", path, none, r#type = "x", n = -3i64, bytes = 7u64, yes = true, "verdict");
            tracing::warn!(share = 0.5, address = %std::net::Ipv4Addr::LOCALHOST, list = ?[1, 2], "{} {}", "a", 1);
        });
        assert_eq!(ours.len(), 2);
        for line in ours.iter_mut().chain(&mut theirs) {
            let time = line.as_object_mut().unwrap().remove("timestamp").unwrap();
            assert!(time.as_str().unwrap().ends_with('Z'), "{time}");
        }
        assert_eq!(ours, theirs);
    }
}
