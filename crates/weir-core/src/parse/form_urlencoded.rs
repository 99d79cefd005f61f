//! `application/x-www-form-urlencoded` bodies (WHATWG URL §5.1) at `[form_urlencoded, name]`.

use super::emitter::{Emitter, Pair, Pairs};
use super::{Applicability, Candidate, ParseError, Parsed};
use crate::model::{ByteClasses, Stop, Tag};
use crate::normalize::charset::{self, Charset};
use crate::normalize::form;

/// Longest name by which an undeclared form is recognised.
const MAX_SNIFFED_NAME: usize = 128;

/// Bytes of ordinary names of form fields, encoded or not.
const NAME: ByteClasses = ByteClasses::TOKEN
    .with(ByteClasses::PERCENT)
    .with(ByteClasses::PLUS)
    .with(ByteClasses::LBRACKET)
    .with(ByteClasses::RBRACKET)
    .with(ByteClasses::COLON)
    .with(ByteClasses::DOLLAR)
    .with(ByteClasses::STAR)
    .with(ByteClasses::AT)
    .with(ByteClasses::TILDE)
    .with(ByteClasses::BANG);

/// Bodies that are declared as forms, or whose first field has the name of a form field.
pub fn applicability(value: &Candidate<'_>) -> Applicability {
    if value.tag == Tag::File {
        return Applicability::sniffed(is_form_file(value));
    }
    if !matches!(value.tag, Tag::Post | Tag::Gzip | Tag::Deflate | Tag::Brotli | Tag::Zstd | Tag::Charset) {
        return Applicability::No;
    }
    if value.is_media(&["application/x-www-form-urlencoded"]) {
        return Applicability::Declared;
    }
    Applicability::sniffed(
        value.classes.contains(ByteClasses::EQUALS)
            && !value.classes.intersects(ByteClasses::CONTROL)
            && begins_with_field(value.bytes),
    )
}

/// Whether a file holds nothing but a form of several fields.
fn is_form_file(value: &Candidate<'_>) -> bool {
    let other = ByteClasses::CONTROL.with(ByteClasses::BLANK).with(ByteClasses::HIGH);
    value.classes.contains(ByteClasses::EQUALS.with(ByteClasses::AMP))
        && !value.classes.intersects(other)
        && begins_with_field(value.bytes)
}

/// Whether the first field has an ordinary name.
fn begins_with_field(body: &[u8]) -> bool {
    let head = &body[..body.len().min(MAX_SNIFFED_NAME)];
    memchr::memchr2(b'=', b'&', head).is_some_and(|at| at > 0 && ByteClasses::of(&head[..at]).within(NAME))
}

/// Emits each pair. If every name is an ordinary one, the pairs contain everything that a server reads. Otherwise (JSON
/// or XML declared as a form) the whole text is inspected too.
pub fn run<'a>(value: &Candidate<'a>, em: &mut Emitter<'_, 'a>) -> Result<Parsed, ParseError> {
    if !value
        .classes
        .intersects(ByteClasses::EQUALS.with(ByteClasses::AMP).with(ByteClasses::PERCENT).with(ByteClasses::PLUS))
    {
        return Err(ParseError::NotApplicable);
    }
    let pairs = em.split_form(value.bytes)?;
    em.pairs(Tag::FormUrlencoded, Tag::FormUrlencodedName, &pairs)?;
    let at_semicolons = em.split_form_at_semicolons(value.bytes)?;
    em.pairs(Tag::FormUrlencoded, Tag::FormUrlencodedName, &at_semicolons)?;
    if let Some(charset) = charset::declared(value.hint_media()).filter(|c| *c != Charset::Utf8) {
        recode(&pairs, charset, em)?;
        return Ok(Parsed::Added);
    }
    let is_form =
        value.is_media(&["application/x-www-form-urlencoded"]) && form::pieces(value.bytes).all(has_ordinary_name);
    Ok(if is_form { Parsed::Covered } else { Parsed::Added })
}

fn has_ordinary_name(piece: &[u8]) -> bool {
    memchr::memchr(b'=', piece).is_some_and(|at| ByteClasses::of(&piece[..at]).within(NAME))
}

/// Emits names and values decoded from a declared character set other than UTF-8. Some servers decode it (EBCDIC,
/// UTF-16) after the percent escapes.
fn recode<'a>(pairs: &[Pair<'a>], charset: Charset, em: &mut Emitter<'_, 'a>) -> Result<(), Stop> {
    let mut recoded = Pairs::new();
    for &(name, value) in pairs {
        let (new_name, new_value) = (text(name, charset, em)?, text(value, charset, em)?);
        if (new_name, new_value) != (name, value) {
            recoded.push((new_name, new_value));
        }
    }
    em.pairs(Tag::FormUrlencoded, Tag::FormUrlencodedName, &recoded)
}

fn text<'a>(bytes: &'a [u8], charset: Charset, em: &mut Emitter<'_, 'a>) -> Result<&'a [u8], Stop> {
    em.budget.spend(bytes.len())?;
    match charset::decode(bytes, charset).text {
        std::borrow::Cow::Borrowed(same) => Ok(same),
        std::borrow::Cow::Owned(text) => em.copy(&text),
    }
}

#[cfg(test)]
mod tests {
    use crate::parse::testing::messages::extract_body;
    use proptest::prelude::*;

    const FORM: &str = "application/x-www-form-urlencoded";

    #[test]
    fn forms_are_split_into_values() {
        for (media, body, entry) in [
            (FORM, "a=1'+or+%271", "[post][form_urlencoded,'a']=1' or '1"),
            (FORM, "a", "[post]=a"),
            ("APPLICATION/X-www-form-urlencoded; charset=utf-8", "a=b", "[post][form_urlencoded,'a']=b"),
            ("text/plain", "id=1+union+select", "[post][form_urlencoded,'id']=1 union select"),
            ("", "id=%3Cscript", "[post][form_urlencoded,'id']=<script"),
            (FORM, "{\"a\":\"b\"}", "[post][json_doc][hash,'a']=b"),
            (FORM, "a=1&a=2", "[post][form_urlencoded,'a'][pollution]=1,2"),
            (FORM, "a[b]=1", "[post][form_urlencoded,'a'][hash,'b']=1"),
            (FORM, "a%5bb%5D=1", "[post][form_urlencoded_name]=a[b]"),
            (FORM, "a[b][0]=1", "[post][form_urlencoded,'a'][hash,'b'][array,0]=1"),
            (FORM, "a[]=1", "[post][form_urlencoded,'a'][array,0]=1"),
            (FORM, "a[]=1&b=x&a[]=2", "[post][form_urlencoded,'a'][array,1]=2"),
            (FORM, "a[]=1&a[]=2", "[post][form_urlencoded,'a'][pollution]=1,2"),
            (FORM, "a[][b]=1", "[post][form_urlencoded,'a'][array,0][hash,'b']=1"),
            (FORM, "a[b]=1&a[b]=2", "[post][form_urlencoded,'a'][hash,'b'][array,1]=2"),
            (FORM, "a[b=1", "[post][form_urlencoded,'a[b']=1"),
            ("application/x-www-form-urlencoded;charset=ibm037", "%89%84=%4c%a2", "[post][form_urlencoded,'id']=<s"),
        ] {
            let parsed = extract_body(media, body.as_bytes());
            assert!(parsed.has(entry), "{media} {body}: {:?}", parsed.values);
        }
    }

    #[test]
    fn the_whole_body_is_inspected_unless_the_fields_contain_it() {
        for (media, body, whole) in [
            (FORM, "a=b&c[d]=e", false),
            (FORM, "<?xml version=\"1.0\"?><a b=\"c\"/>", true),
            (FORM, "a=b&<c", true),
            (FORM, "a b=c", true),
            ("text/plain", "a=b", true),
        ] {
            let parsed = extract_body(media, body.as_bytes());
            assert_eq!(parsed.values.contains(&format!("[post]={body}")), whole, "{body}: {:?}", parsed.values);
        }
    }

    #[test]
    fn prose_is_not_a_form() {
        for body in ["if a = b then c", "SELECT * FROM t WHERE a=1", "<a b=c>"] {
            let parsed = extract_body("text/plain", body.as_bytes());
            assert!(!parsed.values.iter().any(|v| v.contains("form_urlencoded")), "{:?}", parsed.values);
        }
    }

    proptest! {
        #[test]
        fn every_part_is_inspected(needle in "[a-z]{5}", before in "[&=;a<{\"'. +]{0,6}", after in "[&=;b+<}']{0,6}", declared: bool) {
            let body = format!("{before}{needle}{after}");
            let parsed = extract_body(if declared { FORM } else { "text/plain" }, body.as_bytes());
            prop_assert!(parsed.inspects(&needle), "{:?}", parsed.values);
        }
    }
}
