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
        self.made = Synthetic()

    def ask(self) -> None:
        """Make one round. One that the platform could not make is remembered as such. Raises Interrupted."""
        checks = [Check(check=check, slot=self._slot, through=way) for check, way in self._ways.items()]
        try:
            results = self._tools.platform.check(checks, until=self._tools.limit(ASK_LIMIT))
        except (PlatformError, DeadlineExceeded) as error:
            self.made = replace(self.made, unmade=str(error))
            return
        for result in results:
            self._note(result)

    def _note(self, result: CheckResult) -> None:
        if result.answered_by is self._slot.other:
            return  # it says nothing of the new slot; that users still meet the old one is another rule's affair
        if result.passed is None:
            self.made = replace(self.made, unmade=result.detail)
            if result.check.through is Through.ENTRY and not self.made.by_entry:
                self._ways[result.check.check] = Through.PREVIEW
        elif result.passed:
            entry = self.made.by_entry or result.check.through is Through.ENTRY
            good = _with_one(self.made.good, result.check.check.service)
            self.made = replace(self.made, asked=self.made.asked + 1, good=good, by_entry=entry)
        else:
            self.made = replace(self.made, asked=self.made.asked + 1, failed=self.made.failed + 1, wrong=result.detail)


def _asked(checks: Sequence[HttpCheck], slot: Slot, way: Through) -> list[Check]:
    return [Check(check=check, slot=slot, through=way) for check in checks]


def _with_one(good: tuple[tuple[str, int], ...], service: str) -> tuple[tuple[str, int], ...]:
    counts = dict(good)
    counts[service] = counts.get(service, 0) + 1
    return tuple(counts.items())
