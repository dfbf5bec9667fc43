"""In a job of GitHub Actions: annotations for what a person should see, and the report in the step's summary.

Both are told after everything else, and can fail nobody. Commands for the runner go to the standard error, which it
reads as well, so that the standard output stays what was asked for.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from bluegreen.cli.screen import Screen
from bluegreen.cli.views.paper import clean
from bluegreen.domain.errors import ExitCode
from bluegreen.domain.events import Diagnosed, Summary, Warned
from bluegreen.domain.excerpt import shown
from bluegreen.domain.release import Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bluegreen.cli.calls import Calls
    from bluegreen.cli.session import Session
    from bluegreen.domain.errors import BluegreenError
    from bluegreen.domain.events import Event

SUMMARY: Final = "GITHUB_STEP_SUMMARY"

MOST: Final = 9
"""Warnings of one step; the runner shows ten of a kind, and one is the end's."""

LARGEST: Final = 1024 * 1024
"""Bytes of a step's summary. Of a larger one the runner shows nothing at all, not even what others have written."""

LONGEST: Final = 1000
"""Characters of one annotation."""

_LEVELS: Final = {ExitCode.OK: "notice", ExitCode.NOT_KNOWN: "warning"}
"""Of a run's end; any other exit code is an error."""


class Job:
    """Listens to a run, and tells the runner when it is over."""

    def __init__(self, session: Session, calls: Calls) -> None:
        """Nothing was told yet."""
        self._session = session
        self._calls = calls
        self._lines: list[str] = []
        self._runs: list[str] = []
        self._warnings = 0

    def __call__(self, event: Event) -> None:
        """Keep what is worth an annotation."""
        match event:
            case Warned(text=text, mend=mend) if self._warnings < MOST:
                self._warnings += 1
                self._note("warning", text, mend)
            case Diagnosed(cause=cause):
                self._note("error", str(cause), cause.advice)
            case Summary():
                self._end(event)
            case _:
                pass

    def refused(self, error: BluegreenError) -> None:
        """The command ended with this error."""
        self._note("error", str(error), error.mend)

    def tell(self, environment: Mapping[str, str]) -> None:
        """Write all of it. Raises nothing."""
        screen = Screen(sys.stderr)
        for line in self._lines:
            screen.command(line)
        try:
            self._summarise(environment.get(SUMMARY, ""))
        except Exception as error:  # noqa: BLE001 - whatever it is, how the run ended must not change for it
            screen.write(f"warning: the step summary was not written: {clean(str(error))}")

    def _note(self, level: str, *texts: str) -> None:
        words = "; ".join(self._session.program.said(text) for text in texts if text)
        self._lines.append(command(level, words))

    def _end(self, event: Summary) -> None:
        level = "warning" if event.outcome is Outcome.NOT_PROVEN else _LEVELS.get(event.exit_code, "error")
        self._note(level, event.headline, *event.details[-2:])
        if event.run and event.run not in self._runs:
            self._runs.append(event.run)

    def _summarise(self, path: str) -> None:
        if not path:
            return
        pages = [(run, "".join(f"{line}\n" for line in self._page(run))) for run in self._runs]
        with open(path, "ab", buffering=0) as file:  # noqa: PTH123 - the runner's own file, to append to
            for run, page in pages:
                room = LARGEST - os.fstat(file.fileno()).st_size
                file.write(self._fitting(run, page.encode("utf-8", "replace"), room=room))

    def _fitting(self, run: str, page: bytes, *, room: int) -> bytes:
        """The page, or where it is; nothing, where even that is too much."""
        instead = f"The report of {run} does not fit here: bluegreen show {run} --output markdown writes it."
        short = f"\n{self._session.program.said(instead)}\n".encode("utf-8", "replace")
        return next((each for each in (page, short) if len(each) <= room), b"")

    def _page(self, run: str) -> Iterable[str]:
        """The report as the journal has it; a run that is not in there, such as a dry one, has none."""
        from bluegreen.cli.views.markdown import markdown_lines
        from bluegreen.domain.report import report_of

        found = self._calls.run(self._session, run)
        return tuple(markdown_lines(report_of(found), self._session.program)) if found is not None else ()


def command(level: str, text: str) -> str:
    """One command of the runner: ``notice``, ``warning`` or ``error`` with a text of any content."""
    line = shown(clean(text), longest=LONGEST)
    return f"::{level} title=bluegreen::{line.replace('%', '%25')}"
