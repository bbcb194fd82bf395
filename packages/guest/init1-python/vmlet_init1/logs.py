"""Where the servers' own words go: plain lines on stderr, problems only, so that a log holds the program's output."""
import logging
import os
import sys


def send_to_stderr(name, package_folder, level):
    """Lets logger `name` write to stderr, unless the program has given it handlers of its own.

    Called after the program was imported: logging.config in a program disables loggers that exist by then.
    """
    logger = logging.getLogger(name)
    for key, each in logging.root.manager.loggerDict.items():
        if (key == name or key.startswith(name + ".")) and isinstance(each, logging.Logger):
            each.disabled = False
    if logger.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    prefix = package_folder + os.sep
    # Programs log through "uvicorn" too; of the server itself only problems are of interest.
    handler.addFilter(lambda record: record.levelno >= logging.WARNING or not record.pathname.startswith(prefix))
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
