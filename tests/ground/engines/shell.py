"""Shells: a script of a vulnerable application runs with the value in its slot.

Commands that wait or connect are replaced by ones that leave a marker, so that a run neither waits nor connects.
"""

import os
import pathlib
import pwd
import re
import shutil
import subprocess

SHELLS = {"bash": ["/bin/bash", "-c"], "dash": ["/bin/dash", "-c"], "busybox": ["/bin/busybox", "sh", "-c"]}
SCRIPTS = {
    "argument": "printf '%s\\n' --target={}",
    "word": "echo {}",
    "single-quoted": "printf '%s\\n' '{}'",
    "double-quoted": 'printf "%s\\n" "{}"',
    "file name": "printf '%s\\n' /scratch/files/{}.txt",
    "in the middle": "printf '%s\\n' -c 1 {} -q",
    "whole line": "{}",
}
# Stand-ins that leave a marker and end.
MARKED = ("sleep", "curl", "wget", "nc", "ncat", "telnet", "ping", "nslookup", "dig", "host", "usleep", "reboot", "shutdown", "socat",
          "ssh", "ftp", "tftp", "lwp-request", "openssl", "crontab", "nmap")
# Output that only execution gives; each says what it is evidence of.
EVIDENCE = [
    (re.compile(r"\buid=\d+"), "identity shown"),
    (re.compile(r"\broot:x:0:0:"), "file shown"),
    (re.compile(r"CANARYk7"), "environment shown"),
    (re.compile(r"canary_file_k7"), "directory listed"),
    (re.compile(rf"^{re.escape(pwd.getpwuid(os.getuid()).pw_name)}$", re.M), "identity shown"),
    (re.compile(r"\bLinux\b.*(x86_64|GNU|aarch64|SMP)"), "system shown"),
    (re.compile(r"^Linux$", re.M), "system shown"),
    (re.compile(r"^/scratch/work$", re.M), "directory shown"),
    (re.compile(r"(?m)^\s*PID\b"), "processes listed"),
    (re.compile(r"Debian GNU/Linux"), "file shown"),
]
SECONDS = 3
DELAY = "delay"
TRIES = 2


class Engine:
    def __init__(self, target):
        self.shell = SHELLS[target]
        self.stand_ins = pathlib.Path("/scratch/stand-ins")
        self.work = pathlib.Path("/scratch/work")
        self.marks = pathlib.Path("/scratch/marks")
        self.stand_ins.mkdir()
        for name in MARKED:
            path = self.stand_ins / name
            path.write_text(f'#!/bin/dash\necho "{name} $*" >> {self.marks}\n')
            path.chmod(0o755)

    def effect(self, case):
        """What takes long is tried again: a busy machine delays a script now and then, one that waits does so each time."""
        for _ in range(TRIES):
            found = self.effect_once(case)
            if found != DELAY:
                break
        return found

    def effect_once(self, case):
        self.clean()
        script = SCRIPTS[case["context"].rpartition(", ")[0] or case["context"]].replace("{}", case["value"])
        environment = {"PATH": f"{self.stand_ins}:/usr/bin:/bin", "HOME": "/scratch/work", "CANARY": "CANARYk7", "TERM": "dumb"}
        if "\0" in script:
            return None
        process = subprocess.Popen([*self.shell, script], cwd=self.work, env=environment, stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        delayed = False
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            delayed = True
            os.killpg(process.pid, 9)
            output, _ = process.communicate()
        return self.seen(case, output[:100_000].decode("utf-8", "replace"), delayed)

    def clean(self):
        shutil.rmtree(self.work, ignore_errors=True)
        for path in pathlib.Path("/tmp").iterdir():
            shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink()
        self.work.mkdir()
        (self.work / "canary_file_k7").touch()
        self.marks.unlink(missing_ok=True)

    def seen(self, case, output, delayed):
        value = case["value"]
        if self.marks.exists():
            return "process: " + self.marks.read_text().split()[0]
        if sorted(path.name for path in self.work.iterdir()) != ["canary_file_k7"] or any(pathlib.Path("/tmp").iterdir()):
            return "file written"
        tag = case["extra"].get("tag")
        if tag and tag in output and tag not in value:
            return "tag evaluated"
        for pattern, effect in EVIDENCE:
            if pattern.search(output) and not pattern.search(value):
                return effect
        return DELAY if delayed else None

    def close(self):
        pass
