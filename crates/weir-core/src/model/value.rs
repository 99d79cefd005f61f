//! Values: the pieces of a message that detectors look at.

use super::bits::bit_names;
use super::byte_classes::ByteClasses;
use super::changes::Span;
use super::point::PointId;

bit_names! {
    /// The part of the message that a value comes from; signatures say in which zones they apply.
    Zone(u16) {
        /// The path of the target, as a whole or a segment.
        PATH = "path";
        /// A query parameter.
        QUERY = "query";
        /// A header that is no cookie.
        HEADER = "header";
        /// A cookie.
        COOKIE = "cookie";
        /// The body of a request.
        BODY = "body";
        /// A parameter's name rather than its value.
        NAME = "name";
        /// The content of an uploaded file.
        FILE = "file";
        /// The file name of an upload.
        FILENAME = "filename";
        /// A header of a response.
        RESPONSE_HEADER = "response_header";
        /// The body of a response.
        RESPONSE_BODY = "response_body";
        /// Request metadata: method, protocol.
        META = "meta";
    }
}

impl Zone {
    /// Every zone.
    pub const ALL: Zone = Zone((1 << Zone::NAMED.len()) - 1);
    /// What a client fills with free text: where injection signatures look unless they say otherwise.
    pub const PARAMETERS: Zone =
        Zone::PATH.with(Zone::QUERY).with(Zone::COOKIE).with(Zone::BODY).with(Zone::NAME).with(Zone::FILENAME);
}

bit_names! {
    /// Parsers that policy can switch off, by their documented names.
    ParserSet(u32) {
        /// `percent`
        PERCENT = "percent";
        /// `form_urlencoded`
        FORM_URLENCODED = "form_urlencoded";
        /// `multipart`
        MULTIPART = "multipart";
        /// `json_doc`
        JSON_DOC = "json_doc";
        /// `xml`
        XML = "xml";
        /// `gql`
        GQL = "gql";
        /// `jwt`
        JWT = "jwt";
        /// `base64`
        BASE64 = "base64";
        /// `hex`
        HEX = "hex";
        /// `gzip`: every decompressor
        GZIP = "gzip";
        /// `htmljs`
        HTMLJS = "htmljs";
        /// `cookie`
        COOKIE = "cookie";
        /// `viewstate`
        VIEWSTATE = "viewstate";
        /// `grpc`
        GRPC = "grpc";
        /// `protobuf`
        PROTOBUF = "protobuf";
        /// `msgpack`
        MSGPACK = "msgpack";
        /// `cbor`
        CBOR = "cbor";
        /// `charset`
        CHARSET = "charset";
        /// `archive`: names and entries of ZIP and tar archives
        ARCHIVE = "archive";
    }
}

/// One parser of a [`ParserSet`], by name.
pub type ParserId = ParserSet;

/// What the message declares about a value's syntax. A hint adds a parser to those tried, it never takes one away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Hint<'a> {
    /// Nothing is declared.
    #[default]
    None,
    /// A media type (RFC 9110 §8.3.1) with its parameters, as sent.
    Media(&'a [u8]),
    /// Content codings still to be undone (RFC 9110 §8.4), and the media type of what is within.
    Coding {
        /// `gzip`, `br`..., in the order in which they were applied.
        codings: &'a [u8],
        /// Media type with parameters; empty where none is declared.
        media: &'a [u8],
    },
    /// A parser to run for sure.
    Parser(ParserId),
}

/// Identifies a form of a value within one inspection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FormId {
    /// Number of the value from which this form was decoded; its own number if it was not decoded.
    pub root: u32,
    /// Number of the form itself.
    pub number: u32,
}

/// A piece of a message and the point where it sits.
#[derive(Clone, Copy, Debug)]
pub struct Value<'a> {
    /// Where it sits.
    pub point: PointId,
    /// Its bytes, decoded as far as its point says.
    pub bytes: &'a [u8],
    /// What part of the message it comes from.
    pub zone: Zone,
    /// What is declared about it.
    pub hint: Hint<'a>,
    /// Parsers stacked so far.
    pub depth: u8,
    /// Which form of which value this is.
    pub form: FormId,
    /// The parts of it that differ from the value that it was decoded from, if that one is scanned too: elsewhere nothing
    /// new can be found. None if all of it is to be scanned.
    pub changes: Option<&'a [Span]>,
    /// Parts of it that are values of their own, in order: what is found in one of them alone was judged there, where it is
    /// known what it is part of.
    pub parts: &'a [Span],
    /// Whether a parser had anything to do with it.
    pub parser_reacted: bool,
    /// Whether other values hold all that is in this one, so that detectors need not look at it.
    pub covered: bool,
    /// Work units of its scan, if it is known to be benign: then it is paid for and not scanned again.
    pub known_work: Option<u32>,
    /// Which kinds of bytes occur in `bytes`.
    pub classes: ByteClasses,
}

/// How many leading bytes are sampled to tell binary from text.
const BINARY_SAMPLE: usize = 512;

impl<'a> Value<'a> {
    /// `bytes` at `point`, as they came: nothing is declared about them, and no parser has seen them.
    pub fn new(point: PointId, bytes: &'a [u8], zone: Zone) -> Self {
        Self { classes: ByteClasses::of(bytes), ..Self::unclassified(point, bytes, zone) }
    }

    /// One that is known to be benign, and whose scan takes `work` units: its classes are not asked for.
    pub fn known(point: PointId, bytes: &'a [u8], zone: Zone, work: u32) -> Self {
        Self { known_work: Some(work), ..Self::unclassified(point, bytes, zone) }
    }

    fn unclassified(point: PointId, bytes: &'a [u8], zone: Zone) -> Self {
        Self {
            point,
            bytes,
            zone,
            hint: Hint::None,
            depth: 0,
            form: FormId::default(),
            changes: None,
            parts: &[],
            parser_reacted: false,
            covered: false,
            known_work: None,
            classes: ByteClasses::default(),
        }
    }

    /// Whether `bytes` look like no text: a NUL or more than one control byte in sixteen within the first 512.
    pub fn looks_binary(bytes: &[u8]) -> bool {
        let sample = &bytes[..bytes.len().min(BINARY_SAMPLE)];
        let control = sample.iter().filter(|&&b| b < 0x20 && !matches!(b, b'\t' | b'\n' | b'\r' | 0x0c)).count();
        control * 16 > sample.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_name_their_members() {
        assert_eq!(Zone::from_code("query"), Some(Zone::QUERY));
        assert_eq!(ParserSet::from_code("json_doc"), Some(ParserSet::JSON_DOC));
        assert_eq!(format!("{:?}", Zone::PATH.with(Zone::NAME)), r#"{"path", "name"}"#);
    }
}
