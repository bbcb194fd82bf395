"""Starts the real launcher as a child, with a socket pair for its control channel, and speaks HTTP with its program."""
import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import zipfile

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
NO_KIT = "/nonexistent"
# Where the libraries of Debian 12 are not installed: a kit, as make_kit() makes it where they are.
KIT = os.environ.get("VMLET_TEST_KIT", NO_KIT)
PROGRAMS = os.path.join(FOLDER, "test", "programs")
sys.path.insert(0, FOLDER)

from vmlet_init1.frames import Decoder, encode  # noqa: E402

# A hang is a failure; nothing here waits this long when all is well.
HANG_SECONDS = 60


def temporary_folder(test):
    """Makes a folder that goes with the test."""
    folder = tempfile.mkdtemp(prefix="vmlet-init1-")
    test.addCleanup(shutil.rmtree, folder)
    return folder


def write_files(folder, files):
    """Writes `files`, a map of path to text, under `folder`."""
    for path, text in files.items():
        whole = os.path.join(folder, path)
        os.makedirs(os.path.dirname(whole), exist_ok=True)
        with open(whole, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)


def without_native_libraries(test):
    """Environment in which uvloop and httptools cannot be imported, as in a runtime that lacks them."""
    folder = temporary_folder(test)
    text = "raise ImportError('not in this runtime')\n"
    write_files(folder, {"uvloop.py": text, "httptools.py": text})
    return {"PYTHONPATH": folder}


def make_kit(test):
    """Puts a kit together from the installed Debian packages, as the boot-kit builder does from downloaded ones."""
    folder = temporary_folder(test)
    if KIT != NO_KIT:
        return shutil.copytree(KIT, os.path.join(folder, "kit"))
    with open(os.path.join(FOLDER, "kit.json"), encoding="utf-8") as file:
        description = json.load(file)
    for part in ("launcher", "programs"):
        for path in description[part]["copy"]:
            _copy(os.path.join(FOLDER, path), os.path.join(folder, description[part]["to"]))
    for part in ("python", "pip"):
        for package in description[part]["packages"]:
            for path in package["copy"]:
                to = os.path.join(folder, description[part]["to"])
                if description[part].get("unzip"):
                    zipfile.ZipFile(os.path.join("/", path)).extractall(to)
                else:
                    _copy(os.path.join("/", path), to)
    return folder


def _copy(path, to):
    os.makedirs(to, exist_ok=True)
    target = os.path.join(to, os.path.basename(path))
    if os.path.isdir(path):
        shutil.copytree(path, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy(path, target)


class Launcher:
    """One launcher process. Ends with the test, whatever state it is in."""

    def __init__(self, test, code=PROGRAMS, environment=None, python=None):
        self._test = test
        self._control, theirs = socket.socketpair()
        self._control.settimeout(HANG_SECONDS)
        self._decoder = Decoder()
        self._frames = []
        self._output = tempfile.TemporaryFile()
        self._errors = tempfile.TemporaryFile()
        variables = {
            "PATH": "/usr/bin:/bin",
            "LANG": "C.UTF-8",
            "PORT": "8080",
            "VMLET": "1",
            "TMPDIR": temporary_folder(test),  # the launcher may be killed before it cleans up
            "VMLET_CODE_DIR": code,
            "VMLET_KIT_DIR": KIT,
            "VMLET_CONTROL_FD": str(theirs.fileno()),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        variables.update(environment or {})
        self.process = subprocess.Popen(
            list(python or [sys.executable]) + ["-u", os.path.join(FOLDER, "init1.py")],
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=self._errors,
            pass_fds=[theirs.fileno()],
            env=variables,
        )
        theirs.close()
        self.port = None
        test.addCleanup(self._close)

    def _close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._control.close()
        self._output.close()
        self._errors.close()

    def send(self, frame):
        self._control.sendall(encode(frame))

    def send_bytes(self, data):
        self._control.sendall(data)

    def close_control(self):
        self._control.close()

    def receive(self):
        """The next frame, or None at the end of the channel."""
        while not self._frames:
            chunk = self._control.recv(65536)
            if not chunk:
                return None
            self._frames += self._decoder.push(chunk)
        return self._frames.pop(0)

    def silence(self, seconds):
        """Returns after `seconds`, in which no frame may come: the only way to see that nothing happens."""
        self._control.settimeout(seconds)
        try:
            self._test.fail("unexpected frame %r" % (self.receive(),))
        except socket.timeout:
            self._control.settimeout(HANG_SECONDS)

    def load(self, entrypoint, interface=None, variables=None, port=0, was_ready=False):
        """Sends `load` after `ready`, and returns the answer: `loaded` or `failed`."""
        if not was_ready:
            self._test.assertEqual(self.receive()["type"], "ready")
        self.send(load_frame(entrypoint, interface, variables, port))
        answer = self.receive()
        if answer is not None and answer["type"] == "loaded":
            self.port = answer["port"]
        return answer

    def halt(self, grace_ms=5000):
        """Sends `halt` and returns the exit status."""
        self.send({"type": "halt", "graceMs": grace_ms})
        return self.wait()

    def wait(self):
        return self.process.wait(HANG_SECONDS)

    def stdout(self):
        return self._read(self._output)

    def stderr(self):
        return self._read(self._errors)

    def _read(self, file):
        return os.pread(file.fileno(), 1 << 24, 0).decode("utf-8", "replace")

    def connect(self):
        """An HTTP connection to the program."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_SECONDS)
        self._test.addCleanup(connection.close)
        return connection

    def get(self, path, method="GET", body=None, headers=None):
        """One request on a connection of its own. Returns status, headers as pairs, body."""
        return exchange(self.connect(), path, method, body, headers)

    def context_switches(self):
        """How often the threads of the process have gone to sleep so far."""
        folder = "/proc/%d/task" % self.process.pid
        total = 0
        for thread in os.listdir(folder):
            with open(os.path.join(folder, thread, "status"), encoding="ascii") as file:
                total += sum(int(line.split()[1]) for line in file if line.startswith("voluntary_ctxt"))
        return total

    def websocket(self, path):
        """Opens a WebSocket and returns its socket."""
        sock = socket.create_connection(("127.0.0.1", self.port), HANG_SECONDS)
        self._test.addCleanup(sock.close)
        key = base64.b64encode(b"0123456789abcdef").decode()
        request = "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" % path
        request += "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n" % key
        sock.sendall(request.encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            answer += sock.recv(1)
        self._test.assertIn(b" 101 ", answer.split(b"\r\n", 1)[0])
        return sock


def load_frame(entrypoint, interface=None, variables=None, port=0):
    return {
        "type": "load",
        "code": None,
        "entrypoint": entrypoint,
        "interface": interface,
        "variables": variables or {},
        "port": port,
    }


def exchange(connection, path, method="GET", body=None, headers=None):
    """One request on `connection`. Returns status, headers as pairs, body."""
    connection.request(method, path, body, headers or {})
    response = connection.getresponse()
    return response.status, response.getheaders(), response.read()


def send_text(sock, text):
    """Sends a short text frame, masked with zeros."""
    data = text.encode()
    sock.sendall(bytes([0x81, 0x80 | len(data)]) + bytes(4) + data)


def receive_text(sock):
    """Receives a short text frame."""
    head = sock.recv(2, socket.MSG_WAITALL)
    return sock.recv(head[1], socket.MSG_WAITALL).decode()
