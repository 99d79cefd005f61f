//! Secrets found in a message, to be masked wherever else they occur.

use aho_corasick::{AhoCorasick, MatchKind};
use std::borrow::Cow;
use std::ops::Range;
use weir_core::model::ByteClasses;
use weir_core::model::bytes::printable;
use weir_core::normalize::VIEWS;

/// Largest number of secrets; no ordinary message has more.
const MAX_SECRETS: usize = 256;
/// Bytes of a secret that are searched for.
const MAX_LENGTH: usize = 1024;
/// Shorter values occur in texts by chance.
const MIN_LENGTH: usize = 4;
/// Shorter values are searched for as separate words only.
const MIN_WITHIN: usize = 6;
/// Bytes at the edge of a fragment that must be those of a secret to be masked as part of it.
const MIN_EDGE: usize = 3;
/// Words that clients send as secrets but that reveal nothing elsewhere; masking them would hide paths and names.
const ORDINARY: &[&str] = &[
    "admin",
    "administrator",
    "bearer",
    "cookie",
    "default",
    "false",
    "guest",
    "login",
    "null",
    "password",
    "passwd",
    "root",
    "secret",
    "test",
    "token",
    "true",
    "undefined",
    "user",
    "username",
];

/// Secrets of one message.
#[derive(Debug, Default)]
pub struct KnownSecrets {
    list: Vec<Vec<u8>>,
}

impl KnownSecrets {
    /// Adds a secret, and its normalised forms that detectors may have matched.
    pub fn add(&mut self, secret: &[u8]) {
        let secret = secret.trim_ascii();
        self.add_form(secret);
        let chars = ByteClasses::of(secret);
        for view in VIEWS.iter().filter(|view| chars.intersects(view.needs)) {
            if let Cow::Owned(form) = (view.run)(secret) {
                self.add_form(&form);
            }
        }
        let shown = printable(secret, MAX_LENGTH);
        self.add_form(shown.trim_end_matches('…').as_bytes());
    }

    fn add_form(&mut self, form: &[u8]) {
        let form = &form[..form.len().min(MAX_LENGTH)];
        let ordinary = ORDINARY.iter().any(|word| form.eq_ignore_ascii_case(word.as_bytes()));
        let known = || self.list.iter().any(|known| known == form);
        if form.len() >= MIN_LENGTH && !ordinary && !super::is_masked(form) && self.list.len() < MAX_SECRETS && !known()
        {
            self.list.push(form.to_vec());
        }
    }

    /// Builds the search.
    pub fn build(mut self) -> SecretMatcher {
        self.list.sort_unstable_by_key(|secret| std::cmp::Reverse(secret.len()));
        let automaton = (!self.list.is_empty()).then(|| {
            let mut builder = AhoCorasick::builder();
            builder.ascii_case_insensitive(true).match_kind(MatchKind::LeftmostFirst).build(&self.list)
        });
        // Building fails only if the patterns are larger than `MAX_SECRETS` times `MAX_LENGTH`.
        let automaton = automaton.map(|built| built.expect("bounded"));
        SecretMatcher { list: self.list, automaton }
    }
}

/// Finds the secrets of one message in texts.
#[derive(Debug, Default)]
pub struct SecretMatcher {
    list: Vec<Vec<u8>>,
    automaton: Option<AhoCorasick>,
}

impl SecretMatcher {
    /// Ranges of secrets in `text`.
    pub fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let Some(automaton) = &self.automaton else { return Vec::new() };
        let word = |at: Option<&u8>| at.is_none_or(|b| !b.is_ascii_alphanumeric());
        let is_match = |range: &Range<usize>| {
            let before = range.start.checked_sub(1).and_then(|at| text.get(at));
            range.len() >= MIN_WITHIN || (word(before) && word(text.get(range.end)))
        };
        automaton.find_iter(text).map(|found| found.range()).filter(is_match).collect()
    }

    /// Ranges at the beginning and end of `text`, a fragment of a longer text, that may be parts of secrets.
    pub fn edges(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut out = Vec::new();
        for secret in &self.list {
            let most = secret.len().min(text.len());
            let same = |a: &[u8], b: &[u8]| a.eq_ignore_ascii_case(b);
            let begin = (MIN_EDGE..=most).rev().find(|&n| same(&text[..n], &secret[secret.len() - n..]));
            let end = (MIN_EDGE..=most).rev().find(|&n| same(&text[text.len() - n..], &secret[..n]));
            out.extend(begin.map(|n| 0..n));
            out.extend(end.map(|n| text.len() - n..text.len()));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search(secrets: &[&str]) -> SecretMatcher {
        let mut known = KnownSecrets::default();
        secrets.iter().for_each(|secret| known.add(secret.as_bytes()));
        known.build()
    }

    #[test]
    fn secrets_are_found_elsewhere() {
        let found = |secret: &str, text: &str| !search(&[secret]).find(text.as_bytes()).is_empty();
        assert!(found("hunter2", "xHUNTER2x"));
        assert!(found("1234", "pin 1234!") && !found("1234", "123456"));
        assert!(!found("123", "123") && !found("password", "the password"));
        assert!(found("a\\b\"cd", "x a\\\\b\"cd"), "as a fragment shows it");
        assert!(search(&[]).find(b"anything").is_empty());
    }

    #[test]
    fn fragments_may_begin_and_end_within_a_secret() {
        let search = search(&["hunter2"]);
        assert!(search.edges(b"ter2' or 1=1").contains(&(0..4)));
        assert!(search.edges(b"x=hunt").contains(&(2..6)));
        assert!(search.edges(b"r2' or 1").is_empty());
    }
}
