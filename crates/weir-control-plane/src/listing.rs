//! Lists within a sentence.

/// The first `most` of `items`, with commas between, and how many more there are.
pub fn first(items: impl ExactSizeIterator<Item = String>, most: usize) -> String {
    let more = items.len().saturating_sub(most);
    let shown = items.take(most).collect::<Vec<_>>().join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn what_is_left_out_is_counted() {
        let list = |items: &[&str]| first(items.iter().map(|item| (*item).to_owned()), 2);
        assert_eq!(list(&[]), "");
        assert_eq!(list(&["a", "b"]), "a, b");
        assert_eq!(list(&["a", "b", "c"]), "a, b and 1 more");
    }
}
