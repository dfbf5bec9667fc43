"""A result as JSON for programs and as a page of text for people.

Decides nothing about what is counted. The JSON document carries ``schema``; a field may be added under the same
number, none changes its meaning. Moments are given twice: ``wall_ns``, nanoseconds of the wall clock, and ``ms``
since the start of the run. Durations are milliseconds.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bluegreen.load.classify import Column
    from bluegreen.load.patience import Standstill
    from bluegreen.load.record import Break, Cause, Micros, Record
    from bluegreen.load.result import AnswerTable, KindTable, LatencyTable, LoadResult, Second, Who

    Json = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None

SCHEMA: Final = 1


def to_json(result: LoadResult) -> str:
    """The whole result, in one line for each of its parts so that two can be compared."""
    parts = (f"{json.dumps(name)}: {json.dumps(part)}" for name, part in _document(result).items())
    return "{" + ",\n".join(parts) + "}\n"


def _document(result: LoadResult) -> dict[str, Json]:
    run, tables, start = result.run, result.tables, result.records.start
    not_ok = tables.columns.total - tables.columns.ok
    return {
        "schema": SCHEMA,
        "target": run.plan.url,
        "started": _moment(start, start),
        "seconds": round(run.seconds, 3),
        "stopped_early": run.stopped_early,
        "planned": run.plan.requests,
        "unsent": run.unsent,
        "sessions_lost": run.sessions_lost,
        "standstills": [{"end": _moment(each.end, start), "seconds": each.seconds} for each in run.standstills],
        "requests": tables.columns.total,
        "columns": asdict(tables.columns),
        "causes": {column.value: _counts(causes) for column, causes in tables.causes.items()},
        "breaks": _counts(tables.breaks),
        "kinds": [_kind(result, kind) for kind in tables.kinds],
        "answers": [_answers(table, start) for table in tables.answers],
        "latency_ms": [_latency(table) for table in tables.latency],
        "lateness_ms": asdict(tables.lateness),
        "bad_versions": sorted(result.bad_versions),
        "crash_windows": [asdict(window) for window in result.crash_windows],
        "spans": [asdict(span) for span in result.spans],
        "timeline": [_second(second) for second in tables.timeline],
        "not_ok": [_record(column, record, start) for column, record in tables.not_ok],
        "not_ok_left_out": not_ok - len(tables.not_ok),
    }


def _counts(counts: Mapping[Cause, int] | Mapping[Break, int]) -> dict[str, Json]:
    return {name.value: count for name, count in counts.items()}


def _moment(at: Micros, start: Micros) -> dict[str, Json]:
    return {"wall_ns": at * 1000, "ms": (at - start) / 1000}


def _kind(result: LoadResult, table: KindTable) -> dict[str, Json]:
    plan = next(kind for kind in result.run.plan.kinds if kind.kind is table.kind)
    connections = result.run.connections[table.kind]
    return {
        "kind": table.kind,
        "rate": plan.rate,
        "path": plan.path,
        "planned": plan.requests(result.run.plan.duration),
        "requests": table.columns.total,
        "columns": asdict(table.columns),
        "causes": _counts(table.causes),
        "connections": asdict(connections),
    }


def _answers(table: AnswerTable, start: Micros) -> dict[str, Json]:
    return {
        **table.who._asdict(),
        "answers": table.answers,
        "columns": asdict(table.columns),
        "first": _moment(table.first, start),
        "last": _moment(table.last, start),
    }


def _latency(table: LatencyTable) -> dict[str, Json]:
    return {
        "kind": table.kind,
        **table.who._asdict(),
        "answers": table.answers,
        "from_due": asdict(table.from_due),
        "from_send": asdict(table.from_send),
    }


def _second(second: Second) -> dict[str, Json]:
    answers: list[Json] = [{**who._asdict(), "answers": count} for who, count in second.answers.items()]
    return {"second": second.second, "columns": asdict(second.columns), "answers": answers}


def _record(column: Column, record: Record, start: Micros) -> dict[str, Json]:
    return {
        "column": column,
        "kind": record.kind,
        "cause": record.cause,
        "status": record.status,
        "code": record.code,
        "slot": record.slot,
        "version": record.version,
        "break": record.how,
        "due": _moment(record.due, start),
        "sent": _moment(record.sent, start),
        "end": _moment(record.end, start),
        "fault": _moment(record.fault, start),
    }


def to_text(result: LoadResult) -> str:
    """The result in a screenful."""
    return (
        "\n".join([*_head(result), "", *_kinds_text(result), "", *_answers_text(result), *_causes_text(result)]) + "\n"
    )


def _head(result: LoadResult) -> Iterator[str]:
    run, columns = result.run, result.columns
    yield f"{columns.total} requests in {run.seconds:.1f} s to {run.plan.url}"
    yield (
        f"failed {columns.failed}, answered badly {columns.answered_badly}, "
        f"lost to a crash {columns.lost_to_crash}, moved {columns.moved}, ok {columns.ok}"
    )
    if run.unsent:
        yield f"{run.unsent} of the {run.plan.requests} planned requests were not sent: {_why_unsent(result)}"
    if run.standstills:
        yield _stood_still(run.standstills)
    late = result.tables.lateness
    yield f"the generator sent p50 {late.p50:.1f}, p99 {late.p99:.1f}, at most {late.max:.1f} ms late"


def _stood_still(standstills: Sequence[Standstill]) -> str:
    longest = max(each.seconds for each in standstills)
    times = f", the longest of {len(standstills)} times" if len(standstills) > 1 else ""
    return f"the generator stood still for {longest:.2f} s{times}: time limits do not count what it did not see"


def _why_unsent(result: LoadResult) -> str:
    if result.run.stopped_early:
        return "the run was stopped"
    return "this machine is too slow for the rate; give a lower one"


def _kinds_text(result: LoadResult) -> Iterator[str]:
    yield f"{'kind':<10}{'requests':>9}{'failed':>8}{'badly':>8}{'crash':>8}{'moved':>8}{'opened':>8}"
    for table in result.tables.kinds:
        row = table.columns
        opened = result.run.connections[table.kind].opened
        yield (
            f"{table.kind:<10}{row.total:>9}{row.failed:>8}{row.answered_badly:>8}"
            f"{row.lost_to_crash:>8}{row.moved:>8}{opened:>8}"
        )


def _answers_text(result: LoadResult) -> Iterator[str]:
    yield f"{'answered by':<24}{'kind':<10}{'answers':>9}{'p50 ms':>9}{'p95':>9}{'p99':>9}{'max':>9}"
    for table in sorted(result.tables.latency, key=lambda table: table.who):
        at = table.from_due
        yield (
            f"{_name(table.who):<24}{table.kind:<10}{table.answers:>9}"
            f"{at.p50:>9.1f}{at.p95:>9.1f}{at.p99:>9.1f}{at.max:>9.1f}"
        )
    for answers in result.tables.answers:
        first, last = ((at - result.records.start) / 1e6 for at in (answers.first, answers.last))
        yield f"{_name(answers.who)}: first answer at {first:.3f} s, last at {last:.3f} s"


def _name(who: Who) -> str:
    return " ".join(part for part in who if part) or "(no name)"


def _causes_text(result: LoadResult) -> Iterator[str]:
    for column, causes in result.tables.causes.items():
        told = ", ".join(f"{count} {cause}" for cause, count in causes.items())
        yield f"{column}: {told}"
