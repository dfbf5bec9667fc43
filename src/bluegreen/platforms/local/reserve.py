"""Room on the disk that is set aside while there is some: on a full disk it is given up, so that users can be moved.

A route is replaced by a rename, which needs room for the new file. Without a reserve a full disk would keep users on a
bad version until somebody has made room.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = "reserve"
SIZE = 1024 * 1024
"""Bytes: for the routes, the journal of a way back, and the start scripts of a slot that is put back."""


def keep(folder: Path) -> None:
    """Set the room aside, unless that was done already. Raises OSError when there is none."""
    path = folder / NAME
    if path.exists() and path.stat().st_size == SIZE:
        return
    try:
        with path.open("wb") as file:
            file.write(os.urandom(SIZE))  # what could be compressed would set nothing aside
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        path.unlink(missing_ok=True)
        raise


def give_up(folder: Path) -> bool:
    """Free the room; whether there was any."""
    try:
        (folder / NAME).unlink()
    except OSError:
        return False
    return True
