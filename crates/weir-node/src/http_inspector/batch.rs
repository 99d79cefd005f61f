//! Many copies of responses in one call: `application/http`, the calls one after the other as they would be sent alone
//! (RFC 9112 §10.2). A copy says only what differs: its connector and application are those of the call.

use super::api_error::ApiError;
use super::call::{CallHeaders, Direction};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use memchr::memmem;

/// Most copies in one call.
pub const MAX_COPIES: usize = 256;
/// Longest head of a copy, in bytes.
const MAX_HEAD: usize = 16 << 10;
/// What each copy begins with.
const START: &[u8] = b"POST /v1/responses HTTP/1.1\r\n";
/// Headers that a copy takes from the call.
const SHARED: [&str; 2] = ["inspector-connector", "inspector-application"];
/// Of the call, where a copy does not say otherwise.
const ATTEMPT: &str = "inspector-attempt";

/// One copy: its headers as far as they are valid, and the response.
pub struct Copy {
    /// The headers, checked.
    pub call: Result<CallHeaders, ApiError>,
    /// The response as received.
    pub body: Bytes,
}

/// Whether a call carries several copies.
pub fn is_batch(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let essence = kind.split(|&b| b == b';').next().unwrap_or_default();
    essence.trim_ascii().eq_ignore_ascii_case(b"application/http")
}

/// The copies in `body`. Framing that is not valid refuses all of them: where the next one begins would be a guess. A copy
/// whose headers are not valid is refused alone.
pub fn copies(shared: &HeaderMap, body: &Bytes) -> Result<Vec<Copy>, ApiError> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < body.len() {
        if out.len() == MAX_COPIES {
            return Err(ApiError::BadBatch("more than 256 copies"));
        }
        let rest = &body[at..];
        let window = &rest[..rest.len().min(MAX_HEAD)];
        let end = memmem::find(window, b"\r\n\r\n").ok_or(ApiError::BadBatch("the head of a copy has no end"))?;
        let lines = rest[..end + 2]
            .strip_prefix(START)
            .ok_or(ApiError::BadBatch("each copy begins with `POST /v1/responses HTTP/1.1`"))?;
        let (headers, length) = head(shared, lines)?;
        let from = at + end + 4;
        let to = from.checked_add(length).filter(|to| *to <= body.len());
        let to = to.ok_or(ApiError::BadBatch("a copy is shorter than its Content-Length"))?;
        let call =
            CallHeaders::parse(Direction::Response, &headers).map(|call| CallHeaders { blocking: false, ..call });
        out.push(Copy { call, body: body.slice(from..to) });
        at = to;
    }
    if out.is_empty() { Err(ApiError::BadBatch("no copy")) } else { Ok(out) }
}

/// The headers of a copy with those that it shares, and the length of its content.
fn head(shared: &HeaderMap, lines: &[u8]) -> Result<(HeaderMap, usize), ApiError> {
    const LINE: ApiError = ApiError::BadBatch("a header line of a copy is malformed");
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("message/http"));
    for name in SHARED {
        if let Some(value) = shared.get(name) {
            headers.insert(name, value.clone());
        }
    }
    let mut length = None;
    for line in lines.split_inclusive(|&b| b == b'\n') {
        let line = line.strip_suffix(b"\r\n").ok_or(LINE)?;
        let colon = memchr::memchr(b':', line).ok_or(LINE)?;
        let name = HeaderName::from_bytes(&line[..colon]).map_err(|_| LINE)?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).map_err(|_| LINE)?;
        if name == header::CONTENT_LENGTH {
            let digits = value.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
            let number = digits.and_then(|text| text.parse().ok());
            if length.is_some() || number.is_none() {
                return Err(ApiError::BadBatch("the Content-Length of a copy is no number, or given twice"));
            }
            length = number;
        } else if !SHARED.contains(&name.as_str()) && name != header::CONTENT_TYPE {
            headers.append(name, value);
        }
    }
    if let (Some(value), false) = (shared.get(ATTEMPT), headers.contains_key(ATTEMPT)) {
        headers.insert(ATTEMPT, value.clone());
    }
    Ok((headers, length.ok_or(ApiError::BadBatch("a copy has no Content-Length"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shared() -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("inspector-connector", HeaderValue::from_static("kong-lua/1.0.0"));
        headers.insert("inspector-application", HeaderValue::from_static("7"));
        headers
    }

    fn copy(id: &str, body: &str) -> String {
        format!(
            "POST /v1/responses HTTP/1.1\r\nInspector-Request-Id: {id}\r\nInspector-Client: 10.0.0.1\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    }

    fn read(text: &str) -> Result<Vec<Copy>, ApiError> {
        copies(&shared(), &Bytes::copy_from_slice(text.as_bytes()))
    }

    #[test]
    fn each_copy_has_its_own_headers_and_those_of_the_call() {
        let all = read(&(copy("a", "one") + &copy("b", ""))).unwrap();
        let bodies: Vec<&[u8]> = all.iter().map(|copy| &copy.body[..]).collect();
        assert_eq!(bodies, [&b"one"[..], b""]);
        let calls: Vec<&CallHeaders> = all.iter().map(|copy| copy.call.as_ref().unwrap()).collect();
        assert_eq!([calls[0].request_id.as_str(), calls[1].request_id.as_str()], ["a", "b"]);
        assert_eq!(
            (calls[0].connector.as_str(), calls[0].application, calls[0].blocking),
            ("kong-lua/1.0.0", Some(7), false)
        );
        assert_eq!((calls[0].direction, calls[0].attempt), (Direction::Response, 1));
    }

    #[test]
    fn a_repeated_call_repeats_its_copies() {
        let mut headers = shared();
        headers.insert("inspector-attempt", HeaderValue::from_static("2"));
        let later = copy("b", "").replace("Inspector-Client", "Inspector-Attempt: 3\r\nInspector-Client");
        let all = copies(&headers, &Bytes::from(copy("a", "") + &later)).unwrap();
        let attempts: Vec<u8> = all.iter().map(|copy| copy.call.as_ref().unwrap().attempt).collect();
        assert_eq!(attempts, [2, 3]);
    }

    #[test]
    fn a_copy_with_bad_headers_is_refused_alone() {
        let all = read(&(copy("not an id", "x") + &copy("b", "y"))).unwrap();
        assert_eq!(all[0].call.as_ref().err().map(ApiError::code), Some("bad-header"));
        assert!(all[1].call.is_ok());
    }

    #[test]
    fn framing_that_is_not_valid_refuses_the_call() {
        let good = copy("a", "one");
        for bad in [
            "",
            "x",
            "GET /v1/responses HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST /v1/requests HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
            "POST /v1/responses HTTP/1.1\r\n\r\n",
            "POST /v1/responses HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST /v1/responses HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            "POST /v1/responses HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
            "POST /v1/responses HTTP/1.1\r\nContent-Length: 18446744073709551615\r\n\r\n",
            "POST /v1/responses HTTP/1.1\r\nA b: c\r\nContent-Length: 0\r\n\r\n",
            "POST /v1/responses HTTP/1.1\r\nA: b\nContent-Length: 0\r\n\r\n",
            &good[..good.len() - 1],
            &format!("{good}x"),
            &format!("POST /v1/responses HTTP/1.1\r\nA: {}\r\nContent-Length: 0\r\n\r\n", "x".repeat(MAX_HEAD)),
            &copy("a", "").repeat(MAX_COPIES + 1),
        ] {
            assert_eq!(read(bad).err().map(|refusal| refusal.code()), Some("bad-batch"), "{bad:.200}");
        }
        assert_eq!(read(&copy("a", "").repeat(MAX_COPIES)).map(|all| all.len()).unwrap(), MAX_COPIES);
    }

    #[test]
    fn only_its_own_media_type_is_a_batch() {
        for (kind, want) in [
            ("application/http; msgtype=request", true),
            ("Application/HTTP", true),
            ("message/http", false),
            ("application/https", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
            assert_eq!(is_batch(&headers), want, "{kind}");
        }
        assert!(!is_batch(&HeaderMap::new()));
    }
}
