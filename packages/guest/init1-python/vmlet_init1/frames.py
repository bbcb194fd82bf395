"""Frames of the control protocol: 4 bytes of length, big-endian, then one JSON object in UTF-8 with a string `type`.

The same rules, in the same order, as packages/guest-protocol/src/frames.ts; vectors/frames.json there runs on both.
"""
import json

MAX_FRAME_BYTES = 1048576
MAX_DEPTH = 16
_HEADER_BYTES = 4


class ProtocolError(Exception):
    """A breach of the frame format; the connection it came from is of no use afterwards.

    `code` is the protocol's name for the breach. `decoded` holds the frames that came whole before it.
    """

    def __init__(self, code, message):
        super().__init__(message)
        self.code = code
        self.decoded = []


def encode(frame):
    """Returns the bytes of one frame. Text is escaped to ASCII, which every reader of JSON accepts."""
    body = json.dumps(frame, separators=(",", ":")).encode("ascii")
    _check_length(len(body), "encode")
    return len(body).to_bytes(_HEADER_BYTES, "big") + body


class Decoder:
    """Cuts a byte stream into frames; one for each connection."""

    def __init__(self):
        self._pending = bytearray()
        self._error = None

    def push(self, chunk):
        """Returns the frames that `chunk` completes. Raises ProtocolError at a malformed one and ever after."""
        if self._error is not None:
            raise self._error
        self._pending += chunk
        decoded = []
        try:
            while len(self._pending) >= _HEADER_BYTES:
                size = int.from_bytes(self._pending[:_HEADER_BYTES], "big")
                _check_length(size, "decode")
                end = _HEADER_BYTES + size
                if len(self._pending) < end:
                    break
                decoded.append(_decode_body(bytes(self._pending[_HEADER_BYTES:end])))
                del self._pending[:end]
        except ProtocolError as error:
            error.decoded = decoded
            self._error = error
            raise
        return decoded

    def end(self):
        """Says that the stream has ended. Raises ProtocolError FRAME_TRUNCATED when it ended inside a frame."""
        if self._error is not None:
            raise self._error
        if self._pending:
            found = "the stream ended after %d bytes" % len(self._pending)
            self._error = ProtocolError("FRAME_TRUNCATED", "Cannot decode frame: %s, expected a whole frame" % found)
            raise self._error


def _check_length(size, verb):
    if 1 <= size <= MAX_FRAME_BYTES:
        return
    code = "FRAME_EMPTY" if size == 0 else "FRAME_TOO_LONG"
    raise ProtocolError(
        code, "Cannot %s frame: length %d bytes, expected 1 to %d bytes" % (verb, size, MAX_FRAME_BYTES)
    )


def _decode_body(body):
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProtocolError("FRAME_NOT_UTF8", "Cannot decode frame: ill-formed bytes, expected UTF-8") from error
    _check_depth(body)
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        if b"\\u" in body:  # Python accepts half a surrogate pair as an escape, C has no such string
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except ValueError as error:
        raise ProtocolError("FRAME_NOT_JSON", "Cannot decode frame: text that does not parse, expected JSON") from error
    if not isinstance(value, dict):
        found = type(value).__name__
        raise ProtocolError("FRAME_NOT_OBJECT", "Cannot decode frame: a JSON %s, expected an object" % found)
    if not isinstance(value.get("type"), str):
        raise ProtocolError("FRAME_NO_TYPE", 'Cannot decode frame: no string "type", expected one')
    return value


def _check_depth(body):
    """Counts brackets outside strings on the bytes, before parsing: so no parser ever sees deep nesting."""
    if body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        return
    import re

    outside = re.sub(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', b"", body, flags=re.DOTALL)
    depth = 0
    for bracket in re.findall(rb"[\[\]{}]", outside):
        depth += 1 if bracket in b"[{" else -1
        if depth > MAX_DEPTH:
            found = "nesting deeper than %d, expected at most %d levels" % (MAX_DEPTH, MAX_DEPTH)
            raise ProtocolError("FRAME_TOO_DEEP", "Cannot decode frame: %s" % found)


def _refuse_constant(name):
    raise ValueError("%s is no JSON" % name)
