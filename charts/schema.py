"""What values the chart accepts, from weir/values.yaml, weir/files/compat.yaml and docs/configuration.md.

Types come from the defaults. A comment `# -- text` describes the key below it; `# @schema {JSON}` refines it, with four
words of its own: "$node" takes the keys of a section of docs/configuration.md, "$free" accepts any member, "$containers"
names the containers of older charts that count, and "items"/"properties" are merged as they stand."""
import json
import os
import re

import yaml

HERE = os.path.dirname(os.path.abspath(__file__))
CHART = os.path.join(HERE, "weir")
REFERENCE = os.path.join(os.path.dirname(HERE), "docs", "configuration.md")
DURATION = r"^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+)$"
# What a YAML 1.1 reader, which Helm is, makes of these bare words.
BARE = {"off": False, "on": True}


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


# The node's own keys.

def cells(line):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]


def sections(text):
    """Sections of the reference page: path -> (is a list, rows)."""
    out, path = {}, None
    for line in text.split("\n"):
        head = re.match(r"## (?:`([^`]+)`( \(list\))?|Top-level keys)$", line)
        if head:
            path = head.group(1) or ""
            out[path] = (bool(head.group(2)), [])
        elif line.startswith("## "):
            path = None
        elif path is not None and line.startswith("| `"):
            out[path][1].append(cells(line))
    return out


def node_type(kind):
    if kind == "boolean":
        return {"type": "boolean"}
    if kind == "ignored":
        return {}
    bounds = re.fullmatch(r"integer(?: from (\d+) to (\d+))?", kind)
    if bounds:
        low, high = bounds.groups()
        return {"type": "integer", **({"minimum": int(low), "maximum": int(high)} if low else {})}
    if kind.startswith("duration"):
        return {"type": "string", "pattern": DURATION}
    if kind.startswith("byte size"):
        return {"type": ["string", "integer"]}
    if kind.startswith("list: "):
        return {"type": "array", "items": node_type(kind[len("list: "):])}
    if kind.startswith("map: "):
        return {"type": "object"}
    words = re.findall(r"`([^`]+)`", kind)
    if words and re.fullmatch(r"(`[^`]+`(, | or )?)+", kind):
        return {"enum": words + [BARE[word] for word in words if word in BARE]}
    if kind == "`auto` or integer":
        return {"anyOf": [{"const": "auto"}, {"type": "integer", "minimum": 1}]}
    return {"type": "string"}


def or_nothing(schema):
    """The schema, or an empty key, which the chart takes for none."""
    if not schema or "$ref" in schema:
        return schema
    if "enum" in schema:
        return {**schema, "enum": schema["enum"] + [None]}
    if "anyOf" in schema:
        return {**schema, "anyOf": schema["anyOf"] + [{"type": "null"}]}
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return {**schema, "type": types + ["null"]}


def node_schema(all_sections, path):
    is_list, rows = all_sections[path]
    inside = path + "[]" if is_list else path
    properties = {}
    for name, kind, _default, meaning, _from in rows:
        properties[name.strip("`")] = {"description": meaning, **or_nothing(node_type(kind))}
    for other in all_sections:
        parent, _, name = other.rpartition(".")
        if other and parent == inside:
            # Routes hold routes of the same kind.
            same = is_list and name == path.rpartition(".")[2]
            properties[name] = {"$ref": "#/definitions/" + path} if same else or_nothing(node_schema(all_sections, other))
    schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"type": "array", "items": schema} if is_list else schema


# The chart's values.

def documented(text):
    """Comments of values.yaml: dotted path -> (description, refinement)."""
    out, stack, words, refinement = {}, [], [], {}
    for line in text.split("\n"):
        comment = re.match(r"\s*# ?(.*)", line)
        key = re.match(r"( *)([A-Za-z_][\w./-]*):", line)
        if comment:
            body = comment.group(1)
            if body.startswith("@schema "):
                refinement.update(json.loads(body[len("@schema "):]))
            elif body.startswith("-- "):
                words = [body[3:]]
            elif words:
                words.append(body)
        elif key:
            depth = len(key.group(1)) // 2
            stack = stack[:depth] + [key.group(2)]
            out[tuple(stack)] = (" ".join(words), refinement)
            words, refinement = [], {}
        else:
            words, refinement = [], {}
    return out


class Values:
    def __init__(self):
        text = read(CHART, "values.yaml")
        self.values = yaml.safe_load(text)
        self.docs = documented(text)
        self.sections = sections(read(REFERENCE))
        self.compat = yaml.safe_load(read(CHART, "files", "compat.yaml"))

    def schema(self):
        root = self.of(self.values, ())
        root["properties"]["global"] = {"description": "Helm's, for charts above this one."}
        for row in self.compat:
            self.accept(root, row)
        routes = "route_config.routes"
        definitions = {routes: node_schema(self.sections, routes)}
        return {"$schema": "http://json-schema.org/draft-07/schema#", "title": "Values of the chart weir", **root,
                "definitions": definitions}

    def of(self, value, path):
        description, refinement = self.docs.get(path, ("", {}))
        refinement = dict(refinement)
        out = {"description": description} if description else {}
        node, free = refinement.pop("$node", None), refinement.pop("$free", False)
        containers = refinement.pop("$containers", None)
        if containers is not None:
            return {**out, **self.containers(containers)}
        if isinstance(value, bool):
            out["type"] = "boolean"
        elif isinstance(value, int):
            out["type"] = "integer"
        elif isinstance(value, str):
            out["type"] = "string"
        elif isinstance(value, list):
            out["type"] = "array"
        elif isinstance(value, dict):
            out["type"] = "object"
            if value and not free:
                out["properties"] = {key: self.of(inner, path + (key,)) for key, inner in value.items()}
                out["additionalProperties"] = False
        out.update(refinement)
        if node is not None:
            own = node_schema(self.sections, node)
            if own["type"] == "object":
                for name, given in out.get("properties", {}).items():
                    own["properties"][name] = {**own["properties"].get(name, {}), **given}
                out["properties"] = own["properties"]
                out["additionalProperties"] = False
            else:
                out.update(own)
        return out

    def defaults(self):
        """What an empty key (`extraEnvs:`) goes back to, where its absence means nothing: Helm takes it for a wish to have no such key.
        Maps that are passed on as they stand become empty."""
        return self.filled(self.values, ())

    def filled(self, value, path):
        refinement = self.docs.get(path, ("", {}))[1]
        if refinement.get("$free") or "null" in refinement.get("type", ()):
            return None
        if not isinstance(value, dict):
            return value
        if "additionalProperties" in refinement:
            return {}
        inner = {key: self.filled(member, path + (key,)) for key, member in value.items()}
        return {key: member for key, member in inner.items() if member is not None}

    @staticmethod
    def containers(counting):
        probes = {key: {"type": "object"} for key in ("resources", "startupProbe", "livenessProbe", "readinessProbe")}
        return {"type": "object", "properties": {name: {"type": "object", "properties": probes} for name in counting}}

    @staticmethod
    def accept(root, row):
        """Values of older charts that this one has no place for."""
        at, parts = root, row["key"].split(".")
        for part in parts[:-1]:
            properties = at.setdefault("properties", {})
            at = properties.setdefault(part, {"type": "object", "properties": {}, "additionalProperties": False})
        properties = at.setdefault("properties", {})
        if parts[-1] not in properties:
            note = ("Accepted and ignored: " if row["does"] == "ignored" else "") + row["note"]
            properties[parts[-1]] = {"description": note, **row.get("schema", {})}

    def table(self):
        lines = ["| Value | Default | Meaning |", "|---|---|---|"]
        self.rows(self.values, (), lines)
        return "\n".join(lines)

    def rows(self, value, path, lines):
        description, refinement = self.docs.get(path, ("", {}))
        if isinstance(value, dict) and value and not refinement.get("$free"):
            for key, inner in value.items():
                self.rows(inner, path + (key,), lines)
            return
        default = json.dumps(value) if value is not None else "null"
        if len(default) > 60:
            default = "see values.yaml"
        text = description.replace("|", "\\|")
        lines.append("| `%s` | `%s` | %s |" % (".".join(path), default, text))
