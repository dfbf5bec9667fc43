"""Synthetic traffic (``--synthetic-traffic``): the app file's own requests, made in the window at a low rate.

They go to the address that users call, as users do; where that cannot be reached from here, to the new slot's own
address. Only requests with GET: nothing is to be created or changed among users' data. They are counted apart: what
they find bad can fail a window, what they find good proves nothing of users' requests.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.events import Note, Warned
from bluegreen.domain.stack import HttpCheck
from bluegreen.domain.values import replace
from bluegreen.domain.window import Synthetic
from bluegreen.ports import Check, Through

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.plan import Plan
    from bluegreen.domain.stack import Seconds, Slot
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import CheckResult

ASK_LIMIT: Seconds = 2.0
"""How long a round may take: as long as a look."""


def checks_of(tools: Tools) -> tuple[HttpCheck, ...]:
    """The requests of one round: the app file's with GET; without any, the services' readiness paths."""
    own = tuple(check for check in tools.stack.checks if isinstance(check, HttpCheck) and check.method == "GET")
    return own or tuple(
        HttpCheck(name="ready", service=service.name, path=service.ready_path) for service in tools.stack.services
    )


def announce(tools: Tools, plan: Plan) -> None:
    """Say before anything is written what synthetic traffic can show here. Raises PlatformError, DeadlineExceeded."""
    if not plan.options.synthetic_traffic:
        return
    checks = checks_of(tools)
    if checks[0] not in tools.stack.checks:
        tools.emit(Note(text="synthetic traffic asks readiness paths, for the app file has no check with GET"))
    results = tools.platform.check(_asked(checks, plan.active, Through.ENTRY), until=tools.limit())
    reached = {result.check.check.service for result in results if result.passed is not None}
    for service in dict.fromkeys(check.service for check in checks if check.service not in reached):
        tools.emit(
            Warned(
                text=f"{service} cannot be asked from here at the address that users call: synthetic traffic goes to "
                f"{plan.target}'s own address, and says nothing of users' way to it",
                mend="name the address in the app file (entry), or do without --synthetic-traffic",
            )
        )


class Asker:
    """Makes the requests of a window, a round at each call, and adds up what came of them."""

    def __init__(self, tools: Tools, slot: Slot) -> None:
        """``slot``: the new one."""
        self._tools = tools
        self._slot = slot
        self._ways = dict.fromkeys(checks_of(tools), Through.ENTRY)
        self._reached: set[str] = set()
        self._unmade: dict[str, str] = {}
        self.made = Synthetic()

    def ask(self) -> None:
        """Make one round. One that the platform could not make is remembered as such. Raises Interrupted."""
        checks = [Check(check=check, slot=self._slot, through=way) for check, way in self._ways.items()]
        for check in self._ways:
            self.made = replace(self.made, sent=_with_one(self.made.sent, check.service))
        try:
            results = self._tools.platform.check(checks, until=self._tools.limit(ASK_LIMIT))
        except (PlatformError, DeadlineExceeded) as error:
            self._unmade = {check.service: str(error) for check in self._ways}
        else:
            for result in results:
                self._note(result)
        unmade = (f"{service}: {why}" for service, why in self._unmade.items())
        self.made = replace(self.made, unmade="; ".join(unmade))

    def _note(self, result: CheckResult) -> None:
        service, by_entry = result.check.check.service, result.check.through is Through.ENTRY
        if result.passed is None:
            self._unmade[service] = result.detail
            if by_entry and service not in self._reached:
                self._ways[result.check.check] = Through.PREVIEW
            return
        self._unmade.pop(service, None)
        if by_entry:
            self._reached.add(service)
        if result.answered_by is not self._slot.other:  # it would say nothing of the new slot
            self._count(result, by_entry=by_entry)

    def _count(self, result: CheckResult, *, by_entry: bool) -> None:
        made = replace(self.made, asked=self.made.asked + 1)
        if result.passed:
            good = _with_one(made.good, result.check.check.service)
            self.made = replace(made, good=good, by_entry=made.by_entry or by_entry)
        else:
            self.made = replace(made, failed=made.failed + 1, wrong=result.detail)


def _asked(checks: Sequence[HttpCheck], slot: Slot, way: Through) -> list[Check]:
    return [Check(check=check, slot=slot, through=way) for check in checks]


def _with_one(sums: tuple[tuple[str, int], ...], service: str) -> tuple[tuple[str, int], ...]:
    counts = dict(sums)
    counts[service] = counts.get(service, 0) + 1
    return tuple(counts.items())
