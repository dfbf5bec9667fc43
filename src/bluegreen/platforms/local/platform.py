"""ports.Platform on one machine: the agent's frames, the data plane's files and counters, supervisord's programs.

Imported by ``rollback``, so what only a stage needs is imported where it is used. Without an agent, and without a
supervisord, it looks at the replicas itself: a rollback needs neither of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from bluegreen.domain.errors import DeadlineExceeded, Held, LostLock, PlatformError
from bluegreen.domain.routing import Conflict, Moved, Unknown
from bluegreen.domain.snapshot import Wanted
from bluegreen.domain.stack import Instant, Slot, after
from bluegreen.platforms.local import direct, tally
from bluegreen.platforms.local.addresses import ADDRESS
from bluegreen.platforms.local.dataplane import DataPlane, RouteConflict
from bluegreen.platforms.local.fence import FenceFile, check
from bluegreen.platforms.local.picture import Plane, compose, route_of
from bluegreen.platforms.local.store import open_store
from bluegreen.platforms.local.template import template_of, with_template
from bluegreen.platforms.local.watch import Watch
from bluegreen.ports import Diagnosis, Through, never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.cause import Cause
    from bluegreen.domain.plan import Plan, SlotSpec
    from bluegreen.domain.routing import Move, RouteResult
    from bluegreen.domain.snapshot import Pod, Route, Snapshot
    from bluegreen.domain.stack import Probe, Seconds, Stack
    from bluegreen.platforms.local.checks import Request
    from bluegreen.platforms.local.dataplane import PlaneCounters, PlaneRoute
    from bluegreen.platforms.local.layout import Layout
    from bluegreen.platforms.local.slots import Slots
    from bluegreen.platforms.local.store import Record, Replica, Store
    from bluegreen.ports import Check, CheckResult, Cover, EndedSlot, Finding, Grip, SteadyClock

_LOOK: Seconds = 0.1
"""How long a change may go unseen: of the fence, the routes, the data plane's counts."""
_AGENT_LIMIT: Seconds = 0.3
_ADMIN_LIMIT: Seconds = 1.0
_LOOK_LIMIT: Seconds = 1.0
_LOG_LINES = 10


class LocalPlatform:
    """One stack on this machine. It owns the store; close it."""

    def __init__(self, layout: Layout, store: Store, *, clock: SteadyClock, stack: Stack | None = None) -> None:
        """``stack``: what a stage would make, when that is not what ``up`` was given (a newer app file)."""
        record = store.record()
        self._layout = layout
        self._store = store
        self._clock = clock
        self._stack = stack or record.stack
        self._fence = FenceFile(layout.fence, clock=clock)
        self.plane = DataPlane(folder=layout.state, admin=layout.admin, fronts=record.fronts)
        self._grip: Grip | None = None
        self._seen: Snapshot | None = None
        """The newest of all watches: it dates the next."""
        self._wanted = tuple(self._want(name) for name in self._stack.names)

    @classmethod
    def open(cls, layout: Layout, *, clock: SteadyClock, stack: Stack | None = None) -> Self:
        """Open the stack of a state folder. Raises NotStarted, PlatformError."""
        store = open_store(layout)
        try:
            return cls(layout, store, clock=clock, stack=stack)
        except BaseException:
            store.close()
            raise

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """As ``close``."""
        self.close()

    def close(self) -> None:
        """Let go of the store."""
        self._store.close()

    def _slots(self) -> Slots:
        """What stages and ends; imported when one is asked for."""
        from bluegreen.platforms.local.slots import Slots
        from bluegreen.platforms.local.supervisor import Supervisor

        return Slots(
            layout=self._layout,
            store=self._store,
            plane=self.plane,
            supervisor=Supervisor(self._layout, clock=self._clock),
            fence=self._fence,
            clock=self._clock,
            stack=self._stack,
        )

    def _want(self, name: str) -> Wanted:
        service = self._stack.service(name)
        return Wanted(service=name, replicas=service.replicas, template=template_of(service, seal=self._store.seal()))

    # --- looking --------------------------------------------------------------------------------------------------

    def preflight(self, plan: Plan, *, until: Instant) -> Sequence[Finding]:
        """As in ports.Platform."""
        from bluegreen.platforms.local.preflight import findings

        self._left(until)
        return findings(
            plan, layout=self._layout, store=self._store, stack=self._stack, plane=self.plane, clock=self._clock
        )

    def examine(self, *, until: Instant) -> Sequence[Finding]:
        """As in ports.Platform."""
        from bluegreen.platforms.local.examine import machine_findings, ordered
        from bluegreen.platforms.local.preflight import standing

        self._left(until)
        stands = standing(layout=self._layout, store=self._store, plane=self.plane, clock=self._clock)
        return ordered([*machine_findings(self._layout.state), *stands])

    def snapshot(self, *, until: Instant) -> Snapshot:
        """As in ports.Platform."""
        watch = Watch(self._layout.agent, clock=self._clock)
        try:
            return self._compose(self._pods(watch, until=until, timeout=_AGENT_LIMIT), self._counters(until))
        finally:
            watch.close()

    def routes(self, *, until: Instant) -> Sequence[Route]:
        """As in ports.Platform."""
        self._left(until)
        return tuple(_alone(self.plane.read_route(name)) for name in self._store.record().stack.names)

    def answering(self, slot: Slot, *, until: Instant) -> frozenset[str]:
        """As in ports.Platform."""
        return frozenset(work.service for work in self.snapshot(until=until).slot_workloads(slot) if work.answers)

    def changes(self, *, until: Instant, again: Callable[[], Instant | None] = never) -> Iterator[Snapshot]:
        """As in ports.Platform."""
        from bluegreen.domain.dating import dated

        watch = Watch(self._layout.agent, clock=self._clock)
        last: Snapshot | None = None
        try:
            while True:
                pods = self._pods(watch, until=until, timeout=_AGENT_LIMIT)
                now = self._seen = dated(self._compose(pods, self._counters(until)), before=self._seen)
                due = again()
                if last is None or now.differs(last) or (due is not None and due <= now.at):
                    last = now
                    yield now
                self._wait_change(watch, until)
        finally:
            watch.close()

    def _wait_change(self, watch: Watch, until: Instant) -> None:
        """Return after a moment, or sooner when the agent has news. Raises what ends a watch."""
        self._clock.raise_if_interrupted()
        if self._grip is not None:
            check(self._fence.read(), self._grip)
        now = self._clock.now()
        if now >= until:
            raise DeadlineExceeded("the limit of the wait is over")
        pause = min(_LOOK, until - now)
        if not watch.wait(timeout=pause):
            self._clock.wait(until=after(now, pause))

    def _pods(self, watch: Watch, *, until: Instant, timeout: Seconds) -> Sequence[Pod]:
        """As the agent says; without one, as the replicas themselves say."""
        left = self._left(until)
        frame = watch.newest(timeout=min(timeout, left))
        if frame is not None:
            return frame.pods
        return self._look(until)

    def _left(self, until: Instant) -> Seconds:
        left = until - self._clock.now()
        if left <= 0:
            raise DeadlineExceeded("the limit of the look is over")
        return left

    def _look(self, until: Instant) -> Sequence[Pod]:
        """Ask them all. Raises DeadlineExceeded when there was no time for it: then who said nothing says nothing."""
        record = self._store.record()
        asked = [(replica, self._readiness(record, replica)) for replica in record.replicas]
        limit = Instant(min(until, after(self._clock.now(), _LOOK_LIMIT)))
        pods = direct.look(asked, clock=self._clock, until=limit, tally=tally.read(self._layout.tally))
        self._left(until)
        return pods

    def _readiness(self, record: Record, replica: Replica) -> Probe:
        service, spec = record.stack.service(replica.service), record.spec_of(replica.slot, replica.service)
        return with_template(service, spec.template, sealed=self._store.sealed()).probed.readiness

    def _counters(self, until: Instant) -> tuple[PlaneCounters, ...] | None:
        try:
            return self.plane.counters(timeout=min(_ADMIN_LIMIT, max(0.01, until - self._clock.now())))
        except PlatformError:
            return None

    def _plane_now(self, counters: tuple[PlaneCounters, ...] | None) -> Plane:
        names = self._store.record().stack.names
        return Plane(
            routes=tuple(self.plane.read_route(name) for name in names),
            ports={(name, slot): self.plane.endpoints(name, slot) for name in names for slot in Slot},
            counters=counters,
        )

    def _compose(self, pods: Sequence[Pod], counters: tuple[PlaneCounters, ...] | None) -> Snapshot:
        return compose(
            at=self._clock.now(),
            record=self._store.record(),
            pods=_recorded(pods, self._store.record()),
            plane=self._plane_now(counters),
            wanted=self._wanted,
        )

    # --- writing --------------------------------------------------------------------------------------------------

    def stage(self, want: SlotSpec, *, grip: Grip, until: Instant) -> None:
        """As in ports.Platform."""
        self._begin_write(grip, until=until)
        self._leave(want.slot, grip=grip, until=until)
        slots, order = self._slots(), self._store.record().stack.end_order
        slots.end(want.slot, order=order, grip=grip, until=until)
        slots.put(want, grip=grip)
        slots.publish(want.slot, grip=grip)
        slots.start(want.slot, grip=grip)

    def _begin_write(self, grip: Grip, *, until: Instant) -> None:
        self._left(until)
        self._grip = grip
        check(self._fence.read(), grip)

    def _leave(self, slot: Slot, *, grip: Grip, until: Instant) -> None:
        """See to it that no user can get to the slot. Raises Held when users are on it."""
        for service in self._store.record().stack.names:
            route = self.plane.read_route(service)
            if route.slot is slot:
                raise Held(
                    f"users of {service} are on {slot}: it is not touched", mend="bluegreen status shows the routes"
                )
            if route.slot is not None and route.fallback is slot:
                with self._fence.held(grip):
                    plain = self.plane.write_route(
                        service, to=route.slot, fallback=None, fence=grip.fence, expect=route.version
                    )
                self.plane.wait_applied(service, plain.version, clock=self._clock, until=until)

    def route(self, moves: Sequence[Move], *, grip: Grip, until: Instant) -> Sequence[RouteResult]:
        """As in ports.Platform."""
        self._begin_write(grip, until=until)
        with self._clock.undisturbed():  # two writes that belong together are not torn apart
            return self._route_all(moves, grip=grip, until=until)

    def _route_all(self, moves: Sequence[Move], *, grip: Grip, until: Instant) -> Sequence[RouteResult]:
        results: list[RouteResult] = []
        for move in moves:
            try:
                results.append(self._moved(move, grip=grip, until=until))
            except LostLock:
                if not results:
                    raise
                break
            if not isinstance(results[-1], Moved):
                break
        return results

    def _moved(self, move: Move, *, grip: Grip, until: Instant) -> RouteResult:
        began = self._clock.now()
        try:
            with self._fence.held(grip):
                written = self.plane.write_route(
                    move.service, to=move.to, fallback=move.fallback, fence=move.fence, expect=move.expect
                )
            self.plane.wait_applied(move.service, written.version, clock=self._clock, until=until)
        except RouteConflict as conflict:
            return Conflict(move=move, found=_alone(conflict.found))
        except (PlatformError, DeadlineExceeded) as error:
            return Unknown(move=move, why=str(error))
        now = self._clock.now()
        return Moved(move=move, at=now, took=now - began, version=written.version)

    def protect(self, cover: Cover, *, grip: Grip, until: Instant, routes: Sequence[Route] | None = None) -> None:
        """Nobody is evicted on one machine."""

    def end(self, slot: Slot, *, order: Sequence[str], grip: Grip, until: Instant) -> EndedSlot:
        """As in ports.Platform."""
        self._begin_write(grip, until=until)
        self._leave(slot, grip=grip, until=until)
        return self._slots().end(slot, order=order, grip=grip, until=until)

    # --- asking ---------------------------------------------------------------------------------------------------

    def check(self, checks: Sequence[Check], *, until: Instant) -> Sequence[CheckResult]:
        """As in ports.Platform."""
        from bluegreen.platforms.local.checks import run

        requests = [request for check in checks for request in self._requests(check)]
        self._left(until)
        return run(requests, clock=self._clock, until=until)

    def _requests(self, check: Check) -> Sequence[Request]:
        from bluegreen.platforms.local.checks import Request

        record, service, slot = self._store.record(), check.check.service, check.slot
        front = record.front(service)
        match check.through:
            case Through.ENTRY:
                return [Request(check=check, whom=f"{service} for users", address=_at(front.public_port))]
            case Through.PREVIEW:
                port = dict(front.preview_ports)[slot]
                return [Request(check=check, whom=f"{service} in {slot}", address=_at(port))]
            case Through.PODS:
                replicas = record.of_slot(slot, service)
                found = [Request(check=check, whom=replica.program, address=_at(replica.port)) for replica in replicas]
                nobody = Request(check=check, whom=f"{service} in {slot}", address="", why="it has no replica")
                return found or [nobody]

    def diagnose(self, cause: Cause, *, until: Instant) -> Diagnosis:
        """As in ports.Platform."""
        from bluegreen.domain.excerpt import shown_lines
        from bluegreen.platforms.local import logs

        self._left(until)
        program = cause.pod.partition("@")[0]
        if not program:
            return Diagnosis(where=str(self._layout.logs))
        path = self._layout.log(program)
        return Diagnosis(log=shown_lines(logs.last_words(path, count=_LOG_LINES)), where=str(path))


def _alone(found: PlaneRoute) -> Route:
    """The route without what is behind it."""
    return route_of(found, pods=(), plane=Plane(routes=(), ports={}, counters=None))


def _at(port: int) -> str:
    return f"{ADDRESS}:{port}"


def _recorded(pods: Sequence[Pod], record: Record) -> Sequence[Pod]:
    """The pods that are on record: the agent may be a moment behind."""
    names = {replica.pod for replica in record.replicas}
    return tuple(pod for pod in pods if pod.name in names)
