//! What the importers read, before it is compiled to signatures.

use std::path::PathBuf;
use weir_core::model::{AttackType, Confidence};

/// A file that is read.
pub(super) struct SourceFile {
    /// Where it is.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

/// What was read from all files.
#[derive(Default)]
pub(super) struct Collected {
    /// Rules to compile.
    pub rules: Vec<SourceRule>,
    /// Exceptions for the policy.
    pub exceptions: Vec<Exception>,
    /// Rules about which everything is known.
    pub entries: Vec<Entry>,
}

/// A rule of another program.
#[derive(Clone, Debug)]
pub(super) struct SourceRule {
    /// Where it is from.
    pub place: Place,
    /// Its name there.
    pub name: String,
    /// What it says it is.
    pub about: String,
    /// Class of the attack.
    pub attack: AttackType,
    /// How sure one match is.
    pub confidence: Confidence,
    /// Numbers of vulnerabilities.
    pub cve: Vec<String>,
    /// What must all be true.
    pub links: Vec<Link>,
    /// How it differs from its source so far.
    pub notes: Vec<String>,
    /// Parameters and cookies that it leaves out.
    pub left_out: Vec<Target>,
}

/// A place in a file.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Number of the file, for sorting.
    pub order: usize,
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
}

/// One condition of a rule.
#[derive(Clone, Debug)]
pub(super) struct Link {
    /// Where it looks: one of them is enough.
    pub targets: Vec<Target>,
    /// Whether the test must fail instead.
    pub negated: bool,
    /// What must be there.
    pub test: Test,
    /// Views of the value on which it runs besides the plain one.
    pub views: Vec<&'static str>,
}

/// A test of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Test {
    /// A regular expression in our syntax matches.
    Regex {
        /// The expression.
        pattern: String,
        /// Whether case matters.
        case_sensitive: bool,
    },
    /// There is such a value.
    Present,
    /// There is none.
    Absent,
}

/// A place in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Parameters of query and body; one by name.
    Args(Option<String>),
    /// Parameters of the query.
    Query(Option<String>),
    /// Parameters of the body.
    Body(Option<String>),
    /// Names of parameters.
    ArgNames,
    /// Cookies.
    Cookies(Option<String>),
    /// Names of cookies.
    CookieNames,
    /// Headers.
    Headers(Option<String>),
    /// The path.
    Path,
    /// Path and query.
    Uri,
    /// The query as a whole.
    QueryString,
    /// The body as a whole.
    RawBody,
    /// The method.
    Method,
    /// Names of uploaded files.
    FileNames,
    /// Content of uploaded files.
    Files,
    /// The body of a response.
    ResponseBody,
}

/// An exception of another program.
#[derive(Clone, Debug)]
pub(super) struct Exception {
    /// Where it is from.
    pub place: Place,
    /// The rule it is in.
    pub name: String,
    /// What does not count.
    pub what: Excepted,
    /// Where; everywhere if `None`.
    pub target: Option<Target>,
    /// What must be true of the request.
    pub links: Vec<Link>,
    /// How it differs from its source so far.
    pub notes: Vec<String>,
}

/// What an exception is for.
#[derive(Clone, Debug)]
pub(super) enum Excepted {
    /// Rules by their name at the source.
    Rules(Vec<String>),
    /// A class of attacks.
    Attack(AttackType),
    /// A mode for the whole request: `off` or `monitoring`.
    Mode(&'static str),
}

/// What became of a rule.
#[derive(Clone, Debug)]
pub(super) enum Fate {
    /// It is among our rules and means the same.
    Taken,
    /// It is among our rules and differs so.
    Approximated(Vec<String>),
    /// It is not among our rules, for this reason.
    Refused(String),
}

/// A line of the report.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Number of the file, for sorting.
    pub order: usize,
    /// The file.
    pub file: String,
    /// Its line.
    pub line: usize,
    /// Name of the rule at the source.
    pub name: String,
    /// Our name for it.
    pub ours: Option<String>,
    /// What became of it.
    pub fate: Fate,
    /// Whether a match has no longest length.
    pub unbounded: bool,
}

impl Entry {
    /// A line for a rule that is refused.
    pub fn refused(place: &Place, name: &str, reason: impl Into<String>) -> Self {
        let Place { order, file, line } = place.clone();
        let fate = Fate::Refused(reason.into());
        Self { order, file, line, name: name.to_owned(), ours: None, fate, unbounded: false }
    }
}
