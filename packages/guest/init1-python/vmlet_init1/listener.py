"""The socket that a program is served on."""
import errno
import socket

from vmlet_init1.failures import Failure

BACKLOG = 1024


def bind(port):
    """Returns a TCP socket bound to all IPv4 addresses of the machine at `port`, not yet listening.

    Raises Failure PORT_IN_USE when something listens there, BIND_FAILED for any other reason.
    """
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(("0.0.0.0", port))
    except (OSError, OverflowError) as error:
        sock.close()
        raise bind_failure(port, error) from error
    return sock


def bind_failure(port, error):
    """The Failure for an error of bind() or listen()."""
    if getattr(error, "errno", None) == errno.EADDRINUSE:
        state = "something listens there already, expected a free port: the launcher serves, the program need not"
        return Failure("PORT_IN_USE", "Cannot listen on port %d: %s" % (port, state), str(error))
    return Failure("BIND_FAILED", "Cannot listen on port %d: %s, expected a free port" % (port, error), str(error))
