//! Points for reading: `[post][json_doc][hash,'items'][array,3][hash,'note'][base64]` is
//! `body › items[3] › note (Base64)`. The exact form, which rules take, is shown beside it.

use weir_core::model::point::{OwnedKey, PathItem};
use weir_core::model::{PointPath, Tag};

/// Between two steps.
const THEN: &str = " \u{203a} ";
/// Longest name of a step, in characters.
const MAX_NAME: usize = 80;

/// A point in words; empty for a point without steps.
pub fn words(point: &PointPath) -> String {
    let (mut steps, mut decoded): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
    for PathItem { tag, key } in &point.0 {
        match step(*tag, key) {
            Step::Place(text) => steps.push(text),
            Step::Index(at) => match steps.last_mut() {
                Some(last) => last.push_str(&format!("[{at}]")),
                None => steps.push(format!("[{at}]")),
            },
            Step::Decoded(name) if !decoded.contains(&name) => decoded.push(name),
            Step::Decoded(_) | Step::Nothing => {}
        }
    }
    match decoded.is_empty() {
        true => steps.join(THEN),
        false => format!("{} ({})", steps.join(THEN), decoded.join(", ")),
    }
}

enum Step {
    /// A place of its own.
    Place(String),
    /// A position in the place before.
    Index(u32),
    /// A decoding step.
    Decoded(&'static str),
    /// What needs no word: JSON is known by its members.
    Nothing,
}

fn step(tag: Tag, key: &OwnedKey) -> Step {
    let name: String = match key {
        OwnedKey::None => String::new(),
        OwnedKey::Name(name) => name.chars().take(MAX_NAME).collect(),
        OwnedKey::Index(at) => at.to_string(),
    };
    let under = |place: &str| if name.is_empty() { place.to_owned() } else { format!("{place}{THEN}{name}") };
    let or = |name: String| if name.is_empty() { "(no name)".to_owned() } else { name };
    match (tag, key) {
        (Tag::Array | Tag::XmlTagArray | Tag::ViewstateArray, OwnedKey::Index(at)) => Step::Index(*at),
        (Tag::JsonDoc | Tag::Xml | Tag::Gql | Tag::Viewstate | Tag::Msgpack | Tag::Cbor, _) => Step::Nothing,
        (Tag::Hash | Tag::FormUrlencoded | Tag::XmlTag | Tag::GqlArg | Tag::GqlVar | Tag::ViewstateDict, _) => {
            Step::Place(or(name))
        }
        (Tag::HashName | Tag::FormUrlencodedName | Tag::XmlTagName | Tag::MultipartName, _) => {
            Step::Place("name of a field".into())
        }
        (Tag::Post, _) => Step::Place("body".into()),
        (Tag::ResponseBody, _) => Step::Place("response body".into()),
        (Tag::Get, _) => Step::Place(under("query")),
        (Tag::GetName, _) => Step::Place(format!("query{THEN}name of a parameter")),
        (Tag::Header, _) => Step::Place(under("header")),
        (Tag::HeaderName, _) => Step::Place("name of a header".into()),
        (Tag::ResponseHeader, _) => Step::Place(under("response header")),
        (Tag::Cookie, _) => Step::Place(under("cookie")),
        (Tag::CookieName, _) => Step::Place("name of a cookie".into()),
        (Tag::Path, OwnedKey::Index(at)) => Step::Place(format!("path segment {}", u64::from(*at) + 1)),
        (Tag::ActionName | Tag::ActionExt, _) => Step::Place("last path segment".into()),
        (Tag::Uri, _) => Step::Place("URI".into()),
        (Tag::Multipart, _) => Step::Place(under("part")),
        (Tag::File, _) => Step::Place("file".into()),
        (Tag::XmlAttr, _) => Step::Place(under("attribute")),
        (Tag::JwtPayload, _) => Step::Place("JWT payload".into()),
        (Tag::JwtHeader, _) => Step::Place("JWT header".into()),
        (Tag::Jwt, _) => Step::Nothing,
        (Tag::Archive, _) => Step::Place(under("archive")),
        (Tag::Percent, _) => Step::Decoded("percent-decoded"),
        (Tag::Base64, _) => Step::Decoded("Base64"),
        (Tag::Hex, _) => Step::Decoded("hex"),
        (Tag::Gzip | Tag::Deflate | Tag::Brotli | Tag::Zstd, _) => Step::Decoded("decompressed"),
        (Tag::Htmljs, _) => Step::Decoded("HTML and JavaScript escapes"),
        (Tag::Charset, _) => Step::Decoded("character set"),
        _ => Step::Place(under(&tag.code().replace('_', " "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(text: &str) -> PointPath {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn points_read_like_places() {
        for (json, want) in [
            (r#"[["post"],["json_doc"],["hash","items"],["array",3],["hash","note"]]"#, "body › items[3] › note"),
            (r#"[["post"],["form_urlencoded","cmd"],["base64"]]"#, "body › cmd (Base64)"),
            (r#"[["get","q"],["percent"],["percent"]]"#, "query › q (percent-decoded)"),
            (r#"[["header","USER-AGENT"]]"#, "header › USER-AGENT"),
            (r#"[["path",0]]"#, "path segment 1"),
            (r#"[["post"],["json_doc"],["array",0]]"#, "body[0]"),
            (r#"[["uri"]]"#, "URI"),
            (r#"[["post"],["multipart","f"],["file"],["gzip"]]"#, "body › part › f › file (decompressed)"),
            (r#"[["post"],["json_doc"],["hash",""]]"#, "body › (no name)"),
            ("[]", ""),
        ] {
            assert_eq!(words(&point(json)), want, "{json}");
        }
    }

    #[test]
    fn every_step_has_words() {
        for &tag in Tag::ALL {
            let item = PathItem { tag, key: OwnedKey::Name("n".into()) };
            assert!(!words(&PointPath(vec![item])).contains('_'), "{}", tag.code());
        }
    }
}
