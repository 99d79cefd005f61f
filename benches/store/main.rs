//! The store and the Console over it: hits stored a second, and how long pages take once many are there.
//!
//! ```text
//! cargo bench --bench store                  # 100,000 hits, SQLite and PostgreSQL
//! cargo bench --bench store -- 1000000       # a million
//! cargo bench --bench store -- 1000000 sqlite
//! cargo bench --bench store -- 10000000 postgres seed=100000    # 100,000 through the library, copied by statements
//! cargo bench --bench store -- 10000000 postgres://... seed=100000        # the same, into an existing database
//! cargo bench --bench store -- 0 postgres://...                           # pages alone, over what is in that database
//! cargo bench --bench store -- 0 postgres://... restart='pg_ctlcluster 15 main restart'       # cold, too: see below
//! cargo bench --bench store -- 0 postgres://... only='30 days,a network'                 # pages with one of these in their name
//! cargo bench --bench store -- 1000000 upgrade                             # a database of the build before, on both engines
//! ```
//!
//! Hits lie over ten days; sources, hosts, paths, points and types are as uneven as in life. `ingest` stores batches
//! through the library, as the control plane does with what a node sends. `end to end` is the whole of `weir`: attacks
//! over four connections to the node, until the last one can be queried. Pages are those of the Console, over HTTP from
//! `weir control-plane`: three times, each after the database server was started anew and the files that the system holds in
//! memory were given up (cold, the longest of the three; without root files stay in memory), then 20 times (warm). For a
//! database of its own, `restart=` names a shell command that starts its server anew. PostgreSQL writes to disk as it does in
//! production (`fsync` on).

mod end_to_end; // attacks until they are stored
mod multiply; // many hits out of few
mod pages; // how long pages take
#[allow(dead_code)]
#[path = "../sets/mod.rs"]
mod sets;
mod traffic; // hits as they are in life
mod upgrade; // a database of the build before

use std::process::Command;
use std::time::Instant;
use weir_control_plane::store::Database;
use weir_testkit::Program;
use weir_testkit::postgres::Server;

/// The program under measurement.
const WEIR: Program = Program(env!("CARGO_BIN_EXE_weir"));
/// Hits unless the command line says otherwise.
const HITS: u64 = 100_000;
/// Hits of one batch: about what a second of a busy attack brings.
const BATCH: u64 = 500;
/// Bytes of a message, and of one where millions must fit the disk.
const LONG: usize = 900;
const SHORT: usize = 90;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let hits = arguments.next().map_or(HITS, |n| n.parse().expect("a number of hits"));
    let arguments: Vec<String> = arguments.collect();
    let named = |name: &str| arguments.iter().find_map(|argument| argument.strip_prefix(name));
    let seed = named("seed=").map(|seed| seed.parse().expect("a number of hits"));
    let engines: Vec<&String> = arguments
        .iter()
        .filter(|argument| !argument.contains(['=', ' ']) || argument.starts_with("postgres://"))
        .collect();
    if engines.iter().any(|engine| engine.as_str() == "upgrade") {
        return upgrades(hits, seed);
    }
    let wanted = |name: &str| engines.is_empty() || engines.iter().any(|engine| engine.as_str() == name);
    if wanted("sqlite") {
        let directory = tempfile::tempdir().expect("a directory");
        assert!(seed.is_none(), "hits are copied in PostgreSQL alone");
        run("SQLite", &format!("sqlite:{}", directory.path().display()), hits, None, drop_page_cache);
    }
    if let Some(url) = engines.iter().find(|engine| engine.starts_with("postgres://")) {
        return external(url, hits, seed, named("restart="), named("only="));
    }
    if wanted("postgres")
        && let Some(mut server) = Server::start_durable()
    {
        let url = server.create("bench");
        run("PostgreSQL", &url, hits, seed, || {
            server.stop();
            drop_page_cache();
            server.run();
        });
    }
}

/// Measures the upgrade of a database with `hits` on each engine; on PostgreSQL only `seed` of them go through the library.
fn upgrades(hits: u64, seed: Option<u64>) {
    println!("SQLite, {hits} hits");
    let (old, new) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("a directory"));
    let [old, new] = [&old, &new].map(|directory| format!("sqlite:{}", directory.path().display()));
    fill(&old, hits, None);
    upgrade::measure(&old, &new);
    let Some(server) = Server::start_durable() else { return };
    println!("PostgreSQL, {hits} hits");
    let [old, new] = ["old", "new"].map(|name| server.create(name));
    fill(&old, hits, seed);
    upgrade::measure(&old, &new);
}

/// Fills the database at `url`, unless `hits` is 0, and measures pages over it; `restart` is the command that starts its server
/// anew, without which nothing is cold, and `only` has names of pages, or parts of them, where not all are measured.
fn external(url: &str, hits: u64, seed: Option<u64>, restart: Option<&str>, only: Option<&str>) {
    if hits > 0 {
        fill(url, hits, seed);
    }
    // The database remembers the key, also for the next run.
    let key = format!("control_plane.key_file={}", std::env::temp_dir().join("weir-bench-key.pem").display());
    let mut restart = restart.map(|command| {
        move || {
            drop_page_cache();
            let status = Command::new("sh").args(["-c", command]).status().expect("a shell");
            assert!(status.success(), "{command}: {status}");
        }
    });
    let restart = restart.as_mut().map(|restart| restart as &mut dyn FnMut());
    pages::measure(&[&format!("control_plane.database={url}"), &key], restart, only);
}

/// Has the system give up the files that it holds in memory, where that is permitted.
fn drop_page_cache() {
    let written = Command::new("sync").status().is_ok_and(|status| status.success());
    if !written || std::fs::write("/proc/sys/vm/drop_caches", "3").is_err() {
        eprintln!("  files stay in memory: only root can have the system give them up");
    }
}

/// Measures one engine with `hits`; `restart` ends its server, with the pages that it holds in memory, and starts it anew.
fn run(engine: &str, url: &str, hits: u64, seed: Option<u64>, mut restart: impl FnMut()) {
    println!("{engine}, {hits} hits");
    fill(url, hits, seed);
    let directory = tempfile::tempdir().expect("a directory");
    let places = [
        format!("control_plane.database={url}"),
        format!("control_plane.key_file={}", directory.path().join("key.pem").display()),
    ];
    let places: Vec<&str> = places.iter().map(String::as_str).collect();
    pages::measure(&places, Some(&mut restart), None);
    end_to_end::measure(&places);
    runtime().block_on(retain(url));
    println!();
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime")
}

/// Stores `hits`, of which only `seed` go through the library if there is one.
fn fill(url: &str, hits: u64, seed: Option<u64>) {
    match seed {
        None => runtime().block_on(ingest(url, traffic::Traffic::new(hits, LONG), hits)),
        Some(seed) => runtime().block_on(async {
            ingest(url, traffic::Traffic::new(seed, SHORT), seed).await;
            multiply::multiply(url, hits / seed).await;
            sum_up(url).await;
        }),
    }
}

/// Stores all hits in order of time, and tells how fast each tenth of them was.
async fn ingest(url: &str, mut traffic: traffic::Traffic, hits: u64) {
    let database = Database::open(url).await.expect("the store opens");
    let (begun, mut tenth, mut stored) = (Instant::now(), Instant::now(), 0u64);
    let mut rates = Vec::new();
    while stored < hits {
        let batch = traffic.batch(BATCH.min(hits - stored));
        stored += database.insert(batch, "node-1").await.expect("it stores").stored;
        if stored.is_multiple_of((hits / 10).max(1)) {
            rates.push(format!("{:.0}", hits as f64 / 10.0 / tenth.elapsed().as_secs_f64()));
            tenth = Instant::now();
        }
    }
    let rate = hits as f64 / begun.elapsed().as_secs_f64();
    println!("  ingest      {rate:>8.0} hits/s; by tenths {}", rates.join(" "));
    database.close().await;
}

/// Counts and sums up hours and days, as a control plane does in the background.
async fn sum_up(url: &str) {
    let database = Database::open(url).await.expect("the store opens");
    let begun = Instant::now();
    let counted = database.count_group_hours().await.expect("it counts");
    println!("  counted     {counted:>8} hours by group in {:.0} s", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let summed = database.summarize_hours().await.expect("it sums up");
    println!("  summed up   {summed:>8} hours in {:.0} s, half of them pauses", begun.elapsed().as_secs_f64());
    let begun = Instant::now();
    let days = database.summarize_days().await.expect("it adds up");
    println!("  added up    {days:>8} days in {:.0} s, half of them pauses", begun.elapsed().as_secs_f64());
    database.close().await;
}

/// Drops what is older than five days.
async fn retain(url: &str) {
    let database = Database::open(url).await.expect("the store opens");
    database.set_retention(5);
    let begun = Instant::now();
    let done = database.retain().await.expect("it retains");
    println!("  retention   {:>8.0} ms; {done:?}", begun.elapsed().as_secs_f64() * 1e3);
    database.close().await;
}
