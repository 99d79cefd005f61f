//! Ends of rules and listed values: RFC 3339 in a document, seconds since 1970 in the policy. A document may have either.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::{Map, Value};

/// The member of a rule, and of a listed value, that says when it ends.
pub const MEMBER: &str = "expired_at";
/// What is expected.
const EXPECTED: &str = "expected a time like 2027-01-31T00:00:00Z, or seconds since 1970";

/// An end as a document may have it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Seconds(u64),
    Text(String),
}

/// `seconds` since 1970 as RFC 3339 in UTC; none past the year 9999.
pub fn written(seconds: u64) -> Option<String> {
    let time = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
    Some(time.to_string())
}

/// Seconds since 1970 of a time in RFC 3339; a part of a second counts as a whole one, so that nothing ends early.
fn read(text: &str) -> Result<u64, &'static str> {
    let time: Timestamp = text.trim().parse().map_err(|_| EXPECTED)?;
    let more = i64::from(time.subsec_nanosecond() > 0);
    u64::try_from(time.as_second() + more).map_err(|_| EXPECTED)
}

/// Writes the end of `rule` as a time.
pub fn write_in(rule: &mut Map<String, Value>) {
    if let Some(end) = rule.get_mut(MEMBER)
        && let Some(text) = end.as_u64().and_then(written)
    {
        *end = Value::String(text);
    }
}

/// Reads the end of `rule`, if it is a text, into seconds.
///
/// # Errors
/// What is expected instead.
pub fn read_in(rule: &mut Map<String, Value>) -> Result<(), &'static str> {
    if let Some(end) = rule.get_mut(MEMBER)
        && let Some(text) = end.as_str()
    {
        *end = Value::from(read(text)?);
    }
    Ok(())
}

/// For serde: writes a time, or seconds that no calendar has.
pub fn serialize<S: Serializer>(end: &Option<u64>, out: S) -> Result<S::Ok, S::Error> {
    match end.map(|seconds| (seconds, written(seconds))) {
        None => out.serialize_none(),
        Some((_, Some(text))) => out.serialize_str(&text),
        Some((seconds, None)) => out.serialize_u64(seconds),
    }
}

/// For serde: reads either.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    match Option::<Written>::deserialize(from).map_err(|_| serde::de::Error::custom(EXPECTED))? {
        None => Ok(None),
        Some(Written::Seconds(seconds)) => Ok(Some(seconds)),
        Some(Written::Text(text)) => read(&text).map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read_in_any_zone() {
        assert_eq!(written(4_000_000_000).as_deref(), Some("2096-10-02T07:06:40Z"));
        assert_eq!(written(u64::MAX), None, "no calendar has it");
        for (text, seconds) in [
            ("2096-10-02T07:06:40Z", Ok(4_000_000_000)),
            ("2096-10-02 09:06:40+02:00", Ok(4_000_000_000)),
            ("2096-10-02T07:06:39.001Z", Ok(4_000_000_000)),
            ("2096-10-02", Err(EXPECTED)),
            ("1969-12-31T00:00:00Z", Err(EXPECTED)),
            ("soon", Err(EXPECTED)),
        ] {
            assert_eq!(read(text), seconds, "{text}");
        }
    }
}
