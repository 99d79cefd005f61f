"""multipart/form-data and its relatives, with mutations in every part of the syntax."""

import base64
import urllib.parse

from .made import CHARSETS, Made, apply, encoded


class State:
    """The pieces of a body, before they are put together."""

    def __init__(self, value):
        self.value = value
        self.boundary = b"b7x91"
        self.types = [b"multipart/form-data; boundary=b7x91"]
        self.line = b"\r\n"
        self.disposition = b'form-data; name="name"'
        self.before, self.after = [], []  # headers of the part around its Content-Disposition
        self.colon = b": "
        self.header = b"Content-Disposition"
        self.content = value.encode()
        self.empty_line = True
        self.open = b"--"  # before the boundary
        self.behind = b""  # after the boundary
        self.preamble = b""
        self.end = b"--"
        self.epilogue = b""
        self.decoys = True
        self.encodings = []

    def body(self):
        line = self.line
        delimiter = self.open + self.boundary + self.behind + line
        part = b"".join(h + line for h in [*self.before, self.header + self.colon + self.disposition, *self.after] if h)
        part += (line if self.empty_line else b"") + self.content + line
        decoy = b'Content-Disposition: form-data; name="page"' + line + line + b"2" + line if self.decoys else b""
        last = b"--" + self.boundary + self.end + (line if self.end else b"") if self.end is not None else b""
        return self.preamble + (b"--" + self.boundary + line + decoy if decoy else b"") + delimiter + part + last + self.epilogue


def chosen(attribute, choices):
    def change(r, s):
        setattr(s, attribute, r.choice(choices))
    return change


def types(*choices):
    def change(r, s):
        s.types = [text.encode() for text in r.choice(choices)]
    return change


def declared_boundary(r, s):
    name, declared, used = r.choice([
        ("quoted", 'boundary="b 7"', "b 7"), ("quoted with ;", 'boundary="b;7"', "b;7"), ("escaped", 'boundary="b\\7"', "b7"), ("escaped, kept", 'boundary="b\\7"', "b\\7"),
        ("escaped quote", 'boundary="b\\"7"', 'b"7'), ("unclosed", 'boundary="b7', "b7"), ("unclosed, kept", 'boundary="b7', '"b7'), ("single quotes", "boundary='b7'", "b7"),
        ("single quotes, kept", "boundary='b7'", "'b7'"), ("signs", "boundary=b7'()+_,-./:=?", "b7'()+_,-./:=?"), ("signs to comma", "boundary=b7,x", "b7"), ("comma", "boundary=b7,x", "b7,x"),
        ("blank within", "boundary=b7 x", "b7"), ("blank within, kept", "boundary=b7 x", "b7 x"), ("long", "boundary=" + "L" * 70, "L" * 70), ("longer", "boundary=" + "L" * 200, "L" * 200),
        ("too long", "boundary=" + "L" * 300, "L" * 300), ("longest", "boundary=" + "L" * 1200, "L" * 1200), ("empty", "boundary=", ""), ("empty quotes", 'boundary=""', ""), ("extended", "boundary*=utf-8''b7", "b7"),
        ("extended, escaped", "boundary*=utf-8''b%37", "b7"), ("continued", "boundary*0=b; boundary*1=7", "b7"), ("continued from 0", "boundary*0=b7", "b7"), ("continued, quoted", 'boundary*0="b";boundary*1="7"', "b7"),
        ("first of two", "boundary=b7; boundary=zz", "b7"), ("last of two", "boundary=zz; boundary=b7", "b7"), ("plain after extended", "boundary*=utf-8''zz; boundary=b7", "b7"), ("extended after plain", "boundary=zz; boundary*=utf-8''b7", "b7"),
        ("case of name", "BOUNDARY=b7", "b7"), ("case of value", "boundary=B7", "b7"), ("blank after =", "boundary= b7", "b7"), ("blank before =", "boundary =b7", "b7"), ("within another", 'x="; boundary=zz"; boundary=b7', "b7"),
        ("within another, read", 'x="; boundary=b7"; boundary=zz', "b7"), ("in a name", "xboundary=b7; boundary=zz", "b7"), ("behind a name", "xboundary=zz; boundary=b7", "b7"), ("no ;", "x boundary=b7", "b7"), ("tab", "\tboundary=b7\t", "b7"),
        ("dashes", "boundary=--b7", "--b7"), ("dashes only", "boundary=--", "--"), ("end", "boundary=b7--", "b7--"), ("latin", "boundary=b\xe97", "b\xe97"), ("backslash", "boundary=b\\7", "b\\7"), ("percent", "boundary=b%37", "b%37"), ("percent, decoded", "boundary=b%37", "b7"),
    ])
    lead = r.choice(["; ", "; ", ";", " ; ", ", ", ";;", "; charset=utf-8; ", "; charset=utf-16; ", '; x="a;b"; ', ";\t"])
    tail = r.choice(["", "", "", ";", "; charset=utf-8", "; charset=utf-16", "; x", " ", ", text/plain", '; x="'])
    s.types = [("multipart/form-data" + lead + declared + tail).encode("latin-1")]
    s.boundary = used.encode("latin-1")
    s.boundary_kind = name


def second_type(r, s):
    other = r.choice([b"text/plain", b"application/json", b"application/x-www-form-urlencoded", b"multipart/form-data; boundary=zz", b"multipart/mixed", b""])
    s.types = r.choice([[*s.types, other], [other, *s.types]])


def as_file(r, s):
    """Looks like a file to one reader and like a field to another."""
    s.disposition = r.choice([
        b'form-data; name="name"; filename=""', b"form-data; name=\"name\"; filename*=utf-8''x.txt", b'form-data; name="name"; filename*0="x"', b'form-data; name="name"; Filename="x.txt"', b'form-data; name="name"; filename', b'form-data; name="name"; filename=',
        b'form-data; name="name"; xfilename="x.txt"', b'form-data; name="name"; x-filename="x.txt"', b'form-data; name="name"; filename ="x.txt"', b'form-data; name="name"; .filename="x.txt"', b'form-data; name="name; filename=x.txt"', b'form-data; name="name\\"; filename=\\"x.txt"',
        b'form-data; name="name"; x="; filename=x.txt"', b'form-data; name="name"; x="\\"; filename="x.txt"', b'form-data; name="name\\\\"; filename="x.txt"', b'form-data; name=name; filename=x.txt', b"form-data; name='name; filename=x.txt'", b'form-data; name="name" filename="x.txt"',
        b'form-data; name="name", filename="x.txt"', b'form-data; name="name"; "filename"="x.txt"', b'form-data; name="name"; file\0name="x.txt"', b'form-data; name="name"\0; filename="x.txt"', b'form-data; name="name";filename*="x.txt"', b"form-data; name=\"name\"; filename*=x.txt", b"form-data; name=\"name\"; filename*=''x.txt",
        b"form-data; name=\"name\"; filename*=klingon''x.txt", b"form-data; name=\"name\"; filename*1=x.txt", b"form-data; name=\"name\"; filename*0*=utf-8''x.txt", b'filename="x.txt"; form-data; name="name"', b'form-data; filename="x.txt"; name="name"; filename=""', b'form-data; name="name"; filename="x.txt"; filename=""',
        b'form-data; name="name"; filename="\0x.txt"', b'form-data; name="name"; FILENAME*=UTF-8\'\'x.txt', b'form-data; name="name"; filename\t="x.txt"', b'form-data; name="name"; (filename="x.txt")', b'form-data; name="name"; filename="."', b'form-data; name="name"; filename=".."', b'form-data; name="name"; filename="/"',
        b'form-data; name="name"; filename="dir/"', b'form-data; name="name"; filename="dir\\"', b'form-data; name="name"; filename="undefined"', b'form-data; name="name"; filename=" "', b'attachment; name="name"; filename="x.txt"', b'form-data; name=""; filename="x.txt"', b'form-data; filename="x.txt"',
    ])


def named(r, s):
    s.disposition = r.choice([
        b"form-data; name=name", b"form-data; name='name'", b'form-data; name="na\\"me"', b'form-data; name = "name"', b'form-data; NAME="name"', b'FORM-DATA; name="name"', b'form-data;; name="name"', b'form-data name="name"', b'form-data, name="name"', b'form-data; name="name"; name="other"',
        b'form-data; name="other"; name="name"', b"form-data; name*=utf-8''name", b'form-data; name*0="na"; name*1="me"', b'form-data; name="name', b'; name="name"', b'name="name"', b'attachment; name="name"', b'inline; name="name"', b'form-data; x=y; name="name"', b'form-data; name="a[b][c]"', b'form-data; name="a.b"', b'form-data; name=""',
        b'form-data; name="name"x', b'form-data; name="n\0ame"', b'form-data\t;\tname="name"', b'form-data; name="name" ; size=3', b'form-data; name="__proto__"', b'form-data; name="a[]"', b'form-data;name="name";', b'form-data; name="name%22"', b'form-data; name==?utf-8?q?name?=', b'form-data', b'form-data; x="\xff\xfe"; name="name"',
        b'form-data; filename*=x; name="name"', b'form-data; ' + b'x=y; ' * 40 + b'name="name"',
    ])


def file_name(r, s):
    """The value is the name of a file."""
    value = s.value
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    codec = r.choice(["utf-8", "iso-8859-1", "utf-16le", "utf-7", "ibm037"])
    data = encoded(value, codec)
    words = urllib.parse.quote(data, safe="").encode()
    half = len(words) // 2
    half -= 1 if words[half - 1:half] == b"%" else 2 if words[half - 2:half - 1] == b"%" else 0
    s.content = b"text"
    kind, name = r.choice([
        ("quoted", b'filename="' + escaped.encode() + b'"'), ("extended", b"filename*=" + codec.encode() + b"''" + words), ("extended, upper case", b"FILENAME*=UTF-8'en'" + urllib.parse.quote(value, safe="").encode()),
        ("percent", b'filename="' + urllib.parse.quote(value, safe="").encode() + b'"'), ("encoded words, B", b'filename="=?' + codec.encode() + b"?B?" + base64.b64encode(data) + b'?="'),
        ("encoded words, Q", b'filename="=?' + codec.encode() + b"?Q?" + b"".join(b"=%02X" % byte for byte in data) + b'?="'), ("continued", b"filename*0*=" + codec.encode() + b"''" + words[:half] + b"; filename*1*=" + words[half:]),
        ("continued, plain", b'filename*0="' + escaped[:9].encode() + b'"; filename*1="' + escaped[9:].encode() + b'"'), ("extended before plain", b"filename*=utf-8''" + urllib.parse.quote(value, safe="").encode() + b'; filename="x.txt"'),
        ("continued, out of order", b'filename*1="' + escaped[9:].encode() + b'"; filename*0="' + escaped[:9].encode() + b'"'), ("extended, quoted", b"filename*=\"utf-8''" + urllib.parse.quote(value, safe="").encode() + b'"'), ("entities", b'filename="' + "".join(f"&#{ord(c)};" for c in value).encode() + b'"'),
        ("percent quotes", b'filename="' + value.replace('"', "%22").encode() + b'"'),
    ])
    s.disposition = b'form-data; name="name"; ' + name
    s.encodings.append("file name, " + kind + (f" ({codec})" if kind.startswith(("extended", "encoded", "continued")) and codec != "utf-8" else ""))


def transfer(r, s):
    coding = r.choice([b"base64", b"base64", b"BASE64", b"quoted-printable", b"Quoted-Printable", b"base64 ", b"base64; x=y", b'"base64"', b"x-base64", b"base64\t", b"base64, 8bit"])
    name = r.choice([b"Content-Transfer-Encoding", b"content-transfer-encoding", b"Content-Transfer-Encoding"])
    if b"ase64" in coding.lower():
        data = base64.b64encode(s.content)
        kind = r.choice(["plain", "lines", "no padding", "junk", "with garbage", "pieces"])
        if kind == "lines":
            data = base64.encodebytes(s.content).replace(b"\n", s.line)
        elif kind == "no padding":
            data = data.rstrip(b"=")
        elif kind == "junk":
            data = b"!".join(data[i:i + 8] for i in range(0, len(data), 8))
        elif kind == "with garbage":
            data += b"===="
        elif kind == "pieces":
            data = b"".join(base64.b64encode(s.content[i:i + 4]) for i in range(0, len(s.content), 4))
    else:
        data = b"".join(b"=%02X" % byte for byte in s.content)
        if r.random() < 0.5:
            data = (b"=" + s.line).join(data[i:i + 60] for i in range(0, len(data), 60))
    s.content = data
    s.after.append(name + s.colon + coding)
    s.encodings.append("transfer " + coding.decode())


def charset(r, s):
    label = r.choice(list(CHARSETS))
    s.content = encoded(s.value, label)
    s.encodings.append("charset " + label)
    where = r.choice(["part", "part", "request", "_charset_", "part, quoted"])
    if where == "part":
        s.after.append(b"Content-Type: text/plain; charset=" + label.encode())
    elif where == "part, quoted":
        s.after.append(b'Content-Type: text/plain;x=y;CHARSET="' + label.encode() + b'"')
    elif where == "request":
        s.types = [kind + b"; charset=" + label.encode() for kind in s.types]
    else:
        s.preamble = b"--" + s.boundary + s.line + b'Content-Disposition: form-data; name="_charset_"' + s.line * 2 + label.encode() + s.line


def compressed(r, s):
    import gzip
    import zlib
    coding, data = r.choice([(b"gzip", gzip.compress(s.content)), (b"deflate", zlib.compress(s.content)), (b"deflate", zlib.compress(s.content)[2:-4])])
    s.content = data
    s.after.append(b"Content-Encoding: " + coding)
    s.encodings.append("part in " + coding.decode())


def length(r, s):
    """A Content-Length of the part, which a few readers obey."""
    s.after.append(b"Content-Length: " + r.choice([b"%d" % len(s.content), b"0", b"1", b"100000", b"-1"]))


def swallowed(_r, s):
    """A first part whose Content-Length covers the delimiter and the head of the next one."""
    s.preamble = b"--" + s.boundary + s.line + b'Content-Disposition: form-data; name="a"; filename="x.png"' + s.line + b"Content-Type: image/png" + s.line * 2 + b"\x89PNG\r\n\x1a\n\0\0\0\x0d" + s.line


def nested(r, s):
    inner = b"--in7" + s.line + r.choice([b'Content-Disposition: file; filename="x.txt"', b'Content-Disposition: form-data; name="inner"', b"Content-Type: text/plain"]) + s.line * 2 + s.content + s.line + b"--in7--" + s.line
    s.after.append(b"Content-Type: multipart/mixed; boundary=in7")
    s.content = inner


def part_headers(r, s):
    kind = r.choice(["order", "decoy first", "decoy last", "many", "long", "no colon", "empty name", "nul", "file decoy last", "file decoy first", "cr", "name only"])
    decoy = b'Content-Disposition: form-data; name="other"; filename="x.png"' if kind.startswith("file") else b'Content-Disposition: form-data; name="other"'
    if kind == "order":
        s.before.append(b"Content-Type: text/plain")
    elif kind.endswith("first"):
        s.before.append(decoy)
    elif kind.endswith("last"):
        s.after.append(decoy)
    elif kind == "many":
        s.before += [b"X-%d: y" % i for i in range(40)]
    elif kind == "long":
        s.before.append(b"X: " + b"y" * 9000)
    else:
        s.before.append({"no colon": b"no colon", "empty name": b": x", "nul": b"X\0: y", "cr": b"X: y\rContent-Type: image/png", "name only": b"X:"}[kind])


def folded(r, s):
    s.disposition = s.disposition.replace(b"; ", b";" + s.line + r.choice([b" ", b"\t", b"  "]), 1)


def around(r, s):
    kind = r.choice(["preamble", "preamble, long", "empty lines", "epilogue", "closed before", "after the end", "prefix within", "delimiter within a line", "longer delimiter", "shorter", "unfinished head"])
    head = b'Content-Disposition: form-data; name="x"' + s.line * 2
    if kind == "preamble":
        s.preamble = b"preamble" + s.line
    elif kind == "preamble, long":
        s.preamble = b"p" * 5000 + s.line
    elif kind == "empty lines":
        s.preamble = s.line * 3
    elif kind == "epilogue":
        s.epilogue = b"epilogue --" + s.boundary
    elif kind == "closed before":
        s.preamble = b"--" + s.boundary + b"--" + s.line
    elif kind == "after the end":
        s.open = b"--" + s.boundary + b"--" + s.line + b"--"
    elif kind == "prefix within":
        s.content = s.content + s.line + b"--" + s.boundary[:-1] + s.line
    elif kind == "delimiter within a line":
        s.preamble = b"--" + s.boundary + s.line + head + b"text --"
        s.preamble += s.boundary + s.line
    elif kind == "longer delimiter":
        s.preamble = b"--" + s.boundary + s.line + head + b"text" + s.line + b"--" + s.boundary + b"longer" + s.line
    elif kind == "shorter":
        s.open = b"-"
    else:
        s.preamble = b"--" + s.boundary + s.line + b'Content-Disposition: form-data; name="x"' + s.line


MUTATIONS = [
    ("boundary", declared_boundary), ("boundary", declared_boundary), ("two types", second_type), ("like a file", as_file), ("like a file", as_file), ("name", named), ("name", named), ("file name", file_name), ("file name", file_name),
    ("transfer encoding", transfer), ("transfer encoding", transfer), ("charset", charset), ("charset", charset), ("part in a coding", compressed), ("length of the part", length), ("binary before", swallowed), ("nested", nested),
    ("part headers", part_headers), ("folded", folded), ("around", around), ("around", around),
    ("line ends", chosen("line", [b"\n", b"\n", b"\r", b"\n\r"])), ("no empty line", chosen("empty_line", [False])), ("end", chosen("end", [None, b"", b"-", b"--junk", b"-- "])),
    ("behind the delimiter", chosen("behind", [b" ", b"\t", b"  \t", b"junk", b";", b"\0", b"-"])), ("colon", chosen("colon", [b" : ", b":", b"\t:", b":\t", b" :", b":  ", b"=", b":\0"])), ("alone", chosen("decoys", [False])),
    ("case of the header", chosen("header", [b"CONTENT-DISPOSITION", b"content-disposition", b"Content_Disposition", b" Content-Disposition", b"Content-Disposition\0", b"X-Content-Disposition", b"Content-disposition"])),
    ("type", types(["Multipart/Form-Data; boundary=b7x91"], ["multipart/mixed; boundary=b7x91"], ["multipart/related; boundary=b7x91"], ["multipart/x; boundary=b7x91"], [" multipart/form-data; boundary=b7x91"], ["multipart/form-data, boundary=b7x91"],
                   ["multipart/form-datax; boundary=b7x91"], ["multipart/form-data boundary=b7x91"], ["text/plain"], [], ["application/x-www-form-urlencoded; boundary=b7x91"], ["multipart/form-data"], ["x/y, multipart/form-data; boundary=b7x91"], ["multipart/form-data\t; boundary=b7x91"],
                   ["application/multipart/form-data; boundary=b7x91"], ["text/plain; multipart/form-data; boundary=b7x91"], ["multipart /form-data; boundary=b7x91"], ["multipart; boundary=b7x91"], ["x-multipart/form-data; boundary=b7x91"], ["application/json; multipart/form-data; boundary=b7x91"])),
]


def carry(r, value, mutations):
    state = State(value)
    names = apply(r, state, MUTATIONS, mutations)
    headers = [("Content-Type", text) for text in state.types]
    return Made(headers, state.body(), techniques=names, encodings=state.encodings, target=r.choice([b"/api/v1/items", b"/api/v1/stream"]))
