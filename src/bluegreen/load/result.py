"""What a run counted: the tables, made from the records in one pass.

Decides how records are summed up. Which column a record is in, ``classify`` says; how tables are written,
``report``.
"""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from bluegreen.load.classify import Column, classify
from bluegreen.load.plan import Kind
from bluegreen.load.record import Break, Cause
from bluegreen.load.report import to_json
from bluegreen.load.spans import count_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from collections.abc import Set as AbstractSet

    from bluegreen.load.classify import CrashWindow
    from bluegreen.load.exchange import Connections
    from bluegreen.load.patience import Standstill
    from bluegreen.load.plan import LoadPlan, Seconds
    from bluegreen.load.record import Micros, Record, Records
    from bluegreen.load.spans import Span, SpanCount

KEPT_NOT_OK: Final = 1000
"""Records that are not ok are given one by one up to here; the rest is counted and said to be left out."""


class Who(NamedTuple):
    """Who answered, by its own headers; empty where it did not say."""

    slot: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """How many requests each column holds."""

    ok: int = 0
    moved: int = 0
    failed: int = 0
    answered_badly: int = 0
    lost_to_crash: int = 0

    @classmethod
    def of(cls, counts: Mapping[Column, int]) -> Columns:
        """From counts by column; a column that is not there holds none."""
        return cls(**{column.value: counts.get(column, 0) for column in Column})

    @property
    def total(self) -> int:
        """All of them: the requests."""
        return self.ok + self.moved + self.failed + self.answered_badly + self.lost_to_crash


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentiles:
    """Nearest-rank percentiles, in milliseconds; all 0 when nothing was measured."""

    p50: float = 0.0
    p95: float = 0.0
    p99: float = 0.0
    max: float = 0.0

    @classmethod
    def of(cls, micros: Iterable[Micros]) -> Percentiles:
        """From durations in microseconds."""
        ordered = sorted(micros)
        if not ordered:
            return cls()
        at = [ordered[-(-len(ordered) * share // 100) - 1] / 1000 for share in (50, 95, 99, 100)]
        return cls(p50=at[0], p95=at[1], p99=at[2], max=at[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTable:
    """What became of the requests of one kind."""

    kind: Kind
    columns: Columns
    causes: Mapping[Cause, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTable:
    """The complete answers of one slot and version."""

    who: Who
    answers: int
    columns: Columns
    first: Micros
    """When the first was complete, and the last."""
    last: Micros


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyTable:
    """How long the complete answers of one kind from one slot and version took."""

    kind: Kind
    who: Who
    answers: int
    from_due: Percentiles
    """Counted from when the request was due: what a user waited, the generator's lateness included."""
    from_send: Percentiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """What ended in one second of the run."""

    second: int
    columns: Columns
    answers: Mapping[Who, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Everything that is summed up over the records of a run."""

    columns: Columns
    causes: Mapping[Column, Mapping[Cause, int]]
    kinds: tuple[KindTable, ...]
    answers: tuple[AnswerTable, ...]
    latency: tuple[LatencyTable, ...]
    lateness: Percentiles
    """How long after it was due the generator sent a request."""
    timeline: tuple[Second, ...]
    breaks: Mapping[Break, int]
    """How the connections of HTTP requests ended that got no whole answer."""
    not_ok: tuple[tuple[Column, Record], ...]
    """The first of the requests in any column but ok, in the order in which they ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What is known of a run besides its records."""

    plan: LoadPlan
    seconds: Seconds
    """How long it took, the wait for the last answers included."""
    stopped_early: bool
    unsent: int
    """Planned and not sent: the run was stopped, or the generator fell behind for good."""
    sessions_lost: int
    """WebSockets that broke with no message under way: counted as requests though none was due."""
    standstills: tuple[Standstill, ...]
    """When the generator itself saw nothing; no request's time limit counts that."""
    connections: Mapping[Kind, Connections]


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadResult:
    """A run, its records and what they add up to."""

    run: Run
    records: Records
    bad_versions: frozenset[str]
    crash_windows: tuple[CrashWindow, ...]
    tables: Tables
    spans: tuple[SpanCount, ...] = ()
    """Asked for apart; empty: nobody has."""

    @classmethod
    def of(
        cls, run: Run, records: Records, *, bad_versions: AbstractSet[str], crash_windows: Sequence[CrashWindow]
    ) -> LoadResult:
        """Sum up ``records``."""
        return cls(
            run=run,
            records=records,
            bad_versions=frozenset(bad_versions),
            crash_windows=tuple(crash_windows),
            tables=tabulate(records, bad_versions=bad_versions, crash_windows=crash_windows),
        )

    def judged(
        self, *, bad_versions: AbstractSet[str] | None = None, crash_windows: Sequence[CrashWindow] | None = None
    ) -> LoadResult:
        """The same run, summed up with what became known after it; None keeps what was known."""
        versions = self.bad_versions if bad_versions is None else bad_versions
        windows = self.crash_windows if crash_windows is None else crash_windows
        return LoadResult.of(self.run, self.records, bad_versions=versions, crash_windows=windows)

    def counted(self, spans: Sequence[Span]) -> LoadResult:
        """The same run, with these spans counted apart."""
        return replace(self, spans=count_spans(spans, self.records))

    @property
    def columns(self) -> Columns:
        """The requests by column."""
        return self.tables.columns

    def to_json(self) -> str:
        """The result as one JSON document; ``report`` describes it."""
        return to_json(self)


def tabulate(records: Records, *, bad_versions: AbstractSet[str], crash_windows: Sequence[CrashWindow]) -> Tables:
    """Sum up records. Each is in one column, and in each table once at most."""
    tally = _Tally(start=records.start)
    for record in records:
        tally.add(record, classify(record, bad_versions=bad_versions, crash_windows=crash_windows))
    return tally.tables()


@dataclass(slots=True)
class _Answers:
    """The answers of one slot and version so far."""

    first: Micros
    last: Micros
    columns: Counter[Column] = field(default_factory=Counter)


@dataclass(slots=True)
class _Times:
    """The durations of one kind and answerer so far, in microseconds."""

    due: array[int] = field(default_factory=lambda: array("I"))
    sent: array[int] = field(default_factory=lambda: array("I"))


@dataclass(slots=True)
class _Second:
    columns: Counter[Column] = field(default_factory=Counter)
    answers: Counter[Who] = field(default_factory=Counter)


@dataclass(slots=True)
class _Tally:
    """The tables while they are being made."""

    start: Micros
    columns: Counter[Column] = field(default_factory=Counter)
    causes: Counter[tuple[Column, Cause]] = field(default_factory=Counter)
    kinds: Counter[tuple[Kind, Column, Cause]] = field(default_factory=Counter)
    answers: dict[Who, _Answers] = field(default_factory=dict)
    times: defaultdict[tuple[Kind, Who], _Times] = field(default_factory=lambda: defaultdict(_Times))
    lateness: array[int] = field(default_factory=lambda: array("I"))
    seconds: defaultdict[int, _Second] = field(default_factory=lambda: defaultdict(_Second))
    breaks: Counter[Break] = field(default_factory=Counter)
    not_ok: list[tuple[Column, Record]] = field(default_factory=list)

    def add(self, record: Record, column: Column) -> None:
        self.columns[column] += 1
        self.causes[column, record.cause] += 1
        self.kinds[record.kind, column, record.cause] += 1
        self.lateness.append(record.sent - record.due)
        self.breaks[record.how] += 1
        second = self.seconds[(record.end - self.start) // 1_000_000]
        second.columns[column] += 1
        if record.complete:
            second.answers[Who(record.slot, record.version)] += 1
            self._add_answer(record, column)
        if column is not Column.OK and len(self.not_ok) < KEPT_NOT_OK:
            self.not_ok.append((column, record))

    def _add_answer(self, record: Record, column: Column) -> None:
        who = Who(record.slot, record.version)
        answers = self.answers.setdefault(who, _Answers(first=record.end, last=record.end))
        answers.columns[column] += 1
        answers.last = max(answers.last, record.end)
        answers.first = min(answers.first, record.end)
        times = self.times[record.kind, who]
        times.due.append(record.end - record.due)
        times.sent.append(record.end - record.sent)

    def tables(self) -> Tables:
        return Tables(
            columns=Columns.of(self.columns),
            causes=self._causes(),
            kinds=tuple(self._kind(kind) for kind in Kind if any(key[0] is kind for key in self.kinds)),
            answers=tuple(_answer_table(who, self.answers[who]) for who in sorted(self.answers)),
            latency=tuple(_latency_table(*key, self.times[key]) for key in sorted(self.times)),
            lateness=Percentiles.of(self.lateness),
            timeline=tuple(self._second(number) for number in sorted(self.seconds)),
            breaks={how: self.breaks[how] for how in Break if how is not Break.NONE},
            not_ok=tuple(self.not_ok),
        )

    def _causes(self) -> dict[Column, dict[Cause, int]]:
        causes: dict[Column, dict[Cause, int]] = {}
        for (column, cause), count in sorted(self.causes.items()):
            if cause is not Cause.NONE:
                causes.setdefault(column, {})[cause] = count
        return causes

    def _kind(self, kind: Kind) -> KindTable:
        columns: Counter[Column] = Counter()
        causes: Counter[Cause] = Counter()
        for (of, column, cause), count in self.kinds.items():
            if of is kind:
                columns[column] += count
                causes[cause] += count
        del causes[Cause.NONE]
        return KindTable(kind=kind, columns=Columns.of(columns), causes=dict(sorted(causes.items())))

    def _second(self, number: int) -> Second:
        second = self.seconds[number]
        return Second(second=number, columns=Columns.of(second.columns), answers=dict(sorted(second.answers.items())))


def _answer_table(who: Who, answers: _Answers) -> AnswerTable:
    columns = Columns.of(answers.columns)
    return AnswerTable(who=who, answers=columns.total, columns=columns, first=answers.first, last=answers.last)


def _latency_table(kind: Kind, who: Who, times: _Times) -> LatencyTable:
    return LatencyTable(
        kind=kind,
        who=who,
        answers=len(times.due),
        from_due=Percentiles.of(times.due),
        from_send=Percentiles.of(times.sent),
    )
