//! Reads labelled requests: JSON lines, and tables of raw requests.

use crate::cli::error::CliError;
use crate::cli::readers::{self, Form, ReadError};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// Columns that a table must have.
const REQUIRED: [&str; 2] = ["file", "expected"];

/// A labelled request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    /// Name, unique in its source.
    pub id: String,
    /// Where it is from.
    pub source: String,
    /// `benign`, or the class of the attack.
    pub class: String,
    /// How far a benign source can be trusted to be ordinary traffic; `-` if nothing says so.
    pub tier: String,
    /// Where the payload is; `-` if nothing says so.
    pub place: String,
    /// Head and body as in HTTP/1.1.
    pub raw: Vec<u8>,
}

/// The label of requests that must pass.
pub(super) const BENIGN: &str = "benign";

/// A file of labelled requests, split into what one thread reads at a time.
pub(super) enum CorpusFile {
    /// JSON lines: the contents, and where each line begins and ends.
    Lines(PathBuf, Vec<u8>, Vec<(usize, usize)>),
    /// Rows of a table of raw requests.
    Table(Vec<Row>),
}

/// A row of a table of raw requests.
pub(super) struct Row {
    file: PathBuf,
    id: String,
    source: String,
    class: String,
    tier: String,
}

/// The files that `paths` name: of a directory all `.jsonl` and `.tsv` files.
pub(super) fn expand(paths: &[PathBuf]) -> Result<Vec<PathBuf>, CliError> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let before = files.len();
        for entry in fs::read_dir(path).map_err(CliError::file(path))? {
            let file = entry.map_err(CliError::file(path))?.path();
            if file.extension().is_some_and(|end| end == "jsonl" || end == "tsv") {
                files.push(file);
            }
        }
        if files.len() == before {
            let message = "the directory has no corpus: expected files *.jsonl, or a table *.tsv of raw requests";
            return Err(unusable(path, 0, message));
        }
        files[before..].sort();
    }
    Ok(files)
}

fn unusable(path: &Path, line: usize, message: impl Into<String>) -> CliError {
    CliError::requests(path)(ReadError { line, message: message.into() })
}

/// At most [`readers::MAX_INPUT`] bytes of `path`.
fn contents(path: &Path) -> Result<Vec<u8>, CliError> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(readers::MAX_INPUT + 1).read_to_end(&mut bytes));
    read.map_err(CliError::file(path))?;
    if bytes.len() as u64 > readers::MAX_INPUT {
        return Err(CliError::TooLarge { name: path.display().to_string(), limit: readers::MAX_INPUT });
    }
    Ok(bytes)
}

impl CorpusFile {
    /// Opens a file: a table if its name ends in `.tsv`, else JSON lines.
    pub fn open(path: &Path) -> Result<Self, CliError> {
        let bytes = contents(path)?;
        if path.extension().is_some_and(|end| end == "tsv") {
            let text = String::from_utf8(bytes);
            let text = text.map_err(|_| CliError::Encoding { name: path.display().to_string() })?;
            return rows(path, &text).map(CorpusFile::Table);
        }
        let mut lines = Vec::new();
        let mut start = 0;
        for line in bytes.split(|&b| b == b'\n') {
            lines.push((start, start + line.len()));
            start += line.len() + 1;
        }
        Ok(CorpusFile::Lines(path.to_owned(), bytes, lines))
    }

    /// How many requests it may have.
    pub fn len(&self) -> usize {
        match self {
            CorpusFile::Lines(_, _, lines) => lines.len(),
            CorpusFile::Table(rows) => rows.len(),
        }
    }

    /// The request at place `at`; `None` for an empty line.
    pub fn record(&self, at: usize) -> Result<Option<Record>, CliError> {
        match self {
            CorpusFile::Lines(path, bytes, lines) => {
                let (start, end) = lines[at];
                let line = &bytes[start..end];
                if line.trim_ascii().is_empty() { Ok(None) } else { from_line(path, at + 1, line).map(Some) }
            }
            CorpusFile::Table(rows) => rows[at].record().map(Some),
        }
    }
}

fn from_line(path: &Path, number: usize, line: &[u8]) -> Result<Record, CliError> {
    let sample = readers::json_line(number, line).map_err(CliError::requests(path))?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let Some(class) = sample.class else {
        return Err(unusable(path, number, "`class` is missing: `benign`, or the class of the attack"));
    };
    Ok(Record {
        id: sample.id.unwrap_or_else(|| format!("{stem}-{number:05}")),
        source: sample.source.unwrap_or_else(|| stem.into_owned()),
        class,
        tier: sample.tier.unwrap_or_else(|| "-".into()),
        place: sample.place.unwrap_or_else(|| "-".into()),
        raw: sample.raw,
    })
}

/// The rows of a table: the first line names the columns.
fn rows(path: &Path, text: &str) -> Result<Vec<Row>, CliError> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((_, head)) = lines.next() else { return Err(unusable(path, 0, "the table is empty")) };
    let columns: Vec<&str> = head.split('\t').collect();
    let column = |name: &str| columns.iter().position(|column| *column == name);
    if let Some(missing) = REQUIRED.iter().find(|name| column(name).is_none()) {
        return Err(unusable(
            path,
            1,
            format!("the table has no column `{missing}`; it needs {}", REQUIRED.join(", ")),
        ));
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let source = folder.canonicalize().ok().and_then(|full| Some(full.file_name()?.to_string_lossy().into_owned()));
    let source = source.unwrap_or_else(|| "table".into());
    let row = |(at, line): (usize, &str)| {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |name: &str| column(name).and_then(|at| fields.get(at)).copied().filter(|text| !text.is_empty());
        let file = field("file").ok_or_else(|| unusable(path, at + 1, "`file` is empty"))?;
        let class = match field("expected") {
            Some("pass") => BENIGN,
            Some("block") => field("class").unwrap_or("attack"),
            _ => return Err(unusable(path, at + 1, "`expected` is `pass` or `block`")),
        };
        Ok(Row {
            file: folder.join(file),
            id: file.to_owned(),
            source: source.clone(),
            class: class.to_owned(),
            tier: field("tier").unwrap_or("-").to_owned(),
        })
    };
    lines.map(row).collect()
}

impl Row {
    fn record(&self) -> Result<Record, CliError> {
        let mut samples = readers::read(&contents(&self.file)?, Form::Http).map_err(CliError::requests(&self.file))?;
        let sample = samples.pop().ok_or_else(|| unusable(&self.file, 0, "the file has no request"))?;
        let (id, source, class) = (self.id.clone(), self.source.clone(), self.class.clone());
        Ok(Record { id, source, class, tier: self.tier.clone(), place: "-".into(), raw: sample.raw })
    }
}
