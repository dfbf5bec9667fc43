"""Programs that outlived their supervisord: found by their pid files, kept on record until they are ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.platforms.local import processes
from bluegreen.platforms.local.programs import AGENT, ENVOY

if TYPE_CHECKING:
    from bluegreen.domain.stack import Instant
    from bluegreen.platforms.local.layout import Layout
    from bluegreen.platforms.local.processes import Process
    from bluegreen.ports import Clock

_MARK = ".orphan-"
_OTHERS = frozenset({ENVOY, "supervisord"})
"""Envoy is taken over from by the next one; supervisord is nobody's child."""


class Orphans:
    """The orphans of one state folder."""

    def __init__(self, layout: Layout) -> None:
        """Nothing is looked for yet."""
        self._pids = layout.pids

    def adopt(self) -> list[Process]:
        """Put every living replica on record as an orphan, under a name that no new program will overwrite.

        For when supervisord is known to be dead. An orphaned agent has nothing left to do, and is told to end.
        """
        for path in sorted(self._pids.iterdir()):
            if _MARK in path.name or path.name in _OTHERS or path.name.startswith("."):
                continue
            process = processes.recorded(path)
            if process is None:
                path.unlink(missing_ok=True)
            else:
                path.rename(path.with_name(f"{path.name}{_MARK}{process.pid}"))
        return self.living()

    def living(self) -> list[Process]:
        """The orphans on record that still live, the agent not among them."""
        found = (processes.recorded(path) for path in self._pids.glob(f"*{_MARK}*") if not path.name.startswith(AGENT))
        return [process for process in found if process is not None]

    def end(self, *, clock: Clock, until: Instant) -> None:
        """Ask them to end, kill what is left at ``until``, and forget them. Raises PlatformError for what stays."""
        paths = list(self._pids.glob(f"*{_MARK}*"))
        found = [processes.recorded(path) for path in paths]
        processes.end_all([process for process in found if process is not None], clock=clock, until=until)
        for path in paths:
            path.unlink(missing_ok=True)
