"""The cold start of a slot to which users are to be brought back, when nothing of it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import BluegreenError, Held
from bluegreen.domain.events import Note
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.release import Ended, Outcome
from bluegreen.pipeline.back import refuse_cold
from bluegreen.pipeline.deploy import stage_limit
from bluegreen.pipeline.validate import wait_until_ready

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Snapshot
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
        tools.platform.stage(_cold_spec(snapshot, slot, run=run), grip=grip, until=tools.limit(stage_limit(tools)))
        wait_until_ready(tools, slot, revision=run, limit=COLD_LIMIT)
        refuse_cold(tools, slot)
    except BluegreenError as error:  # no route was written: the next command has nothing to carry out
        tools.record_if_possible(run, Ended(outcome=Outcome.FAILED, why=str(error)))
        raise


def _cold_spec(snapshot: Snapshot, slot: Slot, *, run: str) -> SlotSpec:
    specs = []
    for work in snapshot.slot_workloads(slot):
        if work.image is None:
            raise Held(f"{work.service} was never staged in {slot}: there is nothing to start", mend="deploy a version")
        replicas = work.replicas or snapshot.stage_of(work.service).replicas
        specs.append(WorkloadSpec(service=work.service, image=work.image, replicas=replicas, template=work.template))
    return SlotSpec(slot=slot, revision=run, workloads=tuple(specs))
