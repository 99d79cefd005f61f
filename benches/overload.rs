//! The service under more connections than it can serve: what it accepts stays fast, the rest is refused at once.
//!
//! ```text
//! cargo bench --bench overload                # five seconds for each number of connections
//! cargo bench --bench overload -- 20          # twenty
//! cargo bench --bench overload -- 5 1000      # callers pause for a second after a refusal, as Retry-After asks
//! cargo bench --bench overload -- 5 1000 5000 # only with these numbers of connections
//! ```
//!
//! The server has core 0 for itself, the load comes from core 1. Each connection makes one call after the other; one that
//! is refused with 503 pauses for a while, as a connector does that asks another node meanwhile. Times are those that the
//! client sees, its own work included: with thousands of connections, much of a time is spent in the client.

#[allow(dead_code)]
mod served;
#[allow(dead_code)]
mod sets;

use served::{Server, calls_of, pin_load, weir};
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Numbers of connections.
const CONNECTIONS: &[usize] = &[32, 64, 256, 1500, 5000];
/// Bytes of JSON in a small and in a large call.
const BODIES: &[usize] = &[1 << 10, 180 << 10];
/// Seconds for each number of connections.
const SECONDS: u64 = 5;
/// What a caller waits for after a refusal, in milliseconds.
const PAUSE: u64 = 100;
/// A call that is not answered after this time is an error.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|a| a != "--bench");
    let seconds = arguments.next().map_or(SECONDS, |a| a.parse().expect("a number of seconds"));
    let pause = arguments.next().map_or(PAUSE, |a| a.parse().expect("a number of milliseconds"));
    let pause = Duration::from_millis(pause);
    let mut numbers: Vec<usize> = arguments.map(|a| a.parse().expect("a number of connections")).collect();
    if numbers.is_empty() {
        numbers.extend(CONNECTIONS);
    }
    pin_load();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    println!(
        "| bytes | connections | accepted/s | of the peak | p50 ms | p99 ms | max ms | refused/s | without Retry-After | errors | user % | system % | RSS MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for bytes in BODIES {
        let server = Server::start("the node", |address| weir(address, &["log.access_log.enabled=false"]));
        let calls = Arc::new(calls_of((64 << 20) / bytes / 16, *bytes));
        // The first round warms the caches of the regex engines.
        runtime.block_on(round(&server, &calls, 32, pause, Duration::from_secs(2)));
        let rounds: Vec<(usize, Tally, [f64; 2], f64)> = numbers
            .iter()
            .map(|&connections| {
                let before = server.cpu_ticks();
                let tally = runtime.block_on(round(&server, &calls, connections, pause, Duration::from_secs(seconds)));
                let after = server.cpu_ticks();
                // Linux reports these times in hundredths of a second.
                let busy = [0, 1].map(|kind| (after[kind] - before[kind]) as f64 / seconds as f64);
                (connections, tally, busy, server.resident())
            })
            .collect();
        let peak = rounds.iter().map(|(_, tally, ..)| tally.accepted.len()).max().unwrap_or_default();
        for (connections, mut tally, busy, resident) in rounds {
            let (rate, refused) = (tally.accepted.len() as f64 / seconds as f64, tally.refused as f64 / seconds as f64);
            println!(
                "| {bytes} | {connections} | {rate:.0} | {:.0} % | {:.1} | {:.1} | {:.1} | {refused:.0} | {} | {} | {:.0} | {:.0} | {resident:.0} |",
                100.0 * tally.accepted.len() as f64 / peak as f64,
                tally.at(0.5),
                tally.at(0.99),
                tally.at(1.0),
                tally.unexplained,
                tally.errors,
                busy[0],
                busy[1],
            );
            std::io::stdout().flush().expect("standard output");
        }
    }
}

/// What the callers of a round have seen.
#[derive(Default)]
struct Tally {
    /// Times of accepted calls, in milliseconds.
    accepted: Vec<f64>,
    /// Answers 503.
    refused: usize,
    /// Of these, those without `Retry-After`.
    unexplained: usize,
    /// Other answers, broken connections, calls without an answer.
    errors: usize,
}

impl Tally {
    /// The time that this share of the accepted calls stayed within.
    fn at(&mut self, share: f64) -> f64 {
        self.accepted.sort_by(f64::total_cmp);
        let last = self.accepted.len().saturating_sub(1);
        self.accepted.get((last as f64 * share) as usize).copied().unwrap_or(f64::NAN)
    }
}

/// Calls over `connections` for `time`, with a `pause` after each refusal.
async fn round(
    server: &Server,
    calls: &Arc<Vec<Vec<u8>>>,
    connections: usize,
    pause: Duration,
    time: Duration,
) -> Tally {
    let until = Instant::now() + time;
    let callers: Vec<_> = (0..connections)
        .map(|number| tokio::spawn(caller(server.address, Arc::clone(calls), number, pause, until)))
        .collect();
    let mut sum = Tally::default();
    for caller in callers {
        let own = caller.await.expect("no caller panics");
        sum.accepted.extend(own.accepted);
        sum.refused += own.refused;
        sum.unexplained += own.unexplained;
        sum.errors += own.errors;
    }
    sum
}

/// One call after the other `until` then, over a connection that is made anew when the server has closed it.
async fn caller(
    address: SocketAddr,
    calls: Arc<Vec<Vec<u8>>>,
    number: usize,
    pause: Duration,
    until: Instant,
) -> Tally {
    let (mut tally, mut next, mut open) = (Tally::default(), number * 7, None);
    while Instant::now() < until {
        let mut stream = match open.take() {
            Some(stream) => stream,
            None => match TcpStream::connect(address).await {
                Ok(stream) => stream,
                Err(_) => {
                    tally.errors += 1;
                    tokio::time::sleep(pause).await;
                    continue;
                }
            },
        };
        next += 1;
        let begin = Instant::now();
        let answer = tokio::time::timeout(PATIENCE, ask(&mut stream, &calls[next % calls.len()])).await;
        let took = begin.elapsed().as_secs_f64() * 1e3;
        match answer {
            Ok(Ok(Answer { status: 204, close, .. })) => {
                tally.accepted.push(took);
                open = (!close).then_some(stream);
            }
            Ok(Ok(Answer { status: 503, close, retry_after })) => {
                tally.refused += 1;
                tally.unexplained += usize::from(!retry_after);
                open = (!close).then_some(stream);
                // Callers that were refused together do not come back together.
                tokio::time::sleep(pause / 2 + pause * (next as u32 * 37 % 101) / 100).await;
            }
            _ => tally.errors += 1,
        }
    }
    tally
}

/// What a caller needs to know of an answer.
struct Answer {
    status: u16,
    /// Whether the server closes the connection.
    close: bool,
    /// Whether it says when to come again.
    retry_after: bool,
}

/// Makes `call` and reads the answer.
async fn ask(stream: &mut TcpStream, call: &[u8]) -> std::io::Result<Answer> {
    // An answer may come before all of a large call was written.
    let (mut from, mut to) = stream.split();
    let write = async { to.write_all(call).await };
    let read = async {
        let (mut head, mut buffer) = (Vec::new(), [0; 4096]);
        loop {
            let more = from.read(&mut buffer).await?;
            head.extend_from_slice(&buffer[..more]);
            let end = head.windows(4).position(|four| four == b"\r\n\r\n");
            match end {
                None if more == 0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
                None => {}
                Some(end) => {
                    let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
                    let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
                    if more == 0 || head.len() >= end + 4 + length.unwrap_or(0) {
                        let status = text.get(9..12).and_then(|status| status.parse().ok()).unwrap_or_default();
                        let has = |what: &str| text.lines().any(|line| line.starts_with(what));
                        return Ok(Answer {
                            status,
                            close: has("connection: close"),
                            retry_after: has("retry-after:"),
                        });
                    }
                }
            }
        }
    };
    tokio::pin!(read);
    tokio::select! {
        answer = &mut read => {
            // What was not written cannot be: the connection is of no more use.
            answer.map(|answer| Answer { close: answer.status != 204 || answer.close, ..answer })
        }
        written = write => {
            written?;
            read.await
        }
    }
}
