"""What serves now, what stands by, what is unfinished, and what the next command will do about it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.cli.views.paper import moment
from bluegreen.domain.drift import drift
from bluegreen.domain.release import Back, RunKind, way_back
from bluegreen.domain.routing import Active, active
from bluegreen.domain.snapshot import Running, Terminated, Waiting
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.cli.views.paper import Paper
    from bluegreen.domain.plan import Plan
    from bluegreen.domain.release import NoWayBack, Run
    from bluegreen.domain.snapshot import Container, Snapshot, Workload
    from bluegreen.domain.stack import Stack


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Where one slot of a service answers, whether it serves or not."""

    slot: Slot
    at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where one service answers: for users, and each slot by itself."""

    service: str
    users: str
    previews: tuple[Preview, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceState:
    """One service in one slot."""

    service: str
    image: str
    """Empty: nothing was ever staged here."""
    ready: int
    replicas: int
    trouble: str = ""
    """Why a replica is not ready, as far as the platform says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotState:
    """One slot."""

    slot: Slot
    serves: bool
    services: tuple[ServiceState, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A run that has not ended: it works right now, or it was killed."""

    run: str
    kind: RunKind
    who: str
    began_at: float
    next: str
    """What the next command will do about it, when it was killed."""


NOT_KNOWN = "not known, for the journal says it; bluegreen rollback --to SLOT brings users to a slot that is named"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """All of it, as `bluegreen status` shows it."""

    stack: str
    serving: Slot | None
    split: str
    """Which service is on which slot, when they are not on one."""
    slots: tuple[SlotState, ...]
    addresses: tuple[Address, ...]
    back: Slot | None
    """Where `bluegreen rollback` leads."""
    back_words: str
    last: str
    unfinished: Unfinished | None
    started: bool = True
    """False: nothing runs in either slot, and nothing ever did."""
    moved: str = ""
    """Users are not where the last run left them: who has moved them since, and from where."""
    unread: str = ""
    """Why the journal could not be read, so that nothing is known of any run; empty: it was."""
    untold: str = ""
    """Kubernetes: why it cannot be told which objects are of which slot; empty: it can."""


def look(
    *,
    stack: Stack,
    snapshot: Snapshot,
    runs: Sequence[Run],
    addresses: Sequence[Address],
    unread: str = "",
    untold: str = "",
) -> Status:
    """Put together what is known. ``runs``: newest first; none, where they are ``unread``."""
    found = active(snapshot.routes)
    serving = found.slot if isinstance(found, Active) else None
    back = way_back(runs, serving=serving)
    newest = runs[0] if runs else None
    return Status(
        stack=stack.name,
        serving=serving,
        split="" if isinstance(found, Active) else str(found),
        slots=tuple(_slot_state(snapshot, slot, serving) for slot in Slot),
        addresses=tuple(addresses),
        back=back.slot if isinstance(back, Back) else None,
        back_words=_back_words(back, snapshot) if not unread else NOT_KNOWN,
        last=f"{newest.id} {newest.outcome}" if newest is not None and newest.outcome is not None else "",
        unfinished=_unfinished(newest, serving) if newest is not None and newest.open else None,
        started=serving is not None or any(work.image is not None for work in snapshot.workloads),
        moved=str(drift(runs, snapshot.routes) or ""),
        unread=unread,
        untold=untold,
    )


def _slot_state(snapshot: Snapshot, slot: Slot, serving: Slot | None) -> SlotState:
    services = tuple(_service_state(work) for work in snapshot.slot_workloads(slot))
    return SlotState(slot=slot, serves=slot is serving, services=services)


def _service_state(work: Workload) -> ServiceState:
    return ServiceState(
        service=work.service,
        image=str(work.image or ""),
        ready=work.ready,
        replicas=work.replicas,
        trouble=work.problem or _trouble(work),
    )


def _trouble(work: Workload) -> str:
    for pod in work.current:
        if pod.ready:
            continue
        words = pod.unplaced or next((text for text in map(_container_trouble, pod.containers) if text), "")
        if words:
            return f"{pod.name}: {words}"
    return ""


def _container_trouble(container: Container) -> str:
    match container.state:
        case Waiting(reason=reason, message=message):
            return f"{reason}: {message}" if message else reason
        case Terminated(exit_code=code):
            return f"ended with exit code {code}"
        case Running():
            return container.failing


def _back_words(back: Back | NoWayBack, snapshot: Snapshot) -> str:
    if not isinstance(back, Back):
        return f"none: {back.why}"
    cold = [work.service for work in snapshot.slot_workloads(back.slot) if work.ready == 0]
    if cold:
        return f"bluegreen rollback --cold brings users to {back.slot}, which must be started first"
    return f"bluegreen rollback brings users to {back.slot} at once"


def _unfinished(run: Run, serving: Slot | None) -> Unfinished:
    return Unfinished(run=run.id, kind=run.kind, who=run.who, began_at=run.began_at, next=_next(run, serving))


def _next(run: Run, serving: Slot | None) -> str:
    """What pipeline/pickup.py does with it."""
    if run.kind is RunKind.ROLLBACK:
        return f"the next deploy or rollback brings users to {run.to} first"
    if run.plan is None or not run.moves:
        return "users saw nothing of it; the next deploy closes it and goes on, a rollback puts its slot in order"
    return _next_after_switch(run, run.plan, serving)


def _next_after_switch(run: Run, plan: Plan, serving: Slot | None) -> str:
    if serving is plan.active and not run.back:
        return f"it came to its switch, and {plan.active} serves; the next deploy closes it and goes on"
    if serving is not plan.target or run.back:
        return f"it stopped in the middle of its switch; the next deploy or rollback brings users to {plan.active}"
    return (
        f"{plan.target} serves and was not watched to the end; the next deploy watches it first, "
        f"a rollback brings users to {plan.active}"
    )


def status_lines(paper: Paper, status: Status) -> list[str]:
    """The status as text."""
    lines = paper.paragraph(_headline(status), style="bold")
    for state in status.slots if status.serving is not None or not status.untold else ():
        lines += _slot_lines(paper, status, state)
    if status.untold:
        lines += paper.field("doubt", f"{status.untold}; bluegreen doctor says what ends it", style="yellow")
    for address in status.addresses:
        lines += _address_lines(paper, status, address)
    lines += paper.field("way back", status.back_words)
    if status.last:
        lines += paper.field("last run", status.last)
    if status.unread:
        lines += paper.field("journal", f"cannot be read: {status.unread}", style="yellow")
    if status.moved:
        lines += paper.field("moved", status.moved, style="yellow")
    if status.unfinished is not None:
        lines += _unfinished_lines(paper, status.unfinished)
    return lines


def _headline(status: Status) -> str:
    if status.serving is None:
        if status.untold:
            return f"{status.stack}: which slot serves is not known"
        if status.started:
            return f"{status.stack} is split: {status.split}; bluegreen rollback --to SLOT brings it to one slot"
        return f"{status.stack} is not started: no slot holds anything; bluegreen up starts it"
    out = [_short(status, each.service) for state in status.slots if state.serves for each in _out(state)]
    if out:
        where = f"where {' and '.join(out)} {'is' if len(out) == 1 else 'are'} not ready"
        return f"{status.stack}: users are on {status.serving}, {where}"
    return f"{status.stack}: {status.serving} serves"


def _out(state: SlotState) -> list[ServiceState]:
    """The services of the slot that nobody answers for."""
    return [service for service in state.services if not service.ready]


def _slot_lines(paper: Paper, status: Status, state: SlotState) -> list[str]:
    words = "serves users" if state.serves else "stands by"
    if _out(state) and len(_out(state)) == len(state.services):
        words = "users are sent here, and nothing is ready" if state.serves else "nothing is ready"
    if status.serving is None and status.started:
        words = "serves a part" if str(state.slot) in status.split else "serves nobody"
    lines = paper.field(state.slot, words, style="bold")
    for service in state.services:
        lines += paper.text(f"{_short(status, service.service)} {_image_and_size(service)}")
        if service.trouble:
            lines += paper.text(service.trouble, style="yellow")
    return lines


def _image_and_size(service: ServiceState) -> str:
    if not service.image:
        return "holds nothing"
    return f"{service.image}, {service.ready}/{service.replicas} ready"


def _address_lines(paper: Paper, status: Status, address: Address) -> list[str]:
    lines = paper.field(_short(status, address.service), f"users call {address.users}")
    previews = ", ".join(f"{preview.slot} {preview.at}" for preview in address.previews)
    return lines + (paper.text(f"preview {previews}") if previews else [])


def _short(status: Status, service: str) -> str:
    return service.removeprefix(f"{status.stack}-") or service


def _unfinished_lines(paper: Paper, unfinished: Unfinished) -> list[str]:
    what = f"{unfinished.kind} {unfinished.run}"
    by = f" by {unfinished.who}" if unfinished.who else ""
    lines = paper.field("unfinished", f"{what}{by}, begun {moment(unfinished.began_at)}, has not ended", style="yellow")
    return lines + paper.text(f"if it does not run any more: {unfinished.next}")
