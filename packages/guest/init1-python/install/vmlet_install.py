"""Installs requirements inside a machine: a zip of a program's folder comes in, one of its site-packages goes out.

Loaded by the launcher as `vmlet_install:app`. POST / takes a folder with requirements.txt, and wheels that it names by
path. PUT / takes authorities, in PEM, that pip is to trust in place of its own. Answers: 200 with the zip, 422 with the
end of pip's output, 400 for what is no such zip, 405 for other methods. pip's variables (PIP_INDEX_URL and the like)
come with the machine's. What pip says goes to stderr as it says it.
"""
import asyncio
import os
import shutil
import sys
import tempfile
import zipfile

# This file is python/vmlet_install.py of it: on the drive of the boot kit, or in an image.
KIT_FOLDER = os.environ.get("VMLET_KIT_DIR") or os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# Where the program will find the packages, for the file names in its tracebacks.
SITE_FOLDER = "/opt/code/.vmlet/site-packages"
# pip 23.0 uses what Python 3.12 has no more.
KIT_PIP_ENDS = (3, 12)
CHUNK_BYTES = 65536
TAIL_BYTES = 65536
# The earliest time that zip can hold: the same packages make the same bytes, whenever they are made.
ZIP_TIME = (1980, 1, 1, 0, 0, 0)
EPOCH = "315532800"


class Refusal(Exception):
    """A request that cannot be met; `status` and text are the answer."""

    def __init__(self, status, text):
        super().__init__(text)
        self.status = status
        self.text = text


async def app(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError('Cannot serve "%s": expected http' % scope["type"])
    folder = tempfile.mkdtemp(prefix="vmlet-install-")
    try:
        if scope["method"] == "PUT":
            os.environ["PIP_CERT"] = os.path.join(tempfile.gettempdir(), "vmlet-authorities.pem")
            await _receive_file(receive, os.environ["PIP_CERT"])
            await _send_text(send, 204, "")
            return
        if scope["method"] != "POST":
            raise Refusal(405, "Cannot answer %s: expected POST of a zip" % scope["method"])
        await _receive_file(receive, os.path.join(folder, "in.zip"))
        await _install(folder)
        await _send_file(send, os.path.join(folder, "out.zip"))
    except Refusal as refusal:
        await _send_text(send, refusal.status, refusal.text)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _install(folder):
    source, target = os.path.join(folder, "source"), os.path.join(folder, "target")
    os.mkdir(target)
    _unpack(os.path.join(folder, "in.zip"), source)
    pip = _pip_command() + ["install", "--target", target, "-r", "requirements.txt"]
    pip += ["--no-compile", "--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    pip += ["--progress-bar=off"]
    status, output = await _run(pip, source)
    if status != 0:
        raise Refusal(422, output)
    _drop_traces_of_source(target)
    compile_all = [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash"]
    # A package may hold files for other versions of Python, which do not compile: that is no failure.
    await _run(compile_all + ["-s", target, "-p", SITE_FOLDER, target], source)
    _pack(target, os.path.join(folder, "out.zip"))


def _pip_command():
    """The runtime's pip where it has one, else the kit's, unpacked or as a wheel. Raises Refusal 422 without any."""
    from importlib.util import find_spec

    if find_spec("pip") is not None:
        return [sys.executable, "-m", "pip"]
    folder = os.path.join(KIT_FOLDER, "pip")
    found = [name for name in os.listdir(folder) if name.startswith("pip-")] if os.path.isdir(folder) else []
    if os.path.isfile(os.path.join(folder, "pip", "__main__.py")):
        command = [sys.executable, os.path.join(folder, "pip")]
    elif found:
        command = [sys.executable, os.path.join(folder, sorted(found)[-1], "pip")]
    else:
        raise Refusal(422, "Cannot install requirements: no pip found, expected one in the runtime or in the kit")
    if sys.version_info >= KIT_PIP_ENDS:
        version = "%d.%d" % sys.version_info[:2]
        found = "this is Python %s and the kit's pip knows versions before %d.%d" % ((version,) + KIT_PIP_ENDS)
        raise Refusal(422, "Cannot install requirements: %s, expected pip in the runtime" % found)
    return command


def _unpack(path, folder):
    """Unpacks regular files and folders. Raises Refusal 400 for anything that would land elsewhere."""
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename
                if name.startswith("/") or "\\" in name or ".." in name.split("/"):
                    raise Refusal(400, 'Cannot unpack "%s": expected a path inside the folder' % name)
                archive.extract(entry, folder)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise Refusal(400, "Cannot unpack body: %s, expected a zip of a folder" % error) from error
    if not os.path.isfile(os.path.join(folder, "requirements.txt")):
        raise Refusal(400, 'Cannot install: no "requirements.txt" in the zip, expected one at its top')


async def _run(command, folder):
    """Runs `command` in `folder`. Returns its status and the end of what it said, which also goes to stderr."""
    environment = dict(os.environ, PYTHONHASHSEED="0", SOURCE_DATE_EPOCH=os.environ.get("SOURCE_DATE_EPOCH", EPOCH))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    # Not an option of the command: pip 20 of Debian 11 refuses one that it does not know.
    environment["PIP_ROOT_USER_ACTION"] = "ignore"
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    tail = b""
    while True:
        chunk = await process.stdout.read(CHUNK_BYTES)
        if not chunk:
            return await process.wait(), tail.decode("utf-8", "replace")
        os.write(2, chunk)
        tail = (tail + chunk)[-TAIL_BYTES:]


def _drop_traces_of_source(target):
    """Removes direct_url.json, in which pip notes the folder of a local wheel, and its line in RECORD."""
    for entry in os.listdir(target):
        path = os.path.join(target, entry, "direct_url.json")
        if entry.endswith(".dist-info") and os.path.exists(path):
            os.remove(path)
            record = os.path.join(target, entry, "RECORD")
            with open(record, encoding="utf-8") as file:
                lines = [line for line in file if not line.startswith(entry + "/direct_url.json,")]
            with open(record, "w", encoding="utf-8") as file:
                file.writelines(lines)


def _pack(folder, path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for root, folders, files in os.walk(folder):
            folders.sort()
            for name in sorted(files):
                whole = os.path.join(root, name)
                entry = zipfile.ZipInfo(os.path.relpath(whole, folder), ZIP_TIME)
                entry.compress_type = zipfile.ZIP_DEFLATED
                entry.external_attr = (0o100755 if os.stat(whole).st_mode & 0o100 else 0o100644) << 16
                with open(whole, "rb") as file, archive.open(entry, "w", force_zip64=True) as out:
                    shutil.copyfileobj(file, out, CHUNK_BYTES)


async def _receive_file(receive, path):
    with open(path, "wb") as file:
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Refusal(400, "Cannot receive body: the client went away")
            file.write(message.get("body", b""))
            more = message.get("more_body", False)


async def _send_file(send, path):
    size = str(os.path.getsize(path)).encode()
    headers = [(b"content-type", b"application/zip"), (b"content-length", size)]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    with open(path, "rb") as file:
        while True:
            chunk = file.read(CHUNK_BYTES)
            await send({"type": "http.response.body", "body": chunk, "more_body": bool(chunk)})
            if not chunk:
                return


async def _send_text(send, status, text):
    body = text.encode("utf-8", "replace")
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
