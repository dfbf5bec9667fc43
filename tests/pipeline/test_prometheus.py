"""Releases whose window is judged from a Prometheus server: good and bad versions, and every way it can let us down."""

from __future__ import annotations

import re
from itertools import cycle
from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.errors import ExitCode
from bluegreen.domain.events import Note, PhaseDone, Waiting, Warned
from bluegreen.domain.plan import Options
from bluegreen.domain.release import Outcome
from bluegreen.domain.stack import Prometheus, Slot
from bluegreen.domain.values import replace
from bluegreen.metrics.prometheus import PrometheusMetrics
from bluegreen.pipeline.release import release
from bluegreen.testing import Behaviour, FakePrometheus, Rehearsal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bluegreen.metrics.prometheus_answer import Row
    from bluegreen.testing.prometheus import Trouble

WINDOW = Options(validation_time=30.0)
HTML = b"<html><body>503 Service Temporarily Unavailable</body></html>"
REFUSED = b'{"status":"error","errorType":"execution","error":"query processing would load too many samples"}'
PARTIAL = b'{"status":"success","warnings":["a store is away"],"data":{"resultType":"vector","result":[]}}'
NOTHING = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
GREEN_POD = "pair-front-green"


def rehearse(*, interval: float = 1.0) -> tuple[Rehearsal, FakePrometheus]:
    """A stack on a platform whose data plane does not count, scraped for a while already."""
    rehearsal = Rehearsal()
    rehearsal.platform.plane_counts = False
    server = rehearsal.scraped_by(interval=interval)
    rehearsal.clock.wait(until=rehearsal.tools().limit(3 * interval))
    return rehearsal, server


def warnings(rehearsal: Rehearsal) -> list[str]:
    return [event.text for event in rehearsal.events if isinstance(event, Warned)]


def why(rehearsal: Rehearsal) -> str:
    ended = rehearsal.last_run().ended
    assert ended is not None
    return ended.why


@pytest.mark.parametrize("interval", [1.0, 5.0, 15.0, 30.0, 60.0])
def test_a_good_release_is_proven_whatever_the_scrape_interval(interval: float) -> None:
    rehearsal, _ = rehearse(interval=interval)
    began = rehearsal.clock.now()
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.RELEASED, why(rehearsal)
    assert rehearsal.clock.now() - began <= 32.0 + 2 * (interval + 1.0)
    assert warnings(rehearsal) == []


def test_a_long_interval_is_told_before_the_release() -> None:
    rehearsal, _ = rehearse(interval=30.0)
    rehearsal.deploy("v2", options=WINDOW)
    notes = [event.text for event in rehearsal.events if isinstance(event, Note)]
    assert (
        "Prometheus scrapes each 30 s: the switch waits for the first scrape of the new pods, the end of the window "
        "for the last" in notes
    )


def test_the_windows_end_waits_for_the_scrape_that_holds_it_and_no_longer() -> None:
    """Scrapes at 30, 40, ...; the window is from 40 to 70: the scrape at 80 is the first to hold all of it."""
    rehearsal, _ = rehearse(interval=10.0)
    assert rehearsal.clock.now() == 30.0
    rehearsal.deploy("v2", options=WINDOW)
    assert rehearsal.last_run().outcome is Outcome.RELEASED
    assert 80.0 <= rehearsal.clock.now() <= 80.6


@pytest.mark.parametrize("interval", [1.0, 15.0, 60.0])
def test_without_an_entry_address_the_pods_scraped_counters_are_the_witness(interval: float) -> None:
    """They are known from before the switch, for the first scrape of the new pods was waited for."""
    rehearsal, _ = rehearse(interval=interval)
    rehearsal.platform.entry_answers = False
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.RELEASED, why(rehearsal)


def test_the_first_scrape_of_the_new_pods_is_waited_for_and_told() -> None:
    """Scrapes at 90, 120, ...: the pods of the release are there at 91."""
    rehearsal, _ = rehearse(interval=30.0)
    rehearsal.deploy("v2", options=WINDOW)
    waits = [event for event in rehearsal.events if isinstance(event, Waiting) and "counters" in event.wants[0]]
    assert waits[0].wants[0].startswith("the first counters of green: pair-front-green")
    assert waits[0].waited + waits[0].left == 36.0
    routed = rehearsal.clock.wall() - rehearsal.clock.now() + 120.0
    assert rehearsal.last_run().moves
    confirmed = rehearsal.last_run().confirmed
    assert confirmed is not None
    assert confirmed.mark is not None
    assert confirmed.mark.gaps == ()
    assert routed <= confirmed.mark.at < routed + 1.0


def test_new_pods_that_are_never_scraped_hold_a_release_up_for_one_interval_and_a_few_seconds() -> None:
    rehearsal, server = rehearse(interval=15.0)
    server.trouble.bend = lambda labels, value: None if labels["pod"].startswith(GREEN_POD) else (labels, value)
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.NOT_PROVEN
    confirmed = rehearsal.last_run().confirmed
    assert confirmed is not None
    assert confirmed.mark is not None
    assert 21.0 <= confirmed.mark.at - (rehearsal.clock.wall() - rehearsal.clock.now() + 45.0) < 23.0


def test_counters_that_nobody_has_of_the_old_slot_either_are_not_waited_for() -> None:
    rehearsal, server = rehearse(interval=15.0)
    server.trouble.bend = lambda labels, value: None if "front" in labels["pod"] else (labels, value)
    rehearsal.clock.wait(until=rehearsal.tools().limit(600.0))
    rehearsal.deploy("v2", options=WINDOW)
    assert not [event for event in rehearsal.events if isinstance(event, Waiting) and "counters" in event.wants[0]]


@pytest.mark.parametrize("interval", [1.0, 15.0])
@pytest.mark.parametrize(
    ("how", "rule"),
    [
        (Behaviour(errors=0.05), "error share"),
        (Behaviour(errors=1.0), "over half"),
        (Behaviour(slow=0.2), "P95 overhead"),
    ],
)
def test_a_bad_release_is_rolled_back(how: Behaviour, rule: str, interval: float) -> None:
    rehearsal, _ = rehearse(interval=interval)
    rehearsal.platform.behaviours["v2"] = how
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.ROLLED_BACK
    assert rule in why(rehearsal)
    assert rehearsal.routes == (Slot.BLUE, Slot.BLUE)


def down(trouble: Trouble) -> None:
    trouble.down = True


def slow(trouble: Trouble) -> None:
    trouble.slow = True


def blind(trouble: Trouble) -> None:
    trouble.blind = True


def page(body: bytes) -> Callable[[Trouble], None]:
    def act(trouble: Trouble) -> None:
        trouble.page = body

    return act


def bent(
    change: Callable[[Mapping[str, str], float], tuple[Mapping[str, str], float] | None],
) -> Callable[[Trouble], None]:
    """What is scraped of the new slot from then on."""

    def act(trouble: Trouble) -> None:
        trouble.bend = lambda labels, value: (
            change(labels, value) if labels["pod"].startswith(GREEN_POD) else (labels, value)
        )

    return act


def ahead(trouble: Trouble) -> None:
    trouble.ahead = 120.0


def nan(labels: Mapping[str, str], value: float) -> tuple[Mapping[str, str], float]:
    return labels, value if labels["__name__"] == "up" else float("nan")


def a_rate(labels: Mapping[str, str], value: float) -> tuple[Mapping[str, str], float]:
    return labels, value if labels["__name__"] == "up" else value + 0.5


def no_requests(labels: Mapping[str, str], value: float) -> tuple[Mapping[str, str], float] | None:
    return None if labels["__name__"] == "requests_total" else (labels, value)


def not_scraped(labels: Mapping[str, str], value: float) -> tuple[Mapping[str, str], float] | None:
    return (labels, 0.0) if labels["__name__"] == "up" else None


def strangers(labels: Mapping[str, str], value: float) -> tuple[Mapping[str, str], float]:
    return {**labels, "pod": "somebody-elses"}, value


def twice(labels: Mapping[str, str], value: float) -> tuple[Mapping[str, str], float]:
    """Some of the pod's series come from another job."""
    return ({**labels, "job": "again"} if labels.get("status") == "500" else labels), value


LET_DOWN: list[tuple[str, Callable[[Trouble], None], str]] = [
    ("down", down, "Prometheus cannot be reached: connection refused"),
    ("slow", slow, "Prometheus does not answer within"),
    ("an error page", page(HTML), "something that is no answer of a Prometheus"),
    ("status error", page(REFUSED), "Prometheus refuses the query: 'execution' 'query processing would load"),
    ("a partial answer", page(PARTIAL), "so its numbers may not be whole: 'a store is away'"),
    ("knows nothing", page(NOTHING), "Prometheus does not tell when it was scraped: it has no up of it"),
    ("cuts JSON off", page(NOTHING[:-9]), "something that is no answer of a Prometheus"),
    ("old samples", blind, "before the window's end|has nothing of it from the last"),
    ("clock ahead", ahead, "from 1\\d\\d s in the future"),
    ("NaN", bent(nan), "requests_total is nan, which is no count"),
    ("a rate", bent(a_rate), "which is no count"),
    ("the metric vanishes", bent(no_requests), "Prometheus has no requests_total of it"),
    ("scrapes fail", bent(not_scraped), "Prometheus could not scrape it at its last try"),
    ("other pods only", bent(strangers), "it has no up of it"),
    ("two jobs", bent(twice), "has requests_total of it twice, with job 'again' and 'pods': narrow the query"),
]


@pytest.mark.parametrize(("act", "reason"), [row[1:] for row in LET_DOWN], ids=[row[0] for row in LET_DOWN])
@pytest.mark.parametrize("interval", [1.0, 10.0])
def test_a_server_that_lets_us_down_in_the_window_leaves_the_release_unproven(
    act: Callable[[Trouble], None], reason: str, interval: float
) -> None:
    """Never a pass, never a rollback, never a crash; the reason is named, and the window ends in time."""
    rehearsal, server = rehearse(interval=interval)
    began = rehearsal.clock.now()
    rehearsal.clock.at(began + 15.0, lambda: act(server.trouble))
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.NOT_PROVEN
    assert re.search(reason, why(rehearsal)), why(rehearsal)
    assert rehearsal.routes == (Slot.GREEN, Slot.GREEN)
    assert rehearsal.clock.now() - began <= 32.0 + 2 * (interval + 1.0) + 5.0


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        (down, "Prometheus cannot be reached: connection refused"),
        (slow, "Prometheus does not answer within 5.0 s"),
        (page(HTML), "something that is no answer of a Prometheus"),
        (page(NOTHING), "it has no up of it"),
    ],
    ids=["down", "slow", "an error page", "knows nothing"],
)
def test_what_will_be_unproven_is_told_before_the_first_write(act: Callable[[Trouble], None], reason: str) -> None:
    rehearsal, server = rehearse()
    act(server.trouble)
    rehearsal.deploy("v2", options=WINDOW)
    told = next(at for at, event in enumerate(rehearsal.events) if isinstance(event, Warned))
    assert any(isinstance(event, PhaseDone) for event in rehearsal.events[told:])
    assert reason in warnings(rehearsal)[0]
    assert "pair-front" in warnings(rehearsal)[0]
    assert "will end as not proven" in warnings(rehearsal)[0]
    assert rehearsal.last_run().outcome is Outcome.NOT_PROVEN


def test_a_crash_is_told_at_once_though_the_server_hangs() -> None:
    """Counters are not all that a window looks at, and a slow server must not hide the rest."""
    rehearsal, server = rehearse()
    server.trouble.slow = True
    rehearsal.platform.behaviours["v2"] = Behaviour(crash_after=15.0)
    began = rehearsal.clock.now()
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.ROLLED_BACK
    assert "crash" in why(rehearsal)
    assert rehearsal.clock.now() - began < 40.0


def test_errors_prove_a_release_bad_though_the_last_scrape_is_missing() -> None:
    rehearsal, server = rehearse(interval=10.0)
    rehearsal.platform.behaviours["v2"] = Behaviour(errors=0.2)
    rehearsal.clock.at(rehearsal.clock.now() + 28.0, lambda: blind(server.trouble))
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.ROLLED_BACK
    assert "error share" in why(rehearsal)


def test_counters_that_come_with_the_first_request_are_counted_from_nothing_and_not_waited_for() -> None:
    """As many libraries write them: no series before the first event, neither of requests nor of times."""
    rehearsal, server = rehearse(interval=5.0)
    server.trouble.bend = lambda labels, value: (labels, value) if value else None
    began = rehearsal.clock.now()
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.RELEASED, why(rehearsal)
    assert rehearsal.clock.now() - began < 45.0
    tallied = rehearsal.last_run().tallied
    assert tallied is not None
    assert tallied.gaps == ()


@pytest.mark.parametrize("interval", [1.0, 5.0])
def test_a_server_that_comes_back_in_the_window_proves_nothing_by_what_was_counted_before_it(interval: float) -> None:
    rehearsal, server = rehearse(interval=interval)
    rehearsal.clock.at(rehearsal.clock.now() + 0.9, lambda: down(server.trouble))
    rehearsal.clock.at(rehearsal.clock.now() + 20.0, lambda: up_again(server.trouble))
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.NOT_PROVEN
    assert "at the switch Prometheus cannot be reached" in why(rehearsal)


class Balanced:
    """Two servers behind one address that hands each question to the next of them."""

    name, in_clear = FakePrometheus.name, False

    def __init__(self, *servers: FakePrometheus) -> None:
        self._turns = cycle(servers)

    def ask(self, query: str, *, timeout: float) -> Sequence[Row]:
        return next(self._turns).ask(query, timeout=timeout)


class AgesOfBoth(Balanced):
    """As the worst of chances has it: the ages of either, and all counts of the one that is behind."""

    def __init__(self, ahead: FakePrometheus, behind: FakePrometheus) -> None:
        super().__init__(ahead, behind)
        self._behind = behind

    def ask(self, query: str, *, timeout: float) -> Sequence[Row]:
        return super().ask(query, timeout=timeout) if "time()" in query else self._behind.ask(query, timeout=timeout)


@pytest.mark.parametrize("ready_after", [35.0, 40.0, 55.0])
def test_counts_of_a_server_that_is_behind_the_one_that_told_their_age_are_no_silence(ready_after: float) -> None:
    rehearsal, behind = rehearse(interval=30.0)
    rehearsal.clock.wait(until=rehearsal.tools().limit(22.0))
    ahead = FakePrometheus(rehearsal.platform, clock=rehearsal.clock, interval=30.0)
    rehearsal.clock.wait(until=rehearsal.tools().limit(95.0))
    rehearsal.platform.behaviours["v2"] = Behaviour(ready_after=ready_after)
    source = Prometheus(url=behind.name, pod_label="pod")
    metrics = PrometheusMetrics(rehearsal.stack, source, AgesOfBoth(ahead, behind), clock=rehearsal.clock)
    images = {name: rehearsal.image(name, "v2") for name in rehearsal.stack.names}
    options = replace(WINDOW, validation_time=60.0)
    tools = replace(rehearsal.tools(), metrics=metrics)
    assert release(tools, images=images, options=options) is ExitCode.OK, why(rehearsal)


@pytest.mark.parametrize("interval", [5.0, 10.0])
@pytest.mark.parametrize("apart", [1.0, 3.0])
def test_of_two_servers_that_answer_in_turn_no_request_counts_twice(interval: float, apart: float) -> None:
    """The age of one and the counts of the other: what falls back for that is no process that was started anew."""
    rehearsal, first = rehearse(interval=interval)
    rehearsal.clock.wait(until=rehearsal.tools().limit(apart))
    second = FakePrometheus(rehearsal.platform, clock=rehearsal.clock, interval=interval)
    rehearsal.clock.wait(until=rehearsal.tools().limit(3 * interval))
    source = Prometheus(url=first.name, pod_label="pod")
    metrics = PrometheusMetrics(rehearsal.stack, source, Balanced(first, second), clock=rehearsal.clock)
    images = {name: rehearsal.image(name, "v2") for name in rehearsal.stack.names}
    assert release(replace(rehearsal.tools(), metrics=metrics), images=images, options=WINDOW) is ExitCode.OK
    tallied = rehearsal.last_run().tallied
    assert tallied is not None
    (new,) = [each for each in tallied.answered if each.slot is Slot.GREEN]
    assert 2000 < new.requests <= 100 * (32 + 2 * interval)
    assert not [gap for gap in tallied.gaps if "began again" in gap]


def up_again(trouble: Trouble) -> None:
    trouble.down = False


@pytest.mark.parametrize("staged", [1.0, 6.0, 16.0])
def test_processes_of_a_pod_that_are_scraped_in_turn_are_told_apart(staged: float) -> None:
    """An old slot whose processes have counted some hundred thousand more or less: what is between is no traffic."""
    rehearsal = Rehearsal(rate=10.0)
    rehearsal.platform.plane_counts = False
    rehearsal.platform.behaviours |= {"v1": Behaviour(workers=2), "v2": Behaviour(ready_after=staged)}
    rehearsal.clock.wait(until=rehearsal.tools().limit(100_000.0))
    rehearsal.scraped_by(interval=5.0)
    rehearsal.clock.wait(until=rehearsal.tools().limit(16.0))
    assert rehearsal.deploy("v2", options=replace(WINDOW, validation_time=60.0)) is ExitCode.OK, why(rehearsal)
    assert rehearsal.last_run().outcome is Outcome.RELEASED, why(rehearsal)


def test_a_new_version_whose_processes_are_scraped_in_turn_is_not_proven() -> None:
    rehearsal, _ = rehearse(interval=5.0)
    rehearsal.platform.behaviours["v2"] = Behaviour(workers=2)
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.NOT_PROVEN
    assert "of which each look reads one" in why(rehearsal)


@pytest.mark.parametrize("interval", [15.0, 30.0, 60.0])
@pytest.mark.parametrize("window", [30.0, 120.0])
def test_a_process_that_is_scraped_for_the_first_time_is_no_silence(interval: float, window: float) -> None:
    """Nobody knows what it had answered until then: users were there, and went back from a good version."""
    rehearsal, _ = rehearse(interval=interval)
    rehearsal.platform.behaviours["v2"] = Behaviour(workers=2)
    assert rehearsal.deploy("v2", options=replace(WINDOW, validation_time=window)) is ExitCode.OK, why(rehearsal)
    assert rehearsal.last_run().outcome is Outcome.NOT_PROVEN


@pytest.mark.parametrize("interval", [1.0, 15.0, 60.0])
def test_counters_that_come_with_the_first_request_prove_what_others_do(interval: float) -> None:
    rehearsal, _ = rehearse(interval=interval)
    rehearsal.platform.behaviours["v2"] = Behaviour(late_counters=True)
    assert rehearsal.deploy("v2", options=WINDOW) is ExitCode.OK
    assert rehearsal.last_run().outcome is Outcome.RELEASED, why(rehearsal)
