"""A pod that can answer in every way that matters to whoever asks it through the API server, or not at all.

MODE: ``answers`` listens; ``deaf`` runs and listens nowhere; ``crashes`` says a few lines and ends with 3.
"""

import json
import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

STATUS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": 503, "message": "mine"}


class Talker(BaseHTTPRequestHandler):
    """One path for each way."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        way = self.path.partition("?")[0]
        if way == "/hangs":
            time.sleep(60)
        elif way == "/closes":
            self.close_connection = True
        elif way == "/garbage":
            self.wfile.write(b"nothing that is HTTP\r\n\r\n")
            self.close_connection = True
        elif way == "/cut":
            self._head(200, 100)
            self.wfile.write(b"half")
            self.close_connection = True
        elif way == "/status":
            self._answer(503, json.dumps(STATUS))
        elif way == "/metrics":
            self._answer(200, 'hits_total{status="200"} 3\ntook_ms_bucket{le="+Inf"} 3\n')
        elif way == "/redirect":
            self._head(302, 0, Location="/other")
        elif way == "/ready":
            self._answer(200 if os.environ.get("READY", "1") == "1" else 503, "ready?\n")
        else:
            code = int(way.strip("/")) if way.strip("/").isdigit() else 200
            self._answer(code, f"{os.environ['HOSTNAME']}\n")

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-Slot", os.environ.get("SLOT", ""))
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _answer(self, status: int, text: str) -> None:
        self._head(status, len(text), **{"Content-Type": "text/plain"})
        self.wfile.write(text.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing of each request."""


def main() -> None:
    mode = os.environ.get("MODE", "answers")
    sys.stdout.write("started \x1b[31mred\x1b[0m\n")
    sys.stdout.write(os.environ.get("SAY", "") + "\n")
    sys.stdout.flush()
    if mode == "crashes":
        sys.stdout.write("cannot read the settings\n")
        sys.exit(3)
    if mode == "deaf":
        time.sleep(3600)
    ThreadingHTTPServer(("0.0.0.0", 8000), Talker).serve_forever()


main()
