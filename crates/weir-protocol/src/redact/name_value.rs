//! Secrets whose name is a value itself: `{"name": "password", "value": "x"}`, `name=password&value=x`,
//! `<field name="password">x</field>`, `<key>password</key><value>x</value>`, `["password", "x"]`.

use super::secret_names::is_secret;
use super::secret_patterns::Span;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// Names of the member that names.
const NAMING: &[&[u8]] =
    &[b"attribute", b"field", b"header", b"id", b"k", b"key", b"label", b"name", b"param", b"parameter", b"property"];
/// Names of the member that holds the value.
const HOLDING: &[&[u8]] = &[b"content", b"data", b"default", b"text", b"v", b"val", b"value"];

/// In any text, also escaped once more, and in forms. Bounded: each part has a longest length.
static PAIR: LazyLock<Regex> = LazyLock::new(|| {
    let quote = r#"(?:\\{0,7}["'])?"#;
    let name = r"(?:attribute|field|header|id|k|key|label|name|param|parameter|property)";
    let value = r"(?:content|data|default|text|v|val|value)";
    Regex::new(&format!(
        r#"(?i-u)(?:^|[^a-z0-9_]){quote}{name}{quote}[ \t]{{0,4}}[=:][ \t]{{0,4}}{quote}([^"'&,;<>{{}}\\\s]{{2,64}}){quote}[ \t\r\n]{{0,8}}[,;&][ \t\r\n]{{0,8}}{quote}{value}{quote}[ \t]{{0,4}}[=:][ \t]{{0,4}}{quote}([^"'&,;<>{{}}\\\s]{{1,1024}})"#
    ))
    .expect("tested")
});
/// Two texts in an array, the first of which names the second: `["password", "x"]`, as lists of pairs have it.
static ARRAY: LazyLock<Regex> = LazyLock::new(|| {
    let quote = r#"\\{0,7}["']"#;
    Regex::new(&format!(
        r#"(?i-u)\[[ \t\r\n]{{0,8}}{quote}([^"'\\<>{{}}]{{2,64}}){quote}[ \t\r\n]{{0,8}},[ \t\r\n]{{0,8}}{quote}([^"'\\]{{1,1024}}){quote}[ \t\r\n]{{0,8}}\]"#
    ))
    .expect("tested")
});
/// In XML: an element that names, and the next one, as in property lists.
static ELEMENTS: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(
        r"(?i-u)<(?:[a-z0-9]{1,16}:)?(?:key|name|param|field|label)>[ \t\r\n]{0,8}([^<>\s]{2,64})[ \t\r\n]{0,8}</[^<>]{1,40}>[ \t\r\n]{0,64}<[^<>/]{1,60}>([^<]{1,1024})",
    )
    .expect("tested")
});

/// Adds the values of `text` whose name is the value of the member before.
pub fn scan(text: &[u8], spans: &mut Vec<Span>) {
    for pattern in [&*PAIR, &*ARRAY, &*ELEMENTS] {
        let mut from = 0;
        while let Some(found) = pattern.captures_at(text, from) {
            let (Some(name), Some(value), Some(whole)) = (found.get(1), found.get(2), found.get(0)) else { break };
            if is_secret(name.as_bytes()) {
                spans.push(Span::star(value.range()));
                from = value.end();
            } else {
                // The value may name the next one.
                from = name.end().max(whole.start() + 1);
            }
        }
    }
}

/// Whether a member called `name` names another one.
pub fn is_naming(name: &[u8]) -> bool {
    NAMING.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether a member called `name` holds the value of one that is named.
pub fn is_holding(name: &[u8]) -> bool {
    HOLDING.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// The name that an attribute of an XML tag gives to the element, if it is that of a secret.
pub fn name_in_tag(tag: &[u8]) -> Option<&[u8]> {
    let mut rest = tag;
    while let Some(equals) = memchr::memchr(b'=', rest) {
        let before = rest[..equals].trim_ascii_end();
        let start = before.iter().rposition(|b| !b.is_ascii_alphanumeric()).map_or(0, |at| at + 1);
        let after = rest[equals + 1..].trim_ascii_start();
        let Some(&quote @ (b'"' | b'\'')) = after.first() else { return None };
        let length = memchr::memchr(quote, &after[1..])?;
        let value = &after[1..1 + length];
        if is_naming(&before[start..]) && is_secret(value) {
            return Some(value);
        }
        rest = &after[1 + length + 1..];
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::secret_patterns;

    fn masked(text: &str) -> String {
        let mut out = text.as_bytes().to_vec();
        secret_patterns::scan(text.as_bytes()).iter().for_each(|span| super::super::apply(&mut out, span));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_found_by_the_name_beside_them() {
        for (text, want) in [
            (r#"[{"name":"password","value":"hunter2"}]"#, r#"[{"name":"password","value":"*******"}]"#),
            (r#"{\"key\": \"api_key\", \"value\": \"k77\"}"#, r#"{\"key\": \"api_key\", \"value\": \"***\"}"#),
            (r#"[["password", "hunter2"],["a","b"]]"#, r#"[["password", "*******"],["a","b"]]"#),
            (r#"[\"token\",\"k77\"]"#, r#"[\"token\",\"***\"]"#),
            (r#"["password","user","mail"]"#, r#"["password","user","mail"]"#),
            ("name=pwd&value=hunter2&x=1", "name=pwd&value=*******&x=1"),
            ("<field name=\"password\">hunter2</field>", "<field name=\"password\">*******</field>"),
            ("<key>token</key>\n<string>abc</string>", "<key>token</key>\n<string>***</string>"),
            (r#"{"name":"a","value":"name","x":1}"#, r#"{"name":"a","value":"name","x":1}"#),
            (r#"{"name":"color","value":"red"}"#, r#"{"name":"color","value":"red"}"#),
            ("<input name='q' value='x'>text", "<input name='q' value='x'>text"),
        ] {
            assert_eq!(masked(text), want);
        }
    }

    #[test]
    fn hostile_repetition_is_linear() {
        for piece in [
            "name=a&value=",
            "<key>token</key>",
            "{\"name\":\"",
            "<a name='",
            "id=x,",
            "<key>",
            "[\"password\",\"",
            "[",
        ] {
            let text = piece.repeat(200_000 / piece.len());
            assert!(secret_patterns::scan(text.as_bytes()).len() <= text.len());
        }
    }
}
