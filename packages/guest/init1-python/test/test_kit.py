"""The kit's fallback libraries, as kit.json lists them, are enough for a runtime with nothing but Python."""
import os
import sys
import unittest

import harness
from harness import Launcher, make_kit

# More interpreters to try, by path, separated by colons: versions that the machine of a developer happens to have.
PYTHONS = [sys.executable] + [path for path in os.environ.get("VMLET_TEST_PYTHONS", "").split(":") if path]


class Kit(unittest.TestCase):
    def start(self, python, kit, entrypoint):
        """Starts the launcher without site-packages: -S."""
        launcher = Launcher(self, environment={"VMLET_KIT_DIR": kit}, python=[python, "-S"])
        self.assertEqual(launcher.load(entrypoint)["type"], "loaded", launcher.stderr())
        return launcher

    def test_asgi_wsgi_and_websockets_need_nothing_else(self):
        kit = make_kit(self)
        for python in PYTHONS:
            with self.subTest(python):
                launcher = self.start(python, kit, "raw_asgi:app")
                self.assertEqual(launcher.get("/events")[2], b'["lifespan.startup"]')
                sock = launcher.websocket("/ws")
                harness.send_text(sock, "one")
                self.assertEqual(harness.receive_text(sock), "echo one")
                self.assertEqual(launcher.halt(), 0)
                self.assertIn("cleaned up", launcher.stdout())
                self.assertEqual(self.start(python, kit, "raw_wsgi:app").get("/nowhere")[2], b"no such page")

    def test_the_installer_is_found_without_any_code(self):
        self.assertEqual(self.start(sys.executable, make_kit(self), "vmlet_install:app").get("/")[0], 405)


if __name__ == "__main__":
    unittest.main()
