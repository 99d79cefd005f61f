"""Scanners as attackers: each runs against a small vulnerable service, once by itself and once behind the node.

By itself it must find what is there, or the run proves nothing; behind the node it must extract nothing. Scanners run
confined, with a bound on requests and time, and reach the loopback interface alone.
"""

import dataclasses
import json
import pathlib
import shutil
import subprocess

from . import confine, execute
from .inspect import ROOT

NODE = ROOT / "target/debug/weir"
VENV = ROOT / "target/ground/venv"
SQLMAP = ["/usr/bin/python3", "-B", "/usr/share/sqlmap/sqlmap.py", "--batch", "--disable-coloring", "--timeout=60", "--retries=0", "--output-dir=/scratch/sqlmap", "--flush-session", "--fresh-queries", "--time-sec=1",
          # Its own name would be enough for a rule.
          "--user-agent=Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"]
TAMPERS = ["space2comment", "randomcase", "between", "charencode", "space2randomblank,equaltolike", "apostrophemask,randomcase", "space2plus,symboliclogical", "chardoubleencode", "percentage,randomcomments", "space2morehash,randomcase"]


@dataclasses.dataclass(frozen=True)
class Scan:
    name: str
    argv: tuple
    requests: int


def sqlmap(name, path, *more, requests=1500):
    return Scan(f"sqlmap, {name}", (*SQLMAP, "-u", "{url}" + path, *more), requests)


SHORT = [sqlmap("number", "/item?id=1", "--technique=BEU", "--level=1", "--risk=1", "--dbms=SQLite", "-T", "users", "--dump")]


def long_scans():
    level = ("--level=5", "--risk=3", "-T", "users", "--dump", "--dbms=SQLite")
    yield sqlmap("number, level 5", "/item?id=1", "-p", "id", *level, requests=20_000)
    yield sqlmap("LIKE, level 5", "/search?name=a", "-p", "name", *level, requests=20_000)
    yield sqlmap("ORDER BY, level 5", "/sorted?by=id", "-p", "by", *level, requests=20_000)
    yield sqlmap("form, level 5", "/login", "--data=login=a&password=b", "-p", "login", *level, requests=20_000)
    yield sqlmap("cookie, level 5", "/me", "--cookie=user=apple", "-p", "user", *level, requests=20_000)
    for tamper in TAMPERS:
        yield sqlmap(f"tamper {tamper}", "/item?id=1", "-p", "id", f"--tamper={tamper}", "--level=3", "--risk=2", "-T", "users", "--dump", "--dbms=SQLite", requests=5000)
    if (VENV / "bin/wapiti").exists():
        yield Scan("wapiti, all modules", ("/venv/bin/python", "-B", "/venv/bin/wapiti", "-u", "{url}/", "-m", "all", "--flush-session", "--no-bugreport", "-f", "json", "-o", "/scratch/report.json", "--max-scan-time", "900",
                                           "--endpoint", "{url}/endpoint/", "--store-session", "/scratch/session", "--store-config", "/scratch/config"), 20_000)


def run(scan, node):
    """What the service saw; with the node before it if `node`."""
    folder = confine.scratch()
    try:
        for source in execute.ENGINES.iterdir():
            if source.is_file():
                shutil.copy(source, folder / source.name)
        read_only = [(NODE, "/weir")] + ([(VENV, "/venv")] if VENV.exists() else [])
        argv = ["/usr/bin/python3", "-B", "/scratch/vulnerable_service.py", "/weir" if node else "-", str(scan.requests), *scan.argv]
        line = confine.command(folder, argv, read_only=read_only, cpu=3000)
        done = subprocess.run(line, capture_output=True, text=True, timeout=1800, check=False)
        result = pathlib.Path(folder, "scan.json")
        if not result.exists():
            raise execute.EngineFailed(f"{scan.name}: {done.stderr[-2000:]}")
        return json.loads(result.read_text())
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def measure(scan):
    """(line of the report, problems)."""
    bare, behind = run(scan, False), run(scan, True)
    problems = []
    if not bare["effects"]:
        problems.append(f"{scan.name}: found nothing without the node, so its run proves nothing: {bare['output'][-800:]}")
    if behind["effects"]:
        problems.append(f"{scan.name}: behind the node, {len(behind['effects'])} effects, such as {behind['effects'][:3]}")
    row = (scan.name, bare["requests"], len(bare["effects"]), behind["requests"], behind["blocked"], len(behind["effects"]))
    return row, problems
