"""What runs in a slot: put there, started, ended. Shared by the stages of a release and by ``up`` and ``down``.

The database is written before anything is started, and after everything has ended: whoever is killed in between leaves
a record of what should run, which ``up`` and the next stage make true.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from bluegreen.domain.errors import NotStarted, PlatformError
from bluegreen.domain.stack import Instant, Slot, after
from bluegreen.platforms.local import images, processes
from bluegreen.platforms.local.addresses import ADDRESS, Ports
from bluegreen.platforms.local.layout import program_name
from bluegreen.platforms.local.programs import Program, replica_environment
from bluegreen.platforms.local.store import Replica
from bluegreen.platforms.local.template import sealed_values, with_template
from bluegreen.ports import EndedSlot

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bluegreen.domain.plan import SlotSpec
    from bluegreen.domain.stack import Seconds, Service, Stack
    from bluegreen.platforms.local.dataplane import DataPlane
    from bluegreen.platforms.local.fence import FenceFile
    from bluegreen.platforms.local.layout import Layout
    from bluegreen.platforms.local.store import Record, Store
    from bluegreen.platforms.local.supervisor import Supervisor
    from bluegreen.ports import Clock, Grip

DRAIN_LIMIT: Seconds = 10.0
"""What is still open then is a WebSocket or a stream, and is told by the program itself when it is asked to end."""
_KILL_MARGIN: Seconds = 10.0
_TICK = 0.05


def service_in(record: Record, slot: Slot, name: str, *, sealed: Mapping[str, str]) -> Service:
    """The service as the slot's record says. Raises PlatformError when the record makes no sense."""
    try:
        spec = record.spec_of(slot, name)
        return with_template(record.stack.service(name), spec.template, sealed=sealed)
    except (ValueError, KeyError) as error:
        raise PlatformError(
            f"the record of {name} in {slot} cannot be used: {error}", mend=f"stage {slot} again: bluegreen deploy"
        ) from error


def replica_program(record: Record, replica: Replica, *, sealed: Mapping[str, str]) -> Program:
    """How the replica is started."""
    service = service_in(record, replica.slot, replica.service, sealed=sealed)
    image = record.spec_of(replica.slot, replica.service).image
    peers = [(need.variable, preview_url(record, need.service, replica.slot)) for need in service.needs]
    environment = replica_environment(
        own=service.environment, port=replica.port, slot=replica.slot, version=image.version, peers=peers
    )
    return Program(
        name=replica.program,
        argv=service.command or (f"./{images.RUN}",),
        environment=environment,
        folder=str(images.folder_of(record.images, image)),
        grace=service.grace,
        about=f"{image} on port {replica.port}, {replica.revision}",
    )


def preview_url(record: Record, service: str, slot: Slot) -> str:
    """The slot's own address of a service."""
    return f"http://{ADDRESS}:{dict(record.front(service).preview_ports)[slot]}"


class Slots:
    """The slots of one stack. Each write is made under the grip's fence."""

    def __init__(
        self,
        *,
        layout: Layout,
        store: Store,
        plane: DataPlane,
        supervisor: Supervisor,
        fence: FenceFile,
        clock: Clock,
        stack: Stack | None = None,
    ) -> None:
        """Nothing is touched. ``stack``: whose settings are put, when that is not what ``up`` was given."""
        self._layout = layout
        self._store = store
        self._plane = plane
        self._supervisor = supervisor
        self._fence = fence
        self._clock = clock
        self._stack = stack

    def put(self, spec: SlotSpec, *, grip: Grip) -> None:
        """Record what the slot shall hold, with a free port for each replica, and how each is started."""
        record = self._store.record()
        replicas = self._replicas(record, spec)
        with self._fence.held(grip):
            for service in (self._stack or record.stack).services:
                self._store.keep_sealed(sealed_values(service, seal=self._store.seal()))
            self._store.write_slot(spec, replicas)
        self.write_programs(spec.slot, grip=grip)

    def _replicas(self, record: Record, spec: SlotSpec) -> tuple[Replica, ...]:
        """Ports are kept from stage to stage where they are free."""
        before = {replica.program: replica.port for replica in record.of_slot(spec.slot)}
        ports = Ports(_spoken_for(record, besides=spec.slot))
        life = os.urandom(2).hex()
        return tuple(
            Replica(
                program=name,
                service=work.service,
                slot=spec.slot,
                port=_kept_or_new(ports, before.get(name)),
                revision=spec.revision,
                life=life,
                image_id=images.identity(record.images, work.image),
            )
            for work in spec.workloads
            for name in (program_name(work.service, spec.slot, number) for number in range(work.replicas))
        )

    def write_programs(self, slot: Slot, *, grip: Grip) -> None:
        """Write how the slot's replicas are started; nothing is started."""
        record, sealed = self._store.record(), self._store.sealed()
        programs = [replica_program(record, replica, sealed=sealed) for replica in record.of_slot(slot)]
        with self._fence.held(grip):
            self._supervisor.put(programs)

    def publish(self, slot: Slot, *, grip: Grip) -> None:
        """Tell the data plane who is in the slot."""
        record = self._store.record()
        with self._fence.held(grip):
            for service in record.stack.names:
                ports = [replica.port for replica in record.of_slot(slot, service)]
                self._plane.set_endpoints(service, slot, ports)

    def start(self, slot: Slot, *, grip: Grip) -> None:
        """Start the slot's replicas."""
        names = [replica.program for replica in self._store.record().of_slot(slot)]
        with self._fence.held(grip):
            self._supervisor.add(names)

    def end(self, slot: Slot, *, order: Sequence[str], grip: Grip, until: Instant) -> EndedSlot:
        """End the services in this order: each drained and gone before the next. What it held stays on record."""
        gone, cut = [], 0
        for service in order:
            replicas = self._store.record().of_slot(slot, service)
            if replicas:
                cut += self._drain(service, slot, until=until)
                self._end_service(service, slot, [replica.program for replica in replicas], grip=grip)
                gone.append(service)
        with self._fence.held(grip):
            self._store.write_ended(slot)
        return EndedSlot(services=tuple(gone), cut=cut)

    def _drain(self, service: str, slot: Slot, *, until: Instant) -> int:
        """Wait for the last answer; how many requests are still open at the limit."""
        limit = Instant(min(until, after(self._clock.now(), DRAIN_LIMIT)))
        while open_now := self._in_flight(service, slot):
            if self._clock.now() >= limit:
                return open_now
            self._clock.wait(until=after(self._clock.now(), _TICK))
        return 0

    def _in_flight(self, service: str, slot: Slot) -> int:
        try:
            counters = self._plane.counters(timeout=1.0)
        except PlatformError:
            return 0  # without Envoy nothing is under way through it
        return next((found.in_flight for found in counters if found.service == service and found.slot is slot), 0)

    def _end_service(self, service: str, slot: Slot, names: Sequence[str], *, grip: Grip) -> None:
        limit = after(self._clock.now(), self._grace(slot, service) + _KILL_MARGIN)
        with self._fence.held(grip):
            self._plane.set_endpoints(service, slot, ())
            self._ask_end(names)
        self._wait_ended(names, until=limit)
        with self._fence.held(grip):
            self._supervisor.forget(names)

    def _ask_end(self, names: Sequence[str]) -> None:
        try:
            self._supervisor.ask_stop(names)
        except NotStarted:
            return  # the processes are orphans: they are ended by pid, below

    def _wait_ended(self, names: Sequence[str], *, until: Instant) -> None:
        try:
            self._supervisor.wait_stopped(names, until=until)
            self._supervisor.remove(names)
        except NotStarted:
            self.end_orphans(names, until=until)

    def end_limit(self, service: str) -> Seconds:
        """How long the service's replicas may take to end, in whichever slot; killed they are a moment before."""
        record = self._store.record()
        graces = [self._grace(slot, service) for slot in Slot if record.of_slot(slot, service)]
        return max(graces, default=0.0) + _KILL_MARGIN

    def end_in_both(self, service: str, *, grip: Grip, until: Instant) -> None:
        """End the service in both slots, for ``down``: the records stay, for the next ``up``.

        Nothing is drained before: users' requests do not stop coming. What is under way is finished by the programs.
        """
        record = self._store.record()
        names = [replica.program for slot in Slot for replica in record.of_slot(slot, service)]
        with self._fence.held(grip):
            self._ask_end(names)
        self._wait_ended(names, until=until)

    def _grace(self, slot: Slot, service: str) -> Seconds:
        return service_in(self._store.record(), slot, service, sealed=self._store.sealed()).grace

    def end_orphans(self, names: Sequence[str], *, until: Instant) -> None:
        """End programs that have lost their supervisord. Raises PlatformError for what will not go."""
        found = (processes.recorded(self._layout.pids / name) for name in names)
        processes.end_all([process for process in found if process is not None], clock=self._clock, until=until)


def _spoken_for(record: Record, *, besides: Slot) -> set[int]:
    """Ports that something of the stack listens on or will."""
    fronts = {port for front in record.fronts for _, port in front.preview_ports}
    public = {front.public_port for front in record.fronts}
    return fronts | public | {replica.port for replica in record.replicas if replica.slot is not besides}


def _kept_or_new(ports: Ports, before: int | None) -> int:
    if before is not None and ports.claim(before):
        return before
    return ports.choose()
