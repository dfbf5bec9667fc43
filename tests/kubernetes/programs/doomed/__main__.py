"""A program that is bad in the way that MODE says, or good; a few lines of log first.

MODE: ``good`` listens, ready after SLOW seconds; ``crashes`` ends with 3 at once; ``exits`` ends with 0; ``hog`` takes
memory until it is killed; ``later`` ends with 5 after LATER seconds; ``once`` ends with 4 in its first life in a pod,
then is good; ``fills`` writes more than its volume may hold; ``sick`` is never ready; ``dead`` never healthy.
"""

import os
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

MODE = os.environ.get("MODE", "good")
BEGUN = time.monotonic()
SLOW = float(os.environ.get("SLOW", "0"))
MARKS = Path("/marks")


class Doomed(BaseHTTPRequestHandler):
    """Two paths: ``/ready`` and ``/health``."""

    def do_GET(self) -> None:
        warm = time.monotonic() - BEGUN >= SLOW
        good = MODE != "dead" and (self.path != "/ready" or MODE != "sick") and warm
        self.send_response(200 if good else 503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
        """Say nothing of each request."""


def end_in_first_life() -> None:
    mark = MARKS / "lived"
    if not mark.exists():
        mark.touch()
        sys.exit(4)


def take_memory() -> None:
    taken = []
    while True:
        taken.append(bytearray(8 << 20))


def fill() -> None:
    (MARKS / "much").write_bytes(bytes(32 << 20))


def end_later() -> None:
    time.sleep(float(os.environ.get("LATER", "3")))
    os._exit(5)


def main() -> None:
    sys.stdout.write(f"mode {MODE}, password=canary-4711\n")
    sys.stdout.flush()
    match MODE:
        case "crashes":
            sys.exit(3)
        case "exits":
            return
        case "hog":
            take_memory()
        case "once":
            end_in_first_life()
        case "fills":
            fill()
        case "later":
            threading.Thread(target=end_later, daemon=True).start()
    ThreadingHTTPServer(("0.0.0.0", 8000), Doomed).serve_forever()


main()
