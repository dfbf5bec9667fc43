"""Phase 3, after readiness: the checks of the idle slot, on each of its pods and at its own addresses.

Those of every stack come first (see ``domain.checks.built_in``), then the app file's requests, all of them in rounds,
then its commands, one after the other in the file's order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.checks import built_in
from bluegreen.domain.errors import ReleaseFailed
from bluegreen.domain.events import Checked, Note, Waiting, Warned
from bluegreen.domain.release import CheckKind, CheckMade
from bluegreen.domain.stack import CommandCheck, HttpCheck, after
from bluegreen.domain.values import replace
from bluegreen.ports import Check, CheckResult, Errand, Through

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bluegreen.domain.plan import Plan
    from bluegreen.domain.stack import Instant, Repeat, Seconds
    from bluegreen.pipeline.tools import Tools

CHECK_SLACK: Seconds = 5.0
"""What a platform may need for a batch of checks beyond the longest of their own limits."""

KEPT = 500
"""Characters of a command's words that the journal keeps."""

_MEND = "mend the version; or the app file, if the check is wrong"


def check_slot(tools: Tools, plan: Plan) -> tuple[CheckMade, ...]:
    """Make all checks of the plan's target slot, and return what each came to.

    Raises ReleaseFailed for a failed check, and for one of the app file that could not be made: missing evidence is
    never success. Only where the account may not reach pods at all does readiness alone decide, and that is said.
    """
    requests = _requests(tools, plan)
    _run(tools, requests)
    _tell_forbidden(tools, requests)
    _tell_absent(tools, requests)
    requests = [each for each in requests if not each.absent]
    made = [each.made for each in requests]
    for kind in CheckKind:
        _tell(tools, [each for each in requests if each.what is kind])
    commands = (check for check in tools.stack.checks if isinstance(check, CommandCheck))
    return (*made, *(_command(tools, plan, check) for check in commands))


class Row:
    """How often in a row a check was good, and whether it is over."""

    def __init__(self, repeat: Repeat, *, now: Instant) -> None:
        """It begins now, with its first try."""
        self._repeat = repeat
        self._began = now
        self.due = now
        self.over = False
        self.tries = 0
        self.good = 0

    def note(self, *, good: bool, now: Instant) -> None:
        """Count a try, and find out whether there is another one, and when."""
        self.tries += 1
        self.good = self.good + 1 if good else 0
        self.due = after(now, self._repeat.interval)
        within = self._repeat.within
        late = self.due > after(self._began, within)
        self.over = self.enough or (late if within else not good)

    @property
    def enough(self) -> bool:
        """Whether it was good as often in a row as is wanted."""
        return self.good >= self._repeat.consecutive

    def since(self, now: Instant) -> Seconds:
        """For how long it has been tried."""
        return now - self._began

    def left(self, now: Instant) -> Seconds:
        """How long it may still be tried."""
        return max(0.0, self._began + self._repeat.longest - now)

    def so_far(self, now: Instant) -> str:
        """``2 of 3 in a row``, and how often and how long it was tried; empty: once, and no more was wanted."""
        wanted = self._repeat.consecutive
        row = f"{self.good} of {wanted} in a row" if wanted > 1 else ""
        tried = f"tried {self.tries} times in {self.since(now):.3g} s" if self.tries > 1 else ""
        return ", ".join(part for part in (row, tried) if part)


class Series:
    """One request of the idle slot, by one way, until it was good often enough or it is too late."""

    def __init__(self, check: Check, what: CheckKind, *, now: Instant) -> None:
        """Nothing was asked yet."""
        self.check = check
        self.what = what
        self.row = Row(check.check.repeat, now=now)
        self.results: tuple[CheckResult, ...] = ()

    @property
    def name(self) -> str:
        """For the screen."""
        return f"{self.check.check.name!r} ({self.check.check.service}, {self.check.through})"

    @property
    def bad(self) -> tuple[CheckResult, ...]:
        """Of the last round: what was not good."""
        return tuple(each for each in self.results if each.passed is not True)

    @property
    def missing_right(self) -> str:
        """What the account lacks for it; empty: nothing."""
        return next((each.missing_right for each in self.results if each.missing_right), "")

    @property
    def absent(self) -> bool:
        """Whether there is no such place to ask: then nothing is asked, and nothing is to be known."""
        return any(each.absent for each in self.results)

    @property
    def failed(self) -> bool:
        """Whether the release must not go on. A kubelet has asked what is built in: not knowing it is no failure."""
        if self.missing_right or self.absent or self.row.enough:
            return False
        return self.what is CheckKind.APP or any(each.passed is False for each in self.bad)

    def take(self, results: Sequence[CheckResult], *, now: Instant) -> None:
        """Note a round."""
        self.results = tuple(_of_the_slot(each) for each in results)
        self.row.note(good=not self.bad, now=now)
        self.row.over = self.row.over or bool(self.missing_right) or self.absent

    @property
    def made(self) -> CheckMade:
        """What it came to."""
        first = next(iter(self.bad or self.results), None)
        return CheckMade(
            name=self.name,
            what=self.what,
            asked=len(self.results),
            good=len(self.results) - len(self.bad),
            unknown=sum(each.passed is None for each in self.results),
            detail=first.detail if first is not None else "",
        )


def _of_the_slot(result: CheckResult) -> CheckResult:
    """An answer of the other slot is not the one that was asked for, however good it is."""
    slot = result.check.slot
    if result.passed is not True or result.answered_by in {None, slot}:
        return result
    return replace(result, passed=False, detail=f"{result.detail}, but by {result.answered_by}, not {slot}")


def _requests(tools: Tools, plan: Plan) -> list[Series]:
    """Those of every stack, and the app file's: on each pod, and at the slot's own address."""
    now, slot = tools.clock.now(), plan.target
    found = [
        Series(
            Check(check=each.check, slot=slot, through=Through.PREVIEW if each.addressed else Through.PODS),
            each.what,
            now=now,
        )
        for each in built_in(tools.stack, slot=slot, workloads=plan.want.workloads)
    ]
    own = [check for check in tools.stack.checks if isinstance(check, HttpCheck)]
    for through in (Through.PODS, Through.PREVIEW):
        found += [Series(Check(check=check, slot=slot, through=through), CheckKind.APP, now=now) for check in own]
    return found


def _run(tools: Tools, requests: Sequence[Series]) -> None:
    """Ask in rounds until all are over. Raises ReleaseFailed for the first that is not good."""
    while waiting := [each for each in requests if not each.row.over]:
        _wait(tools, waiting)
        now = tools.clock.now()
        batch = [each for each in waiting if each.row.due <= now]
        limit = max(each.check.check.timeout for each in batch) + CHECK_SLACK
        results = tools.platform.check([each.check for each in batch], until=tools.limit(limit))
        for each in batch:
            each.take([result for result in results if result.check == each.check], now=tools.clock.now())
        for each in batch:
            if each.row.over and each.failed:
                raise _failed(tools, each)


def _wait(tools: Tools, waiting: Sequence[Series]) -> None:
    """Until the next is due, saying what is repeated."""
    now = tools.clock.now()
    due = min(each.row.due for each in waiting)
    if due > now:
        _tell_waiting(tools, [(each.name, each.row) for each in waiting])
        tools.clock.wait(until=due)


def _tell_waiting(tools: Tools, rows: Iterable[tuple[str, Row]]) -> None:
    now = tools.clock.now()
    known = list(rows)
    wants = tuple(f"check {name} again: {row.so_far(now) or 'it was bad'}" for name, row in known)
    waited = max(row.since(now) for _, row in known)
    left = max(row.left(now) for _, row in known)
    tools.emit(Waiting(wants=wants, waited=waited, left=left))


def _failed(tools: Tools, series: Series) -> ReleaseFailed:
    for each in series.bad:
        tools.emit(Checked(name=series.name, passed=False, detail=each.detail))
    return _error(series.name, series.made.detail, series.check.slot, tried=series.row.so_far(tools.clock.now()))


def _error(name: str, detail: str, slot: str, *, tried: str) -> ReleaseFailed:
    more = f" ({tried})" if tried else ""
    return ReleaseFailed(f"check {name} in {slot}: {detail}{more}", mend=_MEND)


def _tell(tools: Tools, requests: Sequence[Series]) -> None:
    """What was good: each check of the app file by its name, the others together."""
    good = [each for each in requests if each.results and not each.bad]
    _tell_unknown(tools, requests)
    if good and good[0].what is not CheckKind.APP:
        answers = sum(len(each.results) for each in good)
        tools.emit(Checked(name=good[0].what.words, passed=True, detail=f"{answers} of {answers} answers"))
        return
    for each in good:
        tools.emit(Checked(name=each.name, passed=True, detail=_summary(each)))


def _summary(series: Series) -> str:
    first, *others = series.results
    return f"{first.detail}; {len(others)} more" if others else first.detail


def _tell_unknown(tools: Tools, requests: Sequence[Series]) -> None:
    unknown = [each for each in requests if each.bad and not each.missing_right]
    if unknown:
        text = f"{unknown[0].what.words}: not known, so readiness alone decides: {unknown[0].made.detail}"
        tools.emit(Warned(text=text, mend="see why the slot's pods and addresses cannot be asked from here"))


def _tell_forbidden(tools: Tools, requests: Sequence[Series]) -> None:
    rights = sorted({each.missing_right for each in requests if each.missing_right})
    if rights:
        text = f"checks were not made, for the account may not {' nor '.join(rights)}: readiness alone decides"
        tools.emit(Warned(text=text, mend="give it that right"))


def _tell_absent(tools: Tools, requests: Sequence[Series]) -> None:
    services = dict.fromkeys(each.check.check.service for each in requests if each.absent)
    if services:
        text = f"{', '.join(services)}: the slot has no address of its own; its checks were made on its pods only"
        tools.emit(Note(text=text))


# --- commands -----------------------------------------------------------------------------------------------------


def _command(tools: Tools, plan: Plan, check: CommandCheck) -> CheckMade:
    """Run it until it was good often enough. Raises ReleaseFailed."""
    name, row = f"{check.name!r} (command)", Row(check.repeat, now=tools.clock.now())
    errand = Errand(check=check, slot=plan.target, release=plan.release, workloads=plan.want.workloads)
    while True:
        tools.emit(Waiting(wants=(f"check {name}",), waited=0.0, left=check.timeout))
        end = tools.commands.run(errand, until=tools.limit(check.timeout))
        row.note(good=end.passed, now=tools.clock.now())
        if row.over:
            break
        _tell_waiting(tools, [(name, row)])
        tools.clock.wait(until=row.due)
    tools.emit(Checked(name=name, passed=row.enough, detail=end.detail))
    if not row.enough:
        raise _error(name, end.detail, plan.target, tried=row.so_far(tools.clock.now()))
    return CheckMade(name=name, what=CheckKind.APP, asked=1, good=1, detail=end.detail[:KEPT])
