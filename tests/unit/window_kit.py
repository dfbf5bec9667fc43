"""Windows for the tests of the judgement: two services, what each slot counted before the switch and since."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.domain_kit import BLUE, GREEN, PAIR, pair

from bluegreen.domain.reading import Arrivals, Gap, Histogram, Part, PodCounters, Reading, Timing
from bluegreen.domain.stack import Instant, Limits
from bluegreen.domain.values import dataclass
from bluegreen.domain.window import Span, Synthetic, Window

if TYPE_CHECKING:
    from bluegreen.domain.stack import Seconds, Slot

INF = float("inf")
SERVICE = "pair-front"


@dataclass(frozen=True, slots=True, kw_only=True)
class Did:
    """What a slot's pod did in a time: good and bad answers to GET and POST, and slow ones."""

    good: int = 0
    bad: int = 0
    posts: int = 0
    bad_posts: int = 0
    slow: int = 0

    @property
    def total(self) -> int:
        return self.good + self.bad + self.posts + self.bad_posts


NOTHING = Did()


def counters(slot: Slot, did: Did, *, service: str = SERVICE, parts: object = True, more: int = 1000) -> PodCounters:
    """``more``: what it had counted before."""
    gets = Part(name="GET", answers=((200, more + did.good), (500, did.bad)))
    posts = Part(name="POST", answers=((200, did.posts), (500, did.bad_posts)))
    total = more + did.total
    return PodCounters(
        pod=f"{service}-{slot}-0",
        service=service,
        slot=slot,
        answers=((200, more + did.good + did.posts), (500, did.bad + did.bad_posts)),
        parts=(gets, posts) if parts else (),
        latency=Histogram(timing=Timing.OVERHEAD, buckets=((150.0, total - did.slow), (INF, total))),
    )


def reading(at: Seconds, *pods: PodCounters, gaps: tuple[Gap, ...] = (), sent: int | None = None) -> Reading:
    arrivals = () if sent is None else (Arrivals(service=SERVICE, slot=GREEN, requests=sent),)
    return Reading(at=Instant(at), pods=pods, gaps=gaps, arrivals=arrivals)


def span(did: Did, *, seconds: Seconds = 30.0, service: str = SERVICE) -> Span:
    """The old slot's time before the switch, which is at 100."""
    return Span(
        begin=reading(100.0 - seconds, counters(BLUE, NOTHING, service=service)),
        end=reading(100.0, counters(BLUE, did, service=service)),
    )


def window(
    new: Did,
    *,
    old: Did | None = None,
    old_seconds: Seconds = 30.0,
    old_since: int = 0,
    seconds: Seconds = 30.0,
    late: Did | None = None,
    parts: object = True,
    gaps: tuple[Gap, ...] = (),
    synthetic: Synthetic | None = None,
    restarted: tuple[str, ...] = (),
    service: str = SERVICE,
) -> Window:
    """``old_since``: what the old slot answered after the switch. ``late``: what the new one had done 10 s ago."""
    was = old or NOTHING
    kept = Did(good=was.good + old_since, bad=was.bad, posts=was.posts, bad_posts=was.bad_posts, slow=was.slow)
    end = 100.0 + seconds
    return Window(
        slot=GREEN,
        limits=Limits(),
        before=reading(
            100.0, counters(GREEN, NOTHING, parts=parts, service=service), counters(BLUE, was, service=service)
        ),
        now=reading(
            end, counters(GREEN, new, parts=parts, service=service), counters(BLUE, kept, service=service), gaps=gaps
        ),
        late=None
        if late is None
        else reading(
            end - 10.0, counters(GREEN, late, parts=parts, service=service), counters(BLUE, kept, service=service)
        ),
        at_switch=pair(),
        live=pair(),
        since=Instant(100.0),
        old=span(was, seconds=old_seconds, service=service) if old is not None else None,
        stack=PAIR,
        synthetic=synthetic,
        restarted=restarted,
    )
