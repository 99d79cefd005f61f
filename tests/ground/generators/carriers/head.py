"""Query strings, cookies and paths."""

from .made import Made, apply
from .percent import escaped
from . import form


def query(r, value, mutations):
    state = form.State(r, value)
    names = apply(r, state, [line for line in form.MUTATIONS if line[0] in ("surroundings", "name", "no =")], mutations)
    keep = lambda text: b"".join(bytes([byte]) if 32 < byte < 127 else b"%%%02x" % byte for byte in text)  # noqa: E731
    text = keep(state.before + state.name + state.equals + state.text + state.after)
    lead = r.choice([b"?", b"?", b"?", b"?&", b"??", b"?#", b"/?", b";x?"]) if mutations else b"?"
    return Made([], b"", "GET", b"/api/v1/items" + lead + text, names, state.encodings)


def cookie_value(r, value, encodings):
    kind = r.choice(["percent", "plain", "quoted", "octal", "octal, all", "quoted, escaped", "base64", "JSON", "percent twice", "unclosed"])
    encodings.append("cookie, " + kind)
    if kind == "plain":
        return value.encode()
    if kind == "quoted":
        return b'"' + value.encode() + b'"'
    if kind == "unclosed":
        return b'"' + value.encode()
    if kind == "quoted, escaped":
        return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    if kind.startswith("octal"):
        return b'"' + b"".join(b"\\%03o" % byte if kind.endswith("all") or not chr(byte).isalnum() else bytes([byte]) for byte in value.encode()) + b'"'
    if kind == "JSON":
        import json
        import urllib.parse
        return urllib.parse.quote("j:" + json.dumps({"name": value}), safe="").encode()
    return escaped(r, value, encodings, space=False)


class Cookies:
    def __init__(self, r, value):
        self.encodings = []
        self.value = cookie_value(r, value, self.encodings)
        self.lines = lambda pair: [b"lang=en; " + pair]
        self.pair = b"name="


def lines(r, s):
    s.lines = r.choice([lambda p: [b"lang=en", p], lambda p: [p, b"lang=en"], lambda p: [b"$Version=1; " + p + b"; $Path=/"], lambda p: [b"lang=en;" + p], lambda p: [b"lang=en, " + p], lambda p: [b"lang=en  ;  " + p + b";;"], lambda p: [b"lang=\"en; " + p], lambda p: [b"lang=\"a;b\"; " + p],
                        lambda p: [p + b"; name=x"], lambda p: [b"name=x; " + p], lambda p: [b";;;" + p], lambda p: [b"lang; " + p], lambda p: [b"=x; " + p], lambda p: [b"a=b\t;\t" + p], lambda p: [b"a[b]=c; " + p], lambda p: [b"lang=\xe9; " + p], lambda p: [b"l(an)g=1; " + p], lambda p: [b"lang=en& " + p], lambda p: [b"$Version=\"1\", " + p]])


def cookie_name(r, s):
    s.pair = r.choice([b"name =", b"name= ", b"na[me]=", b"=", b"", b"$name=", b"na me=", b"%6eame=", b"__Host-name=", b"n.a=", b"NAME=", b"name==", b"n\xe9=", b"name\t=\t", b"expires=", b"path=", b"{name}=", b"na\"me="])


def cookie(r, value, mutations):
    state = Cookies(r, value)
    names = apply(r, state, [("cookie lines", lines), ("cookie name", cookie_name)], mutations)
    return Made([("Cookie", line) for line in state.lines(state.pair + state.value)], b"", "GET", b"/api/v1/items", names, state.encodings)


def path(r, value, mutations):
    encodings = []
    text = escaped(r, value, encodings, space=False)
    text = b"".join(bytes([byte]) if 32 < byte < 127 and byte not in b"?#\"<>" else b"%%%02x" % byte for byte in text)
    before, after = r.choice([(b"/api/v1/items/", b""), (b"/api/v1/items/", b"/details"), (b"/api/v1/items;x=1/", b""), (b"//api//", b""), (b"/api/v1/./items/", b"/"), (b"/api/v1/items/x;name=", b""), (b"/a.b/", b".json"), (b"/api%2f", b""), (b"http://shop.test/", b"")][:9 if mutations else 1])
    return Made([], b"", "GET", before + text + after, ["path"] if mutations else [], encodings)
