"""What the applications answer: each value that they read, one a line, as the kind of the value and base64."""

import base64
import json
from xml.etree import ElementTree


def line(kind, value):
    data = value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogatepass")
    return f"{kind} {base64.b64encode(data).decode()}\n"


def lines(kind, values):
    return "".join(line(kind, value) for value in values)


def texts(node):
    """All strings of a JSON document."""
    if isinstance(node, str):
        yield node
    elif isinstance(node, dict):
        for value in node.values():
            yield from texts(value)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from texts(value)


def documents(body, read_json=json.loads, read_xml=ElementTree.fromstring):
    """The strings of a body that is JSON, and the texts and attributes of one that is XML, whatever is declared."""
    out = ""
    try:
        out += lines("JSON", texts(read_json(body)))
    except Exception:  # A framework answers 400 here, whatever its parser raises.
        pass
    try:
        root = read_xml(body)
        out += lines("XML", ("".join(root.itertext()), *(value for node in root.iter() for value in node.attrib.values())))
    except Exception:  # As above.
        pass
    return out


def attempt(read):
    """What `read` returns, or nothing if the framework refuses the request."""
    try:
        return read()
    except Exception:  # As above.
        return ""
