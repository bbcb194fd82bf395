"""Freezing and waking: what init1 does at `prepare` and at `resume`."""
import os
import unittest
from ast import literal_eval

from harness import Launcher, exchange, temporary_folder, write_files
from loading import Loading

GUIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../../docs/guides/snapshots.md")
ASGI = """
import random, ssl, tempfile
random.seed(7)
calls = []
%s
async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    calls.append(scope["path"])
    import os
    body = {
        "/calls": repr(calls),
        "/random": str(random.random()),
        "/variable": os.environ.get("LATE", ""),
    }.get(scope["path"], "none").encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
"""
WSGI = """
import random
random.seed(7)
calls = []
%s
def app(environ, start_response):
    calls.append(environ["PATH_INFO"])
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/random":
        return [str(random.random()).encode()]
    return [repr(calls).encode()]
"""
HOOKS = """
def before_snapshot():
    calls.append("before")
def after_restore():
    calls.append("after")
"""
ASYNC_HOOKS = HOOKS.replace("def ", "async def ")
FIRST_OF_SEED_7 = "0.32383276483316237"


class Freezing(Loading):
    def frozen(self, text, hooks="", variables=None):
        launcher, answer = self.start({"main.py": text % hooks}, variables=variables or {})
        self.assertEqual(answer["type"], "loaded")
        launcher.send({"type": "prepare"})
        return launcher

    def woken(self, text, hooks="", variables=None):
        launcher = self.frozen(text, hooks)
        self.assertEqual(launcher.receive(), {"type": "prepared"})
        launcher.send({"type": "resume", "variables": variables or {}})
        self.assertEqual(launcher.receive(), {"type": "resumed"})
        return launcher

    def test_priming_never_reaches_the_program(self):
        for text in ASGI, WSGI:
            launcher = self.woken(text)
            self.assertEqual(launcher.get("/calls")[2], b"['/calls']")
            self.assertEqual(launcher.stderr(), "")
            self.assertEqual(launcher.halt(), 0)

    def test_the_reserved_path_is_the_programs_own_for_everybody_else(self):
        for text in ASGI, WSGI:
            launcher = self.woken(text)
            answer = launcher.get("/.vmlet/prime", headers={"x-vmlet-prime": ""})[2]
            self.assertNotEqual(answer, b"primed")

    def test_a_clone_draws_other_random_numbers_than_the_snapshot_would(self):
        for text in ASGI, WSGI:
            self.assertNotEqual(self.woken(text).get("/random")[2].decode(), FIRST_OF_SEED_7)

    def test_without_a_resume_the_generator_is_the_programs(self):
        for text in ASGI, WSGI:
            launcher = self.frozen(text)
            self.assertEqual(launcher.receive(), {"type": "prepared"})
            self.assertEqual(launcher.get("/random")[2].decode(), FIRST_OF_SEED_7)

    def test_hooks_are_called_once_each_in_order(self):
        for text, hooks in (ASGI, HOOKS), (ASGI, ASYNC_HOOKS), (WSGI, HOOKS):
            self.assertEqual(self.woken(text, hooks).get("/calls")[2], b"['before', 'after', '/calls']")

    def test_variables_that_come_late_are_there_for_after_restore(self):
        hooks = "def after_restore():\n    import os\n    calls.append(os.environ['LATE'])\n"
        launcher = self.woken(ASGI, hooks, {"LATE": "secret"})
        self.assertEqual(launcher.get("/calls")[2], b"['secret', '/calls']")
        self.assertEqual(launcher.get("/variable")[2], b"secret")

    def test_the_example_of_the_guide_is_told_of_both_and_answers(self):
        with open(GUIDE, encoding="utf-8") as guide:
            launcher = self.woken(guide.read().partition("```python\n")[2].partition("```")[0] + "%s")
        self.assertRegex(launcher.get("/")[2].decode(), "^up since 20")

    def test_a_path_that_the_program_names_is_requested_before_the_freeze(self):
        for text in ASGI, WSGI:
            launcher = self.frozen(text, variables={"VMLET_PRIME_PATH": "/warm"})
            self.assertEqual(launcher.receive(), {"type": "prepared"})
            calls = literal_eval(launcher.get("/calls")[2].decode())
            self.assertEqual((set(calls[:-1]), calls[-1]), ({"/warm"}, "/calls"))
            self.assertGreater(len(calls), 2)

    def test_a_path_that_is_not_served_is_told_in_the_log_and_changes_nothing(self):
        for path, found in ("/none", "status 404"), ("/a b", "can't contain"):
            missing = ASGI.replace('"status": 200', '"status": 404')
            launcher = self.frozen(missing, variables={"VMLET_PRIME_PATH": path})
            self.assertEqual(launcher.receive(), {"type": "prepared"})
            self.assertIn('vmlet: Cannot prime "%s": ' % path, launcher.stderr())
            self.assertIn(found, launcher.stderr())

    def test_a_hook_that_raises_fails_the_snapshot_with_its_traceback(self):
        for text, kind in (ASGI, "async def"), (ASGI, "def"), (WSGI, "def"):
            failed = self.frozen(text, kind + " before_snapshot():\n    1 / 0\n").receive()
            self.assertEqual((failed["phase"], failed["code"]), ("snapshot", "HOOK_FAILED"))
            self.assertIn("ZeroDivisionError", failed["message"])
            self.assertIn("main.py", failed["detail"])

    def test_a_hook_that_raises_fails_the_wake(self):
        launcher = self.frozen(ASGI, "def after_restore():\n    1 / 0\n")
        self.assertEqual(launcher.receive(), {"type": "prepared"})
        launcher.send({"type": "resume", "variables": {}})
        failed = launcher.receive()
        self.assertEqual((failed["phase"], failed["code"]), ("resume", "HOOK_FAILED"))

    def test_connections_made_after_the_wake_are_served_as_ever(self):
        launcher = self.woken(ASGI)
        connection = launcher.connect()
        for _ in range(3):
            self.assertEqual(exchange(connection, "/none")[0], 200)

    def test_it_is_frozen_before_a_program_is_there_and_loads_one_when_it_has_woken(self):
        folder = temporary_folder(self)
        write_files(folder, {"main.py": ASGI % HOOKS})
        launcher = Launcher(self, code=folder)
        self.assertEqual(launcher.receive()["type"], "ready")
        for _ in range(2):
            launcher.send({"type": "prepare"})
            self.assertEqual(launcher.receive(), {"type": "prepared"})
            launcher.send({"type": "resume", "variables": {}})
            self.assertEqual(launcher.receive(), {"type": "resumed"})
        self.assertEqual(launcher.load("main:app", was_ready=True)["type"], "loaded")
        self.assertEqual(launcher.get("/calls")[2], b"['/calls']")


if __name__ == "__main__":
    unittest.main()
