"""A mail server for the tests of alerts, on PyPI aiosmtpd: server.py MODE CERTIFICATE KEY

MODE: plain (no TLS), starttls (TLS and a login are required), implicit (TLS from the first byte on), refuse (no recipient is
known), hang (no answer to a message). It prints its port, then each message as a line of JSON, and ends with its input."""
import asyncio
import json
import ssl
import sys

from aiosmtpd.smtp import SMTP, AuthResult

MODE, CERTIFICATE, KEY = sys.argv[1:]


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        if MODE == "refuse":
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if MODE == "hang":
            await asyncio.sleep(3600)
        text = envelope.content.decode()
        secure = session.ssl is not None or MODE == "implicit"
        message = {"from": envelope.mail_from, "to": envelope.rcpt_tos, "text": text, "secure": secure}
        print(json.dumps(message | {"login": bool(session.authenticated)}), flush=True)
        return "250 OK"


def login(server, session, envelope, mechanism, data):
    return AuthResult(success=(data.login, data.password) == (b"weir", b"s3cret-password"), handled=False)


async def main():
    loop = asyncio.get_running_loop()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE, KEY)
    options = {"loop": loop, "hostname": "mail.example"}
    if MODE == "starttls":
        options |= {"tls_context": context, "require_starttls": True, "authenticator": login, "auth_required": True}
    accepts = context if MODE == "implicit" else None
    server = await loop.create_server(lambda: SMTP(Handler(), **options), "127.0.0.1", 0, ssl=accepts)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
