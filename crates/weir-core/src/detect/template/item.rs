//! The item at hand in a loop of a template.

/// Bytes beside an expression in a value that is nothing but a probe.
const MAX_AROUND_PROBE: usize = 8;

/// Whether an expression prints the item at hand, as texts with a loop do: `<li>{{this}}</li>`. With few bytes `around` it, it is
/// a probe.
pub fn is_shown(inside: &[u8], around: usize) -> bool {
    inside.trim_ascii().eq_ignore_ascii_case(b"this") && around > MAX_AROUND_PROBE
}
