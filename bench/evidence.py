"""How often the window is right: what share of releases is rolled back, and when, by simulation with a seed.

For each true error rate and each rate of requests some hundred windows of 30 s are drawn and given to the product's own
rules (``hard_triggers`` each 2 s, ``judge`` at the end), as the pipeline does. Users' requests are a Poisson process, a
fifth of them POST, on two pods; each answer is bad with the true error rate, whoever asked and whichever pod answered.
The old slot had the same traffic for 30 s and no error. The limit is the specification's 1 %.

Beside it, on windows drawn in the same way, the rules of others with the same limit of 1 %:

- naive: one division at the end of the 30 s, bad when errors / requests > 1 % (no requests: good);
- Argo Rollouts' defaults: no interval, so one measurement, and ``failureLimit`` 0, so that one decides. It begins when
  the switch is done, finds nothing, and is tried again each 10 s; with Prometheus scraping each 15 s it has the first
  data, 15 s of requests, after 20 s. Without requests its condition is not met: bad;
- Flagger's defaults: ``interval`` 60 s, ``threshold`` 1. One check of the last 60 s on live traffic (behind a mesh; on
  plain Services there is none), acted upon at the next tick, after 120 s. No values count as failed.

``make bench-evidence`` prints the table and puts it into docs/benchmarks.md; tests/unit hold the page to what the
program says.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.domain.finding import Outcome
from bluegreen.domain.image import ImageReference
from bluegreen.domain.judgement import Span, Window, hard_triggers, judge
from bluegreen.domain.reading import Histogram, Part, PodCounters, Reading, Timing
from bluegreen.domain.snapshot import Container, Pod, Snapshot, Workload
from bluegreen.domain.stack import Instant, Limits, Probe, Probes, Service, Slot, Stack

if TYPE_CHECKING:
    from collections.abc import Sequence

SEED = 20_261_129
ERRORS = (0.0, 0.001, 0.005, 0.01, 0.02, 0.05, 0.2, 1.0)
RATES = (1, 10, 100, 1_000, 10_000)
WINDOWS = 400
"""In each cell: a share of 1 % is known to within half a percent (one standard error)."""

WINDOW, LOOK = 30.0, 2.0
LIMIT = 0.01
POSTS = 0.2
PODS = 2
ARGO_SECONDS, ARGO_AT = 15.0, 20.0
FLAGGER_SECONDS, FLAGGER_AT = 60.0, 120.0
NAIVE_AT = WINDOW

PAGE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
BEGIN, END = "<!-- bench/evidence.py: begin -->", "<!-- bench/evidence.py: end -->"

_PROBE = Probe(path="/health", period=5.0)
_STACK = Stack(
    name="web",
    services=(
        Service(
            name="web",
            image="web",
            port=80,
            probes=Probes(startup=_PROBE, readiness=_PROBE, liveness=_PROBE),
        ),
    ),
)


# --- drawing ----------------------------------------------------------------------------------------------------------


class Chance:
    """Exact draws of counts, in a time that hardly grows with them."""

    def __init__(self, seed: str) -> None:
        """The same seed draws the same."""
        self._random = random.Random(seed)

    def poisson(self, mean: float) -> int:
        """How many events; by halving the time at an event that is drawn, then one by one (Ahrens and Dieter)."""
        count = 0
        while mean > 30:
            step = int(mean * 7 / 8)
            at = self._random.gammavariate(step, 1.0)
            if at > mean:
                return count + self.binomial(step - 1, mean / at)
            count, mean = count + step, mean - at
        rest, product = math.exp(-mean), self._random.random()
        while product > rest:
            count, product = count + 1, product * self._random.random()
        return count

    def binomial(self, of: int, share: float) -> int:
        """How many of so many; by the middle one of the drawn numbers, then one by one."""
        if share <= 0 or share >= 1:
            return of if share >= 1 else 0
        count = 0
        while of > 30:
            middle = of // 2 + 1
            at = self._random.betavariate(middle, of + 1 - middle)
            if at >= share:
                of, share = middle - 1, share / at
            else:
                count, of, share = count + middle, of - middle, (share - at) / (1 - at)
        return count + sum(self._random.random() < share for _ in range(of))


@dataclass(slots=True)
class Counted:
    """One pod's counters since the switch, for each method good and bad answers."""

    gets: int = 0
    bad_gets: int = 0
    posts: int = 0
    bad_posts: int = 0

    def go_on(self, chance: Chance, *, requests: float, errors: float) -> None:
        """Some time passes, in which that many requests are expected."""
        count = chance.poisson(requests)
        posts = chance.binomial(count, POSTS)
        self.gets += count - posts
        self.posts += posts
        self.bad_gets += chance.binomial(count - posts, errors)
        self.bad_posts += chance.binomial(posts, errors)


def _pods(pods: Sequence[Counted], *, slot: Slot) -> tuple[PodCounters, ...]:
    return tuple(_counters(f"web-{slot}-{number}", counted, slot) for number, counted in enumerate(pods))


def _counters(pod: str, counted: Counted, slot: Slot) -> PodCounters:
    total = counted.gets + counted.posts
    bad = counted.bad_gets + counted.bad_posts
    return PodCounters(
        pod=pod,
        service="web",
        slot=slot,
        answers=((200, total - bad), (500, bad)),
        parts=(
            Part(name="GET", answers=((200, counted.gets - counted.bad_gets), (500, counted.bad_gets))),
            Part(name="POST", answers=((200, counted.posts - counted.bad_posts), (500, counted.bad_posts))),
        ),
        latency=Histogram(timing=Timing.OVERHEAD, buckets=((150.0, total), (math.inf, total))),
    )


def _snapshot() -> Snapshot:
    pods = tuple(
        Pod(
            name=f"web-{Slot.GREEN}-{number}",
            service="web",
            slot=Slot.GREEN,
            revision="r",
            ready=True,
            containers=(Container(name="main"),),
        )
        for number in range(PODS)
    )
    green = Workload(
        service="web",
        slot=Slot.GREEN,
        image=ImageReference.parse("web:v2"),
        replicas=PODS,
        revision="r",
        pods=pods,
    )
    return Snapshot(at=Instant(0.0), routes=(), workloads=(green,))


_LIVE = _snapshot()


# --- the rules --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the product made of one window, and after how many seconds."""

    outcome: Outcome
    after: float


def our_window(chance: Chance, *, errors: float, rate: float) -> Judged:
    """One window, judged as the pipeline does."""
    old = [Counted() for _ in range(PODS)]
    start = _pods(old, slot=Slot.BLUE)
    for counted in old:
        counted.go_on(chance, requests=rate * WINDOW / PODS, errors=0.0)
    left = _pods(old, slot=Slot.BLUE)
    new = [Counted() for _ in range(PODS)]
    before = Reading(at=Instant(0.0), pods=(*_pods(new, slot=Slot.GREEN), *left))
    span = Span(begin=Reading(at=Instant(-WINDOW), pods=start), end=Reading(at=Instant(0.0), pods=left))
    now = 0.0
    while True:
        now += LOOK
        for counted in new:
            counted.go_on(chance, requests=rate * LOOK / PODS, errors=errors)
        window = _window(before, span, Reading(at=Instant(now), pods=(*_pods(new, slot=Slot.GREEN), *left)))
        if hard_triggers(window):
            return Judged(outcome=Outcome.FAIL, after=now)
        if now >= WINDOW:
            return Judged(outcome=judge(window).outcome, after=now)


def _window(before: Reading, span: Span, now: Reading) -> Window:
    return Window(
        slot=Slot.GREEN,
        limits=Limits(error_share=LIMIT),
        before=before,
        now=now,
        at_switch=_LIVE,
        live=_LIVE,
        since=Instant(0.0),
        old=span,
        stack=_STACK,
    )


def plain_share(chance: Chance, *, errors: float, rate: float, seconds: float, without: bool) -> bool:
    """Whether errors / requests of so many seconds is over the limit. ``without``: what no requests at all mean."""
    requests = chance.poisson(rate * seconds)
    if not requests:
        return without
    return chance.binomial(requests, errors) / requests > LIMIT


# --- the table --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One true error rate at one rate of requests; shares of the windows, from 0 to 1."""

    errors: float
    rate: int
    rolled_back: float
    not_proven: float
    seconds: float
    """The median time to the judgement."""
    naive: float
    argo: float
    flagger: float

    def row(self) -> str:
        """As a line of the table."""
        shares = [self.rolled_back, self.not_proven, self.naive, self.argo, self.flagger]
        ours, open_ones, naive, argo, flagger = (f"{share:.1%}" for share in shares)
        cells = [f"{self.errors:.1%}", f"{self.rate:,}", ours, open_ones, f"{self.seconds:.0f} s", naive, argo, flagger]
        return f"| {' | '.join(cells)} |"


HEAD = (
    "| true errors | requests/s | rolled back | not proven | median time | naive | Argo | Flagger |",
    "|---|---|---|---|---|---|---|---|",
)


def cell(*, errors: float, rate: int, windows: int = WINDOWS) -> Cell:
    """Draw and judge the windows of one cell; each cell has its own seed, so that it can be drawn again alone."""
    chance = Chance(f"{SEED} {errors} {rate}")
    ours = [our_window(chance, errors=errors, rate=rate) for _ in range(windows)]

    def others(seconds: float, *, without: bool) -> float:
        found = [
            plain_share(chance, errors=errors, rate=rate, seconds=seconds, without=without) for _ in range(windows)
        ]
        return sum(found) / windows

    return Cell(
        errors=errors,
        rate=rate,
        rolled_back=sum(each.outcome is Outcome.FAIL for each in ours) / windows,
        not_proven=sum(each.outcome is Outcome.INCONCLUSIVE for each in ours) / windows,
        seconds=statistics.median(each.after for each in ours),
        naive=others(WINDOW, without=False),
        argo=others(ARGO_SECONDS, without=True),
        flagger=others(FLAGGER_SECONDS, without=True),
    )


def write(rows: Sequence[str], page: Path = PAGE) -> None:
    """Put the table where the page has its marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n" + "\n".join([*HEAD, *rows]) + f"\n{END}{after}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table, and write it where that is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=WINDOWS, metavar="N", help="windows in each cell")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args(arguments)
    print(f"seed {SEED}, {options.windows} windows of {WINDOW:g} s in each cell, limit {LIMIT:.0%}")
    print(f"naive at {NAIVE_AT:g} s, Argo at {ARGO_AT:g} s, Flagger at {FLAGGER_AT:g} s; see bench/evidence.py")
    print("\n".join(HEAD), flush=True)
    rows = []
    for errors in ERRORS:
        for rate in RATES:
            rows.append(cell(errors=errors, rate=rate, windows=options.windows).row())
            print(rows[-1], flush=True)
    if options.write:
        write(rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
