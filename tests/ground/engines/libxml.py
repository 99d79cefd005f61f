"""libxml2, by lxml, with entities, external documents and inclusions allowed."""

import http.server
import pathlib
import threading

from lxml import etree

MARKS = ("SECRETk7", "root:x:0", "Debian GNU/Linux")
# A document that grows beyond this has been made to grow.
GROWN = 50_000


class Engine:
    def __init__(self, _target):
        pathlib.Path("/scratch/secret.txt").write_text("SECRETk7")
        self.connections = connections = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                connections.append(self.path)
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"<!ENTITY y 'y'>")

            def log_message(self, *_):
                pass

        self.server = http.server.HTTPServer(("127.0.0.1", 8125), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def effect(self, case):
        self.connections.clear()
        parser = etree.XMLParser(resolve_entities=True, load_dtd=True, no_network=False, dtd_validation=False, huge_tree=False)
        shown = ""
        try:
            tree = etree.fromstring(case["value"].encode(), parser)
            tree.getroottree().xinclude()
            shown = "".join(tree.itertext())
        except (etree.LxmlError, ValueError) as problem:
            if "amplification" in str(problem) or "entity reference loop" in str(problem):
                return "grows without bound"
        if self.connections:
            return "connection"
        if any(mark in shown for mark in MARKS):
            return "file shown"
        return "grows without bound" if len(shown) > GROWN else None

    def close(self):
        self.server.shutdown()
