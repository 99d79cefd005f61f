//! Who waits for the writer: a disk that hangs is not waited for, a writer without a core is.

use super::*;
use std::thread::JoinHandle;

/// A stall that is soon over.
const STALL: Duration = Duration::from_millis(1);

/// Blocks the writer of `spool`, without a disk call, until the sender sends or is dropped.
fn held_off(spool: &Spool) -> (mpsc::Sender<()>, JoinHandle<()>) {
    let ((held, is_held), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    let shared = Arc::clone(&spool.0.shared);
    let holder = std::thread::spawn(move || {
        let _index = shared.index();
        held.send(()).unwrap();
        let _told_or_dropped = go_on.recv_timeout(PATIENCE);
    });
    is_held.recv_timeout(PATIENCE).unwrap();
    (go, holder)
}

/// Whoever waits too long for the disk withdraws the record: it is counted, and never delivered, not even by a later
/// process.
#[tokio::test]
async fn a_stalled_record_is_withdrawn_for_good() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::default();
    let (spool, mut reader) = Spool::open_on(Box::new(disk.clone()), config(dir.path()), telemetry()).unwrap();
    assert_eq!(spool.accept(b"first".to_vec(), PATIENCE).await, Ok(()));
    let ((begun, has_begun), (go, go_on)) = (mpsc::channel(), mpsc::channel());
    *disk.gate.lock().unwrap() = Some((begun, go_on));
    let written = spool.submit(b"is in the file but withdrawn".to_vec()).unwrap();
    tokio::task::spawn_blocking(move || has_begun.recv_timeout(PATIENCE).unwrap()).await.unwrap();
    let behind = spool.submit(b"still waits".to_vec()).unwrap();
    let patient = spool.submit(b"its answer waits longer".to_vec()).unwrap();
    assert_eq!(spool.await_written_within(written, STALL, PATIENCE).await, Err(DropReason::Stalled));
    assert_eq!(spool.await_written_within(behind, STALL, PATIENCE).await, Err(DropReason::Stalled));
    go.send(()).unwrap();
    assert_eq!(spool.await_written(patient, PATIENCE).await, Ok(()));
    assert_eq!(spool.accept(b"last".to_vec(), PATIENCE).await, Ok(()));
    let want = ["first", "its answer waits longer", "last"];
    assert_eq!(all(&mut reader), want);
    assert_eq!((spool.status().records, spool.status().dropped), (3, 2));
    drop((spool, reader));
    let (spool, mut reader) = open_at(dir.path());
    assert_eq!(spool.status().records, 3);
    assert_eq!(drain(&mut reader, 9), want);
}

/// A writer that does not get on, though no disk holds it up, loses nothing.
#[tokio::test]
async fn a_writer_without_a_core_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open_at(dir.path());
    let (go, holder) = held_off(&spool);
    let ticket = spool.submit(b"late".to_vec()).unwrap();
    let mut settled = Box::pin(spool.await_written_within(ticket, STALL, PATIENCE));
    let early = tokio::time::timeout(STALL * 50, &mut settled).await;
    assert!(early.is_err(), "{early:?} after many a stall");
    go.send(()).unwrap();
    assert_eq!(settled.await, Ok(()));
    holder.join().unwrap();
    assert_eq!(spool.status().dropped, 0);
    assert_eq!(all(&mut reader), ["late"]);
}

/// But not for ever.
#[tokio::test]
async fn a_writer_that_never_gets_on_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open_at(dir.path());
    let (go, holder) = held_off(&spool);
    let ticket = spool.submit(b"lost".to_vec()).unwrap();
    assert_eq!(spool.await_written_within(ticket, STALL, STALL * 20).await, Err(DropReason::Stalled));
    go.send(()).unwrap();
    holder.join().unwrap();
    assert_eq!(spool.accept(b"kept".to_vec(), PATIENCE).await, Ok(()));
    assert_eq!(spool.status().dropped, 1);
    assert_eq!(all(&mut reader), ["kept"]);
}

/// Under any interleaving of waits and writes, what was acknowledged is what is delivered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_plus_dropped_is_all_and_exactly_the_accepted_are_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = Spool::open(Config { size: 64 << 20, ..config(dir.path()) }, telemetry()).unwrap();
    let mut tasks = Vec::new();
    for task in 0..8 {
        let spool = spool.clone();
        tasks.push(tokio::spawn(async move {
            let mut accepted = Vec::new();
            for n in 0..500 {
                let text = format!("{task}-{n}-{}", "y".repeat(n * 7 % 900));
                // About what a write takes, so that both outcomes occur.
                let time = Duration::from_micros((n as u64 * 37) % 3000);
                let mut ticket = spool.submit(text.clone().into_bytes()).unwrap();
                let outcome = match ticket.wait(time).await {
                    Some(outcome) => outcome,
                    None => spool.withdraw(ticket),
                };
                if outcome.is_ok() {
                    accepted.push(text);
                }
            }
            accepted
        }));
    }
    let mut accepted = Vec::new();
    for task in tasks {
        accepted.extend(task.await.unwrap());
    }
    assert_eq!(accepted.len() as u64 + spool.status().dropped, 4000);
    tokio::task::spawn_blocking(move || {
        spool.close();
        let mut delivered = drain(&mut reader, 100);
        accepted.sort();
        delivered.sort();
        assert_eq!(delivered, accepted);
    })
    .await
    .unwrap();
}
