//! Pages of servers other than PHP in files: JSP, ASP, ASP.NET and ColdFusion that start processes, load classes, or
//! evaluate what a client sends.
//!
//! Such pages are markup with code between tags. The code is brought into a plain form, without spaces, comments, escapes
//! and pieces of strings put together, and then searched for calls that pages of applications do not make.

use crate::normalize::html_entities;
use memchr::memmem;
use std::borrow::Cow;

/// What is looked for in the code of a page; all of a line must occur.
type Calls = &'static [&'static [&'static [u8]]];

/// Calls of Java that execute.
const JAVA: Calls = &[
    &[b"getruntime", b".exec("],
    &[b"getruntime", b"invoke("],
    // A class file in base64.
    &[b"\"yv66vgaaa"],
    &[b"getruntime", b"\"exec\""],
    &[b"forname(", b"invoke(", b"getparameter"],
    &[b"forname(", b"invoke(", b"getheader"],
    &[b"loadclass(", b"invoke(", b"getparameter"],
    &[b"java.beans.expression", b"getparameter"],
    &[b"xmldecoder(", b"getparameter"],
    &[b"methodhandle", b"getparameter"],
    &[b"processbuilder("],
    &[b"processbuilder", b"invoke("],
    &[b"processimpl"],
    &[b"unixprocess"],
    &[b"defineclass"],
    &[b"defineanonymousclass"],
    &[b"scriptengine", b".eval("],
    &[b"enginebyname(", b".eval("],
    &[b"groovyshell"],
    &[b"groovyclassloader"],
    &[b"bsh.interpreter"],
    &[b"elprocessor"],
    &[b"urlclassloader", b"getparameter"],
    &[b"urlclassloader", b"newinstance"],
    &[b"createvalueexpression(", b"getparameter"],
    &[b"bcel", b"classloader"],
    &[b"objectinputstream(request"],
    &[b"decodebuffer(", b"loadclass("],
    &[b"nashorn", b".eval("],
    &[b"unsafe", b"putobject"],
    &[b".write(request.getparameter("],
    &[b"loadlibrary", b"getparameter"],
    &[b"fileoutputstream(", b"getrealpath(request.getparameter("],
    &[b"fileoutputstream(request.getparameter("],
    &[b"filewriter(request.getparameter("],
    &[b"new socket(", b".exec("],
];

/// Objects and calls of ASP that execute.
const ASP: Calls = &[
    &[b"wscript.shell"],
    &[b"shell.application"],
    &[b"72c24dd5-d70a-438b-8a42-98424b88afb8"],
    &[b"13709620-c279-11ce-a49e-444553540000"],
    &[b"f935dc22-1cf0-11d0-adb9-00c04fd58a0b"],
    &[b"scriptcontrol", b"addcode"],
    &[b"scriptcontrol", b".eval"],
    &[b"scriptcontrol", b"executestatement"],
    &[b"#@~^", b".encode"],
    &[b"process.start("],
    &[b"new process("],
    &[b"new process{"],
    &[b"new system.diagnostics.process("],
    &[b"processstartinfo"],
    &[b"assembly.load(", b"request"],
    &[b"assembly.load(", b"createinstance("],
    &[b"compileassemblyfrom"],
    &[b"getmethod(\"load\"", b"request"],
    &[b"frombase64string(", b"assembly", b"createinstance"],
    &[b"runspacefactory"],
    &[b"virtualalloc"],
    &[b"createthread", b"dllimport"],
    &[b"xp_cmdshell", b"request"],
    &[b"binaryformatter", b"deserialize(", b"request"],
    &[b"losformatter", b"deserialize(", b"request"],
    &[b"objectstateformatter", b"deserialize(", b"request"],
    &[b"javascriptevaluate", b"request"],
    &[b"microsoft.jscript", b"request"],
    &[b"msxsl:script", b"transform"],
    &[b"file.writealltext(request"],
    &[b"file.writeallbytes(request"],
    &[b"streamwriter(request"],
    &[b"createtextfile(request"],
    &[b"createtextfile(server.mappath(request"],
];

/// Calls of ColdFusion that execute.
const COLDFUSION: Calls = &[
    &[b"evaluate(form."],
    &[b"evaluate(url."],
    &[b"evaluate(#form"],
    &[b"evaluate(#url"],
    &[b"evaluate(decrypt("],
    &[b"evaluate(tostring("],
    &[b"createobject(\"java\",\"java.lang.runtime\")"],
    &[b"createobject(\"java\",\"java.lang.processbuilder\")"],
    &[b"createobject('java','java.lang.runtime')"],
    &[b"createobject('java','java.lang.processbuilder')"],
    &[b"createobject(\"java\",\"java.net.urlclassloader\")"],
    &[b"defineclass"],
];

/// Most bytes of a page that are searched.
const MAX_PAGE: usize = 2 << 20;
/// Most statements of a kind that are looked at.
const MAX_SITES: usize = 256;
/// What is removed from code: pieces of strings put together.
const JOINTS: &[&[u8]] = &[b"\"+\"", b"\"&\"", b"'+'"];

/// Where the code of a page begins that executes.
pub(super) fn find(content: &[u8]) -> Option<usize> {
    let start = first_code(content)?;
    let page = &content[start..content.len().min(start + MAX_PAGE)];
    let is_java = is_jsp(page, content);
    let code = plain(&code_of(page, content));
    let has = |call: &[u8]| memmem::find(&code, call).is_some();
    let matches = |calls: Calls| calls.iter().any(|all| all.iter().all(|call| has(call)));
    let found = if is_coldfusion(page) {
        matches(COLDFUSION) || executes_tag(page)
    } else {
        is_java && matches(JAVA) || matches(ASP) || evaluates(&code)
    };
    found.then_some(start)
}

/// Where the first tag of code stands.
fn first_code(content: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr(b'<', content.get(at..)?)?;
        let rest = &content[at + 1..];
        let is = |tag: &[u8]| rest.get(..tag.len()).is_some_and(|head| head.eq_ignore_ascii_case(tag));
        let is_code = match rest.first()? {
            b'%' => is_text(rest),
            b'j' | b'J' => is(b"jsp:"),
            b'c' | b'C' => COLDFUSION_TAGS.iter().any(|tag| is(tag)),
            b's' | b'S' => is(b"script") && tag(rest).is_some_and(is_server_script),
            _ => false,
        };
        if is_code {
            return Some(at);
        }
        at += 1;
    }
}

/// Tags of ColdFusion in whose pages there may be code.
const COLDFUSION_TAGS: &[&[u8]] =
    &[b"cfexecute", b"cfset", b"cfscript", b"cfoutput", b"cfif", b"cfparam", b"cffile", b"cfquery", b"cfcomponent"];

fn is_text(head: &[u8]) -> bool {
    const LOOKED_AT: usize = 8;
    head.iter().take(LOOKED_AT).all(|b| (b' '..0x7f).contains(b) || b.is_ascii_whitespace())
}

/// The text of a tag up to its end.
fn tag(rest: &[u8]) -> Option<&[u8]> {
    const MAX_TAG: usize = 256;
    let head = &rest[..rest.len().min(MAX_TAG)];
    memchr::memchr(b'>', head).map(|end| &head[..end])
}

fn is_server_script(tag: &[u8]) -> bool {
    let tag = tag.to_ascii_lowercase();
    memmem::find(&tag, b"runat").is_some()
}

fn is_jsp(page: &[u8], content: &[u8]) -> bool {
    // Pages of Microsoft name themselves; without that the calls decide.
    let head = page[..page.len().min(1024)].to_ascii_lowercase();
    let asp: [&[u8]; 4] = [b"language=\"c#\"", b"language=\"vb", b"webhandler", b"inherits="];
    !asp.iter().any(|sign| memmem::find(&head, sign).is_some()) || is_jspx(content)
}

/// Whether the page is an XML document whose prefix for code may be any.
fn is_jspx(content: &[u8]) -> bool {
    let head = &content[..content.len().min(4096)];
    memmem::find(head, b"java.sun.com/JSP/Page").is_some() || memmem::find(head, b"xmlns.jcp.org/jsp").is_some()
}

fn is_coldfusion(page: &[u8]) -> bool {
    page.get(1..3).is_some_and(|head| head.eq_ignore_ascii_case(b"cf"))
}

/// The code of a page: what is between tags of code. Of an XML document and of ColdFusion, all.
fn code_of<'p>(page: &'p [u8], content: &'p [u8]) -> Cow<'p, [u8]> {
    if is_jspx(content) {
        return html_entities::decode(page);
    }
    let is_marked = memmem::find(page, b"<%").is_some();
    let has = |word: &[u8]| memmem::find(page, word).is_some();
    let others = has(b"<jsp:") || has(b"runat") || has(b"WebHandler") || has(b"WebService");
    if !is_marked || others || is_coldfusion(page) {
        return Cow::Borrowed(page);
    }
    let mut code = Vec::new();
    let mut rest = page;
    while let Some(start) = memmem::find(rest, b"<%") {
        let inside = &rest[start + 2..];
        let Some(end) = memmem::find(inside, b"%>") else { break };
        code.extend_from_slice(&inside[..end]);
        code.push(b'\n');
        rest = &inside[end..];
    }
    Cow::Owned(code)
}

/// Code in lower case, without spaces that part no words, without comments, escapes and joints of strings.
fn plain(code: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(code.len());
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let mut at = 0;
    let (mut space, mut quoted) = (false, false);
    while let Some(&byte) = code.get(at) {
        let rest = &code[at..];
        if byte == b'\\' && rest.get(1) == Some(&b'u') {
            let digits = rest[1..].iter().take_while(|b| **b == b'u').count() + 1;
            let hex = rest.get(digits..digits + 4).and_then(|hex| std::str::from_utf8(hex).ok());
            if let Some(code) = hex.and_then(|hex| u32::from_str_radix(hex, 16).ok()).filter(|code| *code < 0x80) {
                push(&mut out, (code as u8).to_ascii_lowercase());
                at += digits + 4;
                continue;
            }
        }
        quoted = byte != b'\n' && quoted != (byte == b'"' && !code[..at].ends_with(b"\\"));
        if !quoted && rest.starts_with(b"/*") {
            at += memmem::find(&rest[2..], b"*/").map_or(rest.len(), |end| end + 4);
            continue;
        }
        at += 1;
        match byte {
            b'\n' => out.push(b'\n'),
            b' ' | b'\t' | b'\r' => space = true,
            _ => {
                if space && is_word(byte) && out.last().is_some_and(|&last| is_word(last)) {
                    out.push(b' ');
                }
                space = false;
                push(&mut out, byte.to_ascii_lowercase());
            }
        }
    }
    out
}

/// Appends a byte, unless it completes a joint of strings.
fn push(out: &mut Vec<u8>, byte: u8) {
    out.push(byte);
    if let Some(joint) = JOINTS.iter().find(|joint| out.ends_with(joint)) {
        out.truncate(out.len() - joint.len());
    }
}

/// Whether a statement of VBScript or JScript evaluates what the client sends, or what is decoded.
fn evaluates(code: &[u8]) -> bool {
    let tainted = assigned_from_request(code);
    const STATEMENTS: &[&[u8]] = &[b"executeglobal", b"execute", b"eval"];
    const METHODS: &[&[u8]] = &[
        b"createtextfile",
        b".opentextfile",
        b".savetofile",
        b".deletefile",
        b"fileoutputstream",
        b"filewriter",
        b"file.writealltext",
        b"file.writeallbytes",
        b"streamwriter",
        b"processstartinfo",
    ];
    let begins = |at: usize| {
        let before = at.checked_sub(1).map_or(b'\n', |before| code[before]);
        !before.is_ascii_alphanumeric() && !matches!(before, b'_' | b'.')
    };
    let statement = |word: &&[u8]| {
        let dangerous = |at: usize| is_dangerous(&code[at + word.len()..], &tainted, code);
        memmem::find_iter(code, word).filter(|at| begins(*at)).take(MAX_SITES).any(dangerous)
    };
    let method = |word: &&[u8]| {
        let sent = |at: usize| is_sent(&code[at + word.len()..], &tainted);
        memmem::find_iter(code, word).take(MAX_SITES).any(sent)
    };
    STATEMENTS.iter().any(statement) || METHODS.iter().any(method)
}

/// Whether a file is named by what the client sends.
fn is_sent(argument: &[u8], tainted: &[&[u8]]) -> bool {
    let argument = argument.strip_prefix(b"(").or(argument.strip_prefix(b" ")).unwrap_or_default();
    let argument = argument.strip_prefix(b"server.mappath(").unwrap_or(argument);
    argument.starts_with(b"request") || tainted.contains(&word(argument))
}

/// The name at the start of a text.
fn word(text: &[u8]) -> &[u8] {
    const LONGEST: usize = 64;
    &text[..text.iter().take(LONGEST).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count()]
}

/// Whether an argument is what the client sends, a variable that holds it, or decoded.
fn is_dangerous(argument: &[u8], tainted: &[&[u8]], code: &[u8]) -> bool {
    const DECODERS: &[&[u8]] = &[
        b"request",
        b"chr(",
        b"strreverse(",
        b"unescape(",
        b"string.fromcharcode(",
        b"convert.frombase64string(",
        b"system.text.encoding",
        b"encoding.",
        b"decode",
        b"server.urldecode(",
        b"base64",
    ];
    let Some(argument) = argument.strip_prefix(b"(").or(argument.strip_prefix(b" ")) else { return false };
    let argument = &argument[argument.iter().take_while(|b| **b == b'(').count().min(argument.len())..];
    let word = word(argument);
    let (first, rest) = argument.split_at(word.len());
    if DECODERS.iter().any(|decoder| argument.starts_with(decoder)) || tainted.contains(&first) {
        return true;
    }
    // JScript evaluates unsafely with a second argument, and functions of the page decode.
    let second = rest.strip_prefix(b",").map(|rest| rest.starts_with(b"\"unsafe\"") || !self::word(rest).is_empty());
    let is_own = rest.starts_with(b"(") && memmem::find(code, &[b"function ", word].concat()).is_some();
    !word.is_empty() && (second == Some(true) || is_own)
}

/// Names to which something of the request is assigned.
fn assigned_from_request(code: &[u8]) -> Vec<&[u8]> {
    const MOST: usize = 32;
    let mut names: Vec<&[u8]> = Vec::new();
    for at in memchr::memchr_iter(b'=', code) {
        let value = &code[at + 1..];
        const AROUND: &[&[u8]] = &[b"trim(", b"cstr(", b"new string(", b"context.", b"this."];
        let value = AROUND.iter().find_map(|around| value.strip_prefix(*around)).unwrap_or(value);
        if names.len() >= MOST || !value.starts_with(b"request") && !names.contains(&word(value)) {
            continue;
        }
        let before = &code[..at];
        let length = before.iter().rev().take(64).take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let name = &before[at - length..];
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Whether a tag runs a program that is named by a variable, in a page that reads a request.
fn executes_tag(page: &[u8]) -> bool {
    const MAX_TAG: usize = 1024;
    let lower = page.to_ascii_lowercase();
    let reads = [&b"form."[..], b"url.", b"cgi."].iter().any(|scope| memmem::find(&lower, scope).is_some());
    reads
        && memmem::find_iter(&lower, b"<cfexecute").any(|at| {
            let tag = &lower[at..lower.len().min(at + MAX_TAG)];
            let tag = &tag[..memchr::memchr(b'>', tag).unwrap_or(tag.len())];
            memchr::memchr(b'#', tag).is_some()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_that_execute_are_found() {
        for page in [
            r#"<%@ page import="java.io.*" %><% Runtime.getRuntime().exec(request.getParameter("c")); %>"#,
            r#"<% R\u0075ntime . getRuntime ( ).exec(request.getParameter("c")); %>"#,
            r#"<% new ProcessBuilder(new String[]{"sh", "-c", request.getParameter("c")}).start(); %>"#,
            r#"<%! class L extends ClassLoader { Class g(byte[] b) { return super.defineClass(b, 0, b.length); } } %>"#,
            r#"<jsp:root xmlns:x="http://java.sun.com/JSP/Page"><x:scriptlet>Runtime.getRuntime(/**/).exec(c)</x:scriptlet></jsp:root>"#,
            r#"<% eval request("c") %>"#,
            "<% x = Request.Form(\"c\")\nExecuteGlobal x %>",
            r#"<% Set s = CreateObject("WScr" & "ipt.Shell") %>"#,
            r#"<%@ Page Language="C#" %><% System.Diagnostics.Process.Start("cmd", Request["c"]); %>"#,
            r#"<%@ Page Language="Jscript" %><% eval(Request.Item["c"], "unsafe"); %>"#,
            r#"<script language="C#" runat="server">void Page_Load() { var p = new ProcessStartInfo("cmd"); }</script>"#,
            r##"<cfoutput><cfexecute name="cmd.exe" arguments="/c #form.c#" timeout="9"></cfexecute></cfoutput>"##,
            r#"<cfset x = evaluate(form.code)>"#,
        ] {
            assert!(find(page.as_bytes()).is_some(), "{page}");
        }
    }

    #[test]
    fn pages_of_applications_pass() {
        for page in [
            r#"<%@ page contentType="text/html" %><html><% for (Item i : items) { %><li><%= i.getName() %></li><% } %></html>"#,
            r#"<% long free = Runtime.getRuntime().freeMemory(); out.print(request.getParameter("name")); %>"#,
            r#"<% Set rs = conn.Execute(sql) : Response.Write Request("name") %>"#,
            r#"<%@ Page Language="C#" Inherits="Shop.Default" %><asp:Label runat="server" Text='<%# Eval("Name") %>' />"#,
            r##"<cfoutput query="items">#name# #url.id#</cfoutput><cfexecute name="/usr/bin/convert" arguments="a b"/>"##,
            "<p>Use <code>Runtime.getRuntime().exec()</code> with care; 10 <% 20</p>",
            "<% If x Then %><b>eval</b><% End If %>",
        ] {
            assert!(find(page.as_bytes()).is_none(), "{page}");
        }
    }
}
