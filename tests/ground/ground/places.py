"""Where a value travels in a request."""

import base64
import json
import urllib.parse

PATH = "/api/v1/items"


def quoted(text, safe=""):
    return urllib.parse.quote(text.encode("utf-8", "surrogateescape"), safe=safe)


def query(value):
    return "GET", f"{PATH}?page=2&name={quoted(value)}", [], b""


def form(value):
    return "POST", PATH, [("Content-Type", "application/x-www-form-urlencoded")], f"page=2&name={quoted(value)}".encode()


def json_string(value):
    return "POST", PATH, [("Content-Type", "application/json")], json.dumps({"page": 2, "item": {"name": value}}).encode()


def multipart(value):
    body = f'--b7\r\nContent-Disposition: form-data; name="name"\r\n\r\n{value}\r\n--b7--\r\n'
    return "POST", PATH, [("Content-Type", "multipart/form-data; boundary=b7")], body.encode("utf-8", "surrogateescape")


def header(name):
    def place(value):
        # A header cannot hold control bytes: an application that reads such a value decodes it first.
        if any(ord(letter) < 32 and letter != "\t" for letter in value) or value != value.strip():
            return None
        return "GET", PATH, [(name, value)], b""
    return place


def cookie(value):
    return "GET", PATH, [("Cookie", f"lang=en; name={quoted(value)}")], b""


def referer(value):
    return "GET", PATH, [("Referer", f"http://shop.test/search?q={quoted(value)}")], b""


def segment(value):
    return ("GET", f"{PATH}/{quoted(value)}/details", [], b"") if value.strip("./ ") else None


def parameter_name(value):
    return "GET", f"{PATH}?page=2&{quoted(value)}=1", [], b""


def xml_text(value):
    if any(ord(letter) < 32 and letter not in "\t\n\r" for letter in value):
        return None
    text = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("\r", "&#13;")
    return "POST", PATH, [("Content-Type", "application/xml")], f"<item><name>{text}</name></item>".encode("utf-8", "surrogateescape")


def xml_document(value):
    return "POST", PATH, [("Content-Type", "application/xml")], value.encode("utf-8", "surrogateescape")


PLACES = {
    "query": query, "form": form, "JSON": json_string, "multipart": multipart, "header": header("X-Item-Name"), "User-Agent": header("User-Agent"),
    "cookie": cookie, "Referer": referer, "path segment": segment, "parameter name": parameter_name, "XML": xml_text, "XML document": xml_document,
}


def request(place, value):
    """Method, path, headers and body of a request with `value`; None if it cannot be there."""
    return PLACES[place](value)


def record(identity, place, value, attack, source):
    """A line of a corpus, as `weir eval` reads it; None if the value cannot be at that place."""
    made = request(place, value)
    if made is None:
        return None
    method, path, headers, body = made
    headers = [("Host", "shop.test"), *headers]
    if body:
        headers.append(("Content-Length", str(len(body))))
    if all(name != "User-Agent" for name, _ in headers):
        headers.append(("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0"))
    return {"id": identity, "source": source, "class": attack, "method": method, "path": path, "headers": headers,
            "body_b64": base64.b64encode(body).decode()}
