//! The nearest known name to a mistyped one.

/// Longest name compared, in characters: the distance takes time proportional to the product of both lengths.
const MAX_COMPARED: usize = 64;

/// The member of `known` that `name` was probably meant to be.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let wanted = folded(name);
    let allowed = (wanted.len() / 3).max(1);
    known
        .into_iter()
        .map(|candidate| (distance(&wanted, &folded(candidate)), candidate))
        .filter(|&(d, _)| d <= allowed)
        .min_by_key(|&(d, _)| d)
        .map(|(_, candidate)| candidate)
}

/// Lower case, `-` as `_`, so that case and separators cost nothing.
fn folded(name: &str) -> Vec<char> {
    name.chars().take(MAX_COMPARED).map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replace = last[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replace.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
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
        assert_eq!(nearest("zzz", known), None);
        assert_eq!(nearest("", known), None);
    }
}
