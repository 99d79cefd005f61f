//! Files that a policy names, kept by the hash of their content.

use super::call_error::CallError;
use super::file_body::FileBody;
use super::files;
use super::link::Link;
use super::public_key::hex;
use ring::digest::{Context, SHA256};
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt;
use weir_protocol::node_api::Blob;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// A directory of files by hash. It holds what the policies in use name, and nothing else for long.
#[derive(Clone, Debug)]
pub struct BlobCache {
    directory: PathBuf,
}

/// Why a file is not there.
#[derive(Debug)]
pub enum BlobError {
    /// It could not be fetched.
    Call(CallError),
    /// It could not be kept.
    Io(io::Error),
    /// What came is not what was named.
    Wrong(&'static str),
}

impl fmt::Display for BlobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BlobError::Call(error) => error.fmt(f),
            BlobError::Io(error) => error.fmt(f),
            BlobError::Wrong(what) => write!(f, "its {what} is not the one that the policy names"),
        }
    }
}

impl From<io::Error> for BlobError {
    fn from(error: io::Error) -> Self {
        BlobError::Io(error)
    }
}

impl BlobCache {
    /// The files under `directory`, which is made.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        files::create_dir(&directory)?;
        Ok(Self { directory })
    }

    /// Where the file with this hash is, or would be. The hash is known to be one.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.directory.join(sha256)
    }

    /// The file, if it is there and is what it should be. Reads it whole.
    pub fn find(&self, blob: &Blob) -> Option<PathBuf> {
        let path = self.path(&blob.sha256);
        let hashed = hash(&path);
        match hashed {
            Ok((bytes, sha256)) if bytes == blob.bytes && sha256 == blob.sha256 => Some(path),
            Ok(_) => {
                tracing::error!(path = %path.display(), "the content has changed; it is fetched anew");
                None
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(path = %path.display(), %error, "not readable; it is fetched anew");
                }
                None
            }
        }
    }

    /// Fetches what is not there yet.
    pub async fn fetch(&self, link: &Link, blob: &Blob) -> Result<(), BlobError> {
        let (cache, wanted) = (self.clone(), blob.clone());
        let there = tokio::task::spawn_blocking(move || cache.find(&wanted).is_some()).await;
        if there.map_err(|error| BlobError::Io(io::Error::other(error)))? {
            return Ok(());
        }
        let sha256 = blob.sha256.clone();
        let fetch = |client: super::client::Client, identity| {
            let sha256 = sha256.clone();
            async move { client.blob(&identity, &sha256).await }
        };
        let mut download = link.call(fetch).await.map_err(BlobError::Call)?;
        let temporary = self.path(&blob.sha256).with_extension("new");
        let mut file = tokio::fs::File::from_std(files::create(&temporary)?);
        let (mut context, mut bytes) = (Context::new(&SHA256), 0u64);
        while let Some(chunk) = download.next().await.map_err(BlobError::Call)? {
            bytes += chunk.len() as u64;
            if bytes > blob.bytes {
                return Err(BlobError::Wrong("length"));
            }
            context.update(&chunk);
            file.write_all(&chunk).await?;
        }
        if bytes != blob.bytes {
            return Err(BlobError::Wrong("length"));
        }
        if hex(context.finish().as_ref()) != blob.sha256 {
            return Err(BlobError::Wrong("content"));
        }
        file.flush().await?;
        file.sync_all().await?;
        files::rename_synced(&temporary, &self.path(&blob.sha256))?;
        Ok(())
    }

    /// The content of the file with this hash, which is known to be one, as it is sent.
    pub async fn open_file(&self, sha256: &str) -> io::Result<FileBody> {
        FileBody::open(&self.path(sha256)).await
    }

    /// Removes every file but those of `blobs`.
    pub fn keep_only<'b>(&self, blobs: impl IntoIterator<Item = &'b Blob>) -> io::Result<()> {
        let keep: BTreeSet<&str> = blobs.into_iter().map(|blob| blob.sha256.as_str()).collect();
        for entry in std::fs::read_dir(&self.directory)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| keep.contains(name)) {
                std::fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// Length and SHA-256 of a file.
fn hash(path: &Path) -> io::Result<(u64, String)> {
    let mut file = std::fs::File::open(path)?;
    let (mut context, mut total) = (Context::new(&SHA256), 0u64);
    let mut chunk = vec![0u8; CHUNK];
    loop {
        let read = file.read(&mut chunk)?;
        if read == 0 {
            return Ok((total, hex(context.finish().as_ref())));
        }
        context.update(&chunk[..read]);
        total += read as u64;
    }
}
