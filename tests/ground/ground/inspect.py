"""Inspects requests in process, by `examples/evaluate.rs` with the built-in rules."""

import json
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[3]


def evaluate(records, folder, rules=None):
    """id -> (blocked, deciding rules)."""
    program = ROOT / "target/debug/examples/evaluate"
    if not program.exists():
        subprocess.run(["cargo", "build", "--quiet", "--example", "evaluate"], cwd=ROOT, check=True)
    corpus = folder / "requests.jsonl"
    with corpus.open("w") as out:
        for record in records:
            out.write(json.dumps(record) + "\n")
    argv = [str(program)] + (["--rules", rules] if rules else []) + [str(folder / "verdicts"), str(corpus)]
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    found = {}
    for line in (folder / "verdicts/verdicts.tsv").read_text().splitlines():
        identity, _, outcome, *_ = line.split("\t")
        found[identity] = (outcome == "blocked", [])
    for line in (folder / "verdicts/findings.tsv").read_text(errors="replace").splitlines():
        fields = line.split("\t")
        if len(fields) > 5 and fields[0] in found and fields[3] == "decisive":
            found[fields[0]][1].append(fields[5])
    return found
