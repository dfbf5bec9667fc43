"""A small server for the contract on Kubernetes: it says in which slot it runs, and counts its users.

BEHAVIOUR says what is wrong with it: ``never-ready``, ``cannot-start``, or nothing. On SIGTERM it goes at once.
"""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BEHAVIOUR = os.environ.get("BEHAVIOUR", "")
SLOT = os.environ["SLOT"]
TOLD = '{"ok": true, "n": 3, "list": ["a"]}'
NOT_USERS = {"/ready", "/healthz", "/metrics"}


class Tally:
    """Users' requests, all of them good ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._total = 0

    def count(self) -> None:
        with self._lock:
            self._total += 1

    def page(self) -> str:
        with self._lock:
            total = self._total
        return "\n".join(
            [
                "# TYPE demo_requests_total counter",
                *([f'demo_requests_total{{status="200"}} {total}'] if total else []),
                "# TYPE demo_overhead_ms histogram",
                f'demo_overhead_ms_bucket{{le="10.0"}} {total}',
                f'demo_overhead_ms_bucket{{le="+Inf"}} {total}',
                f"demo_overhead_ms_count {total}",
                "demo_overhead_ms_sum 0",
                "",
            ]
        )


TALLY = Tally()


class Handler(BaseHTTPRequestHandler):
    """Any path answers; two are asked by machines. A POST is answered with what it sent."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        if self.path not in NOT_USERS:
            TALLY.count()
        body = {"/metrics": TALLY.page(), "/told": TOLD}.get(self.path, f"{SLOT}\n")
        self.answer(503 if self.path == "/ready" and BEHAVIOUR == "never-ready" else 200, body)

    def do_POST(self) -> None:
        self.answer(200, self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("X-Slot", SLOT)
        self.send_header("X-Told", "yes")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        pass


def main() -> None:
    print("loading settings", flush=True)
    if BEHAVIOUR == "cannot-start":
        sys.exit("no such setting: DATABASE")
    server = ThreadingHTTPServer(("0.0.0.0", 8000), Handler)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    print("serving on port 8000", flush=True)
    server.serve_forever()


main()
