//! Objects and modules of the languages that stand for the system, a process, files or the interpreter.

/// Members of an object that represents the system.
#[derive(Clone, Copy, Debug)]
struct Members {
    /// The object, in its case.
    object: &'static str,
    /// `true`: these members; `false`: all but these.
    only: bool,
    names: &'static [&'static str],
}

const fn all_but(object: &'static str, names: &'static [&'static str]) -> Members {
    Members { object, only: false, names }
}

const fn only(object: &'static str, names: &'static [&'static str]) -> Members {
    Members { object, only: true, names }
}

/// Objects that stand for the system, a process, files or the interpreter, and their members that say so.
#[rustfmt::skip]
const OBJECTS: &[Members] = &[
    // Python, Lua, Go
    all_but("os", &["path", "time", "date", "clock", "difftime", "name", "sep", "linesep", "cpu", "load", "version"]),
    all_but("subprocess", &[]),
    all_but("shutil", &[]),
    all_but("pty", &[]),
    all_but("ctypes", &[]),
    all_but("importlib", &["resources"]),
    all_but("builtins", &["len", "str", "int"]),
    all_but("__builtins__", &[]),
    all_but("pickle", &["dumps", "dump"]),
    all_but("marshal", &["dumps", "dump"]),
    all_but("posix", &[]),
    all_but("runpy", &[]),
    only("commands", &["getoutput", "getstatusoutput"]),
    only("asyncio", &["create_subprocess_shell", "create_subprocess_exec"]),
    only("platform", &["node", "uname", "platform", "release", "processor"]),
    only("sys", &["exit", "modules", "_getframe", "settrace", "setrecursionlimit"]),
    only("socket", &["gethostname", "create_connection", "gethostbyname", "getaddrinfo", "socket", "fromfd"]),
    only("code", &["interact", "InteractiveConsole"]),
    only("requests", &["get", "post", "put", "head", "request"]),
    only("pathlib", &["Path"]),
    only("glob", &["glob", "iglob"]),
    only("codecs", &["open"]),
    only("linecache", &["getline", "getlines"]),
    only("inspect", &["getsource", "stack", "currentframe"]),
    only("gc", &["get_objects"]),
    only("io", &["popen", "open", "lines", "FileIO", "open_code"]),
    only("package", &["loadlib"]),
    only("debug", &["getregistry", "sethook", "setupvalue", "getinfo"]),
    only("ioutil", &["ReadFile", "WriteFile", "ReadDir"]),
    all_but("_G", &["print", "tostring"]),
    only("exec", &["Command", "CommandContext"]),
    // JavaScript
    only(
        "process",
        &[
            "exit", "kill", "abort", "binding", "dlopen", "mainModule", "chdir", "cwd", "getBuiltinModule",
            "reallyExit", "_linkedBinding", "setuid", "getuid", "moduleLoadList",
        ],
    ),
    only("child_process", &["exec", "spawn", "fork", "execFile", "execSync", "spawnSync", "execFileSync"]),
    all_but("Deno", &["test", "bench"]),
    only("Bun", &["spawn", "spawnSync", "file", "write", "serve"]),
    only("Reflect", &["construct", "apply"]),
    // Ruby
    all_but("Kernel", &["puts", "format", "sprintf", "Float", "Integer", "rand"]),
    only("IO", &["popen", "read", "readlines", "binread", "sysopen", "write", "foreach", "Socket"]),
    only(
        "File",
        &[
            "open", "read", "readlines", "binread", "write", "delete", "unlink", "rename", "symlink", "chmod",
            "foreach", "ReadAllText", "ReadAllLines", "ReadAllBytes", "WriteAllText", "Delete", "Move", "Copy",
            "Open",
        ],
    ),
    only("Dir", &["entries", "glob", "children", "mkdir", "rmdir", "chdir", "each_child", "foreach"]),
    all_but("FileUtils", &[]),
    only("Process", &["spawn", "kill", "fork", "exec", "Start", "daemon", "GetProcesses", "setuid"]),
    all_but("Open3", &[]),
    all_but("PTY", &[]),
    all_but("ObjectSpace", &[]),
    only("Marshal", &["load"]),
    only("YAML", &["load", "unsafe_load", "load_file"]),
    only("TCPSocket", &["new", "open"]),
    only("UNIXSocket", &["new", "open"]),
    all_but("Fiddle", &[]),
    // Java, Groovy, C#
    all_but("Runtime", &["version"]),
    only(
        "System",
        &[
            "getenv", "getProperty", "getProperties", "exit", "load", "loadLibrary", "setProperty",
            "setSecurityManager", "Diagnostics", "IO", "Net", "Reflection", "Environment", "cmd", "shell",
            "AppDomain", "Activator",
        ],
    ),
    only("Class", &["forName"]),
    only("Files", &["readAllLines", "readAllBytes", "readString", "write", "delete", "list", "walk", "newInputStream"]),
    only("Java", &["type", "extend"]),
    only("Eval", &["me", "x", "xy", "xyz"]),
    only("Jenkins", &["instance", "getInstance"]),
    only(
        "Environment",
        &[
            "GetEnvironmentVariable", "GetEnvironmentVariables", "Exit", "GetCommandLineArgs",
            "ExpandEnvironmentVariables",
        ],
    ),
    only("Assembly", &["Load", "LoadFrom", "LoadFile", "UnsafeLoadFrom", "GetExecutingAssembly", "GetType"]),
    only("Activator", &["CreateInstance", "CreateInstanceFrom"]),
    only("AppDomain", &["CurrentDomain", "CreateDomain"]),
    only("Type", &["GetType", "GetTypeFromProgID", "GetTypeFromCLSID"]),
    only("Code", &["eval_string", "eval_file", "eval_quoted"]),
];

fn members(object: &[u8]) -> Option<&'static Members> {
    OBJECTS.iter().find(|members| members.object.as_bytes() == object)
}

/// Whether the members behind such an object do what only the system can. Their first and last names decide.
pub(super) fn is_member(object: &[u8], first: &[u8], last: &[u8]) -> bool {
    members(object).is_some_and(|m| {
        let has = |member: &[u8]| m.names.iter().any(|name| name.as_bytes() == member);
        if m.only { has(first) || has(last) } else { !has(first) }
    })
}
