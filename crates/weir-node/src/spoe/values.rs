//! Payloads: typed values with names, without a copy. Strings are bytes: nothing says that they are UTF-8.

use spop::decode_varint;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// No value: what the configuration names does not exist in this request.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of any of the four types.
    Int(i64),
    /// An address.
    Ip(IpAddr),
    /// A string.
    Text(&'a [u8]),
    /// Binary data.
    Binary(&'a [u8]),
}

impl<'a> Value<'a> {
    /// The bytes of a string or of binary data.
    pub fn bytes(self) -> Option<&'a [u8]> {
        match self {
            Value::Text(bytes) | Value::Binary(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The integer, also where a string shows it.
    pub fn int(self) -> Option<i64> {
        match self {
            Value::Int(int) => Some(int),
            other => std::str::from_utf8(other.bytes()?).ok()?.parse().ok(),
        }
    }
}

/// The arguments of a message, read one by one.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    arguments: usize,
    rest: &'a [u8],
}

/// The rest of the input, and the integer before it.
pub fn varint(input: &[u8]) -> Option<(&[u8], u64)> {
    decode_varint(input).ok()
}

/// The rest of the input, and the string before it.
pub fn string(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (rest, length) = varint(input)?;
    let (string, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
    Some((rest, string))
}

/// The rest of the input, and the value before it.
fn value(input: &[u8]) -> Option<(&[u8], Value<'_>)> {
    let (&kind, rest) = input.split_first()?;
    let value = match kind & 0x0f {
        0 => (rest, Value::Null),
        1 => (rest, Value::Bool(kind & 0x10 != 0)),
        2 | 4 => varint(rest).map(|(rest, int)| (rest, Value::Int(int as i64)))?,
        3 | 5 => varint(rest).map(|(rest, int)| (rest, Value::Int(i64::try_from(int).unwrap_or(i64::MAX))))?,
        6 => rest.split_first_chunk::<4>().map(|(ip, rest)| (rest, Value::Ip(Ipv4Addr::from(*ip).into())))?,
        7 => rest.split_first_chunk::<16>().map(|(ip, rest)| (rest, Value::Ip(Ipv6Addr::from(*ip).into())))?,
        8 => string(rest).map(|(rest, text)| (rest, Value::Text(text)))?,
        9 => string(rest).map(|(rest, data)| (rest, Value::Binary(data)))?,
        _ => return None,
    };
    Some(value)
}

/// The rest of the input, and the named value before it.
fn pair(input: &[u8]) -> Option<(&[u8], &[u8], Value<'_>)> {
    let (rest, name) = string(input)?;
    let (rest, value) = value(rest)?;
    Some((rest, name, value))
}

/// Calls `each` with every name and value of a list. `None` if the list is malformed.
pub fn pairs<'a>(mut list: &'a [u8], mut each: impl FnMut(&'a [u8], Value<'a>)) -> Option<()> {
    while !list.is_empty() {
        let (rest, name, value) = pair(list)?;
        each(name, value);
        list = rest;
    }
    Some(())
}

impl<'a> Message<'a> {
    /// The first message of a payload. `None` if there is none.
    pub fn first(payload: &'a [u8]) -> Option<Message<'a>> {
        let (rest, _name) = string(payload)?;
        let (&arguments, rest) = rest.split_first()?;
        Some(Message { arguments: arguments.into(), rest })
    }

    /// Calls `each` with every argument. Returns what follows the message; `None` if it is malformed.
    pub fn arguments(self, mut each: impl FnMut(&'a [u8], Value<'a>)) -> Option<&'a [u8]> {
        let mut rest = self.rest;
        for _ in 0..self.arguments {
            let (after, name, value) = pair(rest)?;
            each(name, value);
            rest = after;
        }
        Some(rest)
    }
}
