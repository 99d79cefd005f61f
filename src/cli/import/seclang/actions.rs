//! The actions of a rule.

/// Actions as name and value; those without a value have an empty one.
#[derive(Debug, Default)]
pub(super) struct Actions(Vec<(String, String)>);

impl Actions {
    /// Splits a list such as `id:1,phase:2,msg:'a, b',deny`.
    pub fn parse(text: &str) -> Self {
        let mut all = Vec::new();
        let mut item = String::new();
        let mut in_quotes = false;
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\\' if chars.peek() == Some(&'\'') => item.extend(chars.next()),
                '\'' => in_quotes = !in_quotes,
                ',' if !in_quotes => all.push(std::mem::take(&mut item)),
                _ => item.push(c),
            }
        }
        all.push(item);
        let split = |item: String| {
            let (name, value) = item.split_once(':').unwrap_or((&item, ""));
            (name.trim().to_ascii_lowercase(), value.trim().to_owned())
        };
        Actions(all.into_iter().filter(|item| !item.trim().is_empty()).map(split).collect())
    }

    /// The first value of an action.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(one, _)| one == name).map(|(_, value)| value.as_str())
    }

    /// Whether there is such an action.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Every value of an action.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(one, _)| one == name).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_in_quotes_do_not_separate() {
        let actions =
            Actions::parse("id:942100, phase:2,deny,msg:'it\\'s, so',t:none,t:lowercase,ctl:ruleRemoveById=1-3");
        assert_eq!((actions.get("id"), actions.get("msg")), (Some("942100"), Some("it's, so")));
        assert_eq!(actions.all("t").collect::<Vec<_>>(), ["none", "lowercase"]);
        assert!(actions.has("deny") && !actions.has("pass"));
    }
}
