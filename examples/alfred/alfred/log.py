"""The few lines that a process says about itself, on standard error.

No access log and no logging configuration: a log line for each request would cost more than the request.
"""

from __future__ import annotations

import sys


def say(line: str) -> None:
    """Write one line, at once: the last one before a crash is the one that matters."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
