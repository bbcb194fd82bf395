"""Serves an ASGI program with uvicorn, without uvicorn's clock: an idle program wakes for nothing."""
import asyncio
import os
import sys

from vmlet_init1 import events, logs
from vmlet_init1.failures import Failure
from vmlet_init1.interface import ASGI, as_asgi3
from vmlet_init1.lifespan import Lifespan
from vmlet_init1.listener import BACKLOG, bind, bind_failure
from vmlet_init1.snapshot import AFTER, ANSWER, BEFORE, hook_failed, in_thread

# The host owns the connections: the guest never closes an idle one, or a request could meet its end half-way.
_KEEP_ALIVE_SECONDS = 365 * 86400
_HEADER_BYTES = 256 * 1024


async def serve(app, port, preloaded, control, snapshot):
    """Serves `app` at `port` until `halt`. Sends `loaded` when it listens. Raises Failure of phase "load" or "halt"."""
    logs.send_to_stderr("uvicorn", os.path.dirname(preloaded.uvicorn.__file__), 20)
    halt = asyncio.get_running_loop().create_future()
    orders = _Orders(control, snapshot, halt)
    sock = bind(port)
    try:
        app = as_asgi3(app)
        lifespan = Lifespan(app)
        starting = asyncio.ensure_future(lifespan.startup())
        await asyncio.wait({starting, halt}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            return  # halted while the program was still starting: it has nothing to shut down
        starting.result()
        with preloaded:
            server = _make_server(_application(app, lifespan.state, snapshot), preloaded)
        try:
            await server.startup(sockets=[sock])
        except OSError as error:
            raise bind_failure(sock.getsockname()[1], error) from error
        server_name = "uvicorn %s" % preloaded.uvicorn.__version__
        orders.port = sock.getsockname()[1]
        control.send({"type": "loaded", "port": orders.port, "interface": ASGI, "server": server_name})
        frame = await halt
        await _drain(server, frame.get("graceMs", 0) / 2000)
        await lifespan.shutdown()
    finally:
        asyncio.get_running_loop().remove_reader(control.fileno())
        sock.close()


class _Orders:
    """Does what init0 asks for while the program runs. Completes `halt` with the frame of that type."""

    def __init__(self, control, snapshot, halt):
        self._control = control
        self._snapshot = snapshot
        self._halt = halt
        self._task = None
        self.port = None
        asyncio.get_running_loop().add_reader(control.fileno(), self._on_readable)
        self._on_readable()  # what came together with `load` waits in `control`, not in the socket

    def _on_readable(self):
        for frame in self._control.poll():
            if frame["type"] == "halt" and not self._halt.done():
                self._halt.set_result(frame)
            elif frame["type"] == "prepare":
                self._task = asyncio.ensure_future(self._prepare())
            elif frame["type"] == "resume":
                self._task = asyncio.ensure_future(self._resume(frame))
        if self._control.ended:
            asyncio.get_running_loop().remove_reader(self._control.fileno())

    async def _prepare(self):
        try:
            await self._hook(BEFORE)
            await self._prime()
        except Failure as failure:
            self._snapshot.failed(failure)
        else:
            self._snapshot.prepared()

    async def _resume(self, frame):
        self._snapshot.resume(frame)
        try:
            await self._hook(AFTER)
        except Failure as failure:
            self._snapshot.failed(failure)
        else:
            self._snapshot.resumed()

    async def _hook(self, name):
        returned = self._snapshot.hook(name)
        if not hasattr(returned, "__await__"):
            return
        try:
            await returned
        except BaseException as error:
            raise hook_failed(name, error) from error

    async def _prime(self):
        loop = asyncio.get_running_loop()
        primed = loop.create_future()
        in_thread(
            lambda: self._snapshot.prime(self.port), lambda error: loop.call_soon_threadsafe(primed.set_result, error)
        )
        error = await primed
        if error is not None:  # a snapshot that is less warm, not a wrong one
            print("vmlet: %s" % error, file=sys.stderr)


def _application(app, state, snapshot):
    """What uvicorn calls. A coroutine function of three, so that uvicorn never tries whether it is a factory."""
    told = events.Events(app)

    async def application(scope, receive, send):
        if snapshot.token is not None and scope["type"] == "http" and _is_prime(scope, snapshot):
            await receive()
            headers = [(b"content-type", b"text/plain"), (b"content-length", b"%d" % len(ANSWER))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": ANSWER})
            return
        if state:
            scope["state"] = state.copy()
        kind = events.kind_of(scope) if scope["type"] == "http" else None
        if kind is None:
            await app(scope, receive, send)
        else:
            await told.tell(kind, scope, receive, send)

    return application


def _is_prime(scope, snapshot):
    headers = dict(scope["headers"])
    return snapshot.wants(scope["path"], lambda name: headers.get(name.encode(), b"").decode("latin-1"))


def _make_server(application, preloaded):
    """Returns a uvicorn server that is yet to be started. Its main loop, which ticks, is never run."""
    uvicorn = preloaded.uvicorn
    settings = {
        "loop": "none",
        "http": _protocol_class(preloaded.protocol),
        "ws": _websocket_class(bool(preloaded.forgotten)),
        "ws_ping_interval": None,
        "ws_ping_timeout": None,
        "lifespan": "off",
        "interface": "asgi3",
        "log_config": None,
        "access_log": False,
        "workers": 1,
        # A program's headers are its own: no `server`, and `date` is the host's to add, which has the right time.
        "server_header": False,
        "date_header": False,
        "proxy_headers": False,
        "forwarded_allow_ips": "",
        "backlog": BACKLOG,
        "timeout_keep_alive": _KEEP_ALIVE_SECONDS,
    }
    # uvicorn 0.13, of Debian 11, has not all of them.
    known = uvicorn.Config.__init__.__code__.co_varnames
    config = uvicorn.Config(application, **{name: settings[name] for name in settings if name in known})
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    server.server_state.connections = _Connections()
    return server


def _protocol_class(base):
    h11 = getattr(sys.modules[base.__module__], "h11", None)

    class Protocol(base):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            if h11 is not None:  # 16 KiB of headers is its default, and uvicorn 0.17 has no setting for it
                self.conn = h11.Connection(h11.SERVER, _HEADER_BYTES)

        def connection_lost(self, exc):
            super().connection_lost(exc)
            self._unset_keepalive_if_required()  # or the timer of a year would hold the connection's memory

    return Protocol


def _websocket_class(at_once):
    """What uvicorn calls for a WebSocket: imported at the first one, because most programs never have any.

    `at_once` imports it now, while imports still find the server's own modules.
    """
    from importlib.util import find_spec

    if find_spec("websockets") is None and find_spec("wsproto") is None:
        return None

    if at_once:
        from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

        return AutoWebSocketsProtocol

    def websocket(**kwargs):
        from uvicorn.protocols.websockets.auto import AutoWebSocketsProtocol

        return AutoWebSocketsProtocol(**kwargs)

    return websocket


class _Connections(set):
    """The open connections, which tell when the last one goes; uvicorn itself would look every 0.1 s."""

    def __init__(self):
        super().__init__()
        self.emptied = asyncio.Event()

    def discard(self, connection):
        super().discard(connection)
        if not self:
            self.emptied.set()


async def _drain(server, seconds):
    """Closes idle connections, lets requests end for `seconds`, then cancels them, so that lifespan gets its turn."""
    for each in server.servers:
        each.close()
    connections, tasks = server.server_state.connections, server.server_state.tasks
    for connection in list(connections):
        connection.shutdown()
    if connections:
        connections.emptied.clear()
        try:
            await asyncio.wait_for(connections.emptied.wait(), seconds)
        except asyncio.TimeoutError:
            print("vmlet: ending %d connections that did not end by themselves" % len(connections), file=sys.stderr)
    pending = set(tasks)
    if pending:
        _, pending = await asyncio.wait(pending, timeout=0 if connections else seconds)
    for task in pending:
        task.cancel()
    if pending:
        await asyncio.wait(pending, timeout=seconds / 4)


def run(loop, coroutine):
    """Runs `coroutine` to its end on `loop`. Raises Failure PROGRAM_EXITED when a task of it exits."""
    try:
        return loop.run_until_complete(coroutine)
    except SystemExit as error:
        from vmlet_init1.failures import traceback_of

        state = "a task of the program ended itself with %r, expected it to run until halt" % error.code
        raise Failure("PROGRAM_EXITED", "Cannot serve program: %s" % state, traceback_of(error), "serve") from error


def close(loop):
    """Ends what still runs on `loop`, as asyncio.run does."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
    asyncio.set_event_loop(None)
    loop.close()
