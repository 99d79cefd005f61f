"""What carriers make."""

import dataclasses


@dataclasses.dataclass
class Made:
    """A request but for its framing: Content-Length comes later."""

    headers: list  # of (name, bytes)
    body: bytes = b""
    method: str = "POST"
    target: bytes = b"/api/v1/items"
    techniques: list = dataclasses.field(default_factory=list)
    encodings: list = dataclasses.field(default_factory=list)


# Character sets by which a server may decode, and the codec of Python that encodes for them.
CHARSETS = {
    "utf-16": "utf-16", "utf-16le": "utf-16-le", "utf-16be": "utf-16-be", "utf_16_le": "utf-16-le", "utf-32": "utf-32", "utf-32le": "utf-32-le", "utf-7": "utf-7", "utf_7": "utf-7", "ibm037": "cp037",
    "cp037": "cp037", "ibm500": "cp500", "cp1140": "cp1140", "cp273": "cp273", "cp1026": "cp1026", "cp875": "cp875", "unicode_escape": "unicode_escape", "raw_unicode_escape": "raw_unicode_escape",
    "iso-8859-1": "latin-1", "shift_jis": "shift_jis", "utf-8": "utf-8", "punycode": "punycode", "hz": "hz",
}


def encoded(text, charset):
    """`text` in a character set; UTF-7 with every byte in base64 that may be."""
    codec = CHARSETS[charset]
    if codec == "utf-7":
        import base64
        return b"".join(letter.encode() if letter.isalnum() else b"+" + base64.b64encode(letter.encode("utf-16-be")).rstrip(b"=") + b"-" for letter in text)
    if codec in ("unicode_escape", "raw_unicode_escape"):
        return "".join(f"\\u{ord(letter):04x}" if not letter.isalnum() else letter for letter in text).encode()
    return text.encode(codec, "replace")


def apply(r, state, mutations, count):
    """Applies `count` mutations out of (name, function), and returns their names."""
    names = []
    for name, change in r.sample(mutations, min(count, len(mutations))):
        change(r, state)
        names.append(name)
    return names
