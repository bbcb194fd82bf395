"""From `module:attribute` to the object it names."""
import os
import sys

from vmlet_init1.environment import code_folder
from vmlet_init1.failures import Failure, program_frames, traceback_of


def load_entrypoint(entrypoint):
    """Imports the program and returns its application object.

    `entrypoint` is `module:attribute`; both may be dotted, and `()` at the end calls what was found. Raises Failure
    ENTRYPOINT_MALFORMED, MODULE_NOT_FOUND, IMPORT_FAILED, PROGRAM_EXITED, ENTRYPOINT_NOT_FOUND, FACTORY_FAILED or
    ENTRYPOINT_NOT_CALLABLE.
    """
    module_name, attribute, is_factory = _parse(entrypoint)
    module = _import(module_name)
    found = _resolve(module, attribute, entrypoint)
    if is_factory:
        found = _call(found, entrypoint)
    if not callable(found):
        state = "found %s, expected an ASGI or WSGI application" % _kind(found)
        raise Failure("ENTRYPOINT_NOT_CALLABLE", 'Cannot call "%s": %s' % (entrypoint, state))
    return found


def _parse(entrypoint):
    module_name, colon, attribute = entrypoint.partition(":")
    is_factory = attribute.endswith("()")
    if is_factory:
        attribute = attribute[:-2]
    parts = module_name.split(".") + attribute.split(".")
    if not colon or not all(part.isidentifier() for part in parts):
        state = 'found no module and attribute in it, expected a form like "main:app"'
        raise Failure("ENTRYPOINT_MALFORMED", 'Cannot read entrypoint "%s": %s' % (entrypoint, state))
    return module_name, attribute, is_factory


def _import(name):
    try:
        __import__(name)
        return sys.modules[name]
    except ModuleNotFoundError as error:
        raise _missing(name, error) from error
    except SystemExit as error:
        state = "the program ended itself with %r, expected a module that returns" % error.code
        raise Failure("PROGRAM_EXITED", 'Cannot import "%s": %s' % (name, state), traceback_of(error)) from error
    except BaseException as error:
        state = "%s: %s, expected a module that imports" % (type(error).__name__, error)
        raise Failure("IMPORT_FAILED", 'Cannot import "%s": %s' % (name, state), traceback_of(error)) from error


def _missing(name, error):
    """Tells a program that is not there from one whose dependency is not."""
    missing = error.name or str(error)
    is_entry = program_frames(error) is None and (name == missing or name.startswith(missing + "."))
    if is_entry:
        near = _near(missing, _modules_in(code_folder()), "modules")
        state = 'no module "%s" in "%s", expected %s.py%s' % (missing, code_folder(), missing.replace(".", "/"), near)
    else:
        state = 'the dependency "%s" is missing, expected it in requirements.txt or in the runtime' % missing
    return Failure("MODULE_NOT_FOUND", 'Cannot import "%s": %s' % (name, state), traceback_of(error))


def _resolve(module, attribute, entrypoint):
    found = module
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError as error:
            near = _near(part, [name for name in dir(found) if not name.startswith("_")], "names")
            state = 'no "%s" in %s, expected an ASGI or WSGI application%s' % (part, _kind(found), near)
            message = 'Cannot find entrypoint "%s": %s' % (entrypoint, state)
            raise Failure("ENTRYPOINT_NOT_FOUND", message, traceback_of(error)) from error
    return found


def _call(factory, entrypoint):
    try:
        return factory()
    except BaseException as error:
        state = "%s: %s, expected it to return an application" % (type(error).__name__, error)
        raise Failure("FACTORY_FAILED", 'Cannot call "%s": %s' % (entrypoint, state), traceback_of(error)) from error


def _kind(found):
    name = getattr(found, "__name__", None)
    kind = type(found).__name__
    return '%s "%s"' % (kind, name) if isinstance(name, str) else "an object of type %s" % kind


def _near(name, candidates, noun):
    import difflib

    close = difflib.get_close_matches(name, candidates, 3, 0.5) or sorted(candidates)[:5]
    return "; near %s: %s" % (noun, ", ".join(close)) if close else ""


def _modules_in(folder):
    try:
        entries = os.listdir(folder)
    except OSError:
        return []
    return [entry[:-3] for entry in entries if entry.endswith(".py")] + [
        entry for entry in entries if os.path.exists(os.path.join(folder, entry, "__init__.py"))
    ]
