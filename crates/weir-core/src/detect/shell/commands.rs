//! Commands that injections run, by how much evidence a line needs that begins with one.

use crate::model::Lexicon;

/// How much the name of a command says about the line that begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameClass {
    /// A word of ordinary language. The line needs an argument that only a command takes.
    OrdinaryWord,
    /// The name of a command that is rarely a word. After a separator it needs no argument.
    CommandName,
    /// No word of any language. After a separator it is sufficient by itself.
    Unmistakable,
}

/// Every known command. No name begins with a digit; callers rely on this.
const NAMES: &[(NameClass, &[&str])] = &[
    (
        NameClass::Unmistakable,
        &[
            "arp",
            "base64",
            "bitsadmin",
            "busybox",
            "certutil",
            "chown",
            "cscript",
            "csh",
            "dash",
            "dirname",
            "dmesg",
            "gawk",
            "ifconfig",
            "ipconfig",
            "iptables",
            "journalctl",
            "ksh",
            "lastlog",
            "lsattr",
            "lsb_release",
            "lsof",
            "lspci",
            "lsusb",
            "mawk",
            "mkfifo",
            "mknod",
            "mshta",
            "msiexec",
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
            "pwsh",
            "regsvr32",
            "rsync",
            "rundll32",
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
            "tcsh",
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
        ],
    ),
    (
        NameClass::CommandName,
        &[
            "bash", "cat", "cmd", "curl", "df", "dir", "env", "history", "hostname", "id", "ls", "nc", "perl", "php",
            "phpinfo", "ping", "ps", "pwd", "python", "reboot", "route", "set", "sh", "shutdown", "uptime", "ver", "w",
            "wget",
        ],
    ),
    (
        NameClass::OrdinaryWord,
        &[
            "at", "awk", "base", "cd", "chmod", "compress", "convert", "copy", "cp", "crontab", "cut", "date", "dd",
            "del", "diff", "dig", "do", "du", "echo", "exec", "export", "expr", "file", "find", "fold", "for", "ftp",
            "gcc", "git", "go", "grep", "halt", "head", "help", "host", "ifdown", "install", "ip", "java", "join",
            "kill", "last", "less", "link", "lua", "mail", "make", "man", "more", "mount", "move", "mv", "ncat", "net",
            "nl", "node", "od", "open", "passwd", "paste", "print", "printf", "python2", "python3", "read", "reg",
            "rename", "rev", "rm", "ruby", "run", "sc", "scp", "screen", "sed", "service", "sleep", "sort", "source",
            "split", "ssh", "start", "stat", "strings", "su", "sudo", "tail", "tar", "tee", "telnet", "test", "time",
            "timeout", "top", "touch", "tr", "type", "uniq", "unlink", "users", "watch", "whereis", "which", "while",
            "who", "whois", "write", "xxd", "yes", "zip",
        ],
    ),
];

static COMMANDS: Lexicon<NameClass, 512> = Lexicon::new(NAMES);

/// The class of `name` (in any case, without path and `.exe`), if it is a command.
#[inline]
pub fn classify(name: &[u8]) -> Option<NameClass> {
    COMMANDS.get(name)
}

#[cfg(test)]
mod tests {
    use super::NAMES;

    #[test]
    fn names_begin_with_letters() {
        let names = NAMES.iter().flat_map(|(_, names)| *names);
        assert_eq!(names.filter(|name| !name.starts_with(|c: char| c.is_ascii_lowercase())).count(), 0);
    }
}
