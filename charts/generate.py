#!/usr/bin/env python3
"""Writes the generated files of the chart: its schema, its page of values, the dashboard, the plugin's code.

    generate.py           writes the files
    generate.py --check   exits 1 where a file is not what would be written"""
import json
import os
import sys

import yaml

import dashboard
import schema

PLUGINS = os.path.join(os.path.dirname(schema.HERE), "connectors", "kong", "kong", "plugins")
README_HEAD = """# Chart weir

This chart installs an API-security filtering node for gateways, with its aggregation and control plane.
[docs/kubernetes.md](../../docs/kubernetes.md) explains how to install and run it, and
[docs/upgrade-from-wallarm-node-next.md](../../docs/upgrade-from-wallarm-node-next.md) how to upgrade from another chart.

`charts/generate.py` writes this page; a test keeps it fresh.

## Values

"""


DEFAULTS_HEAD = "# What an empty key of a values file goes back to. Written by charts/generate.py from values.yaml.\n"


def files():
    values = schema.Values()
    out = {
        "values.schema.json": json.dumps(values.schema(), indent=1, ensure_ascii=False) + "\n",
        "dashboards/weir.json": dashboard.text(),
        "files/defaults.yaml": DEFAULTS_HEAD + yaml.safe_dump(values.defaults(), sort_keys=False),
        "README.md": README_HEAD + values.table() + "\n",
    }
    out[os.path.relpath(UPGRADE, schema.CHART)] = upgrade_page(values.compat)
    for plugin in ("kong-lua", "kong-lua-response"):
        folder = os.path.join(PLUGINS, plugin)
        for name in sorted(os.listdir(folder)):
            if name.endswith(".lua"):
                out["files/%s/%s" % (plugin, name)] = schema.read(folder, name)
    return out


UPGRADE = os.path.join(os.path.dirname(schema.HERE), "docs", "upgrade-from-wallarm-node-next.md")
MARK = "<!-- table: written by charts/generate.py -->\n"


def upgrade_page(compat):
    """The page with its last part, the table of values, written anew."""
    text = schema.read(UPGRADE)
    words = {"same": "carries over", "changed": "changes", "ignored": "ignored", "dropped": "left out"}
    lines = ["| Value | Of | Becomes | |", "|---|---|---|---|"]
    for row in compat:
        lines.append("| `%s` | %s | %s | %s |" % (row["key"], ", ".join(row["charts"]), words[row["does"]], row["note"].replace("|", "\\|")))
    return text[:text.index(MARK) + len(MARK)] + "\n" + "\n".join(lines) + "\n"


def leftovers(wanted):
    """Copies of plugin files that are gone."""
    out = []
    for plugin in ("kong-lua", "kong-lua-response"):
        folder = os.path.join(schema.CHART, "files", plugin)
        there = os.listdir(folder) if os.path.isdir(folder) else []
        out += ["files/%s/%s" % (plugin, name) for name in there if "files/%s/%s" % (plugin, name) not in wanted]
    return out


def main():
    wanted = files()
    check = "--check" in sys.argv[1:]
    stale = leftovers(wanted)
    for name, text in wanted.items():
        path = os.path.join(schema.CHART, name)
        if check:
            if not os.path.exists(path) or schema.read(path) != text:
                stale.append(name)
            continue
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
    if not check:
        for name in stale:
            os.remove(os.path.join(schema.CHART, name))
    elif stale:
        print("stale: %s; run charts/generate.py" % ", ".join(stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
