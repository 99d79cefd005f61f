"""Percent-encoding of a value, as clients write it and as only some servers read it."""

import urllib.parse


def escaped(r, value, encodings, space=True):
    """`value` in percent-encoding; what is unusual about it is added to `encodings`."""
    kind = r.choice(["ordinary", "ordinary", "all", "lower case", "%u", "overlong", "signs only", "bad before", "mixed", "plus" if space else "all"])
    data = value.encode()
    if kind != "ordinary":
        encodings.append("percent, " + kind)
    if kind in ("all", "lower case"):
        return b"".join((b"%%%02X" if kind == "all" else b"%%%02x") % byte for byte in data)
    if kind == "%u":
        return b"".join(b"%%u%04x" % ord(letter) if not letter.isalnum() else letter.encode() for letter in value)
    if kind == "overlong":
        return b"".join(b"%%%02x%%%02x" % (0xC0 | byte >> 6, 0x80 | byte & 0x3F) if byte < 0x80 and not chr(byte).isalnum() else b"%%%02x" % byte for byte in data)
    if kind == "signs only":
        return b"".join(b"%%%02x" % byte if byte in b"&+%;#= " or byte < 33 or byte > 126 else bytes([byte]) for byte in data)
    if kind == "bad before":
        return b"%zz%" + urllib.parse.quote(value, safe="").encode()
    if kind == "mixed":
        return b"".join(b"%%%02x" % byte if r.random() < 0.5 or byte in b"&+%;#= \"<>" or byte > 126 else bytes([byte]) for byte in data)
    if kind == "plus":
        return urllib.parse.quote_plus(value, safe="").encode()
    return urllib.parse.quote(value, safe="").encode()
