//! Numbers as people read them.

/// `12,345`
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// At most four characters and a unit: `999`, `1.2k`, `34M`.
pub fn compact(n: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(1_000_000_000_000, "T"), (1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")];
    let Some((unit, name)) = UNITS.iter().find(|(unit, _)| n >= *unit) else { return n.to_string() };
    let whole = n / unit;
    let tenth = n % unit * 10 / unit;
    if whole < 10 && tenth > 0 { format!("{whole}.{tenth}{name}") } else { format!("{whole}{name}") }
}

/// Bytes in binary units.
pub fn bytes(n: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = UNITS.iter().find(|(unit, _)| n >= *unit) else { return format!("{n} B") };
    let tenth = u128::from(n) * 10 / u128::from(*unit);
    format!("{}.{} {name}", tenth / 10, tenth % 10)
}

/// Microseconds as `85 µs`, `1.2 ms`, `3.4 s`.
pub fn micros(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{}.{} ms", us / 1_000, us % 1_000 / 100),
        _ => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
    }
}

/// `part` of `whole` in percent with one decimal; a dash without a whole.
pub fn share(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "–".into();
    }
    let tenths = u128::from(part) * 1_000 / u128::from(whole);
    match (tenths, part) {
        (0, 1..) => "<0.1%".into(),
        _ => format!("{}.{}%", tenths / 10, tenths % 10),
    }
}

/// How many of the hits were blocked, in words.
pub fn of_hits(blocked: u64, hits: u64) -> String {
    if hits == 0 { "there are no hits".into() } else { format!("{} of hits", share(blocked, hits)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([grouped(0), grouped(999), grouped(1_234_567)], ["0", "999", "1,234,567"]);
        assert_eq!([compact(999), compact(1_000), compact(1_250), compact(34_500_000)], ["999", "1k", "1.2k", "34M"]);
        assert_eq!([bytes(5), bytes(1536), bytes(u64::MAX)], ["5 B", "1.5 KiB", "16777215.9 TiB"]);
        assert_eq!([micros(85), micros(1_250), micros(3_400_000)], ["85 µs", "1.2 ms", "3.4 s"]);
        assert_eq!([share(1, 0), share(1, 3), share(1, 1_000_000)], ["–", "33.3%", "<0.1%"]);
    }
}
