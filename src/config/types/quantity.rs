//! Durations and byte sizes.

use super::{Bad, Setting};
use std::time::Duration;

const NANOS: [(&str, u64); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60_000_000_000),
    ("h", 3_600_000_000_000),
];

/// Longest duration accepted: more is probably a mistake, and sums of deadlines must not overflow.
const MAX_DURATION: Duration = Duration::from_secs(10 * 365 * 86_400);

impl Setting for Duration {
    const TYPE: &'static str = "duration";

    fn parse(text: &str) -> Result<Self, Bad> {
        const HOW: &str = "write a number with its unit, such as `200ms`, `1s`, `1m30s` or `2h`";
        if text == "0" {
            return Ok(Duration::ZERO);
        }
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Bad::with("a duration needs a unit", format!("write `{text}s` or `{text}ms`")));
        }
        let mut total = 0f64;
        let mut rest = text;
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let (number, tail) = rest.split_at(digits);
            let letters = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
            let (unit, tail) = tail.split_at(letters);
            let number: f64 = number.parse().map_err(|_| Bad::with("not a duration", HOW))?;
            let unit = NANOS.iter().find(|(name, _)| *name == unit);
            let (_, nanos) = unit.ok_or_else(|| Bad::with("not a duration: unknown unit", HOW))?;
            total += number * *nanos as f64;
            rest = tail;
        }
        if text.is_empty() {
            return Err(Bad::with("not a duration", HOW));
        }
        if total > MAX_DURATION.as_nanos() as f64 {
            return Err(Bad::with("longer than ten years", "leave the key out for no limit"));
        }
        Ok(Duration::from_nanos(total.round() as u64))
    }

    fn show(&self) -> String {
        let mut nanos = self.as_nanos();
        if nanos == 0 {
            return "0s".to_owned();
        }
        let mut out = String::new();
        for (name, size) in NANOS.iter().rev().filter(|(name, _)| *name != "µs") {
            let count = nanos / u128::from(*size);
            nanos %= u128::from(*size);
            if count > 0 {
                out.push_str(&format!("{count}{name}"));
            }
        }
        out
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const BINARY: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];
/// Decimal units, and the bare binary ones of Kubernetes.
const FURTHER: [(&str, u64); 9] = [
    ("B", 1),
    ("kB", 1_000),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("Ki", 1 << 10),
    ("Mi", 1 << 20),
    ("Gi", 1 << 30),
    ("Ti", 1 << 40),
];

impl Setting for ByteSize {
    const TYPE: &'static str = "byte size";

    fn parse(text: &str) -> Result<Self, Bad> {
        const HOW: &str = "write bytes such as `640_000`, or a unit such as `512KiB`, `8MiB`, `1GiB`";
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.replace('_', "").parse().map_err(|_| Bad::with("not a byte size", HOW))?;
        let unit = unit.trim_start();
        let factor = match unit {
            "" => 1,
            _ => BINARY
                .iter()
                .chain(&FURTHER)
                .find(|(name, _)| *name == unit)
                .map(|(_, factor)| *factor)
                .ok_or_else(|| Bad::with(format!("unknown unit `{unit}`"), HOW))?,
        };
        let bytes = number.checked_mul(factor).filter(|&n| n <= i64::MAX as u64);
        bytes.map(ByteSize).ok_or_else(|| Bad::with("too many bytes", HOW))
    }

    fn show(&self) -> String {
        let exact = BINARY.iter().rev().find(|(_, factor)| self.0 > 0 && self.0.is_multiple_of(*factor));
        exact.map_or_else(|| self.0.to_string(), |(name, factor)| format!("{}{name}", self.0 / factor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations() {
        assert_eq!(Duration::parse("200ms").unwrap(), Duration::from_millis(200));
        assert_eq!(Duration::parse("1m30s").unwrap(), Duration::from_secs(90));
        assert_eq!(Duration::parse("1.5h").unwrap(), Duration::from_secs(5400));
        assert_eq!(Duration::parse("0").unwrap(), Duration::ZERO);
        assert_eq!(Duration::parse("30").unwrap_err().help.unwrap(), "write `30s` or `30ms`");
        for text in ["", "s", "1d", "-1s", "1 s", "1s ", "1..2s", "1e9s", "9999999h", "."] {
            assert!(Duration::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes() {
        assert_eq!(ByteSize::parse("640_000").unwrap(), ByteSize(640_000));
        assert_eq!(ByteSize::parse("8MiB").unwrap(), ByteSize(8 << 20));
        assert_eq!(ByteSize::parse("1 GB").unwrap(), ByteSize(1_000_000_000));
        for text in ["", "MiB", "8m", "-1", "99999999999999999999", "20000000TiB", "1.5MiB"] {
            assert!(ByteSize::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_back(nanos in 0u64..1 << 50, bytes in 0u64..1 << 50) {
            let duration = Duration::from_nanos(nanos);
            prop_assert_eq!(Duration::parse(&duration.show()).unwrap(), duration);
            prop_assert_eq!(ByteSize::parse(&ByteSize(bytes).show()).unwrap(), ByteSize(bytes));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = (Duration::parse(&text), ByteSize::parse(&text));
        }
    }
}
