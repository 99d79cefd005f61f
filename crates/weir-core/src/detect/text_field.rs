//! Fields that are made for texts: code, queries, posts, messages. In them, code is what users send, so some signatures and
//! detectors expect an injection to break out of something.

use super::{Subject, is_document, shown};
use crate::model::{AttackType, Key, Lexicon, Tag, TagSet};

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
    /// Lines of source code that an error report quotes.
    CodeLine,
    /// Paths in a container's file system.
    Path,
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
            // Names that content management systems give to the text of a page, a post or a comment.
            "wptextbox1",
            "wikitext",
            "articletext",
            "introtext",
            "fulltext",
            "post_content",
            "page_content",
            "body_html",
            "content_html",
            "comment_content",
            "comment_body",
            "commit_message",
            "commit_msg",
            "merge_commit_message",
            "squash_commit_message",
            "message_body",
            "post_body",
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
            "file_contents",
            "filecontents",
            "file_text",
            // Names that tools of coding agents give to what they replace in a file.
            "old_string",
            "new_string",
            "old_str",
            "new_str",
            "oldtext",
            "newtext",
            "insert_text",
            "new_source",
            "stacktrace",
            "stack_trace",
            "backtrace",
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
    (
        TextField::Sql,
        &[
            "sql",
            "query",
            "statement",
            "db.statement",
            "db.query.text",
            "rawsql",
            "raw_sql",
            "sql_query",
            "stringvalue",
        ],
    ),
    (TextField::Script, &["script", "scripts", "before_script", "after_script", "user_data", "userdata"]),
    (TextField::CodeLine, &["context_line", "pre_context", "post_context"]),
    (TextField::Path, &["mountpath", "subpath", "hostpath", "mount_path", "host_path", "mountpoint", "binds"]),
];

static FIELDS: Lexicon<TextField, 256> = Lexicon::new(NAMES);

/// Most names looked at: that of the field, and that of the object which holds it.
const MOST_NAMES: usize = 2;

/// What the field of the value is made for; `None` for other fields and for names of fields.
pub fn of(subject: &Subject<'_>) -> Option<TextField> {
    if subject.is_name() {
        return None;
    }
    let names = || subject.names().take(MOST_NAMES);
    let field = names().find_map(|name| FIELDS.get(name));
    // A notebook keeps the source of its cells in lines.
    let is_notebook = field == Some(TextField::Code) && names().eq([&b"source"[..], b"cells"]);
    if is_notebook { Some(TextField::CodeLine) } else { field }
}

/// Whether the value is part of a structured document: JSON, XML and the like.
pub fn is_structured(subject: &Subject<'_>) -> bool {
    subject.is_within(TagSet::DOCUMENTS)
}

/// Whether the value is in a field of a structured document that is made for texts. What it says is kept or shown, so a piece of
/// code that breaks out of nothing is one that the text is about.
pub fn is_kept(subject: &Subject<'_>) -> bool {
    is_structured(subject) && of(subject).is_some()
}

/// Whether a match at `start..end` of a signature that spares documents is content of the value's field, and no injection.
pub fn is_content(subject: &Subject<'_>, attack: AttackType, start: usize, end: usize) -> bool {
    let text = subject.bytes;
    let path = attack == AttackType::Ptrav;
    if path && shown::is_mentioned(text, start, end) {
        return true;
    }
    // Queries and objects name log files and sources by members.
    let member = || subject.ancestors().next().is_some_and(|step| step.tag == Tag::HashName);
    match of(subject) {
        Some(TextField::CodeLine) => shown::is_inert(text, start),
        Some(TextField::Script) if attack == AttackType::Rce && is_script_of_manifest(subject) => {
            shown::is_inert(text, start) && !shown::breaks_out(text, start)
        }
        Some(TextField::Path) => path && shown::is_inert(text, start),
        None if path && member() => shown::is_inert(text, start),
        // Source code that is stored, however short.
        None if is_file(subject) => text.trim_ascii().contains(&b'\n') && shown::is_shown(text, start),
        None if !is_body(subject) => false,
        _ if path && shown::follows_blank(text, start) => is_document(text) && shown::is_inert(text, start),
        _ => is_document(text) && shown::is_shown(text, start),
    }
}

/// Whether the value is a command line in the table of scripts that the manifest of a package has: `{"scripts": {"build": ...}}`.
fn is_script_of_manifest(subject: &Subject<'_>) -> bool {
    let mut steps = subject.ancestors();
    let is_member = steps.next().is_some_and(|step| step.tag == Tag::Hash);
    is_member && steps.next().is_some_and(|step| step.tag == Tag::Hash && matches!(step.key, Key::Name(b"scripts")))
}

/// Whether the value is the content of a file.
pub fn is_file(subject: &Subject<'_>) -> bool {
    subject.ancestors().next().is_some_and(|step| step.tag == Tag::File)
}

/// Whether the value is the body as a whole: a text or a file.
pub fn is_body(subject: &Subject<'_>) -> bool {
    let mut steps = subject.ancestors();
    steps.next().is_some_and(|step| step.tag == Tag::Post) && steps.next().is_none()
}
