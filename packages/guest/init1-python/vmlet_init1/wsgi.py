"""Serves a WSGI program with waitress: a pool of threads behind one loop, which wakes for events only."""
import os
import sys

import waitress
from waitress import wasyncore

from vmlet_init1 import logs
from vmlet_init1.interface import WSGI
from vmlet_init1.listener import BACKLOG, bind, bind_failure
from vmlet_init1.wsgi_task import Channel

_THREADS = 16
_NEVER_SECONDS = 2**31
_BODY_BYTES = 2**40


def serve(app, port, control):
    """Serves `app` at `port` until `halt`. Sends `loaded` when it listens. Raises Failure PORT_IN_USE, BIND_FAILED."""
    logs.send_to_stderr("waitress", os.path.dirname(waitress.__file__), "WARNING")
    logs.logging.getLogger("waitress.queue").setLevel("ERROR")
    sock = bind(port)
    port = sock.getsockname()[1]
    try:
        server = _create(app, sock)
    except OSError as error:
        raise bind_failure(port, error) from error
    watch = _Watch(control, server._map)
    control.send({"type": "loaded", "port": port, "interface": WSGI, "server": _server_name()})
    while not watch.halted:
        wasyncore.poll2(None, server._map)
    _drain(server)


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

    def __init__(self, control, members):
        self.halted = False
        self._control = control
        self._members = members
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
