"""WSGI: what a program and its visitor see."""
import gzip
import json
import threading
import unittest

import harness
from harness import Launcher, exchange


class Wsgi(unittest.TestCase):
    def start(self, entrypoint="raw_wsgi:app", **options):
        launcher = Launcher(self)
        answer = launcher.load(entrypoint, **options)
        self.assertEqual(answer["type"], "loaded", answer)
        return launcher

    def test_loaded_names_interface_server_and_port(self):
        launcher = Launcher(self)
        loaded = launcher.load("raw_wsgi:app")
        self.assertEqual(loaded["interface"], "wsgi")
        self.assertRegex(loaded["server"], r"^waitress \d")
        self.assertEqual(launcher.get("/redirect")[0], 302)

    def test_a_named_interface_is_taken_at_its_word(self):
        self.assertEqual(self.start(interface="wsgi").get("/redirect")[0], 302)

    def test_request_line_and_headers_reach_the_program_untouched(self):
        headers = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https", "X-Long": "x" * 60000}
        _, _, body = self.start().get("/describe%20path?a=1&b=%20", headers=headers)
        seen = json.loads(body)
        self.assertEqual((seen["QUERY_STRING"], seen["PATH_INFO"]), ("a=1&b=%20", "/describe path"))
        for name, value in headers.items():
            self.assertEqual(seen["HTTP_" + name.upper().replace("-", "_")], value)

    def test_the_programs_headers_keep_order_and_spelling_and_get_no_others(self):
        _, headers, body = self.start().get("/describe%20path")
        wanted = [("zz-last", "1"), ("aa-First", "2"), ("Server", "mine"), ("Content-Length", str(len(body)))]
        self.assertEqual(headers, wanted)

    def test_the_programs_404_and_redirect_stay_as_they_are(self):
        launcher = self.start()
        status, headers, body = launcher.get("/nowhere")
        self.assertEqual((status, body), (404, b"no such page"))
        self.assertIn(("X-Mine", "yes"), headers)
        self.assertIn(("Location", "/elsewhere"), launcher.get("/redirect")[1])

    def test_a_gzip_body_stays_gzip_and_says_so(self):
        _, headers, body = self.start().get("/zipped")
        self.assertIn(("Content-Encoding", "gzip"), headers)
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

    def test_a_chunk_arrives_before_the_next_is_produced_and_the_connection_stays_open(self):
        launcher = self.start()
        connection = launcher.connect()
        connection.request("GET", "/stream")
        response = connection.getresponse()
        self.assertEqual(response.read(5), b"first")
        self.assertEqual(launcher.get("/release")[2], b"released")
        self.assertEqual(response.read(), b"second")
        self.assertFalse(response.will_close)
        self.assertEqual(exchange(connection, "/release")[2], b"released")

    def test_head_sends_no_body_and_keeps_the_connection(self):
        connection = self.start().connect()
        for path in ("/big", "/redirect", "/nowhere"):
            connection.request("HEAD", path)
            response = connection.getresponse()
            self.assertEqual(response.read(), b"")
            self.assertFalse(response.will_close)
        self.assertEqual(exchange(connection, "/nowhere")[2], b"no such page")

    def test_requests_run_side_by_side(self):
        launcher = self.start()
        bodies = []
        threads = [threading.Thread(target=lambda: bodies.append(launcher.get("/together")[2])) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(bodies, [b"met"] * 4)

    def test_an_exception_is_a_500_with_its_traceback_on_stderr_and_the_program_lives_on(self):
        launcher = self.start()
        for path, text in (("/raise", "ZeroDivisionError: deliberate"), ("/assert", "asserts are on"), ("/exit", "3")):
            status, _, body = launcher.get(path)
            self.assertEqual((status, body), (500, b"Internal Server Error"))
            self.assertIn(text, launcher.stderr())
        self.assertEqual(launcher.get("/raise", "HEAD")[2], b"")
        self.assertEqual(launcher.get("/redirect")[0], 302)

    def test_an_exception_half_way_cuts_the_body_so_that_it_cannot_pass_for_whole(self):
        connection = self.start().connect()
        connection.request("GET", "/raise-late")
        with self.assertRaises(harness.http.client.IncompleteRead):
            connection.getresponse().read()

    def test_print_is_on_stdout_at_once_and_nothing_else_is_in_the_logs(self):
        launcher = self.start()
        launcher.get("/redirect")
        self.assertEqual((launcher.stdout(), launcher.stderr()), ("imported\n", ""))

    def test_halt_lets_a_running_request_end(self):
        launcher = self.start()
        connection = launcher.connect()
        connection.request("GET", "/stream")
        response = connection.getresponse()
        self.assertEqual(response.read(5), b"first")
        launcher.get("/release")
        launcher.send({"type": "halt", "graceMs": 5000})
        self.assertEqual(response.read(), b"second")
        self.assertEqual(launcher.wait(), 0)
        self.assertEqual(launcher.stderr(), "")

    def test_the_end_of_the_control_channel_is_a_halt(self):
        launcher = self.start()
        launcher.close_control()
        self.assertEqual(launcher.wait(), 0)

    def test_an_idle_program_never_wakes(self):
        launcher = self.start()
        connection = launcher.connect()
        exchange(connection, "/redirect")
        launcher.silence(0.2)  # the thread that answered goes back to its pool
        before = launcher.context_switches()
        launcher.silence(2.5)  # waitress by itself looks around once a second
        self.assertLessEqual(launcher.context_switches() - before, 1)
        self.assertEqual(exchange(connection, "/redirect")[0], 302)

    def test_flask_from_a_factory_and_from_a_dotted_attribute(self):
        launcher = self.start("framework_wsgi:create_app()")
        self.assertEqual(launcher.get("/?q=1")[2].decode(), "http://127.0.0.1:%d/?q=1" % launcher.port)
        self.assertEqual(launcher.get("/stream")[2], b"012")
        self.assertEqual(self.start("framework_wsgi:holder.app").get("/stream")[2], b"012")


if __name__ == "__main__":
    unittest.main()
