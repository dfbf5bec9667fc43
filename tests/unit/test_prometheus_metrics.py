"""Readings from a Prometheus server in virtual time: what is asked, how old it is, and what is no count."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest

from bluegreen.domain.reading import Timing
from bluegreen.domain.snapshot import Pod, Snapshot, Workload
from bluegreen.domain.stack import (
    Instant,
    MetricNames,
    Probe,
    Probes,
    Prometheus,
    Queries,
    Service,
    Slot,
    Stack,
    after,
)
from bluegreen.domain.values import replace
from bluegreen.metrics.counts import Unreadable
from bluegreen.metrics.prometheus import PrometheusMetrics
from bluegreen.metrics.prometheus_answer import Row
from bluegreen.metrics.prometheus_query import about
from bluegreen.metrics.prometheus_server import NoAnswer
from bluegreen.ports import Severity
from bluegreen.testing import FakeClock

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.reading import Reading
    from bluegreen.ports import Finding

PROBES = Probes(startup=Probe(path="/"), readiness=Probe(path="/"), liveness=Probe(path="/"))
WEB = Service(
    name="web",
    image="web",
    port=1,
    probes=PROBES,
    metrics=MetricNames(requests="hits_total", duration="took_ms", overhead="added_ms"),
)
BACK = Service(name="back", image="back", port=2, probes=PROBES, metrics=MetricNames(requests="calls_total"))
PLAIN = Service(name="plain", image="plain", port=3, probes=PROBES)
SOURCE = Prometheus(url="http://prometheus.test", pod_label="pod")


class Script:
    """Answers each query that begins with a text, and remembers what it was asked."""

    name = "http://prometheus.test"
    in_clear = False

    def __init__(self, answers: Mapping[str, Sequence[Row] | Unreadable]) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.timeouts: list[float] = []

    def ask(self, query: str, *, timeout: float) -> Sequence[Row]:
        self.asked.append(query)
        self.timeouts.append(timeout)
        for start, answer in self.answers.items():
            if query.startswith(start):
                if isinstance(answer, Unreadable):
                    raise answer
                return answer
        return ()


def row(value: float, pod: str = "web-1", **labels: str) -> Row:
    return Row({"pod": pod, **labels}, ((0.0, value),))


def every(apart: float, pod: str = "web-1") -> Row:
    return Row({"pod": pod}, tuple((at * apart, 1.0) for at in range(5)))


AGES = "time() - timestamp("
SAMPLES = 'up{pod=~"web-1"}[300s]'
GOOD: dict[str, Sequence[Row] | Unreadable] = {
    AGES: (row(4.0),),
    SAMPLES: (every(15.0),),
    "hits_total": (row(7, status="200", method="GET"), row(2, status="200", method="PUT"), row(1, status="503")),
    "added_ms_bucket": (row(9, le="100"), row(10, le="+Inf")),
}


def pod(name: str = "web-1", service: str = "web", *, address: str = "", ready: bool = True) -> Pod:
    return Pod(name=name, service=service, slot=Slot.GREEN, revision="r", ready=ready, address=address)


def seen(*pods: Pod) -> Snapshot:
    works = [
        Workload(
            service=name, slot=Slot.GREEN, image=None, replicas=1, pods=tuple(p for p in pods if p.service == name)
        )
        for name in dict.fromkeys(each.service for each in pods)
    ]
    return Snapshot(at=Instant(0.0), routes=(), workloads=tuple(works))


def made(script: Script, *services: Service, source: Prometheus = SOURCE, namespace: str = "") -> PrometheusMetrics:
    stack = Stack(name="shop", services=services or (WEB,))
    clock = FakeClock()
    clock.wait(until=Instant(100.0))
    return PrometheusMetrics(stack, source, script, clock=clock, namespace=namespace)


def read(script: Script, *services: Service, pods: Sequence[Pod] = (pod(),), source: Prometheus = SOURCE) -> Reading:
    return made(script, *services, source=source).read(seen(*pods), until=Instant(130.0))


def but(**other: Sequence[Row] | Unreadable) -> Script:
    """The good answers, but these: by the word that the query begins with."""
    names = {"ages": AGES, "samples": SAMPLES, "hits": "hits_total", "added": "added_ms_bucket"}
    return Script(GOOD | {names[name]: answer for name, answer in other.items()})


FAST = (every(1.0),)
"""Scraped each second; so it has to be young as well."""


def test_raw_counters_by_pod_as_old_as_their_scrape() -> None:
    script = Script(GOOD)
    reading = read(script)
    (found,) = reading.pods
    assert (found.pod, found.service, found.slot) == ("web-1", "web", Slot.GREEN)
    assert found.answers == ((200, 9), (503, 1))
    assert found.latency is not None
    assert (found.latency.timing, found.latency.buckets) == (Timing.OVERHEAD, ((100.0, 9), (math.inf, 10)))
    assert (found.at, reading.at, reading.lag) == (96.0, 96.0, 16.0)
    assert reading.gaps == ()
    assert script.asked == [
        'time() - timestamp(up{pod=~"web-1"})',
        'up{pod=~"web-1"}[300s]',
        'process_start_time_seconds{pod=~"web-1"}',
        'hits_total{pod=~"web-1"}',
        'added_ms_bucket{pod=~"web-1"}',
    ]


def test_the_interval_is_asked_for_once() -> None:
    script = Script(GOOD)
    metrics = made(script)
    for _ in range(3):
        metrics.read(seen(pod()), until=Instant(130.0))
    assert script.asked.count(SAMPLES) == 1


def test_each_service_is_asked_about_its_own_pods_and_one_without_metrics_is_not() -> None:
    script = Script(
        {
            **GOOD,
            AGES: (row(4.0), row(2.0, "back-1")),
            'up{pod=~"back-1|web-1"}[300s]': (every(15.0),),
            "calls_total": (row(3, "back-1", status="200"),),
        }
    )
    reading = read(script, WEB, BACK, PLAIN, pods=[pod(), pod("back-1", "back"), pod("plain-1", "plain")])
    assert [found.pod for found in reading.pods] == ["web-1", "back-1"]
    assert reading.at == 96.0, "a reading is only as new as the oldest of its pods' newest samples"
    assert 'calls_total{pod=~"back-1"}' in script.asked
    assert not any("plain" in query for query in script.asked)


def test_no_pods_ask_nothing() -> None:
    script = Script({})
    assert read(script, pods=[]).pods == ()
    assert script.asked == []


def test_own_queries_labels_and_unit() -> None:
    source = Prometheus(
        url="http://x",
        pod_label="kubernetes_pod_name",
        status_label="code",
        scale=1000.0,
        scrapes='up{job="shop"}',
        queries=(Queries(service="web", requests='sum by (kubernetes_pod_name, code) (h{p=~"$pods"})', overhead="t"),),
    )

    def own(value: float, **labels: str) -> Row:
        return Row({"kubernetes_pod_name": "web-1", **labels}, ((0.0, value),))

    script = Script(
        {
            'time() - timestamp(up{job="shop"})': (own(1.0),),
            'sum by (kubernetes_pod_name, code) (h{p=~"web-1"})': (own(5, code="200"),),
            "t": (own(4, le="0.15"), own(5, le="+Inf")),
        }
    )
    (found,) = read(script, source=source).pods
    assert found.answers == ((200, 5),)
    assert found.latency is not None
    assert found.latency.buckets == ((150.0, 4), (math.inf, 5))


def test_a_pod_is_known_by_its_address_where_the_label_is_instance() -> None:
    source = Prometheus(url="http://x", pod_label="instance")
    script = Script({AGES: (Row({"instance": "127.0.0.1:9"}, ((0.0, 1.0),)),)})
    read(script, source=source, pods=[pod(address="127.0.0.1:9")])
    assert script.asked[0] == 'time() - timestamp(up{instance=~"127\\\\.0\\\\.0\\\\.1:9"})'


def test_a_pod_without_an_address_yet_is_a_gap_and_never_given_what_names_no_instance() -> None:
    script = Script(GOOD)
    reading = read(script, source=replace(SOURCE, pod_label="instance"))
    assert reading.pods == ()
    (gap,) = reading.gaps
    assert (gap.pod, gap.why) == ("web-1", "Prometheus cannot know it: it has no address yet")
    assert script.asked == []


def test_names_are_no_patterns_and_end_no_text() -> None:
    assert about('x{pod=~"$pods"}', ["a.b-c", 'd"e\\f']) == 'x{pod=~"a\\\\.b-c|d\\"e\\\\\\\\f"}'


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (but(ages=(row(-30.0),)), "has samples of it from 30 s in the future: somebody's clock is wrong"),
        (but(ages=(row(math.nan),)), "it has no up of it"),
        (but(ages=()), "does not tell when it was scraped: it has no up of it"),
        (but(ages=Unreadable("refuses the query")), "refuses the query"),
        (but(hits=()), "has no hits_total of it"),
        (but(hits=(row(3, "web-2", status="200"),)), "has no hits_total of it"),
        (but(hits=(row(3),)), "hits_total has a sample whose label status is '', not a number"),
        (but(hits=(row(math.nan, status="200"),)), "hits_total is nan, which is no count"),
        (but(hits=(row(2.5, status="200"),)), "hits_total is 2.5, which is no count"),
        (but(hits=(row(-1, status="200"),)), "hits_total is -1.0, which is no count"),
        (but(hits=(row(math.inf, status="200"),)), "hits_total is inf, which is no count"),
        (
            but(hits=(row(3, status="200", job="a"), row(3, status="500", job="b"))),
            "has hits_total of it twice, with job 'a' and 'b': narrow the query",
        ),
        (
            but(hits=(row(3, status="200", prometheus_replica="0"), row(3, status="200", prometheus_replica="1"))),
            "twice, with prometheus_replica '0' and '1'",
        ),
        (but(hits=Unreadable("answers with more than 8 MiB")), "answers with more than 8 MiB"),
        (but(hits=NoAnswer("does not answer within 1.0 s")), "does not answer within 1.0 s"),
    ],
)
def test_what_is_no_count_is_a_gap_with_its_reason(script: Script, why: str) -> None:
    reading = read(script)
    assert reading.pods == ()
    assert [(gap.pod, gap.slot) for gap in reading.gaps] == [("web-1", Slot.GREEN)]
    assert reading.gaps[0].why.startswith("Prometheus ")
    assert why in reading.gaps[0].why


@pytest.mark.parametrize(
    "added",
    [(), (row(1, le="1"),), (row(9, le="1"), row(8, le="+Inf")), Unreadable("refuses the query")],
)
def test_times_that_cannot_be_read_take_nothing_from_the_answers(added: Sequence[Row] | Unreadable) -> None:
    reading = read(but(added=added))
    assert [(found.answers, found.latency) for found in reading.pods] == [(((200, 9), (503, 1)), None)]
    assert len(reading.gaps) == 1


def test_no_series_is_no_request_only_where_nothing_was_timed_either() -> None:
    reading = read(but(hits=(), added=(row(0, le="100"), row(0, le="+Inf"))))
    assert [found.answers for found in reading.pods] == [()]
    assert reading.gaps == ()


def test_a_failed_scrape_is_named() -> None:
    script = Script({'up{pod=~"web-1"}[': (every(15.0),), "up": (row(0.0),)} | GOOD | {"hits_total": ()})
    assert [gap.why for gap in read(script).gaps] == ["Prometheus could not scrape it at its last try"]


@pytest.mark.parametrize(("age", "stale"), [(0.0, False), (30.9, False), (31.5, True), (250.0, True)])
def test_a_pod_that_missed_two_scrapes_is_a_gap_and_keeps_its_counts(age: float, stale: bool) -> None:  # noqa: FBT001
    reading = read(but(ages=(row(age),)))
    assert [found.at for found in reading.pods] == [100.0 - age]
    assert bool(reading.gaps) is stale
    if stale:
        assert f"has nothing of it from the last {age:.0f} s, though it scrapes each 15 s" in reading.gaps[0].why


def test_what_a_server_behind_the_same_address_has_from_earlier_takes_nothing_back() -> None:
    script, clock = Script(GOOD), FakeClock()
    clock.wait(until=Instant(100.0))
    metrics = PrometheusMetrics(Stack(name="shop", services=(WEB,)), SOURCE, script, clock=clock)
    first = metrics.read(seen(pod()), until=Instant(130.0))
    script.answers = GOOD | {AGES: (row(9.0),), "hits_total": (row(5, status="200"),)}
    assert first.pods[0].at == 96.0
    (kept,) = metrics.read(seen(pod()), until=Instant(130.0)).pods
    assert (kept.answers, kept.at) == (first.pods[0].answers, 81.0), "a second server: the age may be the other's"
    script.answers = GOOD | {AGES: (row(1.0),), "hits_total": (row(2, status="200"),)}
    assert metrics.read(seen(pod()), until=Instant(130.0)).pods == (kept,)
    clock.wait(until=Instant(128.1))
    (found,) = metrics.read(seen(pod()), until=Instant(140.0)).pods
    assert (found.at, found.answers) == (112.1, ((200, 2),)), "a process that was started anew counts from nothing"


def test_of_two_scrapes_of_a_pod_the_older_one_counts() -> None:
    assert read(but(ages=(row(2.0, job="a"), row(9.0, job="b")))).at == 91.0


def test_a_gap_may_be_closed_by_the_next_scrape_so_it_is_waited_for() -> None:
    reading = read(but(hits=()))
    assert not reading.is_due(Instant(100.0), now=Instant(100.0))
    assert reading.is_due(Instant(100.0), now=Instant(116.0))


def test_a_server_that_never_answered_is_not_waited_for() -> None:
    reading = read(Script({"": NoAnswer("cannot be reached")}))
    assert reading.is_due(Instant(100.0), now=Instant(100.0))


def test_a_server_that_did_not_answer_gets_less_time_the_next_time() -> None:
    script = Script({"": NoAnswer("does not answer")})
    metrics = made(script)
    for _ in range(2):
        metrics.read(seen(pod()), until=Instant(130.0))
    assert script.timeouts == [5.0, 1.0]
    script.answers = GOOD
    metrics.read(seen(pod()), until=Instant(130.0))
    metrics.read(seen(pod()), until=Instant(130.0))
    assert script.timeouts[-1] == 5.0
    metrics.read(seen(pod()), until=Instant(100.5))
    assert script.timeouts[-1] == 0.5, "the caller's limit holds whatever ours is"


def test_a_pod_of_the_same_name_in_another_namespace_is_a_strangers() -> None:
    script = but(hits=(row(900, status="500", namespace="other"), row(3, status="200", namespace="shop")))
    (found,) = made(script, namespace="shop").read(seen(pod()), until=Instant(130.0)).pods
    assert found.answers == ((200, 3),)


@pytest.mark.parametrize("apart", [[], [1.0]])
def test_an_interval_that_is_not_known_is_taken_for_prometheus_own(apart: list[float]) -> None:
    """Which is a minute: 121 s are too old, 120 s are not."""
    few = tuple(Row({"pod": "web-1"}, ((at, 1.0),)) for at in apart)
    assert read(but(samples=few, ages=(row(120.0),))).gaps == ()
    assert "scrapes each 60 s" in read(but(samples=few, ages=(row(122.0),))).gaps[0].why


@pytest.mark.parametrize("apart", [15_000.0, 0.0, -15.0], ids=["times in milliseconds", "all at once", "backwards"])
def test_an_interval_that_cannot_be_is_not_known_and_no_window_waits_for_it(apart: float) -> None:
    reading = read(but(samples=(every(apart),)))
    assert (reading.lag, reading.gaps) == (0.0, ())


def test_the_slowest_pods_interval_counts() -> None:
    both = (every(5.0), every(30.0, "web-2"))
    script = but(ages=(row(1.0), row(1.0, "web-2")))
    script.answers = dict(script.answers) | {'up{pod=~"web-1|web-2"}[300s]': both}
    assert read(script, pods=[pod(), pod("web-2")]).lag == 31.0


def foreseen(script: Script, *pods: Pod) -> Sequence[Finding]:
    return made(script).foresee(seen(*pods), until=after(Instant(100.0), 10.0))


def test_nothing_is_foreseen_of_a_server_that_has_all() -> None:
    assert foreseen(but(samples=FAST, ages=(row(0.5),)), pod()) == ()


def test_a_warning_says_what_will_be_unproven_once_for_all_pods() -> None:
    (found,) = foreseen(Script({"": NoAnswer("cannot be reached: connection refused")}), pod(), pod("web-2"))
    assert found.severity is Severity.WARN
    assert found.text == (
        "web: Prometheus cannot be reached: connection refused; as it is, this release will end as not proven"
    )
    assert "the label pod" in found.mend


def test_a_pod_that_is_not_ready_is_not_missed_yet() -> None:
    assert foreseen(Script({}), pod(ready=False)) == ()


def test_a_long_interval_is_a_note() -> None:
    (found,) = foreseen(Script(GOOD), pod())
    assert found.severity is Severity.NOTE
    assert "scrapes each 15 s" in found.text


def test_credentials_in_clear_text_are_told() -> None:
    script = but(samples=FAST, ages=(row(0.5),))
    script.in_clear = True
    (found,) = foreseen(script, pod())
    assert found.severity is Severity.WARN
    assert "in clear text" in found.text


@pytest.mark.parametrize(
    ("query", "scale", "edge"),
    [
        ('took_seconds_bucket{pod=~"$pods"}', None, 150.0),
        ("sum by (pod, le) (took_seconds_bucket)", None, 150.0),
        ("shop:took_seconds", None, 150.0),
        ("took_ms_bucket", None, 0.15),
        ("took_seconds_bucket", 1.0, 0.15),
    ],
)
def test_edges_are_seconds_where_the_name_says_so_unless_told_otherwise(
    query: str, scale: float | None, edge: float
) -> None:
    source = Prometheus(
        url="http://x", pod_label="pod", scale=scale, queries=(Queries(service="web", requests="h", overhead=query),)
    )
    asked = query.replace("$pods", "web-1")
    rows = tuple(Row({"pod": "web-1", "le": le}, ((0.0, 4.0),)) for le in ("0.15", "+Inf"))
    requests = (Row({"pod": "web-1", "status": "200"}, ((0.0, 4.0),)),)
    (found,) = read(Script({**GOOD, asked: rows, "h": requests}), source=source).pods
    assert found.latency is not None
    assert found.latency.edges == (edge, math.inf)


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ((), "Prometheus has no answer to the query for requests of it"),
        (
            (Row({"status": "200"}, ((0.0, 5.0),)),),
            "Prometheus has no label pod in its answer to the query for requests: keep it, as in sum by (pod, …)",
        ),
        ((row(0.5, status="200"),), "Prometheus answer to the query for requests is 0.5, which is no count"),
    ],
    ids=["nothing", "summed up over the pods", "a rate"],
)
def test_a_query_of_ones_own_that_tells_nothing_of_a_pod_says_why(rows: Sequence[Row], why: str) -> None:
    source = replace(SOURCE, queries=(Queries(service="web", requests="mine", overhead="added_ms_bucket"),))
    assert [gap.why for gap in read(Script({**GOOD, "mine": rows}), source=source).gaps] == [why]


def test_pods_that_are_scraped_more_often_than_others_are_no_second_server() -> None:
    script, clock = Script(GOOD), FakeClock()
    metrics = PrometheusMetrics(Stack(name="shop", services=(WEB,)), SOURCE, script, clock=clock)
    samples = 'up{pod=~"web-1|web-2"}[300s]'
    for when in (100.0, 110.0, 120.0):
        clock.wait(until=Instant(when))
        ages = (row(4.0), row(when - 90.0, pod="web-2"))  # one each ten seconds, the other each thirty
        script.answers = GOOD | {AGES: ages, samples: (every(10.0), every(30.0, pod="web-2"))}
        assert metrics.read(seen(pod(), pod("web-2")), until=Instant(when + 30.0)).lag == 31.0


@pytest.mark.parametrize(
    ("ages", "lag"),
    [
        ((4.0, 6.0, 13.0, 2.0), 16.0),  # the same scrape, two and nine seconds later; the next one
        ((4.0, 6.0, 13.0, 2.5), 16.0),  # scrapes and answers take their time
        ((4.0, 9.0), 31.0),  # two seconds later it is five seconds older
    ],
)
def test_scrapes_that_are_not_an_interval_apart_are_of_two_servers(ages: tuple[float, ...], lag: float) -> None:
    """Then the age may be the one's and the counts the other's, and so as old as an interval more."""
    script, clock = Script(GOOD), FakeClock()
    metrics = PrometheusMetrics(Stack(name="shop", services=(WEB,)), SOURCE, script, clock=clock)
    readings = []
    for when, old in zip((100.0, 102.0, 109.0, 113.0), ages, strict=False):
        clock.wait(until=Instant(when))
        script.answers = GOOD | {AGES: (row(old),)}
        readings.append(metrics.read(seen(pod()), until=Instant(when + 30.0)))
    found = readings[-1]
    assert found.lag == lag
    assert found.pods[0].at == pytest.approx(clock.now() - ages[-1] - (lag - 16.0), abs=5.0)
