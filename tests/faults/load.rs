//! Clients that send attacks, each with an id of its own, and remember what they were answered.

use crate::fleet::WATCHED;
use crate::http::Connection;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use weir_testkit::Response;

const CLIENTS: u64 = 2;
/// Pause of a client between two calls: this load does not try to be a heavy one.
const PAUSE: Duration = Duration::from_millis(8);

/// What clients know.
#[derive(Debug, Default)]
pub struct Known {
    /// Ids of all calls.
    pub sent: BTreeSet<String>,
    /// Those answered with a block.
    pub blocked: BTreeSet<String>,
    /// Those answered with a pass and `Inspector-Attack`.
    pub reported: BTreeSet<String>,
    /// Responses that are not a verdict: shed, draining.
    pub refused: u64,
    /// Connections that broke before the answer was whole.
    pub broken: u64,
}

impl Known {
    pub fn merge(&mut self, other: Known) {
        self.sent.extend(other.sent);
        self.blocked.extend(other.blocked);
        self.reported.extend(other.reported);
        self.refused += other.refused;
        self.broken += other.broken;
    }

    /// Takes in the answer to `id`, which was an attack on `host`.
    fn answered(&mut self, id: String, host: &str, answer: &Response) {
        let verdict = (answer.status, answer.header("inspector-verdict"), answer.header("inspector-attack"));
        match verdict {
            (200, Some("block"), _) if host != WATCHED => self.blocked.insert(id),
            (204, Some("pass"), Some(_)) if host == WATCHED => self.reported.insert(id),
            (503, ..) => {
                self.refused += 1;
                true
            }
            _ => panic!("{id} on {host} was answered {answer:?}"),
        };
    }
}

/// Clients at work.
pub struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Known>>,
}

impl Load {
    /// Clients of `at`; `name` makes their ids differ from those of other loads.
    pub fn start(at: SocketAddr, name: &str) -> Load {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let clients = (0..CLIENTS).map(|client| {
            let (stop, answered, name) = (Arc::clone(&stop), Arc::clone(&answered), format!("{name}-{client}"));
            std::thread::spawn(move || run(at, &name, &stop, &answered))
        });
        Load { clients: clients.collect(), stop, answered }
    }

    /// Calls answered so far.
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    /// Ends it; what the clients know.
    pub fn stop(self) -> Known {
        self.stop.store(true, Ordering::Relaxed);
        let mut known = Known::default();
        self.clients.into_iter().for_each(|client| known.merge(client.join().unwrap()));
        known
    }
}

fn run(at: SocketAddr, name: &str, stop: &AtomicBool, answered: &AtomicU64) -> Known {
    let (mut known, mut connection) = (Known::default(), None);
    for n in 0u64.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        std::thread::sleep(PAUSE);
        let open = match connection.take() {
            Some(open) => open,
            None => match Connection::open(at) {
                Ok(open) => open,
                // It is being started.
                Err(_) => continue,
            },
        };
        connection = send(open, format!("{name}-{n}"), n, &mut known);
        answered.store((known.blocked.len() + known.reported.len()) as u64, Ordering::Relaxed);
    }
    known
}

/// One attack; the connection, where it can be used again.
fn send(mut open: Connection, id: String, n: u64, known: &mut Known) -> Option<Connection> {
    let host = if n.is_multiple_of(3) { WATCHED } else { "shop.example" };
    let attack = format!("GET /etc/passwd?n={n} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    known.sent.insert(id.clone());
    let headers = [
        ("Content-Type", "message/http"),
        ("Inspector-Request-Id", id.as_str()),
        ("Inspector-Client", "203.0.113.9:1234"),
        ("Inspector-Connector", "faults/1"),
    ];
    let Ok(answer) = open.call("POST /v1/requests", &headers, attack.as_bytes()) else {
        known.broken += 1;
        return None;
    };
    let goes_on = answer.header("connection") != Some("close");
    known.answered(id, host, &answer);
    goes_on.then_some(open)
}
