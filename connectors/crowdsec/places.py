"""Writes small MMDB files, in the format of MaxMind DB 2.0, that say where IPv4 networks are."""
import ipaddress
import struct

MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = bytes(16)
# Types of the format; those from 8 on are extended ones.
TEXT, UINT16, UINT32, MAP, UINT64, ARRAY = 2, 5, 6, 7, 9, 11


def encoded(value, kind=None):
    """A value of the data section; numbers are of 32 bits unless `kind` says otherwise."""
    if isinstance(value, dict):
        pairs = (encoded(name) + encoded(*(item if isinstance(item, tuple) else (item,))) for name, item in value.items())
        return control(MAP, len(value)) + b"".join(pairs)
    if isinstance(value, list):
        return control(ARRAY, len(value)) + b"".join(map(encoded, value))
    if isinstance(value, str):
        return control(TEXT, len(value.encode())) + value.encode()
    number = struct.pack(">Q", value).lstrip(b"\0")
    return control(kind or UINT32, len(number)) + number


def control(kind, size):
    assert size < 29, "longer values have another form"
    return bytes([kind << 5 | size]) if kind < 8 else bytes([size, kind - 7])


def write(path, networks):
    """Writes a database of `networks`: pairs of a network and its record. Networks must not overlap."""
    tree, data = [[None, None]], b""
    for network, record in networks:
        network = ipaddress.IPv4Network(network)
        offset, data = len(data), data + encoded(record)
        bits = [int(network.network_address) >> 31 - place & 1 for place in range(network.prefixlen)]
        node = 0
        for bit in bits[:-1]:
            if tree[node][bit] is None:
                tree.append([None, None])
                tree[node][bit] = len(tree) - 1
            node = tree[node][bit]
        tree[node][bits[-1]] = ("data", offset)
    count = len(tree)

    def entry(child):
        if child is None:
            return count
        return child if isinstance(child, int) else count + len(SEPARATOR) + child[1]

    nodes = b"".join(entry(child).to_bytes(3, "big") for node in tree for child in node)
    metadata = {"binary_format_major_version": (2, UINT16), "binary_format_minor_version": (0, UINT16), "build_epoch": (1, UINT64),
                "database_type": "Test", "description": {"en": "test"}, "ip_version": (4, UINT16), "languages": ["en"],
                "node_count": (count, UINT32), "record_size": (24, UINT16)}
    with open(path, "wb") as file:
        file.write(nodes + SEPARATOR + data + MARKER + encoded(metadata))
