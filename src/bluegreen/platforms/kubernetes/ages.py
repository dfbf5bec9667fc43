"""Since when things are as a watch shows them, which may be cut off for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bluegreen.domain.dating import anew, dated

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Seconds


class Ages:
    """Dates what a watch shows. While it shows nothing new for it has trouble, nothing grows older.

    An API server that is away for a minute, as while its control plane is renewed, must not make a doom of what was
    seen right before: a pod may have been placed since. A connection that is made anew at once hides nothing.
    """

    BRIEF: Final[Seconds] = 5.0

    def __init__(self) -> None:
        """Nothing was seen."""
        self._seen: Snapshot | None = None
        self._blind_since: Instant | None = None

    def date(self, now: Snapshot, *, blind: bool) -> Snapshot:
        """The snapshot with its dates. ``blind``: the watch has trouble now."""
        if blind and self._blind_since is None:
            self._blind_since = now.at
        before = self._seen
        if before is not None and self._blind_since is not None and now.at - self._blind_since >= self.BRIEF:
            before = anew(before, at=now.at)
        if not blind:
            self._blind_since = None
        self._seen = dated(now, before=before)
        return self._seen
