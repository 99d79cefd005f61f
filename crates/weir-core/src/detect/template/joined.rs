//! Texts that an expression puts together from parts.

use super::super::work;

/// Filters whose list templates join for display: `items | map(attribute='name') | join(', ')`.
const LIST_FILTERS: &[&[u8]] =
    &[b"map", b"select", b"selectattr", b"reject", b"rejectattr", b"sort", b"unique", b"batch", b"slice", b"default"];

/// Whether an expression without blanks puts a text together from the parts in a pair of brackets, as names are hidden:
/// `('__cl','ass__')|join`, `dict(cl=x,ass=x)|join`, `['a','b']|join`. What a filter of lists gives, and the member of an
/// object by its name, are joined for display, and so is what has blanks or marks between its parts, which no name has.
/// `inside` is the same expression with its blanks.
pub fn hides_a_name(expression: &[u8], inside: &[u8]) -> bool {
    work::count(2 * expression.len());
    let joins = |end: &'static [u8]| memchr::memmem::find_iter(expression, end).map(|close| &expression[..close]);
    let hides = joins(b")|join").any(|before| !ends_with_list_filter(before))
        || joins(b"]|join").any(|before| !ends_with_member(before));
    hides && !separates(inside)
}

/// Whether each `join` of an expression puts a text between the parts that consists of blanks and marks: `join(' ')`, `join(", ")`.
fn separates(inside: &[u8]) -> bool {
    const JOIN: &[u8] = b"join";
    let mark = |b: &u8| matches!(b, b' ' | b',' | b';' | b'-' | b'|' | b'/');
    work::count(inside.len());
    let mut words = memchr::memmem::find_iter(inside, JOIN).peekable();
    words.peek().is_some()
        && words.all(|at| {
            let argument =
                inside[at + JOIN.len()..].trim_ascii_start().strip_prefix(b"(").map(<[u8]>::trim_ascii_start);
            let Some((quote @ (b'\'' | b'"'), text)) = argument.and_then(<[u8]>::split_first) else { return false };
            let marks = text.iter().take_while(|b| mark(b)).count();
            let end = &text[marks..];
            marks > 0 && end.strip_prefix(&[*quote]).is_some_and(|rest| rest.trim_ascii_start().starts_with(b")"))
        })
}

/// Whether `before` ends with a filter of lists and its arguments, which hold no brackets.
fn ends_with_list_filter(before: &[u8]) -> bool {
    let Some(open) = before.iter().rposition(|b| matches!(b, b'(' | b')')) else { return false };
    let head = &before[..open];
    let name = head.iter().rev().take_while(|b| is_of_name(**b)).count();
    let (rest, name) = head.split_at(open - name);
    before[open] == b'(' && rest.ends_with(b"|") && LIST_FILTERS.contains(&name)
}

/// Whether `before` ends with an object and the name of its member: `groups['web'`.
fn ends_with_member(before: &[u8]) -> bool {
    let Some(open) = before.iter().rposition(|b| matches!(b, b'[' | b']')) else { return false };
    let member = &before[open + 1..];
    let name = match member {
        [b'\'', name @ .., b'\''] | [b'"', name @ .., b'"'] => name,
        name => name,
    };
    before[open] == b'['
        && before[..open].last().is_some_and(|b| is_of_name(*b))
        && name.iter().all(|b| is_of_name(*b) || *b == b'-')
        && !name.starts_with(b"__")
}

fn is_of_name(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_'
}

#[cfg(test)]
mod tests {
    use super::hides_a_name;

    #[test]
    fn names_from_parts_differ_from_lists_that_are_shown() {
        for expression in [
            "('__cl','ass__')|join",
            "x|attr(('_'*2,'class')|join)",
            "dict(cl=a,ass=b)|join",
            "a|map(b(c))|join",
            "['a','b']|join",
            "x['__class__']|join",
            "x['a'~'b']|join",
            "a[b[0]]|join",
            "['__cla','ss__']|join('')",
            "['a','b']|join('x')",
            "['a']|join(' ')~['__cla','ss__']|join",
            "['a','b']|join(s)",
        ] {
            assert!(hides_a_name(expression.as_bytes(), expression.as_bytes()), "{expression}");
        }
        for expression in [
            "states|map(attribute='name')|join(',')",
            "a|sort(reverse=true)|join",
            "tags|join(',')",
            "groups['web']|join(',')",
            "hosts[0]|join",
            "([first]+others)|join(' ')",
            "[site,array['id'],'monitor']|join( \"-\" )",
        ] {
            assert!(!hides_a_name(expression.as_bytes(), expression.as_bytes()), "{expression}");
        }
    }
}
