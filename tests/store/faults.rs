//! What breaks in production: the server restarts, files are damaged, two processes share a directory.

use crate::make::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_control_plane::store::{Database, Filter, Page, StoreError};
use weir_protocol::hit::Hit;
use weir_testkit::postgres::Server;

const TASKS: u64 = 4;
const BATCHES: u64 = 60;
const HITS: u64 = 50;

fn numbered(task: u64, round: u64) -> Vec<Hit> {
    (0..HITS)
        .map(|n| {
            let n = (task * BATCHES + round) * HITS + n;
            hit(NOON + n as i64, n)
        })
        .collect()
}

/// Sends until it is acknowledged, as a shipper does.
async fn send(database: &Database, hits: Vec<Hit>) -> u64 {
    loop {
        match database.insert(batch(hits.clone()), "n").await {
            Ok(ack) => return ack.stored,
            Err(error) => assert!(error.is_transient(), "{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_of_postgresql_loses_and_doubles_nothing() {
    let Some(mut server) = Server::start() else { return };
    let database = Database::open(&server.create("faults")).await.unwrap();
    let rounds = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let (database, rounds) = (database.clone(), Arc::clone(&rounds));
        tasks.push(tokio::spawn(async move {
            for round in 0..BATCHES {
                send(&database, numbered(task, round)).await;
                rounds.fetch_add(1, Ordering::Relaxed);
            }
        }));
    }
    for restart in 1..=2 {
        // In the middle of it, by what was done and not by the clock.
        while rounds.load(Ordering::Relaxed) < TASKS * BATCHES * restart / 3 {
            tokio::task::yield_now().await;
        }
        server = tokio::task::spawn_blocking(move || {
            // Once in order, once as a crash does.
            if restart == 1 {
                server.stop()
            } else {
                server.crash()
            }
            server.run();
            server
        })
        .await
        .unwrap();
    }
    for task in tasks {
        task.await.unwrap();
    }
    let attacks = database.attacks(&Filter::default(), &Page::first(10)).await.unwrap().rows;
    assert_eq!(attacks.iter().map(|a| a.hits).collect::<Vec<_>>(), [TASKS * BATCHES * HITS]);
    let series = database.series(&Filter::default(), NOON, NOON + HOUR, HOUR).await.unwrap();
    assert_eq!(series.slots[0].hits, TASKS * BATCHES * HITS);
    for task in 0..TASKS {
        let ack = database.insert(batch(numbered(task, BATCHES / 2)), "n").await.unwrap();
        assert_eq!((ack.stored, ack.duplicates), (0, HITS));
    }
    database.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_processes_on_one_directory_store_each_hit_once() {
    let fresh = crate::engines::sqlite().unwrap();
    let (one, other) = (fresh.open().await, fresh.open().await);
    let mut tasks = Vec::new();
    for database in [one.clone(), other] {
        tasks.push(tokio::spawn(async move {
            let mut stored = 0;
            for round in 0..10 {
                stored += send(&database, numbered(0, round)).await;
            }
            stored
        }));
    }
    let mut stored = 0;
    for task in tasks {
        stored += task.await.unwrap();
    }
    assert_eq!(stored, 10 * HITS);
    let attacks = one.attacks(&Filter::default(), &Page::first(10)).await.unwrap().rows;
    assert_eq!((attacks.len(), attacks[0].hits), (1, 10 * HITS));
}

#[tokio::test]
async fn damaged_files_are_named_and_the_others_work() {
    let fresh = crate::engines::sqlite().unwrap();
    let database = fresh.open().await;
    let next_month = NOON + 30 * DAY;
    for time in [NOON, next_month] {
        database.insert(batch((0..400).map(|n| hit(time + n as i64, n))), "n").await.unwrap();
    }
    database.close().await;
    let directory = std::path::PathBuf::from(fresh.url.strip_prefix("sqlite:").unwrap());
    let file = directory.join("hits-2026-03.db");
    let whole = std::fs::read(&file).unwrap();
    let mut scrambled = whole.clone();
    scrambled[..64].fill(b'x');
    for damaged in [&whole[..whole.len() / 3], &scrambled] {
        std::fs::write(&file, damaged).unwrap();
        let database = fresh.open().await;
        let error = database.insert(batch((0..400).map(|n| hit(NOON + n as i64, 1_000 + n))), "n").await.unwrap_err();
        assert!(matches!(error, StoreError::Damaged(..)), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("hits-2026-03.db") && text.contains("backup"), "{text}");
        assert!(!error.is_transient());
        assert_eq!(database.insert(batch([hit(next_month, 9_999)]), "n").await.unwrap().stored, 1);
        database.close().await;
        std::fs::write(&file, &whole).unwrap();
        std::fs::remove_file(directory.join("hits-2026-04.db")).unwrap();
    }
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_refused() {
    let fresh = crate::engines::sqlite().unwrap();
    let database = fresh.open().await;
    let sql = "INSERT INTO migrations (scope, number, name, checksum) VALUES ('control', 9999, '9999_later', 'x')";
    sqlx::query(sql).execute(database.control().write()).await.unwrap();
    database.close().await;
    let error = Database::open(&fresh.url).await.unwrap_err().to_string();
    assert!(error.contains("newer version"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_an_error_and_no_secret() {
    let error = Database::open("postgres://weir:hunter2@127.0.0.1:1/weir").await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("refused") && !text.contains("hunter2"), "{text}");
}
