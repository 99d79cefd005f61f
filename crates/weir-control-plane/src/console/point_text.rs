//! Points as users write them: as shown in hits, `[post][json_doc][hash,'user']`, or as in policies,
//! `[[post], [json_doc], [hash, user]]`.

use serde_json::{Value, json};
use weir_core::model::point::{Argument, OwnedKey, PatternItem, PointPattern, Tag};
use weir_core::ruleset::similar_name;

/// Longest point, in bytes.
const MAX_POINT: usize = 4_096;
/// Most steps.
const MAX_STEPS: usize = 64;

/// Why a text is not a point.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PointError {
    /// There are no steps.
    #[error("enter a point such as [post][json_doc][hash,'user']")]
    Empty,
    /// More than [`MAX_POINT`] bytes.
    #[error("it is longer than {MAX_POINT} bytes")]
    TooLong,
    /// More than [`MAX_STEPS`] steps.
    #[error("it has more than {MAX_STEPS} steps")]
    TooManySteps,
    /// A closing bracket is missing.
    #[error("the last bracket is not closed")]
    UnclosedBracket,
    /// A closing quote is missing.
    #[error("the name after {0} is not closed")]
    UnclosedQuote(char),
    /// A step does not begin with a bracket; with its first characters.
    #[error(
        "expected a point such as [post][json_doc][hash,'user'], as hits show it: a step begins with `[`, not `{0}`"
    )]
    NoBracket(String),
    /// An argument that must be a number is not one.
    #[error("`{tag}` takes a number, not `{argument}`")]
    NotANumber {
        /// The tag of the step.
        tag: String,
        /// The argument.
        argument: String,
    },
    /// There is no such tag.
    #[error("`{tag}` is not a step of a point{}", .similar.map(|code| format!(": did you mean `{code}`?")).unwrap_or_default())]
    UnknownTag {
        /// The first characters of the tag.
        tag: String,
        /// The most similar tag, if any is close.
        similar: Option<&'static str>,
    },
}

/// Parses a point; returns it as JSON.
pub fn read(text: &str) -> Result<Value, PointError> {
    let text = text.trim();
    if text.len() > MAX_POINT {
        return Err(PointError::TooLong);
    }
    // Outer brackets hold the steps of the form of policies.
    let inner = text.strip_prefix('[').map(str::trim_start).filter(|rest| rest.starts_with('['));
    let steps = match inner {
        Some(rest) => rest.trim_end().strip_suffix(']').ok_or(PointError::UnclosedBracket)?,
        None => text,
    };
    let mut rest = steps.trim_start();
    let mut out = Vec::new();
    while !rest.is_empty() {
        let (step, after) = step(rest)?;
        out.push(step);
        rest = after.trim_start().trim_start_matches(',').trim_start();
        if out.len() > MAX_STEPS {
            return Err(PointError::TooManySteps);
        }
    }
    if out.is_empty() { Err(PointError::Empty) } else { Ok(Value::Array(out)) }
}

/// One step and what follows it.
fn step(text: &str) -> Result<(Value, &str), PointError> {
    let rest = text.strip_prefix('[').ok_or_else(|| PointError::NoBracket(head(text)))?;
    let end = rest.find([',', ']']).ok_or(PointError::UnclosedBracket)?;
    let tag = unquote(rest[..end].trim());
    let known = tag.strip_suffix("_all").and_then(Tag::from_code).or_else(|| Tag::from_code(tag));
    let known = known.ok_or_else(|| unknown(tag))?;
    let rest = &rest[end..];
    let Some(rest) = rest.strip_prefix(',') else { return Ok((json!([tag]), &rest[1..])) };
    let (argument, rest) = argument(rest.trim_start())?;
    if known.argument() == Argument::Index {
        let number: u32 = argument.parse().map_err(|_| not_a_number(tag, argument))?;
        return Ok((json!([tag, number]), rest));
    }
    Ok((json!([tag, argument]), rest))
}

/// An argument, quoted or not, and what follows its bracket. A quote within a name needs no escaping: the name ends
/// where a quote is followed by the bracket.
fn argument(text: &str) -> Result<(&str, &str), PointError> {
    let mark = text.chars().next().filter(|c| ['\'', '"'].contains(c));
    let Some(mark) = mark else {
        let end = text.find(']').ok_or(PointError::UnclosedBracket)?;
        return Ok((text[..end].trim(), &text[end + 1..]));
    };
    let body = &text[1..];
    let mut from = 0;
    while let Some(at) = body[from..].find(mark).map(|at| at + from) {
        if let Some(rest) = body[at + 1..].trim_start().strip_prefix(']') {
            return Ok((&body[..at], rest));
        }
        from = at + 1;
    }
    Err(PointError::UnclosedQuote(mark))
}

fn unquote(text: &str) -> &str {
    text.trim_matches(['\'', '"'])
}

fn head(text: &str) -> String {
    text.chars().take(20).collect()
}

fn not_a_number(tag: &str, argument: &str) -> PointError {
    PointError::NotANumber { tag: tag.to_owned(), argument: argument.to_owned() }
}

fn unknown(tag: &str) -> PointError {
    let near = similar_name(tag, Tag::ALL.iter().map(|known| known.code()));
    PointError::UnknownTag { tag: head(tag), similar: near }
}

/// A point of a rule as shown in hits; other values as JSON.
pub fn write(point: &Value) -> String {
    let Ok(pattern) = serde_json::from_value::<PointPattern>(point.clone()) else { return point.to_string() };
    let step = |item: &PatternItem| match &item.key {
        Some(OwnedKey::Name(name)) => format!("[{},'{name}']", item.tag.code()),
        Some(OwnedKey::Index(at)) => format!("[{},{at}]", item.tag.code()),
        Some(OwnedKey::None) => format!("[{}]", item.tag.code()),
        None if item.tag.argument() == Argument::None => format!("[{}]", item.tag.code()),
        None => format!("[{}_all]", item.tag.code()),
    };
    pattern.0.iter().map(step).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read() {
        let want = json!([["post"], ["json_doc"], ["hash", "it's"], ["array", 3]]);
        for text in [
            "[post][json_doc][hash,'it's'][array,3]",
            "[[post], [json_doc], [hash, \"it's\"], [array, 3]]",
            " [\"post\"] [json_doc][hash, it's ] [array,3] ",
        ] {
            assert_eq!(read(text), Ok(want.clone()), "{text}");
        }
        assert_eq!(read("[get_all]"), Ok(json!([["get_all"]])));
    }

    #[test]
    fn written_points_are_read_back() {
        for point in
            [json!([["post"], ["hash", "a]b"]]), json!([["get_all"]]), json!([["path", 2]]), json!([["header", "X-A"]])]
        {
            assert_eq!(read(&write(&point)), Ok(point.clone()), "{}", write(&point));
        }
    }

    #[test]
    fn errors_say_what_is_wrong() {
        for (text, part) in [
            ("", "enter a point"),
            ("post", "begins with"),
            ("[post", "not closed"),
            ("[pst]", "did you mean `post`"),
            ("[array,x]", "takes a number"),
            ("[hash,'x]", "not closed"),
            ("[[post]", "not closed"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        assert!(read(&"[post]".repeat(2_000)).is_err());
    }
}
