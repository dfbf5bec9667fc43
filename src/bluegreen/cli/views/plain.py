"""Events as calm lines of text: numbered phases, what is waited for, why something failed, and the summary last.

A phase's number and name stand once, at its beginning; its end carries the time it took. Waiting is told when what is
waited for changes, but not more often than each PAUSE (most waits are over before), and at least each REMIND.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import count, seconds
from bluegreen.cli.views.plan import plan_lines
from bluegreen.domain.events import (
    CameBack,
    Checked,
    Checklist,
    Diagnosed,
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
from bluegreen.domain.finding import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.cause import Cause
    from bluegreen.domain.checklist import Item
    from bluegreen.domain.events import Event
    from bluegreen.domain.finding import Judgement
    from bluegreen.domain.stack import Seconds

PAUSE: Seconds = 1.0
REMIND: Seconds = 10.0

_Told = Note | Notified | Warned | Checked | Routed | Proved | WindowJudged | Checklist
"""Events that stand for themselves."""

JUDGED = {Outcome.PASS: "good", Outcome.FAIL: "bad", Outcome.INCONCLUSIVE: "not proven"}
_JUDGED_STYLE = {Outcome.PASS: "green", Outcome.FAIL: "red", Outcome.INCONCLUSIVE: "yellow"}
_NUMBERED = (Phase.DETECT, Phase.DEPLOY, Phase.VALIDATE, Phase.SWITCH, Phase.OBSERVE, Phase.RETIRE)


class _Wait:
    """One wait: what is wanted last, and when that was told."""

    def __init__(self, event: Waiting, *, at: Seconds, before: _Wait | None) -> None:
        """``before``: the same wait as it was known until now."""
        self._event = event
        self._heard_at = at
        self._told_at: Seconds = before._told_at if before is not None else at
        self._told: tuple[str, ...] = before._told if before is not None else ()

    def due(self, paper: Paper, now: Seconds) -> list[str]:
        """The lines to write now: none, most often."""
        pause = REMIND if self._told == self._event.wants else PAUSE
        if now - self._told_at < pause:
            return []
        self._told_at, self._told = now, self._event.wants
        waited = self._event.waited + (now - self._heard_at)
        so_far = f"{seconds(waited)} of {seconds(self._event.waited + self._event.left)}"
        return paper.text(f"waiting for {'; '.join(self._event.wants)}, {so_far}")


class PlainView:
    """A listener that writes lines. Whoever makes it calls ``remind`` about each second while nothing happens."""

    def __init__(self, write: Callable[[str], None], paper: Paper, *, now: Callable[[], Seconds]) -> None:
        """``write`` takes one line without its end; ``now`` is any clock that goes forward."""
        self._write = write
        self._paper = paper
        self._now = now
        self._phase: Phase | None = None
        self._wait: _Wait | None = None
        self._left: Seconds | None = None
        self._cause = ""
        self._why = ""

    def __call__(self, event: Event) -> None:
        """Draw the event."""
        for line in self._lines(event):
            self._write(line)
        self.remind()

    def remind(self) -> None:
        """Tell what is waited for, when it is time to."""
        if self._wait is None:
            return
        for line in self._wait.due(self._paper, self._now()):
            self._write(line)

    def _lines(self, event: Event) -> list[str]:
        match event:
            case Planned(plan=plan, dry_run=dry_run):
                return plan_lines(self._paper, plan, dry_run=dry_run)
            case Waiting():
                self._wait = _Wait(event, at=self._now(), before=self._wait)
                return []
            case Observed():
                return self._observed(event)
            case PhaseBegan():
                return self._began(event)
            case PhaseDone():
                return self._done(event)
            case _:
                return self._later(event)

    def _later(self, event: Diagnosed | Failing | CameBack | Summary | _Told) -> list[str]:
        self._wait = None
        match event:
            case Diagnosed():
                self._cause = str(event.cause)
                return _diagnosed(self._paper, event)
            case Failing():
                return self._failing(event)
            case CameBack():
                return self._came_back(event)
            case Summary():
                return _summary(self._paper, event)
            case _:
                return _told(self._paper, event)

    def _began(self, event: PhaseBegan) -> list[str]:
        self._phase, self._wait, self._left = event.phase, None, None
        limit = f" (at most {seconds(event.limit)})" if event.limit is not None else ""
        if event.phase is Phase.OBSERVE and event.limit is not None:
            limit = f" for {seconds(event.limit)}"
        return self._paper.field(_title(event.phase), f"{event.what}{limit}", style="bold")

    def _done(self, event: PhaseDone) -> list[str]:
        open_phase, self._phase, self._wait = self._phase, None, None
        took = seconds(event.took)
        if open_phase is event.phase:
            return self._paper.text(event.what, right=took)
        return self._paper.field(_title(event.phase), event.what, right=took, style="bold")

    def _observed(self, event: Observed) -> list[str]:
        if self._left is not None and self._left - event.left < REMIND:
            return []
        self._left = event.left
        seen = f"{count(event.requests, 'request')}, {count(event.errors, 'error')}, {event.slow:,} slow"
        if not event.metered:
            seen = "no service's requests are counted"
        return self._paper.text(f"{seen}; {seconds(event.left)} to go")

    def _failing(self, event: Failing) -> list[str]:
        """The reason is not said twice when the diagnosis above has just said it."""
        self._why = event.why
        if event.why == self._cause:
            return self._paper.field("   failing", event.users, style="red")
        return [*self._paper.field("   failing", event.why, style="red"), *self._paper.text(event.users)]

    def _came_back(self, event: CameBack) -> list[str]:
        """Nor here, when the failure above has."""
        why = "" if event.why == self._why else f": {event.why}"
        text = f"users are on {event.slot} again{why}"
        return self._paper.field("   back", text, right=seconds(event.took), style="yellow")


def _title(phase: Phase) -> str:
    if phase not in _NUMBERED:
        return f"   {phase}"
    return f" {_NUMBERED.index(phase) + 1} {phase}"


def _told(paper: Paper, event: _Told) -> list[str]:
    """A label and a text."""
    match event:
        case Note(text=text):
            return paper.field("   note", text)
        case Notified():
            return _notified(paper, event)
        case Warned(text=text, mend=mend):
            return [*paper.field("   warning", text, style="yellow"), *(paper.text(mend) if mend else ())]
        case Checked(name=name, passed=passed, detail=detail):
            return _checked(paper, name, detail, passed=passed)
        case Routed(slot=slot, services=services, took=took):
            return paper.text(f"users go to {slot}: {', '.join(services)}", right=seconds(took))
        case Proved(slot=slot, how=how):
            return paper.field("   proof", how or f"none: nobody has seen a user's request answered by {slot}")
        case WindowJudged(judgement=judgement):
            return judgement_lines(paper, judgement)
        case Checklist(items=items):
            return ["", *checklist_lines(paper, items)]


def checklist_lines(paper: Paper, items: Iterable[Item]) -> list[str]:
    """Each item with what is known of it at the right end, and the figures below it."""
    lines: list[str] = []
    for item in items:
        lines += paper.field("" if lines else "checklist", item.name, right=item.state)
        lines += paper.text(item.figures, style="dim")
    return lines


def _notified(paper: Paper, event: Notified) -> list[str]:
    """After the summary, so it stands like a line of it."""
    text = f"not told by {event.to}: {event.why}" if event.why else f"told by {event.to}"
    return paper.paragraph(text, indent=2, style="yellow" if event.why else "")


def _checked(paper: Paper, name: str, detail: str, *, passed: bool) -> list[str]:
    word, style = ("passed", "") if passed else ("failed", "red")
    more = f": {detail}" if detail else ""
    return paper.field("   check", f"{name} {word}{more}", style=style)


def judgement_lines(paper: Paper, judgement: Judgement, *, of: str = "", label: str = "   judged") -> list[str]:
    """A judgement with the figures of each rule. ``of``: what was judged, where that is not the window."""
    text = f"{of}: {JUDGED[judgement.outcome]}" if of else JUDGED[judgement.outcome]
    lines = paper.field(label, text, style=_JUDGED_STYLE[judgement.outcome])
    for finding in judgement.findings:
        lines += paper.text(f"{finding.rule}: {JUDGED[finding.outcome]}, {finding.figures}")
    for note in judgement.notes:
        lines += paper.text(note)
    return lines


def _diagnosed(paper: Paper, event: Diagnosed) -> list[str]:
    lines = [*paper.field("   why", str(event.cause), style="red"), *cause_lines(paper, event.cause)]
    if event.log:
        lines += [*paper.text("the last lines of its log:"), *paper.quote(event.log)]
    elif event.cause.pod:
        lines += paper.text("its log is empty")
    if event.cause.event:
        lines += [*paper.text("the last event of its pod:"), *paper.quote([event.cause.event])]
    if event.where:
        lines += paper.text(f"more of it: {event.where}")
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
        label = "way back: " if event.way_back.startswith("bluegreen ") else ""
        lines += paper.paragraph(f"{label}{event.way_back}", indent=2)
    end = [event.run, seconds(event.took), f"exit code {int(event.exit_code)}"]
    return lines + paper.paragraph(", ".join(word for word in end if word), indent=2)
