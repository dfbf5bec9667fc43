"""The views of one value: status, history, one run, logs, and JSON lines."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from bluegreen.cli.program import Program
from bluegreen.cli.views.history import Unread, history_fields, history_lines
from bluegreen.cli.views.json import JsonView, error_line, fields
from bluegreen.cli.views.logs import log_lines
from bluegreen.cli.views.paper import Paper
from bluegreen.cli.views.report import report_lines
from bluegreen.cli.views.status import NOT_KNOWN, Address, Preview, Status, look, status_lines
from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import ExitCode, Held
from bluegreen.domain.events import Phase, PhaseDone, Planned, Summary
from bluegreen.domain.image import ImageReference
from bluegreen.domain.judgement import Finding, Judgement
from bluegreen.domain.judgement import Outcome as Judged
from bluegreen.domain.plan import Change, Options, Plan, SlotSpec, WorkloadSpec
from bluegreen.domain.release import (
    Began,
    Body,
    Confirmed,
    Ended,
    Entry,
    Outcome,
    Restored,
    Restoring,
    Retiring,
    RollbackBegan,
    RollingBack,
    Run,
    Staging,
    Switching,
    Validated,
    fold,
)
from bluegreen.domain.release import Judged as JudgedEntry
from bluegreen.domain.report import report_of
from bluegreen.domain.routing import Move
from bluegreen.domain.snapshot import Container, Pod, Route, Snapshot, Template, Terminated, Waiting, Workload
from bluegreen.domain.stack import Instant, Probe, Probes, Service, Slot, Stack
from bluegreen.platforms.local.tails import tails_in
from bluegreen.ports import LogTail

PAPER = Paper()


def run_lines(paper: Paper, run: Run) -> list[str]:
    return report_lines(paper, run, report_of(run))


PROBE = Probe(path="/health")
NAMES = ("alfred-backend", "alfred-gateway")
STACK = Stack(
    name="alfred",
    services=tuple(
        Service(name=name, image=name, port=1, probes=Probes(startup=PROBE, readiness=PROBE, liveness=PROBE))
        for name in NAMES
    ),
)
ADDRESSES = (
    Address(
        service="alfred-backend",
        users="http://127.0.0.1:8000",
        previews=(
            Preview(slot=Slot.BLUE, at="http://127.0.0.1:20001"),
            Preview(slot=Slot.GREEN, at="http://127.0.0.1:20002"),
        ),
    ),
    Address(service="alfred-gateway", users="http://127.0.0.1:8080"),
)


def image(tag: str) -> ImageReference:
    return ImageReference.parse(f"alfredai/backend:{tag}")


def pod(name: str, slot: Slot, *, ready: bool = True, container: Container | None = None) -> Pod:
    return Pod(
        name=name,
        service="alfred-backend",
        slot=slot,
        revision="r-1",
        ready=ready,
        containers=(container or Container(name="run"),),
    )


def workload(service: str, slot: Slot, *pods: Pod, tag: str = "v1") -> Workload:
    pods = pods or (pod("p-0", slot), pod("p-1", slot))
    return Workload(service=service, slot=slot, image=image(tag), replicas=2, revision="r-1", pods=pods)


def snapshot(*works: Workload, routes: tuple[Slot | None, ...] = (Slot.BLUE, Slot.BLUE)) -> Snapshot:
    given = {(work.service, work.slot): work for work in works}
    return Snapshot(
        at=Instant(0),
        routes=tuple(Route(service=name, slot=slot, version="1") for name, slot in zip(NAMES, routes, strict=True)),
        workloads=tuple(
            given.get((name, slot)) or workload(name, slot, tag="v1" if slot is Slot.BLUE else "v2")
            for name in NAMES
            for slot in Slot
        ),
    )


def spec(slot: Slot, tag: str) -> SlotSpec:
    work = WorkloadSpec(service="alfred-backend", image=image(tag), replicas=2, template=Template())
    return SlotSpec(slot=slot, revision="r-0", workloads=(work,))


PLAN = Plan(
    release="r-1",
    stack="alfred",
    active=Slot.BLUE,
    target=Slot.GREEN,
    changes=(Change(service="alfred-backend", before=None, serving=image("v1"), after=image("v2"), carried=False),),
    want=spec(Slot.GREEN, "v2"),
    previous=spec(Slot.GREEN, "v0"),
    options=Options(),
)
MOVES = tuple(Move(service=name, to=Slot.GREEN, expect="1", fence=f"w-{name}") for name in NAMES)


def run(*bodies: Body, name: str = "r-1") -> Run:
    """A run with an entry every two seconds."""
    found = fold(Entry(run=name, at=1000.0 + 2 * index, body=body) for index, body in enumerate(bodies))
    assert found is not None
    return found


def release(*bodies: Body) -> Run:
    return run(Began(plan=PLAN, who="ann on ci-7"), *bodies)


GOOD = Judgement(
    outcome=Judged.PASS,
    findings=(Finding(rule="error share", outcome=Judged.PASS, figures="0 of 1204 5xx"),),
)
RELEASED = release(
    Staging(slot=Slot.GREEN),
    Validated(slot=Slot.GREEN),
    Switching(moves=MOVES),
    Confirmed(slot=Slot.GREEN, how="green answers"),
    JudgedEntry(judgement=GOOD),
    Ended(outcome=Outcome.RELEASED, took=12),
)


def status(*works: Workload, runs: tuple[Run, ...] = (), routes: tuple[Slot | None, ...] = (Slot.BLUE,) * 2) -> Status:
    return look(stack=STACK, snapshot=snapshot(*works, routes=routes), runs=runs, addresses=ADDRESSES)


def text(lines: list[str]) -> str:
    return "\n".join(lines)


def test_status_after_a_release() -> None:
    found = status(runs=(RELEASED,), routes=(Slot.GREEN, Slot.GREEN))

    assert (
        text(status_lines(PAPER, found))
        == """\
alfred: green serves
blue          stands by
              backend alfredai/backend:v1, 2/2 ready
              gateway alfredai/backend:v1, 2/2 ready
green         serves users
              backend alfredai/backend:v2, 2/2 ready
              gateway alfredai/backend:v2, 2/2 ready
backend       users call http://127.0.0.1:8000
              preview blue http://127.0.0.1:20001, green http://127.0.0.1:20002
gateway       users call http://127.0.0.1:8080
way back      bluegreen rollback brings users to blue at once
last run      r-1 released"""
    )


def test_status_says_that_somebody_has_moved_users() -> None:
    found = status(runs=(RELEASED,), routes=(Slot.BLUE, Slot.BLUE))

    lines = status_lines(PAPER, found)
    assert lines[lines.index("last run      r-1 released") + 1 :] == [
        "moved         r-1 left users on green, and somebody has moved them to blue since"
    ]


def test_status_shows_where_users_are_though_the_journal_cannot_be_read() -> None:
    found = look(
        stack=STACK, snapshot=snapshot(routes=(Slot.GREEN,) * 2), runs=(), addresses=ADDRESSES, unread="entry 3 is cut"
    )

    lines = [" ".join(line.split()) for line in status_lines(PAPER, found)]
    assert lines[0] == "alfred: green serves"
    assert "journal cannot be read: entry 3 is cut" in lines
    assert f"way back {NOT_KNOWN}" in " ".join(lines)
    assert found.back is None


UNTOLD = "there is one slot only: no Deployment differs"


def test_status_does_not_call_a_stack_not_started_of_which_it_cannot_tell_the_slots() -> None:
    """Users are served; ``up`` would be the wrong thing to do."""
    found = look(stack=STACK, snapshot=snapshot(routes=(None, None)), runs=(), addresses=ADDRESSES, untold=UNTOLD)
    told = " ".join(text(status_lines(PAPER, found)).split())
    assert told.startswith("alfred: which slot serves is not known")
    assert f"doubt {UNTOLD}; bluegreen doctor says what ends it" in told
    assert "holds nothing" not in told
    assert "bluegreen up" not in told


def test_status_of_a_doubt_beside_a_slot_that_serves() -> None:
    found = look(
        stack=STACK, snapshot=snapshot(routes=(Slot.GREEN,) * 2), runs=(), addresses=ADDRESSES, untold="two of one"
    )
    lines = status_lines(PAPER, found)
    assert lines[0] == "alfred: green serves"
    assert any(line.startswith("doubt         two of one;") for line in lines)


def test_status_of_a_cold_way_back_and_of_trouble() -> None:
    nothing = Workload(service="alfred-backend", slot=Slot.BLUE, image=None, replicas=0)
    crashing = Container(name="run", state=Waiting(reason="CrashLoopBackOff", message="exit code 3"))
    down = workload(
        "alfred-backend",
        Slot.GREEN,
        pod("p-0", Slot.GREEN),
        pod("p-1", Slot.GREEN, ready=False, container=crashing),
        tag="v2",
    )
    found = status(nothing, down, runs=(RELEASED,), routes=(Slot.GREEN, Slot.GREEN))

    lines = status_lines(PAPER, found)
    assert lines[2] == "              backend holds nothing"
    assert lines[5:7] == [
        "              backend alfredai/backend:v2, 1/2 ready",
        "              p-1: CrashLoopBackOff: exit code 3",
    ]
    assert "way back      bluegreen rollback --cold brings users to blue, which must be" in lines


def test_a_slot_where_nothing_is_ready_serves_nobody() -> None:
    """As after a `bluegreen down`: where users are sent is known, and that nobody answers them is said first."""
    gone = [
        workload(name, slot, replace(pod("p-0", slot, ready=False), service=name)) for name in NAMES for slot in Slot
    ]
    lines = status_lines(PAPER, status(*gone))
    assert lines[0] == "alfred: users are on blue, where backend and gateway are not ready"
    assert "blue          users are sent here, and nothing is ready" in lines
    assert "green         nothing is ready" in lines

    half = status_lines(PAPER, status(gone[0], routes=(Slot.BLUE, Slot.BLUE)))
    assert half[0] == "alfred: users are on blue, where backend is not ready"
    assert "blue          serves users" in half


def test_trouble_is_named_for_each_way_of_not_being_ready() -> None:
    cases: dict[str, Pod] = {
        "p: no room": replace(pod("p", Slot.BLUE, ready=False), unplaced="no room"),
        "p: ended with exit code 9": pod(
            "p", Slot.BLUE, ready=False, container=Container(name="run", state=Terminated(exit_code=9))
        ),
        "p: readiness: GET /ready answered 503": pod(
            "p", Slot.BLUE, ready=False, container=Container(name="run", failing="readiness: GET /ready answered 503")
        ),
        "": pod("p", Slot.BLUE, ready=False),
    }
    for words, bad in cases.items():
        assert status(workload("alfred-backend", Slot.BLUE, bad)).slots[0].services[0].trouble == words


def test_a_split_stack_is_said_first() -> None:
    found = status(routes=(Slot.GREEN, Slot.BLUE))

    assert found.serving is None
    assert text(status_lines(PAPER, found)).startswith(
        "alfred is split: alfred-backend on green, alfred-gateway on blue;\n"
        "  bluegreen rollback --to SLOT brings it to one slot\n"
        "blue          serves a part\n"
    )


WATCHED_AGAIN = (
    "green serves and was not watched to the end; the next deploy watches it first, a rollback brings users to blue"
)


def test_what_the_next_command_does_about_an_unfinished_run() -> None:
    switching = (Staging(slot=Slot.GREEN), Validated(slot=Slot.GREEN), Switching(moves=MOVES))
    back = RollingBack(moves=MOVES, why="bad")
    cases: list[tuple[Run, tuple[Slot, Slot], str]] = [
        (
            release(Staging(slot=Slot.GREEN)),
            (Slot.BLUE, Slot.BLUE),
            "users saw nothing of it; the next deploy closes it and goes on, a rollback puts its slot in order",
        ),
        (
            release(*switching),
            (Slot.BLUE, Slot.BLUE),
            "it came to its switch, and blue serves; the next deploy closes it and goes on",
        ),
        (
            release(*switching),
            (Slot.GREEN, Slot.BLUE),
            "it stopped in the middle of its switch; the next deploy or rollback brings users to blue",
        ),
        (
            release(*switching, back),
            (Slot.GREEN, Slot.GREEN),
            "it stopped in the middle of its switch; the next deploy or rollback brings users to blue",
        ),
        (
            release(*switching),
            (Slot.GREEN, Slot.GREEN),
            WATCHED_AGAIN,
        ),
        (
            run(RollbackBegan(to=Slot.BLUE, of="r-0", who="ann"), name="b-1"),
            (Slot.GREEN, Slot.GREEN),
            "the next deploy or rollback brings users to blue first",
        ),
    ]
    for unfinished, routes, words in cases:
        found = status(runs=(unfinished,), routes=routes).unfinished
        assert found is not None
        assert found.next == words


def test_an_unfinished_run_is_shown_with_who_and_since_when() -> None:
    found = status(runs=(release(Staging(slot=Slot.GREEN)),))

    assert text(status_lines(PAPER, found)).endswith(
        """\
unfinished    release r-1 by ann on ci-7, begun 1970-01-01 00:16:40Z, has not
              ended
              if it does not run any more: users saw nothing of it; the next
              deploy closes it and goes on, a rollback puts its slot in order"""
    )


def test_history() -> None:
    rollback = run(
        RollbackBegan(to=Slot.BLUE, of="r-1", who="bob", reason="slow"),
        RollingBack(moves=MOVES, why="slow"),
        Ended(outcome=Outcome.ROLLED_BACK, took=0.05),
        name="b-2",
    )

    assert (
        text(history_lines(PAPER, [rollback, RELEASED, release()]))
        == """\
b-2           1970-01-01 00:16:40Z  rolled back: blue serves
              rollback to blue, taking back r-1; by bob; took 0.05 s
r-1           1970-01-01 00:16:40Z  released: green serves
              backend alfredai/backend:v2; by ann on ci-7; took 12 s
r-1           1970-01-01 00:16:40Z  has not ended
              backend alfredai/backend:v2; by ann on ci-7"""
    )
    assert history_lines(PAPER, []) == ["no release yet"]


def test_history_for_programs() -> None:
    assert history_fields(RELEASED) == {
        "id": "r-1",
        "kind_of_run": "release",
        "began_at": 1000.0,
        "who": "ann on ci-7",
        "what": "backend alfredai/backend:v2",
        "outcome": "released",
        "serving_after": "green",
        "took": 12,
        "unread": "",
    }
    assert history_fields(release())["outcome"] is None


UNREAD = Unread(id="r-9", why="an entry of r-9 cannot be read: 'canaried' is none of began", mend="use the newer one")


def test_a_run_that_cannot_be_read_hides_no_other() -> None:
    assert text(history_lines(PAPER, [UNREAD, RELEASED])).splitlines()[:4] == [
        "r-9           an entry of r-9 cannot be read: 'canaried' is none of began",
        "              use the newer one",
        "r-1           1970-01-01 00:16:40Z  released: green serves",
        "              backend alfredai/backend:v2; by ann on ci-7; took 12 s",
    ]
    fields_of_it = history_fields(UNREAD)
    assert list(fields_of_it) == list(history_fields(RELEASED))
    assert {name: value for name, value in fields_of_it.items() if value is not None} == {
        "id": "r-9",
        "unread": UNREAD.why,
    }


def test_one_good_release() -> None:
    assert (
        text(run_lines(PAPER, RELEASED))
        == """\
release r-1: released: green serves
began         1970-01-01 00:16:40Z, by ann on ci-7, took 12 s
plan          alfred: blue served, green got the new version
   backend    nothing -> alfredai/backend:v2
              blue serves alfredai/backend:v1
   limits     health validation at most 2 min 30 s; observation window 30 s
   order      backend; back in reverse
   on failure before the switch users stay on blue; after it they go back to
              blue by themselves; green gets back what was good in it: backend
              alfredai/backend:v0
   then       blue goes on running, as the way back
course        seconds since it began
   0 s        the plan was made; nothing was written yet
   2 s        green gets the new version
   4 s        green is ready and its checks have passed
   6 s        the routes go to green
   8 s        green serves; green answers
   10 s       the observation window was good
   12 s       the end: released
phases        and how long each took
   deploy     green gets the new version                                     2 s
   switch     the routes go to green                                         2 s
   observe    green serves; green answers                                    2 s
judged        good
              error share: good, 0 of 1204 5xx
witness       green answers
checklist     health endpoints return 200 on the new slot        cannot be known
              the pods were ready by their own probes; nobody has asked them
              besides
              error rate < 1 % for 5 minutes after the switch    cannot be known
              the counters at the switch were not recorded
              P95 latency within 150 ms of overhead              cannot be known
              the judgement says nothing of it (P95 overhead)
              no 502/503 during the transition                   cannot be known
              what was answered during the transition was not counted
              old slot available for rollback                    cannot be known
              nobody has looked at blue at the end
not known     how long each phase took was not recorded: the times are those of
              the journal's entries
              what was answered after the switch was not counted"""
    )


def test_one_bad_release_with_its_cause() -> None:
    cause = Cause(service="alfred-backend", slot=Slot.GREEN, reason="crash loop", pod="p-0", advice="read its log")
    bad = release(
        Switching(moves=()),
        Confirmed(slot=Slot.GREEN, how=""),
        RollingBack(moves=MOVES, why="crash"),
        Restoring(spec=spec(Slot.GREEN, "v0")),
        Restored(slot=Slot.GREEN),
        Retiring(slot=Slot.BLUE, moves=()),
        Ended(outcome=Outcome.ROLLED_BACK, why="crash", cause=cause),
    )

    lines = run_lines(PAPER, bad)
    assert lines[0] == "release r-1: rolled back: blue serves"
    assert (
        text(lines[lines.index("course        seconds since it began") :])
        == """\
course        seconds since it began
   0 s        the plan was made; nothing was written yet
   2 s        the routes are about to move
   4 s        green serves; nobody could witness it
   6 s        the routes go back: crash
   8 s        green gets its previous images back
   10 s       green is in order again
   12 s       blue is ended
   14 s       the end: rolled back
phases        and how long each took
   switch     the routes are about to move                                   2 s
   observe    green serves; nobody could witness it                          2 s
   restore    green gets its previous images back                            2 s
   retire     blue is ended                                                  2 s
why           crash
              pod p-0
              read its log
checklist     health endpoints return 200 on the new slot        cannot be known
              the journal does not say that the slot was validated
              error rate < 1 % for 5 minutes after the switch    cannot be known
              users left green before the five minutes were over
              P95 latency within 150 ms of overhead              cannot be known
              the observation window was not judged
              no 502/503 during the transition                   cannot be known
              what was answered during the transition was not counted
              old slot available for rollback                                met
              given up as asked: blue was ended (--scale-down-old)
not known     how long each phase took was not recorded: the times are those of
              the journal's entries
              no witness saw a user's request answered by the new slot
              what was answered after the switch was not counted"""
    )


def test_one_rollback() -> None:
    rollback = run(RollbackBegan(to=Slot.BLUE, of="", who="", reason="slow"), name="b-2")

    assert (
        text(run_lines(PAPER, rollback))
        == """\
rollback b-2: has not ended
began         1970-01-01 00:16:40Z
what          rollback to blue
course        seconds since it began
   0 s        rollback to blue: slow
not known     the run has not ended, or was killed: what it saw since its last
              entry is not recorded"""
    )


def test_log_tails_are_of_the_services_and_slots_asked_for(tmp_path: Path) -> None:
    for name in ("web-blue-0", "web-green-0", "web-green-1", "api-green-0", "envoy"):
        (tmp_path / f"{name}.log").write_text("".join(f"{name} {n}\n" for n in range(5)))
    (tmp_path / "web-blue-0.log").write_bytes(b"half \xff\r\nlast without end")

    tails = tails_in(tmp_path, services=["web"], slot=None, lines=2)

    assert tails == (
        LogTail(where=str(tmp_path / "web-blue-0.log"), lines=("half \ufffd", "last without end")),
        LogTail(where=str(tmp_path / "web-green-0.log"), lines=("web-green-0 3", "web-green-0 4")),
        LogTail(where=str(tmp_path / "web-green-1.log"), lines=("web-green-1 3", "web-green-1 4")),
    )
    assert [
        Path(tail.where).name for tail in tails_in(tmp_path, services=["web", "api"], slot=Slot.GREEN, lines=1)
    ] == [
        "web-green-0.log",
        "web-green-1.log",
        "api-green-0.log",
    ]


def test_logs_as_text() -> None:
    tails = [LogTail(where="/x/a.log", lines=("one", "two \x1b[2J")), LogTail(where="/x/b.log", lines=())]

    assert text(log_lines(PAPER, tails)) == "==> /x/a.log <==\none\ntwo \\x1b[2J\n==> /x/b.log <==\n(empty)"
    assert log_lines(PAPER, []) == ["no log yet"]


def json_of(event: Any) -> dict[str, Any]:
    lines: list[str] = []
    JsonView(lines.append)(event)
    (line,) = lines
    assert "\n" not in line
    found = json.loads(line)
    assert isinstance(found, dict)
    return found


def test_an_event_is_one_json_line_with_version_and_name() -> None:
    lines: list[str] = []
    JsonView(lines.append)(PhaseDone(phase=Phase.DETECT, what="blué", took=0.5))

    assert lines == ['{"v":1,"event":"phase_done","phase":"detect","what":"blu\\u00e9","took":0.5}']


def test_nested_values_keep_their_kind() -> None:
    found = json_of(Planned(plan=PLAN, dry_run=True))

    assert list(found)[:2] == ["v", "event"]
    assert (found["event"], found["dry_run"], found["plan"]["target"]) == ("planned", True, "green")
    assert found["plan"]["want"]["workloads"][0]["image"]["tag"] == "v2"


def test_a_summary_for_programs_has_outcome_and_exit_code() -> None:
    found = json_of(
        Summary(
            run="r-1",
            outcome=Outcome.NOT_PROVEN,
            headline="h",
            details=(),
            way_back="",
            took=1,
            exit_code=ExitCode.OK,
        )
    )

    assert (found["outcome"], found["exit_code"]) == ("released, not proven", 0)


def test_a_status_and_a_run_have_a_plain_form() -> None:
    plain = fields(status(runs=(RELEASED,), routes=(Slot.GREEN, Slot.GREEN)))

    assert plain["serving"] == "green"
    assert json.loads(json.dumps(plain["addresses"]))[0]["users"] == "http://127.0.0.1:8000"
    assert json.dumps(fields(RELEASED)).count('"kind": "entry"') == len(RELEASED.entries)


def test_an_error_for_programs_names_the_command_as_it_has_to_be_typed() -> None:
    program = Program(options=("--state", "/srv/state"))
    assert error_line(Held("both", mend="look at bluegreen status"), program) == (
        '{"v":1,"event":"error","message":"both","mend":"look at bluegreen status --state /srv/state","exit_code":5}'
    )
