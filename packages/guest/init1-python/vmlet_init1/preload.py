"""Imports the server before a program is known, so that a snapshot taken at `ready` holds it."""
import os
import sys


class Preloaded:
    """The imported server: `uvicorn` (its module), `protocol` (its HTTP/1.1 protocol class), `loop`, `features`.

    `third_party` names the libraries that came with it, `forgotten` holds those of their modules that left sys.modules.
    """

    def __init__(self, uvicorn, protocol, loop, features, third_party):
        self.uvicorn = uvicorn
        self.protocol = protocol
        self.loop = loop
        self.features = features
        self.third_party = third_party
        self.forgotten = {}

    def forget_what_program_replaces(self, folders):
        """Lets the program's own versions win over preloaded ones.

        When a folder of the program carries any library that was preloaded, all of them leave sys.modules, because a
        mixture of two sets of versions is a set that nobody has tested. The server keeps its own. Native libraries stay
        unless carried, since most of them cannot be loaded twice.
        """
        carried = set()
        for folder in folders:
            carried.update(entry.split(".", 1)[0] for entry in os.listdir(folder))
        if not carried & self.third_party:
            return
        for top in self.third_party:
            if top in carried or not _is_native(top):
                for name in _modules_of(top):
                    self.forgotten[name] = sys.modules.pop(name)

    def __enter__(self):
        """While entered, imports find the server's own modules. For its set-up, with nothing beside it."""
        self._set_aside = self._exchange(self.forgotten)
        return self

    def __exit__(self, *error):
        self.forgotten = self._exchange(self._set_aside)

    def _exchange(self, modules):
        """Puts `modules` into sys.modules in place of all that are of the same libraries, and returns those."""
        taken = {}
        for top in {name.split(".", 1)[0] for name in self.forgotten}:
            for name in _modules_of(top):
                taken[name] = sys.modules.pop(name)
        sys.modules.update(modules)
        return taken


def preload(extra=()):
    """Imports uvicorn with the fastest loop and parser that the runtime has, and makes the event loop.

    `extra` names modules that programs of this runtime are known to use; one that is missing is no error.
    """
    before = set(sys.modules)
    # uvicorn imports PyYAML where there is one, only to read a kind of log configuration that is not used here.
    blocked = "yaml" not in sys.modules
    if blocked:
        sys.modules["yaml"] = None
    import uvicorn
    import uvicorn.lifespan.off

    if blocked:
        del sys.modules["yaml"]
    features = []
    loop = _make_loop(features)
    protocol = _import_protocol(features)
    for name in extra:
        try:
            __import__(name)
        except ImportError:
            pass
    return Preloaded(uvicorn, protocol, loop, features, _top_names(set(sys.modules) - before))


def _import_protocol(features):
    try:
        from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

        features.append("httptools")
        return HttpToolsProtocol
    except Exception:  # a native library for another libc or Python fails in many ways
        from uvicorn.protocols.http.h11_impl import H11Protocol

        return H11Protocol


def _make_loop(features):
    import asyncio

    try:
        import uvloop

        loop = uvloop.new_event_loop()
        features.append("uvloop")
    except Exception:
        loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


def _top_names(names):
    """The top-level names among `names` that are neither of the standard library nor of the launcher."""
    library = os.path.dirname(os.__file__) + os.sep
    tops = set()
    for top in {name.split(".", 1)[0] for name in names}:
        path = getattr(sys.modules.get(top), "__file__", None)
        if path is None or top == "vmlet_init1":
            continue
        if path.startswith(library) and "-packages" + os.sep not in path[len(library) :]:
            continue
        tops.add(top)
    return tops


def _modules_of(top):
    return [name for name in sys.modules if name == top or name.startswith(top + ".")]


def _is_native(top):
    return any((getattr(sys.modules[name], "__file__", None) or "").endswith(".so") for name in _modules_of(top))
