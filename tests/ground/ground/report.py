"""The report: a table of classes and cells, and the requests that were judged wrongly."""

import json

from . import measure


def table(rows, head):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return lines + ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |" for row in rows]


def summary(measured):
    return [(m.target.attack, m.target.name, m.candidates, len({one.case.id for one in m.requests}), len(m.requests), f"{measure.rate(m.requests):.1f}",
             len(m.benign), f"{measure.rate(m.benign):.2f}") for m in measured]


HEAD = ("class", "target", "candidates", "with an effect", "requests", "found %", "benign requests", "blocked %")

SCAN_HEAD = ("scanner", "requests alone", "effects alone", "requests behind the node", "blocked", "effects behind the node")


def markdown(measured, scans, skipped):
    lines = ["# Detection against what executes", "", *table(summary(measured), HEAD), ""]
    if scans:
        lines += [*table(scans, SCAN_HEAD), ""]
    lines += [f"Skipped: {name}: {reason}" for name, reason in skipped]
    for m in measured:
        for name, key in measure.CELLS.items():
            rows = [(cell, count, f"{found:.1f}") for cell, count, found in measure.cells(m.requests, key)]
            lines += ["", f"## {m.target.name}, by {name}", "", *table(rows, (name, "requests", "found %"))]
    return "\n".join(lines) + "\n"


def write(folder, measured, scans, skipped):
    (folder / "report.md").write_text(markdown(measured, scans, skipped))
    with (folder / "wrong.jsonl").open("w") as out:
        for m in measured:
            for one in m.requests + m.benign:
                if one.blocked == one.case.benign:
                    out.write(json.dumps({"target": m.target.name, "wrong": "false alarm" if one.case.benign else "miss", "context": one.case.context,
                                          "technique": one.case.technique, "obfuscation": one.case.obfuscation, "place": one.place,
                                          "effect": one.effect, "value": one.case.value, "rules": one.rules}) + "\n")
