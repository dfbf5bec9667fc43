"""The last lines of logs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.cli.views.paper import Paper
    from bluegreen.ports import LogTail


def log_lines(paper: Paper, tails: Sequence[LogTail]) -> list[str]:
    """Each log's lines as they are, under the place of the whole of it."""
    if not tails:
        return paper.paragraph("no log yet")
    lines: list[str] = []
    for tail in tails:
        lines.append(paper.paint(f"==> {clean(tail.where)} <==", "bold"))
        lines += [clean(line) for line in tail.lines] or ["(empty)"]
    return lines
