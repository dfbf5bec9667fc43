"""What is known of one request, and the compact store of all of them.

Decides nothing: what a record counts as is ``classify``'s business. All times are microseconds of the wall
clock, taken as the wall clock at the start of the run plus monotonic time since, so that a clock that is set
during the run moves nothing.
"""

from __future__ import annotations

import time
from array import array
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from bluegreen.load.plan import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

Micros = int
"""Microseconds since the epoch."""

ABNORMAL: Final = 1006
"""The code of RFC 6455 for a WebSocket that ended without a close frame."""
MOVED_CODES: Final = frozenset({1001, 1012})
"""Going away, service restart: the server told its client to connect anew (RFC 6455 7.4.1, IANA)."""


class Cause(StrEnum):
    """What was wrong with a request; exactly one for each."""

    NONE = "none"
    """Nothing: a complete and right answer."""
    WRONG_STATUS = "wrong_status"
    WRONG_BODY = "wrong_body"
    TOO_SLOW = "too_slow"
    """Complete and right, but later than the plan's ``slow_over_ms``."""
    RESET_BEFORE_FIRST_BYTE = "reset_before_first_byte"
    """The connection ended, by RST or FIN, before any byte of the answer."""
    RESET_AFTER_FIRST_BYTE = "reset_after_first_byte"
    """The connection was reset in the middle of the answer."""
    TRUNCATED = "truncated"
    """The connection was ended in good order in the middle of the answer, or the answer had no length at all:
    then its end cannot be told from a break."""
    MALFORMED = "malformed"
    """Bytes that are not an HTTP or WebSocket answer."""
    CONNECT_REFUSED = "connect_refused"
    CONNECT_TIMEOUT = "connect_timeout"
    CONNECT_FAILED = "connect_failed"
    """Any other answer of the network, such as no route to host."""
    NO_CONNECTION = "no_connection"
    """The generator had no connection left to use: by its own limit, or the system's. Not known to be the
    server's fault, and not shown to be right: it counts as failed."""
    TIMEOUT = "timeout"
    WS_CLOSED = "ws_closed"
    """The WebSocket ended before the echo, or with nothing under way; the record has the code."""
    IN_FLIGHT_AT_END = "in_flight_at_end"
    """The generator was told twice to stop and no longer waited for the answer."""


COMPLETE: Final = frozenset({Cause.NONE, Cause.WRONG_STATUS, Cause.WRONG_BODY, Cause.TOO_SLOW})
"""The causes of requests that got a whole answer."""


class Break(StrEnum):
    """How a connection ended: what a client library would make of it depends on this."""

    NONE = "none"
    FRESH_EOF = "fresh_eof"
    FRESH_RESET = "fresh_reset"
    STALE_EOF = "stale_eof"
    """On a connection that had served before. Many libraries repeat a GET here in secret, and never a POST."""
    STALE_RESET = "stale_reset"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended, as its client saw it."""

    cause: Cause = Cause.NONE
    status: int = 0
    """The HTTP status; 0: none arrived, or an echo on a WebSocket."""
    code: int = 0
    """The close code of a WebSocket; 0: it did not end."""
    slot: str = ""
    version: str = ""
    how: Break = Break.NONE
    fault_at: Micros | None = None
    """When a break was seen, where that is not the end of the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One request, from due to done."""

    kind: Kind
    due: Micros
    sent: Micros
    """When the generator began with it: connecting included."""
    end: Micros
    fault: Micros
    """When the fault was seen: ``end``, or earlier where an idle connection had broken before it was used."""
    cause: Cause = Cause.NONE
    status: int = 0
    code: int = 0
    slot: str = ""
    version: str = ""
    how: Break = Break.NONE

    @property
    def complete(self) -> bool:
        """Whether a whole answer arrived."""
        return self.cause in COMPLETE


class Clock:
    """The wall clock of a run, which never jumps."""

    def __init__(self) -> None:
        """Tie monotonic time to the wall clock, now."""
        self._zero = time.monotonic_ns()
        self.start: Micros = time.time_ns() // 1000

    def now(self) -> Micros:
        """The present microsecond."""
        return self.start + (time.monotonic_ns() - self._zero) // 1000


_KINDS: Final = tuple(Kind)
_CAUSES: Final = tuple(Cause)
_BREAKS: Final = tuple(Break)
_MANY: Final = 1000
_OTHERS: Final = ("(more)", "(more)")


class Records:
    """All records of a run in about 26 bytes each; what it gives back equals what was added."""

    def __init__(self, *, start: Micros) -> None:
        """``start``: no time of any record lies before it, nor more than 71 minutes after it."""
        self.start = start
        self._times = array("I")
        self._small = array("B")
        self._words = array("H")
        self._names: dict[tuple[str, str], int] = {}

    def __len__(self) -> int:
        """How many requests were accounted for."""
        return len(self._times) // 4

    def add(self, record: Record) -> None:
        """Keep one record."""
        start = self.start
        self._times.extend((record.due - start, record.sent - start, record.end - start, record.fault - start))
        causes = (_KINDS.index(record.kind), _CAUSES.index(record.cause), _BREAKS.index(record.how))
        self._small.extend(causes)
        self._words.extend((record.status, record.code, self._name(record.slot, record.version)))

    def __iter__(self) -> Iterator[Record]:
        """The records in the order in which they ended."""
        names = list(self._names)
        return (self._record(index, names) for index in range(len(self)))

    def _record(self, index: int, names: list[tuple[str, str]]) -> Record:
        due, sent, end, fault = self._times[4 * index : 4 * index + 4]
        kind, cause, how = self._small[3 * index : 3 * index + 3]
        status, code, name = self._words[3 * index : 3 * index + 3]
        slot, version = names[name]
        return Record(
            kind=_KINDS[kind],
            due=self.start + due,
            sent=self.start + sent,
            end=self.start + end,
            fault=self.start + fault,
            cause=_CAUSES[cause],
            status=status,
            code=code,
            slot=slot,
            version=version,
            how=_BREAKS[how],
        )

    def _name(self, slot: str, version: str) -> int:
        """The number of that pair; a server that invents a version for each answer fills no memory."""
        pair = (slot, version)
        if pair not in self._names and len(self._names) >= _MANY:
            pair = _OTHERS
        return self._names.setdefault(pair, len(self._names))
