"""How often each replica was started and how it ended last: the agent's own record, for when it starts anew."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bluegreen.domain.codec import from_plain, to_plain
from bluegreen.domain.snapshot import Terminated
from bluegreen.domain.values import dataclass
from bluegreen.platforms.local.files import read_or_empty, write_whole

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """One pod identity's record. ``pid`` 0: it had no process."""

    starts: int
    pid: int = 0
    last: Terminated | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    pod: str
    count: Count


def write(path: Path, counts: Mapping[str, Count]) -> None:
    """Replace the record. Raises OSError."""
    lines = [to_plain(_Line(pod=pod, count=count)) for pod, count in counts.items()]
    write_whole(path, json.dumps(lines, separators=(",", ":")))


def read(path: Path) -> dict[str, Count]:
    """The record by pod; one that cannot be read is a record that begins anew."""
    try:
        lines = [from_plain(_Line, line) for line in json.loads(read_or_empty(path) or "[]")]
    except (OSError, ValueError):
        return {}
    return {line.pod: line.count for line in lines}
