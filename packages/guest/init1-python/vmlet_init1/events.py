"""Events that the platform tells an ASGI program of: in the scope of the reference system, or as the request they came in."""
import sys

_HEADER = b"x-vmlet-event"
_KINDS = {b"aleph.message": "aleph.message"}


def kind_of(scope):
    """The kind of event that a request carries, or None. No visitor's does: the host takes the header out."""
    for name, value in scope["headers"]:
        if name == _HEADER:
            return _KINDS.get(value)
    return None


class Events:
    """One program's way with events: which of the two it is, is found out once.

    A program with event handlers (the SDK's `@app.event`) has them called, and what one raises is raised. Any other is
    called with the event's scope. If it raises before it has received anything, it knows no such scope: then, and from
    then on, it gets the request itself.
    """

    def __init__(self, app):
        self._app = app
        self._by_scope = None

    async def tell(self, kind, scope, receive, send):
        """Answers the request that carries the event: 204 when the program has handled it. Raises what it raised."""
        body = await _whole_body(receive)
        handlers = _handlers_of(self._app)
        if handlers is not None:
            self._by_scope = bool(handlers)
        if self._by_scope is not False and await self._handled(kind, body, scope):
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        await self._app(scope, _again(body, receive), send)

    async def _handled(self, kind, body, scope):
        text = body.decode("utf-8")
        received = False

        async def receive_event():
            nonlocal received
            received = True
            return {"type": kind, "body": text, "more_body": False}

        async def send_result(result):
            # A program that looks at no type has taken the event for a request, which it will get.
            if isinstance(result, dict) and str(result.get("type", "")).startswith("http."):
                raise _NoEvent('"%s" sent, expected a result' % result["type"])

        event = {"type": kind, "asgi": scope["asgi"], "body": text}
        if "state" in scope:
            event["state"] = scope["state"]
        try:
            returned = self._app(event, receive_event, send_result)
            # The SDK's AlephApp returns the coroutine of its handler, and leaves it to others to wait for it.
            while hasattr(returned, "__await__"):
                returned = await returned
        except Exception as error:
            if self._by_scope or (received and not isinstance(error, _NoEvent)):
                raise
            text = "vmlet: the scope %s raised %s: %s; events come as HTTP requests" % (kind, type(error).__name__, error)
            print(text, file=sys.stderr)
            self._by_scope = False
            return False
        self._by_scope = True
        return True


class _NoEvent(Exception):
    pass


def _handlers_of(app):
    """The event handlers of an application of the SDK, or None for any other."""
    handlers = getattr(app, "__dict__", {}).get("event_handlers")
    if not isinstance(handlers, list) or not all(hasattr(each, "filters") for each in handlers):
        return None
    return handlers


async def _whole_body(receive):
    chunks = []
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ConnectionError("Cannot read an event: its sender is gone")
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


def _again(body, receive):
    """A `receive` that gives a body that was read already, and goes on with the real one."""
    bodies = [body]

    async def receive_again():
        if bodies:
            return {"type": "http.request", "body": bodies.pop(), "more_body": False}
        return await receive()

    return receive_again
