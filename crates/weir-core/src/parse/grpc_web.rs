//! gRPC-Web as text (grpc.io, "gRPC Web"): base64 at `[base64]`, possibly in several pieces each with its own padding. It
//! contains the frames of [`super::grpc`].

use super::{Applicability, Candidate, Emitter, ParseError, Parsed};
use crate::model::{AnomalyKind, Hint, Segment, Tag};
use crate::normalize::base64;

/// Values that are declared as gRPC-Web text.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    let types = ["application/grpc-web-text", "application/grpc-web-text+proto"];
    if value.is_media(&types) { Applicability::Declared } else { Applicability::No }
}

/// Emits the decoded bytes, declared as frames. If the text is broken, the bytes before the error are emitted.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    let (bytes, valid) = decode(value.bytes);
    if !bytes.is_empty() {
        let bytes = em.copy(&bytes)?;
        em.enter(Segment::plain(Tag::Base64))?;
        let result = em.value_as(bytes, em.zone(), Hint::Media(b"application/grpc-web"));
        em.leave();
        result?;
    }
    // The text may be one as it is: `/etc/passwd` is base64.
    if valid { Ok(Parsed::Added) } else { Err(ParseError::Broken(AnomalyKind::BadGrpc)) }
}

/// The bytes of every piece up to the first that is not base64, and whether all are base64.
fn decode(text: &[u8]) -> (Vec<u8>, bool) {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let mut rest = text.trim_ascii();
    while !rest.is_empty() {
        let end = memchr::memchr(b'=', rest).unwrap_or(rest.len());
        let padding = rest[end..].iter().take_while(|&&b| b == b'=' || b.is_ascii_whitespace()).count();
        match base64::decode(&rest[..end]) {
            Some(piece) => bytes.extend_from_slice(&piece),
            None => return (bytes, false),
        }
        rest = &rest[end + padding..];
    }
    (bytes, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::testing::{parse_body, run_parser};
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    const FIELD: &str = "1 union select password from users";

    fn frames() -> [Vec<u8>; 2] {
        let message = [&[0x0a, FIELD.len() as u8], FIELD.as_bytes()].concat();
        [(0, message), (0x80, b"grpc-status: 0\r\n".to_vec())]
            .map(|(flag, body)| [&[flag, 0, 0, 0, body.len() as u8][..], &body].concat())
    }

    #[test]
    fn frames_of_every_media_type_are_split() {
        let [message, trailers] = frames();
        let binary = [&message[..], &trailers].concat();
        let pieces = STANDARD.encode(&message[..7]) + &STANDARD.encode(&message[7..]) + &STANDARD.encode(&trailers);
        for (media, body, above) in [
            ("application/grpc-web", binary.clone(), ""),
            ("application/grpc-web+proto", binary.clone(), ""),
            ("application/grpc+proto", message.clone(), ""),
            ("application/grpc-web-text", STANDARD.encode(&binary).into_bytes(), "[base64]"),
            ("application/grpc-web-text+proto", pieces.into_bytes(), "[base64]"),
        ] {
            let parsed = parse_body(media, &body);
            parsed.has(&format!("[post]{above}[grpc,0][protobuf,'1']"), FIELD);
            if media.contains("web") {
                parsed.has(&format!("[post]{above}[grpc,1]"), "grpc-status: 0\r\n");
            }
            assert!(parsed.anomalies.is_empty(), "{media}: {parsed:#?}");
        }
    }

    #[test]
    fn bytes_before_an_error_are_emitted() {
        let [message, _] = frames();
        let parsed = parse_body("application/grpc-web-text", format!("{}=!!", STANDARD.encode(message)).as_bytes());
        parsed.has("[post][base64][grpc,0][protobuf,'1']", FIELD);
        assert!(parsed.anomalies.contains(&"bad_grpc"), "{parsed:#?}");
    }

    proptest! {
        #[test]
        fn never_panics(body in "[A-Za-z0-9+/= \r\n!]{0,60}") {
            run_parser(Tag::Post, body.as_bytes(), "application/grpc-web-text", run);
        }
    }
}
