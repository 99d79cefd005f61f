//! The known name that a mistyped one was probably meant to be, for "did you mean" in every message.

use strsim::osa_distance;

/// Shortest beginning of a name by which it is suggested, in bytes.
const MIN_PREFIX: usize = 4;
/// Most edits within which a name is suggested, however long it is.
const MAX_DISTANCE: usize = 3;

/// The member of `known` that `name` was probably meant to be: a few letters differ, one in names of up to four bytes
/// and one more for each five, or one is the beginning of the other (`blocking` for `block`). Case and `-` for `_` cost
/// nothing. Linear in the length of `name`, which may be hostile.
pub fn similar_name<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let wanted = folded(name);
    let allowed = (1 + wanted.len() / 5).min(MAX_DISTANCE);
    let known: Vec<(&str, String)> = known.into_iter().map(|known| (known, folded(known))).collect();
    let near = known
        .iter()
        // The distance is at least the difference of the lengths: a long name is never compared with a short one.
        .filter(|(_, folded)| folded.len().abs_diff(wanted.len()) <= allowed)
        .map(|(known, folded)| (osa_distance(&wanted, folded), folded.len(), *known))
        // Names that share no letter are not similar, however short they are.
        .filter(|&(distance, length, _)| distance <= allowed && distance < length.max(wanted.len()))
        .min_by_key(|&(distance, ..)| distance)
        .map(|(_, _, known)| known);
    let begins = |folded: &str| {
        wanted.len().min(folded.len()) >= MIN_PREFIX && (wanted.starts_with(folded) || folded.starts_with(&wanted))
    };
    let beginning = || known.iter().filter(|(_, folded)| begins(folded));
    near.or_else(|| beginning().min_by_key(|(_, folded)| folded.len().abs_diff(wanted.len())).map(|(known, _)| *known))
}

/// Lower case, `-` as `_`.
fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::similar_name;

    #[test]
    fn finds_the_name_that_was_meant() {
        let keys = ["blocking", "address", "allowed_hosts", "allowed_networks", "tls_key", "off"];
        let modes = ["off", "monitoring", "safe_blocking", "block", "default"];
        for (known, name, meant) in [
            (&keys[..], "bloking", Some("blocking")),
            (&keys, "adress", Some("address")),
            (&keys, "allowedHosts", Some("allowed_hosts")),
            (&keys, "allowed-networks", Some("allowed_networks")),
            (&keys, "tls_kye", Some("tls_key")),
            (&keys, "blocking_mode", Some("blocking")),
            (&keys, "allowed", Some("allowed_hosts")),
            (&keys, "of", Some("off")),
            (&keys, "zzz", None),
            (&keys, "z", None),
            (&keys, "", None),
            (&modes, "blocking", Some("block")),
            (&modes, "monitor", Some("monitoring")),
            (&modes, "blok", Some("block")),
            (&modes, "safe", Some("safe_blocking")),
            (&modes, "everything", None),
        ] {
            assert_eq!(similar_name(name, known.iter().copied()), meant, "{name}");
        }
        assert_eq!(similar_name(&"blocking".repeat(99), ["blocking"]), Some("blocking"));
        assert_eq!(similar_name(&"xblocking".repeat(99), ["blocking"]), None);
    }
}
