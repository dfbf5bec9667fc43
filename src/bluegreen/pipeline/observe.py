"""Phase 5: watch the new slot under real users. Hard triggers act at once; one look at the end decides the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.course import Course, begin, follow
from bluegreen.domain.errors import DeadlineExceeded, Held, PlatformError
from bluegreen.domain.events import Observed, Phase, PhaseBegan, PhaseDone, Proved, Warned, WindowJudged
from bluegreen.domain.finding import Finding, Judgement, Outcome
from bluegreen.domain.judgement import hard_triggers, judge, notes
from bluegreen.domain.mark import tally_since
from bluegreen.domain.reading import metered, until_end
from bluegreen.domain.release import Confirmed, Judged
from bluegreen.domain.silence import QUIET
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass, replace
from bluegreen.domain.window import Window
from bluegreen.pipeline.switch import counted_by, yield_to_strangers
from bluegreen.pipeline.synthetic import Asker

if TYPE_CHECKING:
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.reading import Reading
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Instant, Seconds
    from bluegreen.domain.window import Synthetic
    from bluegreen.pipeline.switch import Switched
    from bluegreen.pipeline.tools import Tools

LOOK_EVERY: Seconds = 2.0
"""One scrape a pod each two seconds; changes of pods and routes are seen at once."""

LOOK_AGAIN: Seconds = 0.5
"""The same while the window is over and its last counters are waited for."""

READ_LIMIT: Seconds = 2.0

HICCUP: Seconds = 5.0
"""How long the end of the window waits for what could be seen at its start and cannot be just then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """How the window went. ``proved``: a witness saw the new slot answer users, at the switch or in the window."""

    judgement: Judgement
    proved: bool


def observe(tools: Tools, plan: Plan, switched: Switched) -> Watched:
    """Return the window's judgement. The window counts from when the switch had arrived: its witness is a part of it.

    Raises LostLock when a person or another run moves a route meanwhile, Held when the platform cannot be seen at the
    window's end, Interrupted.
    """
    started = tools.clock.now()
    window = plan.options.validation_time
    tools.emit(PhaseBegan(phase=Phase.OBSERVE, what=f"{plan.target} under real users", limit=window))
    watch = _Watch(tools, plan, switched)
    judgement, last = watch.until(after(switched.at, window))
    proved = switched.proved or _witnessed(tools, plan, switched, watch)
    now, wall, again = tools.clock.now(), tools.clock.wall(), watch.course.restarted
    tallied = tally_since(switched.mark, watch.course.total, last.live, now=now, wall=wall, restarted=again)
    tallied = replace(tallied, synthetic=last.synthetic.asked if last.synthetic is not None else 0)
    tools.record(plan.release, Judged(judgement=judgement, tallied=tallied))
    tools.emit(WindowJudged(judgement=judgement))
    if judgement.outcome is not Outcome.FAIL:
        tools.emit(PhaseDone(phase=Phase.OBSERVE, what=_words(judgement), took=tools.since(started)))
    return Watched(judgement=judgement, proved=proved)


def _words(judgement: Judgement) -> str:
    return "good" if judgement.outcome is Outcome.PASS else "not proven: too little to tell"


def _witnessed(tools: Tools, plan: Plan, switched: Switched, watch: _Watch) -> bool:
    """Whether users who came only in the window were counted by the new slot; then it is said who saw them."""
    start, now, before = switched.before, watch.course.total, watch.reads - 1
    how = counted_by(tools, plan.target, start=start, now=now, reads=before, made=watch.made)
    if how:
        tools.record_if_possible(plan.release, Confirmed(slot=plan.target, how=how, mark=switched.mark))
        tools.emit(Proved(slot=plan.target, how=how))
    return bool(how)


def _next_look(now: Instant, *, end: Instant) -> Instant:
    return min(end, after(now, LOOK_EVERY)) if now < end else after(now, LOOK_AGAIN)


class _Watch:
    """The looks of one window."""

    def __init__(self, tools: Tools, plan: Plan, switched: Switched) -> None:
        """Nothing was looked at yet."""
        self._tools = tools
        self._plan = plan
        self._switched = switched
        self._asker = Asker(tools, plan.target) if plan.options.synthetic_traffic else None
        self._looks: list[tuple[Reading, Synthetic | None]] = []
        self.course: Course = begin(switched.before)
        self.reads = switched.reads

    def until(self, end: Instant) -> tuple[Judgement, Window]:
        """Look every LOOK_EVERY and at each change, until a hard trigger or the end; with what was judged last.

        Counters that trail are waited for at the end: what came last in the window is in their next scrape. So is what
        cannot be seen for a moment: a hiccup is no gap.
        """
        tick = min(end, after(self._tools.clock.now(), LOOK_EVERY))
        while True:
            window = self._look(until=tick)
            now = self._tools.clock.now()
            tick, patient = _next_look(now, end=end), now < after(end, HICCUP)
            if window is None and not patient:
                raise Held(
                    "the platform could not be seen at the end of the window, so nothing can be judged",
                    mend="both slots keep serving; the next bluegreen deploy or rollback ends this",
                )
            if window is None:
                continue
            hard = hard_triggers(window)
            if hard:
                return _failed(window, hard), window
            if now >= end and window.now.is_due(end, now=now) and not (patient and self._misses(window.now)):
                whole = replace(window, now=until_end(window.now, end))
                return judge(whole), whole
            self._tell(window, end=end)

    def _misses(self, now: Reading) -> bool:
        """Whether something of the new slot cannot be read that could be at the start, and may be again."""
        known = {gap.pod for gap in self._switched.before.gaps} | self.course.several
        return any(gap.slot is self._plan.target and gap.pod not in known for gap in now.gaps)

    def _look(self, *, until: Instant) -> Window | None:
        """The window as it is at ``until``, or sooner when a change already triggers; None: nothing was seen.

        Our own requests come before the counters are read: they are taken out of what was read.
        """
        tools = self._tools
        try:
            live = self._live(until=until)
            if self._asker is not None:
                self._asker.ask()
            self.reads += 1
            reading = tools.metrics.read(live, until=tools.limit(READ_LIMIT))
        except (PlatformError, DeadlineExceeded) as error:
            tools.emit(Warned(text=f"the platform cannot be seen: {error}"))
            tools.clock.wait(until=until)
            return None
        self.course = follow(self.course, reading)
        self._looks.append((self.course.total, self.made))
        return self._window(live)

    def _live(self, *, until: Instant) -> Snapshot:
        """The last snapshot before ``until``, or the first one that triggers.

        The watch knows it already: asking anew at each look would cost more the longer the window is.
        """
        live: Snapshot | None = None
        try:
            for live in self._tools.platform.changes(until=until):
                yield_to_strangers(self._tools, live, self._switched.moves)
                if hard_triggers(self._window(live)):
                    break
        except DeadlineExceeded:
            pass
        return live or self._once()

    def _once(self) -> Snapshot:
        """A window of no length is looked at once, too."""
        live = self._tools.snapshot()
        yield_to_strangers(self._tools, live, self._switched.moves)
        return live

    @property
    def made(self) -> Synthetic | None:
        """What came of our own requests; None: nobody asked for them."""
        return self._asker.made if self._asker is not None else None

    def _window(self, live: Snapshot) -> Window:
        now = self.course.total
        quiet = (look for look in reversed(self._looks) if now.at - look[0].at >= QUIET)
        late, late_synthetic = next(quiet, (None, None))
        return Window(
            slot=self._plan.target,
            limits=self._tools.stack.limits,
            before=self._switched.before,
            now=now,
            at_switch=self._switched.at_switch,
            live=live,
            since=self._switched.at,
            late=late,
            late_synthetic=late_synthetic,
            restarted=self.course.restarted,
            old=self._switched.old,
            stack=self._tools.stack,
            synthetic=self.made,
            reads=self.reads,
        )

    def _tell(self, window: Window, *, end: Instant) -> None:
        counts = window.counted()
        left = max(0.0, end - self._tools.clock.now())
        self._tools.emit(
            Observed(
                requests=counts.requests,
                errors=counts.errors,
                slow=counts.slow,
                timed=counts.timed,
                left=left,
                metered=bool(metered(window.before, window.now, slot=window.slot)),
            )
        )


def _failed(window: Window, hard: tuple[Finding, ...]) -> Judgement:
    return Judgement(outcome=Outcome.FAIL, findings=hard, notes=notes(window, hard))
