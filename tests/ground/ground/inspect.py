"""Inspects requests in process, by `weir eval` with the built-in rules."""

import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]


def evaluate(records, folder, rules=None):
    """id -> (blocked, deciding rules)."""
    program = ROOT / "target/debug/weir"
    if not program.exists():
        subprocess.run(["cargo", "build", "--quiet", "--bin", "weir"], cwd=ROOT, check=True)
    corpus, run = folder / "requests.jsonl", folder / "verdicts.jsonl"
    with corpus.open("w") as out:
        for record in records:
            out.write(json.dumps(record) + "\n")
    argv = [str(program), "eval", "--save", str(run)] + (["--rules", rules, "--no-builtin-rules"] if rules else []) + [str(corpus)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    found = {}
    with run.open() as lines:
        for outcome in map(json.loads, lines):
            if "id" in outcome:
                found[outcome["id"]] = (outcome["blocked"], [finding["rule"] for finding in outcome["findings"] if finding["decisive"]])
    return found
