"""What probes make of a process, as a table over time."""

from __future__ import annotations

import pytest

from bluegreen.domain.stack import Instant, Probe, Probes
from bluegreen.platforms.local.probes import EAGER, Answer, Health, Kind, due, judged, newborn

PROBES = Probes(
    startup=Probe(path="/healthz", period=3, failures=30),
    readiness=Probe(path="/ready", period=5, failures=3),
    liveness=Probe(path="/live", period=10, failures=3),
)
GOOD, BAD = Answer(status=200), Answer(status=503)
REFUSED = Answer(why="was refused: nobody listens")


def played(*answers: Answer, seconds: float = 1000.0, start: Health | None = None) -> tuple[Health, list[str]]:
    """Answer each probe when it is due; the probes in order with their times."""
    health = start or newborn(Instant(0.0))
    asked = []
    for answer in answers:
        kind, at = due(health)
        if at > seconds:
            break
        asked.append(f"{kind}@{at:g}")
        health = judged(health, kind, answer, probes=PROBES, now=at)
    return health, asked


def test_one_that_answers_is_ready_at_once() -> None:
    health, asked = played(GOOD, GOOD)

    assert health.ready
    assert health.started
    assert asked == ["startup@0", "readiness@0"]


def test_one_that_is_starting_is_asked_four_times_a_second() -> None:
    health, asked = played(REFUSED, REFUSED, GOOD, BAD, GOOD)

    assert health.ready
    assert asked == ["startup@0", "startup@0.25", "startup@0.5", "readiness@0.5", "readiness@0.75"]


def test_a_ready_one_is_asked_by_its_periods() -> None:
    _, asked = played(*[GOOD] * 7)

    assert asked == [
        *("startup@0", "readiness@0", "readiness@5", "readiness@10", "liveness@10", "readiness@15", "readiness@20"),
    ]


def test_it_takes_failures_in_a_row_to_lose_readiness_and_one_answer_to_regain_it() -> None:
    def then(health: Health, *answers: Answer) -> Health:
        for answer in answers:
            health = judged(health, Kind.READINESS, answer, probes=PROBES, now=Instant(50.0))
        return health

    ready, _ = played(GOOD, GOOD)

    assert then(ready, BAD, BAD, GOOD, BAD, BAD).ready
    lost = then(ready, BAD, BAD, BAD)
    assert not lost.ready
    assert lost.failing == "readiness: GET /ready answered 503"
    assert lost.readiness_due == 50 + EAGER
    again = then(lost, GOOD)
    assert again.ready
    assert again.failing == ""


def test_one_that_never_starts_is_hopeless_after_the_startup_window() -> None:
    window = PROBES.startup.window
    before, _ = played(*[REFUSED] * int(window / EAGER))
    assert not before.hopeless

    after, _ = played(*[REFUSED] * int(window / EAGER + 1))

    assert after.hopeless == "startup: GET /healthz was refused: nobody listens"


def test_one_that_is_alive_in_name_only_is_hopeless_after_failures_in_a_row() -> None:
    health, _ = played(GOOD, GOOD)
    for answer in (BAD, BAD, GOOD, BAD, BAD):
        health = judged(health, Kind.LIVENESS, answer, probes=PROBES, now=Instant(50.0))
    assert not health.hopeless

    health = judged(health, Kind.LIVENESS, BAD, probes=PROBES, now=Instant(60.0))

    assert health.hopeless == "liveness: GET /live answered 503"


@pytest.mark.parametrize(("status", "good"), [(199, False), (200, True), (399, True), (400, False), (None, False)])
def test_statuses_are_judged_as_on_kubernetes(status: int | None, good: bool) -> None:  # noqa: FBT001 - a table
    assert Answer(status=status).good is good


def test_a_newborn_is_unasked_until_something_is_known() -> None:
    assert newborn(Instant(0.0)).unasked
    assert not played(REFUSED)[0].unasked
    assert not played(GOOD, BAD)[0].unasked
    assert not played(GOOD, GOOD)[0].unasked
