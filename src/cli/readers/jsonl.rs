//! One request a line, as JSON.
//!
//! Two spellings are read: that of the node's own JSON envelope (`{"request":{"method","target","headers",
//! "body_base64"}}`, with or without the outer object) and that of labelled corpora (`method`, `path`, `headers`,
//! `body_b64`, `raw_b64`, `id`, `source`, `class`, `meta.tier`, `meta.where`). docs/evaluation.md describes the latter.

use super::{ReadError, Sample, compose};
use base64::Engine as _;
use serde::Deserialize;

#[derive(Deserialize)]
struct Outer {
    request: Record,
}

#[derive(Deserialize)]
struct Record {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    source: Option<String>,
    #[serde(default)]
    class: Option<String>,
    method: String,
    #[serde(alias = "path", alias = "url")]
    target: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default, alias = "body_b64")]
    body_base64: Option<String>,
    #[serde(default)]
    body: Option<String>,
    #[serde(default, alias = "raw_b64")]
    raw_base64: Option<String>,
    #[serde(default)]
    meta: Meta,
}

#[derive(Default, Deserialize)]
struct Meta {
    #[serde(default)]
    tier: Option<String>,
    #[serde(default, rename = "where")]
    place: Option<String>,
}

/// Every line that is not empty.
pub(super) fn read(input: &[u8]) -> Result<Vec<Sample>, ReadError> {
    let lines = input.split(|&b| b == b'\n').enumerate();
    lines.filter(|(_, line)| !line.trim_ascii().is_empty()).map(|(at, line)| sample(at + 1, line)).collect()
}

/// The request of one line; `line` is its number for errors.
pub(super) fn sample(line: usize, text: &[u8]) -> Result<Sample, ReadError> {
    let record = match serde_json::from_slice::<Outer>(text) {
        Ok(outer) => outer.request,
        Err(_) => serde_json::from_slice::<Record>(text).map_err(|e| ReadError::new(line, e.to_string()))?,
    };
    let decode = |name: &str, text: &str| {
        let text = text.replace(['\r', '\n'], "");
        base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|e| ReadError::new(line, format!("`{name}` is no base64: {e}")))
    };
    let raw = match (&record.raw_base64, &record.body_base64) {
        (Some(raw), _) => decode("raw_base64", raw)?,
        (None, Some(body)) => compose(&record.method, &record.target, &record.headers, &decode("body_base64", body)?),
        (None, None) => {
            let body = record.body.unwrap_or_default();
            compose(&record.method, &record.target, &record.headers, body.as_bytes())
        }
    };
    Ok(Sample {
        raw,
        id: record.id,
        source: record.source,
        class: record.class,
        tier: record.meta.tier,
        place: record.meta.place,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_spellings() {
        let input = br#"{"id":"a","class":"benign","method":"GET","path":"/x","headers":[["Host","h"]],"body_b64":""}
{"request":{"method":"POST","target":"/y","headers":[],"body_base64":"aGk="}}"#;
        let samples = read(input).unwrap();
        assert_eq!(samples[0].raw, b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!((samples[0].id.as_deref(), samples[0].class.as_deref()), (Some("a"), Some("benign")));
        assert_eq!(samples[1].raw, b"POST /y HTTP/1.1\r\ncontent-length: 2\r\n\r\nhi");
    }

    #[test]
    fn names_the_line() {
        let error = read(b"{\"method\":\"GET\",\"path\":\"/\"}\nnonsense").unwrap_err();
        assert_eq!(error.line, 2);
    }
}
