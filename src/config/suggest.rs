//! The nearest known name to a mistyped one.

use strsim::osa_distance;

/// Shortest beginning of a name by which it is suggested, in bytes.
const MIN_PREFIX: usize = 4;

/// The member of `known` that `name` was probably meant to be: a few letters differ, or one is the beginning of the other
/// (`blocking` for `block`).
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let wanted = folded(name);
    let allowed = (wanted.len() / 3).max(1);
    let known: Vec<&str> = known.into_iter().collect();
    let begins = |candidate: &&str| {
        let candidate = folded(candidate);
        wanted.len().min(candidate.len()) >= MIN_PREFIX
            && (wanted.starts_with(&candidate) || candidate.starts_with(&wanted))
    };
    let near = known
        .iter()
        .copied()
        // The distance is at least the difference of the lengths: a long name is never compared with a short one.
        .filter(|candidate| candidate.len().abs_diff(wanted.len()) <= allowed)
        .map(|candidate| (osa_distance(&wanted, &folded(candidate)), candidate))
        .filter(|&(d, _)| d <= allowed)
        .min_by_key(|&(d, _)| d)
        .map(|(_, candidate)| candidate);
    near.or_else(|| known.iter().copied().find(begins))
}

/// Lower case, `-` as `_`, so that case and separators cost nothing.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn finds_the_name_that_was_meant() {
        let known = ["blocking", "address", "allowed_hosts", "allowed_networks", "tls_key"];
        assert_eq!(nearest("bloking", known), Some("blocking"));
        assert_eq!(nearest("adress", known), Some("address"));
        assert_eq!(nearest("allowedHosts", known), Some("allowed_hosts"));
        assert_eq!(nearest("allowed-networks", known), Some("allowed_networks"));
        assert_eq!(nearest("tls_kye", known), Some("tls_key"));
        assert_eq!(nearest("blocking_mode", known), Some("blocking"));
        assert_eq!(nearest("blocking", ["off", "monitoring", "safe_blocking", "block"]), Some("block"));
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("", known), None);
    }
}
