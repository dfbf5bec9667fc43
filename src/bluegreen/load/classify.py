"""Which column a request counts in: one pure function over one record.

The columns are those of docs/design.md, "Counting requests": ``failed`` is anything a user lost that is ours to
keep, ``answered_badly`` are complete answers that carry the bad version's own header, ``lost_to_crash`` are
breaks while a pod of the new slot was dying. ``moved`` are messages on a WebSocket whose server told its client
to connect anew before it answered them: not lost without a word, and not answered either, so they hide in no
other column.

Which versions are bad and when something was dying, the caller says: the generator cannot know.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bluegreen.load.record import ABNORMAL, MOVED_CODES, Cause, Record

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from bluegreen.load.record import Micros


class Column(StrEnum):
    """Where a request is counted; each in exactly one."""

    OK = "ok"
    MOVED = "moved"
    FAILED = "failed"
    ANSWERED_BADLY = "answered_badly"
    LOST_TO_CRASH = "lost_to_crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class CrashWindow:
    """A time in which something of one slot was dying, in nanoseconds of the wall clock, both ends included."""

    start_ns: int
    end_ns: int
    slot: str = ""
    """The slot it belonged to; empty: any."""
    version: str = ""
    """The version it ran; empty: any."""
    bare: bool = False
    """Whether no proxy accepts connections in the name of the dead, as it is behind a Kubernetes Service: then a new
    connection to one of them is refused, or finds no way."""

    def excuses(self, record: Record) -> bool:
        """Whether the request broke by what was dying then, and no answer of it names somebody else.

        A break before the first byte names nobody, so it may have been the one that was dying. A connection that finds
        nobody was lost when it was begun, not when it was given up.
        """
        if self.bare and record.cause in _NOBODY_THERE:
            return self._covers(record.sent)
        if not _broken(record) or not self._covers(record.fault):
            return False
        return _may_be(record.slot, self.slot) and _may_be(record.version, self.version)

    def _covers(self, at: Micros) -> bool:
        return self.start_ns <= at * 1000 <= self.end_ns


def classify(record: Record, *, bad_versions: AbstractSet[str], crash_windows: Sequence[CrashWindow]) -> Column:
    """The column of ``record``.

    An answer that is only too slow, of a version that nobody called bad, is ``ok``: late is not lost. Its cause
    stays in the tables.
    """
    if record.cause is Cause.NONE:
        return Column.OK
    if record.cause is Cause.WS_CLOSED and record.code in MOVED_CODES:
        return Column.MOVED
    if record.complete and record.version and record.version in bad_versions:
        return Column.ANSWERED_BADLY
    if record.cause is Cause.TOO_SLOW:
        return Column.OK
    if any(window.excuses(record) for window in crash_windows):
        return Column.LOST_TO_CRASH
    return Column.FAILED


_BREAKS: Final = frozenset({Cause.RESET_BEFORE_FIRST_BYTE, Cause.RESET_AFTER_FIRST_BYTE, Cause.TRUNCATED})
_NOBODY_THERE: Final = frozenset({Cause.CONNECT_REFUSED, Cause.CONNECT_FAILED, Cause.CONNECT_TIMEOUT})
_PROXY_SAYS_BROKEN: Final = frozenset({502, 503})


def _broken(record: Record) -> bool:
    """Whether a connection broke: this client's own, or a proxy's to its upstream.

    A proxy tells a reset by answering in its own name: 502 or 503 without the headers of any slot.
    """
    if record.cause is Cause.WS_CLOSED:
        return record.code == ABNORMAL
    if record.cause is Cause.WRONG_STATUS:
        return record.status in _PROXY_SAYS_BROKEN and not (record.slot or record.version)
    return record.cause in _BREAKS


def _may_be(seen: str, wanted: str) -> bool:
    return not seen or not wanted or seen == wanted
