"""The reference pages, written from the program itself: ``make docs`` writes them, a test says when they are stale.

Nothing here knows a command, an option, an exit code, a key of the app file, a right or an event by name: what the
program gains appears on its page by running this again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scripts.reference.appfile import app_file
from scripts.reference.commands import commands
from scripts.reference.exits import exit_codes
from scripts.reference.rights import rights
from scripts.reference.values import json_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGES: Mapping[str, Callable[[], str]] = {
    "commands.md": commands,
    "exit-codes.md": exit_codes,
    "app-file.md": app_file,
    "rights.md": rights,
    "json.md": json_lines,
}
"""Each page's name in docs/reference, and what writes its text."""
