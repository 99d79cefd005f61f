//! HTTP archives (HAR 1.2).

use super::{ReadError, Sample, compose, split_url};
use base64::Engine as _;
use serde::Deserialize;

#[derive(Deserialize)]
pub(super) struct Archive {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Header>,
    #[serde(default)]
    post_data: Option<PostData>,
}

#[derive(Deserialize)]
struct Header {
    name: String,
    value: String,
}

#[derive(Deserialize)]
struct PostData {
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    encoding: Option<String>,
    #[serde(default)]
    params: Vec<Param>,
}

#[derive(Deserialize)]
struct Param {
    name: String,
    #[serde(default)]
    value: String,
}

/// Every entry of the archive.
pub(super) fn read(input: &[u8]) -> Result<Vec<Sample>, ReadError> {
    let archive: Archive =
        serde_json::from_slice(input).map_err(|e| ReadError::new(e.line(), format!("no HAR file: {e}")))?;
    archive.log.entries.into_iter().enumerate().map(|(at, entry)| sample(at, entry.request)).collect()
}

fn sample(at: usize, request: Request) -> Result<Sample, ReadError> {
    let (authority, target) = split_url(&request.url);
    // Pseudo-headers of HTTP/2 (`:authority`...) are no header lines.
    let mut headers: Vec<(String, String)> =
        request.headers.into_iter().filter(|h| !h.name.starts_with(':')).map(|h| (h.name, h.value)).collect();
    if let Some(authority) = authority
        && !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        headers.insert(0, ("Host".into(), authority.into()));
    }
    let body =
        request.post_data.map_or(Ok(Vec::new()), body).map_err(|e| ReadError::new(0, format!("entry {at}: {e}")))?;
    let raw = compose(&request.method, &target, &headers, &body);
    Ok(Sample { raw, id: Some(format!("entry {at}")), ..Sample::default() })
}

fn body(data: PostData) -> Result<Vec<u8>, base64::DecodeError> {
    match (data.text, data.encoding.as_deref()) {
        (Some(text), Some("base64")) => base64::engine::general_purpose::STANDARD.decode(text),
        (Some(text), _) => Ok(text.into_bytes()),
        // Browsers that keep only the parsed parameters have decoded them: they are joined as they are.
        (None, _) => {
            let pairs: Vec<String> = data.params.iter().map(|p| format!("{}={}", p.name, p.value)).collect();
            Ok(pairs.join("&").into_bytes())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_entries() {
        let har = br#"{"log":{"entries":[{"request":{"method":"POST","url":"https://h.example/a?b=1",
            "headers":[{"name":":authority","value":"h.example"},{"name":"X","value":"y"}],
            "postData":{"mimeType":"text/plain","text":"aGk=","encoding":"base64"}}}]}}"#;
        let samples = read(har).unwrap();
        assert_eq!(
            String::from_utf8(samples[0].raw.clone()).unwrap(),
            "POST /a?b=1 HTTP/1.1\r\nHost: h.example\r\nX: y\r\ncontent-length: 2\r\n\r\nhi"
        );
    }

    #[test]
    fn says_where_it_is_broken() {
        assert_eq!(read(b"{\n\"log\": 1}").err().unwrap().line, 2);
    }
}
