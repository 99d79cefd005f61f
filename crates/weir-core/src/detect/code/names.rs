//! Keywords and words with a part of their own in the grammar.

use super::abilities::{Ability, ability};
use crate::model::Lexicon;

/// What a keyword does in the grammar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    /// Is written between two operands, or leads to another part of a statement.
    Infix,
    /// Begins a statement or an operand.
    Statement,
    /// Either, by its place.
    Both,
}

#[rustfmt::skip]
const KEYWORDS: &[(Keyword, &[&str])] = &[
    (Keyword::Infix, &["as", "and", "or", "in", "of", "is", "instanceof"]),
    (Keyword::Both, &["if", "else", "unless", "then", "do", "for", "end", "while", "until", "elif", "elsif"]),
    (
        Keyword::Statement,
        &[
            "return", "throw", "raise", "await", "async", "yield", "typeof", "void", "delete", "not", "var", "let",
            "const", "local", "my", "our", "lambda", "function", "try", "begin", "finally", "static", "global", "from",
            "import", "use", "del", "def", "class",
        ],
    ),
];

static KEYWORD_TABLE: Lexicon<Keyword, 128> = Lexicon::new(KEYWORDS);

/// What a name does in the grammar, if it is a keyword.
pub(super) fn keyword(name: &[u8]) -> Option<Keyword> {
    // `Function` and `Class` are names.
    KEYWORD_TABLE.get(name).filter(|_| name.iter().all(u8::is_ascii_lowercase))
}

/// Whether a name is a value: nothing, true or false.
pub(super) fn is_constant(name: &[u8]) -> bool {
    matches!(
        name,
        b"null"
            | b"nil"
            | b"None"
            | b"undefined"
            | b"true"
            | b"false"
            | b"True"
            | b"False"
            | b"NULL"
            | b"TRUE"
            | b"FALSE"
    )
}

/// Whether a keyword belongs to functions.
pub(super) fn is_function(name: &[u8]) -> bool {
    matches!(name, b"function" | b"return" | b"lambda" | b"import" | b"use" | b"throw")
}

/// Whether a keyword begins a script rather than an expression.
pub(super) fn begins_script(name: &[u8]) -> bool {
    matches!(
        name,
        b"import" | b"from" | b"use" | b"var" | b"let" | b"const" | b"def" | b"class" | b"local" | b"my" | b"our"
    )
}

/// Whether brackets behind a word hold a condition and not arguments.
pub(super) fn is_control(name: &[u8]) -> bool {
    matches!(
        name,
        b"if"
            | b"for"
            | b"foreach"
            | b"while"
            | b"switch"
            | b"catch"
            | b"elseif"
            | b"until"
            | b"unless"
            | b"function"
            | b"with"
    )
}

/// Whether a word takes an operand without brackets.
pub(super) fn takes_argument(name: &[u8]) -> bool {
    matches!(
        name,
        b"print"
            | b"echo"
            | b"puts"
            | b"p"
            | b"pp"
            | b"say"
            | b"println"
            | b"new"
            | b"include"
            | b"include_once"
            | b"require"
            | b"require_once"
            | b"exec"
            | b"system"
            | b"spawn"
            | b"unlink"
            | b"do"
            | b"die"
            | b"exit"
            | b"eval"
            | b"load"
            | b"warn"
            | b"raise"
            | b"clone"
            | b"open"
    )
}

/// Whether a function or word shows the value that it is given.
pub(super) fn shows(name: &[u8]) -> bool {
    matches!(name, b"p" | b"pp" | b"say" | b"warn") || ability(name) == Some(Ability::Print)
}

/// Whether the result of a function of this name may be the name of another function.
pub(super) fn decodes(name: &[u8]) -> bool {
    matches!(
        name,
        b"base64_decode"
            | b"str_rot13"
            | b"strrev"
            | b"chr"
            | b"implode"
            | b"join"
            | b"hex2bin"
            | b"pack"
            | b"gzinflate"
            | b"gzuncompress"
            | b"urldecode"
            | b"str_replace"
            | b"substr"
            | b"create_function"
            | b"strtolower"
            | b"rawurldecode"
            | b"array_pop"
            | b"current"
            | b"end"
            | b"convert_uudecode"
            | b"sprintf"
            | b"trim"
    )
}

/// Whether a variable of PHP holds what the client sent, or all variables.
pub(super) fn is_superglobal(name: &[u8]) -> bool {
    matches!(
        name,
        b"$_GET"
            | b"$_POST"
            | b"$_REQUEST"
            | b"$_COOKIE"
            | b"$_SERVER"
            | b"$_FILES"
            | b"$_ENV"
            | b"$_SESSION"
            | b"$GLOBALS"
    )
}

/// Whether a text is the name of a function that runs commands or code, or shows the server's state.
pub(super) fn is_callback(text: &[u8]) -> bool {
    matches!(
        ability(text),
        Some(
            Ability::Run
                | Ability::RunByAnyObject
                | Ability::Evaluate
                | Ability::Show
                | Ability::File
                | Ability::Reflect
        )
    )
}

/// Whether a name in brackets before an operand is the type that it is converted to.
pub(super) fn is_type(name: &[u8]) -> bool {
    matches!(
        name,
        b"string" | b"int" | b"array" | b"object" | b"bool" | b"float" | b"unset" | b"binary" | b"String" | b"Object"
    )
}

/// Whether a function loads the module that its text names.
pub(super) fn loads_module(name: &[u8]) -> bool {
    matches!(name, b"require" | b"import" | b"__import__" | b"import_module" | b"getBuiltinModule")
}

/// Whether a function makes a function of a text, so that its result is called.
pub(super) fn makes_function(name: &[u8]) -> bool {
    matches!(
        name,
        b"Function" | b"constructor" | b"load" | b"compile" | b"AsyncFunction" | b"create_function" | b"loadstring"
    )
}

/// Whether a module gives processes, files or connections.
pub(super) fn is_system_module(name: &[u8]) -> bool {
    let name = name.strip_prefix(b"node:").unwrap_or(name);
    matches!(
        name,
        b"fs"
            | b"os"
            | b"child_process"
            | b"net"
            | b"http"
            | b"https"
            | b"vm"
            | b"worker_threads"
            | b"dns"
            | b"tls"
            | b"cluster"
            | b"module"
            | b"v8"
            | b"inspector"
            | b"repl"
            | b"process"
            | b"dgram"
            | b"http2"
            | b"fs/promises"
            | b"subprocess"
            | b"sys"
            | b"socket"
            | b"shutil"
            | b"pty"
            | b"platform"
            | b"ctypes"
            | b"builtins"
            | b"importlib"
            | b"io"
            | b"posix"
            | b"pickle"
            | b"time"
            | b"glob"
            | b"pathlib"
            | b"urllib.request"
    )
}

/// Whether a function changes files, so that a statement with it does something.
pub(super) fn changes_files(name: &[u8]) -> bool {
    matches!(name, b"unlink" | b"rename" | b"chmod" | b"chown" | b"rmdir" | b"copy" | b"mkdir" | b"glob" | b"remove")
}
