//! Fields that are made for texts: code, queries, posts, messages. In them, code is what users send, so some signatures and
//! detectors expect an injection to break out of something.

use super::{Subject, is_document};
use crate::model::{Key, Lexicon, Tag};

/// What a field is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextField {
    /// Posts, messages, descriptions.
    Prose,
    /// Source code and files.
    Code,
    /// Queries of a database.
    Sql,
    /// Command lines of a build or a job.
    Script,
}

/// Names of fields that are made for texts.
const NAMES: &[(TextField, &[&str])] = &[
    (
        TextField::Prose,
        &[
            "content",
            "body",
            "text",
            "description",
            "message",
            "prompt",
            "markdown",
            "html",
            "readme",
            "notes",
            "note",
            "summary",
            "comment",
            "abstract",
            "excerpt",
            "bio",
            "about",
            "post",
            "article",
            "answer",
            "instructions",
            "documentation",
            "docs",
            "changelog",
            "release_notes",
            "system_prompt",
            "completion",
            "details",
            "cdata",
        ],
    ),
    (
        TextField::Code,
        &[
            "code",
            "source",
            "snippet",
            "source_code",
            "sourcecode",
            "template",
            "manifest",
            "yaml",
            "config",
            "diff",
            "patch",
            "file_content",
            "filecontent",
            "stacktrace",
            "stack",
            "traceback",
            "log",
            "logs",
            "output",
            "stdout",
            "stderr",
            "program",
            "files",
            "css",
            "js",
            "javascript",
            "python",
            "xml",
            "svg",
            "schema",
            "graphql",
        ],
    ),
    (TextField::Sql, &["sql", "query", "statement", "db.statement", "db.query.text", "rawsql", "raw_sql", "sql_query"]),
    (TextField::Script, &["script", "scripts", "before_script", "after_script", "user_data", "userdata"]),
];

static FIELDS: Lexicon<TextField, 256> = Lexicon::new(NAMES);

/// Most names looked at: that of the field, and that of the object which holds it.
const MOST_NAMES: usize = 2;

/// What the field of the value is made for; `None` for other fields and for names of fields.
pub fn of(subject: &Subject<'_>) -> Option<TextField> {
    let names_field = |tag| {
        matches!(
            tag,
            Tag::GetName
                | Tag::FormUrlencodedName
                | Tag::MultipartName
                | Tag::CookieName
                | Tag::HeaderName
                | Tag::HashName
                | Tag::XmlTagName
        )
    };
    if subject.ancestors().next().is_some_and(|step| names_field(step.tag)) {
        return None;
    }
    let names = subject.ancestors().filter_map(|step| match step.key {
        Key::Name(name) => Some(name),
        _ => None,
    });
    names.take(MOST_NAMES).find_map(|name| FIELDS.get(name))
}

/// Whether the value is a text of several lines in a field that is made for texts.
pub fn holds_document(subject: &Subject<'_>) -> bool {
    is_document(subject.bytes) && of(subject).is_some()
}
