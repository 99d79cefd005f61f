//! A Unix socket to listen on: its file appears with its final mode and group, replaces one that a killed process left, and
//! goes when the listener is closed.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Longest path, in bytes: the system allows 107, and the file is made under a name that is 4 bytes longer.
pub const MAX_PATH: usize = 103;
/// Where the system lists groups.
const GROUPS: &str = "/etc/group";

/// A listening Unix socket. Its file is removed when this is dropped, unless another process has replaced it.
#[derive(Debug)]
pub struct UnixSocket {
    pub(super) listener: UnixListener,
    path: PathBuf,
    /// Device and inode of the file.
    file: (u64, u64),
}

impl UnixSocket {
    /// Listens on `path` with the permission bits `mode`; `group` is a name in `/etc/group`, or a number.
    ///
    /// # Errors
    /// Another process listens there; the path is in use by something that is no socket; the group is not known; or the
    /// system refuses it.
    pub fn bind(path: &Path, mode: u32, group: Option<&str>) -> io::Result<Self> {
        refuse_if_used(path)?;
        let gid = group.map(group_id).transpose()?;
        // The file gets its name once its permissions are right, and the rename replaces a stale one.
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(&new)?;
        let named = name_file(&new, path, mode, gid);
        if named.is_err() {
            // The error of the first step says more than one of the cleaning up.
            let _removed = fs::remove_file(&new);
        }
        Ok(Self { listener, path: path.to_owned(), file: named? })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        let own = fs::symlink_metadata(&self.path).is_ok_and(|at| (at.dev(), at.ino()) == self.file);
        if own && let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the socket");
        }
    }
}

fn name_file(new: &Path, path: &Path, mode: u32, gid: Option<u32>) -> io::Result<(u64, u64)> {
    if gid.is_some() {
        std::os::unix::fs::chown(new, None, gid)?;
    }
    fs::set_permissions(new, fs::Permissions::from_mode(mode))?;
    let at = fs::symlink_metadata(new)?;
    fs::rename(new, path)?;
    Ok((at.dev(), at.ino()))
}

/// Refuses a path where a process listens, or that is not a socket.
fn refuse_if_used(path: &Path) -> io::Result<()> {
    let at = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        at => at?,
    };
    if !at.file_type().is_socket() {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "the path exists and is not a socket"));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens on the socket")),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(error) => Err(error),
    }
}

/// The id of a group by name or number. Only `/etc/group` is read: groups of a directory service need the number.
fn group_id(group: &str) -> io::Result<u32> {
    if let Ok(id) = group.parse() {
        return Ok(id);
    }
    let groups = fs::read_to_string(GROUPS)?;
    let entry = groups.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|entry| entry[0] == group);
    let id = entry.and_then(|entry| entry.get(2)?.parse().ok());
    id.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, format!("no group `{group}` in {GROUPS}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(path: &Path, group: Option<&str>) -> String {
        UnixSocket::bind(path, 0o660, group).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn the_file_has_its_mode_and_goes_with_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.sock");
        let socket = UnixSocket::bind(&path, 0o622, None).unwrap();
        let at = fs::symlink_metadata(&path).unwrap();
        assert!(at.file_type().is_socket() && at.mode() & 0o777 == 0o622);
        assert!(error(&path, None).contains("another process listens"));
        drop(socket);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "nothing is left");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_other_files_are_not() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        drop(std::os::unix::net::UnixListener::bind(directory.path().join("node.sock.new")).unwrap());
        let socket = UnixSocket::bind(&path, 0o660, None).unwrap();
        std::os::unix::net::UnixStream::connect(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "of another program").unwrap();
        drop(socket);
        assert_eq!(fs::read_to_string(&path).unwrap(), "of another program");
        assert!(error(&path, None).contains("not a socket"));
    }

    #[tokio::test]
    async fn an_unknown_group_is_named_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("node.sock");
        assert!(error(&path, Some("no-such-group")).contains("no group `no-such-group`"));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        let own = fs::metadata(directory.path()).unwrap().gid();
        let socket = UnixSocket::bind(&path, 0o660, Some(&own.to_string())).unwrap();
        assert_eq!(fs::symlink_metadata(socket.path()).unwrap().gid(), own);
    }
}
