"""The installer program: a folder with requirements.txt goes in, site-packages come out."""
import hashlib
import http.server
import io
import os
import shutil
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

from harness import Launcher, make_kit

PIP_WHEELS = "/usr/share/python-wheels"


def zip_of(files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


def wheel(name="tiny", requires=()):
    """A wheel made by hand: one module, one script."""
    info = name + "-1.0.dist-info/"
    lines = ["Metadata-Version: 2.1", "Name: " + name, "Version: 1.0"] + ["Requires-Dist: " + each for each in requires]
    return zip_of(
        {
            name + "/__init__.py": "def where():\n    raise ValueError\n",
            info + "METADATA": "\n".join(lines) + "\n",
            info + "WHEEL": "Wheel-Version: 1.0\nGenerator: vmlet\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            info + "entry_points.txt": "[console_scripts]\ntiny = tiny:where\n",
            info + "RECORD": "".join("%s,,\n" % each for each in (name + "/__init__.py", info + "METADATA")),
        }
    )


class Install(unittest.TestCase):
    def start(self, pip="unpacked"):
        """Starts the installer from a kit, in a Python without site-packages: only the kit has a pip then."""
        kit = make_kit(self)
        if pip != "unpacked":
            shutil.rmtree(os.path.join(kit, "pip"))
        if pip == "wheel":
            shutil.copytree(PIP_WHEELS, os.path.join(kit, "pip"))
        environment = {"VMLET_KIT_DIR": kit}
        python = [sys.executable, "-S"]
        launcher = Launcher(self, code="/nonexistent", environment=environment, python=python)
        variables = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": "/dev/null"}
        self.assertEqual(launcher.load("vmlet_install:app", variables=variables)["type"], "loaded", launcher.stderr())
        return launcher

    def test_authorities_of_the_host_are_trusted(self):
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        port = self.serve_by_tls(folder, {"/tiny-1.0-py3-none-any.whl": wheel()})
        launcher = self.start()
        wanted = {"requirements.txt": "tiny @ https://127.0.0.1:%d/tiny-1.0-py3-none-any.whl\n" % port}
        with open(os.path.join(folder, "certificate.pem"), "rb") as file:
            self.assertEqual(launcher.get("/", "PUT", file.read())[0], 204)
        status, _, body = self.install(launcher, wanted)
        self.assertEqual(status, 200, body)

    def serve_by_tls(self, folder, files):
        """A server that only who trusts the certificate in the folder believes. Returns its port."""
        certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=test", "-days", "2"]
        command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate]
        subprocess.run(command, check=True, capture_output=True)

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(files[self.path])))
                self.end_headers()
                self.wfile.write(files[self.path])

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return server.server_address[1]

    def install(self, launcher, files):
        return launcher.get("/", "POST", zip_of(files))

    def test_a_local_wheel_comes_back_installed_and_compiled_and_the_same_each_time(self):
        launcher = self.start()
        path = "wheels/tiny-1.0-py3-none-any.whl"
        files = {"requirements.txt": "./%s\n" % path, path: wheel()}
        digests = set()
        for _ in range(2):
            status, headers, body = self.install(launcher, files)
            self.assertEqual(status, 200, body)
            self.assertIn(("content-type", "application/zip"), headers)
            digests.add(hashlib.sha256(body).hexdigest())
        self.assertEqual(len(digests), 1)
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            names = archive.namelist()
            self.assertEqual({entry.date_time for entry in archive.infolist()}, {(1980, 1, 1, 0, 0, 0)})
            self.assertIn("tiny/__init__.py", names)
            self.assertNotIn("tiny-1.0.dist-info/direct_url.json", names)
            self.assertEqual(archive.getinfo("bin/tiny").external_attr >> 16, 0o100755)
            compiled = [name for name in names if name.endswith(".pyc")]
            self.assertEqual(len(compiled), 1)
            data = archive.read(compiled[0])
            self.assertEqual(data[4:8], b"\x01\x00\x00\x00")  # valid by hash, and the hash is not checked
            self.assertIn(b"/opt/code/.vmlet/site-packages/tiny/__init__.py", data)
        self.assertIn("Successfully installed tiny-1.0", launcher.stderr())

    def test_a_requirement_that_is_not_to_be_had_is_a_422_with_what_pip_says(self):
        launcher = self.start()
        status, headers, body = self.install(launcher, {"requirements.txt": "no-such-package-here==1\n"})
        self.assertEqual(status, 422)
        self.assertIn(("content-type", "text/plain; charset=utf-8"), headers)
        self.assertIn(b"No matching distribution found for no-such-package-here", body)
        self.assertIn("no-such-package-here", launcher.stderr())

    def test_pip_may_be_in_the_kit_as_a_wheel(self):
        status, _, body = self.install(self.start(pip="wheel"), {"requirements.txt": "no-such-package-here\n"})
        self.assertEqual((status, b"No matching distribution found" in body), (422, True))

    def test_what_is_no_zip_of_a_folder_is_refused(self):
        launcher = self.start()
        self.assertEqual(launcher.get("/", "POST", b"nonsense")[0], 400)
        self.assertIn(b"requirements.txt", self.install(launcher, {"other.txt": ""})[2])
        for name in ("../out.txt", "/out.txt", "in/../../out.txt"):
            status, _, body = self.install(launcher, {"requirements.txt": "", name: "x"})
            self.assertEqual((status, b"inside the folder" in body), (400, True))
        self.assertEqual(launcher.get("/")[0], 405)

    def test_a_kit_without_pip_says_so(self):
        status, _, body = self.install(self.start(pip="none"), {"requirements.txt": ""})
        self.assertEqual((status, b"no pip found" in body), (422, True))


if __name__ == "__main__":
    unittest.main()
