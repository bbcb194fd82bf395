"""How waitress answers one request, with the program's headers left as they are."""
from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask


class _PlainHeaders:
    """Mixed into waitress tasks. waitress itself sorts and renames headers, adds `Date` and `Via`, and closes the
    connection after each response of unknown length."""

    logged_write_no_body = True  # nothing to warn of: HEAD, 204 and 304 are where the body is meant to be dropped

    @property
    def has_body(self):
        asked = self.channel.requests[0]  # not self.request, which for a refusal is one of waitress' making
        is_bodiless = self.status[:3] in ("204", "304") or self.status[:1] == "1"
        return getattr(asked, "command", None) != "HEAD" and not is_bodiless

    def build_response_header(self):
        names = {name.lower(): value.lower() for name, value in self.response_headers}
        headers = list(self.response_headers)
        if "content-length" not in names and self.has_body:
            if self.content_length is not None:
                headers.append(("Content-Length", str(self.content_length)))
            elif self.version == "1.1":
                headers.append(("Transfer-Encoding", "chunked"))
                self.chunked_response = True
            else:
                self.close_on_finish = True
        asked = self.request.headers.get("CONNECTION", "").lower()
        if asked == "close" or (self.version == "1.0" and asked != "keep-alive"):
            self.close_on_finish = True
        if self.close_on_finish and "connection" not in names:
            headers.append(("Connection", "close"))
        elif self.version == "1.0" and not self.close_on_finish:
            headers.append(("Connection", "keep-alive"))
        self._announced_close = self.close_on_finish
        lines = ["HTTP/%s %s" % (self.version, self.status)] + ["%s: %s" % header for header in headers]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def finish(self):
        if not self.has_body and not self.wrote_header:
            self.close_on_finish = False  # waitress misses the body that Content-Length announces, which is not sent
        super().finish()
        if not self.has_body:
            self.close_on_finish = self._announced_close


class ProgramTask(_PlainHeaders, WSGITask):
    """A request to the program."""

    def execute(self):
        try:
            super().execute()
        except Exception:
            raise
        except BaseException as error:  # sys.exit() ends the request, not the server
            raise RuntimeError("the program ended the request with %r" % error) from error


class RefusalTask(_PlainHeaders, ErrorTask):
    """A request that waitress answers itself: 500 after an exception, 400, 413, 431, 501."""

    def execute(self):
        error = self.request.error
        self.status = "%s %s" % (error.code, error.reason)
        body = error.reason if error.code == 500 else "%s: %s" % (error.reason, error.body)
        data = body.encode("utf-8")
        self.response_headers = [("Content-Type", "text/plain; charset=utf-8")]
        self.close_on_finish = True
        self.content_length = len(data)
        self.write(data)


class Channel(HTTPChannel):
    """One connection."""

    task_class = ProgramTask
    error_task_class = RefusalTask
