"""Entry of the confined side: runs /scratch/cases.jsonl on one target and writes the effects to /scratch/results.jsonl."""

import importlib
import json
import sys

from servers import COMMANDS as SERVERS

# target -> module of its engine
TARGETS = {
    "sqlite": "sql_sqlite", "postgresql": "sql_postgresql", "mariadb": "sql_mariadb",
    "jinja2": "template", "mako": "template", "erb": "template", "twig": "template", "smarty": "template",
    "chromium": "browser", "files": "path", "libxml2": "libxml",
    "bash": "shell", "dash": "shell", "busybox": "shell",
    "python": "code", "node": "code", "php": "code", "ruby": "code", "perl": "code", "lua": "code",
}

TARGETS |= dict.fromkeys(SERVERS, "servers")


def main():
    target = sys.argv[1]
    engine = importlib.import_module(TARGETS[target]).Engine(target)
    with open("/scratch/cases.jsonl") as cases, open("/scratch/results.jsonl", "w") as results:
        for line in cases:
            case = json.loads(line)
            results.write(json.dumps({"id": case["id"], "effect": engine.effect(case)}) + "\n")
            results.flush()
    engine.close()


main()
