"""ASGI lifespan: startup once before the first request, shutdown at `halt`, the program's task alive in between."""
import asyncio
import sys

from vmlet_init1.failures import Failure, traceback_of


class Lifespan:
    """One program's lifespan. `startup` first, then at most one `shutdown`. `state` is what the program put there."""

    def __init__(self, app):
        self._app = app
        self._inbox = asyncio.Queue()
        self._received = False
        self._started = asyncio.Event()
        self._stopped = asyncio.Event()
        self._refused = False
        self._failure = None
        self._task = None
        self.state = {}

    async def startup(self):
        """Returns when the program has started, or has shown that it has no lifespan.

        Raises Failure LIFESPAN_FAILED when the program says that it cannot start.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._inbox.put({"type": "lifespan.startup"})
        await self._started.wait()
        if self._failure is not None:
            raise self._failure

    async def shutdown(self):
        """Lets the program clean up, and returns when it has. Raises Failure LIFESPAN_FAILED, of phase "halt"."""
        if not self._task.done():
            await self._inbox.put({"type": "lifespan.shutdown"})
            await self._stopped.wait()
            await self._task
        if self._failure is not None:
            raise self._failure

    async def _run(self):
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except (Exception, SystemExit) as error:
            self._judge(error)
        finally:
            self._started.set()
            self._stopped.set()

    def _judge(self, error):
        """By the ASGI specification a program that raises in `startup` has no lifespan, and is served without one."""
        if self._failure is not None:
            self._failure = self._failed(self._failure.message, error, self._failure.phase)
        elif self._started.is_set():
            self._failure = self._failed("Cannot end lifespan: %s" % _text(error), error, "halt")
        elif isinstance(error, SystemExit):
            state = "the program ended itself with %r, expected lifespan.startup.complete" % error.code
            self._failure = self._failed("Cannot start program: %s" % state, error, "load")
        elif self._received and not self._refused:
            print(traceback_of(error) + "vmlet: lifespan raised; serving without one", file=sys.stderr)

    async def _receive(self):
        message = await self._inbox.get()
        self._received = True
        return message

    async def _send(self, message):
        kind = message["type"]
        if kind == "lifespan.startup.complete" and not self._started.is_set():
            self._started.set()
        elif kind == "lifespan.startup.failed" and not self._started.is_set():
            text = "Cannot start program: lifespan startup failed: %s" % _last_line(message.get("message", ""))
            self._failure = self._failed(text, None, "load", message.get("message", ""))
            self._started.set()
        elif kind == "lifespan.shutdown.complete" and self._started.is_set():
            self._stopped.set()
        elif kind == "lifespan.shutdown.failed" and self._started.is_set():
            text = "Cannot end lifespan: %s" % _last_line(message.get("message", ""))
            self._failure = self._failed(text, None, "halt", message.get("message", ""))
            self._stopped.set()
        else:
            self._refused = True
            raise RuntimeError('Cannot send "%s": sent during lifespan, expected a lifespan message' % kind)

    def _failed(self, text, error, phase, detail=""):
        return Failure("LIFESPAN_FAILED", text, traceback_of(error) if error is not None else detail, phase)


def _text(error):
    return "%s: %s" % (type(error).__name__, error)


def _last_line(text):
    """Starlette sends a whole traceback as the message: its last line is the error."""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "no reason given"
