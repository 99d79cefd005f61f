//! Processing, aggregation and control plane, joined as in production.

use crate::http::{self, until};
use crate::part::Part;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::Path;

const TOKEN: &str = "deploy-token-of-the-tests";
const PASSWORD: &str = "a-password-for-tests";
/// The host whose attacks pass and are reported; those of every other one are blocked.
pub const WATCHED: &str = "watched.example";

/// What differs between tests.
#[derive(Default)]
pub struct Options<'o> {
    /// The store, instead of SQLite.
    pub database: Option<&'o str>,
    /// Settings of all.
    pub all: &'o [&'o str],
    /// Settings of processing.
    pub processing: &'o [&'o str],
    /// Settings of aggregation.
    pub aggregation: &'o [&'o str],
}

pub struct Fleet {
    pub processing: Part,
    pub aggregation: Part,
    pub control_plane: Part,
    home: tempfile::TempDir,
}

impl Fleet {
    /// A fleet of which nothing runs yet.
    pub fn new(options: &Options<'_>) -> Fleet {
        let home = tempfile::tempdir().unwrap();
        let database = options.database.map(|url| format!("control_plane.database={url}"));
        let mut sets =
            vec![format!("control_plane.deploy_token={TOKEN}"), format!("control_plane.admin_password={PASSWORD}")];
        sets.extend(database);
        let more = |own: &[&str]| -> Vec<String> { options.all.iter().chain(own).map(ToString::to_string).collect() };
        sets.extend(more(&[]));
        let control_plane = Part::new(home.path(), "control-plane", "control_plane.address", &sets);
        let sets = [upstream(control_plane.api), more(options.aggregation)].concat();
        let aggregation = Part::new(home.path(), "aggregation", "aggregation.service_address", &sets);
        let processing = processing(home.path(), aggregation.api, more(options.processing));
        Fleet { processing, aggregation, control_plane, home }
    }

    /// A fleet that runs.
    pub fn start(options: &Options<'_>) -> Fleet {
        let mut fleet = Self::new(options);
        for part in fleet.parts() {
            part.start();
            part.ready();
        }
        fleet
    }

    /// From the store to the clients.
    pub fn parts(&mut self) -> [&mut Part; 3] {
        [&mut self.control_plane, &mut self.aggregation, &mut self.processing]
    }

    /// Where their data is.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Waits until nothing is on its way to the store any more.
    pub fn drain(&self) {
        let empty =
            |part: &Part, spool| part.gauge(&format!("weir_events_spool_records{{spool=\"{spool}\"}}")) == Some(0.0);
        until("the spool of processing to be empty", || empty(&self.processing, "events"), || self.told());
        until("the spool of aggregation to be empty", || empty(&self.aggregation, "aggregation"), || self.told());
    }

    /// Records that the two spools counted as lost.
    pub fn dropped(&self) -> u64 {
        let of = |part: &Part, spool: &str| part.counted("weir_events_dropped_total", &format!("spool=\"{spool}\""));
        of(&self.processing, "events") + of(&self.aggregation, "aggregation")
    }

    /// What the processes said last.
    pub fn told(&self) -> String {
        [&self.control_plane, &self.aggregation, &self.processing].map(Part::told).join("\n")
    }

    /// Reads the API of the control plane as its administrator.
    pub fn reader(&self) -> Reader {
        let body = serde_json::json!({"login": "admin", "password": PASSWORD}).to_string();
        let at = self.control_plane.api;
        let answer = http::call(at, "POST /api/v1/session", &[("Content-Type", "application/json")], body.as_bytes());
        let answer = answer.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        Reader { at, cookie: answer.header("set-cookie").unwrap().split(';').next().unwrap().to_owned() }
    }
}

/// How a part reaches the one behind it.
fn upstream(at: SocketAddr) -> Vec<String> {
    vec![
        "api.host=127.0.0.1".into(),
        format!("api.port={}", at.port()),
        "api.use_ssl=false".into(),
        format!("api.token={TOKEN}"),
    ]
}

fn processing(home: &Path, aggregation: SocketAddr, more: Vec<String>) -> Part {
    let file = home.join("weir.yaml");
    let routes = format!("route_config:\n  routes:\n  - {{host: {WATCHED}, wallarm_mode: monitoring}}\n");
    std::fs::write(&file, routes).unwrap();
    let mut sets = upstream(aggregation);
    // Modes are those of the test. A debug build on a busy machine is slow: time limits must not decide what is
    // answered, nor that records are dropped.
    let fixed = [
        "route_config.wallarm_mode_allow_override=off",
        "http_inspector.wallarm_process_time_limit=60s",
        "load.queue_timeout=60s",
        "events.stall=1s",
    ];
    sets.extend(fixed.map(String::from).into_iter().chain(more));
    Part::new(home, "processing", "connector.address", &sets).with_file(&file)
}

pub struct Reader {
    at: SocketAddr,
    cookie: String,
}

impl Reader {
    pub fn get(&self, path: &str) -> Value {
        let answer = http::call(self.at, &format!("GET {path}"), &[("Cookie", &self.cookie)], b"").unwrap();
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer.json()
    }
}
