"""Every record is in exactly one column, and in each table once: properties over any records whatever."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluegreen.load import (
    Break,
    Cause,
    Column,
    CrashWindow,
    Kind,
    KindPlan,
    LoadPlan,
    LoadResult,
    Record,
    classify,
    to_text,
)
from bluegreen.load.exchange import Connections
from bluegreen.load.record import COMPLETE, Records
from bluegreen.load.result import Percentiles, Run

START = 1_700_000_000_000_000
SECONDS = 100_000_000
VERSIONS = ["", "v1", "v2", "v3"]
SLOTS = ["", "blue", "green"]


@st.composite
def any_record(draw: st.DrawFn) -> Record:
    due, sent, end = sorted(draw(st.tuples(*[st.integers(0, SECONDS)] * 3)))
    return Record(
        kind=draw(st.sampled_from(Kind)),
        due=START + due,
        sent=START + sent,
        end=START + end,
        fault=START + draw(st.integers(0, end)),
        cause=draw(st.sampled_from(Cause)),
        status=draw(st.sampled_from([0, 200, 404, 500, 502, 503])),
        code=draw(st.sampled_from([0, 1000, 1001, 1006, 1011, 1012, 4999])),
        slot=draw(st.sampled_from(SLOTS)),
        version=draw(st.sampled_from(VERSIONS)),
        how=draw(st.sampled_from(Break)),
    )


@st.composite
def any_window(draw: st.DrawFn) -> CrashWindow:
    start, end = sorted(draw(st.tuples(*[st.integers(0, SECONDS)] * 2)))
    return CrashWindow(
        start_ns=(START + start) * 1000,
        end_ns=(START + end) * 1000,
        slot=draw(st.sampled_from(SLOTS)),
        version=draw(st.sampled_from(VERSIONS)),
        bare=draw(st.booleans()),
    )


many_records = st.lists(any_record(), max_size=60)
bad_versions = st.frozensets(st.sampled_from(["v1", "v2", ""]))
crash_windows = st.lists(any_window(), max_size=3)


def kept(records: list[Record]) -> Records:
    store = Records(start=START)
    for record in records:
        store.add(record)
    return store


def result_of(records: list[Record], versions: frozenset[str], windows: list[CrashWindow]) -> LoadResult:
    plan = LoadPlan(
        url="http://127.0.0.1:9/", duration=1.0, kinds=tuple(KindPlan.usual(kind, rate=10.0) for kind in Kind)
    )
    run = Run(
        plan=plan,
        seconds=1.0,
        stopped_early=False,
        unsent=0,
        sessions_lost=0,
        standstills=(),
        connections={kind: Connections() for kind in Kind},
    )
    return LoadResult.of(run, kept(records), bad_versions=versions, crash_windows=windows)


@given(many_records)
def test_records_come_back_as_they_were_added(records: list[Record]) -> None:
    store = kept(records)
    assert list(store) == records
    assert len(store) == len(records)


def test_a_server_that_invents_versions_fills_no_memory() -> None:
    record = Record(kind=Kind.NEW, due=START, sent=START, end=START, fault=START)
    store = kept([replace(record, version=f"v{number}") for number in range(1500)])
    versions = Counter(record.version for record in store)
    assert len(versions) == 1001
    assert versions["(more)"] == 500
    assert versions.total() == 1500


@given(many_records, bad_versions, crash_windows)
def test_columns_add_up_to_the_requests_in_every_table(
    records: list[Record], versions: frozenset[str], windows: list[CrashWindow]
) -> None:
    result = result_of(records, versions, windows)
    tables = result.tables
    assert tables.columns.total == len(records)
    assert sum(row.columns.total for row in tables.kinds) == len(records)
    assert sum(second.columns.total for second in tables.timeline) == len(records)
    not_right = [record for record in records if record.cause is not Cause.NONE]
    assert sum(sum(causes.values()) for causes in tables.causes.values()) == len(not_right)
    assert sum(sum(row.causes.values()) for row in tables.kinds) == len(not_right)


@given(many_records, bad_versions, crash_windows)
def test_each_complete_answer_is_told_once_by_who_gave_it(
    records: list[Record], versions: frozenset[str], windows: list[CrashWindow]
) -> None:
    tables = result_of(records, versions, windows).tables
    complete = [record for record in records if record.cause in COMPLETE]
    assert sum(row.answers for row in tables.answers) == len(complete)
    assert sum(row.answers for row in tables.latency) == len(complete)
    assert sum(sum(second.answers.values()) for second in tables.timeline) == len(complete)
    for row in tables.answers:
        ends = [record.end for record in complete if (record.slot, record.version) == row.who]
        assert (row.first, row.last) == (min(ends), max(ends))


@given(many_records, bad_versions, crash_windows)
def test_what_is_not_ok_is_given_one_by_one(
    records: list[Record], versions: frozenset[str], windows: list[CrashWindow]
) -> None:
    tables = result_of(records, versions, windows).tables
    assert Counter(column for column, _ in tables.not_ok) == Counter(
        column
        for record in records
        if (column := classify(record, bad_versions=versions, crash_windows=windows)) is not Column.OK
    )


@given(any_record(), bad_versions, crash_windows)
def test_a_crash_window_only_moves_breaks_out_of_failed(
    record: Record, versions: frozenset[str], windows: list[CrashWindow]
) -> None:
    before = classify(record, bad_versions=versions, crash_windows=())
    after = classify(record, bad_versions=versions, crash_windows=windows)
    assert before is not Column.LOST_TO_CRASH
    if after is not before:
        assert (before, after) == (Column.FAILED, Column.LOST_TO_CRASH)
        moments = {record.sent * 1000, record.fault * 1000}
        assert any(window.start_ns <= moment <= window.end_ns for window in windows for moment in moments)


@given(any_record(), bad_versions)
def test_a_bad_version_is_blamed_only_for_whole_answers_that_name_it(record: Record, versions: frozenset[str]) -> None:
    column = classify(record, bad_versions=versions, crash_windows=())
    if column is Column.ANSWERED_BADLY:
        assert record.cause in {Cause.WRONG_STATUS, Cause.WRONG_BODY, Cause.TOO_SLOW}
        assert record.version
        assert record.version in versions
    if record.cause is Cause.NONE:
        assert column is Column.OK


@given(many_records, bad_versions, crash_windows)
def test_judging_again_afterwards_is_the_same_as_judging_at_once(
    records: list[Record], versions: frozenset[str], windows: list[CrashWindow]
) -> None:
    later = result_of(records, frozenset(), []).judged(bad_versions=versions, crash_windows=windows)
    assert later.tables == result_of(records, versions, windows).tables
    assert later.judged().tables == later.tables


@given(many_records, bad_versions, crash_windows)
def test_the_json_says_what_the_tables_say(
    records: list[Record], versions: frozenset[str], windows: list[CrashWindow]
) -> None:
    result = result_of(records, versions, windows)
    document = json.loads(result.to_json())
    assert document["schema"] == 1
    assert document["requests"] == len(records) == sum(document["columns"].values())
    assert len(document["not_ok"]) + document["not_ok_left_out"] == len(records) - document["columns"]["ok"]
    text = to_text(result)
    assert f"failed {document['columns']['failed']}," in text


BROKEN = Record(
    kind=Kind.NEW, due=START, sent=START, end=START + 10, fault=START + 10, cause=Cause.RESET_BEFORE_FIRST_BYTE
)
AROUND = CrashWindow(start_ns=START * 1000, end_ns=(START + 20) * 1000, slot="green", version="v2")
LATER = CrashWindow(start_ns=(START + 11) * 1000, end_ns=(START + 20) * 1000)


@pytest.mark.parametrize(
    ("record", "window", "column"),
    [
        (BROKEN, AROUND, Column.LOST_TO_CRASH),
        (BROKEN, LATER, Column.FAILED),
        (replace(BROKEN, slot="green", version="v2"), AROUND, Column.LOST_TO_CRASH),
        (replace(BROKEN, slot="blue"), AROUND, Column.FAILED),
        (replace(BROKEN, version="v1"), AROUND, Column.FAILED),
        (replace(BROKEN, cause=Cause.RESET_AFTER_FIRST_BYTE), AROUND, Column.LOST_TO_CRASH),
        (replace(BROKEN, cause=Cause.TRUNCATED), AROUND, Column.LOST_TO_CRASH),
        (replace(BROKEN, cause=Cause.TIMEOUT), AROUND, Column.FAILED),
        (replace(BROKEN, cause=Cause.CONNECT_REFUSED), AROUND, Column.FAILED),
        (replace(BROKEN, cause=Cause.CONNECT_REFUSED), replace(AROUND, bare=True), Column.LOST_TO_CRASH),
        (replace(BROKEN, cause=Cause.CONNECT_REFUSED), replace(LATER, bare=True), Column.FAILED),
        (
            replace(BROKEN, cause=Cause.CONNECT_TIMEOUT, fault=START + 5_000_000),
            replace(AROUND, bare=True),
            Column.LOST_TO_CRASH,
        ),
        (replace(BROKEN, cause=Cause.CONNECT_FAILED), replace(AROUND, bare=True), Column.LOST_TO_CRASH),
        (replace(BROKEN, cause=Cause.TIMEOUT), replace(AROUND, bare=True), Column.FAILED),
        (replace(BROKEN, cause=Cause.WS_CLOSED, code=1006), AROUND, Column.LOST_TO_CRASH),
        (replace(BROKEN, cause=Cause.WS_CLOSED, code=1011), AROUND, Column.FAILED),
        (replace(BROKEN, cause=Cause.WS_CLOSED, code=1012), AROUND, Column.MOVED),
        (replace(BROKEN, cause=Cause.WRONG_STATUS, status=503), AROUND, Column.LOST_TO_CRASH),
        (replace(BROKEN, cause=Cause.WRONG_STATUS, status=500), AROUND, Column.FAILED),
        (replace(BROKEN, cause=Cause.WRONG_STATUS, status=503, version="v2"), AROUND, Column.FAILED),
        (replace(BROKEN, cause=Cause.TOO_SLOW, version="v1"), AROUND, Column.OK),
    ],
)
def test_what_a_crash_may_excuse(record: Record, window: CrashWindow, column: Column) -> None:
    assert classify(record, bad_versions=frozenset(), crash_windows=[window]) is column


def test_percentiles_are_nearest_rank() -> None:
    hundred = Percentiles.of(number * 1000 for number in range(1, 101))
    assert hundred == Percentiles(p50=50.0, p95=95.0, p99=99.0, max=100.0)
    assert Percentiles.of([7000]) == Percentiles(p50=7.0, p95=7.0, p99=7.0, max=7.0)
    assert Percentiles.of([]) == Percentiles()
