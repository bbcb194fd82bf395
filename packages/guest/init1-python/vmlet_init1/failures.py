"""Failures that end the launcher, and the `failed` frame that tells the host of them."""
import os

_DETAIL_BYTES = 65536
_MESSAGE_CHARS = 2000
_OUR_FOLDER = os.path.dirname(os.path.abspath(__file__)) + os.sep


class Failure(Exception):
    """What stops a program from being served.

    `code` is SCREAMING_SNAKE, `message` one line, `detail` a traceback of at most 64 KiB or empty; README.md lists the
    codes. `phase` is that of the control protocol.
    """

    def __init__(self, code, message, detail="", phase="load"):
        super().__init__(message)
        self.code = code
        self.message = _one_line(message)
        self.detail = _last_bytes(detail)
        self.phase = phase

    def frame(self):
        """Returns the `failed` frame."""
        return {
            "type": "failed",
            "phase": self.phase,
            "code": self.code,
            "message": self.message,
            "detail": self.detail,
        }


def traceback_of(error):
    """Formats `error` as Python would, without the launcher's own frames: an author sees only the program's."""
    import traceback

    return "".join(traceback.format_exception(type(error), error, program_frames(error)))


def program_frames(error):
    """The traceback of `error` from the program's first frame on, or None where the program has no frame in it."""
    frames = error.__traceback__
    while frames is not None and _is_ours(frames.tb_frame.f_code.co_filename):
        frames = frames.tb_next
    return frames


def _is_ours(filename):
    return filename.startswith(_OUR_FOLDER) or filename.startswith("<frozen importlib")


def _one_line(text):
    return _well_formed(" ".join(text.split()))[:_MESSAGE_CHARS]


def _last_bytes(text):
    """Keeps the end: the last lines of a traceback name the error."""
    data = _well_formed(text).encode("utf-8")
    if len(data) <= _DETAIL_BYTES:
        return data.decode("utf-8")
    return data[-_DETAIL_BYTES:].decode("utf-8", "ignore")


def _well_formed(text):
    """Replaces what UTF-8 cannot hold: file names and messages may carry half surrogate pairs."""
    return text.encode("utf-8", "replace").decode("utf-8")
