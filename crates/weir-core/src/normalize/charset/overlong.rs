//! Overlong forms of UTF-8.

/// `input` with overlong forms (RFC 3629 §3) replaced by the characters that lenient decoders read; `None` if there are
/// none. `C0` and `C1` before a byte of [`FALSE_CONTINUATIONS`] are replaced too.
pub fn overlong(input: &[u8]) -> Option<Vec<u8>> {
    if std::str::from_utf8(input).is_ok() {
        return None;
    }
    let mut out: Vec<u8> = Vec::new();
    let (mut done, mut at) = (0, 0);
    while at < input.len() {
        match overlong_char(&input[at..]) {
            Some((c, used)) => {
                out.extend_from_slice(&input[done..at]);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                at += used;
                done = at;
            }
            // Every overlong form begins with a byte from 0xc0 on.
            None => at += 1 + input[at + 1..].iter().take_while(|b| **b < 0xc0).count(),
        }
    }
    if done == 0 {
        return None;
    }
    out.extend_from_slice(&input[done..]);
    Some(out)
}

/// Bytes that old servers accepted as a continuation of `C0` or `C1` although they are not: `%c0%2f`, `%c1%1c`.
const FALSE_CONTINUATIONS: &[u8] = &[0x1c, 0x2e, 0x2f, 0x5c];

fn overlong_char(input: &[u8]) -> Option<(char, usize)> {
    let lead = *input.first()?;
    let (used, bits) = match lead {
        0xc0 | 0xc1 => (2, 5),
        0xe0 => (3, 4),
        0xf0 => (4, 3),
        0xf8 => (5, 2),
        0xfc => (6, 1),
        _ => return None,
    };
    let tail = input.get(1..used)?;
    if used == 2 && FALSE_CONTINUATIONS.contains(&tail[0]) {
        return char::from_u32(u32::from(lead & 1) << 6 | u32::from(tail[0] & 0x3f)).map(|c| (c, used));
    }
    let mut code = u32::from(lead) & ((1 << bits) - 1);
    for &b in tail {
        if b & 0xc0 != 0x80 {
            return None;
        }
        code = code << 6 | u32::from(b & 0x3f);
    }
    let least = [0x80, 0x800, 0x1_0000, 0x20_0000, 0x400_0000][used - 2];
    if code >= least { None } else { char::from_u32(code).map(|c| (c, used)) }
}
