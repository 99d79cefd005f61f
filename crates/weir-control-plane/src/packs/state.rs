//! [`Packs`]: what the service of packs and databases holds between calls.

use crate::error::Result;
use crate::policy::replay::RuleFiles;
use ring::digest::{Context, SHA256};
use std::sync::{Arc, Mutex, PoisonError};
use weir_protocol::node_api::Blob;

/// Sets of files of which it is remembered that they compile.
const KNOWN: usize = 32;

/// Turns for those who change packs, and the rule files of packs as last read.
#[derive(Debug, Default)]
pub struct Packs {
    /// One change at a time: content may be large, and what is removed must not be put in use meanwhile.
    pub(super) turn: tokio::sync::Mutex<()>,
    pub(super) files: Mutex<Vec<(Vec<Blob>, Arc<RuleFiles>)>>,
    pub(super) compiled: Compiled,
}

#[cfg(test)]
impl Packs {
    /// How many sets of rule files were compiled.
    pub(crate) fn compilations(&self) -> usize {
        self.compiled.runs.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Sets of rule files that compiled, by the hash of their names and texts, with the signatures of the last file: what was
/// stored a moment ago is put in use without being compiled again, which takes a second.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    known: Mutex<Vec<(Hash, u64)>>,
    /// Sets that were compiled.
    #[cfg(test)]
    pub runs: std::sync::atomic::AtomicUsize,
}

/// SHA-256.
type Hash = [u8; 32];

impl Compiled {
    /// The signatures of the last of `files`, which compile together, or why they do not, as `compile` says.
    pub fn check(&self, files: &RuleFiles, compile: impl FnOnce(&RuleFiles) -> Result<u64>) -> Result<u64> {
        let hash = hash(files);
        let lock = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, items)) = lock().iter().find(|(known, _)| *known == hash) {
            return Ok(*items);
        }
        #[cfg(test)]
        self.runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let items = compile(files)?;
        let mut known = lock();
        known.truncate(KNOWN - 1);
        known.insert(0, (hash, items));
        Ok(items)
    }
}

fn hash(files: &RuleFiles) -> Hash {
    let mut context = Context::new(&SHA256);
    for text in files.iter().flat_map(|(name, text)| [name, text]) {
        context.update(&(text.len() as u64).to_be_bytes());
        context.update(text.as_bytes());
    }
    let mut out = Hash::default();
    out.copy_from_slice(context.finish().as_ref());
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn what_compiled_is_not_compiled_again_and_what_failed_is() {
        let compiled = Compiled::default();
        let files = |text: &str| vec![("a".to_owned(), text.to_owned())];
        let ok = |_: &RuleFiles| Ok(3);
        let never = |_: &RuleFiles| Err(Error::NotFound("need for this"));
        assert!(compiled.check(&files("x"), never).is_err());
        assert_eq!(compiled.check(&files("x"), ok).unwrap(), 3, "a failure is not remembered");
        assert_eq!(compiled.check(&files("x"), never).unwrap(), 3);
        // Other bytes, and the same bytes otherwise divided.
        assert!(compiled.check(&files("y"), never).is_err());
        assert!(compiled.check(&vec![("ax".to_owned(), String::new())], never).is_err());
        for n in 0..KNOWN {
            compiled.check(&files(&n.to_string()), ok).unwrap();
        }
        assert!(compiled.check(&files("x"), never).is_err(), "the oldest goes");
    }
}
