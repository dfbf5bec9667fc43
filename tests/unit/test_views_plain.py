"""The plain view: the exact text of each event, as a person sees it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from bluegreen.cli.views.paper import Paper
from bluegreen.cli.views.plain import PlainView
from bluegreen.domain.cause import Cause
from bluegreen.domain.errors import ExitCode
from bluegreen.domain.events import (
    CameBack,
    Checked,
    Checklist,
    Diagnosed,
    Event,
    Failing,
    Note,
    Notified,
    Observed,
    Phase,
    PhaseBegan,
    PhaseDone,
    Planned,
    Proved,
    Routed,
    Summary,
    Waiting,
    Warned,
    WindowJudged,
)
from bluegreen.domain.image import ImageReference
from bluegreen.domain.judgement import Finding, Judgement
from bluegreen.domain.judgement import Outcome as Judged
from bluegreen.domain.plan import Change, Options, Plan, SlotSpec, WorkloadSpec
from bluegreen.domain.release import Item, Outcome, State
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from collections.abc import Sequence


def image(text: str) -> ImageReference:
    return ImageReference.parse(text)


def spec(revision: str, backend: str, gateway: str) -> SlotSpec:
    works = [("alfred-backend", backend), ("alfred-gateway", gateway)]
    return SlotSpec(
        slot=Slot.GREEN,
        revision=revision,
        workloads=tuple(
            WorkloadSpec(service=name, image=image(reference), replicas=2, template=Template())
            for name, reference in works
        ),
    )


def plan(*, options: Options | None = None, previous: SlotSpec | None = None, nothing_to_do: bool = False) -> Plan:
    return Plan(
        release="r-1a2b",
        stack="alfred",
        active=Slot.BLUE,
        target=Slot.GREEN,
        changes=(
            Change(
                service="alfred-backend",
                before=image("alfredai/backend:v1"),
                serving=image("alfredai/backend:v2"),
                after=image("alfredai/backend:v3"),
                carried=False,
                differences=("environment LOG_LEVEL: info -> debug",),
            ),
            Change(
                service="alfred-gateway",
                before=None,
                serving=image("alfredai/gateway:v2"),
                after=image("alfredai/gateway:v2"),
                carried=True,
            ),
        ),
        want=spec("r-1a2b", "alfredai/backend:v3", "alfredai/gateway:v2"),
        previous=previous,
        options=options or Options(),
        notes=("alfred-gateway in green is replaced too: the active slot's image is carried over",),
        nothing_to_do=nothing_to_do,
    )


@dataclass
class Clock:
    """A clock that a test moves."""

    time: float = 1000.0

    def now(self) -> float:
        return self.time


def drawn(events: Sequence[Event], *, width: int = 80, colour: bool = False) -> str:
    """What is written when nothing happens for two seconds after the last event."""
    lines: list[str] = []
    clock = Clock()
    view = PlainView(lines.append, Paper(width=width, colour=colour), now=clock.now)
    for event in events:
        view(event)
    clock.time += 2
    view.remind()
    return "\n".join(lines)


CAUSE = Cause(
    service="alfred-gateway",
    slot=Slot.GREEN,
    reason="crash loop",
    exit_code=1,
    pod="alfred-gateway-green-1@r-1a2b",
    container="run",
    advice="its last log lines say why",
)

GOOD = Judgement(
    outcome=Judged.INCONCLUSIVE,
    findings=(
        Finding(rule="error share", outcome=Judged.PASS, figures="0 of 1204 5xx (0.00%, limit 1.00%)"),
        Finding(rule="P95 overhead", outcome=Judged.INCONCLUSIVE, figures="no requests were counted"),
    ),
)

TEXTS: dict[type, tuple[Event, str]] = {
    Planned: (
        Planned(plan=plan(), dry_run=False),
        """\
release r-1a2b of alfred: blue serves, green gets the new version
   backend    alfredai/backend:v1 -> alfredai/backend:v3
              blue serves alfredai/backend:v2
              differs from blue: environment LOG_LEVEL: info -> debug
   gateway    nothing -> alfredai/gateway:v2, carried over from blue
   note       alfred-gateway in green is replaced too: the active slot's image
              is carried over
   limits     health validation at most 2 min 30 s; observation window 30 s
   order      backend, then gateway; back in reverse
   on failure before the switch users stay on blue; after it they go back to
              blue by themselves; green is ended again
   then       blue goes on running, as the way back
""",
    ),
    PhaseBegan: (
        PhaseBegan(phase=Phase.VALIDATE, what="green until it is ready", limit=150),
        " 3 validate   green until it is ready (at most 2 min 30 s)",
    ),
    PhaseDone: (
        PhaseDone(phase=Phase.DETECT, what="blue serves; green is to be replaced", took=0.02),
        " 1 detect     blue serves; green is to be replaced                        0.02 s",
    ),
    Waiting: (
        Waiting(
            wants=("alfred-gateway 1/2 ready (readiness: GET /ready answered 503)",),
            waited=4,
            left=146,
        ),
        """\
              waiting for alfred-gateway 1/2 ready (readiness: GET /ready
              answered 503), 6 s of 2 min 30 s""",
    ),
    Note: (Note(text="r-0 never ended"), "   note       r-0 never ended"),
    Warned: (
        Warned(text="green was not ended: no answer", mend="run it again"),
        "   warning    green was not ended: no answer\n              run it again",
    ),
    Checked: (
        Checked(name="'pair' (alfred-gateway, pods)", passed=True, detail="200 in 12 ms"),
        "   check      'pair' (alfred-gateway, pods) passed: 200 in 12 ms",
    ),
    Routed: (
        Routed(slot=Slot.GREEN, services=("alfred-backend", "alfred-gateway"), took=0.08),
        "              users go to green: alfred-backend, alfred-gateway           0.08 s",
    ),
    Proved: (
        Proved(slot=Slot.GREEN, how="green answers at the address that users call"),
        "   proof      green answers at the address that users call",
    ),
    Observed: (
        Observed(requests=1204, errors=1, slow=0, left=20),
        "              1,204 requests, 1 error, 0 slow; 20 s to go",
    ),
    WindowJudged: (
        WindowJudged(judgement=GOOD),
        """\
   judged     not proven
              error share: good, 0 of 1204 5xx (0.00%, limit 1.00%)
              P95 overhead: not proven, no requests were counted""",
    ),
    Diagnosed: (
        Diagnosed(
            cause=CAUSE,
            log=("Traceback (most recent call last):", "ModuleNotFoundError: No module named 'x'"),
            where="/srv/.bluegreen/logs/alfred-gateway-green-1.log",
        ),
        """\
   why        alfred-gateway in green: crash loop, exit code 1
              pod alfred-gateway-green-1@r-1a2b, container run
              its last log lines say why
              the last lines of its log:
              | Traceback (most recent call last):
              | ModuleNotFoundError: No module named 'x'
              more of it: /srv/.bluegreen/logs/alfred-gateway-green-1.log""",
    ),
    Failing: (
        Failing(why="green was not ready within 150 s", users="users saw nothing"),
        "   failing    green was not ready within 150 s\n              users saw nothing",
    ),
    CameBack: (
        CameBack(slot=Slot.BLUE, why="error share: 60 of 1204", took=0.04),
        "   back       users are on blue again: error share: 60 of 1204            0.04 s",
    ),
    Checklist: (
        Checklist(
            run="r-1a2b",
            items=(
                Item(name="no 502/503 during the transition", state=State.MET, figures="gateway: 0 of 1,204 answers"),
                Item(
                    name="error rate < 1 % for 5 minutes after the switch",
                    state=State.NOT_YET,
                    figures="so far 0 of 702 answers of gateway were 5xx in 30 s; judged by bluegreen verify",
                ),
            ),
        ),
        """\

checklist     no 502/503 during the transition                               met
              gateway: 0 of 1,204 answers
              error rate < 1 % for 5 minutes after the switch      not yet known
              so far 0 of 702 answers of gateway were 5xx in 30 s; judged by
              bluegreen verify""",
    ),
    Notified: (
        Notified(to="json://hooks.example", why="no answer within its limit"),
        "  not told by json://hooks.example: no answer within its limit",
    ),
    Summary: (
        Summary(
            run="r-1a2b",
            outcome=Outcome.RELEASED,
            headline="released: green serves",
            details=("alfred to backend alfredai/backend:v3, gateway alfredai/gateway:v2",),
            way_back="bluegreen rollback   (to blue, which is warm: at once)",
            took=41.2,
            exit_code=ExitCode.OK,
        ),
        """\

released: green serves
  alfred to backend alfredai/backend:v3, gateway alfredai/gateway:v2
  way back: bluegreen rollback   (to blue, which is warm: at once)
  r-1a2b, 41 s, exit code 0""",
    ),
}


def test_every_event_has_its_text() -> None:
    assert set(TEXTS) == set(get_args(Event))
    for event, text in TEXTS.values():
        assert drawn([event]) == text, type(event).__name__


def test_a_dry_run_says_so_and_what_would_happen_if_it_failed() -> None:
    options = Options(validation_time=60, scale_down_old=True)
    previous = spec("r-0", "alfredai/backend:v1", "alfredai/gateway:v1")

    assert drawn([Planned(plan=plan(options=options, previous=previous), dry_run=True)]).split("\n")[7:] == [
        "   limits     health validation at most 2 min 30 s; observation window 1 min",
        "   order      backend, then gateway; back in reverse",
        "   on failure before the switch users stay on blue; after it they go back to",
        "              blue by themselves; green gets back what was good in it: backend",
        "              alfredai/backend:v1, gateway alfredai/gateway:v1",
        "   then       blue is ended after the window (--scale-down-old)",
        "",
    ]
    assert drawn([Planned(plan=plan(), dry_run=True)]).startswith("dry run of a release of alfred: blue serves, green")


def test_a_plan_says_nothing_twice() -> None:
    """The idle slot holds what the active one serves, as after the first start."""
    v1, v2 = image("shop:v1"), image("shop:v2")
    changes = (
        Change(service="alfred-api", before=v1, serving=v1, after=v1, carried=True),
        Change(service="alfred-web", before=v1, serving=v1, after=v2, carried=False),
    )
    assert drawn([Planned(plan=replace(plan(), changes=changes), dry_run=False)]).splitlines()[1:4] == [
        "   api        shop:v1, carried over from blue",
        "   web        shop:v1 -> shop:v2",
        "   note       alfred-gateway in green is replaced too: the active slot's image",
    ]


def test_a_failed_version_that_is_kept_is_said_in_the_plan() -> None:
    text = drawn([Planned(plan=plan(options=Options(keep_failed=True)), dry_run=False)])

    assert "green keeps the failed version for looking\n              (--keep-failed)" in text


def test_a_plan_with_nothing_to_do_is_one_line() -> None:
    text = drawn([Planned(plan=plan(nothing_to_do=True), dry_run=False)])

    assert text == "alfred: blue serves these images with these settings already"


def test_a_phase_has_its_name_once() -> None:
    text = drawn(
        [
            PhaseBegan(phase=Phase.VALIDATE, what="green until it is ready", limit=150),
            PhaseDone(phase=Phase.VALIDATE, what="backend 2/2 ready, gateway 2/2 ready", took=1.8),
            PhaseBegan(phase=Phase.OBSERVE, what="green under real users", limit=30),
            PhaseDone(phase=Phase.OBSERVE, what="good", took=30),
            PhaseBegan(phase=Phase.RESTORE, what="v1 back into green", limit=150),
            PhaseDone(phase=Phase.RESTORE, what="green is warm again", took=2),
        ]
    )

    assert text == (
        " 3 validate   green until it is ready (at most 2 min 30 s)\n"
        "              backend 2/2 ready, gateway 2/2 ready                         1.8 s\n"
        " 5 observe    green under real users for 30 s\n"
        "              good                                                          30 s\n"
        "   restore    v1 back into green (at most 2 min 30 s)\n"
        "              green is warm again                                            2 s"
    )


class Watched:
    """A plain view whose lines a test reads as time goes by."""

    def __init__(self) -> None:
        self.clock = Clock(time=0)
        self.lines: list[str] = []
        self.view = PlainView(self.lines.append, Paper(), now=self.clock.now)

    def hear(self, event: Event, *, at: float) -> list[str]:
        self.clock.time = at
        self.view(event)
        return self._new()

    def look(self, *, at: float) -> list[str]:
        self.clock.time = at
        self.view.remind()
        return self._new()

    def _new(self) -> list[str]:
        new = [line.strip() for line in self.lines]
        self.lines.clear()
        return new


def waiting(want: str, waited: float) -> Waiting:
    return Waiting(wants=(want,), waited=waited, left=150 - waited)


def test_a_wait_that_is_over_soon_is_not_told() -> None:
    watched = Watched()

    assert watched.hear(waiting("a 0/2", 0), at=0) == []
    assert watched.hear(waiting("a 1/2", 0.4), at=0.4) == []
    assert watched.hear(PhaseDone(phase=Phase.VALIDATE, what="ready", took=0.6), at=0.6) != []
    assert watched.look(at=60) == []


def test_waiting_is_told_when_it_changes_and_each_ten_seconds() -> None:
    watched = Watched()
    watched.hear(waiting("a 0/2", 0), at=0)

    assert watched.look(at=0.9) == []
    assert watched.look(at=1) == ["waiting for a 0/2, 1 s of 2 min 30 s"]
    assert watched.look(at=5) == []
    assert watched.hear(waiting("a 1/2", 5.5), at=5.5) == ["waiting for a 1/2, 5.5 s of 2 min 30 s"]
    assert watched.hear(waiting("a 0/2", 5.9), at=5.9) == []
    assert watched.look(at=6.5) == ["waiting for a 0/2, 6.5 s of 2 min 30 s"]
    assert watched.look(at=16.4) == []
    assert watched.look(at=16.5) == ["waiting for a 0/2, 16 s of 2 min 30 s"]
    assert watched.look(at=26.6) == ["waiting for a 0/2, 27 s of 2 min 30 s"]


def test_nothing_is_waited_for_after_a_failure() -> None:
    watched = Watched()
    watched.hear(waiting("a 0/2", 0), at=0)
    watched.hear(Failing(why="it is bad", users="users saw nothing"), at=0.5)

    assert watched.look(at=30) == []


def test_the_window_is_told_each_ten_seconds() -> None:
    text = drawn([Observed(requests=n, errors=0, slow=0, left=30 - n) for n in range(0, 30, 2)])

    assert [line.strip() for line in text.splitlines()] == [
        "0 requests, 0 errors, 0 slow; 30 s to go",
        "10 requests, 0 errors, 0 slow; 20 s to go",
        "20 requests, 0 errors, 0 slow; 10 s to go",
    ]


def test_a_failure_does_not_repeat_the_diagnosis() -> None:
    text = drawn(
        [
            Diagnosed(cause=CAUSE, log=(), where=""),
            Failing(why=str(CAUSE), users="users saw nothing"),
        ]
    )

    assert text == (
        "   why        alfred-gateway in green: crash loop, exit code 1\n"
        "              pod alfred-gateway-green-1@r-1a2b, container run\n"
        "              its last log lines say why\n"
        "              its log is empty\n"
        "   failing    users saw nothing"
    )


def test_the_way_back_does_not_repeat_the_failure() -> None:
    why = "error share: alfred-gateway: 60 of 1204 5xx (4.98%, limit 1.00%)"
    text = drawn(
        [
            Failing(why=why, users="users go back to blue"),
            CameBack(slot=Slot.BLUE, why=why, took=0.04),
            CameBack(slot=Slot.BLUE, why="asked for by hand", took=0.04),
        ]
    )

    assert text == (
        "   failing    error share: alfred-gateway: 60 of 1204 5xx (4.98%, limit 1.00%)\n"
        "              users go back to blue\n"
        "   back       users are on blue again                                     0.04 s\n"
        "   back       users are on blue again: asked for by hand                  0.04 s"
    )


def test_a_window_in_which_nobody_counts_has_no_count() -> None:
    assert drawn([Observed(requests=0, errors=0, slow=0, left=20, metered=False)]) == (
        "              no service's requests are counted; 20 s to go"
    )


def test_no_witness_and_a_failed_check_are_said() -> None:
    text = drawn(
        [
            Proved(slot=Slot.GREEN, how=""),
            Checked(name="'pair'", passed=False, detail="answered 500"),
        ]
    )

    assert text == (
        "   proof      none: nobody has seen a user's request answered by green\n"
        "   check      'pair' failed: answered 500"
    )


def test_a_summary_that_names_no_command_names_no_way_back() -> None:
    text = drawn(
        [
            Summary(
                run="",
                outcome=None,
                headline="nothing to do: blue serves this already",
                details=(),
                way_back="users are where they were",
                took=0,
                exit_code=ExitCode.OK,
            )
        ]
    )

    assert text == "\nnothing to do: blue serves this already\n  users are where they were\n  0 s, exit code 0"


def test_a_narrow_terminal_loses_no_word() -> None:
    for event, text in TEXTS.values():
        narrow = drawn([event], width=40)
        assert narrow.split() == text.split(), type(event).__name__


def test_colour_changes_no_word() -> None:
    for event, text in TEXTS.values():
        coloured = drawn([event], colour=True)
        for code in ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m"):
            coloured = coloured.replace(code, "")
        assert coloured == text, type(event).__name__


def test_a_pods_words_cannot_steer_the_terminal() -> None:
    text = drawn([Diagnosed(cause=CAUSE, log=("\x1b]0;evil\x07", "\x1b[2J"), where="/x\x1b[2J")], colour=False)

    assert "\x1b" not in text
    assert "\\x1b[2J" in text
