//! W3C trace context: the `traceparent` of a call, copied to logs and responses.

/// Length of a version 00 `traceparent`.
const LENGTH: usize = 55;

/// A valid `traceparent` (W3C Trace Context §3.2), borrowed from the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent<'a>(&'a str);

impl<'a> TraceParent<'a> {
    /// The trace context in `text`; `None` if it is not valid, in which case the standard requires to ignore it.
    pub fn parse(text: &'a str) -> Option<Self> {
        let bytes = text.as_bytes();
        let hex = |from: usize, to: usize| bytes[from..to].iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let dash = |at: usize| bytes[at] == b'-';
        let zero = |from: usize, to: usize| bytes[from..to].iter().all(|&b| b == b'0');
        if bytes.len() < LENGTH || !(dash(2) && dash(35) && dash(52)) {
            return None;
        }
        if !(hex(0, 2) && hex(3, 35) && hex(36, 52) && hex(53, 55)) || zero(3, 35) || zero(36, 52) {
            return None;
        }
        match &bytes[..2] {
            b"ff" => None,
            b"00" => (bytes.len() == LENGTH).then_some(Self(text)),
            _ => (bytes.len() == LENGTH || bytes[LENGTH] == b'-').then_some(Self(text)),
        }
    }

    /// The trace id, 32 hex digits.
    pub fn trace_id(self) -> &'a str {
        &self.0[3..35]
    }

    /// Whether the caller records the trace (flag `sampled`).
    pub fn is_sampled(self) -> bool {
        // The last digit of the flags; only valid digits are taken.
        matches!(self.0.as_bytes()[54], b'1' | b'3' | b'5' | b'7' | b'9' | b'b' | b'd' | b'f')
    }

    /// The caller's span id, 16 hex digits.
    pub fn span_id(self) -> &'a str {
        &self.0[36..52]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn takes_valid_contexts_only() {
        let parsed = TraceParent::parse(GOOD).unwrap();
        assert_eq!(parsed.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(parsed.span_id(), "00f067aa0ba902b7");
        assert!(parsed.is_sampled());
        let not_sampled = format!("{}02", &GOOD[..53]);
        assert!(!TraceParent::parse(&not_sampled).unwrap().is_sampled());
        assert!(TraceParent::parse(&GOOD.replacen("00", "cc", 1)).is_some());
        let bad = [
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            format!("{GOOD}-x"),
            GOOD[..54].to_string(),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace('-', "_"),
            String::new(),
            "é".repeat(40),
        ];
        for text in bad {
            assert_eq!(TraceParent::parse(&text), None, "{text}");
        }
    }
}
