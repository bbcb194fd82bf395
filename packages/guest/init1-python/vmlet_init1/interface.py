"""Tells ASGI from WSGI by looking at an application, never by calling it."""
import inspect

from vmlet_init1.failures import Failure

ASGI, WSGI = "asgi", "wsgi"


def detect(app, entrypoint):
    """Returns "asgi" or "wsgi" for an application whose message names no interface.

    Raises Failure ENTRYPOINT_NOT_CALLABLE for a callable that neither interface could call.
    """
    if _is_coroutine(app):
        return ASGI
    if inspect.isclass(app):  # WSGI allows an iterable class; one with __await__ is the same idea in ASGI
        return ASGI if hasattr(app, "__await__") or is_asgi2(app) else WSGI
    parameters = _parameters(app)
    if parameters is None or parameters[:1] in (["environ"], ["env"]) or len(parameters) == 2:
        return WSGI
    # A plain function that takes three hands an ASGI call on and returns the awaitable of it.
    if len(parameters) >= 3 or parameters == ["scope"]:
        return ASGI
    found = "found a callable of %d parameters, expected an ASGI or WSGI application" % len(parameters)
    hint = '; "%s()" calls it to make one' % entrypoint if not parameters else ""
    raise Failure("ENTRYPOINT_NOT_CALLABLE", 'Cannot serve "%s": %s%s' % (entrypoint, found, hint))


def is_asgi2(app):
    """Whether `app` is of the older ASGI: called with the scope, it returns what takes `receive` and `send`."""
    if inspect.isclass(app):
        return inspect.iscoroutinefunction(getattr(app, "__call__", None))
    if _is_coroutine(app):
        return False
    parameters = _parameters(app)
    return parameters is not None and len(parameters) == 1


def as_asgi3(app):
    """Returns `app` as a callable of three, whichever ASGI it speaks."""
    if not is_asgi2(app):
        return app

    async def asgi3(scope, receive, send):
        await app(scope)(receive, send)

    return asgi3


def _is_coroutine(app):
    """Coroutine functions, also behind functools.partial, and objects with a coroutine for `__call__`."""
    while hasattr(app, "func") and hasattr(app, "keywords"):
        app = app.func
    if inspect.isclass(app):
        return False
    return inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(type(app), "__call__", None))


def _parameters(app):
    """The names of the positional parameters of `app`, or None where they cannot be known."""
    try:
        parameters = inspect.signature(app).parameters.values()
    except (TypeError, ValueError):
        return None
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return None
    return [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
