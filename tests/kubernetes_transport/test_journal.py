"""The journal between two requests: lost answers, two writers, order within a second, what is kept and what is cut."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from tests.kubernetes_transport.kit import RecordingClock
from tests.kubernetes_transport.objects import Served, served
from tests.kubernetes_transport.server import refuse, reply, reset

from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import ExitCode, JournalError
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
    RollbackBegan,
    RollingBack,
    Staging,
    Switching,
)
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.entries import EXCERPT, LARGEST, entry_of, text_of
from bluegreen.platforms.kubernetes.errors import MissingRight, Unreachable
from bluegreen.platforms.kubernetes.journal import KEPT, KubernetesJournal
from bluegreen.platforms.kubernetes.resources import CONFIG_MAPS, LEASES
from bluegreen.testing import Rehearsal, example_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.kubernetes_transport.server import Step

    from bluegreen.domain.plan import Plan

STACK = example_stack()
SPACE = "alfred"
GREEN = Slot.GREEN


def path(run: str) -> str:
    return CONFIG_MAPS.one(SPACE, f"bluegreen-pair-{run}")


class Stage(Served):
    """Processes that write journals."""

    def journal(self, *, clock: RecordingClock | None = None) -> KubernetesJournal:
        api = self.api(clock=clock)
        return KubernetesJournal(api, stack=STACK, namespace=SPACE, clock=clock or self.clock)

    def held_last_by(self, run: str) -> None:
        """What the lock leaves behind."""
        lease = LEASES.one(SPACE, "bluegreen-pair")
        self.objects.patch(lease, {"metadata": {"name": "bluegreen-pair", "annotations": {names.RELEASE: run}}})

    def found(self, run: str) -> dict[str, Any]:
        return self.objects.by_path[path(run)]


@pytest.fixture
def stage(clock: RecordingClock) -> Iterator[Stage]:
    with served(Stage, clock) as made:
        yield made


def entry(run: str, body: Body | None = None) -> Entry:
    return Entry(run=run, at=1_750_000_000.25, body=body or Staging(slot=GREEN))


def rollback_began(run: str = "b-1") -> Entry:
    return entry(run, RollbackBegan(to=GREEN, of="r-1", who="ann"))


def plan(release: str = "r-1") -> Plan:
    rehearsal = Rehearsal()
    live = rehearsal.platform.snapshot(until=rehearsal.clock.now())
    images = {name: rehearsal.image(name, "v2") for name in STACK.names}
    return make_plan(live, stack=STACK, images=images, options=Options(), release=release)


def began(run: str) -> Entry:
    return entry(run, Began(plan=plan(run), who="ann"))


# --- what is written --------------------------------------------------------------------------------------------


def test_a_run_is_a_config_map_that_people_can_read(stage: Stage) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    journal.record(entry("b-1", Ended(outcome=Outcome.ROLLED_BACK)))
    found = stage.found("b-1")
    assert found["metadata"]["labels"] == {"bluegreen.dev/stack": "pair", "app.kubernetes.io/managed-by": "bluegreen"}
    assert found["metadata"]["annotations"] == {
        names.RELEASE: "b-1",
        names.SCHEMA: "1",
        names.ORDER: "1750000000000",
        names.OUTCOME: "rolled back",
    }
    assert list(found["data"]) == ["0001", "0002"]
    assert json.loads(found["data"]["0001"])["body"]["kind"] == "rollback_began"


def test_a_rollback_asks_once_for_each_thing_it_must_know_or_write(stage: Stage) -> None:
    release = stage.journal()
    release.record(began("r-1"))
    release.record(entry("r-1", Switching(moves=())))
    stage.held_last_by("r-1")
    journal = stage.journal()
    runs = iter(journal.runs(newest=21))
    assert stage.asked(lambda: next(runs)) == ["GET", "GET"]
    assert stage.asked(lambda: journal.entries("r-1")) == []
    assert stage.asked(lambda: journal.record(rollback_began())) == ["POST"]
    assert stage.asked(lambda: journal.record(entry("b-1", RollingBack(moves=(), why="")))) == ["PATCH"]
    assert stage.asked(lambda: journal.record(entry("b-1", Ended(outcome=Outcome.ROLLED_BACK)))) == ["PATCH"]
    assert stage.asked(lambda: journal.record(entry("r-1", Ended(outcome=Outcome.ROLLED_BACK)))) == ["PATCH"]


def test_a_run_of_another_process_goes_on_after_its_last_entry(stage: Stage) -> None:
    stage.journal().record(rollback_began())
    other = stage.journal()
    assert stage.asked(lambda: other.record(entry("b-1"))) == ["GET", "PATCH"]
    assert [each.body for each in other.entries("b-1")] == [rollback_began().body, Staging(slot=GREEN)]


@pytest.mark.parametrize("run", ["", "R-1", "r_1", "-r", "r-", "a/b", "r 1", "x" * 101, "r-1'", "\n", "ü"])
def test_a_name_that_no_config_map_can_have_is_never_asked_for(stage: Stage, run: str) -> None:
    journal = stage.journal()
    assert list(journal.entries(run)) == []
    with pytest.raises(JournalError, match="a run cannot be called"):
        journal.record(entry(run))
    assert stage.server.heard == []


# --- order ------------------------------------------------------------------------------------------------------


def test_runs_that_begin_within_one_second_keep_their_order(stage: Stage) -> None:
    runs = [f"r-{number}" for number in (3, 1, 2)]
    for run in runs:
        stage.journal().record(rollback_began(run))
    journal = stage.journal()
    for run in ("b-2", "b-1"):
        journal.record(rollback_began(run))
    assert tuple(stage.journal().runs(newest=10)) == ("b-1", "b-2", "r-2", "r-1", "r-3")


def test_a_clock_that_is_behind_changes_no_order(stage: Stage) -> None:
    stage.clock.skip(1000)
    stage.journal().record(rollback_began("r-1"))
    slow = stage.journal(clock=RecordingClock())
    slow.record(rollback_began("r-2"))
    assert tuple(stage.journal().runs(newest=2)) == ("r-2", "r-1")


def test_a_run_that_began_after_the_last_look_comes_before_ours_by_the_clock(stage: Stage) -> None:
    journal = stage.journal()
    tuple(journal.runs(newest=1))
    stage.clock.skip(1)
    stage.journal().record(rollback_began("r-1"))
    stage.clock.skip(1)
    journal.record(rollback_began("b-1"))
    assert tuple(stage.journal().runs(newest=2)) == ("b-1", "r-1")


def test_config_maps_of_others_are_no_runs(stage: Stage) -> None:
    for name, labels in (("other", {}), ("labelled", names.ours(STACK))):
        stage.objects.patch(CONFIG_MAPS.one(SPACE, name), {"metadata": {"name": name, "labels": labels}})
    stage.journal().record(rollback_began())
    assert tuple(stage.journal().runs(newest=10)) == ("b-1",)


def test_a_list_asks_for_metadata_alone_and_for_none_of_no_runs(stage: Stage) -> None:
    journal = stage.journal()
    assert stage.asked(lambda: tuple(journal.runs(newest=0))) == []
    tuple(journal.runs(newest=1))
    heard = stage.server.heard[-1]
    assert "PartialObjectMetadataList" in heard.header("Accept")
    assert heard.query == {"labelSelector": "bluegreen.dev/stack=pair,app.kubernetes.io/managed-by=bluegreen"}


def test_what_the_server_remembers_is_not_trusted_when_the_last_run_is_not_in_it(stage: Stage) -> None:
    """Another replica of the API server, some seconds behind: it knows r-1, and nothing of r-2."""
    stage.journal().record(rollback_began("r-1"))
    before = stage.found("r-1")
    stage.journal().record(rollback_began("r-2"))
    stage.held_last_by("r-2")
    stale = reply({"metadata": {}, "items": [{"metadata": before["metadata"]}]})
    stage.first(stage.objects.answer, stage.objects.answer, stale)
    assert tuple(stage.journal().runs(newest=10)) == ("r-2", "r-1")
    assert "resourceVersion" not in stage.server.heard[-1].query


def test_without_a_lease_the_list_is_one_of_now(stage: Stage) -> None:
    stage.journal().record(rollback_began("r-1"))
    assert stage.asked(lambda: tuple(stage.journal().runs(newest=1))) == ["GET", "GET"]
    assert "resourceVersion" not in stage.server.heard[-1].query


# --- what comes between -----------------------------------------------------------------------------------------


def test_a_creation_whose_answer_is_lost_is_one_entry(stage: Stage) -> None:
    journal = stage.journal()
    tuple(journal.runs(newest=1))
    stage.first(stage.objects.lose)
    journal.record(rollback_began())
    journal.record(entry("b-1"))
    assert [each.body for each in journal.entries("b-1")] == [rollback_began().body, Staging(slot=GREEN)]


def test_an_append_whose_answer_is_lost_is_one_entry(stage: Stage) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    stage.first(stage.objects.lose)
    journal.record(entry("b-1"))
    assert list(stage.found("b-1")["data"]) == ["0001", "0002"]


def test_the_same_entry_twice_is_two(stage: Stage) -> None:
    journal = stage.journal()
    for _ in range(3):
        journal.record(entry("r-1"))
    assert len(journal.entries("r-1")) == 3


def test_two_writers_of_one_run_lose_nothing(stage: Stage) -> None:
    one, two = stage.journal(), stage.journal()
    one.record(rollback_began())
    two.record(entry("b-1", Confirmed(slot=GREEN, how="two")))
    one.record(entry("b-1", Confirmed(slot=GREEN, how="one")))
    two.record(entry("b-1", Ended(outcome=Outcome.HELD)))
    hows = [each.body.how for each in one.entries("b-1") if isinstance(each.body, Confirmed)]
    assert hows == ["two", "one"]
    assert len(one.entries("b-1")) == 4


def test_two_that_begin_one_run_at_the_same_instant_lose_nothing(stage: Stage) -> None:
    one, two = stage.journal(), stage.journal()
    tuple(one.runs(newest=1))
    tuple(two.runs(newest=1))
    one.record(rollback_began())
    two.record(entry("b-1", RollbackBegan(to=GREEN, of="", who="bob")))
    assert len(one.entries("b-1")) == 2


def test_a_config_map_that_is_removed_between_two_entries_is_made_anew(stage: Stage) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    stage.objects.remove(path("b-1"))
    journal.record(entry("b-1"))
    assert len(journal.entries("b-1")) == 1


def test_one_that_never_holds_still_is_told(stage: Stage) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    nudge = stage.objects.after(lambda: stage.objects.patch(path("b-1"), {"metadata": {"annotations": {"x": "y"}}}))
    stage.first(*[nudge, stage.objects.answer] * 5)
    with pytest.raises(JournalError, match="does not hold still") as told:
        journal.record(entry("b-1"))
    assert told.value.mend


def test_entries_written_together_whose_answer_is_lost_are_there_once(stage: Stage) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    stage.first(stage.objects.lose)
    journal.record(entry("b-1", RollingBack(moves=(), why="")), entry("b-1", Ended(outcome=Outcome.ROLLED_BACK)))
    assert [type(each.body) for each in journal.entries("b-1")] == [RollbackBegan, RollingBack, Ended]
    assert stage.found("b-1")["metadata"]["annotations"][names.OUTCOME] == "rolled back"


def test_entries_are_in_the_order_of_their_numbers_however_many(stage: Stage) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    texts = {str(number): text_of(entry("b-1", Confirmed(slot=GREEN, how=str(number)))) for number in (9999, 10000)}
    stage.objects.patch(path("b-1"), {"data": texts})
    journal.record(entry("b-1"))
    bodies = [each.body for each in journal.entries("b-1")]
    assert bodies[1:] == [*(Confirmed(slot=GREEN, how=how) for how in ("9999", "10000")), Staging(slot=GREEN)]


# --- what cannot be kept ----------------------------------------------------------------------------------------

QUOTA = refuse(403, "Forbidden", "configmaps is forbidden: exceeded quota: small, used: count/configmaps=1")
RIGHT = refuse(403, "Forbidden", 'User "ann" cannot patch resource "configmaps" in API group ""')
TOO_LONG = refuse(422, "Invalid", "data: Too long: may not be more than 1048576 bytes", details={"causes": [{}]})
FULL = refuse(500, "", "etcdserver: mvcc: database space exceeded")


@pytest.mark.parametrize(
    ("fault", "said"),
    [(QUOTA, "exceeded quota"), (RIGHT, "may not patch configmaps"), (TOO_LONG, "Too long"), (FULL, "space exceeded")],
    ids=["quota", "right", "too long", "etcd full"],
)
def test_what_the_cluster_does_not_take_is_an_error_with_the_mend(stage: Stage, fault: Step, said: str) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    stage.first(*[fault] * 20)
    with pytest.raises(JournalError, match=f"^the journal of b-1: .*{said}") as told:
        journal.record(entry("b-1"))
    assert told.value.exit_code is ExitCode.UNREACHABLE
    assert told.value.mend
    assert "\n" not in str(told.value)
    stage.well()
    journal.record(entry("b-1", Ended(outcome=Outcome.HELD)))
    assert [type(each.body) for each in journal.entries("b-1")] == [RollbackBegan, Ended]


def test_an_entry_that_may_have_arrived_is_not_written_twice_by_the_next_one(stage: Stage) -> None:
    """The answer is lost, and then the server is gone for longer than the call may take."""
    journal = stage.journal()
    journal.record(rollback_began())
    stage.first(stage.objects.lose, *[reset] * 30)
    with pytest.raises(JournalError):
        journal.record(entry("b-1"))
    stage.well()
    journal.record(entry("b-1", Ended(outcome=Outcome.HELD)))
    assert [type(each.body) for each in journal.entries("b-1")] == [RollbackBegan, Staging, Ended]


def test_reading_without_the_right_says_which_right(stage: Stage) -> None:
    message = 'User "ann" cannot list resource "configmaps" in API group ""'
    stage.first(stage.objects.answer, refuse(403, "Forbidden", message))
    with pytest.raises(MissingRight, match="may not list configmaps"):
        tuple(stage.journal().runs(newest=1))


def test_a_server_that_hangs_is_out_of_reach_and_no_limit_of_the_release(stage: Stage) -> None:
    stage.first(stage.hang)
    with pytest.raises(Unreachable):
        tuple(stage.journal().runs(newest=1))
    stage.first(stage.hang)
    with pytest.raises(JournalError):
        stage.journal().record(entry("r-1"))


# --- what is kept -----------------------------------------------------------------------------------------------


def test_the_newest_runs_and_the_last_good_one_are_kept(stage: Stage) -> None:
    journal = stage.journal()
    for number in range(KEPT + 5):
        journal.record(began(f"r-{number}"))
        outcome = Outcome.NOT_PROVEN if number in {1, 2} else Outcome.FAILED
        journal.record(entry(f"r-{number}", Ended(outcome=outcome)))
    newest = [f"r-{number}" for number in range(KEPT + 4, 4, -1)]
    assert list(journal.runs(newest=100)) == [*newest, "r-2"]
    assert len(journal.entries("r-2")) == 2
    gone = [heard for heard in stage.server.heard if heard.method == "DELETE"]
    assert gone
    assert all("uid" in heard.body.decode() for heard in gone)  # never another one of that name


def test_a_rollback_forgets_nothing(stage: Stage) -> None:
    journal = stage.journal()
    for number in range(KEPT + 5):
        journal.record(rollback_began(f"b-{number}"))
    assert len(tuple(journal.runs(newest=100))) == KEPT + 5


def test_an_old_run_that_cannot_be_deleted_stops_nothing(stage: Stage) -> None:
    journal = stage.journal()
    for number in range(KEPT):
        journal.record(rollback_began(f"b-{number}"))
    stage.first(stage.objects.answer, stage.objects.answer, refuse(403, "Forbidden", "no"))
    journal.record(began("r-1"))
    assert len(tuple(journal.runs(newest=100))) == KEPT + 1
    journal.record(began("r-2"))
    assert len(tuple(journal.runs(newest=100))) == KEPT


# --- sizes, and what others wrote ------------------------------------------------------------------------------


def test_explanations_are_cut_where_they_get_long() -> None:
    long = "ü" * EXCERPT
    cause = Cause(service="s", slot=GREEN, reason="crash loop", detail=long)
    finding = Finding(rule="error share", outcome=Verdict.FAIL, figures=long)
    bodies: list[Body] = [
        Ended(outcome=Outcome.FAILED, why=long, cause=cause),
        RollingBack(moves=(), why=long),
        RollbackBegan(to=GREEN, of="", who="ann", reason=long),
        Confirmed(slot=GREEN, how=long),
        Judged(judgement=Judgement(outcome=Verdict.FAIL, findings=(finding,))),
    ]
    short = "ü" * ((EXCERPT - 3) // 2) + "…"
    for body in bodies:
        written = text_of(entry("r-1", body))
        read = repr(entry_of(written, run="r-1"))
        assert short in read
        assert long not in read


def test_a_plan_is_never_cut_and_one_that_is_too_large_is_refused() -> None:
    whole = plan()
    first = whole.want.workloads[0]

    def with_setting(size: int) -> Entry:
        big = replace(first, template=Template(settings=(("file", "x" * size),)))
        want = replace(whole.want, workloads=(big, *whole.want.workloads[1:]))
        return entry("r-1", Began(plan=replace(whole, want=want), who="ann"))

    large = with_setting(10 * EXCERPT)
    assert entry_of(text_of(large), run="r-1") == large
    with pytest.raises(JournalError, match=f"more than {LARGEST}") as told:
        text_of(with_setting(LARGEST))
    assert told.value.mend


def test_a_config_map_of_that_name_that_is_not_ours_is_neither_read_nor_written(stage: Stage) -> None:
    stage.objects.patch(path("r-1"), {"metadata": {"name": "bluegreen-pair-r-1"}, "data": {"0001": "theirs"}})
    journal = stage.journal()
    for act in (lambda: journal.entries("r-1"), lambda: journal.record(entry("r-1"))):
        with pytest.raises(JournalError, match="is not the journal of r-1"):
            act()
    assert stage.found("r-1")["data"] == {"0001": "theirs"}


def test_what_another_version_wrote_is_told_and_not_guessed(stage: Stage) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    stage.objects.patch(path("b-1"), {"metadata": {"annotations": {names.SCHEMA: "2"}}})
    with pytest.raises(JournalError, match="another version"):
        journal.entries("b-1")


def test_an_entry_that_cannot_be_read_is_told_without_what_is_in_it(stage: Stage) -> None:
    journal = stage.journal()
    journal.record(rollback_began())
    stage.objects.patch(path("b-1"), {"data": {"0002": "{", "note": "by a person"}})
    with pytest.raises(JournalError, match="an entry in the journal of b-1 cannot be read") as told:
        journal.entries("b-1")
    assert told.value.mend
