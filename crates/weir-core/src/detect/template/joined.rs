//! Texts that an expression puts together from parts.

use super::super::work;

/// Filters whose list templates join for display: `items | map(attribute='name') | join(', ')`.
const LIST_FILTERS: &[&[u8]] =
    &[b"map", b"select", b"selectattr", b"reject", b"rejectattr", b"sort", b"unique", b"batch", b"slice", b"default"];

/// Whether an expression without blanks puts a text together from the parts in a pair of brackets, as names are hidden:
/// `('__cl','ass__')|join`, `dict(cl=x,ass=x)|join`. What a filter of lists gives is joined for display.
pub fn hides_a_name(expression: &[u8]) -> bool {
    work::count(expression.len());
    memchr::memmem::find_iter(expression, b")|join").any(|close| {
        let before = &expression[..close];
        // The arguments of those filters hold no brackets.
        let Some(open) = before.iter().rposition(|b| matches!(b, b'(' | b')')) else { return true };
        let head = &before[..open];
        let name = head.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let (rest, name) = head.split_at(open - name);
        before[open] == b')' || !rest.ends_with(b"|") || !LIST_FILTERS.contains(&name)
    })
}

#[cfg(test)]
mod tests {
    use super::hides_a_name;

    #[test]
    fn names_from_parts_differ_from_lists_that_are_shown() {
        for expression in
            ["('__cl','ass__')|join", "x|attr(('_'*2,'class')|join)", "dict(cl=a,ass=b)|join", "a|map(b(c))|join"]
        {
            assert!(hides_a_name(expression.as_bytes()), "{expression}");
        }
        for expression in ["states|map(attribute='name')|join(',')", "a|sort(reverse=true)|join", "tags|join(',')"] {
            assert!(!hides_a_name(expression.as_bytes()), "{expression}");
        }
    }
}
