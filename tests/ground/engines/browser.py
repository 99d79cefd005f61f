"""Chromium, without a display: each value is in a page of its own, in a frame of a page that runs them in batches.

A page has an effect if it calls a dialog or sends something to the address of the attacker, by itself or after the
events of a user, which are dispatched to each of its elements.
"""

import html
import http.server
import json
import pathlib
import re
import subprocess
import threading
import time

PORT = 8200
BATCH = 40
# A page may hang or end the browser; a new one goes on behind its batch.
MOST_BROWSERS = 12
PAGES = {
    "body": "<div>{}</div>", "double-quoted attribute": '<input name=n value="{}">', "single-quoted attribute": "<input name=n value='{}'>", "unquoted attribute": "<input name=n value={}>",
    "title": "<title>{}</title>", "textarea": "<textarea>{}</textarea>", "comment": "<!-- {} -->", "style": "<style>{}</style>", "script string": "<script>var x='{}';</script>",
    "script string, double": '<script>var x="{}";</script>', "script template": "<script>var x=`{}`;</script>", "handler string": "<button onclick=\"f('{}')\">x</button><script>f=function(){}</script>",
    "href": '<a href="{}">x</a>',
}
HEAD = """<!doctype html><html><head><meta charset=utf-8><script>
(function(){var hit=function(){new Image().src='/hit/%ID%'};alert=confirm=prompt=print=hit;document.cookie='k7=1';})();
</script></head><body>"""
RUNNER = """<!doctype html><meta charset=utf-8><body><script>
var EVENTS = ['pointerover','pointerenter','mouseover','mouseenter','mousemove','pointerdown','mousedown','focus','focusin','pointerup','mouseup','click','auxclick','dblclick','contextmenu','wheel','input','change','keydown','keyup','touchstart','mouseout','copy','paste','dragstart','toggle','submit','animationstart'];
function wait(ms){return new Promise(function(f){setTimeout(f,ms)})}
async function run(){
  for(;;){
    var ids = await (await fetch('/next')).json();
    if(!ids.length) break;
    for (const id of ids) {
      window.alert=window.confirm=window.prompt=window.print=function(){};
      var f = document.createElement('iframe'); f.src='/page/'+id; f.dataset.id=id; document.body.appendChild(f);
    }
    await wait(700);
    for (const f of document.querySelectorAll('iframe')) {
      try {
        var w=f.contentWindow; if(w.location.pathname.indexOf('/page/')!==0) continue;
        w.addEventListener('error', function(e){e.preventDefault()});
        for (const e of f.contentDocument.querySelectorAll('body, body *, svg *')) {
          if(e.tagName==='SCRIPT'||e.tagName==='IFRAME') continue;
          for (const name of EVENTS) { try { e.dispatchEvent(name==='click'? new w.MouseEvent('click',{bubbles:true,cancelable:true,view:w}) : new w.Event(name,{bubbles:true,cancelable:true})); } catch(x){} }
        }
      } catch(x){}
    }
    await wait(500);
    document.body.querySelectorAll('iframe').forEach(function(f){f.remove()});
  }
  await fetch('/done');
}
run();
</script>"""


class Engine:
    """Runs all cases at the first one that is asked for."""

    def __init__(self, _target):
        self.hits, self.results = set(), None

    def effect(self, case):
        if self.results is None:
            self.run_all()
        return "script ran" if case["id"] in self.hits else None

    def run_all(self):
        cases = {case["id"]: case for case in map(json.loads, pathlib.Path("/scratch/cases.jsonl").read_text().splitlines())}
        queue, done, hits = list(cases), threading.Event(), self.hits
        progress = [time.monotonic()]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                kind, _, rest = self.path.lstrip("/").partition("/")
                body, mime = b"", "text/html; charset=utf-8"
                if kind == "page" and rest in cases:
                    case = cases[rest]
                    body = (HEAD.replace("%ID%", rest) + PAGES[case["context"]].replace("{}", case["value"])).encode("utf-8", "surrogateescape")
                elif kind == "run":
                    body = RUNNER.encode()
                elif kind == "next":
                    progress[0] = time.monotonic()
                    batch, queue[:] = queue[:BATCH], queue[BATCH:]
                    body, mime = json.dumps(batch).encode(), "application/json"
                elif kind == "hit":
                    hits.add(rest)
                elif kind.startswith("collect"):
                    found = re.search(r"/page/(\w+)", self.headers.get("Referer", ""))
                    if found:
                        hits.add(found[1])
                elif kind == "attack.js":
                    body, mime = b"alert(1)", "text/javascript"
                elif kind == "done":
                    done.set()
                self.send_response(404 if kind in ("x", "x.css") else 200)
                self.send_header("Content-Type", mime)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Referrer-Policy", "unsafe-url")
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--user-data-dir=/scratch/profile", "--disable-popup-blocking", "--autoplay-policy=no-user-gesture-required", "--no-zygote"]
        self.results = True
        for _ in range(MOST_BROWSERS):
            if done.is_set():
                break
            browser = subprocess.Popen(["chromium", *flags, f"http://127.0.0.1:{PORT}/run"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            progress[0] = time.monotonic()
            while not done.wait(0.5) and time.monotonic() - progress[0] < 30 and browser.poll() is None:
                pass
            browser.kill()
            browser.wait()
        if not done.is_set() and queue:
            raise RuntimeError("the browser ended too often")

    def close(self):
        pass
