//! Judges corpora on all cores.

use super::Arguments;
use super::corpus::CorpusFile;
use super::outcome::Outcome;
use crate::cli::error::CliError;
use crate::cli::judge::{Judge, JudgeRules};
use indicatif::{ProgressBar, ProgressStyle};
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use weir_core::engine::Scratch;

/// Address as whose client requests are judged; one for documentation.
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1));

/// The verdicts on all requests of some corpora.
pub(super) struct Run {
    /// In the order of the corpora.
    pub outcomes: Vec<Outcome>,
    /// How long it took.
    pub took: Duration,
}

/// Judges every request of `files`.
pub(super) fn judge_all(files: &[PathBuf], rules: &JudgeRules, arguments: &Arguments) -> Result<Run, CliError> {
    let begin = Instant::now();
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec} {msg}") {
        bar.set_style(style);
    }
    let threads = arguments
        .threads
        .map_or_else(|| thread::available_parallelism().map_or(1, NonZeroUsize::get), NonZeroUsize::get);
    let judge = Judge { rules, client: CLIENT, explain: false };
    let mut outcomes = Vec::new();
    for path in files {
        let file = CorpusFile::open(path)?;
        bar.inc_length(file.len() as u64);
        bar.set_message(path.file_name().unwrap_or_default().to_string_lossy().into_owned());
        outcomes.extend(judge_file(&file, &judge, threads, &bar)?);
    }
    bar.finish_and_clear();
    Ok(Run { outcomes, took: begin.elapsed() })
}

/// Judges the requests of one file, in their order. Of several errors the first in the file is returned.
fn judge_file(
    file: &CorpusFile,
    judge: &Judge<'_>,
    threads: usize,
    bar: &ProgressBar,
) -> Result<Vec<Outcome>, CliError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut scratch = Scratch::default();
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            if at >= file.len() {
                return done;
            }
            let outcome = file.record(at).map(|record| {
                record.map(|mut record| {
                    let raw = std::mem::take(&mut record.raw);
                    let judgement = judge.judge(&raw, &mut scratch);
                    Outcome::new(record, &judgement)
                })
            });
            bar.inc(1);
            let failed = outcome.is_err();
            done.push((at, outcome));
            if failed {
                // Nothing after it is worth the time.
                next.store(file.len(), Ordering::Relaxed);
            }
        }
    };
    let mut done = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let mut done = Vec::with_capacity(file.len());
        for worker in workers {
            match worker.join() {
                Ok(part) => done.extend(part),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        done
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().filter_map(|(_, outcome)| outcome.transpose()).collect()
}
