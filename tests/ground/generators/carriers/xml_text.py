"""XML bodies."""

import codecs

from .made import Made, apply


class State:
    def __init__(self, r, value):
        self.value = value
        self.types = [b"application/xml"]
        self.declaration = '<?xml version="1.0"?>'
        self.dtd = ""
        self.encodings = []
        self.text = escaped(value)
        self.template = "<item><page>2</page><name>%s</name></item>"
        self.codec, self.mark = "utf-8", b""
        self.before = self.after = ""


def escaped(value):
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def references(r, s):
    kind = r.choice(["decimal", "hexadecimal", "zeros", "CDATA", "CDATA split", "comments", "instructions", "elements", "named"])
    signs = lambda form: "".join(form % ord(letter) if not letter.isalnum() else letter for letter in s.value)  # noqa: E731
    parts = [escaped(s.value[i:i + 3]) for i in range(0, len(s.value), 3)]
    s.text = {
        "decimal": lambda: signs("&#%d;"), "hexadecimal": lambda: "".join("&#x%x;" % ord(letter) for letter in s.value), "zeros": lambda: signs("&#0000%d;"), "CDATA": lambda: f"<![CDATA[{s.value}]]>",
        "CDATA split": lambda: "".join(f"<![CDATA[{s.value[i:i + 3]}]]>" for i in range(0, len(s.value), 3)), "comments": lambda: "<!-- -->".join(parts), "instructions": lambda: "<?x y?>".join(parts), "elements": lambda: "<b/>".join(parts),
        "named": lambda: s.value.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&apos;").replace('"', "&quot;"),
    }[kind]()
    s.encodings.append("XML, " + kind)


def entities(r, s):
    kind = r.choice(["whole", "parts", "nested", "attribute", "parameter", "unused quotes"])
    quoted = "".join("&#%d;" % ord(letter) if letter in "<&\"%'" else letter for letter in s.value)
    doubled = quoted.replace("&#", "&#38;#")
    half = len(s.value) // 2
    first, last = ("".join("&#38;#%d;" % ord(letter) if not letter.isalnum() else letter for letter in part) for part in (s.value[:half], s.value[half:]))
    s.dtd, s.text = {
        "whole": ('<!DOCTYPE item [<!ENTITY e "%s">]>' % doubled, "&e;"), "parts": ('<!DOCTYPE item [<!ENTITY a "%s"><!ENTITY b "%s">]>' % (first, last), "&a;&b;"),
        "nested": ('<!DOCTYPE item [<!ENTITY a "%s"><!ENTITY b "&a;%s">]>' % (first, last), "&b;"), "attribute": ('<!DOCTYPE item [<!ATTLIST name v CDATA "%s">]>' % quoted, "x"),
        "parameter": ('<!DOCTYPE item [<!ENTITY %% p "<!ENTITY e \'%s\'>">%%p;]>' % doubled.replace("'", "&#38;#39;"), "&e;"), "unused quotes": ("<!DOCTYPE item [<!ENTITY e '%s'>]>" % doubled, "&e;"),
    }[kind]
    s.encodings.append("entities, " + kind)


def encoding(r, s):
    label, s.codec, s.mark = r.choice([("utf-16", "utf-16-le", codecs.BOM_UTF16_LE), ("utf-16", "utf-16-be", codecs.BOM_UTF16_BE), ("utf-16le", "utf-16-le", b""), ("utf-16be", "utf-16-be", b""), ("ibm037", "cp037", b""), ("cp037", "cp037", b""), ("ibm500", "cp500", b""), ("utf-7", "utf-7", b""), ("iso-8859-1", "latin-1", b""), ("utf-32", "utf-32-be", codecs.BOM_UTF32_BE),
                                         ("ebcdic-cp-us", "cp037", b""), ("shift_jis", "shift_jis", b""), ("us-ascii", "ascii", b""), ("utf-8", "utf-8", codecs.BOM_UTF8), ("cp1140", "cp1140", b""), ("cp273", "cp273", b"")])
    where = r.choice(["declared", "declared", "header", "both", "neither"])
    if where in ("declared", "both"):
        s.declaration = f'<?xml version="1.0" encoding="{label}"?>'
    if where in ("header", "both"):
        s.types = [kind + b"; charset=" + label.encode() for kind in s.types]
    s.encodings.append(f"{s.codec}, {where}")


def shape(r, s):
    s.template = r.choice(["<item name='%s'/>", '<item xmlns:x="urn:x" x:name="%s"/>', "<x:item xmlns:x='urn:x'><x:name>%s</x:name></x:item>", "<item>%s</item>", "<item><name>%s", "<item><name>%s</nam></item>", "<item><name  a = 'b'\n>%s</name\n></item>", "<a>" * 60 + "%s" + "</a>" * 60,
                           "<item><!-- > --><name>%s</name></item>", "<item a='>'>%s</item>", "<item><![CDATA[<name>]]>%s</item>", "<soap:Envelope xmlns:soap='http://schemas.xmlsoap.org/soap/envelope/'><soap:Body><m>%s</m></soap:Body></soap:Envelope>", "<item><name a=b>%s</name></item>", "<item><name/>%s</item><item/>",
                           "<methodCall><methodName>m</methodName><params><param><value><string>%s</string></value></param></params></methodCall>"]).replace("'%s'", '"%s"')


def around(r, s):
    s.before, s.after = r.choice([("\n", ""), (" ", ""), ("", "garbage"), ("garbage", ""), ("<!-- x -->", ""), ("<?x y?>", ""), ("", "<!-- x -->"), ("", "\0"), ("\ufeff", "")])
    if s.before.strip():
        s.declaration = ""


def types(r, s):
    s.types = r.choice([[b"text/xml"], [b"text/plain"], [], [b"application/soap+xml"], [b"application/json"], [b"application/x-www-form-urlencoded"], [b"image/svg+xml"], [b"application/octet-stream"], [b"TEXT/XML; charset=us-ascii"], [b"multipart/form-data; boundary=x"], [b"application/rss+xml"], [b"image/png"], [b"application/pdf"], [b"text/html"]])


MUTATIONS = [("references", references), ("references", references), ("entities", entities), ("entities", entities), ("encoding", encoding), ("encoding", encoding), ("shape", shape), ("around", around), ("type", types),
             ("no declaration", lambda r, s: setattr(s, "declaration", r.choice(["", "<?xml version='1.1'?>", "<?xml version='1.0' standalone='yes' ?>"])))]


def carry(r, value, mutations):
    state = State(r, value)
    names = apply(r, state, MUTATIONS, mutations)
    text = state.before + state.declaration + state.dtd + state.template.replace("%s", state.text) + state.after
    return Made([("Content-Type", kind) for kind in state.types], state.mark + text.encode(state.codec, "xmlcharrefreplace"), techniques=names, encodings=state.encodings)
