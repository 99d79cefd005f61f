//! Commands that injections run, by how much a line that begins with one must say to be believed.

/// How telling a command's name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A word of ordinary language: needs an argument that only a command takes.
    Word,
    /// A command's name that may end a sentence of its own: alone behind a separator it is believed.
    Name,
    /// No word of any language: behind a separator it needs nothing.
    Telling,
}

/// Commands that are ordinary words, sorted.
const WORDS: &[&str] = &[
    "at", "base", "bash", "cat", "cd", "chmod", "compress", "convert", "copy", "cut", "date", "del", "dig", "dir",
    "do", "echo", "env", "exec", "expr", "file", "find", "fold", "for", "go", "grep", "head", "help", "history",
    "host", "install", "join", "kill", "last", "less", "link", "ls", "mail", "make", "man", "more", "mount", "move",
    "net", "node", "open", "paste", "perl", "php", "ping", "print", "printf", "python", "python2", "python3", "read",
    "reg", "rev", "rm", "ruby", "rename", "route", "run", "sc", "screen", "service", "set", "sh", "sleep", "sort",
    "source", "split", "start", "stat", "strings", "tail", "tee", "test", "time", "timeout", "top", "touch", "tr",
    "type", "unlink", "uniq", "users", "ver", "w", "watch", "whereis", "which", "while", "who", "write", "yes", "zip",
    "mv", "cp", "ip", "ps", "pwd", "su", "id", "awk", "sed", "nl", "od", "xxd", "ftp", "ssh", "scp", "git", "curl",
    "wget", "nc", "ncat", "telnet", "java", "lua", "tar", "gcc", "crontab", "diff", "dd", "df", "du", "cmd", "export",
    "hostname", "shutdown", "reboot", "halt", "sudo", "dash", "passwd", "whois", "ifdown", "dirname", "sendmail",
];
/// Commands alone behind a separator that are believed.
const NAMES: &[&str] = &[
    "id", "ls", "pwd", "dir", "ps", "env", "sh", "bash", "cmd", "hostname", "reboot", "ver", "w", "df", "curl", "wget",
    "ping", "nc", "phpinfo", "set", "cat", "perl", "python", "php", "shutdown", "uptime", "route", "history",
];
/// Commands that are no words.
const TELLING: &[&str] = &[
    "arp",
    "base64",
    "busybox",
    "certutil",
    "chown",
    "cscript",
    "dash",
    "dirname",
    "dmesg",
    "ifconfig",
    "ipconfig",
    "journalctl",
    "ksh",
    "lastlog",
    "lsattr",
    "lsb_release",
    "lsof",
    "lspci",
    "lsusb",
    "mknod",
    "mkfifo",
    "msiexec",
    "mshta",
    "nbtstat",
    "netsh",
    "netstat",
    "nmap",
    "nohup",
    "nslookup",
    "pgrep",
    "pkill",
    "powershell",
    "printenv",
    "ps aux",
    "pwsh",
    "regsvr32",
    "rundll32",
    "rsync",
    "schtasks",
    "sendmail",
    "setsid",
    "smbclient",
    "socat",
    "sqlite3",
    "strace",
    "sysctl",
    "systemctl",
    "systeminfo",
    "taskkill",
    "tasklist",
    "tcpdump",
    "tftp",
    "traceroute",
    "tracert",
    "uname",
    "useradd",
    "vssadmin",
    "whoami",
    "wmic",
    "wscript",
    "xargs",
    "zsh",
    "csh",
    "tcsh",
    "gawk",
    "mawk",
    "bitsadmin",
    "iptables",
];

/// What `name` (lower case, without path and `.exe`) is, if it is a command.
pub fn kind(name: &[u8]) -> Option<Kind> {
    let is = |list: &[&str]| list.iter().any(|c| c.as_bytes() == name);
    if is(TELLING) {
        Some(Kind::Telling)
    } else if is(NAMES) {
        Some(Kind::Name)
    } else {
        is(WORDS).then_some(Kind::Word)
    }
}
