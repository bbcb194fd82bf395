"""Programs that are told of events, each in a way of its own. `/seen` says of what."""
import json

SEEN = []


async def _answer(send, status, value):
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps(value).encode()})


async def http_app(scope, receive, send):
    assert scope["type"] in ("http", "lifespan")
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan")
    if scope["path"] == "/seen":
        await _answer(send, 200, SEEN)
        return
    body = b""
    while True:
        message = await receive()
        body += message["body"]
        if not message["more_body"]:
            break
    SEEN.append(["http", scope["path"], json.loads(body)])
    await _answer(send, 201, "made")


async def scope_app(scope, receive, send):
    if scope["type"] != "aleph.message":
        await http_app(scope, receive, send)
        return
    event = await receive()
    SEEN.append([event["type"], json.loads(event["body"]), scope["body"] == event["body"]])
    if "fail" in json.loads(event["body"]):
        raise RuntimeError("not taken")
    await send({"result": "Good"})


async def blind_app(scope, receive, send):
    """Takes everything for HTTP."""
    if scope["type"] == "lifespan":
        return
    if scope.get("path") == "/seen":
        await _answer(send, 200, SEEN)
        return
    await _answer(send, 200, "page")
    SEEN.append(scope["type"])


class Handler:
    def __init__(self, filters, handler):
        self.filters = filters
        self.handler = handler


class AlephApp:
    """As the reference system's SDK has it: the handler's coroutine is returned, and not waited for."""

    def __init__(self, http_app=None):
        self.http_app = http_app
        self.event_handlers = []

    def event(self, filters):
        def inner(function):
            self.event_handlers.append(Handler(filters, function))
            return function

        return inner

    async def __call__(self, scope, receive=None, send=None):
        if scope["type"] in ("http", "websocket", "lifespan"):
            await self.http_app(scope=scope, receive=receive, send=send)
            return None
        for each in self.event_handlers:

            async def send_handler_result():
                await send(await each.handler(event=scope))

            return send_handler_result()


sdk_app = AlephApp(http_app)
sdk_app_without = AlephApp(http_app)


@sdk_app.event(filters=[{"channel": "TEST"}])
async def on_event(event):
    SEEN.append([event["type"], json.loads(event["body"])])
    if "fail" in json.loads(event["body"]):
        raise RuntimeError("not taken")
    return {"result": "Good"}
