"""ports.Journal: durable when it returns, in order, and an error when it cannot be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.contract.bench import Make, look, moves, new_run

from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import JournalError
from bluegreen.domain.judgement import Finding, Judgement
from bluegreen.domain.judgement import Outcome as Verdict
from bluegreen.domain.plan import Options, make_plan
from bluegreen.domain.release import (
    Began,
    Body,
    Confirmed,
    Ended,
    Entry,
    Judged,
    Outcome,
    Restored,
    Restoring,
    Retiring,
    RollbackBegan,
    RollingBack,
    Staging,
    Switching,
    Validated,
)
from bluegreen.domain.stack import Slot

if TYPE_CHECKING:
    from tests.contract.bench import Bench

GREEN = Slot.GREEN


def entry(run: str, body: Body, *, at: float = 1_750_000_000.25) -> Entry:
    return Entry(run=run, at=at, body=body)


def whole(bench: Bench, run: str) -> list[Entry]:
    """A journal with an entry of every kind."""
    live = look(bench)
    images = {name: bench.image(name, Make.GOOD) for name in bench.stack.names}
    plan = make_plan(live, stack=bench.stack, images=images, options=Options(keep_failed=True), release=run)
    writes = moves(live, plan.target, order=bench.stack.names, fallback=plan.active)
    finding = Finding(rule="error share", outcome=Verdict.FAIL, figures='5 of "100" 5xx — 5 %\n')
    cause = Cause(service="s", slot=GREEN, reason="crash loop", detail="\x1b[31mred\x00", exit_code=-9)
    bodies: list[Body] = [
        Began(plan=plan, who="ann"),
        RollbackBegan(to=GREEN, of="", who="böb", reason="it's odd; \\ \N{SNOWMAN}"),
        Staging(slot=plan.target),
        Validated(slot=plan.target),
        Switching(moves=writes),
        Confirmed(slot=plan.target, how=""),
        Judged(judgement=Judgement(outcome=Verdict.FAIL, findings=(finding,))),
        RollingBack(moves=writes[::-1], why="bad"),
        Restoring(spec=plan.want),
        Restored(slot=plan.target),
        Retiring(slot=plan.active, moves=()),
        Ended(outcome=Outcome.ROLLED_BACK, why="bad", cause=cause, took=1.5),
    ]
    return [entry(run, body, at=float(place)) for place, body in enumerate(bodies)]


def test_entries_of_every_kind_come_back_in_order_to_another_process(bench: Bench) -> None:
    run = new_run()
    written = whole(bench, run)
    journal = bench.journal()
    for each in written:
        journal.record(each)
        assert bench.journal().entries(run)[-1] == each  # durable when it returns
    assert list(bench.journal().entries(run)) == written
    assert list(journal.entries(run)) == written


def test_entries_that_are_recorded_together_come_back_one_by_one(bench: Bench) -> None:
    run = new_run()
    written = whole(bench, run)
    journal = bench.journal()
    journal.record(*written[:2])
    journal.record(written[2])
    journal.record(*written[3:])
    assert list(bench.journal().entries(run)) == written


def test_the_order_is_that_of_writing_and_not_that_of_clocks(bench: Bench) -> None:
    run, journal = new_run(), bench.journal()
    written = [entry(run, Staging(slot=GREEN), at=at) for at in (5.0, 1.0, 3.0, 3.0)]
    for each in written:
        journal.record(each)
    assert list(bench.journal().entries(run)) == written


def test_two_processes_write_the_journals_of_two_runs(bench: Bench) -> None:
    one, two = bench.journal(), bench.journal()
    first, second = new_run(), new_run("b")
    mine = [entry(first, Staging(slot=GREEN)), entry(first, Validated(slot=GREEN))]
    other = [entry(second, RollbackBegan(to=GREEN, of=first, who="bob")), entry(second, Ended(outcome=Outcome.HELD))]
    one.record(mine[0])
    two.record(other[0])
    one.record(mine[1])
    two.record(other[1])
    assert list(two.entries(first)) == mine
    assert list(one.entries(second)) == other


def test_the_newest_run_comes_first_by_its_beginning(bench: Bench) -> None:
    journal, runs = bench.journal(), [new_run() for _ in range(3)]
    for run in runs:
        journal.record(entry(run, Staging(slot=GREEN)))
    journal.record(entry(runs[0], Ended(outcome=Outcome.FAILED)))  # an old one goes on: it does not become new
    newest_first = runs[::-1]
    for newest in (1, 2, 3):
        assert list(bench.journal().runs(newest=newest)) == newest_first[:newest]
    assert list(bench.journal().runs(newest=1000))[:3] == newest_first
    assert list(bench.journal().runs(newest=0)) == []


def test_a_run_that_never_was_has_no_entries(bench: Bench) -> None:
    assert list(bench.journal().entries("r-never")) == []
    assert list(bench.journal().entries("")) == []
    assert list(bench.journal().entries("r-never' OR '1'='1")) == []


def test_what_cannot_be_made_durable_is_an_error_and_is_not_kept(bench: Bench) -> None:
    run, journal = new_run(), bench.journal()
    first, lost, last = (entry(run, body(slot=GREEN)) for body in (Staging, Validated, Restored))
    journal.record(first)
    with bench.no_room():
        with pytest.raises(JournalError) as caught:
            journal.record(lost)
        with pytest.raises(JournalError):
            journal.record(lost, last)
        assert "\n" not in str(caught.value)
        assert caught.value.mend
        assert list(bench.journal().entries(run)) == [first]
    journal.record(last)
    assert list(bench.journal().entries(run)) == [first, last]
