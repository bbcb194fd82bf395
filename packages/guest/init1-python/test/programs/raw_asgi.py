"""An ASGI program by hand: every behaviour of a server that a program can see."""
import asyncio
import gzip
import json
import os
import sys

EVENTS = []
RELEASE = asyncio.Event()
RUNNING = asyncio.get_running_loop()  # a program may use the loop while it is imported

print("imported")


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        return await lifespan(receive, send)
    if scope["type"] == "websocket":
        return await websocket(receive, send)
    await HANDLERS.get(scope["path"], not_found)(scope, receive, send)


async def lifespan(receive, send):
    EVENTS.append((await receive())["type"])
    await send({"type": "lifespan.startup.complete"})
    EVENTS.append((await receive())["type"])
    print("cleaned up")
    await send({"type": "lifespan.shutdown.complete"})


async def websocket(receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        await send({"type": "websocket.send", "text": "echo " + message["text"]})


async def reply(send, body, status=200, headers=()):
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


async def not_found(scope, receive, send):
    await reply(send, b"no such page", 404, [(b"x-mine", b"yes"), (b"content-type", b"text/plain")])


async def read_body(receive):
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return bytes(body)


async def describe(scope, receive, send):
    seen = {key: value for key, value in scope.items() if key in ("type", "http_version", "scheme", "path", "root_path")}
    seen["query_string_is_bytes"] = isinstance(scope["query_string"], bytes)
    seen["query_string"] = scope["query_string"].decode()
    seen["raw_path"] = scope["raw_path"].decode()
    seen["headers"] = [[name.decode(), value.decode("latin-1")] for name, value in scope["headers"]]
    seen["same_loop"] = asyncio.get_running_loop() is RUNNING
    await reply(send, json.dumps(seen).encode())


async def events(scope, receive, send):
    await reply(send, json.dumps(EVENTS).encode())


async def echo(scope, receive, send):
    await reply(send, await read_body(receive))


async def zipped(scope, receive, send):
    await reply(send, gzip.compress(b"unpacked", mtime=0), headers=[(b"content-encoding", b"gzip")])


async def redirect(scope, receive, send):
    await reply(send, b"", 302, [(b"location", b"/elsewhere")])


async def big(scope, receive, send):
    await reply(send, bytes(range(256)) * 20480)


async def stream(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"first", "more_body": True})
    await RELEASE.wait()
    await send({"type": "http.response.body", "body": b"second"})


async def release(scope, receive, send):
    RELEASE.set()
    await reply(send, b"released")


async def raising(scope, receive, send):
    raise ZeroDivisionError("deliberate")


async def exiting(scope, receive, send):
    sys.exit(3)


async def asserting(scope, receive, send):
    assert False, "asserts are on"


async def task_exit(scope, receive, send):
    asyncio.get_running_loop().call_later(0, sys.exit, 7)
    await reply(send, b"going")


async def timers(scope, receive, send):
    loop = asyncio.get_running_loop()
    due = [each.when() - loop.time() for each in loop._scheduled if not each.cancelled()]
    await reply(send, json.dumps(due).encode())


async def environ(scope, receive, send):
    await reply(send, json.dumps({"env": dict(os.environ), "path": sys.path, "cwd": os.getcwd()}).encode())


HANDLERS = {
    "/describe path": describe,
    "/events": events,
    "/echo": echo,
    "/zipped": zipped,
    "/redirect": redirect,
    "/big": big,
    "/stream": stream,
    "/release": release,
    "/raise": raising,
    "/exit": exiting,
    "/assert": asserting,
    "/task-exit": task_exit,
    "/timers": timers,
    "/environ": environ,
}
