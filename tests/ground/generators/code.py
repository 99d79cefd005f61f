"""Code injection: what an interpreter does with a value that an application evaluates."""

from ground.case import Case

COMMANDS = ["id", "cat /etc/passwd", "whoami", "uname -a", "ls /etc", "env", "touch /scratch/marker"]
FILE = "/etc/passwd"

# {c} is a command, {f} a file, {s} seconds.
PYTHON = {
    "process": ["__import__('os').popen('{c}').read()", "__import__('os').system('{c}')", "__import__('subprocess').getoutput('{c}')", "__import__('subprocess').check_output('{c}',shell=True).decode()", "__import__('subprocess').run('{c}',shell=True)", "__import__('subprocess').Popen('{c}',shell=True).wait()", "__import__('pty').spawn(['/bin/sh','-c','{c}'])", "__import__('os').execvp('sh',['sh','-c','{c}'])", "__import__('importlib').import_module('os').popen('{c}').read()", "[x for x in ().__class__.__base__.__subclasses__() if x.__name__=='Popen'][0]('{c}',shell=True).wait()", "eval(\"__import__('os').popen('{c}').read()\")", "getattr(__import__('os'),'po'+'pen')('{c}').read()", "globals()['__builtins__'].__dict__['__import__']('os').popen('{c}').read()", "__import__('codecs').decode('bf','rot13') and __import__('os').popen('{c}').read()"],
    "file": ["open('{f}').read()", "open('{f}').readlines()[0]", "list(open('{f}'))", "__import__('pathlib').Path('{f}').read_text()", "__import__('io').open('{f}').read()", "__import__('linecache').getline('{f}',1)", "print(open('{f}').read())", "__import__('fileinput').input('{f}').readline()", "open('/scratch/marker','w').write('x')"],
    "state": ["globals()", "vars()", "locals()", "dict(__import__('os').environ)", "__import__('os').environ['PATH']", "__import__('os').listdir('/etc')", "__import__('glob').glob('/etc/*')", "str(globals())"],
    "delay": ["__import__('time').sleep({s})", "exec('import time;time.sleep({s})')", "[__import__('time').sleep(1) for _ in range({s})]"],
    "statement": ["import os\nprint(os.popen('{c}').read())", "import os;os.system('{c}')", "from os import system as s;s('{c}')", "import subprocess as s;print(s.getoutput('{c}'))", "for l in open('{f}'):print(l)", "exec('import os;os.system(\"{c}\")')", "exec(compile('import os;os.system(\"{c}\")','a','exec'))", "import time;time.sleep({s})"],
}
NODE = {
    "process": ["require('child_process').execSync('{c}').toString()", "require('child_process').spawnSync('sh',['-c','{c}']).stdout.toString()", "require('child_process').execFileSync('sh',['-c','{c}'])+''", "process.mainModule.require('child_process').execSync('{c}')+''", "global.process.mainModule.require('child_process').execSync('{c}')+''", "process.binding('spawn_sync') && require('child_process').execSync('{c}')+''", "this.constructor.constructor('return process')().mainModule.require('child_process').execSync('{c}')+''", "eval(\"require('child_process').execSync('{c}')+''\")", "(()=>require('child_process').execSync('{c}')+'')()", "require('node:child_process').execSync('{c}')+''", "require('child'+'_process').execSync('{c}')+''", "require('child_process')['exec'+'Sync']('{c}')+''", "module.require('child_process').execSync('{c}')+''"],
    "file": ["require('fs').readFileSync('{f}')+''", "require('fs').readFileSync('{f}','utf8')", "require('node:fs').readFileSync('{f}').toString()", "require('fs').writeFileSync('/scratch/marker','x')", "process.mainModule.require('fs').readFileSync('{f}')+''", "require('fs').readdirSync('/etc')+''", "require('fs').openSync('/scratch/marker','w')"],
    "state": ["process.env", "process.env.PATH", "JSON.stringify(process.env)", "Object.values(process.env)+''", "global.process.env", "this.constructor.constructor('return process.env')()"],
    "delay": ["(function(){var d=Date.now();while(Date.now()-d<{s}000);})()", "Atomics.wait(new Int32Array(new SharedArrayBuffer(4)),0,0,{s}000)", "require('child_process').execSync('sleep {s}')"],
    "statement": ["var x=require('child_process');x.execSync('{c}')+''", "const f=require('fs');f.readFileSync('{f}')+''", "var d=new Date();do{var c=new Date();}while(c-d<{s}000);", "console.log(require('fs').readFileSync('{f}')+'')", "if(1){require('child_process').execSync('{c}')+''}", "for(const k in process.env)console.log(process.env[k])"],
}
PHP = {
    "process": ["system('{c}')", "passthru('{c}')", "shell_exec('{c}')", "exec('{c}')", "`{c}`", "call_user_func('system','{c}')", "array_map('system',['{c}'])", "('sys'.'tem')('{c}')", "'system'('{c}')", "(new ReflectionFunction('system'))->invoke('{c}')", "usort($a=['{c}','x'],'system')", "array_filter(['{c}'],'passthru')", "fread(popen('{c}','r'),999)", "eval('return system(\"{c}\");')", "base64_decode('c3lzdGVt')('{c}')", "strrev('metsys')('{c}')", "call_user_func_array('shell_exec',['{c}'])", "forward_static_call('system','{c}')", "array_walk($a=['{c}'],'system')"],
    "file": ["file_get_contents('{f}')", "readfile('{f}')", "implode(file('{f}'))", "highlight_file('{f}')", "fread(fopen('{f}','r'),99)", "include('{f}')", "file_put_contents('/scratch/marker','x')", "touch('/scratch/marker')", "(new SplFileObject('{f}'))->fgets()", "implode(scandir('/etc'))", "copy('{f}','/scratch/marker')", "show_source('{f}')"],
    "state": ["print_r(getenv(),true)", "getenv('PATH')", "implode(get_defined_vars())", "php_uname()", "print_r($GLOBALS,true)", "phpinfo()", "implode($_SERVER)"],
    "delay": ["sleep({s})", "usleep({s}000000)", "time_nanosleep({s},0)"],
    "statement": ["echo `{c}`", "$f='sys'.'tem';$f('{c}')", "echo system('{c}')", "if(1){system('{c}');}", "foreach(file('{f}') as $l)echo $l", "print(shell_exec('{c}'))", "$a=['{c}'];array_map('system',$a)", "include '{f}'", "die(file_get_contents('{f}'))", "register_shutdown_function('system','{c}')"],
}
RUBY = {
    "process": ["`{c}`", "%x({c})", "%x[{c}]", "system('{c}')", "IO.popen('{c}').read", "Kernel.system('{c}')", "exec('{c}')", "open('|{c}').read", "eval('`{c}`')", "Process.wait(spawn('{c}'))", "send(:system,'{c}')", "Object.const_get(:Kernel).send(:`,'{c}')", "Kernel.`('{c}')", "instance_eval('`{c}`')", "[1].map{`{c}`}[0]"],
    "file": ["File.read('{f}')", "IO.read('{f}')", "File.open('{f}').read", "File.readlines('{f}')", "open('{f}').read", "IO.binread('{f}')", "File.write('/scratch/marker','x')", "Dir.entries('/etc')", "Dir['/etc/*']", "Dir.children('/etc')", "File.foreach('{f}').first"],
    "state": ["ENV.to_h", "ENV['PATH']", "ENV.inspect", "binding.local_variable_get(:secret)"],
    "delay": ["sleep({s})", "sleep {s}", "Kernel.sleep({s})"],
    "statement": ["puts `{c}`", "require 'open3';puts Open3.capture2('{c}')", "x=`{c}`;puts x", "puts File.read('{f}')", "File.open('{f}'){|f|puts f.read}", "print IO.popen('{c}').read", "exit if system('{c}')"],
}
PERL = {
    "process": ["`{c}`", "qx({c})", "qx/{c}/" , "system('{c}')", "exec('{c}')", "eval('`{c}`')", "join('',`{c}`)", "do{`{c}`}"],
    "file": ["do{local@ARGV='{f}';<>}", "`cat {f}`", "join '',glob('/etc/*')", "open(F,'>/scratch/marker')"],
    "state": ["%ENV", "$ENV{PATH}", "join ' ',%ENV"],
    "delay": ["sleep({s})", "sleep {s}", "select(undef,undef,undef,{s})"],
    "statement": ["print `{c}`", "open(F,'{f}');print <F>", "system '{c}'", "print qx{{c}}", "use POSIX;system('{c}')", "open(P,'{c}|');print <P>", "exec '{c}'", "opendir(D,'/etc');print readdir(D)"],
}
LUA = {
    "process": ["os.execute('{c}')", "io.popen('{c}'):read('a')", "io.popen('{c}','r'):read('*a')", "_G['os']['execute']('{c}')", "load(\"return io.popen('{c}'):read('a')\")()", "require('io').popen('{c}'):read('a')", "(function() return io.popen('{c}'):read('a') end)()"],
    "file": ["io.open('{f}'):read('a')", "io.lines('{f}')()", "io.open('/scratch/marker','w'):write('x')", "io.open('{f}','r'):read('*a')"],
    "state": ["os.getenv('PATH')", "_G.secret", "_G['secret']"],
    "delay": ["os.execute('sleep {s}')"],
    "statement": ["for l in io.lines('{f}') do print(l) end", "local f=io.popen('{c}') print(f:read('a'))", "print(io.open('{f}'):read('a'))", "dofile('{f}') or os.execute('{c}')"],
}
LANGUAGES = {"python": PYTHON, "node": NODE, "php": PHP, "ruby": RUBY, "perl": PERL, "lua": LUA}
# How a value leaves a literal and completes the line: for expressions and for statements.
JOINS = {"python": [("+str(", ")+"), ("+", "+"), (" and ", " and "), (" or ", " or ")], "node": [("+", "+"), ("+(", ")+"), ("-", "-"), (",", ","), ("&&", "&&")],
         "php": [(".", "."), (".(", ")."), ("^", "^")], "ruby": [("+(", ").to_s+"), ("+", "+")], "perl": [(".", "."), (".(", ").")], "lua": [("..", ".."), ("..tostring(", ")..")]}
ENDS = {"python": [("\n", "\n#"), (";", "#")], "node": [(";", ";//"), (";", "//"), ("\n", "//")], "php": [(";", ";//"), (";", ";#")], "ruby": [(";", "#"), ("\n", "#")], "perl": [(";", ";#"), (";", "#")], "lua": [("\n", "--"), (" ", "--")]}


def fill(r, text):
    return text.replace("{c}", r.choice(COMMANDS)).replace("{f}", FILE).replace("{s}", "3")


def concatenated(r, language, text):
    """Literals of the text in two parts."""
    operator = {"php": ".", "perl": ".", "lua": ".."}.get(language, "+")
    parts = text.split("'")
    for at in range(1, len(parts), 2):
        word = parts[at]
        if len(word) > 3 and r.random() < 0.6 and "\\" not in word and '"' not in text:
            cut = r.randint(1, len(word) - 1)
            parts[at] = f"{word[:cut]}'{operator}'{word[cut:]}"
    return "'".join(parts)


def obfuscate(r, language, name, text):
    match name:
        case "concatenation":
            return concatenated(r, language, text)
        case "quotes" if '"' not in text:
            return text.replace("'", '"')
        case "white space":
            return text.replace("(", " ( ").replace(")", " )")
        case "comments" if language in ("node", "php"):
            return text.replace("(", "/**/(", 1)
        case "brackets":
            return f"({text})"
    return text


OBFUSCATIONS = ["none", "none", "none", "concatenation", "quotes", "white space", "comments", "brackets"]


def attacks(r, target, count):
    language = LANGUAGES[target]
    for _ in range(count):
        # A delay takes its time, so few candidates wait.
        technique = r.choice([name for name in language for _ in range(1 if name == "delay" else 6)])
        text = fill(r, r.choice(language[technique]))
        name = r.choice(OBFUSCATIONS)
        text = obfuscate(r, target, name, text)
        context = r.choice(["whole", "whole", "single quotes", "double quotes"])
        if context == "whole":
            yield Case("rce", target, context, technique, name, text)
            continue
        quote = "'" if context == "single quotes" else '"'
        data = r.choice(["", "", "Anna", "1"])
        if technique == "statement":
            open_, close = r.choice(ENDS[target])
            value = f"{data}{quote}{open_}{text}{close}"
        else:
            open_, close = r.choice(JOINS[target])
            value = f"{data}{quote}{open_}{text}{close}{quote}"
        yield Case("rce", target, context, technique, name, value)


# What users of calculators, rules and code fields write, and sentences about code.
ORDINARY = ["1 + 2", "2 * (3 + 4)", "price * 1.2", "a > 3 and b < 4", "name == 'Anna'", "Math.max(1, 2)", "round(2.5)", "len('abc')", "x.length > 3", "total / count", "max(1, 2, 3)", "'a' + 'b'", "upper('x')", "sum([1, 2, 3])", "(1, 2)", "[1, 2, 3]", "{'a': 1}", "true", "None", "null", "not x", "a if b else c",
            "x => x + 1", "i++", "\"a\".toUpperCase()", "'a,b'.split(',')", "parseInt('7')", "strtoupper('a')", "str_repeat('a', 3)", "date('Y')", "sqrt(16)", "2 ** 8", "10 % 3", "abs(-1)", "string.upper('a')", "tostring(1)", "math.floor(2.5)", "'abc'.reverse", "[3, 1, 2].sort", "1..10", "lc('A')", "uc 'a'", "join(',', 1, 2)",
            "system('x') is an old call", "the eval() function is slow", "call open() before read()", "import of goods", "print the label", "exec summary", "use of force", "require a signature", "for sale: a bike", "if in doubt, ask", "while stocks last", "sleep well", "fork and knife", "kill the lights", "O'Brien's sister",
            "O'Neill; Anna", "it's 5 o'clock", "Tom & Jerry's", "\"quoted\" words", "rock 'n' roll", "x = 5; y = 6", "f(x) = 2x", "C# (sharp)", "a.b.c", "e.g. this", "version 1.2.3", "50 % off", "#1", "// see above", "-- signature", "10:30", "(555) 123-4567", "user@example.org", "read('a') and write('b')"]


def benign(r, target, count):
    for _ in range(count):
        text = r.choice(ORDINARY) if r.random() < 0.7 else f"{r.choice(ORDINARY)}{r.choice(['; ', ', ', ' and ', ' - '])}{r.choice(ORDINARY)}"
        yield Case("rce", target, r.choice(["whole", "single quotes", "double quotes"]), "ordinary code and prose", "none", text, benign=True)
