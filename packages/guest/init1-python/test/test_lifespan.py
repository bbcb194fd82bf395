"""Lifespan: the forms in which programs have one, or none, and the ways in which it fails."""
import unittest

from harness import Launcher, load_frame, temporary_folder, write_files
from loading import Loading


class LifespanForms(Loading):
    APP = """
async def app(scope, receive, send):
    if scope["type"] == "lifespan":
%s
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})
"""

    def program(self, lines):
        return {"main.py": self.APP % "\n".join("        " + line for line in lines)}

    def test_a_program_that_returns_at_once_has_no_lifespan(self):
        self.assertEqual(self.serve(self.program(["return"])), "served")

    def test_a_program_that_raises_on_lifespan_has_none(self):
        launcher, answer = self.start(self.program(["raise KeyError('lifespan')"]))
        self.assertEqual((answer["type"], launcher.get("/")[2]), ("loaded", b"served"))
        self.assertEqual(launcher.stderr(), "")
        self.assertEqual(launcher.halt(), 0)

    def test_a_program_that_never_looks_at_the_type_has_none(self):
        self.assertEqual(self.serve(self.program(["await receive()"])), "served")

    def test_a_program_that_raises_in_startup_is_served_and_its_log_says_why(self):
        launcher, answer = self.start(self.program(["await receive()", "1 / 0"]))
        self.assertEqual(answer["type"], "loaded")
        self.assertIn("ZeroDivisionError", launcher.stderr())

    def test_a_startup_that_fails_fails_the_load(self):
        lines = ["await receive()", "await send({'type': 'lifespan.startup.failed', 'message': 'no pool'})", "return"]
        self.assertIn("no pool", self.fail_with("LIFESPAN_FAILED", self.program(lines))["message"])

    def test_an_exit_in_startup_fails_the_load(self):
        self.fail_with("LIFESPAN_FAILED", self.program(["import sys", "await receive()", "sys.exit(2)"]))

    def test_a_framework_whose_startup_raises_fails_the_load_with_its_traceback(self):
        text = "from fastapi import FastAPI\napp = FastAPI()\n@app.on_event('startup')\ndef start(): 1 / 0\n"
        failed = self.fail_with("LIFESPAN_FAILED", {"main.py": text})
        self.assertIn("ZeroDivisionError", failed["message"])
        self.assertIn("main.py", failed["detail"])

    def test_a_shutdown_that_fails_is_told_and_ends_with_status_one(self):
        start = "await send({'type': 'lifespan.startup.complete'})"
        launcher, answer = self.start(self.program(["await receive()", start, "await receive()", "1 / 0"]))
        self.assertEqual(answer["type"], "loaded")
        launcher.send({"type": "halt", "graceMs": 1000})
        failed = launcher.receive()
        self.assertEqual((failed["phase"], failed["code"]), ("halt", "LIFESPAN_FAILED"))
        self.assertEqual(launcher.wait(), 1)

    def test_a_halt_ends_a_startup_that_never_does(self):
        lines = ["await receive()", "print('waiting')", "import asyncio", "await asyncio.Event().wait()"]
        self.folder = temporary_folder(self)
        write_files(self.folder, self.program(lines))
        launcher = Launcher(self, code=self.folder)
        launcher.receive()
        launcher.send(load_frame("main:app"))
        self.assertEqual(launcher.halt(), 0)


if __name__ == "__main__":
    unittest.main()
