"""The launcher's end of the control channel: one socket to init0, frames both ways."""
import os
import socket
import sys

from vmlet_init1.frames import Decoder, ProtocolError, encode

FD_VARIABLE = "VMLET_CONTROL_FD"
_CHUNK_BYTES = 65536

# What the end of the channel means: without init0 nobody can use this machine any more.
_END = {"type": "halt", "graceMs": 0}


class Control:
    """Sends blocking; receives blocking (`receive`) or from an event loop (`poll`), never both at once."""

    def __init__(self, sock):
        self._socket = sock
        self._decoder = Decoder()
        self._queue = []
        self.ended = False

    @classmethod
    def from_environment(cls):
        """Takes the socket over. The program and its children see neither the variable nor the descriptor."""
        fd = int(os.environ.pop(FD_VARIABLE))
        os.set_inheritable(fd, False)
        sock = socket.socket(fileno=fd)
        sock.setblocking(True)
        return cls(sock)

    def fileno(self):
        return self._socket.fileno()

    def send(self, frame):
        """Writes one frame. A channel that has ended is no error: nobody is left to be told."""
        try:
            self._socket.sendall(encode(frame))
        except OSError:
            self.ended = True

    def receive(self):
        """Waits for the next frame. At the end of the channel, and after a malformed frame, that is a `halt`."""
        while not self._queue:
            self._read(0)
        return self._queue.pop(0)

    def poll(self):
        """Returns the frames that are there, without waiting. For a loop that found the socket readable."""
        if not self.ended:
            self._read(socket.MSG_DONTWAIT)
        frames, self._queue = self._queue, []
        return frames

    def _read(self, flags):
        if self.ended:
            self._queue.append(_END)
            return
        try:
            chunk = self._socket.recv(_CHUNK_BYTES, flags)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        try:
            if chunk:
                self._queue += self._decoder.push(chunk)
                return
            self._decoder.end()
        except ProtocolError as error:
            self._queue += error.decoded
            print("vmlet: %s" % error, file=sys.stderr)
        self.ended = True
        self._queue.append(_END)
