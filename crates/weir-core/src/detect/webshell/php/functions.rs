//! What the functions of PHP do with their arguments.

use super::value::Value;
use crate::normalize::base64;

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
    /// Writes its second argument to a file.
    Writes,
    /// Undoes an encoding.
    Decodes,
    /// Returns its argument, changed but no less dangerous.
    Keeps,
    /// Returns something else.
    Other,
}

/// The meaning of the function `name`, in lower case.
pub(super) fn kind(name: &[u8]) -> Kind {
    match name {
        b"system"
        | b"exec"
        | b"shell_exec"
        | b"passthru"
        | b"popen"
        | b"proc_open"
        | b"pcntl_exec"
        | b"expect_popen"
        | b"w32_create_service"
        | b"dotnet_load" => Kind::Command,
        b"eval" | b"assert" => Kind::Code(0),
        b"create_function" => Kind::Code(1),
        b"preg_replace" | b"preg_filter" | b"mb_ereg_replace" | b"mb_eregi_replace" | b"mb_regex_set_options" => {
            Kind::Replace
        }
        b"array_map"
        | b"call_user_func"
        | b"call_user_func_array"
        | b"forward_static_call"
        | b"forward_static_call_array"
        | b"register_shutdown_function"
        | b"register_tick_function"
        | b"ob_start"
        | b"spl_autoload_register"
        | b"set_error_handler"
        | b"set_exception_handler"
        | b"header_register_callback"
        | b"reflectionfunction"
        | b"func_overload" => Kind::Calls(0),
        b"array_filter"
        | b"array_walk"
        | b"array_walk_recursive"
        | b"array_reduce"
        | b"usort"
        | b"uasort"
        | b"uksort"
        | b"preg_replace_callback"
        | b"mb_ereg_replace_callback"
        | b"iterator_apply"
        | b"sqlite_create_function"
        | b"callbackfilteriterator"
        | b"recursivecallbackfilteriterator"
        | b"stream_context_set_params" => Kind::Calls(1),
        b"array_diff_uassoc"
        | b"array_diff_ukey"
        | b"array_udiff"
        | b"array_udiff_assoc"
        | b"array_udiff_uassoc"
        | b"array_uintersect"
        | b"array_uintersect_assoc"
        | b"array_intersect_ukey"
        | b"array_intersect_uassoc"
        | b"array_uintersect_uassoc" => Kind::Calls(-1),
        b"extract" | b"parse_str" | b"mb_parse_str" | b"import_request_variables" => Kind::Variables,
        b"getallheaders"
        | b"apache_request_headers"
        | b"get_defined_vars"
        | b"filter_input"
        | b"filter_input_array"
        | b"apache_getenv" => Kind::Sent,
        b"fsockopen"
        | b"pfsockopen"
        | b"stream_socket_client"
        | b"socket_create"
        | b"curl_exec"
        | b"stream_socket_accept"
        | b"socket_accept" => Kind::Connects,
        b"file_get_contents"
        | b"fopen"
        | b"file"
        | b"readfile"
        | b"socket_read"
        | b"socket_recv"
        | b"getenv"
        | b"stream_get_contents"
        | b"fread"
        | b"fgets"
        | b"php_strip_whitespace"
        | b"exif_read_data"
        | b"get_meta_tags" => Kind::Reads,
        b"file_put_contents" | b"fwrite" | b"fputs" => Kind::Writes,
        b"base64_decode"
        | b"gzinflate"
        | b"gzuncompress"
        | b"gzdecode"
        | b"bzdecompress"
        | b"str_rot13"
        | b"strrev"
        | b"convert_uudecode"
        | b"hex2bin"
        | b"pack"
        | b"chr"
        | b"openssl_decrypt"
        | b"mcrypt_decrypt"
        | b"mcrypt_cbc"
        | b"mcrypt_ecb"
        | b"zlib_decode"
        | b"lzf_decompress"
        | b"quoted_printable_decode"
        | b"convert_uuencode"
        | b"sodium_crypto_secretbox_open" => Kind::Decodes,
        _ if KEEPING.contains(&name) => Kind::Keeps,
        _ => Kind::Other,
    }
}

/// Functions that return their arguments, changed but no less dangerous.
const KEEPING: &[&[u8]] = &[
    b"trim",
    b"ltrim",
    b"rtrim",
    b"chop",
    b"strtolower",
    b"strtoupper",
    b"ucfirst",
    b"lcfirst",
    b"ucwords",
    b"str_replace",
    b"str_ireplace",
    b"strtr",
    b"substr",
    b"mb_substr",
    b"substr_replace",
    b"implode",
    b"join",
    b"explode",
    b"split",
    b"str_split",
    b"sprintf",
    b"vsprintf",
    b"stripslashes",
    b"stripcslashes",
    b"addslashes",
    b"urldecode",
    b"rawurldecode",
    b"html_entity_decode",
    b"htmlspecialchars_decode",
    b"utf8_decode",
    b"utf8_encode",
    b"iconv",
    b"mb_convert_encoding",
    b"json_decode",
    b"unserialize",
    b"str_pad",
    b"str_repeat",
    b"nl2br",
    b"strval",
    b"settype",
    b"array_merge",
    b"array_values",
    b"array_pop",
    b"array_shift",
    b"array_slice",
    b"array_reverse",
    b"array_keys",
    b"array_flip",
    b"array",
    b"array_combine",
    b"array_chunk",
    b"array_fill",
    b"array_pad",
    b"array_splice",
    b"range",
    b"compact",
    b"current",
    b"reset",
    b"end",
    b"next",
    b"prev",
    b"key",
    b"pos",
    b"each",
    b"list",
    b"chunk_split",
    b"strstr",
    b"stristr",
    b"strrchr",
    b"strpbrk",
    b"preg_split",
    b"wordwrap",
    b"get_magic_quotes_gpc",
    b"arrayiterator",
    b"arrayobject",
    b"splfixedarray",
    b"func_get_arg",
    b"func_get_args",
    b"is_array",
    b"max",
    b"min",
    b"escapeshellcmd",
    b"preg_match",
    b"str_word_count",
    b"simplexml_load_string",
    b"constant",
    b"array_rand",
    b"array_column",
    b"strtok",
    b"mb_strtolower",
    b"mb_strtoupper",
    b"lzw_decompress",
    b"array_diff",
    b"array_intersect",
    b"array_filter",
    b"array_unique",
    b"var_export",
    b"print_r",
    b"html_entity_encode",
    b"ucwords",
    b"bin2hex",
];

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

/// The text that a call returns, if it can be told.
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
