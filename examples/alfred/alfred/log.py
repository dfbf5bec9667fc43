"""The few lines that a process says about itself, on standard error.

No access log and no logging configuration: a log line for each request would cost more than the request.
"""

from __future__ import annotations

import os
from typing import Final

STANDARD_ERROR: Final = 2


def say(line: str) -> None:
    """Write one line, at once: the last one before a crash is the one that matters.

    Past Python's buffers, which must not be entered again by a signal that comes while they are in use.
    """
    os.write(STANDARD_ERROR, f"{line}\n".encode())
