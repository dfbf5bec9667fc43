"""What speaks against a plan on this machine, looked for before anything is written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import BluegreenError, PlatformError
from bluegreen.domain.rules import Rule
from bluegreen.platforms.local import images, reserve
from bluegreen.platforms.local.programs import AGENT, ENVOY
from bluegreen.platforms.local.supervisor import Supervisor
from bluegreen.platforms.local.template import readiness_path, sealed_values, with_template
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.domain.plan import Plan, WorkloadSpec
    from bluegreen.domain.stack import Stack
    from bluegreen.platforms.local.dataplane import DataPlane
    from bluegreen.platforms.local.layout import Layout
    from bluegreen.platforms.local.store import Record, Store
    from bluegreen.ports import Clock

_UP = "bluegreen up starts what is missing"


def findings(
    plan: Plan, *, layout: Layout, store: Store, stack: Stack, plane: DataPlane, clock: Clock
) -> Sequence[Finding]:
    """All of them, the ones that refuse first. Raises PlatformError when the state folder cannot be written."""
    _set_room_aside(layout)
    record = store.record()
    return (
        *_strangers(record, stack),
        *_images(record, plan, stack, store),
        *standing(layout=layout, store=store, plane=plane, clock=clock),
        *_paths(record, plan),
    )


def standing(*, layout: Layout, store: Store, plane: DataPlane, clock: Clock) -> Iterator[Finding]:
    """What has nothing to do with a plan: the programs that a stack needs to be up."""
    yield from _addresses(store.record())
    yield from _programs(layout, clock)
    yield from _plane(plane)


def _refuse(text: str, mend: str, *, rule: Rule | None = None) -> Finding:
    """``rule`` None: it is of this plan."""
    name, why = (str(rule), rule.why) if rule is not None else ("", "")
    return Finding(severity=Severity.REFUSE, text=text, mend=mend, rule=name, why=why)


def _strangers(record: Record, stack: Stack) -> Iterator[Finding]:
    if sorted(record.stack.names) != sorted(stack.names):
        yield _refuse(
            f"the stack that runs consists of {', '.join(record.stack.names)}; the app file: {', '.join(stack.names)}",
            "bluegreen down, then bluegreen up with the new app file",
        )


def _images(record: Record, plan: Plan, stack: Stack, store: Store) -> Iterator[Finding]:
    for spec in plan.want.workloads:
        problem = _image_problem(record, spec, stack, store)
        if problem:
            yield _refuse(problem, f"images are folders under {record.images}, each with an executable {images.RUN!r}")


def _paths(record: Record, plan: Plan) -> Iterator[Finding]:
    """Envoy asks a path of its own, the one that ``up`` was given: who does not answer it never gets users."""
    paths = {front.service: front.path_in(plan.target) for front in record.fronts}
    for spec in plan.want.workloads:
        told = readiness_path(spec.template)
        asked = paths.get(spec.service, told)
        if told and told != asked:
            yield Finding(
                severity=Severity.WARN,
                text=f"the readiness path of {spec.service} is {told}; Envoy goes on to ask {asked}, as up was told",
                mend=f"let the new version answer {asked}, too, else it is never known to the data plane",
            )


def _image_problem(record: Record, spec: WorkloadSpec, stack: Stack, store: Store) -> str:
    service = stack.service(spec.service)
    sealed = {**store.sealed(), **_sealed_now(stack, store)}
    try:
        command = with_template(service, spec.template, sealed=sealed).command
    except (ValueError, KeyError) as error:
        return f"the settings of {spec.service} cannot be used: {error}"
    return images.problem(record.images, spec.image, command=command)


def _sealed_now(stack: Stack, store: Store) -> dict[str, str]:
    found: dict[str, str] = {}
    for service in stack.services:
        found.update(sealed_values(service, seal=store.seal()))
    return found


def _addresses(record: Record) -> Iterator[Finding]:
    """A pair that was validated in its own slot must be the pair that serves."""
    for front in record.fronts:
        ports = [port for _, port in front.preview_ports]
        if len(set(ports)) < len(ports):
            text = f"both slots have the same address of {front.service}"
            yield _refuse(text, "bluegreen down, then bluegreen up", rule=Rule.NEED_SHARED)


def _programs(layout: Layout, clock: Clock) -> Iterator[Finding]:
    try:
        infos = Supervisor(layout, clock=clock).infos()
    except BluegreenError as error:
        yield _refuse(str(error), _UP, rule=Rule.NOT_RUNNING)
        return
    for name in (AGENT, ENVOY):
        if name not in infos or not infos[name].going:
            text = f"the program {name} does not run; its log is {layout.log(name)}"
            yield _refuse(text, _UP, rule=Rule.NOT_RUNNING)


def _plane(plane: DataPlane) -> Iterator[Finding]:
    if not plane.answering():
        yield _refuse("Envoy does not answer on its admin socket", _UP, rule=Rule.NOT_RUNNING)


def _set_room_aside(layout: Layout) -> None:
    """Room for the way back. Raises PlatformError: it is the machine that is not fit, not the command."""
    try:
        reserve.keep(layout.state)
    except OSError as error:
        raise PlatformError(
            f"there is no room for a release in {layout.state}: {error.strerror}",
            mend=f"make room for {reserve.SIZE // 1024} kB at least, or see the rights of the folder",
        ) from error
