"""An OpenAI-compatible server on loopback that answers as it is told: well, badly, slowly, or never.

``FakeLlmServer(behave)`` asks ``behave(request)`` for a :class:`Reply` to each completion. It keeps a log of what was
asked. ``honest`` reads the sentences that :func:`report` writes.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODEL = "fake-model"
NOTHING = dict.fromkeys(
    ("kind", "location", "side", "size", "count", "attenuation", "malignancy", "certainty", "series", "image")
)
_SENTENCE = re.compile(
    r"(?P<size>(?P<cm>\d+(?:\.\d)?) cm) (?P<attenuation>hypodense )?(?P<kind>cyst|mass) in the "
    r"(?P<side>left |right )?(?P<organ>liver|kidney|pancreas|spleen)"
)


@dataclass(frozen=True)
class Request:
    """One completion that was asked for; ``times`` counts how often this text was, this time included."""

    text: str
    prompt: str
    body: dict
    headers: dict
    times: int


@dataclass(frozen=True)
class Reply:
    """What to send. ``content`` that is no text is sent as JSON; ``raw`` replaces the whole body."""

    content: object = None
    status: int = 200
    finish_reason: str = "stop"
    delay_s: float = 0.0
    headers: dict = field(default_factory=dict)
    disconnect: bool = False
    never: bool = False
    drip: bool = False
    raw: bytes | None = None


def report(number: int) -> str:
    """A report of its own for each number."""
    organ, side = [("liver", ""), ("kidney", "left "), ("pancreas", ""), ("spleen", "")][number % 4]
    kind = "cyst" if number % 3 else "mass"
    return f"FINDINGS:\nThere is a {number / 10 + 1:.1f} cm hypodense\n  {kind} in the {side}{organ}. No ascites."


def finding(organ: str, quote: str, **values: object) -> dict:
    """A finding of an answer; what is not given is null."""
    return {"organ": {"quote": quote, "value": organ}, **NOTHING, **values}


def quoted(quote: str, value: object) -> dict:
    return {"quote": quote, "value": value}


def honest(text: str) -> dict:
    """The right answer to a report of :func:`report`."""
    findings = []
    for match in _SENTENCE.finditer(" ".join(text.split())):
        values = {"kind": quoted(match["kind"], match["kind"])}
        values["size"] = {"quote": match["size"], "time": "current", "tenths_mm": [round(float(match["cm"]) * 100)]}
        if match["attenuation"]:
            values["attenuation"] = quoted("hypodense", "hypo")
        if match["side"]:
            values["side"] = quoted(match["side"].strip(), match["side"].strip())
        findings.append(finding(match["organ"], match["organ"], **values))
    organs = [
        {"quote": item["organ"]["quote"], "organ": item["organ"]["value"], "status": "present"} for item in findings
    ]
    return {"organs": organs, "findings": findings}


def answer_honestly(request: Request) -> Reply:
    return Reply(honest(request.text))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # all clients may come at once

    def handle_error(self, request, client_address):
        """A client that is gone before its answer is no fault of this server: nothing on stderr."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class FakeLlmServer:
    """Use it as a context manager; ``endpoint`` is its address.

    Args:
        behave: The reply to each completion.
        capacity: Completions worked on at once; None is no limit.
        models: Names it lists; None means it has no such page.
        models_status: Status of that page; ``models_raw`` replaces its body, and ``models_drip`` never ends it.
    """

    def __init__(
        self,
        behave: Callable[[Request], Reply] = answer_honestly,
        *,
        capacity: int | None = None,
        models: list[str] | None = (MODEL,),  # type: ignore[assignment]
        models_status: int = 200,
        models_raw: bytes | None = None,
        models_drip: bool = False,
        port: int = 0,
    ) -> None:
        self.behave = behave
        self.models = models
        self.models_status = models_status
        self.models_raw = models_raw
        self.models_drip = models_drip
        self.asked: list[Request] = []
        self.in_flight = self.most_in_flight = 0
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._slots = threading.Semaphore(capacity or 10_000)
        self._closing = threading.Event()
        self._http = _Server(("127.0.0.1", port), self._handler())
        self.endpoint = f"http://127.0.0.1:{self._http.server_address[1]}/v1"

    def times(self, text: str) -> int:
        """How often a text was asked for."""
        return self._counts[text]

    def __enter__(self) -> FakeLlmServer:
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._http.shutdown()
        self._http.server_close()

    def _note(self, body: dict, headers: dict) -> Request:
        prompt, text = (message["content"] for message in body["messages"])
        with self._lock:
            self._counts[text] += 1
            request = Request(text, prompt, body, headers, self._counts[text])
            self.asked.append(request)
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
        return request

    def _done(self) -> None:
        with self._lock:
            self.in_flight -= 1

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, *_: object) -> None:
                pass

            def do_GET(self) -> None:
                if self.path == "/health":
                    self._send(200, b"")
                elif not self.path.endswith("/models") or server.models is None:
                    self._send(404, b"{}")
                elif server.models_drip:
                    with suppress(BrokenPipeError, ConnectionResetError):
                        self._drip()
                else:
                    listed = json.dumps({"data": [{"id": name} for name in server.models]}).encode()
                    self._send(server.models_status, listed if server.models_raw is None else server.models_raw)

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                request = server._note(body, dict(self.headers))
                try:
                    with server._slots, suppress(BrokenPipeError, ConnectionResetError):
                        self._reply(server.behave(request))
                finally:
                    server._done()

            def _reply(self, reply: Reply) -> None:
                if reply.never or reply.delay_s:
                    server._closing.wait(None if reply.never else reply.delay_s)
                if reply.disconnect or server._closing.is_set():
                    self.close_connection = True
                    return
                if reply.drip:
                    self._drip()
                    return
                content = reply.content if isinstance(reply.content, str | None) else json.dumps(reply.content)
                choice = {"message": {"role": "assistant", "content": content}, "finish_reason": reply.finish_reason}
                usage = {"prompt_tokens": 100, "completion_tokens": 10}
                data = json.dumps({"choices": [choice], "usage": usage}).encode() if reply.raw is None else reply.raw
                self._send(reply.status, data, reply.headers)

            def _drip(self) -> None:
                self.send_response(200)
                self.send_header("Content-Length", "1000000")
                self.end_headers()
                while not server._closing.wait(0.05):
                    self.wfile.write(b" ")

            def _send(self, status: int, data: bytes, headers: dict | None = None) -> None:
                self.send_response(status)
                for name, value in (headers or {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        return Handler
