"""application/x-www-form-urlencoded bodies."""

from .made import CHARSETS, Made, apply, encoded
from .percent import escaped


class State:
    def __init__(self, r, value):
        self.value = value
        self.types = [b"application/x-www-form-urlencoded"]
        self.method = "POST"
        self.name = b"name"
        self.encodings = []
        self.text = escaped(r, value, self.encodings)
        self.before, self.after = b"page=2&", b""
        self.equals = b"="


def types(r, s):
    s.types = r.choice([
        [b"application/x-www-form-urlencoded;foo"], [b"APPLICATION/X-WWW-FORM-URLENCODED"], [b" application/x-www-form-urlencoded"], [b"application/x-www-form-urlencoded, text/plain"], [b"text/plain, application/x-www-form-urlencoded"],
        [b"application/x-www-form-urlencoded", b"application/json"], [b"application/json", b"application/x-www-form-urlencoded"], [], [b"text/plain"], [b"application/x-www-form-urlencodedx"], [b"application/x-www-form-urlencoded charset=x"], [b"application/json"], [b"image/png"],
        [b"application/octet-stream"], [b"application/x-url-encoded"], [b"multipart/form-data"], [b"*/*"], [b""], [b"application/x-www-form-urlencoded\t;a=b"], [b"application /x-www-form-urlencoded"],
    ])


def charset(r, s):
    label = r.choice(list(CHARSETS))
    data = encoded(s.value, label)
    s.text = r.choice([lambda: b"".join(b"%%%02x" % byte for byte in data), lambda: data.replace(b"%", b"%25").replace(b"&", b"%26").replace(b"+", b"%2b")])()
    s.encodings = ["charset " + label]
    s.name = r.choice([s.name, b"".join(b"%%%02x" % byte for byte in encoded("name", label))])
    if r.random() < 0.7:
        s.types = [kind + r.choice([b"; charset=", b';charset="', b"; x=y; Charset="]) + label.encode() for kind in s.types]
    else:
        s.before = b"_charset_=" + label.encode() + b"&"


def surroundings(r, s):
    s.before, s.after = r.choice([(b"page=2;", b""), (b"page=2;x&", b";y=1"), (b"&&", b"&&"), (b"=&", b"&="), (b"a&", b""), (b"page=2&&&", b""), (b"\r\n", b"\r\n"), (b"\xef\xbb\xbf", b""), (b"{}&", b""), (b"[1]&", b""), (b"<a/>&", b""), (b'{"a":"', b'"}'),
                                  (b"%&", b"%"), (b"x=%zz&", b""), (b"a=1&" * 400, b""), (b"?", b""), (b"page=2\n", b""), (b"page=2\0&", b""), (b"--b\r\n", b""), (b"name=a&", b""), (b"", b"&name=b"), (b" ", b" "), (b"page=2,", b"")])


def named(r, s):
    s.name = r.choice([b"a[b][c]", b"a.b", b"a[]", b"a[0]", b"a[", b"a]", b"a%5bb%5d", b"a[b", b"", b"__proto__[x]", b"a[b][", b"[a]", b"a[][][]", b"a[b]c", b"%6eame", b"na+me", b"a[" * 60 + b"]" * 60, b"a%00b", b" name", b"a" + b"[b]" * 12, b"a[100000]", b"$ne", b"a[b].c", b"_method", b"name%5b", b"a b", b"{a}", b"\xff", b"<a"])


def without_equals(_r, s):
    s.name, s.equals = b"", b""


MUTATIONS = [("type", types), ("type", types), ("charset", charset), ("surroundings", surroundings), ("surroundings", surroundings), ("name", named), ("name", named), ("no =", without_equals),
             ("method", lambda r, s: setattr(s, "method", r.choice(["GET", "PUT"])))]


def carry(r, value, mutations):
    state = State(r, value)
    names = apply(r, state, MUTATIONS, mutations)
    body = state.before + state.name + state.equals + state.text + state.after
    return Made([("Content-Type", kind) for kind in state.types], body, state.method, techniques=names, encodings=state.encodings)
