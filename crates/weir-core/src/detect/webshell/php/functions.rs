//! What the functions of PHP do with their arguments.

use super::value::Value;
use crate::normalize::base64;
use std::collections::HashMap;
use std::sync::LazyLock;

/// What a function means here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Runs a command: its first argument.
    Command,
    /// Runs code: this argument.
    Code(usize),
    /// Calls the function that this argument names; counted from the end if it is negative.
    Calls(i8),
    /// Replaces by a pattern, which may say that the replacement is code.
    Replace,
    /// Sets variables from a text or an array.
    Variables,
    /// Returns what the client sent.
    Sent,
    /// Reads a file, which may be the request, another site or the program itself.
    Reads,
    /// Opens a connection to another host.
    Connects,
    /// Copies or moves its first argument to where the second says.
    Moves,
    /// Writes its second argument to a file.
    Writes,
    /// Undoes an encoding.
    Decodes,
    /// Applies a filter, which may be a function.
    Filter,
    /// Defines a constant.
    Defines,
    /// Returns its argument, changed but no less dangerous.
    Keeps,
    /// Returns something else.
    Other,
}

/// Names of functions, in lower case, and what they mean.
const TABLE: &[(Kind, &str)] = &[
    (
        Kind::Command,
        "system exec shell_exec passthru popen proc_open pcntl_exec expect_popen w32_create_service \
         dotnet_load",
    ),
    (Kind::Code(0), "eval assert"),
    (Kind::Code(1), "create_function"),
    (Kind::Replace, "preg_replace preg_filter mb_ereg_replace mb_eregi_replace mb_regex_set_options"),
    (
        Kind::Calls(0),
        "array_map call_user_func call_user_func_array forward_static_call forward_static_call_array \
         register_shutdown_function register_tick_function ob_start spl_autoload_register \
         set_error_handler set_exception_handler header_register_callback reflectionfunction \
         func_overload",
    ),
    (
        Kind::Calls(1),
        "array_filter array_walk array_walk_recursive array_reduce usort uasort uksort \
         preg_replace_callback mb_ereg_replace_callback iterator_apply sqlite_create_function \
         callbackfilteriterator recursivecallbackfilteriterator stream_context_set_params",
    ),
    (
        Kind::Calls(-1),
        "array_diff_uassoc array_diff_ukey array_udiff array_udiff_assoc array_udiff_uassoc \
         array_uintersect array_uintersect_assoc array_intersect_ukey array_intersect_uassoc \
         array_uintersect_uassoc",
    ),
    (Kind::Variables, "extract parse_str mb_parse_str import_request_variables"),
    (
        Kind::Sent,
        "getallheaders apache_request_headers get_defined_vars filter_input filter_input_array \
         apache_getenv",
    ),
    (
        Kind::Connects,
        "fsockopen pfsockopen stream_socket_client socket_create curl_exec stream_socket_accept \
         socket_accept",
    ),
    (
        Kind::Reads,
        "file_get_contents fopen file readfile socket_read socket_recv getenv stream_get_contents fread \
         fgets php_strip_whitespace exif_read_data get_meta_tags",
    ),
    (Kind::Writes, "file_put_contents fwrite fputs"),
    (Kind::Moves, "copy move_uploaded_file rename"),
    (Kind::Filter, "filter_var"),
    (Kind::Defines, "define"),
    (
        Kind::Decodes,
        "base64_decode gzinflate gzuncompress gzdecode bzdecompress str_rot13 strrev convert_uudecode \
         hex2bin pack chr openssl_decrypt mcrypt_decrypt mcrypt_cbc mcrypt_ecb zlib_decode \
         lzf_decompress quoted_printable_decode convert_uuencode sodium_crypto_secretbox_open",
    ),
    (
        Kind::Keeps,
        "trim ltrim rtrim chop strtolower strtoupper ucfirst lcfirst \
         ucwords str_replace str_ireplace strtr substr mb_substr substr_replace implode \
         join explode split str_split sprintf vsprintf stripslashes stripcslashes \
         addslashes urldecode rawurldecode html_entity_decode htmlspecialchars_decode utf8_decode utf8_encode iconv \
         mb_convert_encoding json_decode unserialize str_pad str_repeat nl2br strval settype \
         array_merge array_values array_pop array_shift array_slice array_reverse array_keys array_flip \
         array array_combine array_chunk array_fill array_pad array_splice range compact \
         current reset end next prev key pos each \
         list chunk_split strstr stristr strrchr strpbrk preg_split wordwrap \
         get_magic_quotes_gpc arrayiterator arrayobject splfixedarray func_get_arg func_get_args is_array max \
         min escapeshellcmd preg_match str_word_count simplexml_load_string constant array_rand array_column \
         strtok mb_strtolower mb_strtoupper lzw_decompress array_diff array_intersect array_unique var_export \
         print_r html_entity_encode bin2hex",
    ),
];

/// The meaning of the function `name`, in lower case.
pub(super) fn kind(name: &[u8]) -> Kind {
    static BY_NAME: LazyLock<HashMap<&str, Kind>> = LazyLock::new(|| {
        let names = TABLE.iter().flat_map(|(kind, names)| names.split_whitespace().map(|name| (name, *kind)));
        names.collect()
    });
    std::str::from_utf8(name).ok().and_then(|name| BY_NAME.get(name)).copied().unwrap_or(Kind::Other)
}

/// What a call of a function that keeps or decodes its arguments returns.
pub(super) fn result(name: &[u8], args: &[Value]) -> Value {
    let mut all = Value::of(args).flags();
    // One argument is what is changed, the others say how.
    all.whole =
        args.iter().filter(|arg| arg.tainted || arg.params != 0).count() == 1 && args.iter().any(|arg| arg.whole);
    if let (b"explode" | b"split", [separator, text, ..]) = (name, args) {
        return split(separator, text, all);
    }
    if let (b"str_split", [text, rest @ ..]) = (name, args) {
        return pieces(text, rest.first().and_then(Value::number).unwrap_or(1), all);
    }
    if name == b"array_merge" || name == b"array_values" || name == b"array_reverse" {
        let mut items: Vec<Value> = args.iter().flat_map(Value::elements).cloned().collect();
        if name == b"array_reverse" {
            items.reverse();
        }
        return Value { tainted: all.tainted, params: all.params, ..Value::array(items) };
    }
    let text = text(name, args);
    all.assembled |= text.is_none() && matches!(name, b"implode" | b"join" | b"strtr");
    Value { computed: true, ..all.with_text(text) }
}

/// The text that a call returns, if it can be computed.
fn text(name: &[u8], args: &[Value]) -> Option<Vec<u8>> {
    if let b"implode" | b"join" = name {
        return implode(args);
    }
    if name == b"chr" {
        return Some(vec![args.first()?.number()?.rem_euclid(256) as u8]);
    }
    let first = args.first()?.short()?;
    let second = || args.get(1).and_then(Value::short);
    Some(match name {
        b"base64_decode" => base64::decode(first)?,
        b"str_rot13" => first.iter().map(|&b| rot13(b)).collect(),
        b"strrev" => first.iter().rev().copied().collect(),
        b"hex2bin" => hex(first)?,
        b"pack" => hex(second().filter(|_| first.first() == Some(&b'H'))?)?,
        b"strtolower" | b"lcfirst" | b"mb_strtolower" => first.to_ascii_lowercase(),
        b"strtoupper" | b"mb_strtoupper" => first.to_ascii_uppercase(),
        b"trim" | b"ltrim" | b"rtrim" | b"chop" => trim(first, second().unwrap_or(b" \t\r\n\0\x0b")),
        b"ucfirst" | b"ucwords" | b"strval" | b"stripslashes" => first.to_vec(),
        b"urldecode" | b"rawurldecode" => {
            crate::normalize::percent::decode(first, crate::normalize::percent::Plus::Keep).into_owned()
        }
        b"str_replace" | b"str_ireplace" => replace(&args[0], args.get(1)?, args.get(2)?.short()?)?,
        b"strtr" => translate(first, second()?, args.get(2)?.short()?),
        b"substr" | b"mb_substr" => {
            substring(first, args.get(1)?.number()?, args.get(2).map(|length| length.number()))?.to_vec()
        }
        b"sprintf" => format(first, &args[1..])?,
        _ => return None,
    })
}

fn rot13(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => (byte - b'a' + 13) % 26 + b'a',
        b'A'..=b'Z' => (byte - b'A' + 13) % 26 + b'A',
        other => other,
    }
}

fn hex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).map(|digit| digit as u8);
    digits.chunks_exact(2).map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?)).collect()
}

fn trim(text: &[u8], what: &[u8]) -> Vec<u8> {
    let keeps = |b: &u8| !what.contains(b);
    let start = text.iter().position(keeps).unwrap_or(text.len());
    let end = text.iter().rposition(keeps).map_or(start, |at| at + 1);
    text[start..end].to_vec()
}

fn substring(text: &[u8], start: i64, length: Option<Option<i64>>) -> Option<&[u8]> {
    let size = text.len() as i64;
    let start = if start < 0 { (size + start).max(0) } else { start.min(size) };
    let end = match length {
        None => size,
        Some(length) => {
            let length = length?;
            if length < 0 { size + length } else { start.saturating_add(length).min(size) }
        }
    };
    text.get(usize::try_from(start).ok()?..usize::try_from(end.max(start)).ok()?)
}

/// `text` without the needles, or with them replaced.
fn replace(needles: &Value, with: &Value, text: &[u8]) -> Option<Vec<u8>> {
    let needle = |value: &Value| value.short().map(<[u8]>::to_vec);
    let needles: Vec<Vec<u8>> = match &needles.items {
        Some(_) => needles.elements().map(needle).collect::<Option<_>>()?,
        None => vec![needle(needles)?],
    };
    let mut text = text.to_vec();
    for (number, needle) in needles.iter().filter(|needle| !needle.is_empty()).enumerate() {
        let with = match &with.items {
            Some(items) => items.get(number).and_then(|(_, item)| item.short()).unwrap_or_default(),
            None => with.short()?,
        };
        let mut out = Vec::with_capacity(text.len());
        let mut from = 0;
        for at in memchr::memmem::find_iter(&text, needle) {
            out.extend_from_slice(&text[from..at]);
            out.extend_from_slice(with);
            from = at + needle.len();
        }
        out.extend_from_slice(&text[from..]);
        text = out;
    }
    Some(text)
}

fn translate(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut table: [u8; 256] = std::array::from_fn(|byte| byte as u8);
    from.iter().zip(to).for_each(|(from, to)| table[usize::from(*from)] = *to);
    text.iter().map(|&byte| table[usize::from(byte)]).collect()
}

/// Items joined; the separator is the first argument, the second, or missing.
fn implode(args: &[Value]) -> Option<Vec<u8>> {
    let items = args.iter().find(|arg| arg.items.is_some())?;
    let separator = args.iter().find_map(Value::short).unwrap_or_default();
    let texts: Vec<&[u8]> = items.elements().map(Value::short).collect::<Option<_>>()?;
    Some(texts.join(separator))
}

/// A format whose placeholders are `%s`, `%c` and `%d`.
fn format(format: &[u8], args: &[Value]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let mut args = args.iter();
    let mut bytes = format.iter();
    while let Some(&byte) = bytes.next() {
        match (byte, if byte == b'%' { bytes.next() } else { None }) {
            (b'%', Some(b's' | b'd')) => out.extend_from_slice(args.next()?.short()?),
            (b'%', Some(b'c')) => out.push(args.next()?.number()? as u8),
            (b'%', Some(b'%')) => out.push(b'%'),
            (b'%', _) => return None,
            _ => out.push(byte),
        }
    }
    Some(out)
}

fn split(separator: &Value, text: &Value, flags: Value) -> Value {
    const MOST: usize = 65;
    let Some((separator, bytes)) = separator.short().filter(|s| !s.is_empty()).zip(text.short()) else { return flags };
    let mut items = Vec::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(bytes, separator).take(MOST) {
        items.push(flags.with_text(Some(bytes[from..at].to_vec())));
        from = at + separator.len();
    }
    items.push(flags.with_text(Some(bytes[from..].to_vec())));
    Value::array(items)
}

fn pieces(text: &Value, length: i64, flags: Value) -> Value {
    let length = usize::try_from(length).unwrap_or(1).max(1);
    match text.short().filter(|bytes| bytes.len() <= 64 * length) {
        Some(bytes) => Value::array(bytes.chunks(length).map(|piece| flags.with_text(Some(piece.to_vec()))).collect()),
        None => flags,
    }
}
