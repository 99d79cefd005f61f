//! What the module's doc promises, on real files, with disks that fail, and with files that were tampered with.

mod stalls; // callers that wait for a disk or for a core

use super::*;
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Instant;
use weir_runtime::telemetry::Metrics;
use weir_runtime::telemetry::logs::AccessLog;

/// Long enough for any machine; nothing here waits for it unless it fails.
const PATIENCE: Duration = Duration::from_secs(60);

fn telemetry() -> Arc<Telemetry> {
    Arc::new(Telemetry { metrics: Metrics::unregistered(), access: AccessLog::Off.into() })
}

fn config(directory: &Path) -> Config {
    Config { directory: directory.to_owned(), name: "test", size: 4 << 20, fsync_interval: Duration::from_millis(20) }
}

fn open_at(directory: &Path) -> (Spool, Reader) {
    Spool::open(config(directory), telemetry()).unwrap()
}

fn put(spool: &Spool, records: &[&str]) {
    spool.append_blocking(records.iter().map(|r| r.as_bytes().to_vec()).collect()).unwrap();
}

/// Every record that is not delivered; the cursor stays.
fn all(reader: &mut Reader) -> Vec<String> {
    let chunk = reader.next(usize::MAX, usize::MAX).unwrap();
    chunk.records.into_iter().map(|record| String::from_utf8(record).unwrap()).collect()
}

/// Delivers everything, `step` records at a time.
fn drain(reader: &mut Reader, step: usize) -> Vec<String> {
    let mut out = Vec::new();
    loop {
        let chunk = reader.next(step, usize::MAX).unwrap();
        if chunk.records.is_empty() && chunk.end == reader.cursor() {
            return out;
        }
        assert!(chunk.records.len() <= step);
        out.extend(chunk.records.into_iter().map(|record| String::from_utf8(record).unwrap()));
        reader.acknowledge(chunk.end).unwrap();
    }
}

fn segments(directory: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|request| request.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "seg"))
        .collect();
    paths.sort();
    paths
}

#[test]
fn records_come_in_order_until_they_are_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open_at(dir.path());
    put(&spool, &["a", "b"]);
    put(&spool, &["c"]);
    assert_eq!(all(&mut reader), ["a", "b", "c"]);
    let first = reader.next(2, usize::MAX).unwrap();
    assert_eq!(first.records.len(), 2);
    reader.acknowledge(first.end).unwrap();
    assert_eq!(all(&mut reader), ["c"]);
    assert_eq!(spool.status().records, 1);
    let small = reader.next(10, 1).unwrap();
    assert_eq!(small.records.len(), 1, "one record always goes");
    drop((spool, reader));
    let (spool, mut reader) = open_at(dir.path());
    put(&spool, &["d"]);
    assert_eq!(drain(&mut reader, 1), ["c", "d"]);
    assert_eq!(spool.status().records, 0);
    assert_eq!(spool.status().oldest, None);
}

#[test]
fn delivered_segments_are_deleted_and_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let config = Config { size: 512 << 10, ..config(dir.path()) };
    let (spool, mut reader) = Spool::open(config, telemetry()).unwrap();
    let record = "x".repeat(10_000);
    let mut accepted = 0;
    for _ in 0..10 {
        while spool.append_blocking(vec![record.clone().into_bytes()]).is_ok() {
            accepted += 1;
            assert!(accepted < 10_000, "never full");
        }
        assert!(spool.status().bytes <= 512 << 10);
        let chunk = reader.next(20, usize::MAX).unwrap();
        accepted -= chunk.records.len();
        reader.acknowledge(chunk.end).unwrap();
    }
    assert!(accepted > 20, "{accepted} records in half a mebibyte");
    assert_eq!(spool.status().records, accepted as u64);
    assert_eq!(spool.append_blocking(vec![vec![b'x'; 400 << 10]]), Err(DropReason::Full));
    // The writer answers first and counts then.
    let begun = Instant::now();
    while spool.status().dropped < 10 + 1 {
        assert!(begun.elapsed() < PATIENCE, "{:?}", spool.status());
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(spool.status().dropped, 10 + 1);
    assert_eq!(drain(&mut reader, 7).len(), accepted);
    put(&spool, &["room again"]);
    assert_eq!(drain(&mut reader, 7), ["room again"]);
}

/// Records of about a segment each: `count` segments, the last of which is written to.
fn segments_of_one_record(spool: &Spool, count: usize) -> Vec<String> {
    let records: Vec<String> = (0..count).map(|n| format!("{n}:{}", "x".repeat(200_000))).collect();
    records.iter().for_each(|record| put(spool, &[record]));
    records
}

#[test]
fn a_segment_that_is_removed_by_hand_delays_nothing_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open_at(dir.path());
    let records = segments_of_one_record(&spool, 4);
    let files = segments(dir.path());
    assert_eq!(files.len(), 4);
    for gone in [&files[1], &files[3]] {
        std::fs::remove_file(gone).unwrap();
    }
    assert_eq!(drain(&mut reader, 9), [records[0].clone(), records[2].clone()]);
    assert_eq!((spool.status().dropped, spool.status().records), (2, 0));
    // What comes to a file without a name is lost, and counted; then a new one is begun.
    put(&spool, &["lost"]);
    put(&spool, &["kept"]);
    assert_eq!(drain(&mut reader, 9), ["kept"]);
    assert_eq!(spool.status().dropped, 3);
}

#[test]
fn a_segment_that_is_cut_while_it_is_read_delays_nothing_and_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open_at(dir.path());
    let records = segments_of_one_record(&spool, 3);
    let files = segments(dir.path());
    for (file, length) in [(&files[0], 100_000), (&files[1], 3)] {
        File::options().write(true).open(file).unwrap().set_len(length).unwrap();
    }
    assert_eq!(drain(&mut reader, 9), [records[2].clone()]);
    assert_eq!(spool.status().dropped, 2);
}

#[test]
fn a_segment_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, mut reader) = open_at(dir.path());
    put(&spool, &["a"]);
    let file = segments(dir.path()).remove(0);
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    let error = reader.next(1, 1).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: ", file.display())), "{error}");
}

#[test]
fn records_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, _reader) = open_at(dir.path());
    assert_eq!(spool.append_blocking(vec![Vec::new()]), Err(DropReason::TooLarge));
    assert_eq!(spool.append_blocking(vec![vec![0; MAX_PAYLOAD + 1]]), Err(DropReason::TooLarge));
    assert_eq!(spool.append_blocking(Vec::new()), Ok(()));
    spool.close();
    assert_eq!(spool.append_blocking(vec![b"late".to_vec()]), Err(DropReason::Closed));
    assert_eq!(spool.status().dropped, 3);
}

#[test]
fn a_directory_belongs_to_one_spool() {
    let dir = tempfile::tempdir().unwrap();
    let first = open_at(dir.path());
    let second = Spool::open(config(dir.path()), telemetry());
    assert!(matches!(second.map(|_| ()), Err(OpenError::Locked(_))));
    drop(first);
    open_at(dir.path());
}

#[test]
fn a_segment_of_a_newer_version_is_not_touched() {
    let dir = tempfile::tempdir().unwrap();
    let mut header = format::header(1);
    header[7] = 9;
    let sum = crc32fast::hash(&header[..16]).to_le_bytes();
    header[16..20].copy_from_slice(&sum);
    std::fs::write(index::path(dir.path(), 1), header).unwrap();
    let error = Spool::open(config(dir.path()), telemetry()).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("version 9"), "{error}");
}

#[test]
fn without_its_cursor_a_spool_is_delivered_again() {
    for damage in [true, false] {
        let dir = tempfile::tempdir().unwrap();
        let (spool, mut reader) = open_at(dir.path());
        put(&spool, &["a", "b"]);
        let chunk = reader.next(1, usize::MAX).unwrap();
        reader.acknowledge(chunk.end).unwrap();
        drop((spool, reader));
        let cursor = dir.path().join("cursor");
        let mut bytes = std::fs::read(&cursor).unwrap();
        bytes[9] ^= 1;
        if damage {
            std::fs::write(&cursor, bytes).unwrap()
        } else {
            std::fs::remove_file(&cursor).unwrap()
        }
        assert_eq!(drain(&mut open_at(dir.path()).1, 5), ["a", "b"]);
    }
}

/// A spool as a killed process leaves it: no end, and then `tail`.
fn killed(directory: &Path, records: &[&str], tail: &[u8]) {
    std::fs::create_dir_all(directory).unwrap();
    let mut bytes = format::header(1).to_vec();
    for record in records {
        format::append(&mut bytes, format::FrameKind::Record, 1, record.as_bytes());
    }
    bytes.extend_from_slice(tail);
    std::fs::write(index::path(directory, 1), bytes).unwrap();
}

#[test]
fn torn_and_zeroed_ends_are_skipped() {
    let mut frame = Vec::new();
    format::append(&mut frame, format::FrameKind::Record, 1, b"torn");
    for tail in [&frame[..frame.len() - 1], &frame[..3], &[0; 4096], &[0xff; 100], b""] {
        let dir = tempfile::tempdir().unwrap();
        killed(dir.path(), &["a", "b"], tail);
        let (spool, mut reader) = open_at(dir.path());
        assert_eq!(spool.status().records, 2);
        put(&spool, &["c"]);
        assert_eq!(drain(&mut reader, 1), ["a", "b", "c"], "{tail:?}");
        assert_eq!(spool.status().dropped, 0, "a torn record was never accepted");
        assert_eq!(segments(dir.path()).len(), 1, "the old segment is gone");
    }
}

#[test]
fn a_damaged_header_costs_nothing_but_the_header() {
    let dir = tempfile::tempdir().unwrap();
    killed(dir.path(), &["a", "b"], b"");
    let path = index::path(dir.path(), 1);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..24].fill(0);
    std::fs::write(&path, bytes).unwrap();
    let (spool, mut reader) = open_at(dir.path());
    assert_eq!(drain(&mut reader, 5), ["a", "b"]);
    assert_eq!(spool.status().dropped, 1, "the damage is reported");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to bytes of a segment, the records that they are not part of are delivered, and none is made up.
    #[test]
    fn damage_costs_the_records_it_hits(
        sizes in proptest::collection::vec(1usize..300, 1..20),
        flips in proptest::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4),
        cut in any::<prop::sample::Index>(),
        sealed in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let texts: Vec<String> = sizes.iter().enumerate().map(|(n, size)| format!("{n}-{}", "x".repeat(*size))).collect();
        let (spool, reader) = open_at(dir.path());
        put(&spool, &texts.iter().map(String::as_str).collect::<Vec<_>>());
        drop((spool, reader));
        let path = &segments(dir.path())[0];
        let mut bytes = std::fs::read(path).unwrap();
        let mut hit = BTreeSet::new();
        let mut touched = BTreeSet::new();
        let mut spans = Vec::new();
        let mut at = 24;
        for text in &texts {
            spans.push(at..at + format::FRAME + text.len());
            at += format::FRAME + text.len();
        }
        for (index, change) in flips {
            let at = index.index(bytes.len());
            // Another flip of the same byte would undo the first.
            if touched.insert(at) {
                bytes[at] ^= change;
                hit.extend(spans.iter().position(|span| span.contains(&at)));
            }
        }
        if !sealed {
            let length = cut.index(bytes.len() + 1);
            bytes.truncate(length);
            hit.extend((0..spans.len()).filter(|&n| spans[n].end > length));
        }
        std::fs::write(path, bytes).unwrap();
        let (spool, mut reader) = open_at(dir.path());
        let got = drain(&mut reader, 3);
        let want: Vec<_> = (0..texts.len()).filter(|n| !hit.contains(n)).map(|n| texts[n].clone()).collect();
        prop_assert_eq!(got, want);
        put(&spool, &["after"]);
        prop_assert_eq!(drain(&mut reader, 3), ["after"]);
    }
}

/// A disk whose writes can be held up and made to fail.
#[derive(Clone, Default)]
struct BadDisk {
    full: Arc<AtomicBool>,
    /// A write signals that it begins and waits for a signal to continue.
    gate: Arc<Mutex<Option<Gate>>>,
}

type Gate = (mpsc::Sender<()>, mpsc::Receiver<()>);

struct BadFile {
    file: Arc<dyn SegmentFile>,
    disk: BadDisk,
}

impl Disk for BadDisk {
    fn create(&self, path: &Path) -> io::Result<Arc<dyn SegmentFile>> {
        let file = SystemDisk.create(path)?;
        Ok(Arc::new(BadFile { file, disk: self.clone() }))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        SystemDisk.sync_directory(directory)
    }
}

impl SegmentFile for BadFile {
    fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        if self.disk.full.load(Ordering::SeqCst) {
            // As a full disk does: some of it is written.
            self.file.write(&bytes[..bytes.len() / 2], offset)?;
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes, offset)?;
        if bytes.len() > format::FRAME
            && let Some((begun, go_on)) = self.disk.gate.lock().unwrap().take()
        {
            begun.send(()).unwrap();
            go_on.recv_timeout(PATIENCE).unwrap();
        }
        Ok(())
    }

    fn cut(&self, length: u64) -> io::Result<()> {
        self.file.cut(length)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }
}

#[test]
fn a_full_disk_costs_what_comes_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::default();
    let (spool, mut reader) = Spool::open_on(Box::new(disk.clone()), config(dir.path()), telemetry()).unwrap();
    for round in 0..3 {
        put(&spool, &[&format!("before {round}")]);
        disk.full.store(true, Ordering::SeqCst);
        let lost = vec![b"lost one".to_vec(), b"lost two".to_vec()];
        assert_eq!(spool.append_blocking(lost), Err(DropReason::DiskFull));
        disk.full.store(false, Ordering::SeqCst);
    }
    put(&spool, &["after"]);
    assert_eq!(spool.status().dropped, 6);
    let want = ["before 0", "before 1", "before 2", "after"];
    assert_eq!(all(&mut reader), want);
    drop((spool, reader));
    assert_eq!(drain(&mut open_at(dir.path()).1, 9), want, "nothing half-written comes back");
}

/// Files of `directory` that are deleted and still open.
fn held_open(directory: &Path) -> Vec<PathBuf> {
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    // One may be closed meanwhile.
    let mut open: Vec<PathBuf> = open.filter_map(|request| std::fs::read_link(request.path()).ok()).collect();
    open.retain(|path| path.starts_with(directory) && path.to_string_lossy().ends_with("(deleted)"));
    open
}

#[test]
fn what_is_delivered_gives_its_room_back_on_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::default();
    let (spool, mut reader) = Spool::open_on(Box::new(disk.clone()), config(dir.path()), telemetry()).unwrap();
    put(&spool, &["before"]);
    assert_eq!(drain(&mut reader, 9), ["before"]);
    disk.full.store(true, Ordering::SeqCst);
    assert_eq!(spool.append_blocking(vec![b"lost".to_vec()]), Err(DropReason::DiskFull));
    assert_eq!(spool.append_blocking(vec![b"lost".to_vec()]), Err(DropReason::DiskFull));
    assert!(reader.next(9, usize::MAX).unwrap().records.is_empty());
    assert_eq!(segments(dir.path()), [] as [PathBuf; 0]);
    // The thread that forces files to the disk lets go when it has done so.
    let begun = Instant::now();
    while !held_open(dir.path()).is_empty() {
        assert!(begun.elapsed() < PATIENCE, "{:?}", held_open(dir.path()));
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_disk_that_is_full_from_the_start_is_tried_again() {
    let dir = tempfile::tempdir().unwrap();
    let disk = BadDisk::default();
    disk.full.store(true, Ordering::SeqCst);
    let (spool, mut reader) = Spool::open_on(Box::new(disk.clone()), config(dir.path()), telemetry()).unwrap();
    assert_eq!(spool.append_blocking(vec![b"lost".to_vec()]), Err(DropReason::DiskFull));
    disk.full.store(false, Ordering::SeqCst);
    put(&spool, &["kept"]);
    assert_eq!(drain(&mut reader, 9), ["kept"]);
}
