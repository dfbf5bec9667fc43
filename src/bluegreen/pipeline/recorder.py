"""Keeps what a release tells while it works, bounded, so that its end can be recorded with it and shown later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.events import CameBack, Observed, PhaseBegan, PhaseDone, Routed, Warned
from bluegreen.domain.release import Course, PhaseTime, Sample
from bluegreen.domain.values import replace

if TYPE_CHECKING:
    from collections.abc import Callable

    from bluegreen.domain.events import Event
    from bluegreen.domain.stack import Seconds
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Clock

MOST_SAMPLES = 120
"""Looks that are kept; beyond them every second one goes, so that they cover the whole window all the same."""

MOST_WARNINGS = 20

LONGEST = 300
"""Characters of a warning."""


def recorded(tools: Tools) -> Tools:
    """The same tools, with notes taken of everything that is told from here on."""
    recorder = Recorder(tools.emit, clock=tools.clock)
    return replace(tools, emit=recorder, course=recorder.course)


class Recorder:
    """A listener that takes notes and hands every event on."""

    def __init__(self, emit: Callable[[Event], None], *, clock: Clock) -> None:
        """``emit``: where events go."""
        self._emit = emit
        self._clock = clock
        self._phases: list[PhaseTime] = []
        self._samples: list[Sample] = []
        self._warnings: list[str] = []
        self._moved_in: Seconds | None = None
        self._back_in: Seconds | None = None

    def __call__(self, event: Event) -> None:
        """Note it, then hand it on."""
        self._note(event)
        self._emit(event)

    def course(self) -> Course:
        """All notes so far."""
        return Course(
            phases=tuple(self._phases),
            samples=tuple(self._samples),
            warnings=tuple(self._warnings),
            moved_in=self._moved_in,
            back_in=self._back_in,
        )

    def _note(self, event: Event) -> None:
        match event:
            case PhaseBegan(phase=phase, what=what):
                self._phases.append(PhaseTime(phase=str(phase), at=self._clock.wall(), what=what))
            case PhaseDone():
                self._done(event)
            case Observed():
                self._sample(event)
            case Routed(took=took):
                self._moved_in = took
            case CameBack(took=took):
                self._back_in = took
            case Warned(text=text) if len(self._warnings) < MOST_WARNINGS:
                self._warnings.append(text[:LONGEST])
            case _:
                pass

    def _done(self, event: PhaseDone) -> None:
        """Close the phase; one that only tells its end, as the first does, began so long ago."""
        last = self._phases[-1] if self._phases else None
        if last is not None and last.phase == event.phase and last.took is None:
            self._phases[-1] = replace(last, took=event.took, what=event.what)
            return
        began = self._clock.wall() - event.took
        self._phases.append(PhaseTime(phase=str(event.phase), at=began, what=event.what, took=event.took))

    def _sample(self, event: Observed) -> None:
        self._samples.append(
            Sample(
                at=self._clock.wall(),
                requests=event.requests,
                errors=event.errors,
                slow=event.slow,
                timed=event.timed,
            )
        )
        if len(self._samples) > MOST_SAMPLES:
            del self._samples[1::2]
