//! Directives: lines joined at backslashes, split into words.

/// A directive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive {
    /// Line of its first word, from 1.
    pub line: usize,
    /// Name and arguments, without quotes.
    pub words: Vec<String>,
}

/// The directives of a file.
pub(super) fn directives(text: &str) -> Vec<Directive> {
    let mut found = Vec::new();
    let mut joined = String::new();
    let mut first = 0;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if joined.is_empty() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            first = at + 1;
        }
        match line.strip_suffix('\\') {
            Some(part) => joined.push_str(part),
            None => {
                joined.push_str(line);
                found.push(Directive { line: first, words: words(&joined) });
                joined.clear();
            }
        }
    }
    if !joined.is_empty() {
        found.push(Directive { line: first, words: words(&joined) });
    }
    found
}

/// Words, of which those in quotes may hold spaces; a backslash before the quote keeps it.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let Some(&c) = chars.peek() else { return words };
        let mut word = String::new();
        if c == '"' {
            chars.next();
            while let Some(c) = chars.next() {
                match c {
                    '"' => break,
                    '\\' if chars.peek() == Some(&'"') => word.extend(chars.next()),
                    _ => word.push(c),
                }
            }
        } else {
            while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
                word.push(c);
            }
        }
        words.push(word);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_quotes_taken_off() {
        let text = "# a comment\n\nSecRule ARGS \"@rx a\\\"b\\d c\" \\\n    \"id:1,\\\n    deny\"\nSecMarker END";
        let found = directives(text);
        assert_eq!(found[0].line, 3);
        assert_eq!(found[0].words, ["SecRule", "ARGS", "@rx a\"b\\d c", "id:1,deny"]);
        assert_eq!((found[1].line, found[1].words.len()), (6, 2));
    }
}
