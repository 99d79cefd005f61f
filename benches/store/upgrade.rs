//! The upgrade of a large database: one as a build before made it is opened by this build, backed up and restored, and must have
//! the same counts afterwards.

use crate::{WEIR, runtime};
use serde_json::Value;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use weir_control_plane::store::{Database, Filter, Page};
use weir_testkit::Session;

/// Longest wait for the work in the background.
const PATIENCE: Duration = Duration::from_secs(3_600);
/// Milliseconds of a day.
const DAY: i64 = 86_400_000;
/// Days over which hits lie, and one more for the edges.
const DAYS: i64 = 11;

/// What the migrations from 0153 on made: hours summed up, days, counts of groups by hour, an index of counts, one of sources.
const UNDO: &str = "
DROP TABLE hour_summaries;
DROP TABLE summarized_hours;
DROP TABLE day_summaries;
DROP TABLE summarized_days;
DELETE FROM hit_counts WHERE kind = 7;
DROP INDEX hit_groups_source;
CREATE INDEX IF NOT EXISTS hit_groups_ip ON hit_groups (ip_key, grp, hit);
DROP TABLE group_hours;
DROP INDEX hit_counts_value;
DELETE FROM migrations WHERE scope = 'hits' AND number >= 153;";

/// The counts of a database.
#[derive(Debug, PartialEq)]
struct Totals {
    attacks: u64,
    hits: u64,
    blocked: u64,
    /// Hits and blocked ones by day.
    days: Vec<(u64, u64)>,
}

/// Measures the upgrade of the database at `url`, a backup of it, and its restoration to `copy`, which is new.
pub fn measure(url: &str, copy: &str) {
    let expected = runtime().block_on(totals(url));
    runtime().block_on(undo(url));
    let directory = tempfile::tempdir().expect("a directory");
    let key = format!("control_plane.key_file={}", directory.path().join("key.pem").display());
    open(url, &key);
    assert_eq!(runtime().block_on(totals(url)), expected, "after the upgrade");
    let file = directory.path().join("weir.backup");
    command("backup", url, &key, &file);
    println!("  its file    {:>8} MiB", std::fs::metadata(&file).expect("a file").len() >> 20);
    command("restore", copy, &key, &file);
    assert_eq!(runtime().block_on(totals(copy)), expected, "after the restoration");
    println!(
        "  counts are equal before, after and once restored: {} attacks, {} hits",
        expected.attacks, expected.hits
    );
}

async fn totals(url: &str) -> Totals {
    let database = Database::open(url).await.expect("the store opens");
    let mut totals = Totals { attacks: 0, hits: 0, blocked: 0, days: Vec::new() };
    let mut after = None;
    loop {
        let page = database.attacks(&Filter::default(), &Page { after, limit: 200 }).await.expect("attacks");
        totals.attacks += page.rows.len() as u64;
        for attack in &page.rows {
            totals.hits += attack.hits;
            totals.blocked += attack.blocked;
        }
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_millis() as i64;
    let end = (now / DAY + 1) * DAY;
    let series = database.series(&Filter::default(), end - DAYS * DAY, end, DAY).await.expect("counts");
    totals.days = series.slots.iter().map(|slot| (slot.hits, slot.blocked)).collect();
    database.close().await;
    totals
}

/// Makes of the database one of the build before.
async fn undo(url: &str) {
    let pools = match url.strip_prefix("sqlite:") {
        None => vec![url.to_owned()],
        Some(directory) => {
            let files = std::fs::read_dir(directory).expect("files").map(|file| file.expect("a file").path());
            let months = files.filter(|path| {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                name.starts_with("hits-") && name.ends_with(".db")
            });
            months.map(|path| format!("sqlite:{}", path.display())).collect()
        }
    };
    sqlx::any::install_default_drivers();
    for pool in pools {
        let pool = sqlx::AnyPool::connect(&pool).await.expect("a connection");
        sqlx::raw_sql(UNDO).execute(&pool).await.expect("the tables of the build before");
        pool.close().await;
    }
}

/// Opens the database with this build: how long until it serves, what pages take then, and how long the rest takes beside it.
fn open(url: &str, key: &str) {
    let begun = Instant::now();
    let control_plane = WEIR.control_plane(&[&format!("control_plane.database={url}"), key]);
    println!("  serves      {:>8.0} ms after its start", begun.elapsed().as_secs_f64() * 1e3);
    let browser = control_plane.login();
    for page in ["/", "/attacks", "/blocking"] {
        let begun = Instant::now();
        assert_eq!(browser.get(page).status, 200, "{page}");
        println!("  {page:<11} {:>8.0} ms", begun.elapsed().as_secs_f64() * 1e3);
    }
    while uncounted(&browser) > 0 {
        assert!(begun.elapsed() < PATIENCE, "hours are not counted");
        std::thread::sleep(Duration::from_secs(1));
    }
    println!("  hours       {:>8.0} s until all are counted by group", begun.elapsed().as_secs_f64());
    println!("  memory      {:>8} MiB at most", peak_of(control_plane.pid()).expect("the process runs") >> 10);
}

/// Hours that are still to be counted.
fn uncounted(browser: &Session<'_>) -> u64 {
    let report = browser.get("/api/v1/statistics/blocking?from=0").json();
    report["uncounted_hours"].as_u64().or_else(|| throttled(&report)).expect("a report")
}

/// One hour, where the report waits for another one.
fn throttled(problem: &Value) -> Option<u64> {
    (problem["status"] == 429).then_some(1)
}

/// Most memory that a process had at any time so far, in KiB.
fn peak_of(process: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Runs `weir backup` or `weir restore` with `file`, and prints time and memory.
fn command(name: &str, url: &str, key: &str, file: &Path) {
    let mut command: Command = WEIR.command();
    command.arg(name).arg(file).args(["--set", &format!("control_plane.database={url}"), "--set", key]);
    let begun = Instant::now();
    let mut child: Child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("it starts");
    let mut memory = 0;
    let status = loop {
        memory = peak_of(child.id()).unwrap_or(memory);
        if let Some(status) = child.try_wait().expect("a status") {
            break status;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert!(status.success(), "{name}: {status}");
    println!("  {name:<11} {:>8.1} s, {} MiB of memory at most", begun.elapsed().as_secs_f64(), memory >> 10);
}
