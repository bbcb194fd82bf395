"""What a program goes through when it is frozen into a snapshot, and when a clone of it wakes."""
import gc
import os
import socket
import sys
import threading

from vmlet_init1 import environment, randomness
from vmlet_init1.failures import Failure, traceback_of

BEFORE, AFTER = "before_snapshot", "after_restore"
PRIME_PATH = "/.vmlet/prime"
_TOKEN_HEADER = "x-vmlet-prime"
_REQUESTS = (
    "GET %s HTTP/1.1\r\nhost: prime\r\naccept: */*\r\nuser-agent: vmlet\r\n%s: %s\r\n\r\n",
    "POST %s HTTP/1.1\r\nhost: prime\r\ncontent-type: text/plain\r\n%s: %s\r\ncontent-length: 2\r\n\r\nok",
)
ANSWER = b"primed"
# Names a path of the program's own, which is only then called before the freeze.
_PATH_VARIABLE = "VMLET_PRIME_PATH"
_ROUNDS = 8
_CHUNK_BYTES = 4096


class Snapshot:
    """One program's hooks, and the requests that warm its server up.

    Who knows `token` is the launcher or the host; while it is None nobody is.
    """

    def __init__(self, module_name, control, token=None):
        self._module = sys.modules.get(module_name)
        self._control = control
        self.token = token

    def wants(self, path, headers):
        """Whether a request is the launcher's or the host's own. `headers` is a function that gets one header's value, or None."""
        return self.token is not None and path == PRIME_PATH and headers(_TOKEN_HEADER) == self.token

    def prime(self, port):
        """Sends the server requests that it answers itself, so that its code is warm. Blocks: call it in a thread.

        Then some for the path that the program names, if it does. Raises OSError if one of all these is not answered.
        """
        self.token = os.urandom(16).hex()
        try:
            with socket.create_connection(("127.0.0.1", port)) as sock:
                for request in _REQUESTS * 2:
                    sock.sendall((request % (PRIME_PATH, _TOKEN_HEADER, self.token)).encode("ascii"))
                    _read_answer(sock)
        finally:
            self.token = None
        path = os.environ.get(_PATH_VARIABLE)
        if path:
            _request_often(path, port)

    def hook(self, name):
        """Calls the program's hook, if it has one. Returns what it returned: an awaitable, if it is a coroutine."""
        hook = getattr(self._module, name, None)
        if hook is None:
            return None
        try:
            return hook()
        except BaseException as error:
            raise hook_failed(name, error) from error

    def prepared(self):
        """Tells init0 that the process may be frozen. What lives by now is exempt from collection in every clone."""
        randomness.rehearse()
        gc.collect()
        gc.freeze()
        sys.stdout.flush()
        sys.stderr.flush()
        self._control.send({"type": "prepared"})

    def resume(self, frame):
        """Makes this clone one of its own, before the program's `after_restore`."""
        randomness.reseed()
        environment.apply_variables(frame.get("variables") or {})
        self.token = frame.get("prime")

    def resumed(self):
        self._control.send({"type": "resumed"})

    def failed(self, failure):
        self._control.send(failure.frame())


def hook_failed(name, error):
    """The failure of a hook that raised."""
    state = "%s: %s, expected it to return" % (type(error).__name__, error)
    phase = "snapshot" if name == BEFORE else "resume"
    return Failure("HOOK_FAILED", 'Cannot call "%s": %s' % (name, state), traceback_of(error), phase)


def in_thread(work, done):
    """Runs `work` in a thread that ends with it, then calls `done` there with the exception it raised, or None."""

    def run():
        try:
            work()
        except BaseException as error:
            done(error)
        else:
            done(None)

    threading.Thread(target=run, name="vmlet-prime", daemon=True).start()


def _request_often(path, port):
    import http.client  # loads a lot that no other program's launcher needs

    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        for _ in range(_ROUNDS):
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            if answer.status >= 400:
                raise OSError('Cannot prime "%s": status %d, expected 200 to 399' % (path, answer.status))
    except (http.client.HTTPException, ValueError) as error:
        raise OSError('Cannot prime "%s": %s' % (path, error)) from error
    finally:
        connection.close()


def _read_answer(sock):
    received = b""
    while not received.endswith(ANSWER):
        chunk = sock.recv(_CHUNK_BYTES)
        if not chunk:
            raise OSError('Cannot prime the server: it answered %r, expected "primed"' % received[:200])
        received += chunk

