//! Files that are replaced as a whole and readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Creates `directory` and its parents, accessible to the owner only.
pub fn create_dir(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Replaces `path`: after a crash or on a full disk it contains either the old or the new content, never a part. What could not
/// be written as a whole is removed again.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = create(&temporary)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // The error of the write is the one to tell; a part that stays is removed by the next attempt.
        let _removed = fs::remove_file(&temporary);
    }
    written?;
    rename_synced(&temporary, path)
}

/// Creates an empty file; a file left by an interrupted run is removed.
pub fn create(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Renames `temporary`, which is synced to disk already, to `path` and syncs the directory.
pub fn rename_synced(temporary: &Path, path: &Path) -> io::Result<()> {
    fs::rename(temporary, path)?;
    match path.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}

/// The content of `path`; `None` if it does not exist. More than `most` bytes are an error.
pub fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut content = Vec::new();
    if file.take(most + 1).read_to_end(&mut content)? as u64 > most {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("larger than {most} bytes")));
    }
    Ok(Some(content))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system of 64 KiB in memory; none, and loudly so, where this process may not mount.
    struct Small(tempfile::TempDir);

    impl Small {
        fn mount() -> Option<Small> {
            let directory = tempfile::tempdir().unwrap();
            let mut mount = std::process::Command::new("mount");
            mount.args(["-t", "tmpfs", "-o", "size=64k,mode=700", "tmpfs"]).arg(directory.path());
            if mount.stderr(std::process::Stdio::null()).status().is_ok_and(|status| status.success()) {
                return Some(Small(directory));
            }
            eprintln!("skipped: full disks (only root can mount a small file system)");
            None
        }
    }

    impl Drop for Small {
        fn drop(&mut self) {
            let status = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
            assert!(status.is_ok_and(|status| status.success()) || std::thread::panicking());
        }
    }

    #[test]
    fn a_full_disk_leaves_the_old_content_and_no_part() {
        let Some(small) = Small::mount() else { return };
        let path = small.0.path().join("node.json");
        replace(&path, b"old").unwrap();
        let error = replace(&path, &[b'x'; 200 << 10]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull, "{error}");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        assert_eq!(fs::read_dir(small.0.path()).unwrap().count(), 1, "a part is left");
        replace(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
    }
}
