"""Phase 1: find the active slot, and plan. Nothing is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.drift import drift
from bluegreen.domain.errors import UsageError
from bluegreen.domain.events import Note, Phase, PhaseDone, Planned, Warned
from bluegreen.domain.plan import make_plan
from bluegreen.domain.release import put_back
from bluegreen.domain.stack import CommandCheck
from bluegreen.domain.values import replace
from bluegreen.pipeline.synthetic import announce
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bluegreen.domain.drift import Drift
    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.plan import Options, Plan
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Seconds
    from bluegreen.pipeline.tools import Tools

PREFLIGHT_LIMIT: Seconds = 30.0
"""Not one call but a dozen or more, one after the other: each may take a second and more where the platform is far."""


def detect(tools: Tools, *, images: Mapping[str, ImageReference], options: Options, run: str, dry_run: bool) -> Plan:
    """Read the stack, plan the release, and let the platform look for what speaks against it.

    Raises UsageError, Held, PlatformError; nothing was changed then.
    """
    started = tools.clock.now()
    snapshot = tools.snapshot()
    plan = make_plan(snapshot, stack=tools.stack, images=images, options=options, release=run)
    moved = drift(tools.runs(), snapshot.routes)
    plan = _noted(put_back(plan, tools.run, tools.runs()), moved)
    tools.emit(Planned(plan=plan, dry_run=dry_run))
    if moved is not None and plan.nothing_to_do:
        tools.emit(Note(text=str(moved)))  # the notes of such a plan are not shown
    if not plan.nothing_to_do:
        announce(tools, plan)
        _heed(tools, plan, snapshot)
    what = f"{plan.active} serves; {plan.target} is to be replaced"
    tools.emit(PhaseDone(phase=Phase.DETECT, what=what, took=tools.since(started)))
    return plan


def _noted(plan: Plan, moved: Drift | None) -> Plan:
    """The plan, which the journal keeps, with what somebody else has done."""
    return replace(plan, notes=(str(moved), *plan.notes)) if moved is not None else plan


def _heed(tools: Tools, plan: Plan, snapshot: Snapshot) -> None:
    findings = [
        *tools.platform.preflight(plan, until=tools.limit(PREFLIGHT_LIMIT)),
        *_unrunnable(tools),
        *tools.metrics.foresee(snapshot, until=tools.limit()),
    ]
    for finding in findings:
        _tell(tools, finding)
    refused = [finding for finding in findings if finding.severity is Severity.REFUSE]
    if refused:
        raise UsageError("; ".join(finding.text for finding in refused), mend=refused[0].mend)


def _unrunnable(tools: Tools) -> Iterator[Finding]:
    """The command checks that cannot be run here: better known before anything is staged."""
    for check in tools.stack.checks:
        why = tools.commands.examine(check) if isinstance(check, CommandCheck) else ""
        if why:
            yield Finding(
                severity=Severity.REFUSE,
                text=f"check {check.name!r}: {why}",
                mend="install it, name it by its path, or take the check out of the app file",
            )


def _tell(tools: Tools, finding: Finding) -> None:
    if finding.severity is Severity.WARN:
        tools.emit(Warned(text=finding.text, mend=finding.mend))
    elif finding.severity is Severity.NOTE:
        tools.emit(Note(text=finding.text))
