"""What one pod's page gives: counts, a histogram, or the reason why not."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.domain.reading import Histogram, Timing
from bluegreen.domain.stack import MetricNames
from bluegreen.metrics import text
from bluegreen.metrics.counts import Unreadable

NAMES = MetricNames(requests="hits_total", duration="took_ms")

GOOD = """\
# HELP hits_total Answers.
# TYPE hits_total counter
hits_total{status="200",method="GET"} 7.0
hits_total{status="200",method="POST"} 2
hits_total{status="503",method="GET"} 1e3
# TYPE took_ms histogram
took_ms_bucket{method="GET",le="10"} 3
took_ms_bucket{method="GET",le="+Inf"} 5
took_ms_bucket{method="POST",le="10"} 1
took_ms_bucket{method="POST",le="+Inf"} 1
took_ms_sum 99
took_ms_count 6
"""
DECLARED = "# TYPE hits_total counter\n# TYPE took_ms histogram\n"


def test_other_labels_are_added_up() -> None:
    series = text.parse(GOOD, NAMES)
    assert text.answers(series, NAMES) == ((200, 9), (503, 1000))
    assert text.latency(series, NAMES) == Histogram(timing=Timing.TOTAL, buckets=((10.0, 4), (math.inf, 6)))


def test_overhead_is_preferred_when_it_is_named() -> None:
    names = MetricNames(requests="hits_total", duration="gone_ms", overhead="took_ms")
    found = text.latency(text.parse(GOOD, names), names)
    assert found is not None
    assert found.timing is Timing.OVERHEAD


def test_without_a_histogram_there_is_no_latency() -> None:
    assert text.latency(text.parse(GOOD, NAMES), MetricNames(requests="hits_total")) is None


def test_series_that_are_declared_only_are_counts_of_nothing_yet() -> None:
    series = text.parse(DECLARED, NAMES)
    assert text.answers(series, NAMES) == ()
    assert text.latency(series, NAMES) == Histogram(timing=Timing.TOTAL, buckets=())


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ("", "have no hits_total"),
        ("other_total 3\n", "have no hits_total"),
        ('hits_total{status="200"} NaN\n', "hits_total is nan, which is no count"),
        ('hits_total{status="200"} +Inf\n', "hits_total is inf, which is no count"),
        ('hits_total{status="200"} -1\n', "hits_total is -1.0, which is no count"),
        ('hits_total{status="200"} 1.5\n', "hits_total is 1.5, which is no count"),
        ('hits_total{status="200"} 1e17\n', "hits_total is 1e+17, which is no count"),
        (f'hits_total{{status="{"2" * 5000}"}} 4\n', "not a number"),
        ("hits_total 4\n", "label status is '', not a number"),
        ('hits_total{status="5xx"} 4\n', "label status is '5xx', not a number"),
        ("<html>busy</html>", "not in Prometheus text format"),
        ('hits_total{status="200" 4\n', "not in Prometheus text format"),
        ('hits_total{status="200"} many\n', "not in Prometheus text format"),
        ('hits_total{status="200"} 4\n' * 2, "the metrics have one series of hits_total twice"),
        ("\x1b[31m\n", "not in Prometheus text format"),
    ],
)
def test_answers_that_cannot_be_told(page: str, why: str) -> None:
    with pytest.raises(Unreadable) as told:
        text.answers(text.parse(page, NAMES), NAMES)
    assert why in str(told.value)
    assert str(told.value).isprintable()


@pytest.mark.parametrize(
    ("page", "why"),
    [
        (DECLARED.splitlines()[0] + "\n", "have no took_ms_bucket"),
        ('took_ms_bucket{le="10"} 3\n', "no bucket without an upper edge"),
        ('took_ms_bucket{le="10"} 3\ntook_ms_bucket{le="+Inf"} 2\n', "do not add up"),
        ('took_ms_bucket{le="NaN"} 3\n', "not a number"),
        ('took_ms_bucket{le="wide"} 3\n', "without an upper edge"),
        ("took_ms_bucket 3\n", "without an upper edge"),
        ('took_ms_bucket{le="+Inf"} 3\n' * 2, "the metrics have one series of took_ms_bucket twice"),
        (
            '# TYPE took_ms summary\ntook_ms{quantile="0.95"} 80\ntook_ms_count 6\n',
            "has no buckets: it is no histogram",
        ),
        ('took_ms_bucket{le="+Inf"} NaN\n', "is nan, which is no count"),
    ],
)
def test_times_that_cannot_be_told(page: str, why: str) -> None:
    with pytest.raises(Unreadable) as told:
        text.latency(text.parse(page, NAMES), NAMES)
    assert why in str(told.value)


@given(
    st.integers(0, len(GOOD) - 1),
    st.text(alphabet='{}",=\\ \n#_abc1.:+-eN\t\0é', max_size=6),
    st.integers(0, 6),
)
def test_a_damaged_page_is_read_or_refused_and_nothing_else(at: int, put: str, cut: int) -> None:
    with contextlib.suppress(Unreadable):
        series = text.parse(GOOD[:at] + put + GOOD[at + cut :], NAMES)
        text.answers(series, NAMES)
        text.latency(series, NAMES)


@pytest.mark.parametrize(
    ("page", "process"),
    [
        ("", None),
        ("process_start_time_seconds 1.76e9\n", 1.76e9),
        ("process_start_time_seconds NaN\n", None),
        ("process_start_time_seconds 1.76e9\nprocess_start_time_seconds 1.77e9\n", None),  # a sidecar's beside it
    ],
)
def test_which_process_counts(page: str, process: float | None) -> None:
    assert text.process(text.parse(GOOD + page, NAMES)) == process


OPEN_METRICS = """\
# TYPE hits counter
# UNIT hits requests
hits_total{status="200",path="/a\\"}# {b=\\"",} 7.0 # {trace_id="ab12"} 1.0 1520879607.789
hits_total{status="503"} 1.0
hits_created{status="200"} 1.7e+09
# TYPE took_ms histogram
took_ms_bucket{le="10.0"} 3.0 # {trace_id="cd34"} 0.67
took_ms_bucket{le="+Inf"} 8.0
took_ms_count 8.0
# TYPE other summary
other NaN
# EOF
"""


def test_a_page_in_the_newer_format_is_read_as_well() -> None:
    """Some servers answer with it whatever is asked for."""
    series = text.parse(OPEN_METRICS, NAMES)
    assert text.answers(series, NAMES) == ((200, 7), (503, 1))
    assert text.latency(series, NAMES) == Histogram(timing=Timing.TOTAL, buckets=((10.0, 3), (math.inf, 8)))


NATIVE = "size_bytes {count:24,sum:100,schema:0,zero_threshold:0.001,zero_count:4,positive_spans:[0:2]}\n"


@pytest.mark.parametrize("stranger", [NATIVE, "cache_misses{ 3\n", "\x1b[31m warming up\n"])
@pytest.mark.parametrize("first", [True, False])
def test_lines_about_other_metrics_are_not_looked_at(stranger: str, first: object) -> None:
    series = text.parse(stranger + GOOD if first else GOOD + stranger, NAMES)
    assert text.answers(series, NAMES) == ((200, 9), (503, 1000))
    assert text.process(series) is None


@pytest.mark.parametrize(
    ("name", "edges"),
    [("took_seconds", (150.0, 2007.0)), ("took_ms", (0.15, 2.007)), ("took_seconds_of_work", (0.15, 2.007))],
)
def test_a_histogram_whose_name_says_seconds_is_in_seconds(name: str, edges: tuple[float, ...]) -> None:
    """Taken for milliseconds every time would be under the limit."""
    page = "".join(f'{name}_bucket{{le="{le}"}} 3\n' for le in ("0.15", "2.007", "+Inf"))
    names = MetricNames(duration=name)
    found = text.latency(text.parse(page, names), names)
    assert found is not None
    assert found.edges == (*edges, math.inf)
