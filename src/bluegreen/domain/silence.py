"""Users who have stopped coming: nothing arrives at the new slot, although the old one had traffic.

Arrivals before the switch and after it are compared as counts of one Poisson process: given all of them, how many fall
to the time after the switch is a binomial count, and the test is exact though the true rate is not known. Requests that
users who keep a connection still make of the old slot count as well: they are not lost.

It acts at any moment, so it asks for much: a time, a count, hardly anything left, and odds of one in a million. What it
cannot know: that users come in bursts with longer pauses than QUIET between them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.finding import SILENCE, Finding, Outcome
from bluegreen.domain.odds import at_most
from bluegreen.domain.reading import counted_since, metered, risen
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.stack import Instant, Seconds, Slot
    from bluegreen.domain.window import Window

QUIET: Seconds = 10.0
"""No shorter time without a request says anything: nodes are late, connections are opened, users pause."""

OLD_MINIMUM = 20
"""Requests that the old slot must have answered before, beyond its probes."""

ODDS = 1e-6
"""By chance in one of a million looks; a window of 30 s has fifteen."""

LEFT = 0.05
"""Less than this share of what was to be expected is hardly anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quiet:
    """A service that hears next to nothing any more."""

    service: str
    heard: int
    seconds: Seconds
    before: int
    before_seconds: Seconds


def silent(window: Window) -> list[Finding]:
    """The services whose users have not come since the switch: they roll back at once.

    Not those that another service of the stack calls: a version may ask them less on purpose. Nor those where another
    process of a pod was read than at the switch: it counts from there, and nobody knows what it had answered before.
    """
    others = {each.service for each in window.before.pods if each.process is not None and each.pod in window.restarted}
    return [
        _finding(window, quiet, Outcome.FAIL, "since the switch")
        for quiet in _since_the_switch(window)
        if quiet.service not in others and (window.stack is None or quiet.service not in window.stack.needed)
    ]


def fallen_silent(window: Window) -> list[Finding]:
    """At the end: the services whose users came and have stopped, and those that their callers hardly ask any more.

    Both may be as it should be: nothing is proven.
    """
    found = {quiet.service: quiet for quiet in (*_at_the_end(window), *_since_the_switch(window))}
    return [_finding(window, quiet, Outcome.INCONCLUSIVE, "of the window") for quiet in found.values()]


def _since_the_switch(window: Window) -> list[_Quiet]:
    if window.synthetic is not None and window.synthetic.by_entry:
        return []  # the way from users' address to the new slot is open: it is they who do not come
    start = window.before
    seconds = _counted_until(window.now) - (start.at if window.since is None else window.since)
    found = [_quiet(window, name, start, seconds=seconds, ours=window.ours(name)) for name in _services(window)]
    return [quiet for quiet in found if quiet is not None]


def _at_the_end(window: Window) -> list[_Quiet]:
    late = window.late
    if late is None:
        return []
    seconds = _counted_until(window.now) - _counted_until(late)
    found = [
        _quiet(window, name, late, seconds=seconds, ours=window.ours_since_late(name)) for name in _services(window)
    ]
    return [quiet for quiet in found if quiet is not None]


def _counted_until(reading: Reading) -> Instant:
    """Until when all pods have been counted: a source that trails says nothing of what came since."""
    return min((counters.at for counters in reading.pods if counters.at is not None), default=reading.at)


def _services(window: Window) -> tuple[str, ...]:
    """Those of which all pods could be read: a pod that says nothing may be the one that users are on."""
    if window.old is None or window.stack is None or window.now.gaps or window.before.gaps:
        return ()
    old = [counters for counters in window.old.end.pods if counters.slot is window.slot.other]
    seen = {counters.pod for counters in window.before.pods}
    missed = {counters.service for counters in old if counters.pod not in seen}
    return tuple(name for name in metered(window.old.end, slot=window.slot.other) if name not in missed)


def _quiet(window: Window, service: str, start: Reading, *, seconds: Seconds, ours: int) -> _Quiet | None:
    """``ours``: our own requests since the start, which are no users.

    How many of the counted ones were probes is not known. So hardly anything may be left beyond all that they can be,
    and the odds are those of everything that was counted.
    """
    old = window.old
    assert old is not None  # noqa: S101 - _services has looked
    before = _users(window, old.begin, old.end, slot=window.slot.other, service=service)
    if seconds < QUIET or before < OLD_MINIMUM or old.seconds <= 0:
        return None
    slots = (window.slot, window.slot.other)
    heard = sum(_users(window, start, window.now, slot=slot, service=service) for slot in slots)
    heard = max(0, heard - ours)
    expected = before / old.seconds * seconds
    most = sum(counted_since(start, window.now, slot=slot, service=service) for slot in slots)
    chance = at_most(most, of=most + before, share=seconds / (old.seconds + seconds))
    if heard > LEFT * expected or chance >= ODDS:
        return None
    return _Quiet(service=service, heard=heard, seconds=seconds, before=before, before_seconds=old.seconds)


def _users(window: Window, before: Reading, now: Reading, *, slot: Slot, service: str, reads: int = 0) -> int:
    assert window.stack is not None  # noqa: S101 - _services has looked
    return risen(before, now, stack=window.stack, slot=slot, service=service, reads=reads)


def _finding(window: Window, quiet: _Quiet, outcome: Outcome, where: str) -> Finding:
    when = f"the {quiet.seconds:.0f} s since the switch"
    if outcome is not Outcome.FAIL:
        when = f"the last {quiet.seconds:.0f} s {where}"
    before = f"{window.slot.other} had {quiet.before} in {quiet.before_seconds:.0f} s before the switch"
    return Finding(
        rule=SILENCE,
        outcome=outcome,
        figures=f"{quiet.service}: {quiet.heard} requests in {when}; {before}",
        service=quiet.service,
        of=quiet.heard,
        settle="" if outcome is Outcome.FAIL else "users who come, or knowing why they do not",
    )


def left_behind(window: Window) -> list[str]:
    """What must be said of users who keep connections to the old slot: they have not met the new one."""
    if window.stack is None or window.now.arrivals:
        return []  # a data plane that counts moves them all; what it sends back is a trigger of its own
    old = window.slot.other
    counts = {
        name: count
        for name in metered(window.before, slot=old)
        if (count := _users(window, window.before, window.now, slot=old, service=name, reads=window.reads))
    }
    return [
        f"{name}: {count} requests were still answered by {old}, over connections from before the switch; how these "
        f"users fare on {window.slot} was not seen"
        for name, count in counts.items()
    ]
