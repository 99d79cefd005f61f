//! Rule files of a directory tree: read at start, on a reload and by `weir rules`.

use std::io::{Error, ErrorKind, Result};
use std::path::{Path, PathBuf};

/// Largest rule file read, in bytes.
const MAX_FILE: u64 = 4 << 20;
/// Most rule files read.
const MAX_FILES: usize = 10_000;
/// Deepest directory looked into: links may go in circles.
const MAX_DEPTH: usize = 16;

/// The file at `path`, or every `.yaml` and `.yml` file below it, sorted. Names that begin with a dot are left out: a
/// ConfigMap that Kubernetes mounts has each file a second and third time below `..data` and the directory that it points to.
pub fn list(path: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    if path.is_dir() {
        walk(path, 0, &mut found)?
    } else {
        found.push(path.to_owned())
    }
    Ok(found)
}

/// Adds name and text of each file of [`list`] to `files`.
pub fn read(path: &Path, files: &mut Vec<(String, String)>) -> Result<()> {
    for path in list(path)? {
        let fail = |error: Error| Error::new(error.kind(), format!("{}: {error}", path.display()));
        if files.len() >= MAX_FILES {
            return Err(fail(Error::new(ErrorKind::InvalidInput, format!("more than {MAX_FILES} rule files"))));
        }
        if std::fs::metadata(&path).map_err(fail)?.len() > MAX_FILE {
            return Err(fail(Error::new(ErrorKind::InvalidInput, format!("larger than {MAX_FILE} bytes"))));
        }
        files.push((path.display().to_string(), std::fs::read_to_string(&path).map_err(fail)?));
    }
    Ok(())
}

fn walk(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let fail = |error: Error| Error::new(error.kind(), format!("{}: {error}", directory.display()));
    if depth > MAX_DEPTH {
        return Err(fail(Error::new(ErrorKind::InvalidInput, format!("more than {MAX_DEPTH} directories deep"))));
    }
    let entries = std::fs::read_dir(directory).map_err(fail)?.map(|entry| entry.map(|entry| entry.path()));
    let mut entries = entries.collect::<Result<Vec<_>>>().map_err(fail)?;
    entries.sort();
    for entry in entries {
        if entry.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")) {
            continue;
        }
        if entry.is_dir() {
            walk(&entry, depth + 1, found)?;
        } else if entry.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            if found.len() >= MAX_FILES {
                return Err(fail(Error::new(ErrorKind::InvalidInput, format!("more than {MAX_FILES} rule files"))));
            }
            found.push(entry);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees_are_read_in_order_and_circles_end() {
        let root = tempfile::tempdir().unwrap();
        let deep = root.path().join("b/c");
        std::fs::create_dir_all(&deep).unwrap();
        for name in ["a.yaml", "z.yml", "b/c/m.yaml", "notes.txt"] {
            std::fs::write(root.path().join(name), name).unwrap();
        }
        let mut files = Vec::new();
        read(root.path(), &mut files).unwrap();
        assert_eq!(files.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["a.yaml", "b/c/m.yaml", "z.yml"]);
        std::os::unix::fs::symlink(root.path(), deep.join("up")).unwrap();
        assert!(read(root.path(), &mut Vec::new()).unwrap_err().to_string().contains("deep"));
        assert!(read(&root.path().join("none.yaml"), &mut Vec::new()).unwrap_err().to_string().contains("none.yaml"));
    }

    #[test]
    fn a_mounted_config_map_has_each_file_once() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("..2026_11_26")).unwrap();
        std::fs::write(root.path().join("..2026_11_26/own.yaml"), "own").unwrap();
        std::os::unix::fs::symlink("..2026_11_26", root.path().join("..data")).unwrap();
        std::os::unix::fs::symlink("..data/own.yaml", root.path().join("own.yaml")).unwrap();
        assert_eq!(list(root.path()).unwrap(), [root.path().join("own.yaml")]);
    }
}
