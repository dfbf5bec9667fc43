"""``up`` and ``down``: bring a stack to life on this machine, mend what is missing, and end it without a trace.

``up`` is one path for every state that it may find: nothing, a stack that runs, one that a reboot or ``kill -9`` has
ended, or one whose supervisord alone is dead while its programs serve on as orphans. It makes true what is recorded,
waits until the active slot is ready, and only then ends orphans. Which slot is active is said by the route files.
"""

from __future__ import annotations

import contextlib
import shutil
from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError, ReleaseFailed, UsageError
from bluegreen.domain.events import Note, Waiting
from bluegreen.domain.health import Doomed, Progressing, Ready, SlotDoomed, judge
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.release import RunKind
from bluegreen.domain.stack import Instant, Slot, after
from bluegreen.domain.values import dataclass, replace
from bluegreen.platforms.local import envoy_run, images, processes, reserve
from bluegreen.platforms.local.addresses import bindable
from bluegreen.platforms.local.dataplane import DataPlane
from bluegreen.platforms.local.fence import FenceFile
from bluegreen.platforms.local.fronts import chosen, kept, taken, wanted_ports
from bluegreen.platforms.local.lock import LocalLock
from bluegreen.platforms.local.orphans import Orphans
from bluegreen.platforms.local.platform import LocalPlatform
from bluegreen.platforms.local.programs import ENVOY, own_programs
from bluegreen.platforms.local.slots import Slots
from bluegreen.platforms.local.store import create_store, open_store
from bluegreen.platforms.local.supervisor import ARRIVAL, Supervisor
from bluegreen.platforms.local.template import template_of
from bluegreen.ports import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bluegreen.domain.events import Event
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.domain.stack import Seconds, Stack
    from bluegreen.platforms.local.dataplane import PlaneCounters
    from bluegreen.platforms.local.envoy import Front
    from bluegreen.platforms.local.layout import Layout
    from bluegreen.platforms.local.processes import Process
    from bluegreen.platforms.local.store import Record, Store
    from bluegreen.ports import Clock, Grip, SteadyClock

_TICK = 0.05
_ADMIN_LIMIT: Seconds = 1.0
_IDLE_LIMIT: Seconds = 30.0
_END_LIMIT: Seconds = 20.0
_FIRST = Slot.BLUE
_NAMED = 3
"""How many of somebody else's files are named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What ``up`` is asked for. ``ports``: public ports by service, 0 for any free one; others as before."""

    stack: Stack
    images: Path
    ports: Mapping[str, int]
    who: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Up:
    """A stack that is up."""

    active: Slot
    fronts: tuple[Front, ...]
    already: bool
    """It was up, and nothing was missing."""


def up(asked: Asked, *, layout: Layout, clock: SteadyClock, emit: Callable[[Event], None], until: Instant) -> Up:
    """Bring the stack up, or mend it, and wait for its active slot.

    Raises UsageError (an image is missing, a port is taken, another stack lives here), NotStarted (Envoy is not
    installed), HeldBy (another command works on it), ReleaseFailed (its replicas do not come up), DeadlineExceeded,
    PlatformError.
    """
    envoy_run.envoy_program()  # told before anything is begun: without it nothing would ever become ready
    layout.refuse_closed()
    if not layout.database.exists():
        _refuse_first(asked, layout)
    layout.prepare()
    lock = LocalLock(layout, clock=clock)
    grip = lock.take(_purpose("up", asked.who), until=clock.now())
    try:
        with create_store(layout) as store:
            _record_stack(asked, layout=layout, store=store, clock=clock)
            return _Start(layout=layout, store=store, clock=clock, emit=emit, grip=grip).run(until=until)
    finally:
        lock.release(grip)


def _purpose(run: str, who: str) -> Purpose:
    return Purpose(kind=RunKind.RELEASE, run=run, who=who)


# --- what is recorded -------------------------------------------------------------------------------------------------


def _refuse_first(asked: Asked, layout: Layout) -> None:
    """Refuse a first start that cannot work, before so much as a folder is made."""
    layout.refuse_strangers()
    _refuse_missing_images(asked)
    chosen(asked.stack, wanted=wanted_ports(asked.stack, given=asked.ports, before=None), before=None)


def _record_stack(asked: Asked, *, layout: Layout, store: Store, clock: Clock) -> None:
    """Record the stack and its ports. A stack that runs keeps its ports."""
    before: Record | None = None
    if store.has_stack():
        before = store.record()
        _refuse_other_stack(asked.stack, before.stack, layout)
    else:
        _refuse_missing_images(asked)
    running = Supervisor(layout, clock=clock).answering() or bool(envoy_run.living(layout.state))
    wanted = wanted_ports(asked.stack, given=asked.ports, before=before)
    if running and before is not None:
        fronts = kept(before.fronts, wanted=wanted)
    else:
        fronts = chosen(asked.stack, wanted=wanted, before=before)
    store.write_stack(asked.stack, images=asked.images.absolute(), fronts=fronts)


def _refuse_other_stack(wanted: Stack, found: Stack, layout: Layout) -> None:
    if (wanted.name, sorted(wanted.names)) != (found.name, sorted(found.names)):
        raise UsageError(
            f"{layout.state} holds the stack {found.name} with {', '.join(found.names)}",
            mend="give another folder by --state, or bluegreen down --purge",
        )


def _refuse_missing_images(asked: Asked) -> None:
    problems = [
        problem
        for service in asked.stack.services
        if (problem := images.problem(asked.images, _image(service.image), command=service.command))
    ]
    if problems:
        raise UsageError(
            "; ".join(problems), mend=f"put the image there, each with an executable {images.RUN!r}, or name another"
        )


def _image(text: str) -> ImageReference:
    return ImageReference.parse(text)


# --- making it true ---------------------------------------------------------------------------------------------------


class _Start:
    """One ``up``: from what is recorded to a ready active slot."""

    def __init__(
        self, *, layout: Layout, store: Store, clock: SteadyClock, emit: Callable[[Event], None], grip: Grip
    ) -> None:
        self._layout = layout
        self._store = store
        self._clock = clock
        self._emit = emit
        self._grip = grip
        self._fence = FenceFile(layout.fence, clock=clock)
        self._supervisor = Supervisor(layout, clock=clock)
        self._platform = LocalPlatform(layout, store, clock=clock)
        self._plane = self._platform.plane
        self._slots = Slots(
            layout=layout, store=store, plane=self._plane, supervisor=self._supervisor, fence=self._fence, clock=clock
        )
        self._orphans = Orphans(layout)
        self._began = clock.now()
        self._changed = False

    def run(self, *, until: Instant) -> Up:
        self._plane.prepare()
        with contextlib.suppress(OSError):
            reserve.keep(self._layout.state)  # on a disk that full a deploy is refused; what runs may come back
        self._fill_slots()
        serving = self._serving()
        if self._is_kept(until=until):
            self._mend()
        else:
            self._begin(until=until)
        for slot in serving:
            self._wait_ready(slot, until=until)
            self._move(slot, until=until)
        for slot in Slot:
            if slot not in serving:
                self._settle_idle(slot, until=until)
        self._end_orphans(until=until)
        return Up(active=serving[0], fronts=self._store.record().fronts, already=not self._changed)

    def _is_kept(self, *, until: Instant) -> bool:
        """Whether a supervisord runs; one that a killed ``up`` has just started is waited for."""
        if self._supervisor.answering():
            return True
        if self._supervisor.end_lost():
            self._emit(Note(text="the socket of supervisord was gone: it was ended, and another one takes over"))
        if not self._supervisor.lives():
            return False
        self._emit(Note(text=f"a supervisord that an earlier command has started is awaited, {ARRIVAL:g} s at most"))
        return self._supervisor.arrive(until=min(until, after(self._clock.now(), ARRIVAL)))

    def _fill_slots(self) -> None:
        """Give a slot that was never staged the images of the app file."""
        record = self._store.record()
        for slot in Slot:
            if record.slot(slot) is None:
                self._changed = True
                self._slots.put(self._first_spec(slot, record.stack), grip=self._grip)

    def _first_spec(self, slot: Slot, stack: Stack) -> SlotSpec:
        seal = self._store.seal()
        works = tuple(
            WorkloadSpec(
                service=service.name,
                image=_image(service.image),
                replicas=service.replicas,
                template=template_of(service, seal=seal),
            )
            for service in stack.services
        )
        return SlotSpec(slot=slot, revision="up", workloads=works)

    def _serving(self) -> list[Slot]:
        """The slots that the routes name: one, or both where a switch was cut in two. Without any, the first."""
        slots: set[Slot] = set()
        for service in self._store.record().stack.names:
            route = self._plane.read_route(service)
            if route.slot is None:
                self._changed = True
                with self._fence.held(self._grip):
                    route = self._plane.write_route(
                        service, to=_FIRST, fallback=None, fence=self._grip.fence, expect=None
                    )
            slots.add(route.slot or _FIRST)
        return [slot for slot in Slot if slot in slots]

    def _mend(self) -> None:
        """Start what supervisord should keep and does not."""
        self._write_programs()
        infos = self._supervisor.infos()
        wanted = [program.name for program in own_programs(self._layout)]
        wanted += [replica.program for replica in self._store.record().replicas]
        missing = [name for name in wanted if name not in infos or infos[name].state in {"STOPPED", "FATAL", "EXITED"}]
        if missing:
            self._changed = True
            self._emit(Note(text=f"starting {', '.join(missing)}"))
            self._supervisor.remove(missing)
            self._supervisor.add(missing)

    def _begin(self, *, until: Instant) -> None:
        """Start supervisord and with it everything; what still serves without it serves on meanwhile."""
        self._changed = True
        orphans = self._orphans.adopt()
        if orphans:
            self._emit(Note(text=f"supervisord is dead; {len(orphans)} programs serve on until new ones are ready"))
        self._refuse_taken_ports()
        for slot in Slot:
            self._choose_ports_anew(slot)
        self._write_programs()
        if not orphans:
            for slot in Slot:
                self._slots.publish(slot, grip=self._grip)
        self._supervisor.start(until=until)

    def _refuse_taken_ports(self) -> None:
        if envoy_run.living(self._layout.state):
            return  # they are its own, and are handed over
        for front in self._store.record().fronts:
            for port in (front.public_port, *(port for _, port in front.preview_ports)):
                if not bindable(port):
                    raise taken(port, front.service)

    def _choose_ports_anew(self, slot: Slot) -> None:
        """Ports that an orphan or a stranger holds are given up."""
        held = self._store.record().slot(slot)
        if held is not None and not held.ended:
            self._slots.put(held.spec, grip=self._grip)

    def _write_programs(self) -> None:
        with self._fence.held(self._grip):
            self._supervisor.put(own_programs(self._layout))
        for slot in Slot:
            self._slots.write_programs(slot, grip=self._grip)

    # --- waiting ----------------------------------------------------------------------------------------------

    def _wait_ready(self, slot: Slot, *, until: Instant) -> None:
        """Wait until the slot's replicas are ready; whether the data plane knows them is the next question."""
        wants: Sequence[str] = ()
        due: Instant | None = None

        def again() -> Instant | None:
            return due

        try:
            for snapshot in self._platform.changes(until=until, again=again):
                match judge(_as_if_known(snapshot), slot, revision=_revision(snapshot, slot)):
                    case Ready():
                        return
                    case Doomed(cause):
                        raise SlotDoomed(cause, mend=f"logs are in {self._layout.logs}")
                    case Progressing(wants, due):
                        self._emit(self._waiting(wants, until=until))
        except DeadlineExceeded as error:
            raise self._too_late(slot, wants, until=until) from error

    def _too_late(self, slot: Slot, wants: Sequence[str], *, until: Instant) -> DeadlineExceeded:
        missing = "; ".join(wants) or "nothing was seen of it"
        return DeadlineExceeded(
            f"{slot} was not ready within {until - self._began:.0f} s: {missing}",
            mend=f"logs are in {self._layout.logs}",
        )

    def _waiting(self, wants: Sequence[str], *, until: Instant) -> Waiting:
        now = self._clock.now()
        return Waiting(wants=tuple(wants), waited=now - self._began, left=until - now)

    def _published(self, slot: Slot) -> bool:
        record = self._store.record()
        return all(self._plane.endpoints(name, slot) == self._ports(slot, name) for name in record.stack.names)

    def _ports(self, slot: Slot, service: str) -> tuple[int, ...]:
        return tuple(replica.port for replica in self._store.record().of_slot(slot, service))

    def _move(self, slot: Slot, *, until: Instant) -> None:
        """Let the data plane know the new replicas. While orphans serve: first both, then the new ones alone."""
        if not self._published(slot):
            for service in self._store.record().stack.names:
                new = self._ports(slot, service)
                with self._fence.held(self._grip):
                    self._plane.set_endpoints(service, slot, (*self._plane.endpoints(service, slot), *new))
            self._wait_plane(slot, until=until)
            self._slots.publish(slot, grip=self._grip)
        self._wait_plane(slot, until=until)

    def _wait_plane(self, slot: Slot, *, until: Instant) -> None:
        """Wait until Envoy is up, has taken the slot's file, and would use every replica in it."""
        self._emit(self._waiting((f"Envoy to get to know the replicas of {slot}",), until=until))
        while not (self._plane.answering() and self._plane_knows(slot)):
            now = self._clock.now()
            if now >= until:
                raise DeadlineExceeded(
                    f"Envoy does not get to know the replicas of {slot}", mend=f"see {self._layout.log(ENVOY)}"
                )
            self._clock.wait(until=after(now, _TICK))

    def _plane_knows(self, slot: Slot) -> bool:
        try:
            counters = self._plane.counters(timeout=_ADMIN_LIMIT)
        except PlatformError:
            return False
        return all(self._takes_all(found) for found in counters if found.slot is slot)

    def _takes_all(self, found: PlaneCounters) -> bool:
        return found.members == found.healthy == len(self._plane.endpoints(found.service, found.slot))

    def _settle_idle(self, slot: Slot, *, until: Instant) -> None:
        """The other slot is a way back: it is brought up as well, but nobody waits long for it."""
        if self._published(slot):
            return
        try:
            limit = Instant(min(until, after(self._clock.now(), _IDLE_LIMIT)))
            self._wait_ready(slot, until=limit)
            self._move(slot, until=limit)
        except (DeadlineExceeded, ReleaseFailed) as error:
            self._emit(Note(text=f"{slot}, which is idle, is not ready: {error}"))
            self._slots.publish(slot, grip=self._grip)

    def _end_orphans(self, *, until: Instant) -> None:
        if self._orphans.living():
            self._emit(Note(text="ending the programs that had lost their supervisord"))
            try:
                self._orphans.end(clock=self._clock, until=until)
            except PlatformError as error:
                self._emit(Note(text=f"{error}; {error.mend}"))  # nobody is sent there any more


def _as_if_known(snapshot: Snapshot) -> Snapshot:
    """Without what the data plane says of the replicas: it is told of them only when they are ready."""
    return replace(snapshot, workloads=tuple(replace(work, reachable=None) for work in snapshot.workloads))


def _revision(snapshot: Snapshot, slot: Slot) -> str:
    return next((work.revision for work in snapshot.slot_workloads(slot)), "")


# --- the end ----------------------------------------------------------------------------------------------------------


def down(*, layout: Layout, clock: Clock, emit: Callable[[Event], None], who: str, purge: bool = False) -> bool:
    """End everything, dependents first; whether there was anything to end. The records stay, unless ``purge``.

    Raises UsageError for a folder that holds somebody else's files and nothing of ours, HeldBy when another command
    works on the stack, PlatformError when something will not go.
    """
    if not layout.state.is_dir():
        return False
    layout.refuse_closed()
    layout.refuse_strange()
    lock = LocalLock(layout, clock=clock)
    grip = lock.take(_purpose("down", who), until=clock.now())
    try:
        found = _end_all(layout, clock=clock, emit=emit, grip=grip)
        _remove_traces(layout)
    finally:
        lock.release(grip)
    if purge:
        _purge(layout, emit=emit)
    return found


def _purge(layout: Layout, *, emit: Callable[[Event], None]) -> None:
    """Remove the state folder. What somebody else has put in it is theirs, and stays."""
    left = layout.remove()
    if left:
        more = "" if len(left) <= _NAMED else f" and {len(left) - _NAMED} more"
        emit(Note(text=f"{layout.state} stays, for {', '.join(left[:_NAMED])}{more} in it is not ours"))


def _end_all(layout: Layout, *, clock: Clock, emit: Callable[[Event], None], grip: Grip) -> bool:
    found = bool(_recorded(layout)) or bool(envoy_run.living(layout.state))
    if found:
        Supervisor(layout, clock=clock).end_lost()  # it would start again whatever is ended
        _end_services(layout, clock=clock, emit=emit, grip=grip)
        emit(_for_the_end_of("supervisord", _END_LIMIT))
    _end_supervisord(layout, clock=clock)
    left = [*_recorded(layout), *(launched.process for launched in envoy_run.living(layout.state))]
    if left:
        emit(_for_the_end_of(f"{len(left)} processes that supervisord has left", _END_LIMIT))
    processes.end_all(left, clock=clock, until=after(clock.now(), _END_LIMIT))
    envoy_run.clean_up(layout.state)
    return found


def _for_the_end_of(what: str, limit: Seconds) -> Waiting:
    return Waiting(wants=(f"the end of {what}",), waited=0.0, left=limit)


def _recorded(layout: Layout) -> list[Process]:
    if not layout.pids.is_dir():
        return []
    found = (processes.recorded(path) for path in layout.pids.iterdir())
    return [process for process in found if process is not None]


def _end_services(layout: Layout, *, clock: Clock, emit: Callable[[Event], None], grip: Grip) -> None:
    """By needs, as far as the record can be read; without one everything is ended at once, by pid."""
    try:
        with open_store(layout) as store:
            record = store.record()
            slots = Slots(
                layout=layout,
                store=store,
                plane=DataPlane(folder=layout.state, admin=layout.admin, fronts=record.fronts),
                supervisor=Supervisor(layout, clock=clock),
                fence=FenceFile(layout.fence, clock=clock),
                clock=clock,
            )
            for service in record.stack.end_order:
                limit = slots.end_limit(service)
                emit(_for_the_end_of(f"the replicas of {service}", limit))
                slots.end_in_both(service, grip=grip, until=after(clock.now(), limit))
    except PlatformError as error:
        emit(Note(text=f"ending everything at once, because {error}"))


def _end_supervisord(layout: Layout, *, clock: Clock) -> None:
    process = processes.recorded(layout.pids / "supervisord")
    with contextlib.suppress(PlatformError):
        Supervisor(layout, clock=clock).shut_down()
    if process is not None:
        processes.wait_gone([process], clock=clock, until=after(clock.now(), _END_LIMIT))


def _remove_traces(layout: Layout) -> None:
    """Sockets, pid files and start scripts. Logs, routes and records are what the next ``up`` begins with."""
    for folder in (layout.runtime, layout.pids, layout.conf, layout.scripts):
        shutil.rmtree(folder, ignore_errors=True)
    for path in (layout.supervisor_conf, layout.tally, layout.state / "sockets"):
        path.unlink(missing_ok=True)
