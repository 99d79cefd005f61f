//! Commands that injections run, by how much evidence a line needs that begins with one.

use crate::model::Lexicon;

/// How much the name of a command says about the line that begins with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameClass {
    /// A word of ordinary language. The line needs an argument that only a command takes.
    OrdinaryWord,
    /// The name of a command that is no word of a language but may be an abbreviation. The line needs an argument.
    Abbreviation,
    /// The name of a command that is rarely a word. After a separator it needs no argument.
    CommandName,
    /// No word of any language. After a separator it is sufficient by itself.
    Unmistakable,
}

/// Every known command. No name begins with a digit; callers rely on this.
#[rustfmt::skip]
const NAMES: &[(NameClass, &[&str])] = &[
    (
        NameClass::Unmistakable,
        &[
            "adduser", "agetty", "aa-disable", "aa-exec", "ansible-playbook", "apache2ctl", "aptitude", "arping",
            "aria2c", "blkid", "bcdedit", "bcdboot", "brctl", "capsh", "chage", "chpasswd", "chsh", "cksum", "cpulimit",
            "debugfs", "dosbox", "dstat", "exiftool", "fping", "gcore", "groupdel", "groupmod", "hping3", "htop",
            "iftop", "inotifywait", "insmod", "lftp", "logrotate", "lsns", "lwp-request", "modprobe", "nginx", "nmcli",
            "nsupdate", "objdump", "openvpn", "pidof", "pip3", "pipx", "pkexec", "pstree", "rbash", "rlwrap", "rmmod",
            "runuser", "setcap", "getcap", "setfacl", "getfacl", "sshpass", "ssh-copy-id", "start-stop-daemon", "stty",
            "swapon", "ubus", "ufw", "unexpand", "unlzma", "unshare", "unxz", "updatedb", "userdel", "uuencode",
            "uudecode", "valgrind", "vipw", "visudo", "xmodmap", "xzcat", "ypcat", "zgrep", "zstdcat",
            "zypper", "wmiexec", "winrs", "winrm", "wevtutil", "typeperf", "pnputil", "msbuild", "regasm",
            "regsvcs", "esentutl", "extrac32", "ieexec", "makecab", "mavinject", "msdt", "pcalua",
            "presentationhost", "diskshadow", "dnscmd", "nltest", "systemd-analyze",
            "telnetd", "utelnetd", "dropbear", "nvram", "killall", "tftpd", "fw_setenv", "fw_printenv", "udhcpc",
            "ansible-galaxy", "ansible-pull", "chef-client", "chef-shell", "rmt-tar", "rmt-dump", "cscli", "bsdcat",
            "c89", "c99", "irb", "jshell", "apt-get", "arp", "base32", "base64", "bitsadmin", "busybox", "bzcat",
            "bzip2", "certutil", "chattr", "chown", "chroot", "cmstp", "cscript", "csh", "csvde", "dash", "dirname",
            "diskpart", "dmesg", "dpkg", "driverquery", "dsquery", "egrep", "ethtool", "fdisk", "fgrep", "findstr",
            "forfiles", "fsutil", "gawk", "getent", "gpresult", "groupadd", "gunzip", "gzip", "hexdump", "hostnamectl",
            "icacls", "ifconfig", "installutil", "iptables", "ipconfig", "journalctl", "kubectl", "klist", "ksh",
            "lastlog", "launchctl", "ldconfig", "lsattr", "lsb_release", "lsblk", "lscpu", "lsmod", "lsof", "lspci",
            "lsusb", "mawk", "mkdir", "mkfifo", "mknod", "mktemp", "mshta", "msiexec", "mysqldump", "nbtstat", "netsh",
            "netstat", "nmap", "nohup", "nslookup", "ntdsutil", "odbcconf", "openssl", "pgrep", "pkill", "powershell",
            "printenv", "psexec", "pwsh", "qprocess", "quser", "qwinsta", "readlink", "realpath", "regsvr32", "rmdir",
            "rsync", "rundll32", "schtasks", "sendmail", "setsid", "sha256sum", "smbclient", "socat", "sqlite3",
            "strace", "sysctl", "sysinfo", "systemctl", "systeminfo", "systemd-run", "taskkill", "tasklist", "tcpdump",
            "tcsh", "tftp", "traceroute", "tracert", "uname", "useradd", "usermod", "usleep", "vssadmin", "whoami",
            "wmic", "wscript", "xargs", "zcat", "zsh", "crontab", "md5sum", "sha1sum", "dbus-send", "timedatectl",
            "vmstat", "iostat", "ifup", "tshark", "ssh-keygen", "bsdtar", "redis-cli", "etcdctl", "mongosh", "mongodump",
            "pg_dump", "pg_dumpall", "gcloud",
        ],
    ),
    (
        NameClass::CommandName,
        &[
            "bash", "cat", "cmd", "curl", "df", "dir", "env", "history", "hostname", "id", "ls", "nc", "netcat", "perl",
            "php", "phpinfo", "ping", "ps", "pwd", "python", "python2", "python3", "reboot", "route", "set", "sh",
            "shutdown", "uptime", "ver", "wget", "tac", "ss", "pip", "poweroff",
        ],
    ),
    (
        NameClass::Abbreviation,
        &[
            "ansible", "aws", "calc", "cargo", "certbot", "composer", "emacs", "gem", "gimp", "ldd", "nano", "nft",
            "nm", "perf", "puppet", "rake", "rsh", "runas", "setx", "snap", "terraform", "unzip", "vol", "wall", "yarn",
            "assoc", "ftype", "cal", "gzcat", "seq", "awk", "cd", "chmod", "cp", "dd", "del", "du", "expr", "gcc",
            "grep", "ifdown", "ip", "ln", "lua", "mv", "mysql", "ncat", "nice", "nl", "npm", "nsenter", "od", "passwd",
            "pr", "printf", "psql", "rar", "reg", "rev", "rm", "ruby", "sc", "scp", "sed", "ssh", "su", "sudo", "tar",
            "telnet", "tr", "uniq", "unlink", "whereis", "whois", "xxd", "wc", "docker", "git", "apt", "yum", "dnf",
            "apk", "ftp", "sftp", "mutt", "pacman", "tmux", "xz", "dig", "iex", "iwr", "gci", "irm", "gc", "attrib",
            "xcopy", "robocopy", "net", "nproc", "dpkg-query", "rpm", "vi", "vim", "ed", "zip", "gdb", "ltrace", "cpio",
            "ar", "jrunscript", "jjs", "diff", "xterm", "waitfor", "basenc", "csplit", "iconv", "nawk", "rvim",
            "vimdiff", "virsh", "xdotool", "yash", "tclsh", "gnuplot", "ghci", "sshfs", "dmidecode", "setarch", "mkpasswd",
            "rd", "md", "wbadmin", "cmdkey", "certreq", "rpcping", "nroff", "troff", "openvt", "logsave", "pdflatex", "genisoimage",
            "rustc", "javac", "ghc", "runghc", "dotnet", "csc", "swiftc", "tsc", "kotlinc", "julia", "escript", "elixir",
            "deno", "npx", "pnpm", "luarocks", "opam", "mvn", "octave", "rscript", "bpftrace", "cobc", "cpan", "dmsetup",
            "dvips", "elvish", "enscript", "facter", "ionice", "ispell", "jq", "ksu", "latexmk", "loginctl", "lualatex",
            "luatex", "minicom", "msgcat", "mtr", "nasm", "ncdu", "ncftp", "opkg", "pandoc", "pidstat", "psftp", "qpdf",
            "readelf", "restic", "rlogin", "rpmquery", "rtorrent", "rview", "sash", "scrot", "ssh-agent", "ssh-keyscan",
            "stdbuf", "taskset", "tmate", "torify", "torsocks", "unsquashfs", "update-alternatives", "vagrant", "vigr",
            "w3m", "xelatex", "xetex",
        ],
    ),
    (
        NameClass::OrdinaryWord,
        &[
            "false", "true", "alias", "base", "break", "builtin", "call", "command", "comm", "compress", "convert",
            "copy", "choice", "cut", "date", "declare", "echo", "eval", "exec", "export", "file", "find", "finger", "fold",
            "free", "go", "groups", "halt", "head", "help", "host", "install", "java", "join", "jobs", "kill",
            "last", "less", "link", "locate", "look", "mail", "make", "man", "more", "mount", "move", "node",
            "open", "paste", "print", "read", "rename", "run", "screen", "script", "service", "shuf", "sleep", "sort",
            "source", "split", "start", "stat", "strings", "tail", "tee", "test", "time", "timeout", "top", "touch",
            "trap", "tree", "type", "umask", "unset", "users", "watch", "which", "who", "write", "yes",
        ],
    ),
];

static COMMANDS: Lexicon<NameClass, 1024> = Lexicon::new(NAMES);

/// Commands that texts may name too, and that fetch or open a URL. `true`: as their first argument; the others behind an
/// option or a subcommand.
#[rustfmt::skip]
const FETCHERS: &[(bool, &[&str])] = &[
    (
        true,
        &[
            "start", "open", "convert", "curl", "wget", "ping", "nc", "netcat", "ncat", "rpm", "ftp", "sftp",
            "telnet", "whois", "dig", "iwr", "irm", "iex", "vim", "vi", "gimp",
        ],
    ),
    (
        false,
        &[
            "install", "go", "node", "java", "exec", "eval", "call", "command", "run", "bash", "sh", "cmd", "perl", "php",
            "python", "python2", "python3", "pip", "ruby", "lua", "git", "npm", "yarn", "composer", "gem", "cargo", "apt",
            "yum", "dnf", "apk", "pacman", "snap", "docker", "aws", "ssh", "scp", "sudo", "certreq", "terraform", "reg",
            "sc", "net", "jrunscript", "jjs", "mutt", "env", "xterm", "tclsh", "psql", "mysql",
        ],
    ),
];

static FETCHING: Lexicon<bool, 128> = Lexicon::new(FETCHERS);

/// Subcommands that a URL follows.
#[rustfmt::skip]
const SUBCOMMANDS: &[&[u8]] = &[
    b"add", b"build", b"clone", b"config", b"curl", b"download", b"exec", b"fetch", b"get", b"i", b"import", b"install",
    b"load", b"pull", b"push", b"remote", b"require", b"run", b"s3", b"start", b"submodule", b"use", b"wget",
];

/// Commands that run the command given as their arguments, and words of the shell's grammar that a command follows.
const WRAPPERS: &[(bool, &[&str])] = &[
    (
        true,
        &[
            "builtin", "busybox", "command", "doas", "env", "eval", "exec", "ionice", "nice", "nohup", "setsid",
            "stdbuf", "sudo", "trap", "unbuffer", "xargs", "timeout", "ltrace", "strace", "watch", "call",
        ],
    ),
    (false, &["do", "elif", "else", "if", "then", "time", "until", "while", "coproc"]),
];

static WRAPPING: Lexicon<bool, 64> = Lexicon::new(WRAPPERS);

/// Names of fields, languages, animals and tools that a list of words may have too.
const AMBIGUOUS: &[(bool, &[&str])] = &[(
    true,
    &[
        "ansible-playbook",
        "base64",
        "busybox",
        "exiftool",
        "gzip",
        "kubectl",
        "msbuild",
        "nginx",
        "nmap",
        "openssl",
        "openvpn",
        "pip3",
        "pipx",
        "powershell",
        "pwsh",
        "rsync",
        "socat",
        "sqlite3",
        "tcpdump",
        "valgrind",
        "zsh",
        "bash",
        "cat",
        "cmd",
        "dash",
        "dir",
        "env",
        "history",
        "hostname",
        "id",
        "pip",
        "perl",
        "php",
        "ping",
        "python",
        "python2",
        "python3",
        "reboot",
        "route",
        "set",
        "sh",
        "shutdown",
        "ss",
        "ver",
        "ps",
    ],
)];

static AMBIGUOUS_WORDS: Lexicon<bool, 128> = Lexicon::new(AMBIGUOUS);

/// The class of `name` (in any case, without path and `.exe`), if it is a command.
#[inline]
pub fn classify(name: &[u8]) -> Option<NameClass> {
    COMMANDS.get(name).or_else(|| cmdlet(name)).or_else(|| versioned(name))
}

/// Whether the name of a command is, or abbreviates, a word of texts.
pub fn may_be_prose(name: &[u8]) -> bool {
    classify(name).is_some_and(|class| class < NameClass::Unmistakable)
}

/// Whether a command of this name with these arguments, lower case, may fetch a URL among them.
pub fn fetches(name: &[u8], arguments: &[u8]) -> bool {
    FETCHING.get(name).is_some_and(|directly| {
        let first = arguments.split(|b| matches!(b, b' ' | b'+')).next().unwrap_or_default();
        directly || !first.first().is_some_and(u8::is_ascii_alphabetic) || SUBCOMMANDS.contains(&first)
    })
}

/// The class of an interpreter or compiler whose name ends with its version: `python3.11`, `gcc-12`.
fn versioned(name: &[u8]) -> Option<NameClass> {
    const NAMES: &[&[u8]] =
        &[b"python", b"pypy", b"php", b"perl", b"ruby", b"lua", b"luajit", b"gcc", b"clang", b"node", b"tclsh", b"pip"];
    const LONGEST: usize = 16;
    if name.len() > LONGEST || !name.last()?.is_ascii_digit() {
        return None;
    }
    let end = name.iter().rposition(|b| !matches!(b, b'0'..=b'9' | b'.' | b'-'))? + 1;
    let version = name[end..].strip_prefix(b"-").unwrap_or(&name[end..]);
    let is_version = version.contains(&b'.') || name[end] == b'-';
    (is_version && NAMES.iter().any(|known| known.eq_ignore_ascii_case(&name[..end])))
        .then_some(NameClass::Abbreviation)
}

/// The class of a name that is built as PowerShell names its commands, from a verb and a noun. In other case, it may be the
/// short name of a page.
fn cmdlet(name: &[u8]) -> Option<NameClass> {
    let dash = memchr::memchr(b'-', &name[..name.len().min(MAX_VERB + 1)])?;
    let (verb, noun) = (&name[..dash], &name[dash + 1..]);
    if noun.len() < 3
        || CMDLETS.get(verb).is_none()
        || !noun.iter().all(u8::is_ascii_alphanumeric)
        || COMPOUNDS.iter().any(|word| noun.eq_ignore_ascii_case(word))
    {
        return None;
    }
    let capitals = verb[0].is_ascii_uppercase() && noun[0].is_ascii_uppercase();
    Some(if capitals { NameClass::Unmistakable } else { NameClass::Abbreviation })
}

/// Words that make a compound of an ordinary language with a verb before them, and no command: `Read-Only`, `New-York`.
const COMPOUNDS: &[&[u8]] = &[
    b"only",
    b"protected",
    b"protection",
    b"through",
    b"back",
    b"ahead",
    b"once",
    b"many",
    b"top",
    b"aside",
    b"stop",
    b"end",
    b"york",
    b"zealand",
    b"delhi",
    b"jersey",
    b"hampshire",
    b"generation",
    b"born",
    b"age",
    b"style",
    b"world",
    b"driven",
    b"free",
    b"based",
    b"specific",
    b"related",
    b"paste",
    b"left",
    b"together",
    b"rich",
    b"door",
    b"dated",
    b"bound",
    b"source",
    b"sourced",
    b"down",
    b"off",
    b"out",
    b"over",
    b"and",
];

/// Short names of commands of Windows, which runs them in any case.
const WINDOWS: &[&[u8]] = &[
    b"cmd", b"dir", b"ver", b"set", b"net", b"sc", b"reg", b"vol", b"del", b"iex", b"iwr", b"irm", b"gci", b"gc",
    b"cd", b"rd", b"md",
];

/// Whether a system runs a command by a name in this spelling. Short names of Unix are of lower case; other spellings of two
/// or three letters are in any text.
pub fn is_spelled_to_run(name: &[u8]) -> bool {
    name.len() > 3
        || !name.iter().any(u8::is_ascii_uppercase)
        || WINDOWS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Longest verb of PowerShell.
const MAX_VERB: usize = 12;

/// Verbs of PowerShell.
const VERBS: &[(bool, &[&str])] = &[(
    true,
    &[
        "add",
        "clear",
        "compress",
        "convertfrom",
        "convertto",
        "copy",
        "disable",
        "enable",
        "enter",
        "expand",
        "export",
        "foreach",
        "format",
        "get",
        "import",
        "install",
        "invoke",
        "measure",
        "move",
        "new",
        "out",
        "read",
        "register",
        "remove",
        "rename",
        "resolve",
        "restart",
        "select",
        "send",
        "set",
        "sort",
        "start",
        "stop",
        "test",
        "update",
        "wait",
        "where",
        "write",
    ],
)];

static CMDLETS: Lexicon<bool, 64> = Lexicon::new(VERBS);

/// Whether `name` runs the command that follows it: `Some(true)` for a command, `Some(false)` for a word of the grammar.
#[inline]
pub fn wrapper(name: &[u8]) -> Option<bool> {
    WRAPPING.get(name)
}

/// Whether a command does nothing but tell about the system, and no other word is written so.
pub fn enumerates(name: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[
        b"whoami",
        b"ifconfig",
        b"ipconfig",
        b"systeminfo",
        b"tasklist",
        b"sysinfo",
        b"netstat",
        b"lscpu",
        b"lsblk",
        b"printenv",
    ];
    NAMES.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Whether the name of a command by itself is a word of ordinary language, or of a shell as a setting.
pub fn is_choice(name: &[u8]) -> bool {
    const SHELLS: [&[u8]; 6] = [b"bash", b"sh", b"zsh", b"dash", b"cmd", b"powershell"];
    classify(name) == Some(NameClass::OrdinaryWord) || SHELLS.iter().any(|shell| name.eq_ignore_ascii_case(shell))
}

/// Whether lists of words name this command too.
pub fn is_ambiguous(name: &[u8]) -> bool {
    AMBIGUOUS_WORDS.get(name).is_some()
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
