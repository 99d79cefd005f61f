//! Patterns: regular expressions and routes.

use super::{Bad, Setting};
use regex::bytes::{Regex, RegexBuilder};

/// Compiled size of one expression, in bytes: expressions of a configuration are short.
const MAX_REGEX_SIZE: usize = 1 << 20;

/// A regular expression in RE2-like syntax: linear time, no look-around, no back-references. Matches bytes anywhere.
#[derive(Clone, Debug)]
pub struct Pattern {
    /// As written.
    pub text: String,
    /// Compiled.
    pub regex: Regex,
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Pattern {
    fn compile(text: &str, ignore_case: bool) -> Result<Self, Bad> {
        let mut builder = RegexBuilder::new(text);
        builder.case_insensitive(ignore_case).size_limit(MAX_REGEX_SIZE).nest_limit(64);
        match builder.build() {
            Ok(regex) => Ok(Self { text: text.to_owned(), regex }),
            Err(error) => {
                let text = error.to_string();
                let reason = text.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or(&text);
                Err(Bad::with(
                    format!("not a regular expression: {reason}"),
                    "the syntax is that of RE2: no look-around, no back-references",
                ))
            }
        }
    }
}

impl Setting for Pattern {
    const TYPE: &'static str = "regular expression";

    fn parse(text: &str) -> Result<Self, Bad> {
        Self::compile(text, false)
    }

    fn show(&self) -> String {
        self.text.clone()
    }
}

/// Which paths a route is for, in the manner of nginx locations.
#[derive(Clone, Debug, PartialEq)]
pub enum RoutePattern {
    /// `= /path`: this path only. Strongest.
    Exact(String),
    /// `^~ /path`: paths that begin so; regular expressions are then not asked.
    StrongPrefix(String),
    /// `~ re` or `~* re` (without regard to case): the first that matches, in order of the file.
    Regex {
        /// The expression.
        pattern: Pattern,
        /// `~*`.
        ignore_case: bool,
    },
    /// `/path`: paths that begin so; the longest wins. Weakest.
    Prefix(String),
}

impl Setting for RoutePattern {
    const TYPE: &'static str = "route";

    fn parse(text: &str) -> Result<Self, Bad> {
        let text = text.trim();
        let path = |rest: &str| match rest.trim_start() {
            path if path.starts_with('/') => Ok(path.to_owned()),
            _ => Err(Bad::with(
                "a route must begin with `/`",
                "write `/path`, `= /path`, `^~ /path`, `~ expression` or `~* expression`",
            )),
        };
        if let Some(rest) = text.strip_prefix("^~") {
            Ok(Self::StrongPrefix(path(rest)?))
        } else if let Some(rest) = text.strip_prefix("~*") {
            Ok(Self::Regex { pattern: Pattern::compile(rest.trim_start(), true)?, ignore_case: true })
        } else if let Some(rest) = text.strip_prefix('~') {
            Ok(Self::Regex { pattern: Pattern::compile(rest.trim_start(), false)?, ignore_case: false })
        } else if let Some(rest) = text.strip_prefix('=') {
            Ok(Self::Exact(path(rest)?))
        } else {
            Ok(Self::Prefix(path(text)?))
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Exact(path) => format!("= {path}"),
            Self::StrongPrefix(path) => format!("^~ {path}"),
            Self::Regex { pattern, ignore_case: false } => format!("~ {}", pattern.text),
            Self::Regex { pattern, ignore_case: true } => format!("~* {}", pattern.text),
            Self::Prefix(path) => path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn routes_have_five_forms() {
        assert_eq!(RoutePattern::parse("= /a").unwrap(), RoutePattern::Exact("/a".into()));
        assert_eq!(RoutePattern::parse("^~/a").unwrap(), RoutePattern::StrongPrefix("/a".into()));
        assert_eq!(RoutePattern::parse("/a/").unwrap(), RoutePattern::Prefix("/a/".into()));
        let RoutePattern::Regex { pattern, .. } = RoutePattern::parse("~* ^/a\\.PHP$").unwrap() else {
            panic!("no re")
        };
        assert!(pattern.regex.is_match(b"/A.php"));
        let RoutePattern::Regex { pattern, .. } = RoutePattern::parse("~ ^/a$").unwrap() else { panic!("no re") };
        assert!(!pattern.regex.is_match(b"/A"));
        for text in ["= /a", "^~ /a", "~ ^/a$", "~* ^/a$", "/a"] {
            assert_eq!(RoutePattern::parse(text).unwrap().show(), text);
        }
        assert!(RoutePattern::parse("a").is_err());
        assert!(RoutePattern::parse("~ (?=x)").unwrap_err().message.contains("look-around"));
    }

    #[test]
    fn a_hostile_expression_is_refused_not_compiled() {
        assert!(Pattern::parse("((a{1000}){1000}){1000}").is_err());
        assert!(Pattern::parse(&"(".repeat(100_000)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,24}") {
            let _ = RoutePattern::parse(&text);
        }
    }
}
