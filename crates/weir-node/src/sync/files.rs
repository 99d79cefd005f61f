//! Files that are replaced as a whole and readable by their owner only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

/// Creates `directory` and its parents, accessible to the owner only.
pub fn create_dir(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Replaces `path`: after a crash it contains either the old or the new content, never a part.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file = create(&temporary)?;
    file.write_all(content)?;
    file.sync_all()?;
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
