//! `[base64]` (RFC 4648, either alphabet): emitted only if it decodes to text or a known container, because ordinary
//! words are valid base64 too. The input itself is inspected as well.

use super::{Applicability, Candidate, Emitter, ParseError, Parsed, content};
use crate::model::{ByteClasses, Hint, ParserSet, Segment, Tag, Zone};
use crate::normalize::{base64, hex, yaml_binary};

/// Fewest digits that are decoded.
const MIN_DIGITS: usize = 8;
/// Fewest bytes of decoded text with letters beyond ASCII. Shorter words decode to such text by chance.
const MIN_UNICODE: usize = 24;
/// Bytes of base64, white space and a `data:` prefix (RFC 2397).
pub(super) const ALPHABET: ByteClasses = ByteClasses::TOKEN
    .with(ByteClasses::PLUS)
    .with(ByteClasses::SLASH)
    .with(ByteClasses::EQUALS)
    .with(ByteClasses::BLANK)
    .with(ByteClasses::NEWLINE)
    .with(ByteClasses::COLON)
    .with(ByteClasses::SEMICOLON)
    .with(ByteClasses::COMMA);
/// First bytes of containers that other parsers or signatures know: gzip, Java serialisation, .NET BinaryFormatter, Python pickle 2 to 5,
/// Ruby Marshal, ASP.NET view state, ZIP, Zstandard, zlib.
const CONTAINERS: &[&[u8]] = &[
    b"\x1f\x8b\x08",
    b"\xac\xed\x00\x05",
    b"\x00\x01\x00\x00\x00\xff\xff\xff\xff",
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04\x95",
    b"\x80\x05\x95",
    b"\x04\x08",
    b"\xff\x01",
    b"PK\x03\x04",
    b"\x28\xb5\x2f\xfd",
    b"\x78\x01",
    b"\x78\x5e",
    b"\x78\x9c",
    b"\x78\xda",
];

/// Values of base64 digits that decode to the beginning of text or of a container.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.is_declared(ParserSet::BASE64) {
        return Applicability::Declared;
    }
    if value.bytes.len() < MIN_DIGITS
        || !value.classes.within(ALPHABET)
        || !value.classes.intersects(ByteClasses::ALPHA)
    {
        return Applicability::No;
    }
    let text = payload(value.bytes).trim_ascii();
    if is_data_url(value.bytes) {
        return Applicability::sniffed(text.len() < value.bytes.len());
    }
    Applicability::sniffed(base64::peek(text).is_some_and(|first| begins_plausibly(&first)) && may_be_text(text))
}

/// Whether a decoding that begins with `first` may be text, of eight or sixteen bits, or a container.
fn begins_plausibly(first: &[u8; 3]) -> bool {
    let wide = first[1] == 0 && hex::is_ascii_text(&first[..1]);
    hex::is_ascii_text(first) || first[0] >= 0xc2 || wide || begins_container(first)
}

/// Whether a container begins with `first`.
fn begins_container(first: &[u8; 3]) -> bool {
    let may = matches!(first[0], 0 | 4 | 0x1f | b'(' | b'P' | b'x' | 0x80 | 0xac | 0xff);
    may && CONTAINERS.iter().any(|magic| magic.starts_with(&first[..magic.len().min(3)]))
}

/// Emits the decoded bytes at `[base64]`.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    let text = payload(value.bytes).trim_ascii();
    em.budget.spend(text.len())?;
    if is_data_url(value.bytes) {
        return file(text, em);
    }
    let decoded = emit(text, em)?;
    if let Some((user, password)) = basic(value.bytes).and_then(|_| split_credentials(decoded)) {
        em.enter(Segment::plain(Tag::Base64))?;
        let result = em.child(Segment::named(Tag::Hash, b"username"), user);
        let result = result.and_then(|()| em.child(Segment::named(Tag::Hash, b"password"), password));
        em.leave();
        result?;
    }
    Ok(Parsed::Added)
}

/// The two parts of the credentials of the scheme Basic (RFC 7617 §2).
fn split_credentials(decoded: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = memchr::memchr(b':', decoded)?;
    Some((&decoded[..colon], &decoded[colon + 1..]))
}

/// Emits what base64 digits decode to at `[base64]`, if it is text or a container. Returns that.
fn emit<'a>(text: &[u8], em: &mut Emitter<'_, 'a>) -> Result<&'a [u8], ParseError> {
    // Decode the first bytes only, to reject most long values cheaply.
    let head = base64::decode(&text[..text.len().min(64) & !3]).ok_or(ParseError::NotApplicable)?;
    let container = CONTAINERS.iter().any(|magic| head.starts_with(magic));
    if text.len() < MIN_DIGITS || !(container || is_text(&head, text.len() > 64)) {
        return Err(ParseError::NotApplicable);
    }
    let decoded = base64::decode(text).ok_or(ParseError::NotApplicable)?;
    if !container && !is_text(&decoded, false) {
        return Err(ParseError::NotApplicable);
    }
    let bytes = match utf16(&decoded) {
        Some(text) => em.copy(text.as_bytes())?,
        None => em.copy(&decoded)?,
    };
    em.child(Segment::plain(Tag::Base64), bytes)?;
    Ok(bytes)
}

/// Texts of YAML with `!!binary` scalars.
pub fn applicability_of_yaml(value: &Candidate<'_>) -> Applicability {
    Applicability::sniffed(yaml_binary::has_tag(value.bytes))
}

/// Emits what each `!!binary` scalar decodes to at `[base64]`, if it is text or a container.
pub fn run_on_yaml<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    em.budget.spend(value.bytes.len())?;
    let mut parsed = Err(ParseError::NotApplicable);
    for scalar in yaml_binary::scalars(value.bytes) {
        em.budget.spend(scalar.read)?;
        match emit(&scalar.digits, em) {
            Ok(_) => parsed = Ok(Parsed::Added),
            Err(ParseError::NotApplicable) => {}
            Err(error) => return Err(error),
        }
    }
    parsed
}

/// Parameters of SAML 2.0 (Bindings §3.4.4.1 and §3.5.4), whose messages are in base64, and compressed without a wrapper in
/// redirections.
const SAML: [&[u8]; 2] = [b"SAMLRequest", b"SAMLResponse"];

/// Parameters that may be messages of SAML.
pub fn applicability_of_saml(value: &Candidate<'_>) -> Applicability {
    let parameter = matches!(value.tag, Tag::Get | Tag::FormUrlencoded | Tag::Multipart);
    Applicability::sniffed(parameter && value.bytes.len() >= MIN_DIGITS && value.classes.within(ALPHABET))
}

/// Emits a message of SAML, declared as XML, at `[base64]`, and at `[base64][deflate]` if it is compressed.
pub fn run_on_saml<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    let named = em.current_name().is_some_and(|name| SAML.iter().any(|saml| name.eq_ignore_ascii_case(saml)));
    if !named {
        return Err(ParseError::NotApplicable);
    }
    em.budget.spend(value.bytes.len())?;
    let decoded = base64::decode(value.bytes.trim_ascii()).ok_or(ParseError::NotApplicable)?;
    // By the binding of HTTP POST, a message is not compressed.
    let is_plain = decoded.trim_ascii_start().starts_with(b"<");
    let compressed = Hint::Coding { codings: b"deflate", media: b"text/xml" };
    let hint = if is_plain { Hint::Media(b"text/xml") } else { compressed };
    let bytes = em.copy(&decoded)?;
    em.enter(Segment::plain(Tag::Base64))?;
    let result = em.value_as(bytes, em.zone(), hint);
    em.leave();
    result.map(|()| Parsed::Added).map_err(ParseError::from)
}

/// Emits the file in a data URL, whatever it is.
fn file<'a>(text: &[u8], em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    let decoded = base64::decode(text).ok_or(ParseError::NotApplicable)?;
    let bytes = em.copy(&decoded)?;
    let zone = if content::is_binary(bytes) { Zone::FILE } else { em.zone().with(Zone::FILE) };
    em.enter(Segment::plain(Tag::Base64))?;
    let result = em.value_as(bytes, zone, Hint::None);
    em.leave();
    result.map(|()| Parsed::Added).map_err(ParseError::from)
}

fn is_data_url(bytes: &[u8]) -> bool {
    bytes.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"data:"))
}

/// The part after `data:...;base64,` or an authentication scheme, and before the signature of a signed cookie, if there is
/// one.
fn payload(bytes: &[u8]) -> &[u8] {
    let bytes = unsigned(bytes);
    if !matches!(bytes.first(), Some(b'b' | b'B' | b'd' | b'D')) {
        return bytes;
    }
    if let Some(credentials) = basic(bytes) {
        return credentials;
    }
    let data = bytes.split_at_checked(5).filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"data:"));
    let comma = data.and_then(|(_, rest)| memchr::memchr(b',', rest).map(|at| rest.split_at(at + 1)));
    match comma {
        Some((head, rest)) if head.to_ascii_lowercase().ends_with(b";base64,") => rest,
        _ => bytes,
    }
}

/// What follows the name of the scheme Basic.
fn basic(bytes: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = bytes.split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then_some(rest)
}

/// The part before `--` and a signature in hexadecimal digits, as cookies of Rails have it.
fn unsigned(bytes: &[u8]) -> &[u8] {
    const SIGNATURES: [usize; 4] = [40, 64, 96, 128];
    let signed = SIGNATURES.iter().find_map(|length| {
        let (text, signature) = bytes.split_at_checked(bytes.len().checked_sub(*length)?)?;
        text.strip_suffix(b"--").filter(|_| signature.iter().all(u8::is_ascii_hexdigit))
    });
    signed.unwrap_or(bytes)
}

/// Whether the first digits may decode to text or a container. Makes no copy.
///
/// **Correctness.** Text that [`is_text`] accepts has no control bytes other than NUL (for UTF-16), tab and line ends, and
/// letters beyond ASCII only if it is long. `the_first_check_rejects_no_text` tests this.
fn may_be_text(text: &[u8]) -> bool {
    const HEAD: usize = 24;
    let short = text.len() < MIN_UNICODE;
    let text = &text[..text.len().min(HEAD)];
    let odd = |b: u8| b < b' ' && !matches!(b, 0 | b'\t' | b'\n' | b'\r') || b >= 0x80 && short;
    let odd = |[a, b, c]: [u8; 3]| odd(a) || odd(b) || odd(c);
    !text.chunks_exact(4).map_while(base64::peek).any(odd)
        || base64::peek(text).is_none_or(|head| begins_container(&head))
}

/// Whether decoded bytes are text. `truncated`: more bytes follow.
fn is_text(bytes: &[u8], truncated: bool) -> bool {
    if hex::is_ascii_text(bytes) || utf16(bytes).is_some() {
        return !bytes.is_empty();
    }
    let valid = match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => truncated && error.error_len().is_none(),
    };
    valid && bytes.len() >= MIN_UNICODE && !bytes.iter().any(|&b| b < b' ' && !matches!(b, b'\t' | b'\r' | b'\n'))
}

/// ASCII text in UTF-16LE, the encoding in which PowerShell accepts commands.
fn utf16(bytes: &[u8]) -> Option<String> {
    let wide = bytes.len() >= 6
        && bytes.len().is_multiple_of(2)
        && bytes.chunks_exact(2).all(|pair| pair[1] == 0 && hex::is_ascii_text(&pair[..1]));
    wide.then(|| bytes.iter().step_by(2).map(|&b| b as char).collect())
}

#[cfg(test)]
mod tests {
    use super::super::testing::parse_body;
    use ::base64::Engine as _;
    use ::base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    #[test]
    fn messages_of_saml_are_decompressed() {
        use std::io::Write as _;
        let message = b"<samlp:AuthnRequest><saml:Issuer>x' or 1=1-- </saml:Issuer></samlp:AuthnRequest>";
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(message).unwrap();
        let text = STANDARD.encode(encoder.finish().unwrap()).replace('+', "%2B");
        let issuer = "[base64][deflate][xml][xml_tag,'samlp:AuthnRequest'][xml_tag,'saml:Issuer']";
        let body = |name: &str, text: &str| {
            parse_body("application/x-www-form-urlencoded", format!("{name}={text}").as_bytes())
        };
        let got = body("SAMLRequest", &text);
        got.has(&format!("[post][form_urlencoded,'SAMLRequest']{issuer}"), "x' or 1=1-- ");
        assert!(got.anomalies.is_empty(), "{got:#?}");
        assert!(!body("q", &text).has_point("[post][form_urlencoded,'q'][base64]"));
        let got = body("SAMLResponse", &STANDARD.encode(message).replace('+', "%2B"));
        got.has(&format!("[post][form_urlencoded,'SAMLResponse']{}", issuer.replace("[deflate]", "")), "x' or 1=1-- ");
    }

    #[test]
    fn attacks_in_base64_are_decoded() {
        for (text, want) in [
            ("JyBvciAxPTEtLSA=", "' or 1=1-- "),
            ("JyBvciAxPTEtLSA", "' or 1=1-- "),
            ("data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "<script>alert(1)</script>"),
            ("PHNjcmlwdD5h\r\nbGVydCgxKTwvc2NyaXB0Pg==", "<script>alert(1)</script>"),
            ("Basic YWRtaW46JyBvciAxPTE=", "admin:' or 1=1"),
            ("aQBlAHgAIAAxAA==", "iex 1"),
            ("Pz8/Pj4-", "???>>>"),
        ] {
            let parsed = parse_body("text/plain", text.as_bytes());
            parsed.has("[post][base64]", want);
            assert!(!parsed.covered("[post]"));
        }
    }

    #[test]
    fn binary_scalars_of_yaml_are_decoded() {
        for text in ["a: !!binary JyBvciAxPTEtLSA=\n", "a: !!binary |\n  JyBvciAx\n  PTEtLSA=\nb: c\n"] {
            parse_body("application/yaml", text.as_bytes()).has("[post][base64]", "' or 1=1-- ");
        }
        let padded = format!("{}x: !!binary JyBvciAxPTEtLSA=\n", "# !!binary |\n  a: !!binary R0lG\n".repeat(200));
        parse_body("application/yaml", padded.as_bytes()).has("[post][base64]", "' or 1=1-- ");
        for text in ["a: !!binary R0lGODlhDAAMAIQAAP\n", "a: !!str JyBvciAxPTEtLSA=\n", "use !!binary for it"] {
            assert!(!parse_body("application/yaml", text.as_bytes()).has_point("[post][base64]"), "{text}");
        }
    }

    #[test]
    fn containers_are_decoded() {
        for magic in super::CONTAINERS {
            let mut bytes = magic.to_vec();
            bytes.extend_from_slice(b"\x00\x01\x02\x90rest of it");
            let text = ::base64::engine::general_purpose::STANDARD.encode(&bytes);
            assert!(parse_body("text/plain", text.as_bytes()).has_point("[post][base64]"), "{magic:x?}");
        }
    }

    #[test]
    fn ordinary_words_are_not_decoded() {
        for text in [
            "description",
            "application",
            "undefined",
            "customer_id",
            "2024-01-31",
            "password",
            "Administrator",
            "getUserById",
            "550e8400-e29b-41d4-a716-446655440000",
            "d41d8cd98f00b204e9800998ecf8427e",
            "some words in a row",
            "12345678901234",
            "helloworld",
            "/usr/share/doc",
            "aaaaaaaaaaaaaaaa",
            "John Smith",
        ] {
            assert!(!parse_body("text/plain", text.as_bytes()).has_point("[post][base64]"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_first_check_rejects_no_text(text in "[A-Za-z0-9+/_ -]{8,70}={0,2}", bytes: Vec<u8>, words in "[a-z é]{6,50}") {
            let encode = |bytes: &[u8]| ::base64::engine::general_purpose::STANDARD.encode(bytes);
            for text in [text, encode(&bytes), encode(words.as_bytes())] {
                let text = text.as_bytes().trim_ascii();
                let Some(decoded) = super::base64::decode(text) else { continue };
                let container = super::CONTAINERS.iter().any(|magic| decoded.starts_with(magic));
                if !super::may_be_text(text) {
                    prop_assert!(!container && !super::is_text(&decoded, false));
                }
            }
        }

        #[test]
        fn never_panics(text in "[A-Za-z0-9+/=_ :;,-]{0,90}") {
            parse_body("text/plain", text.as_bytes());
        }
    }
}
