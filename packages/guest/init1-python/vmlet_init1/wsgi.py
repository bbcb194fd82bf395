"""Serves a WSGI program with waitress: a pool of threads behind one loop, which wakes for events only."""
import os
import sys

import waitress
from waitress import wasyncore

from vmlet_init1 import logs
from vmlet_init1.failures import Failure
from vmlet_init1.interface import WSGI
from vmlet_init1.listener import BACKLOG, bind, bind_failure
from vmlet_init1.snapshot import AFTER, ANSWER, BEFORE, in_thread
from vmlet_init1.wsgi_task import Channel

_THREADS = 16
_NEVER_SECONDS = 2**31
_BODY_BYTES = 2**40


def serve(app, port, control, snapshot):
    """Serves `app` at `port` until `halt`. Sends `loaded` when it listens. Raises Failure PORT_IN_USE, BIND_FAILED."""
    logs.send_to_stderr("waitress", os.path.dirname(waitress.__file__), "WARNING")
    logs.logging.getLogger("waitress.queue").setLevel("ERROR")
    sock = bind(port)
    port = sock.getsockname()[1]
    try:
        server = _create(_application(app, snapshot), sock)
    except OSError as error:
        raise bind_failure(port, error) from error
    watch = _Watch(control, server._map, (snapshot, port))
    control.send({"type": "loaded", "port": port, "interface": WSGI, "server": _server_name()})
    while not watch.halted:
        wasyncore.poll2(None, server._map)
    _drain(server)


def _application(app, snapshot):
    """What waitress calls: the program, but for the launcher's own requests."""

    def application(environ, start_response):
        if snapshot.token is not None and snapshot.wants(environ["PATH_INFO"], _headers_of(environ)):
            start_response("200 OK", [("content-type", "text/plain"), ("content-length", str(len(ANSWER)))])
            return [ANSWER]
        return app(environ, start_response)

    return application


def _headers_of(environ):
    return lambda name: environ.get("HTTP_" + name.upper().replace("-", "_"))


def _create(app, sock):
    server = waitress.create_server(
        app,
        sockets=[sock],
        threads=_THREADS,
        ident=None,
        backlog=BACKLOG,
        connection_limit=100000,
        # The host owns the connections and limits what comes in: the guest never closes an idle one.
        channel_timeout=_NEVER_SECONDS,
        cleanup_interval=_NEVER_SECONDS,
        max_request_header_size=262144,
        max_request_body_size=_BODY_BYTES,
        clear_untrusted_proxy_headers=False,
    )
    server.channel_class = Channel
    return server


class _Watch:
    """The control channel as a member of waitress' loop. `halted` turns true at `halt`."""

    accepting = False

    def __init__(self, control, members, frozen):
        self.halted = False
        self._control = control
        self._members = members
        self._snapshot, self._port = frozen
        members[control.fileno()] = self
        self.handle_read_event()  # what came together with `load` waits in `control`, not in the socket

    def readable(self):
        return True

    def writable(self):
        return False

    def handle_read_event(self):
        for frame in self._control.poll():
            if frame["type"] == "halt":
                self.halted = True
                self._members.pop(self._control.fileno(), None)
            elif frame["type"] == "prepare":
                self._run_hook(BEFORE, lambda: in_thread(lambda: self._snapshot.prime(self._port), self._primed))
            elif frame["type"] == "resume":
                self._snapshot.resume(frame)
                self._run_hook(AFTER, self._snapshot.resumed)

    def _run_hook(self, name, then):
        try:
            self._snapshot.hook(name)
        except Failure as failure:
            self._snapshot.failed(failure)
        else:
            then()

    def _primed(self, error):
        if error is not None:  # a snapshot that is less warm, not a wrong one
            print("vmlet: %s" % error, file=sys.stderr)
        self._snapshot.prepared()

    handle_close = handle_expt_event = handle_read_event

    def handle_error(self):
        raise


def _drain(server):
    """Takes no new connection and returns when no request is running and no answer unsent; init0 has the deadline."""
    server.del_channel()
    server.socket.close()
    while any(channel.requests or channel.total_outbufs_len for channel in list(server.active_channels.values())):
        wasyncore.poll2(None, server._map)
    sys.stdout.flush()


def _server_name():
    """Name and version; waitress states its version only in the folder beside it, and importlib.metadata is slow."""
    for entry in os.listdir(os.path.dirname(os.path.dirname(waitress.__file__))):
        if entry.startswith("waitress-"):
            return "waitress " + entry.split("-")[1].rsplit(".", 1)[0]
    return "waitress"
