"""Users on another slot than the newest run left them on: somebody has moved them since. Pure.

It is a fact and no error: a plan starts from what is live. It is told, and the next release's journal keeps it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.release import Outcome, RunKind
from bluegreen.domain.routing import Active, active
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bluegreen.domain.release import Run
    from bluegreen.domain.snapshot import Route
    from bluegreen.domain.stack import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Where users were left, by which run, and where they are."""

    run: str
    left: Slot
    now: Slot
    writers: tuple[str, ...] = ()
    """Who wrote the routes last, as far as the platform knows."""

    def __str__(self) -> str:
        """For the screen and the record."""
        by = f" (written last by {' and '.join(self.writers)})" if self.writers else ""
        return f"{self.run} left users on {self.left}, and somebody has moved them to {self.now} since{by}"


def drift(runs: Iterable[Run], routes: Sequence[Route]) -> Drift | None:
    """What somebody else has done since. ``runs``: newest first. None: nothing, or it cannot be told.

    It cannot while a run has not ended, or ended without knowing where users were. A split stack is told by itself.
    """
    found = active(routes)
    newest = next((run for run in runs if not _moved_nobody(run)), None)
    left = newest.serving_after if newest is not None else None
    if newest is None or left is None or not isinstance(found, Active) or found.slot is left:
        return None
    writers = tuple(dict.fromkeys(route.changed_by for route in routes if route.changed_by))
    return Drift(run=newest.id, left=left, now=found.slot, writers=writers)


def _moved_nobody(run: Run) -> bool:
    """A cold rollback that failed: users stayed where the run before had left them."""
    return run.kind is RunKind.ROLLBACK and run.outcome is Outcome.FAILED
