"""A state folder of one machine for unit tests: nothing runs there, and its sockets lie beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.platforms.local.layout import Layout

if TYPE_CHECKING:
    from pathlib import Path


def layout_in(folder: Path) -> Layout:
    """The layout of this folder, with all that ``up`` would make of it before it writes the first file."""
    (folder / "sockets").write_text(f"{folder}/bluegreen-0-test\n")
    found = Layout(folder)
    found.prepare()
    return found
