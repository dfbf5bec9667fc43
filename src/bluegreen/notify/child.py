"""Sends one notice to one URL, as a process of its own: ``python -m bluegreen.notify.child``.

It reads what to send from its standard input, where no other process can see it, and answers with one word. Whatever
the library logs may hold the URL, so it logs nothing; and it may leave threads behind, so it ends without waiting.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Final

SENT: Final = "sent"
NOT_TAKEN: Final = "not taken"
UNKNOWN: Final = "unknown"
MISSING: Final = "missing"


def main() -> None:
    """Send it."""
    wanted: dict[str, str] = json.load(sys.stdin)
    sys.stdout.write(_send(wanted))
    sys.stdout.flush()
    os._exit(0)


def _send(wanted: dict[str, str]) -> str:
    try:
        import apprise
    except ImportError:
        return MISSING
    logging.disable(logging.CRITICAL)
    sender = apprise.Apprise(asset=apprise.AppriseAsset(app_id="bluegreen", secure_logging=True))
    if not sender.add(wanted["url"]):
        return UNKNOWN
    taken = sender.notify(
        title=wanted["title"],
        body=wanted["text"],
        notify_type=apprise.NotifyType(wanted["kind"]),
        body_format=apprise.NotifyFormat.TEXT,
    )
    return SENT if taken else NOT_TAKEN


if __name__ == "__main__":
    main()
