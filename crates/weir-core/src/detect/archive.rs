//! Names of uploaded files and of archive entries that leave the folder in which they are stored (CWE-22, "zip slip").

use super::{Detector, Match, Samples, Subject};
use crate::model::{AttackType, ByteClassFilter, ByteClasses, Confidence, Zone};

/// The detector.
pub const DETECTOR: Detector = Detector {
    name: "ptrav.file-name",
    attack: AttackType::Ptrav,
    about: "The name of an uploaded file or of an archive's entry climbs out of the folder in which it is stored",
    zones: Zone::FILENAME,
    filter: ByteClassFilter::any(ByteClasses::DOT).and(ByteClasses::SLASH.with(ByteClasses::BACKSLASH)),
    run,
    samples: Samples {
        positive: &["../evil.sh", "a/../../evil", "..\\evil.exe", "../../../../etc/cron.d/x"],
        negative: &["a/b.txt", "..a/b", "a../b", "a/./b", "a/b/../c.txt"],
    },
};

fn run(subject: &Subject<'_>) -> Option<Match> {
    climbs(subject.bytes).then_some(Match { confidence: Confidence::High, start: 0, end: subject.bytes.len() })
}

/// Whether a name leads above where it begins.
fn climbs(name: &[u8]) -> bool {
    let mut depth = 0i64;
    for step in name.split(|b| matches!(b, b'/' | b'\\')) {
        depth += match step {
            b"" | b"." => 0,
            b".." => -1,
            _ => 1,
        };
        if depth < 0 {
            return true;
        }
    }
    false
}
