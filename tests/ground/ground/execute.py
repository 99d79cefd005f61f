"""Runs cases on an engine, confined, and reads what each of them did."""

import json
import pathlib
import shutil
import subprocess

from . import confine

ENGINES = pathlib.Path(__file__).parent.parent / "engines"


# What an engine needs besides Python: programs, or modules of Debian's Python.
NEEDS = {
    "postgresql": ["/usr/lib/postgresql", "/usr/lib/python3/dist-packages/psycopg2"],
    "mariadb": ["/usr/sbin/mariadbd", "/usr/lib/python3/dist-packages/pymysql"],
    "jinja2": ["/usr/lib/python3/dist-packages/jinja2"], "mako": ["/usr/lib/python3/dist-packages/mako"], "erb": ["/usr/bin/ruby"],
    "twig": ["/usr/bin/php", "/usr/share/php/Twig"], "smarty": ["/usr/bin/php", "/usr/share/php/smarty4"],
    "chromium": ["/usr/bin/chromium"], "files": ["/usr/sbin/nginx", "/usr/bin/php"], "libxml2": ["/usr/lib/python3/dist-packages/lxml"],
    "bash": ["/bin/bash"], "dash": ["/bin/dash"], "busybox": ["/bin/busybox"],
    "python": ["/usr/bin/python3"], "node": ["/usr/bin/node"], "php": ["/usr/bin/php"], "ruby": ["/usr/bin/ruby"], "perl": ["/usr/bin/perl"], "lua": ["/usr/bin/lua"],
}


class EngineFailed(Exception):
    """The engine ended without an answer for each case."""


def missing(target):
    """What is not installed of what `target` needs."""
    return [path for path in NEEDS.get(target, []) if not pathlib.Path(path).exists()]


def effects(target, cases, timeout, read_only=()):
    """The effect of each case on `target` by the id of the case; None for a case without one. The engine sees each (source,
    path) of `read_only` too."""
    folder = confine.scratch()
    try:
        for source in ENGINES.iterdir():
            if source.is_file():
                shutil.copy(source, folder / source.name)
        lines = "".join(json.dumps(case.to_engine()) + "\n" for case in cases)
        (folder / "cases.jsonl").write_text(lines)
        argv = ["/usr/bin/python3", "-B", "/scratch/run.py", target]
        done = subprocess.run(confine.command(folder, argv, read_only=read_only), capture_output=True, text=True, timeout=timeout, check=False)
        results = folder / "results.jsonl"
        found = {}
        if results.exists():
            for line in results.read_text().splitlines():
                result = json.loads(line)
                found[result["id"]] = result["effect"]
        if done.returncode != 0 or len(found) < len({case.id for case in cases}):
            raise EngineFailed(f"{target}: {len(found)} of {len(cases)} cases, exit code {done.returncode}\n{done.stderr[-2000:]}")
        return found
    finally:
        shutil.rmtree(folder, ignore_errors=True)
