"""The cold start of a slot to which users are to be brought back, when nothing of it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import BluegreenError, Held, JournalError
from bluegreen.domain.events import Note, Warned
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.release import Ended, Outcome, left_bad, served_in
from bluegreen.pipeline.back import refuse_cold
from bluegreen.pipeline.deploy import stage_limit
from bluegreen.pipeline.validate import wait_until_ready

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.release import Run
    from bluegreen.domain.snapshot import Snapshot, Workload
    from bluegreen.domain.stack import Slot
    from bluegreen.pipeline.tools import Tools
    from bluegreen.ports import Grip

COLD_LIMIT = 150.0
"""How long a cold start may take, in seconds: as long as a health validation by default."""


def warm_up(tools: Tools, slot: Slot, *, run: str, grip: Grip) -> None:
    """Start the slot where it has no ready pod; users stay where they are until it is ready."""
    snapshot = tools.snapshot()
    if all(workload.answers for workload in snapshot.slot_workloads(slot)):
        return
    tools.emit(Note(text=f"{slot} is started first: a cold start"))
    try:
        tools.platform.stage(
            _cold_spec(tools, snapshot, slot, run=run), grip=grip, until=tools.limit(stage_limit(tools))
        )
        wait_until_ready(tools, slot, revision=run, limit=COLD_LIMIT)
        refuse_cold(tools, slot)
    except BluegreenError as error:  # no route was written: the next command has nothing to carry out
        tools.record_if_possible(run, Ended(outcome=Outcome.FAILED, why=str(error)))
        raise


def _cold_spec(tools: Tools, snapshot: Snapshot, slot: Slot, *, run: str) -> SlotSpec:
    works = snapshot.slot_workloads(slot)
    left = _left_bad(tools, works)
    images = dict(served_in(tools.runs(), slot)) if left is not None else {work.service: work.image for work in works}
    if left is not None and images:
        served = ", ".join(f"{tools.stack.short(name)} {image}" for name, image in images.items())
        tools.emit(Note(text=f"{slot} holds what {left.id} left there; it gets what served there last: {served}"))
    specs = []
    for work in works:
        image = images.get(work.service)
        if image is None:
            raise _nothing_to_start(work, left)
        replicas = work.replicas or snapshot.stage_of(work.service).replicas
        specs.append(WorkloadSpec(service=work.service, image=image, replicas=replicas, template=work.template))
    return SlotSpec(slot=slot, revision=run, workloads=tuple(specs))


def _left_bad(tools: Tools, works: Sequence[Workload]) -> Run | None:
    """The run that left in the slot what must not get users; None: what it holds has served, or nobody can tell."""
    staged = (tools.run(revision) for revision in dict.fromkeys(work.revision for work in works))
    try:
        return next((run for run in staged if run is not None and left_bad(run)), None)
    except JournalError as error:
        tools.emit(Warned(text=f"whether what {works[0].slot} holds was good is not known: {error}", mend=error.mend))
        return None


def _nothing_to_start(work: Workload, left: Run | None) -> Held:
    if left is None:
        return Held(
            f"{work.service} was never staged in {work.slot}: there is nothing to start", mend="deploy a version"
        )
    return Held(
        f"{work.slot} holds what {left.id} left there, and what served there before is not on record",
        mend="deploy a good version",
    )
