//! What functions of the languages and of their standard libraries can do, by their names.
//!
//! What an application calls its own functions is not here, so that code of an application means nothing.

use crate::model::Lexicon;

/// What a function can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ability {
    /// Runs a command, if no object owns the function: databases have functions of this name too.
    Run,
    /// Runs a command, whatever object it belongs to.
    RunByAnyObject,
    /// Runs a command, if its text is one.
    Launch,
    /// Runs a text as code.
    Evaluate,
    /// Shows the server's state; no other function has this name.
    Show,
    /// Shows the server's state; applications may have functions of this name.
    State,
    /// Reads, writes or lists files.
    File,
    /// Opens a file, if its text is a path.
    Path,
    /// Opens a connection.
    Connect,
    /// A class whose objects read files, connect or evaluate.
    Construct,
    /// Reaches classes and functions by name.
    Reflect,
    /// Returns the class of an object.
    Class,
    /// Calls the function that a text names.
    Callback,
    /// Prints.
    Print,
    /// Ends or signals a process.
    End,
}

#[rustfmt::skip]
const ABILITIES: &[(Ability, &[&str])] = &[
    (
        Ability::RunByAnyObject,
        &[
            "execsync", "execfilesync", "spawnsync", "shell_exec", "passthru", "popen", "popen2", "popen3", "popen4",
            "proc_open", "pcntl_exec", "check_output", "check_call", "getoutput", "getstatusoutput",
            "create_subprocess_shell", "create_subprocess_exec", "readpipe", "capture2", "capture2e", "capture3",
            "shellexecute", "cfexecute", "execvp", "execve", "execvpe", "spawnl", "spawnv", "spawnlp", "loadlib",
            "dlopen", "wsystem", "startprocess",
        ],
    ),
    (
        Ability::Run,
        &["system", "exec", "execfile", "execv", "execl", "execlp", "syscall", "dl", "cdll", "windll", "ssh2_exec"],
    ),
    (Ability::Launch, &["spawn", "fork", "start", "shell", "run"]),
    (
        Ability::Evaluate,
        &[
            "eval", "loadstring", "execscript", "instance_eval", "class_eval", "module_eval",
            "instance_exec", "class_exec", "runinnewcontext", "runinthiscontext", "runincontext", "create_function",
            "eval_string", "eval_quoted", "evalscript", "assert",
        ],
    ),
    (
        Ability::Show,
        &[
            "phpinfo", "phpversion", "phpcredits", "php_uname", "php_sapi_name", "php_ini_loaded_file",
            "php_ini_scanned_files", "zend_version", "get_current_user", "getmyuid", "getmygid", "getmypid",
            "getmyinode", "get_defined_vars", "get_defined_functions", "get_defined_constants",
            "get_loaded_extensions", "get_declared_classes", "get_included_files", "get_required_files",
            "getallheaders", "apache_request_headers", "apache_get_modules", "posix_getpwuid", "posix_uname",
            "posix_getuid", "posix_geteuid", "sys_getloadavg", "sys_get_temp_dir", "ini_get_all", "debug_backtrace",
            "debug_print_backtrace", "error_get_last", "get_cfg_var", "getprotectiondomain", "getbuiltinmodule",
            "each_object", "getregistry", "getenvironmentvariable", "getenvironmentvariables", "stream_get_wrappers",
            "disk_free_space", "disk_total_space", "php_strip_whitespace", "mysqli_get_host_info",
        ],
    ),
    (
        Ability::State,
        &[
            "getcwd", "gethostname", "getenv", "getpid", "getppid", "getlogin", "getuid", "globals", "locals",
            "vars", "getproperties", "getproperty", "hostname", "userinfo", "uname", "environ", "networkinterfaces",
            "cpus", "breakpoint", "interact", "memory_get_usage", "get_object_vars", "get_class_methods",
            "session_id", "ini_get", "constant", "loadavg",
        ],
    ),
    (
        Ability::File,
        &[
            "file_get_contents", "file_put_contents", "readfile", "fopen", "fputs", "fwrite", "highlight_file",
            "show_source", "scandir", "opendir", "readdir", "move_uploaded_file", "parse_ini_file", "fpassthru",
            "simplexml_load_file", "php_strip_whitespace", "tempnam", "readfilesync", "writefilesync", "readdirsync",
            "appendfilesync", "unlinksync", "rmsync", "mkdirsync", "createreadstream", "createwritestream",
            "readtextfile", "readtextfilesync", "writetextfile", "writetextfilesync", "readdirsync", "listdir",
            "rmtree", "makedirs", "removedirs", "read_to_string", "readalltext", "readalllines", "readallbytes",
            "writealltext", "writeallbytes", "binread", "sysopen", "opentextfile", "getfiles", "getdirectories",
            "dofile", "loadfile", "file_exists", "rm_rf", "putenv", "ini_set", "apache_setenv", "fileperms", "symlink",
        ],
    ),
    (
        Ability::Path,
        &[
            "open", "file", "copy", "rename", "remove", "unlink", "chmod", "chown", "chgrp", "rmdir", "mkdir",
            "touch", "link", "glob", "include", "include_once", "require", "require_once", "do", "path", "walk",
            "iglob", "mkfifo", "error_log", "set_include_path", "chdir", "chroot",
        ],
    ),
    (
        Ability::Connect,
        &[
            "fsockopen", "pfsockopen", "stream_socket_client", "stream_socket_server", "socket_create",
            "socket_connect", "curl_init", "curl_exec", "urlopen", "urlretrieve", "dns_get_record", "checkdnsrr",
            "gethostbynamel", "dolookup", "downloadstring", "downloadfile", "downloaddata", "create_connection",
            "getaddrinfo",
        ],
    ),
    (
        Ability::Construct,
        &[
            "processbuilder", "filereader", "fileinputstream", "fileoutputstream", "filewriter", "randomaccessfile",
            "socket", "serversocket", "urlclassloader", "scriptenginemanager", "groovyshell", "groovyclassloader",
            "initialcontext", "objectinputstream", "reflectionfunction", "reflectionmethod", "reflectionclass",
            "splfileobject", "directoryiterator", "filesystemiterator", "recursivedirectoryiterator", "globiterator",
            "simplexmlelement", "soapclient", "webclient", "activexobject", "function", "asyncfunction",
            "spelexpressionparser", "elprocessor", "finfo", "streamreader", "streamwriter", "filestream",
            "printwriter",
        ],
    ),
    (
        Ability::Reflect,
        &[
            "forname", "getclassloader", "getcontextclassloader", "getsystemclassloader", "loadclass", "defineclass",
            "getdeclaredmethod", "getdeclaredmethods", "getdeclaredconstructor", "getdeclaredfield",
            "getdeclaredfields", "getruntime", "_load", "_linkedbinding", "getenginebyname", "const_get", "define_method", "__subclasses__",
            "__getattribute__", "__reduce__", "__import__", "import_module", "newinstance",
            "getservletcontext", "gettypefromprogid", "gettypefromclsid", "loadwithpartialname",
        ],
    ),
    (Ability::Class, &["getclass", "gettype", "getmethods", "getmethod", "getconstructors"]),
    (
        Ability::Callback,
        &[
            "array_map", "array_filter", "array_walk", "array_walk_recursive", "array_reduce", "array_diff_uassoc",
            "array_udiff", "array_uintersect", "array_diff_ukey", "usort", "uasort", "uksort", "ob_start",
            "call_user_func", "call_user_func_array", "forward_static_call", "forward_static_call_array",
            "func_get_args", "iterator_apply", "preg_replace_callback", "register_shutdown_function",
            "register_tick_function", "set_error_handler", "set_exception_handler", "spl_autoload_register",
            "is_callable", "function_exists", "mb_ereg_replace_callback", "session_set_save_handler", "filter_var",
            "header_register_callback", "send", "__send__", "public_send", "method", "instance_method", "getattr",
            "to_proc", "fromcallable", "sqlite_create_function",
        ],
    ),
    (
        Ability::Print,
        &[
            "print", "echo", "printf", "print_r", "var_dump", "var_export", "die", "exit", "puts", "println",
            "write", "str", "repr", "stringify", "json_encode", "serialize", "pprint", "inspect", "end", "list",
            "sorted",
        ],
    ),
    (Ability::End, &["kill", "abort", "_exit", "reallyexit", "killpg", "halt", "chdir", "setuid"]),
];

static FUNCTIONS: Lexicon<Ability, 1024> = Lexicon::new(ABILITIES);

/// What a function of this name can do.
pub(super) fn ability(name: &[u8]) -> Option<Ability> {
    FUNCTIONS.get(name)
}
