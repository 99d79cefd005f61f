"""Path traversal: context x technique x separator x encoding. The application opens a file below a folder of its own."""

from ground.case import Case

FILES = ["etc/passwd", "etc/os-release", "etc/hostname_k7", "scratch/secret/key.pem", "scratch/secret/config.ini", "proc/self/environ", "scratch/secret/app.py", "etc/group", "scratch/secret/.env", "proc/self/cmdline", "scratch/secret/id_rsa"]
CONTEXTS = ["open", "open with suffix", "static alias", "include", "decoding open"]


def climb(r, depth):
    step = r.choice(["../", "../", "../", "..//", ".././", "./../", "../x/../", "..///", "%2e%2e/", "%2e%2e%2f", "..%2f", "%252e%252e%252f"])
    return step * depth


def attacks(r, target, count):
    for _ in range(count):
        context = r.choice(CONTEXTS)
        file = r.choice(FILES)
        technique = r.choice(["climb", "climb", "absolute", "climb behind a folder", "file scheme", "one step"])
        if technique == "absolute":
            # The absolute path of a file of the application is what its users send too.
            file = r.choice([name for name in FILES if not name.startswith("scratch")])
            value = r.choice(["/", "//", "/./", "/../", "/../../", "/etc/../"]) + file
        elif technique == "file scheme":
            value = r.choice(["file:///", "php://filter/convert.base64-encode/resource=/", "php://filter/read=string.rot13/resource=/", "file://localhost/", "data://text/plain,<?php system('id');?>", "data:text/plain;base64,PD9waHAgc3lzdGVtKCdpZCcpOz8+", "compress.zlib:///", "php://filter/zlib.deflate|convert.base64-encode/resource=/", "glob:///"])
            value = value if value.startswith("data") else value + file
        elif technique == "one step":
            value = r.choice(["../", "..%2f", ".././", "sub/../../", "./../"]) + r.choice(["secret/key.pem", "secret/config.ini", "secret/app.py", "secret/.env", "secret/id_rsa"])
        else:
            lead = r.choice(["sub/", "sub/x/../", "./", "a.txt/", "img/"]) if technique == "climb behind a folder" else ""
            value = lead + climb(r, r.randint(2, 9)) + file
        end = r.choice(["", "", "", "\0", "\0.txt", "%00", "?", "#", "/", "/."])
        if context != "open with suffix" and end and r.random() < 0.7:
            end = ""
        yield Case("ptrav", target, context, technique, "encoded" if "%" in value else "none", value + end)


NAMES = ["a.txt", "report.pdf", "2024/05/summary.txt", "img/logo.png", "My Documents/letter.txt", "v1.2.3", "notes..txt", "wait...", "a/b/c", "./a.txt", "index.html", "etc", "passwd", "etc/x", "file.tar.gz", "..hidden", "dir/.keep", "C:\\x", "@scope/package", "1..10", "a...b", "sub/./a.txt", "sub/../a.txt"]


def benign(r, target, count):
    for _ in range(count):
        yield Case("ptrav", target, r.choice(CONTEXTS[:3]), "file name", "none", r.choice(NAMES) + r.choice(["", "", "?x=1", " (1)", ".bak", "-2"]), benign=True)
