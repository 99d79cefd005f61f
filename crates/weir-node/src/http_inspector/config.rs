//! Settings of the service, with their defaults and the reasons for these.

use std::time::Duration;

/// Largest call: the 8 MiB of a body that connectors send by default, and its head.
pub const MAX_CALL_BYTES: usize = 9 << 20;
/// Open connections: a few hundred gateway workers with a pool of a few dozen connections each.
pub const MAX_CONNECTIONS: usize = 8192;
/// Calls in progress: at a tenth of a millisecond each, far more than can be answered within any time-out.
pub const MAX_CALLS: usize = 2048;
/// Bytes of calls in memory: leaves room in a container of 512 MiB.
pub const MAX_BUFFERED_BYTES: usize = 192 << 20;
/// Larger messages go to the pool: they take about a millisecond to inspect, for which other connections would wait.
pub const INLINE_BYTES: usize = 32 << 10;
/// Large messages that wait for a thread.
pub const QUEUE: usize = 256;
/// Later verdicts are useless: connectors give up after a second.
pub const QUEUE_TIMEOUT: Duration = Duration::from_millis(500);
/// Out-of-band copies that wait.
pub const BACKGROUND_QUEUE: usize = 1024;
/// Delay of connections that are ready above which calls are shed, all of them from twice this delay on.
pub const MAX_LAG: Duration = Duration::from_millis(100);
/// When connectors should retry.
pub const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A gateway in the same network sends a head within a round trip.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// 8 MiB in this time is a slow network.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// Above the 60 seconds for which gateways commonly keep a pooled connection, so that they close first.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Below the 30 seconds of grace that Kubernetes gives by default.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(25);

/// Limits after which a connection is closed once its current call is answered, so that load spreads after a scale-up.
/// None by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// Calls.
    pub requests: Option<u64>,
    /// Bytes received, heads and bodies of calls.
    pub bytes: Option<u64>,
    /// Age.
    pub age: Option<Duration>,
}

/// Load limits of the service: calls above them are rejected early instead of queued without bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// Open connections; further ones wait in the listen queue of the system.
    pub connections: usize,
    /// Calls in progress.
    pub calls: usize,
    /// Bytes of calls in memory.
    pub buffered_bytes: usize,
    /// Messages up to this size are inspected on the runtime's worker.
    pub inline_bytes: usize,
    /// Large messages that wait for a thread.
    pub queue: usize,
    /// Longest wait for a thread.
    pub queue_timeout: Duration,
    /// Out-of-band copies that wait.
    pub background_queue: usize,
    /// Delay of connections that are ready above which calls are shed, all of them from twice this delay on.
    pub lag: Duration,
    /// `Retry-After` of shed calls.
    pub retry_after: Duration,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            connections: MAX_CONNECTIONS,
            calls: MAX_CALLS,
            buffered_bytes: MAX_BUFFERED_BYTES,
            inline_bytes: INLINE_BYTES,
            queue: QUEUE,
            queue_timeout: QUEUE_TIMEOUT,
            background_queue: BACKGROUND_QUEUE,
            lag: MAX_LAG,
            retry_after: RETRY_AFTER,
        }
    }
}

/// Settings of the service that a reload does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Largest call, in bytes.
    pub max_call_bytes: usize,
    /// When connections are closed.
    pub per_connection: ConnectionLimits,
    /// Load limits.
    pub load: LoadLimits,
    /// Threads for large messages.
    pub threads: usize,
    /// Longest time from the arrival of a call to its response, and the status sent when it is exceeded.
    pub reply_timeout: Option<(Duration, u16)>,
    /// Path of a health endpoint on the API's own port.
    pub health_path: Option<String>,
    /// Longest time to read the head of a call.
    pub header_timeout: Duration,
    /// Longest time to read the body of a call.
    pub body_timeout: Duration,
    /// Longest time without a call.
    pub idle_timeout: Duration,
    /// Longest wait for calls in progress when the node stops.
    pub drain_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_call_bytes: MAX_CALL_BYTES,
            per_connection: ConnectionLimits::default(),
            load: LoadLimits::default(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            reply_timeout: None,
            health_path: None,
            header_timeout: HEADER_TIMEOUT,
            body_timeout: BODY_TIMEOUT,
            idle_timeout: IDLE_TIMEOUT,
            drain_timeout: DRAIN_TIMEOUT,
        }
    }
}
