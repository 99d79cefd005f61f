//! Cache of the files that a policy names, by the hash of their content.

use super::call_error::CallError;
use super::file_body::FileBody;
use super::files;
use super::link::Link;
use ring::digest::{Context, SHA256};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use tokio::io::AsyncWriteExt;
use weir_protocol::node_api::Blob;
use weir_runtime::hex;

/// Bytes read at once.
const CHUNK: usize = 256 << 10;

/// A directory of files by hash. Files that no policy in use names are removed.
#[derive(Clone, Debug)]
pub struct BlobCache {
    directory: PathBuf,
}

/// Why a file is not available.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The download failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// It could not be stored.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The downloaded file does not match the policy.
    #[error("its {0} is not the one that the policy names")]
    Wrong(&'static str),
}

impl BlobCache {
    /// Opens `directory`, which is created if it does not exist.
    pub fn open(directory: PathBuf) -> io::Result<Self> {
        files::create_dir(&directory)?;
        Ok(Self { directory })
    }

    /// Path of the file with this hash. The caller has checked that it is a hash.
    pub fn path(&self, sha256: &str) -> PathBuf {
        self.directory.join(sha256)
    }

    /// The path of the file, if it exists and matches. Reads the whole file.
    pub fn find(&self, blob: &Blob) -> Option<PathBuf> {
        let path = self.path(&blob.sha256);
        let hashed = hash(&path);
        match hashed {
            Ok((bytes, sha256)) if bytes == blob.bytes && sha256 == blob.sha256 => Some(path),
            Ok(_) => {
                tracing::error!(path = %path.display(), "the content has changed; downloading the file again");
                None
            }
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    tracing::error!(path = %path.display(), %error, "cannot read the file; downloading it again");
                }
                None
            }
        }
    }

    /// Downloads the file if it is not there yet.
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
        let mut download = link.call(fetch).await?;
        let temporary = self.path(&blob.sha256).with_extension("new");
        let mut file = tokio::fs::File::from_std(files::create(&temporary)?);
        let (mut context, mut bytes) = (Context::new(&SHA256), 0u64);
        while let Some(chunk) = download.next().await? {
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
        if hex::encode(context.finish().as_ref()) != blob.sha256 {
            return Err(BlobError::Wrong("content"));
        }
        file.flush().await?;
        file.sync_all().await?;
        files::rename_synced(&temporary, &self.path(&blob.sha256))?;
        Ok(())
    }

    /// Opens the file with this hash as a response body. The caller has checked that it is a hash.
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
            return Ok((total, hex::encode(context.finish().as_ref())));
        }
        context.update(&chunk[..read]);
        total += read as u64;
    }
}
