"""Applications on Python frameworks with servers of their own. Arguments: framework, port."""

import sys

from answer import attempt, documents, line, lines


async def attempt_async(read):
    """What `read` returns, or nothing if the framework refuses the request."""
    try:
        return await read()
    except Exception:  # A framework answers 400 here, whatever its parser raises.
        return ""


def fastapi_app(port):
    import fastapi
    import uvicorn
    from fastapi.responses import PlainTextResponse
    app = fastapi.FastAPI()

    @app.api_route("/{path:path}", methods=["GET", "POST", "PUT"])
    async def every(path: str, r: fastapi.Request):
        body = await r.body()

        async def form():
            async with r.form() as values:
                values = list(values.values())
                return lines("field", (v for v in values if isinstance(v, str))) + lines("file name", (v.filename for v in values if not isinstance(v, str)))
        out = line("path", path) + lines("query", r.query_params.values()) + lines("cookie", r.cookies.values())
        return PlainTextResponse(out + await attempt_async(form) + documents(body))
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="critical")


def aiohttp_app(port):
    from aiohttp import web

    async def every(r):
        out = line("path", r.path) + lines("query", r.query.values()) + lines("cookie", r.cookies.values())

        async def form():
            values = list((await r.post()).values())
            return lines("field", (v for v in values if isinstance(v, (str, bytes)))) + lines("file name", (v.filename for v in values if isinstance(v, web.FileField)))

        async def parts():
            """As applications read parts that they stream: with the transfer encoding undone."""
            text, reader = "", await r.multipart()
            async for part in reader:
                text += line("file name", part.filename) if part.filename else line("field", await part.text())
            return text
        if r.path.endswith("stream"):
            return web.Response(text=out + await attempt_async(parts))
        body = attempt(lambda: None) if r.content_type.startswith("multipart/") else await r.read()
        return web.Response(text=out + await attempt_async(form) + documents(body or b""))
    app = web.Application(client_max_size=1 << 22)
    app.router.add_route("*", "/{path:.*}", every)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def tornado_app(port):
    import asyncio

    import tornado.web

    class Every(tornado.web.RequestHandler):
        def get(self):
            r = self.request
            out = line("path", r.path) + lines("query", (v for values in r.query_arguments.values() for v in values)) + lines("cookie", (c.value for c in r.cookies.values()))
            out += lines("field", (v for values in r.body_arguments.values() for v in values)) + lines("file name", (f.filename for files in r.files.values() for f in files))
            self.set_header("Content-Type", "text/plain")
            self.write(out + documents(r.body))
        post = put = get

    async def main():
        tornado.web.Application([(".*", Every)], log_function=lambda _: None).listen(port, "127.0.0.1", decompress_request=True)
        await asyncio.Event().wait()
    asyncio.run(main())


def sanic_app(port):
    import sanic
    app = sanic.Sanic("ground", configure_logging=False)

    async def every(r, path=""):
        def form():
            return lines("field", (v for values in r.form.values() for v in values)) + lines("file name", (f.name for files in r.files.values() for f in files))
        out = line("path", path) + lines("query", (v for values in r.args.values() for v in values)) + attempt(lambda: lines("cookie", (v for values in r.cookies.values() for v in ([values] if isinstance(values, str) else values))))
        return sanic.response.text(out + attempt(form) + documents(r.body))
    app.add_route(every, "/<path:path>", methods=["GET", "POST", "PUT"])
    app.run("127.0.0.1", port, single_process=True, access_log=False, motd=False)


if __name__ == "__main__":
    globals()[sys.argv[1] + "_app"](int(sys.argv[2]))
