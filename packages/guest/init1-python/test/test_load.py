"""`load`: what a program finds around itself, how its interface is told, and each way in which it can fail."""
import gc
import json
import os
import socket
import unittest

import harness
from harness import Launcher, load_frame, temporary_folder, write_files
from loading import HELLO, Loading


class Surroundings(Loading):
    def test_variables_override_defaults_and_the_control_channel_is_out_of_reach(self):
        launcher = Launcher(self)
        variables = {"PORT": "9", "MINE": "\u00e9", "VMLET_CONTROL_FD": "0", "TZ": "Asia/Tokyo"}
        self.assertEqual(launcher.load("raw_asgi:app", variables=variables)["type"], "loaded")
        seen = json.loads(launcher.get("/environ")[2])
        self.assertEqual((seen["env"]["PORT"], seen["env"]["MINE"]), ("9", "\u00e9"))
        self.assertNotIn("VMLET_CONTROL_FD", seen["env"])
        self.assertEqual(seen["env"]["VMLET"], "1")

    def test_the_code_folder_is_first_on_the_path_and_the_working_folder_and_the_kit_is_last(self):
        launcher = Launcher(self)
        launcher.load("raw_asgi:app")
        seen = json.loads(launcher.get("/environ")[2])
        self.assertEqual(seen["path"][0], harness.PROGRAMS)
        self.assertEqual(seen["path"][-1], os.path.join(harness.KIT, "python"))
        self.assertNotIn(harness.FOLDER, seen["path"])
        self.assertEqual(seen["cwd"], harness.PROGRAMS)

    def test_libraries_beside_the_code_are_found(self):
        files = {
            "main.py": "import dependency\nANSWER = dependency.NAME\n" + HELLO,
            ".vmlet/site-packages/dependency.py": "NAME = 'packaged'\n",
        }
        self.assertEqual(self.serve(files), "packaged")

    def test_a_python_path_among_the_variables_counts(self):
        files = {"main.py": "import inner\nANSWER = inner.NAME\n" + HELLO, "src/inner.py": "NAME = 'inner'\n"}
        self.assertEqual(self.serve(files, variables={"PYTHONPATH": "src"}), "inner")

    def test_the_programs_own_version_of_a_server_library_wins_for_the_program(self):
        files = {
            "main.py": "import click, h11, uvicorn\nANSWER = click.NAME, uvicorn.NAME, 'h11' in h11.__name__\n" + HELLO,
            ".vmlet/site-packages/click/__init__.py": "NAME = 'own click'\n",
            ".vmlet/site-packages/uvicorn/__init__.py": "NAME = 'own uvicorn'\n",
        }
        self.assertEqual(self.serve(files), "('own click', 'own uvicorn', True)")

    def test_a_websocket_works_where_the_program_brings_a_server_library(self):
        with open(os.path.join(harness.PROGRAMS, "raw_asgi.py"), encoding="utf-8") as file:
            program = file.read()
        files = {"main.py": "import h11\n" + program, ".vmlet/site-packages/h11/__init__.py": ""}
        launcher, answer = self.start(files, environment=harness.without_native_libraries(self))
        self.assertEqual(answer["type"], "loaded", answer)
        sock = launcher.websocket("/ws")
        harness.send_text(sock, "one")
        self.assertEqual(harness.receive_text(sock), "echo one")

    def test_the_collector_works_as_usual_for_the_program(self):
        telling = HELLO.replace("ANSWER", "gc.get_threshold()")
        self.assertEqual(self.serve({"main.py": "import gc\n" + telling}), str(gc.get_threshold()))
        own = "import gc\ngc.set_threshold(1, 2, 3)\n"
        self.assertEqual(self.serve({"main.py": own + telling}), "(1, 2, 3)")

    def test_a_module_of_the_program_may_have_the_name_of_a_module_of_the_launcher(self):
        files = {"main.py": "import frames\nANSWER = frames.NAME\n" + HELLO, "frames.py": "NAME = 'mine'\n"}
        self.assertEqual(self.serve(files), "mine")

    def test_modules_named_to_preload_are_there_before_the_program(self):
        files = {"main.py": "import sys\nANSWER = 'colorsys' in sys.modules\n" + HELLO}
        environment = {"VMLET_PRELOAD": "colorsys,no_such_module"}
        self.assertEqual(self.serve(files, environment=environment), "True")

    def test_names_of_a_module_are_seen_inside_its_functions(self):
        self.assertEqual(self.serve({"main.py": "import os\nANSWER = 42\n" + HELLO}), "42")

    def test_logging_set_up_by_the_program_does_not_silence_tracebacks(self):
        text = "import logging.config\nlogging.config.dictConfig({'version': 1})\nasync def app(*args): 1 / 0\n"
        launcher, answer = self.start({"main.py": text}, interface="asgi")
        self.assertEqual(answer["type"], "loaded", answer)
        self.assertEqual(launcher.get("/")[0], 500)
        self.assertIn("ZeroDivisionError", launcher.stderr())

    def test_a_halt_instead_of_a_load_ends_the_launcher(self):
        launcher = Launcher(self)
        launcher.receive()
        self.assertEqual(launcher.halt(), 0)

    def test_a_malformed_frame_ends_the_launcher(self):
        launcher = Launcher(self)
        launcher.receive()
        launcher.send_bytes(bytes(4))
        self.assertEqual(launcher.wait(), 0)
        self.assertIn("Cannot decode frame: length 0 bytes", launcher.stderr())

    def test_a_halt_right_behind_a_load_is_not_lost(self):
        for entrypoint in ("raw_asgi:app", "raw_wsgi:app"):
            launcher = Launcher(self)
            launcher.receive()
            launcher.send_bytes(
                harness.encode(load_frame(entrypoint)) + harness.encode({"type": "halt", "graceMs": 1000})
            )
            self.assertEqual(launcher.wait(), 0)


class Interfaces(Loading):
    def expect(self, wanted, text, entrypoint="main:app", **options):
        launcher, answer = self.start({"main.py": text}, entrypoint, **options)
        self.assertEqual(answer.get("interface"), wanted, answer)
        self.assertEqual(launcher.get("/")[2], b"7")

    ASGI = "ANSWER = 7\n" + HELLO
    WSGI = "def app(environ, start_response):\n    start_response('200 OK', [])\n    return [b'7']\n"

    def test_coroutine_functions_are_asgi(self):
        self.expect("asgi", self.ASGI)

    def test_partial_coroutine_functions_are_asgi(self):
        text = self.ASGI + "import functools\nasync def four(more, *rest): await app(*rest)\n"
        self.expect("asgi", text + "part = functools.partial(four, 1)\n", "main:part")

    def test_objects_with_a_coroutine_call_are_asgi(self):
        text = self.ASGI + "class App:\n    async def __call__(self, *args): await app(*args)\nmine = App()\n"
        self.expect("asgi", text, "main:mine")

    def test_plain_functions_of_three_that_hand_the_call_on_are_asgi(self):
        text = "def mine(scope, receive=None, send=None): return app(scope, receive, send)\n"
        self.expect("asgi", self.ASGI + text, "main:mine")

    def test_the_older_asgi_works_as_class_and_as_function(self):
        text = self.ASGI + "class Old:\n    def __init__(self, scope): self.scope = scope\n"
        text += "    async def __call__(self, receive, send): await app(self.scope, receive, send)\n"
        self.expect("asgi", text, "main:Old")
        self.expect("asgi", text + "def old(scope): return Old(scope)\n", "main:old")

    def test_plain_functions_of_two_are_wsgi(self):
        self.expect("wsgi", self.WSGI)

    def test_iterable_classes_are_wsgi(self):
        text = "class App:\n    def __init__(self, environ, start_response):\n        start_response('200 OK', [])\n"
        self.expect("wsgi", text + "    def __iter__(self):\n        yield b'7'\n", "main:App")

    def test_a_named_interface_wins_over_what_inspection_would_say(self):
        self.expect("wsgi", self.WSGI + "def mine(*args): return app(*args)\n", "main:mine", interface="wsgi")
        self.expect("asgi", self.ASGI + "def mine(*args): return app(*args)\n", "main:mine", interface="asgi")


class Failures(Loading):
    def test_an_entrypoint_without_its_two_parts(self):
        for entrypoint in ("main", "main:", ":app", "main.py:", "main:app(1)", "a b:app", "main:app:x", "main/x:app"):
            failed = self.fail_with("ENTRYPOINT_MALFORMED", {"main.py": HELLO}, entrypoint)
            self.assertIn('expected a form like "main:app"', failed["message"])

    def test_a_program_that_is_not_there(self):
        failed = self.fail_with("MODULE_NOT_FOUND", {"mian.py": HELLO})
        self.assertIn('no module "main" in "%s", expected main.py' % self.folder, failed["message"])
        self.assertIn("near modules: mian", failed["message"])

    def test_a_dependency_that_is_not_there(self):
        failed = self.fail_with("MODULE_NOT_FOUND", {"main.py": "x = 1\nimport no_such_thing.inner\n"})
        self.assertIn('the dependency "no_such_thing" is missing', failed["message"])
        self.assertIn("requirements.txt", failed["message"])
        self.assertIn("line 2", failed["detail"])

    def test_an_exception_at_import(self):
        failed = self.fail_with("IMPORT_FAILED", {"main.py": "def f():\n    raise ValueError('text')\nf()\n"})
        self.assertIn("ValueError: text", failed["message"])
        self.assertTrue(failed["detail"].startswith("Traceback (most recent call last):\n  File"))
        self.assertIn("line 3", failed["detail"])

    def test_a_syntax_error_shows_its_line(self):
        failed = self.fail_with("IMPORT_FAILED", {"main.py": "ok = 1\napp = (\n"})
        self.assertIn("SyntaxError", failed["message"])
        self.assertIn("main.py\", line 2", failed["detail"])

    def test_an_assert_at_import_counts(self):
        failed = self.fail_with("IMPORT_FAILED", {"main.py": "assert False, 'on'"})
        self.assertIn("AssertionError: on", failed["message"])

    def test_an_endless_traceback_is_cut_to_64_kib_and_keeps_its_end(self):
        failed = self.fail_with("IMPORT_FAILED", {"main.py": "raise ValueError('\u20ac' * 100000 + '\\udc80 end')\n"})
        self.assertLessEqual(len(failed["detail"].encode()), 65536)
        self.assertTrue(failed["detail"].rstrip().endswith("? end"))
        self.assertLessEqual(len(failed["message"]), 4096)

    def test_an_attribute_that_is_not_there(self):
        failed = self.fail_with("ENTRYPOINT_NOT_FOUND", {"main.py": "application = app1 = 1\n"})
        self.assertIn('no "app" in module "main"', failed["message"])
        self.assertIn("near names: app1", failed["message"])

    def test_an_attribute_that_cannot_be_called(self):
        failed = self.fail_with("ENTRYPOINT_NOT_CALLABLE", {"main.py": "app = 1\n"})
        self.assertIn("found an object of type int", failed["message"])

    def test_a_factory_without_its_parentheses(self):
        failed = self.fail_with("ENTRYPOINT_NOT_CALLABLE", {"main.py": "def make(): pass\n"}, "main:make")
        self.assertIn('"main:make()" calls it to make one', failed["message"])

    def test_a_factory_that_raises(self):
        failed = self.fail_with("FACTORY_FAILED", {"main.py": "def make(): 1 / 0\n"}, "main:make()")
        self.assertIn("ZeroDivisionError", failed["detail"])

    def test_an_exit_at_import(self):
        failed = self.fail_with("PROGRAM_EXITED", {"main.py": "import sys\nsys.exit(4)\n"})
        self.assertIn("ended itself with 4", failed["message"])

    def test_a_thread_of_a_failed_program_does_not_hold_up_the_exit(self):
        text = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n1 / 0\n"
        self.fail_with("IMPORT_FAILED", {"main.py": text})

    def test_the_same_failures_with_wsgi_named(self):
        self.fail_with("PROGRAM_EXITED", {"main.py": "import sys\nsys.exit(4)\n"}, interface="wsgi")
        self.fail_with("MODULE_NOT_FOUND", {}, interface="wsgi")

    def test_a_port_that_is_taken(self):
        with socket.create_server(("0.0.0.0", 0)) as taken:
            port = taken.getsockname()[1]
            asgi = {"main.py": "ANSWER = 1\n" + HELLO}
            self.assertIn("port %d" % port, self.fail_with("PORT_IN_USE", asgi, port=port)["message"])
            self.fail_with("PORT_IN_USE", {"main.py": Interfaces.WSGI}, port=port)

    def test_a_load_frame_that_nobody_would_send(self):
        self.fail_with("LOAD_MALFORMED", {}, interface="cgi")
        self.fail_with("LOAD_MALFORMED", {}, variables={"A": "\0"})
        self.fail_with("LOAD_MALFORMED", {}, variables={"A": 1})

    def test_a_runtime_without_a_server(self):
        folder = temporary_folder(self)
        write_files(folder, {"uvicorn.py": "raise ImportError('no uvicorn here')\n"})
        launcher = Launcher(self, environment={"PYTHONPATH": folder})
        failed = launcher.receive()
        self.assertEqual((failed["phase"], failed["code"]), ("ready", "SERVER_MISSING"))
        self.assertEqual(launcher.wait(), 1)


if __name__ == "__main__":
    unittest.main()
