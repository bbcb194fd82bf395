"""ASGI: what a program and its visitor see. Each test runs on uvloop with httptools, and on asyncio with h11."""
import gzip
import json
import unittest

import harness
from harness import Launcher, exchange


class AsgiCases:
    features = ["uvloop", "httptools"]

    def environment(self):
        return {}

    def start(self, entrypoint="raw_asgi:app", **options):
        launcher = Launcher(self, environment=self.environment())
        answer = launcher.load(entrypoint, **options)
        self.assertEqual(answer["type"], "loaded", answer)
        return launcher

    def get_json(self, launcher, path):
        status, _, body = launcher.get(path)
        self.assertEqual(status, 200)
        return json.loads(body)

    def test_ready_names_the_language_and_the_native_libraries(self):
        ready = Launcher(self, environment=self.environment()).receive()
        self.assertEqual(ready["type"], "ready")
        self.assertEqual(ready["launcher"], "python")
        self.assertRegex(ready["version"], r"^3\.\d+\.\d+$")
        self.assertEqual(ready["features"], self.features)

    def test_loaded_names_interface_server_and_port_where_requests_are_answered_at_once(self):
        launcher = Launcher(self, environment=self.environment())
        loaded = launcher.load("raw_asgi:app")
        self.assertEqual(loaded["interface"], "asgi")
        self.assertRegex(loaded["server"], r"^uvicorn \d")
        self.assertEqual(launcher.get("/events")[0], 200)

    def test_the_scope_is_a_complete_asgi_scope(self):
        seen = self.get_json(self.start(), "/describe%20path?a=1&b=%20")
        self.assertEqual(seen["query_string"], "a=1&b=%20")
        self.assertTrue(seen["query_string_is_bytes"])
        self.assertEqual(seen["raw_path"], "/describe%20path")
        self.assertEqual((seen["http_version"], seen["scheme"], seen["root_path"]), ("1.1", "http", ""))
        self.assertTrue(seen["same_loop"])

    def test_headers_reach_the_program_untouched(self):
        headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Long": "x" * 60000}
        _, _, body = self.start().get("/describe%20path", headers=headers)
        seen = json.loads(body)
        self.assertEqual(seen["scheme"], "http")
        for name, value in headers.items():
            self.assertIn([name.lower(), value], seen["headers"])

    def test_the_programs_404_keeps_body_and_headers_and_gets_no_others(self):
        status, headers, body = self.start().get("/nowhere")
        self.assertEqual((status, body), (404, b"no such page"))
        self.assertEqual(
            {name.lower() for name, _ in headers}, {"x-mine", "content-type", "transfer-encoding"}
        )

    def test_a_redirect_is_not_followed(self):
        status, headers, _ = self.start().get("/redirect")
        self.assertEqual(status, 302)
        self.assertIn(("location", "/elsewhere"), headers)

    def test_a_gzip_body_stays_gzip_and_says_so(self):
        _, headers, body = self.start().get("/zipped")
        self.assertIn(("content-encoding", "gzip"), headers)
        self.assertEqual(gzip.decompress(body), b"unpacked")

    def test_bodies_of_five_megabytes_pass_both_ways(self):
        launcher = self.start()
        sent = bytes(range(256)) * 20480
        connection = launcher.connect()
        self.assertEqual(exchange(connection, "/echo", "POST", sent)[2], sent)
        self.assertEqual(exchange(connection, "/big")[2], sent)

    def test_a_chunked_upload_arrives_whole(self):
        pieces = (b"%d," % number for number in range(1000))
        _, _, body = self.start().get("/echo", "POST", pieces)
        self.assertEqual(body, b"".join(b"%d," % number for number in range(1000)))

    def test_a_chunk_arrives_before_the_next_is_produced(self):
        launcher = self.start()
        connection = launcher.connect()
        connection.request("GET", "/stream")
        response = connection.getresponse()
        self.assertEqual(response.read(5), b"first")
        self.assertEqual(launcher.get("/release")[2], b"released")
        self.assertEqual(response.read(), b"second")

    def test_an_exception_is_a_500_with_its_traceback_on_stderr_and_the_program_lives_on(self):
        launcher = self.start()
        for path, text in (("/raise", "ZeroDivisionError: deliberate"), ("/assert", "asserts are on"), ("/exit", "3")):
            status, _, body = launcher.get(path)
            self.assertEqual((status, body), (500, b"Internal Server Error"))
            self.assertIn(text, launcher.stderr())
        self.assertNotIn("\x1b", launcher.stderr())
        self.assertEqual(launcher.get("/events")[0], 200)

    def test_an_exit_in_a_task_of_the_program_ends_it_and_the_host_is_told(self):
        launcher = self.start()
        launcher.get("/task-exit")
        failed = launcher.receive()
        self.assertEqual((failed["phase"], failed["code"]), ("serve", "PROGRAM_EXITED"))
        self.assertEqual(launcher.wait(), 1)

    def test_print_is_on_stdout_at_once_and_nothing_else_is_in_the_logs(self):
        launcher = self.start()
        launcher.get("/events")
        self.assertEqual(launcher.stdout(), "imported\n")
        self.assertEqual(launcher.stderr(), "")

    def test_lifespan_starts_once_before_the_first_request_and_stops_at_halt(self):
        launcher = self.start()
        for _ in range(3):
            self.assertEqual(self.get_json(launcher, "/events"), ["lifespan.startup"])
        self.assertEqual(launcher.halt(), 0)
        self.assertEqual(launcher.stdout(), "imported\ncleaned up\n")
        self.assertEqual(launcher.stderr(), "")

    def test_halt_lets_a_running_request_end_and_takes_no_other(self):
        launcher = self.start()
        idle, busy = launcher.connect(), launcher.connect()
        exchange(idle, "/events")
        busy.request("GET", "/stream")
        response = busy.getresponse()
        self.assertEqual(response.read(5), b"first")
        releasing = launcher.connect()
        releasing.connect()
        exchange(releasing, "/release")
        launcher.send({"type": "halt", "graceMs": 5000})
        self.assertEqual(response.read(), b"second")
        self.assertEqual(launcher.wait(), 0)
        self.assertIn("cleaned up", launcher.stdout())

    def test_halt_runs_the_shutdown_even_under_a_request_that_never_ends(self):
        launcher = self.start()
        connection = launcher.connect()
        connection.request("GET", "/stream")
        self.assertEqual(connection.getresponse().read(5), b"first")
        self.assertEqual(launcher.halt(grace_ms=200), 0)
        self.assertIn("cleaned up", launcher.stdout())

    def test_the_end_of_the_control_channel_is_a_halt(self):
        launcher = self.start()
        launcher.close_control()
        self.assertEqual(launcher.wait(), 0)
        self.assertIn("cleaned up", launcher.stdout())

    def test_an_idle_program_never_wakes(self):
        launcher = self.start()
        connection = launcher.connect()
        exchange(connection, "/events")
        launcher.silence(0.2)
        before = launcher.context_switches()
        launcher.silence(0.5)  # uvicorn by itself looks around ten times a second
        self.assertLessEqual(launcher.context_switches() - before, 1)
        self.assertEqual(exchange(connection, "/events")[0], 200)

    def test_a_websocket_carries_text_both_ways(self):
        sock = self.start().websocket("/ws")
        for text in ("one", "two"):
            harness.send_text(sock, text)
            self.assertEqual(harness.receive_text(sock), "echo " + text)

    def test_fastapi_keeps_its_lifespan_open_and_its_state_at_hand(self):
        launcher = self.start("framework_asgi:app")
        for _ in range(2):
            self.assertEqual(self.get_json(launcher, "/events"), {"events": ["startup"], "pool": "open"})
        self.assertEqual(launcher.halt(), 0)
        self.assertEqual(launcher.stdout(), "shutdown after ['startup', 'shutdown']\n")

    def test_starlette_knows_the_url_of_a_request(self):
        launcher = self.start("framework_asgi:app")
        url = self.get_json(launcher, "/url?q=1")
        self.assertEqual(url, "http://127.0.0.1:%d/url?q=1" % launcher.port)

    def test_server_sent_events_of_a_framework_stream_to_their_end(self):
        launcher = self.start("framework_asgi:app")
        status, headers, body = launcher.get("/sse")
        self.assertEqual((status, body), (200, b"data: 0\n\ndata: 1\n\ndata: 2\n\n"))
        self.assertIn(("content-type", "text/event-stream; charset=utf-8"), headers)

    def test_sys_exit_in_a_frameworks_handler_is_a_500_and_the_next_request_is_served(self):
        launcher = self.start("framework_asgi:app")
        self.assertEqual(launcher.get("/crash")[0], 500)
        self.assertEqual(launcher.get("/events")[0], 200)


class AsgiOnNativeLibraries(AsgiCases, unittest.TestCase):
    pass


class AsgiOnPureLibraries(AsgiCases, unittest.TestCase):
    features = []

    def environment(self):
        return harness.without_native_libraries(self)

    def test_no_timer_is_due_within_a_day(self):
        launcher = self.start()
        due = self.get_json(launcher, "/timers")
        self.assertEqual([seconds for seconds in due if seconds < 86400], [])

    def test_closed_connections_leave_no_timer(self):
        launcher = self.start()
        for _ in range(3):
            connection = launcher.connect()
            exchange(connection, "/events")
            connection.close()
        self.assertEqual(self.get_json(launcher, "/timers"), [])


if __name__ == "__main__":
    unittest.main()
