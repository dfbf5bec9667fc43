"""Command checks in virtual time: how each ends is written down beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass
from bluegreen.ports import ErrandEnd

if TYPE_CHECKING:
    from bluegreen.domain.stack import CommandCheck, Instant, Seconds
    from bluegreen.ports import Errand
    from bluegreen.testing.clock import FakeClock


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a program ends. ``took`` longer than its limit: it is killed then, as a real one is."""

    code: int = 0
    took: Seconds = 0.0
    said: str = ""


class FakeCommands:
    """ports.Commands without processes. The contract suite holds it and the real one to the same."""

    def __init__(self, clock: FakeClock) -> None:
        """Every program ends well and at once."""
        self._clock = clock
        self.endings: dict[str, list[Ending]] = {}
        """By the program's name: one ending after the other, the last one again and again."""
        self.missing: set[str] = set()
        """Programs that there are not."""
        self.errands: list[Errand] = []

    def examine(self, check: CommandCheck) -> str:
        """As in ports.Commands."""
        program = check.command[0]
        return f"there is no program {program} here that may be run" if program in self.missing else ""

    def run(self, errand: Errand, *, until: Instant) -> ErrandEnd:
        """As in ports.Commands."""
        self.errands.append(errand)
        program = errand.check.command[0]
        if program in self.missing:
            return ErrandEnd(passed=False, detail=f"{program} cannot be run: No such file or directory")
        ending = self._ending(program)
        end = after(self._clock.now(), ending.took)
        self._clock.wait(until=min(end, until))
        said = f": {ending.said}" if ending.said else ""
        if end > until:
            return ErrandEnd(passed=False, detail=f"killed at its limit of {errand.check.timeout:g} s{said}")
        return ErrandEnd(passed=ending.code == 0, detail=f"exit code {ending.code}{said}")

    def _ending(self, program: str) -> Ending:
        left = self.endings.get(program, [Ending()])
        return left.pop(0) if len(left) > 1 else left[0]
