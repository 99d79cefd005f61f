"""Interpreters: an application evaluates the value, as a whole or in a literal of a line of code, as calculators, rules and templates do.

Each case has a process of its own, since code may end it, change what later code calls, or never return.
"""

import os
import re
import subprocess
import time

# Code that takes longer is ended.
SECONDS = 8
# A case is late if it takes this long; the delays of candidates are longer.
LATE = 2.5
ANSWERS_LATE = "answers late"
TRIES = 3
EVIDENCE = [
    (re.compile(r"\buid=\d+"), "process"), (re.compile(r"\broot:x:0:0:"), "file shown"), (re.compile(r"SECRETk7"), "secret shown"),
    (re.compile(r"Linux .*(?:x86_64|aarch64)"), "process"), (re.compile(r"\bos-release\b"), "directory listed"),
    (re.compile(r"/usr/sbin:/usr/bin"), "environment shown"), (re.compile(r"(?m)^(?:nogroup|daemon|www-data)$"), "process"),
]
MARKER = "/scratch/marker"

# What evaluates: {0} is the line of code. The value is read from standard input.
PYTHON = """
import sys
v = sys.stdin.read()
secret = 'SECRETk7'
line = {slot}
try:
    print(eval(line))
except SyntaxError:
    exec(line)
"""
NODE = """
const v = require('fs').readFileSync(0, 'utf8');
const secret = 'SECRETk7';
const line = {slot};
console.log(eval(line));
"""
PHP = """<?php
error_reporting(0);
$v = stream_get_contents(STDIN);
$secret = 'SECRETk7';
$line = {slot};
try {{ echo eval('return ' . $line . ';'); }} catch (\\ParseError $e) {{ echo eval($line . ';'); }}
"""
RUBY = """
v = $stdin.read
secret = 'SECRETk7'
line = {slot}
puts eval(line)
"""
PERL = """
local $/; my $v = <STDIN>; our $secret = 'SECRETk7';
my $line = {slot};
print eval($line);
"""
LUA = """
local v = io.read('*a'); secret = 'SECRETk7'
local line = {slot}
-- Lua 5.1 compiles texts by `loadstring` alone.
local compile = loadstring or load
local f = compile('return ' .. line) or compile(line)
print(f())
"""
# target -> program, its source, and the slots in its language
LANGUAGES = {
    "python": (["/usr/bin/python3", "-I", "-c"], PYTHON, {"whole": "v", "single quotes": "\"'Hello \" + v + \"'\"", "double quotes": "'\"Hello ' + v + '\"'"}),
    "node": (["/usr/bin/node", "-e"], NODE, {"whole": "v", "single quotes": "\"'Hello \" + v + \"'\"", "double quotes": "'\"Hello ' + v + '\"'"}),
    "php": (["/usr/bin/php", "-n"], PHP, {"whole": "$v", "single quotes": "\"'Hello \" . $v . \"'\"", "double quotes": "'\"Hello ' . $v . '\"'"}),
    "ruby": (["/usr/bin/ruby", "-e"], RUBY, {"whole": "v", "single quotes": "\"'Hello \" + v + \"'\"", "double quotes": "'\"Hello ' + v + '\"'"}),
    "perl": (["/usr/bin/perl", "-e"], PERL, {"whole": "$v", "single quotes": "\"'Hello \" . $v . \"'\"", "double quotes": "'\"Hello ' . $v . '\"'"}),
    "lua": (["/usr/bin/lua", "-e"], LUA, {"whole": "v", "single quotes": "\"'Hello \" .. v .. \"'\"", "double quotes": "'\"Hello ' .. v .. '\"'"}),
}


class Engine:
    def __init__(self, target):
        argv, source, slots = LANGUAGES[target]
        self.programs = {}
        for number, (context, slot) in enumerate(slots.items()):
            text = source.replace("{slot}", slot).replace("{{", "{").replace("}}", "}")
            if target == "php":
                path = f"/scratch/slot{number}.php"
                with open(path, "w") as out:
                    out.write(text)
                text = path
            self.programs[context] = [*argv, text]

    def effect(self, case):
        """What answers late is tried again: a busy machine is late now and then, what waits by itself is so each time."""
        for _ in range(TRIES):
            found = self.effect_once(case)
            if found != ANSWERS_LATE:
                break
        return found

    def effect_once(self, case):
        value = case["value"]
        if os.path.exists(MARKER):
            os.remove(MARKER)
        begin = time.monotonic()
        try:
            done = subprocess.run(self.programs[case["context"]], input=value.encode("utf-8", "surrogateescape"), capture_output=True, timeout=SECONDS, check=False)
            shown = done.stdout.decode("utf-8", "replace")
        except subprocess.TimeoutExpired as late:
            shown = (late.stdout or b"").decode("utf-8", "replace")
        if os.path.exists(MARKER):
            return "file written"
        for pattern, effect in EVIDENCE:
            if pattern.search(shown) and not pattern.search(value):
                return effect
        return ANSWERS_LATE if time.monotonic() - begin > LATE else None

    def close(self):
        pass
