"""The smallest program: an ASGI application without a framework."""
import os
import sys


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("Cannot serve %s: expected http" % scope["type"])
    name = scope["path"].strip("/") or "world"
    version = ".".join(map(str, sys.version_info[:3]))
    body = "Hello, %s! This is Python %s in a machine of its own (%s)\n" % (name, version, os.uname().nodename[:8])
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body.encode()})
