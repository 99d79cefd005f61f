"""Content codings of a body."""

import gzip
import zlib


def raw_deflate(data):
    return zlib.compress(data)[2:-4]


def members(data):
    half = len(data) // 2
    return gzip.compress(data[:half]) + gzip.compress(data[half:])


def named_member(data):
    """A gzip member with a file name, a comment and an extra field."""
    inner = gzip.compress(data)
    return inner[:3] + bytes([inner[3] | 4 | 8 | 16]) + inner[4:10] + b"\x02\x00xx" + b"name\0" + b"comment\0" + inner[10:]


CODINGS = [
    ("gzip", [b"gzip"], gzip.compress), ("x-gzip", [b"x-gzip"], gzip.compress), ("GZIP", [b"GZIP"], gzip.compress), ("deflate", [b"deflate"], zlib.compress), ("raw deflate", [b"deflate"], raw_deflate), ("identity, gzip", [b"identity, gzip"], gzip.compress),
    ("gzip, identity", [b"gzip, identity"], gzip.compress), ("gzip twice", [b"gzip, gzip"], lambda data: gzip.compress(gzip.compress(data))), ("deflate, gzip", [b"deflate, gzip"], lambda data: gzip.compress(zlib.compress(data))), ("members", [b"gzip"], members), ("gzip with fields", [b"gzip"], named_member),
    ("two lines", [b"deflate", b"gzip"], lambda data: gzip.compress(zlib.compress(data))), ("garbage behind", [b"gzip"], lambda data: gzip.compress(data) + b"garbage"), ("unfinished", [b"gzip"], lambda data: gzip.compress(data)[:-8]), ("blank", [b" gzip "], gzip.compress), ("quoted", [b'"gzip"'], gzip.compress),
    ("gzip;q=1", [b"gzip;q=1"], gzip.compress), ("gzip as deflate", [b"deflate"], gzip.compress), ("deflate as gzip", [b"gzip"], zlib.compress), ("identity", [b"identity"], bytes), ("none in fact", [b"gzip"], bytes), ("stored", [b"gzip"], lambda data: gzip.compress(data, 0)), ("empty", [b""], bytes), ("comma", [b", gzip ,"], gzip.compress),
    ("two equal lines", [b"gzip", b"gzip"], gzip.compress), ("unknown", [b"x-unknown"], bytes),
]


def encode(r, headers, body):
    name, lines, compress = r.choice(CODINGS)
    return headers + [("Content-Encoding", line) for line in lines], compress(body), "coding " + name
