"""Keeps the garbage collector out of the way of imports, which make little garbage: a twelfth of their time."""
import gc

_RARELY = (1000000, 100, 100)


def postpone():
    """Lets the collector run next to never. Returns what `resume` takes."""
    usual = gc.get_threshold()
    gc.set_threshold(*_RARELY)
    return usual


def resume(usual):
    """Lets it run as before, unless the program has set it up itself, and exempts all that lives by now.

    What was imported stays; a collection that looks at it all finds nothing, and in a clone of a snapshot it would copy
    every page that it marks.
    """
    if gc.get_threshold() == _RARELY:
        gc.set_threshold(*usual)
    gc.freeze()
