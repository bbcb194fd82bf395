"""A WSGI program by hand."""
import gzip
import json
import sys
import threading

RELEASE = threading.Event()
TOGETHER = threading.Barrier(4, timeout=30)

print("imported")


def app(environ, start_response):
    return HANDLERS.get(environ["PATH_INFO"], not_found)(environ, start_response)


def not_found(environ, start_response):
    start_response("404 Not Found", [("X-Mine", "yes"), ("content-type", "text/plain")])
    return [b"no such page"]


def describe(environ, start_response):
    seen = {key: value for key, value in environ.items() if isinstance(value, str)}
    start_response("200 OK", [("zz-last", "1"), ("aa-First", "2"), ("Server", "mine")])
    return [json.dumps(seen).encode()]


def echo(environ, start_response):
    start_response("200 OK", [])
    return [environ["wsgi.input"].read()]


def zipped(environ, start_response):
    start_response("200 OK", [("Content-Encoding", "gzip")])
    return [gzip.compress(b"unpacked", mtime=0)]


def redirect(environ, start_response):
    start_response("302 Found", [("Location", "/elsewhere")])
    return []


def big(environ, start_response):
    start_response("200 OK", [("Content-Length", "5242880")])
    return [bytes(range(256)) * 4096 for _ in range(5)]


def stream(environ, start_response):
    start_response("200 OK", [])
    yield b"first"
    RELEASE.wait(30)
    yield b"second"


def release(environ, start_response):
    RELEASE.set()
    start_response("200 OK", [])
    return [b"released"]


def together(environ, start_response):
    TOGETHER.wait()
    start_response("200 OK", [])
    return [b"met"]


def raising(environ, start_response):
    raise ZeroDivisionError("deliberate")


def raising_late(environ, start_response):
    start_response("200 OK", [])
    yield b"first"
    raise ZeroDivisionError("deliberate")


def exiting(environ, start_response):
    sys.exit(3)


def asserting(environ, start_response):
    assert False, "asserts are on"


HANDLERS = {
    "/describe path": describe,
    "/echo": echo,
    "/zipped": zipped,
    "/redirect": redirect,
    "/big": big,
    "/stream": stream,
    "/release": release,
    "/together": together,
    "/raise": raising,
    "/raise-late": raising_late,
    "/exit": exiting,
    "/assert": asserting,
}
