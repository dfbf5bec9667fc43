"""Events as calm lines of text: numbered phases, what is waited for, why something failed, and the summary last.

A phase's number and name stand once, at its beginning; its end carries the time it took. Waiting is told when what is
waited for changes, and at least every REMIND seconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import count, join, seconds
from bluegreen.cli.views.plan import plan_lines
from bluegreen.domain.events import (
    CameBack,
    Checked,
    Diagnosed,
    Failing,
    Note,
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
from bluegreen.domain.judgement import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.events import Event
    from bluegreen.domain.health import Cause
    from bluegreen.domain.judgement import Judgement
    from bluegreen.domain.stack import Seconds

REMIND: Seconds = 10.0

_Told = Note | Warned | Checked | Routed | Proved | WindowJudged | CameBack
"""Events that stand for themselves."""

JUDGED = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.INCONCLUSIVE: "not proven"}
_JUDGED_STYLE = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "yellow"}
_NUMBERED = (Phase.DETECT, Phase.DEPLOY, Phase.VALIDATE, Phase.SWITCH, Phase.OBSERVE, Phase.RETIRE)


class PlainView:
    """A listener that writes lines."""

    def __init__(self, write: Callable[[str], None], paper: Paper) -> None:
        """``write`` takes one line without its end."""
        self._write = write
        self._paper = paper
        self._phase: Phase | None = None
        self._wants: tuple[str, ...] = ()
        self._told_at: Seconds = 0.0
        self._left: Seconds | None = None
        self._cause = ""

    def __call__(self, event: Event) -> None:
        """Draw the event."""
        for line in self._lines(event):
            self._write(line)

    def _lines(self, event: Event) -> list[str]:
        match event:
            case Planned(plan=plan, dry_run=dry_run):
                return plan_lines(self._paper, plan, dry_run=dry_run)
            case PhaseBegan() | PhaseDone() | Waiting() | Observed():
                return self._progress(event)
            case Diagnosed():
                self._cause = str(event.cause)
                return _diagnosed(self._paper, event)
            case Failing():
                return self._failing(event)
            case Summary():
                return _summary(self._paper, event)
            case _:
                return _told(self._paper, event)

    def _progress(self, event: PhaseBegan | PhaseDone | Waiting | Observed) -> list[str]:
        match event:
            case PhaseBegan():
                return self._began(event)
            case PhaseDone():
                return self._done(event)
            case Waiting():
                return self._waiting(event)
            case Observed():
                return self._observed(event)

    def _began(self, event: PhaseBegan) -> list[str]:
        self._phase, self._wants, self._told_at, self._left = event.phase, (), 0.0, None
        limit = f" (at most {seconds(event.limit)})" if event.limit is not None else ""
        if event.phase is Phase.OBSERVE and event.limit is not None:
            limit = f" for {seconds(event.limit)}"
        return self._paper.field(_title(event.phase), f"{event.what}{limit}", style="bold")

    def _done(self, event: PhaseDone) -> list[str]:
        open_phase, self._phase = self._phase, None
        took = seconds(event.took)
        if open_phase is event.phase:
            return self._paper.text(event.what, right=took)
        return self._paper.field(_title(event.phase), event.what, right=took, style="bold")

    def _waiting(self, event: Waiting) -> list[str]:
        if event.wants == self._wants and event.waited - self._told_at < REMIND:
            return []
        self._wants, self._told_at = event.wants, event.waited
        so_far = f"{seconds(event.waited)} of {seconds(event.waited + event.left)}"
        return self._paper.text(f"waiting for {'; '.join(event.wants)}, {so_far}")

    def _observed(self, event: Observed) -> list[str]:
        if self._left is not None and self._left - event.left < REMIND:
            return []
        self._left = event.left
        seen = f"{count(event.requests, 'request')}, {count(event.errors, 'error')}, {event.slow:,} slow"
        return self._paper.text(f"{seen}; {seconds(event.left)} to go")

    def _failing(self, event: Failing) -> list[str]:
        """The reason is not said twice when the diagnosis above has just said it."""
        if event.why == self._cause:
            return self._paper.field("   failing", event.users, style="red")
        return [*self._paper.field("   failing", event.why, style="red"), *self._paper.text(event.users)]


def _title(phase: Phase) -> str:
    if phase not in _NUMBERED:
        return f"   {phase}"
    return f" {_NUMBERED.index(phase) + 1} {phase}"


def _told(paper: Paper, event: _Told) -> list[str]:
    """A label and a text."""
    match event:
        case Note(text=text):
            return paper.field("   note", text)
        case Warned(text=text, mend=mend):
            return [*paper.field("   warning", text, style="yellow"), *(paper.text(mend) if mend else ())]
        case Checked(name=name, passed=passed, detail=detail):
            return _checked(paper, name, detail, passed=passed)
        case Routed(slot=slot, services=services, took=took):
            return paper.text(f"users of {join(services)} are sent to {slot}", right=seconds(took))
        case Proved(slot=slot, how=how):
            return paper.field("   proof", how or f"none: nobody has seen a user's request answered by {slot}")
        case WindowJudged(judgement=judgement):
            return judgement_lines(paper, judgement)
        case CameBack(slot=slot, why=why, took=took):
            return paper.field("   back", f"users are on {slot} again: {why}", right=seconds(took), style="yellow")


def _checked(paper: Paper, name: str, detail: str, *, passed: bool) -> list[str]:
    word, style = ("passed", "") if passed else ("failed", "red")
    more = f": {detail}" if detail else ""
    return paper.field("   check", f"{name} {word}{more}", style=style)


def judgement_lines(paper: Paper, judgement: Judgement) -> list[str]:
    """The window's judgement with the figures of each rule."""
    lines = paper.field("   judged", JUDGED[judgement.outcome], style=_JUDGED_STYLE[judgement.outcome])
    for finding in judgement.findings:
        lines += paper.text(f"{finding.rule}: {JUDGED[finding.outcome]}, {finding.figures}")
    return lines


def _diagnosed(paper: Paper, event: Diagnosed) -> list[str]:
    lines = [*paper.field("   why", str(event.cause), style="red"), *cause_lines(paper, event.cause)]
    if event.log:
        lines += [*paper.text("the last lines of its log:"), *paper.quote(event.log)]
    else:
        lines += paper.text("its log is empty")
    if event.where:
        lines += paper.text(f"the whole log: {event.where}")
    return lines


def cause_lines(paper: Paper, cause: Cause) -> list[str]:
    """Where it happened, and what to do."""
    place = [f"pod {cause.pod}" if cause.pod else "", f"container {cause.container}" if cause.container else ""]
    where = ", ".join(word for word in place if word)
    return [*(paper.text(where) if where else ()), *(paper.text(cause.advice) if cause.advice else ())]


def _summary(paper: Paper, event: Summary) -> list[str]:
    lines = ["", *paper.paragraph(event.headline, style="bold")]
    for detail in event.details:
        lines += paper.paragraph(detail, indent=2)
    if event.way_back:
        lines += paper.paragraph(f"way back: {event.way_back}", indent=2)
    end = [event.run, seconds(event.took), f"exit code {int(event.exit_code)}"]
    return lines + paper.paragraph(", ".join(word for word in end if word), indent=2)
