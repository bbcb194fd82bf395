"""The launcher from start to end: ready, load, loaded, serve, halt. README.md draws it."""
import os
import sys

from vmlet_init1 import asgi, collector, environment, interface
from vmlet_init1.control import Control
from vmlet_init1.entrypoint import load_entrypoint
from vmlet_init1.failures import Failure
from vmlet_init1.preload import preload
from vmlet_init1.snapshot import Snapshot


def main():
    """Runs the launcher. Returns the exit status: 0 after `halt`, 1 after `failed`."""
    own_folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path[:] = [entry for entry in sys.path if entry != own_folder]
    usual = collector.postpone()
    control = Control.from_environment()
    environment.append_fallback_libraries()
    try:
        preloaded = _preload()
        version = "%d.%d.%d" % sys.version_info[:3]
        control.send({"type": "ready", "launcher": "python", "version": version, "features": preloaded.features})
        return _load_and_serve(preloaded, control, usual)
    except Failure as failure:
        return _report(failure, control)
    except Exception as error:  # a fault of ours, or of a server library: the host must not wait for it
        state = "%s: %s, expected none" % (type(error).__name__, error)
        return _report(Failure("LAUNCHER_FAILED", "Cannot go on: %s" % state, _whole_traceback()), control)


def _preload():
    try:
        return preload(filter(None, os.environ.pop("VMLET_PRELOAD", "").split(",")))
    except ImportError as error:
        state = "%s, expected it in the runtime or in the kit" % error
        raise Failure("SERVER_MISSING", "Cannot import server: %s" % state, phase="ready") from error


def _load_and_serve(preloaded, control, usual):
    frame = _wait_for_load(control)
    if frame["type"] == "halt":
        return 0
    entrypoint, kind, variables, port = _read(frame)
    environment.apply_variables(variables)
    preloaded.forget_what_program_replaces(environment.enter_code_folder())

    def load_app():
        app = load_entrypoint(entrypoint)
        collector.resume(usual)
        return app

    if kind == interface.WSGI:
        app = load_app()
    else:
        app = asgi.run(preloaded.loop, _serve_unless_wsgi(load_app, frame, preloaded, control))
    asgi.close(preloaded.loop)
    if app is not None:
        from vmlet_init1 import wsgi

        wsgi.serve(app, port, control, _snapshot_of(frame, control))
    return 0


def _wait_for_load(control):
    """Returns `load`, or `halt`. Until then it may be frozen, and wake in a machine for whichever program comes."""
    snapshot = Snapshot(None, control)
    while True:
        frame = control.receive()
        if frame["type"] == "prepare":
            snapshot.prepared()
        elif frame["type"] == "resume":
            snapshot.resume(frame)
            snapshot.resumed()
        elif frame["type"] in ("load", "halt"):
            return frame


def _snapshot_of(frame, control):
    return Snapshot(frame["entrypoint"].partition(":")[0], control, frame.get("prime"))


async def _serve_unless_wsgi(load_app, frame, preloaded, control):
    """Serves an ASGI program and returns None, or returns a WSGI program for others to serve.

    The program is imported with the loop running, as uvicorn's own command does: so its modules may use the loop.
    """
    app = load_app()
    if (frame["interface"] or interface.detect(app, frame["entrypoint"])) == interface.WSGI:
        return app
    await asgi.serve(app, frame["port"], preloaded, control, _snapshot_of(frame, control))
    return None


def _read(frame):
    """Takes a `load` frame apart. Raises Failure LOAD_MALFORMED for one that nobody who knows the protocol sends."""
    entrypoint, kind = frame.get("entrypoint"), frame.get("interface")
    variables, port = frame.get("variables"), frame.get("port")
    if (
        not isinstance(entrypoint, str)
        or kind not in (None, interface.ASGI, interface.WSGI)
        or not isinstance(variables, dict)
        or not isinstance(port, int)
    ):
        state = "found %s, expected entrypoint, interface, variables and port" % ", ".join(sorted(frame))
        raise Failure("LOAD_MALFORMED", "Cannot read load frame: %s" % state)
    return entrypoint, kind, variables, port


def _whole_traceback():
    import traceback

    return traceback.format_exc()


def _report(failure, control):
    """Tells host and log of the failure."""
    print("%s\nvmlet: %s: %s" % (failure.detail.rstrip(), failure.code, failure.message), file=sys.stderr)
    control.send(failure.frame())
    if failure.phase in ("ready", "load"):
        # A program that never ran gets no say in when it ends: threads that it has started would hold the exit up.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(1)
    return 1
