"""Applications that open a file by a name from the request: by Python, by PHP's include, and a static folder of nginx."""

import pathlib
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

MARKS = ("SECRETk7", "root:x:0", "Debian GNU/Linux", "PATH=", "cm9vdDp4OjA", "ebbg:k:0", "U0VDUkVUazc", "FRPERGx7", "uid=", "/usr/bin/python3")
NGINX = """
daemon off; pid /scratch/nginx.pid; error_log /dev/null; worker_processes 1;
events {{ worker_connections 64; }}
http {{ access_log off; client_body_temp_path /tmp/b; proxy_temp_path /tmp/p; fastcgi_temp_path /tmp/f; uwsgi_temp_path /tmp/u; scgi_temp_path /tmp/s;
  server {{ listen 127.0.0.1:8123; location /static {{ alias /scratch/files/; }} }} }}
"""


class Engine:
    def __init__(self, _target):
        secret, files = pathlib.Path("/scratch/secret"), pathlib.Path("/scratch/files")
        (files / "sub/x").mkdir(parents=True)
        (files / "img").mkdir()
        secret.mkdir()
        (files / "a.txt").write_text("public")
        for name in ("key.pem", "config.ini", "app.py", ".env", "id_rsa"):
            (secret / name).write_text("SECRETk7")
            # The static folder lies beside the secret one.
        (files / "page.php").write_text("public")
        pathlib.Path("/scratch/include.php").write_text("<?php chdir('/scratch/files'); @include(json_decode($argv[1]));")
        pathlib.Path("/scratch/nginx.conf").write_text(NGINX.format())
        self.server = subprocess.Popen(["/usr/sbin/nginx", "-c", "/scratch/nginx.conf", "-p", "/scratch"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            try:
                urllib.request.urlopen("http://127.0.0.1:8123/static/a.txt", timeout=2)
                break
            except OSError:
                time.sleep(0.05)

    def effect(self, case):
        value = case["value"]
        shown = getattr(self, case["context"].replace(" ", "_"))(value)
        return "file shown" if any(mark in shown and mark not in value for mark in MARKS) else None

    @staticmethod
    def read(path):
        try:
            return pathlib.Path(path).read_bytes()[:5000].decode("latin-1")
        except (OSError, ValueError):
            return ""

    def open(self, value):
        return self.read("/scratch/files/" + value) or self.read(value if value.startswith("/") else "/nothing/x")

    def open_with_suffix(self, value):
        """As C does it: a NUL ends the name."""
        return self.read(("/scratch/files/" + value + ".txt").split("\0", 1)[0])

    def decoding_open(self, value):
        return self.read("/scratch/files/" + urllib.parse.unquote(urllib.parse.unquote(value)))

    def static_alias(self, value):
        import http.client
        try:
            connection = http.client.HTTPConnection("127.0.0.1", 8123, timeout=5)
            connection.putrequest("GET", "/static" + urllib.parse.quote(value, safe="/.%"), skip_host=False)
            connection.endheaders()
            return connection.getresponse().read(5000).decode("latin-1")
        except (OSError, http.client.HTTPException):
            return ""

    @staticmethod
    def include(value):
        import json
        done = subprocess.run(["php", "-d", "allow_url_include=1", "-d", "display_errors=0", "/scratch/include.php", json.dumps(value)], capture_output=True, timeout=10, check=False)
        return done.stdout[:5000].decode("latin-1")

    def close(self):
        self.server.terminate()
