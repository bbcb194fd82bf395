"""Events of the platform: who gets them as an ASGI scope, and who as the request they came in."""
import json
import unittest

from harness import Launcher


class Events(unittest.TestCase):
    def start(self, app):
        launcher = Launcher(self)
        answer = launcher.load("events_asgi:%s" % app)
        self.assertEqual(answer["type"], "loaded", answer)
        return launcher

    def tell(self, launcher, value, kind="aleph.message"):
        return launcher.get("/on", method="POST", headers={"x-vmlet-event": kind}, body=json.dumps(value))[0]

    def seen(self, launcher):
        return json.loads(launcher.get("/seen")[2])

    def test_a_program_that_knows_the_scope_receives_the_message_there(self):
        launcher = self.start("scope_app")
        self.assertEqual(self.tell(launcher, {"a": 1}), 204)
        self.assertEqual(self.seen(launcher), [["aleph.message", {"a": 1}, True]])

    def test_what_a_program_raises_behind_the_message_is_an_error_and_no_reason_to_ask_otherwise(self):
        launcher = self.start("scope_app")
        self.assertEqual(self.tell(launcher, {"fail": 1}), 500)
        self.assertEqual(self.tell(launcher, {"a": 1}), 204)
        self.assertEqual([kind for kind, _, _ in self.seen(launcher)], ["aleph.message", "aleph.message"])
        self.assertIn("RuntimeError: not taken", launcher.stderr())

    def test_the_handlers_of_the_sdk_are_waited_for(self):
        launcher = self.start("sdk_app")
        self.assertEqual(self.tell(launcher, {"a": 1}), 204)
        self.assertEqual(self.tell(launcher, {"fail": 1}), 500)
        self.assertEqual(self.seen(launcher), [["aleph.message", {"a": 1}], ["aleph.message", {"fail": 1}]])

    def test_an_application_of_the_sdk_without_handlers_gets_the_request(self):
        launcher = self.start("sdk_app_without")
        self.assertEqual(self.tell(launcher, {"a": 1}), 201)
        self.assertEqual(self.seen(launcher), [["http", "/on", {"a": 1}]])

    def test_a_program_that_raises_for_the_scope_gets_the_request_whole(self):
        launcher = self.start("http_app")
        for _ in range(2):
            self.assertEqual(self.tell(launcher, {"a": "x" * 300000}), 201)
        self.assertEqual([kind for kind, _, _ in self.seen(launcher)], ["http", "http"])
        self.assertEqual(launcher.stderr().count("events come as HTTP requests"), 1)

    def test_a_program_that_looks_at_no_type_gets_the_request(self):
        launcher = self.start("blind_app")
        self.assertEqual(self.tell(launcher, {"a": 1}), 200)
        self.assertEqual(self.seen(launcher), ["http"])

    def test_another_kind_of_event_is_a_request_like_any_other(self):
        launcher = self.start("scope_app")
        self.assertEqual(self.tell(launcher, {"a": 1}, kind="other"), 201)
        self.assertEqual(self.seen(launcher), [["http", "/on", {"a": 1}]])


if __name__ == "__main__":
    unittest.main()
