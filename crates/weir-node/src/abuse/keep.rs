//! Keeps automatic entries in a file, so that they survive a restart.

use super::Abuse;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use weir_abuse::Change;
use weir_runtime::clock::now_millis;

/// Largest file that is read: more than a full store writes.
const MAX_FILE: u64 = 128 << 20;
/// How often changes are written.
const INTERVAL: Duration = Duration::from_millis(500);

/// The file of entries.
#[derive(Clone, Debug)]
pub struct EntryFile {
    path: PathBuf,
}

impl EntryFile {
    /// A file in `directory`.
    pub fn new(directory: PathBuf) -> Self {
        Self { path: directory.join("entries.jsonl") }
    }

    /// Reads what was kept into `abuse`; returns the number of lines that could not be read. A missing file is empty.
    pub fn load(&self, abuse: &Abuse) -> io::Result<usize> {
        let text = match std::fs::metadata(&self.path) {
            Ok(found) if found.len() > MAX_FILE => return Err(io::Error::other("the file is too large")),
            Ok(_) => std::fs::read_to_string(&self.path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error),
        };
        let mut damaged = 0;
        for line in text.lines() {
            match serde_json::from_str::<Change>(line) {
                Ok(change) => {
                    abuse.entries().apply(change, now_millis());
                }
                Err(_) => damaged += 1,
            }
        }
        Ok(damaged)
    }

    /// Writes what holds now, in place of what was there.
    pub fn save(&self, abuse: &Abuse) -> io::Result<()> {
        let mut text = Vec::new();
        for change in abuse.entries().all(now_millis()) {
            serde_json::to_writer(&mut text, &change)?;
            text.push(b'\n');
        }
        let directory = self.path.parent().ok_or_else(|| io::Error::other("no directory"))?;
        std::fs::create_dir_all(directory)?;
        let new = self.path.with_extension("new");
        let mut file = std::fs::File::create(&new)?;
        file.write_all(&text)?;
        file.sync_data()?;
        std::fs::rename(&new, &self.path)
    }

    /// Writes changes soon after they are made, until `stop`, and what is left then.
    pub async fn run(self, abuse: Arc<Abuse>, stop: CancellationToken) {
        let mut written = abuse.entries().version();
        let mut failing = false;
        loop {
            let stopped = tokio::select! {
                () = stop.cancelled() => true,
                () = tokio::time::sleep(INTERVAL) => false,
            };
            abuse.entries().purge(now_millis());
            let version = abuse.entries().version();
            if version != written {
                let (file, abuse) = (self.clone(), Arc::clone(&abuse));
                let saved = tokio::task::spawn_blocking(move || file.save(&abuse)).await;
                match saved.map_err(io::Error::other).flatten() {
                    Ok(()) => (written, failing) = (version, false),
                    Err(error) if !std::mem::replace(&mut failing, true) => {
                        tracing::error!(%error, "automatic entries could not be written; a restart would lose them");
                    }
                    Err(_) => {}
                }
            }
            if stopped {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abuse::AbuseSettings;
    use weir_abuse::{Entry, Key};

    #[test]
    fn entries_survive_and_damaged_lines_are_counted() {
        let directory = tempfile::tempdir().unwrap();
        let settings = AbuseSettings { memory: 1 << 20, secrets: Vec::new(), shared: false };
        let (before, after) = (Abuse::new(&settings), Abuse::new(&settings));
        let (now, file) = (now_millis(), EntryFile::new(directory.path().join("abuse")));
        assert_eq!(file.load(&after).unwrap(), 0, "no file yet");
        before.entries().list(Entry { subject: Key(5), at: now, expires: now + 60_000, ..Entry::default() }, now);
        file.save(&before).unwrap();
        let path = directory.path().join("abuse/entries.jsonl");
        let mut text = std::fs::read_to_string(&path).unwrap();
        text.push_str("{\"listed\": 7}\n");
        std::fs::write(&path, text).unwrap();
        assert_eq!(file.load(&after).unwrap(), 1);
        assert!(after.entries().find(Key(5), 0, now).is_some());
    }
}
