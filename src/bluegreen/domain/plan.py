"""Live state and a request in, the changes of a release out. Nothing is written here; everything is said.

Specification, decision 1: the slot is the whole stack. A service whose image is not named keeps the active slot's
image, carried over into the target slot.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import Held, NotStarted, UsageError
from bluegreen.domain.image import ImageReference
from bluegreen.domain.routing import Split, active
from bluegreen.domain.snapshot import Template
from bluegreen.domain.stack import Seconds, Slot
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bluegreen.domain.snapshot import Snapshot, Workload
    from bluegreen.domain.stack import Stack

RETRY_SECONDS = 5.0
"""``--health-retries N`` means N times this (specification, decision 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line asks for, besides the images."""

    health_retries: int = 30
    validation_time: Seconds = 30.0
    scale_down_old: bool = False
    force: bool = False
    keep_failed: bool = False
    verify: bool = False
    """Stay after the release until the five minutes of the checklist are judged."""
    require_proof: bool = False
    """A window that proves nothing is rolled back, too."""
    synthetic_traffic: bool = False
    """The pipeline makes requests of its own in the window."""

    @property
    def health_deadline(self) -> Seconds:
        """The limit of the health validation, in seconds."""
        return self.health_retries * RETRY_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadSpec:
    """What a stage makes of one service: image, size and the rest of the template."""

    service: str
    image: ImageReference
    replicas: int
    template: Template


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSpec:
    """What a stage makes of a slot; ``revision`` is stamped on every pod."""

    slot: Slot
    revision: str
    workloads: tuple[WorkloadSpec, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One service in the target slot: what is there, what will be."""

    service: str
    before: ImageReference | None
    serving: ImageReference
    """What the active slot runs."""
    after: ImageReference
    carried: bool
    """The image was not named: the active slot's is carried over."""
    differences: tuple[str, ...] = ()
    """What else differs from the active slot's template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One release, before anything was written."""

    release: str
    stack: str
    active: Slot
    target: Slot
    changes: tuple[Change, ...]
    want: SlotSpec
    previous: SlotSpec | None
    """What the target slot holds now, to be put back if the release fails; None: it holds nothing."""
    options: Options
    notes: tuple[str, ...] = ()
    nothing_to_do: bool = False

    @property
    def sizes(self) -> tuple[tuple[str, int], ...]:
        """How many ready pods each service needs in the target slot."""
        return tuple((spec.service, spec.replicas) for spec in self.want.workloads)

    @property
    def keeps_previous(self) -> bool:
        """Whether the target slot, before anything is staged, runs what would be put back: no failed run's images."""
        if self.previous is None:
            return False
        return {change.service: change.before for change in self.changes} == {
            spec.service: spec.image for spec in self.previous.workloads
        }


def make_plan(
    snapshot: Snapshot,
    *,
    stack: Stack,
    images: Mapping[str, ImageReference],
    options: Options,
    release: str,
) -> Plan:
    """Plan the release.

    Raises UsageError (no image, stranger), NotStarted, Held (split stack, active slot not settled).
    """
    if not images:
        raise UsageError("no image was named", mend=_flag_hint(stack))
    for name in images:
        stack.service(name)
    serving = _active_slot(snapshot)
    target = serving.other
    specs = tuple(_spec(snapshot, name, serving, images.get(name)) for name in stack.names)
    want = SlotSpec(slot=target, revision=release, workloads=specs)
    changes = tuple(_change(snapshot, spec, serving, carried=spec.service not in images) for spec in specs)
    return Plan(
        release=release,
        stack=stack.name,
        active=serving,
        target=target,
        changes=changes,
        want=want,
        previous=previous_spec(snapshot, target),
        options=options,
        notes=_notes(snapshot, changes, options=options, target=target),
        nothing_to_do=not options.force and all(_same(change) for change in changes),
    )


def other_bits(snapshot: Snapshot, plan: Plan) -> tuple[str, ...]:
    """The carried-over services whose pods in the two slots run different bits under the same reference."""
    return tuple(
        change.service
        for change in plan.changes
        if change.carried
        and (serving := snapshot.workload(change.service, plan.active).image_ids)
        and (staged := snapshot.workload(change.service, plan.target).image_ids)
        and serving != staged
    )


def previous_spec(snapshot: Snapshot, slot: Slot) -> SlotSpec | None:
    """What the slot holds now, as a spec to put back; None when a service of it holds nothing."""
    specs = []
    for work in snapshot.slot_workloads(slot):
        if work.image is None or work.replicas == 0:
            return None
        specs.append(
            WorkloadSpec(service=work.service, image=work.image, replicas=work.replicas, template=work.template)
        )
    revision = next((work.revision for work in snapshot.slot_workloads(slot)), "")
    return SlotSpec(slot=slot, revision=revision, workloads=tuple(specs))


def _flag_hint(stack: Stack) -> str:
    first = stack.services[0]
    repository = ImageReference.parse(first.image).name
    return f"name at least one, for example --image {stack.short(first.name)}={repository}:v2"


def _active_slot(snapshot: Snapshot) -> Slot:
    found = active(snapshot.routes)
    if all(work.image is None for work in snapshot.workloads):
        raise NotStarted("the stack is not started: no slot holds anything", mend="bluegreen up starts it")
    if isinstance(found, Split):
        raise Held(
            f"the stack is split: {found}",
            mend="bluegreen rollback --to SLOT brings all services to one slot",
        )
    return found.slot


def _spec(snapshot: Snapshot, name: str, serving: Slot, image: ImageReference | None) -> WorkloadSpec:
    wanted = snapshot.stage_of(name)
    return WorkloadSpec(
        service=name,
        image=image or _carried(snapshot.workload(name, serving)),
        replicas=wanted.replicas,
        template=wanted.template,
    )


def _carried(live: Workload) -> ImageReference:
    """The active slot's image, from a completed rollout only: a half-done one has two images."""
    if live.image is None or not live.settled:
        raise Held(
            f"{live.service} in the active slot {live.slot} is in the middle of a change: no image to carry over",
            mend="wait until it has settled, or name its image",
        )
    return live.image


def _change(snapshot: Snapshot, spec: WorkloadSpec, serving: Slot, *, carried: bool) -> Change:
    live = snapshot.workload(spec.service, serving)
    return Change(
        service=spec.service,
        before=snapshot.workload(spec.service, serving.other).image,
        serving=live.image or spec.image,
        after=spec.image,
        carried=carried,
        differences=(*_size_difference(live, spec), *live.template.differences(spec.template)),
    )


def _size_difference(live: Workload, spec: WorkloadSpec) -> tuple[str, ...]:
    if live.replicas == spec.replicas:
        return ()
    return (f"replicas: {live.replicas} -> {spec.replicas}",)


def _same(change: Change) -> bool:
    return change.serving == change.after and not change.differences


def _notes(snapshot: Snapshot, changes: tuple[Change, ...], *, options: Options, target: Slot) -> tuple[str, ...]:
    notes = []
    carried = [change.service for change in changes if change.carried]
    if carried:
        notes.append(f"{' and '.join(carried)} in {target} is replaced too: the active slot's image is carried over")
    if any(work.image is not None and work.replicas for work in snapshot.slot_workloads(target)):
        notes.append(f"{target} is replaced: what it holds now is no way back any more")
    notes.extend(
        f"{change.service}: the tag {change.after.tag!r} may name other bits tomorrow; a digest cannot"
        for change in changes
        if change.after.mutable and change.after.tag == "latest"
    )
    if options.require_proof:
        notes.append("a window that proves nothing is rolled back, too (--require-proof)")
    if options.synthetic_traffic:
        notes.append("in the window the app file's checks with GET are asked each 2 s, too (--synthetic-traffic)")
    if options.scale_down_old:
        before = "before the error rate of five minutes is known"
        notes.append(f"{target.other} is ended {before}: the way back will be a cold start (--scale-down-old)")
    return tuple(notes)
