//! Reads batches of records: newline-separated JSON, optionally compressed with gzip.

use crate::node_api::{MAX_BATCH, MAX_BATCH_BYTES};
use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::{self, Read as _};

/// A batch, parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch<T> {
    /// The records, each with its line number.
    pub records: Vec<NumberedRecord<T>>,
    /// Malformed lines: number and reason, as in [`crate::node_api::Ack::rejected`].
    pub rejected: Vec<(u64, String)>,
}

/// A record and its position in a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberedRecord<T> {
    /// Line number from 0; empty lines do not count.
    pub line: u64,
    /// The record.
    pub record: T,
}

/// Why a batch is rejected as a whole.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The gzip stream is broken.
    #[error("gzip: {0}")]
    Gzip(#[source] io::Error),
    /// The batch has more than [`MAX_BATCH_BYTES`] bytes after decompression.
    #[error("the batch is larger than {MAX_BATCH_BYTES} bytes")]
    TooLarge,
    /// The batch has more than [`MAX_BATCH`] records.
    #[error("more than {MAX_BATCH} records in a batch")]
    TooManyRecords,
}

/// Parses a batch; `parse` reads one line without surrounding white space. Takes time proportional to the size of the
/// batch, so it does not belong on a thread that serves requests.
pub fn read<T>(
    body: &[u8],
    gzip: bool,
    mut parse: impl FnMut(&[u8]) -> Result<T, String>,
) -> Result<Batch<T>, BatchError> {
    let text = if gzip { decompress(body)?.into() } else { Cow::Borrowed(body) };
    if text.len() > MAX_BATCH_BYTES {
        return Err(BatchError::TooLarge);
    }
    let mut batch = Batch { records: Vec::new(), rejected: Vec::new() };
    let lines = text.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    for (number, line) in lines.enumerate() {
        if number >= MAX_BATCH {
            return Err(BatchError::TooManyRecords);
        }
        let number = number as u64;
        match parse(line) {
            Ok(record) => batch.records.push(NumberedRecord { line: number, record }),
            Err(reason) => batch.rejected.push((number, reason)),
        }
    }
    Ok(batch)
}

/// Decompresses all members of a gzip stream (RFC 1952 §2.2), up to one byte more than a batch may have.
fn decompress(body: &[u8]) -> Result<Vec<u8>, BatchError> {
    let mut text = Vec::new();
    let limit = MAX_BATCH_BYTES as u64 + 1;
    MultiGzDecoder::new(body).take(limit).read_to_end(&mut text).map_err(BatchError::Gzip)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn numbers(body: &[u8], gzip: bool) -> Result<Batch<u64>, BatchError> {
        read(body, gzip, |line| serde_json::from_slice(line).map_err(|error| error.to_string()))
    }

    fn records(batch: &Batch<u64>) -> Vec<(u64, u64)> {
        batch.records.iter().map(|record| (record.line, record.record)).collect()
    }

    #[test]
    fn lines_are_numbered_without_empty_ones_and_malformed_ones_are_rejected() {
        let batch = numbers(b" 7 \r\n\n\r\nx\n9", false).unwrap();
        assert_eq!(records(&batch), [(0, 7), (2, 9)]);
        assert_eq!(batch.rejected.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [1]);
    }

    #[test]
    fn every_member_of_a_gzip_stream_is_read() {
        let body = [gzip(b"1\n2\n"), gzip(b"3\n")].concat();
        assert_eq!(records(&numbers(&body, true).unwrap()), [(0, 1), (1, 2), (2, 3)]);
    }

    #[test]
    fn batches_are_bounded_also_over_several_members() {
        let half = vec![b' '; MAX_BATCH_BYTES / 2 + 1];
        assert!(matches!(numbers(&[half.clone(), half.clone()].concat(), false), Err(BatchError::TooLarge)));
        assert!(matches!(numbers(&[gzip(&half), gzip(&half)].concat(), true), Err(BatchError::TooLarge)));
        let many = "1\n".repeat(MAX_BATCH + 1);
        assert!(matches!(numbers(many.as_bytes(), false), Err(BatchError::TooManyRecords)));
        assert!(matches!(numbers(b"1", true), Err(BatchError::Gzip(_))));
        let broken = [gzip(b"1\n"), gzip(b"2\n")[..12].to_vec()].concat();
        assert!(matches!(numbers(&broken, true), Err(BatchError::Gzip(_))));
    }
}
