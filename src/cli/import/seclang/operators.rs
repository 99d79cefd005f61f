//! Operators and transformations.

use super::super::model::{SourceFile, Test};
use super::super::pcre;
use std::collections::HashMap;
use std::path::PathBuf;

/// An operator in our terms.
#[derive(Debug)]
pub(super) struct Operator {
    /// What must be there.
    pub test: Test,
    /// Whether it must not.
    pub negated: bool,
    /// How it differs.
    pub notes: Vec<String>,
}

/// Reads an operator such as `!@rx a`. With `counted` it is one on the number of values.
pub(super) fn parse(
    text: &str,
    counted: bool,
    file: &SourceFile,
    lists: &HashMap<PathBuf, &str>,
) -> Result<Operator, String> {
    let text = text.trim();
    let (negated, text) = text.strip_prefix('!').map_or((false, text), |text| (true, text));
    let (name, argument) = match text.strip_prefix('@') {
        Some(operator) => operator.split_once(char::is_whitespace).unwrap_or((operator, "")),
        None => ("rx", text),
    };
    // Of an expression a space at the end counts.
    let argument = if name == "rx" { argument } else { argument.trim() };
    if argument.contains("%{") {
        return Err("it compares with a variable".into());
    }
    if counted {
        return count(name, argument, negated);
    }
    let mut notes = Vec::new();
    let test = match name {
        "rx" => {
            let translated = pcre::translate(argument)?;
            notes = translated.notes;
            Test::Regex { pattern: translated.pattern, case_sensitive: !translated.ignores_case }
        }
        "pm" | "pmf" | "pmFromFile" => {
            let words = if name == "pm" {
                argument.split_whitespace().map(str::to_owned).collect()
            } else {
                list(argument, file, lists)?
            };
            if words.iter().any(|word: &String| word.contains('|') && word.matches('|').count() > 1) {
                return Err("its word list has bytes in hexadecimal".into());
            }
            any_of(&words, "", "", false)?
        }
        "contains" | "strmatch" => any_of(&[argument.to_owned()], "", "", true)?,
        "containsWord" => any_of(&[argument.to_owned()], r"\b", r"\b", true)?,
        "streq" => any_of(&[argument.to_owned()], "^", "$", true)?,
        "beginsWith" => any_of(&[argument.to_owned()], "^", "", true)?,
        "endsWith" => any_of(&[argument.to_owned()], "", "$", true)?,
        "within" => {
            notes.push("the value must be one of the words".into());
            let words: Vec<String> =
                argument.split([' ', ',', '|']).filter(|w| !w.is_empty()).map(str::to_owned).collect();
            any_of(&words, "^", "$", true)?
        }
        "unconditionalMatch" => Test::Present,
        "detectSQLi" => return Err("weir looks for SQL by its own detector, sqli.grammar".into()),
        "detectXSS" => return Err("weir looks for script by its own detector, xss.grammar".into()),
        "ipMatch" | "ipMatchFromFile" | "ipMatchF" | "geoLookup" | "rbl" => {
            return Err("addresses of clients belong in an address list of the policy".into());
        }
        other => return Err(format!("the operator @{other} has no counterpart")),
    };
    Ok(Operator { test, negated, notes })
}

/// An operator on a number of values: only whether there is one can be asked.
fn count(name: &str, argument: &str, negated: bool) -> Result<Operator, String> {
    let present = match (name, argument) {
        ("eq" | "lt" | "le", "0") | ("lt", "1") if name != "lt" || argument == "1" => false,
        ("gt", "0") | ("ge", "1") => true,
        _ => return Err(format!("it counts values with @{name} {argument}; only whether there is one can be asked")),
    };
    let test = if present != negated { Test::Present } else { Test::Absent };
    Ok(Operator { test, negated: false, notes: Vec::new() })
}

fn any_of(words: &[String], before: &str, after: &str, case_sensitive: bool) -> Result<Test, String> {
    if words.is_empty() || words.iter().all(String::is_empty) {
        return Err("it compares with nothing".into());
    }
    let words: Vec<String> = words.iter().map(|word| pcre::escape_text(word)).collect();
    Ok(Test::Regex { pattern: format!("(?s){before}(?:{}){after}", words.join("|")), case_sensitive })
}

/// The words of a list, which is a file beside that of the rule.
fn list(name: &str, file: &SourceFile, lists: &HashMap<PathBuf, &str>) -> Result<Vec<String>, String> {
    let path = file.path.parent().map(|folder| folder.join(name)).unwrap_or_default();
    let text =
        lists.get(&path).ok_or_else(|| format!("its word list {name} was not given: name it, or its directory"))?;
    let words = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(words.map(str::to_owned).collect())
}

/// What the transformations of a rule mean for us.
#[derive(Debug, Default)]
pub(super) struct Transformations {
    /// Views on which it runs besides the plain value.
    pub views: Vec<&'static str>,
    /// Whether case is gone.
    pub ignores_case: bool,
    /// How it differs.
    pub notes: Vec<String>,
}

/// Reads the transformations of a rule, in their order.
pub(super) fn transformations<'t>(names: impl Iterator<Item = &'t str>) -> Result<Transformations, String> {
    let mut all = Transformations::default();
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            // What was before it does not count.
            "none" => all = Transformations::default(),
            "lowercase" | "uppercase" => all.ignores_case = true,
            // Values are decoded before rules see them, as often as they are encoded.
            "urldecode" | "urldecodeuni" | "trim" | "trimleft" | "trimright" | "base64decode" | "base64decodeext"
            | "hexdecode" | "utf8tounicode" | "htmlentitydecode" | "jsdecode" | "escapeseqdecode" => {}
            "cmdline" => all.views.push("shell"),
            "normalizepath" | "normalisepath" | "normalizepathwin" | "normalisepathwin" => all.views.push("path"),
            "removenulls" | "replacenulls" | "cssdecode" | "replacecomments" | "removecommentschar"
            | "removecomments" => {
                all.notes.push(format!("t:{name} is left out"));
            }
            "compresswhitespace" => all.notes.push("white space is not compressed".into()),
            other => return Err(format!("the transformation t:{other} has no counterpart")),
        }
    }
    all.views.dedup();
    Ok(all)
}
