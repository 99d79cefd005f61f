"""Applications on WSGI frameworks. Arguments: framework, port."""

import sys

from answer import attempt, documents, line, lines


def flask_app(port):
    import flask
    import lxml.etree
    app = flask.Flask("ground")

    @app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT"])
    @app.route("/<path:path>", methods=["GET", "POST", "PUT"])
    def every(path):
        r = flask.request
        # Forms are then read from the same bytes.
        body = r.get_data(cache=True, parse_form_data=False)
        out = line("path", path) + lines("query", (v for _, v in r.args.items(multi=True))) + lines("cookie", r.cookies.values())
        out += attempt(lambda: lines("field", (v for _, v in r.form.items(multi=True))) + lines("file name", (f.filename for _, f in r.files.items(multi=True))))
        return out + documents(body, read_json=flask.json.loads, read_xml=lxml.etree.fromstring), {"Content-Type": "text/plain"}

    app.run("127.0.0.1", port, threaded=False)


def django_app(port):
    import django
    from django.conf import settings
    from django.core.wsgi import get_wsgi_application
    from django.http import HttpResponse
    from django.urls import re_path
    settings.configure(DEBUG=False, SECRET_KEY="ground", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, MIDDLEWARE=[], LOGGING_CONFIG=None)
    django.setup()

    def every(request):
        body = request.body
        out = line("path", request.path) + lines("query", (v for _, values in request.GET.lists() for v in values)) + lines("cookie", request.COOKIES.values())
        out += attempt(lambda: lines("field", (v for _, values in request.POST.lists() for v in values)))
        out += attempt(lambda: lines("file name", (f.name for _, files in request.FILES.lists() for f in files)))
        return HttpResponse(out + documents(body), content_type="text/plain")
    globals()["urlpatterns"] = [re_path("", every)]
    serve(get_wsgi_application(), port)


def bottle_app(port):
    import bottle
    app = bottle.Bottle()

    @app.route("<path:path>", method=["GET", "POST", "PUT"])
    def every(path):
        r = bottle.request
        body = r.body.read()
        r.body.seek(0)
        out = line("path", path) + lines("query", (v for _, v in r.query.allitems())) + lines("cookie", r.cookies.values())
        out += attempt(lambda: lines("field", (v for _, v in r.forms.decode().allitems())) + lines("file name", (n for f in r.files.values() for n in (f.raw_filename, f.filename))))
        bottle.response.content_type = "text/plain"
        return out + documents(body)
    serve(app, port)


def webob_app(port):
    import webob
    import webob.dec

    @webob.dec.wsgify
    def every(r):
        out = line("path", r.path_info) + attempt(lambda: lines("query", r.GET.values())) + attempt(lambda: lines("cookie", r.cookies.values()))
        fields = attempt(lambda: list(r.POST.values()))
        out += lines("field", (v for v in fields if isinstance(v, str))) + lines("file name", (v.filename for v in fields if not isinstance(v, str)))
        return webob.Response(out + documents(r.body), content_type="text/plain")
    serve(every, port)


def cherrypy_app(port):
    import cherrypy

    class Root:
        @cherrypy.expose
        def default(self, *path, **params):
            values = [v for value in params.values() for v in (value if isinstance(value, list) else [value])]
            out = lines("path", path) + lines("field", (v for v in values if isinstance(v, str))) + lines("cookie", (c.value for c in cherrypy.request.cookie.values()))
            out += lines("file name", (v.filename for v in values if getattr(v, "filename", None)))
            cherrypy.response.headers["Content-Type"] = "text/plain"
            return out.encode()

        index = default
    cherrypy.config.update({"server.socket_host": "127.0.0.1", "server.socket_port": port, "engine.autoreload.on": False, "log.screen": False, "server.thread_pool": 2})
    cherrypy.quickstart(Root())


def falcon_app(port):
    import falcon
    app = falcon.App(cors_enable=False)
    app.req_options.auto_parse_form_urlencoded = False

    def every(req, resp):
        out = line("path", req.path) + lines("query", (v for value in req.params.values() for v in (value if isinstance(value, list) else [value]))) + lines("cookie", req.cookies.values())
        # The media handler is chosen by the declared type.
        def media():
            found = req.get_media()
            if not isinstance(found, falcon.media.multipart.MultipartForm):
                return lines("field", (v for value in found.values() for v in (value if isinstance(value, list) else [value])))
            text = ""
            for part in found:
                text += line("file name", part.filename) if part.filename else line("field", part.get_text())
            return text
        resp.content_type, resp.text = "text/plain", out + attempt(media)
    app.add_sink(every, "/")
    serve(app, port)


def serve(app, port):
    import waitress
    waitress.serve(app, host="127.0.0.1", port=port, threads=2)


if __name__ == "__main__":
    globals()[sys.argv[1] + "_app"](int(sys.argv[2]))
