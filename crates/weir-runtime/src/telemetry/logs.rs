//! Logs: JSON or pretty lines, written by a separate thread, so that a slow output never delays a verdict.

use super::json_line::JsonLine;
use super::metrics::Metrics;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing_subscriber::filter::{EnvFilter, FilterExt, filter_fn};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt, reload};

/// Target of the access log.
pub const ACCESS_TARGET: &str = "weir::access";
/// Lines that may be queued for the output: a few megabytes at most, a second of busy traffic.
const QUEUE: usize = 8192;
/// How long the writer thread collects lines. Waking it for each line costs more than writing the line.
const GATHER: Duration = Duration::from_millis(3);
/// Longest wait for a slow output.
const FLUSH: Duration = Duration::from_secs(1);

/// Which verdicts are logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLog {
    /// None.
    Off,
    /// Those with an attack.
    Attacks,
    /// All.
    #[default]
    All,
    /// All, with rules and points.
    Verbose,
}

/// Setting of the access log, changed by a reload.
#[derive(Debug, Default)]
pub struct AccessLogSetting(AtomicU8);

impl AccessLogSetting {
    const ORDER: [AccessLog; 4] = [AccessLog::Off, AccessLog::Attacks, AccessLog::All, AccessLog::Verbose];

    /// The current setting.
    pub fn get(&self) -> AccessLog {
        Self::ORDER[usize::from(self.0.load(Ordering::Relaxed)) % Self::ORDER.len()]
    }

    /// Changes the setting.
    pub fn set(&self, what: AccessLog) {
        let at = Self::ORDER.iter().position(|known| *known == what).unwrap_or_default();
        self.0.store(at as u8, Ordering::Relaxed);
    }
}

impl From<AccessLog> for AccessLogSetting {
    fn from(what: AccessLog) -> Self {
        let switch = Self::default();
        switch.set(what);
        switch
    }
}

/// Output of a log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// A file, appended to.
    File(PathBuf),
}

/// Settings of the logs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Filter directives such as `info` or `weir=debug`.
    pub level: String,
    /// Human-readable lines instead of JSON; if not given, on a terminal only.
    pub pretty: Option<bool>,
    /// Output of the log.
    pub output: Output,
    /// Output of the access log, if different.
    pub access_output: Option<Output>,
}

impl Default for Config {
    fn default() -> Self {
        Self { level: "info".into(), pretty: None, output: Output::Stdout, access_output: None }
    }
}

/// What the writer thread gets.
enum Message {
    /// A line to write.
    Line(Vec<u8>),
    /// To be answered once everything before it is written.
    Flush(SyncSender<()>),
    /// Ends the thread.
    End,
}

type Sender = SyncSender<Message>;

/// Counts lines that were dropped; set once the metrics exist.
static DROPPED: OnceLock<Arc<super::Telemetry>> = OnceLock::new();

/// Sets the counter of dropped lines.
pub fn count_dropped_lines(telemetry: Arc<super::Telemetry>) {
    // A second registration happens only in tests, which share the process.
    let _first = DROPPED.set(telemetry);
}

fn dropped() {
    if let Some(telemetry) = DROPPED.get() {
        let metrics: &Metrics = &telemetry.metrics;
        metrics.log_lines_dropped.inc();
    }
}

/// Flushes and stops the writer threads when dropped.
#[must_use]
#[derive(Default)]
pub struct Guard {
    writers: Vec<(Sender, std::thread::JoinHandle<()>)>,
}

impl Drop for Guard {
    fn drop(&mut self) {
        for (lines, thread) in self.writers.drain(..) {
            // An error means that the thread ended already.
            if lines.send(Message::End).is_ok() {
                let _panicked = thread.join();
            }
        }
    }
}

/// Level filter of the subscriber of the process.
static LEVEL: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Changes the level filter.
pub fn set_level(level: &str) -> io::Result<()> {
    let level = EnvFilter::try_new(level).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    LEVEL.get().map_or(Ok(()), |handle| handle.reload(level)).map_err(io::Error::other)
}

/// Queues of the writer threads of the process.
static WRITERS: OnceLock<Vec<Sender>> = OnceLock::new();

/// Waits until everything logged so far is written, for [`FLUSH`] at most: what is printed next on a terminal appears below it.
pub fn flush() {
    for writer in WRITERS.get().into_iter().flatten() {
        let (written, wait) = sync_channel(1);
        // A writer whose queue is full, or that has ended, is not waited for.
        if writer.try_send(Message::Flush(written)).is_ok() {
            let _written_or_slow = wait.recv_timeout(FLUSH);
        }
    }
}

/// Installs the subscriber of the process.
pub fn init(config: &Config) -> io::Result<Guard> {
    let mut guard = Guard::default();
    let level = EnvFilter::try_new(&config.level).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    let (level, handle) = reload::Layer::new(level);
    let writer = Lines::open(&config.output, &mut guard)?;
    let mut layers: Vec<Box<dyn Layer<Registry> + Send + Sync>> = Vec::new();
    match &config.access_output {
        None => layers.push(layer(config.pretty, writer).with_filter(level).boxed()),
        Some(output) => {
            let rest = level.and(filter_fn(|m| m.target() != ACCESS_TARGET));
            layers.push(layer(config.pretty, writer).with_filter(rest).boxed());
            let writer = Lines::open(output, &mut guard)?;
            let access = filter_fn(|m| m.target() == ACCESS_TARGET);
            layers.push(layer(config.pretty, writer).with_filter(access).boxed());
        }
    }
    let subscriber = tracing_subscriber::registry().with(layers);
    subscriber.try_init().map_err(io::Error::other)?;
    // The subscriber is installed once in a process, so nothing was set before.
    let _first = LEVEL.set(handle);
    let _first = WRITERS.set(guard.writers.iter().map(|(lines, _)| lines.clone()).collect());
    Ok(guard)
}

fn layer(pretty: Option<bool>, lines: Lines) -> Box<dyn Layer<Registry> + Send + Sync> {
    if pretty.unwrap_or(lines.terminal) {
        let time = TimeOfDay;
        fmt::layer().with_timer(time).with_target(false).with_ansi(lines.terminal).with_writer(lines).boxed()
    } else {
        fmt::layer().event_format(JsonLine).with_writer(lines).boxed()
    }
}

/// Time of day in UTC, to the second: a line on a terminal needs no date.
struct TimeOfDay;

impl FormatTime for TimeOfDay {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        let mut time = String::with_capacity(32);
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        // 2026-11-23T10:00:00.123456Z
        writer.write_str(time.get(11..19).unwrap_or(&time))
    }
}

/// The writing end for log layers.
#[derive(Clone)]
struct Lines {
    queue: Sender,
    terminal: bool,
}

impl Lines {
    fn open(output: &Output, guard: &mut Guard) -> io::Result<Self> {
        use std::io::IsTerminal;
        let (mut out, terminal): (Box<dyn Write + Send>, bool) = match output {
            Output::Stdout => (Box::new(io::stdout()), io::stdout().is_terminal()),
            Output::Stderr => (Box::new(io::stderr()), io::stderr().is_terminal()),
            Output::File(path) => (Box::new(open_file(path)?), false),
        };
        let (queue, lines) = sync_channel(QUEUE);
        let thread = std::thread::Builder::new().name("log".into()).spawn(move || write_lines(&lines, &mut out))?;
        guard.writers.push((queue.clone(), thread));
        Ok(Self { queue, terminal })
    }
}

fn open_file(path: &PathBuf) -> io::Result<File> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))
}

/// Writes lines in batches: the first immediately, those that arrive while it waits together.
fn write_lines(lines: &mpsc::Receiver<Message>, out: &mut Box<dyn Write + Send>) {
    let mut batch = Vec::new();
    while let Ok(first) = lines.recv() {
        let (mut last, mut flushed, mut next) = (false, Vec::new(), Some(first));
        while let Some(message) = next {
            match message {
                Message::Line(line) => batch.extend_from_slice(&line),
                Message::Flush(written) => flushed.push(written),
                Message::End => last = true,
            }
            next = if last || batch.len() >= 1 << 16 { None } else { lines.try_recv().ok() };
        }
        // Standard error is the only place left to report this.
        if out.write_all(&batch).and_then(|()| out.flush()).is_err() {
            dropped();
        }
        batch.clear();
        for written in flushed {
            // Who asked may have given up.
            let _sent = written.try_send(());
        }
        if last {
            return;
        }
        std::thread::sleep(GATHER);
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Line;

    fn make_writer(&'w self) -> Line {
        Line { queue: self.queue.clone(), text: Vec::with_capacity(512) }
    }
}

/// One line being written; queued when dropped.
struct Line {
    queue: Sender,
    text: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = std::mem::take(&mut self.text);
        if !text.is_empty()
            && let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.queue.try_send(Message::Line(text))
        {
            dropped();
        }
    }
}
