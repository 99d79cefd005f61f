"""JSON bodies, strict and as lenient parsers read them."""

import codecs
import json

from .made import Made, apply


class State:
    def __init__(self, r, value):
        self.value = value
        self.types = [b"application/json"]
        self.encodings = []
        self.string = string(r, value, self.encodings)
        self.name = '"name"'
        self.shape = '{"page": 2, "item": {%s: %s}}'
        self.before = self.after = ""
        self.codec = "utf-8"
        self.mark = b""
        self.method = "POST"


def string(r, value, encodings):
    kind = r.choice(["plain", "plain", "escaped signs", "all escaped", "upper case", "slashes"])
    if kind == "plain":
        return json.dumps(value)
    encodings.append("JSON, " + kind)
    if kind == "slashes":
        return json.dumps(value).replace("/", "\\/")
    form = "\\u%04X" if kind == "upper case" else "\\u%04x"
    return '"' + "".join(form % ord(letter) if kind == "all escaped" or not letter.isalnum() else letter for letter in value) + '"'


def lenient(r, s):
    kind = r.choice(["single quotes", "unquoted name", "trailing comma", "comments", "hex escapes", "octal escapes", "continued line", "quoted name", "control bytes", "NaN", "hash comments", "concatenated", "missing comma", "escaped letters", "braces"])
    value = s.value
    if kind == "single quotes":
        s.string = "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    elif kind == "unquoted name":
        s.name = "name"
    elif kind == "trailing comma":
        s.shape = '{"page": 2, "item": {%s: %s,},}'
    elif kind == "comments":
        s.shape = '{"page": 2, /* "x": 1 */ "item": {// "\n%s:/*"*/%s}}'
    elif kind == "hash comments":
        s.shape = '{"page": 2, # "x\n "item": {%s: %s}}'
    elif kind == "hex escapes":
        s.string = '"' + "".join("\\x%02x" % ord(letter) if not letter.isalnum() else letter for letter in value) + '"'
    elif kind == "octal escapes":
        s.string = '"' + "".join("\\%03o" % ord(letter) if not letter.isalnum() else letter for letter in value) + '"'
    elif kind == "continued line":
        s.string = json.dumps(value[:6])[:-1] + "\\\n" + json.dumps(value[6:])[1:]
    elif kind == "quoted name":
        s.name = "'name'"
    elif kind == "control bytes":
        s.string = s.string[:-1] + '\t\n\x01"'
    elif kind == "NaN":
        s.shape = '{"page": NaN, "x": Infinity, "y": +1, "z": .5, "w": 0x1f, "item": {%s: %s}}'
    elif kind == "concatenated":
        s.string = json.dumps(value[:6]) + " + " + json.dumps(value[6:])
    elif kind == "missing comma":
        s.shape = '{"page": 2 "item": {%s: %s}}'
    elif kind == "escaped letters":
        s.string = '"' + "".join("\\" + letter if letter in "cdeghijklmopqsvwyz;'$" else json.dumps(letter)[1:-1] for letter in value) + '"'
    else:
        s.shape = '[{"page": 2}, {"item": {%s: %s}}]]}'
    s.encodings.append("JSON, " + kind)


def names(r, s):
    kind, s.shape = r.choice([
        ("duplicate, first", '{"item": {%s: %s, "name": "x"}}'), ("duplicate, last", '{"item": {"name": "x", %s: %s}}'), ("duplicate by escape", '{"n\\u0061me": "x", %s: %s}'), ("duplicate object", '{"item": {%s: %s}, "item": {"name": "x"}}'),
        ("null in name", '{"name\\u0000": 1, %s: %s}'), ("empty", '{"": 1, %s: %s}'), ("proto", '{"__proto__": {%s: %s}}'), ("deep", '{"a":' * 60 + "{%s: %s}" + "}" * 60), ("array", '[1, [2, [{%s: %s}]]]'), ("many", "{" + '"a": 1, ' * 300 + "%s: %s}"),
        ("scalar", '{"x": [%s, %s]}'),
    ])


def around(r, s):
    s.before, s.after = r.choice([(")]}',\n", ""), ("for(;;);", ""), ("while(1);", ""), ("", "\n{}"), ('{"x":1}\n', ""), ("", " garbage"), ("garbage ", ""), ("\x1e", ""), ("", "\0"), ("\ufeff", ""), ("\n\n\t ", "\n"), ("", "]"), ("", "}"), ("callback(", ")"), ("data=", ""), ("", ";"),
                                  ("\x0c", ""), ("\xa0", ""), ("/**/", "//"), ("[1]", ""), ("1 ", ""), ('"x" ', ""), ("null", ""), ("--b\r\n", "")])


def types(r, s):
    s.types = r.choice([[b"text/plain"], [b"application/csp-report"], [b"application/vnd.api+json"], [b"text/json"], [], [b"application/json; charset=utf-16"], [b"application/json;charset=ibm037"], [b"APPLICATION/JSON"], [b"application/json, text/plain"], [b"text/plain, application/json"], [b"application/x-www-form-urlencoded"],
                        [b"multipart/form-data; boundary=x"], [b"application/xml"], [b"application/octet-stream"], [b"image/png"], [b"application/jsonx"], [b" application/json"], [b"application/x-json"], [b"text/html"], [b"application/json", b"text/plain"], [b"text/plain", b"application/json"], [b"application/graphql"], [b"video/mp4"], [b"application/x-ndjson"],
                        [b"application/x-binary"], [b"application/pdf"]])


def codec(r, s):
    s.codec, s.mark = r.choice([("utf-16-le", codecs.BOM_UTF16_LE), ("utf-16-be", codecs.BOM_UTF16_BE), ("utf-16-le", b""), ("utf-16-be", b""), ("utf-32-le", codecs.BOM_UTF32_LE), ("utf-32-be", codecs.BOM_UTF32_BE), ("utf-32-le", b""), ("utf-32-be", b""), ("utf-8", codecs.BOM_UTF8)])
    s.encodings.append(s.codec + (" with a mark" if s.mark else ""))


MUTATIONS = [("lenient", lenient), ("lenient", lenient), ("names", names), ("names", names), ("around", around), ("around", around), ("type", types), ("type", types), ("encoding", codec), ("encoding", codec),
             ("method", lambda r, s: setattr(s, "method", r.choice(["GET", "PUT"])))]


def carry(r, value, mutations):
    state = State(r, value)
    names_ = apply(r, state, MUTATIONS, mutations)
    first, rest = state.shape.split("%s", 1)
    middle, last = rest.split("%s", 1)
    text = state.before + first + state.name + middle + state.string + last + state.after
    body = state.mark + text.encode(state.codec, "surrogatepass")
    return Made([("Content-Type", kind) for kind in state.types], body, state.method, techniques=names_, encodings=state.encodings)
