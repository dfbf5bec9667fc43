"""Since when things are as a watch shows them, which may be cut off for a while."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.dating import anew, dated

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Snapshot


class Ages:
    """Dates what a watch shows. While it shows nothing new for it has trouble, nothing grows older.

    An API server that is away for a minute, as while its control plane is renewed, must not make a doom of what was
    seen right before: a pod may have been placed since.
    """

    def __init__(self) -> None:
        """Nothing was seen."""
        self._seen: Snapshot | None = None
        self._blind = False

    def date(self, now: Snapshot, *, blind: bool) -> Snapshot:
        """The snapshot with its dates. ``blind``: the watch has trouble now."""
        before = self._seen
        if before is not None and (blind or self._blind):
            before = anew(before, at=now.at)
        self._blind = blind
        self._seen = dated(now, before=before)
        return self._seen
