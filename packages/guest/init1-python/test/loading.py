"""What the tests of `load` share: a program written for one test, loaded from a folder of its own."""
import unittest

from harness import Launcher, temporary_folder, write_files

HELLO = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": str(ANSWER).encode()})
"""


class Loading(unittest.TestCase):
    def start(self, files, entrypoint="main:app", environment=None, **options):
        """Loads a program of `files`. Returns launcher and answer."""
        self.folder = temporary_folder(self)
        write_files(self.folder, files)
        launcher = Launcher(self, code=self.folder, environment=environment)
        return launcher, launcher.load(entrypoint, **options)

    def serve(self, files, entrypoint="main:app", **options):
        """Loads a program and returns what it answers."""
        launcher, answer = self.start(files, entrypoint, **options)
        self.assertEqual(answer["type"], "loaded", answer)
        return launcher.get("/")[2].decode()

    def fail_with(self, code, files, entrypoint="main:app", **options):
        """Loads a program that fails and returns the `failed` frame."""
        launcher, failed = self.start(files, entrypoint, **options)
        self.assertEqual((failed["type"], failed["phase"], failed["code"]), ("failed", "load", code), failed)
        self.assertEqual(launcher.wait(), 1)
        self.assertNotIn("\n", failed["message"])
        self.assertNotIn("vmlet_init1", failed["detail"])
        self.assertIn(failed["message"], launcher.stderr())
        return failed
