"""A server that says which pod answers, and counts how often: the smallest thing the tests can deploy."""

import os
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Greeter(BaseHTTPRequestHandler):
    """GET / names the pod; GET /metrics is what Prometheus reads."""

    greetings = 0

    def do_GET(self) -> None:
        if self.path == "/metrics":
            return self._answer(f"greetings_total {Greeter.greetings}\n")
        Greeter.greetings += 1
        return self._answer(f"{os.environ['HOSTNAME']}\n")

    def _answer(self, text: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def main() -> None:
    server = ThreadingHTTPServer(("0.0.0.0", 8000), Greeter)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    sys.stdout.write("greeting on port 8000\n")
    sys.stdout.flush()
    server.serve_forever()


main()
