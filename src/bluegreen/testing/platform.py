"""A platform in memory and virtual time: pods by arithmetic, users as a steady rate, faults at exact calls.

Each behaviour and each fault says which real one gives the same answer; the contract suite (tests/contract) holds the
fake and the real platform to it.
"""

from __future__ import annotations

from collections import Counter
from copy import copy
from itertools import count
from typing import TYPE_CHECKING

from bluegreen.domain.checks import Answer
from bluegreen.domain.checks import fault as fault_of
from bluegreen.domain.dating import anew, dated
from bluegreen.domain.errors import DeadlineExceeded, Held, LostLock, PlatformError, Unseen
from bluegreen.domain.plan import WorkloadSpec
from bluegreen.domain.reading import Arrivals, Gap, Histogram, Part, PodCounters, Reading, Timing
from bluegreen.domain.routing import Conflict, Move, Moved, RouteResult, Unknown
from bluegreen.domain.snapshot import (
    Endpoint,
    Pod,
    Route,
    Running,
    Snapshot,
    Template,
    Wanted,
    Windows,
    Workload,
)
from bluegreen.domain.stack import Instant, Seconds, Slot, Stack, after
from bluegreen.domain.values import dataclass, field, replace
from bluegreen.ports import CheckResult, Diagnosis, EndedSlot, Finding, Severity, Through, never
from bluegreen.testing.behaviour import Behaviour, life_at

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.cause import Cause
    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.plan import Plan, SlotSpec
    from bluegreen.ports import Check, Cover, Grip
    from bluegreen.testing.behaviour import Life
    from bluegreen.testing.clock import FakeClock
    from bluegreen.testing.store import LockState

ABSENT = "the metrics have no requests_total"
END_TIME: Seconds = 0.5
DATA_PLANE_LAG: Seconds = 0.002
"""Envoy applies a route in 2 ms at the median (measured)."""


@dataclass(slots=True, kw_only=True)
class Fault:
    """Something that goes wrong at the ``nth`` call (from 1) of a method, before or after it took effect.

    An ``action`` that raises PlatformError is a connection that was refused (Envoy's admin socket after a SIGKILL, an
    API server that restarts); with ``after``, the write was done and only its answer was lost (a connection reset
    between the two). Real platforms answer Unknown to those in ``route`` and raise them elsewhere; so does the fake.
    An ``action`` may as well do what somebody else does at that instant.
    """

    call: str
    nth: int = 1
    action: Callable[[], None]
    after: bool = False
    seen: int = 0


@dataclass(slots=True)
class _Staged:
    spec: WorkloadSpec
    revision: str
    at: Instant
    bits: str
    leaving: bool = False
    """Out of the data plane already, its pods still ready: what is ended leaves in this order."""
    ended: bool = False


@dataclass(slots=True)
class _Traffic:
    rate: float
    counted: dict[tuple[str, Slot, str], float] = field(default_factory=dict)
    upto: float = 0.0


class FakePlatform:
    """ports.Platform and ports.Metrics. ``rate``: requests a second that users send to each service."""

    entry_answers: bool = True
    """False: the entry address is not reachable from here, as a ClusterIP is not from a CI runner."""
    plane_counts: bool = True
    """False: the data plane does not count requests, as a Kubernetes Service does not."""
    reads_are_requests: bool = False
    """True: pods count the reads of their metrics among their requests."""
    watch_is_late: bool = False
    """True: the first snapshot of a watch after a write to a route is from before it, as that of an API server's
    watch may be under load."""
    logs_are_there: str = ""
    """For how long more of a log can be seen, as a clause: a pod's goes with it. Empty: for good."""
    unseen: tuple[float, float] | None = None
    """From when until when a watch sees nothing, as while an API server is away: nothing is told then, and nothing
    grows older."""
    lock_is_late: bool = False
    """True: a watch does not tell that the lock was lost, as that of an API server may tell of the routes first."""
    post_share: float = 0.0
    """How many of users' requests are POST; 0: the counters do not tell methods apart."""
    missing_right: str = ""
    """What checks of pods need and the account lacks; empty: it has all rights."""

    def __init__(
        self,
        stack: Stack,
        *,
        clock: FakeClock,
        lock: LockState,
        images: Sequence[tuple[str, ImageReference]],
        rate: float = 100.0,
    ) -> None:
        """Both slots run ``images`` (service, reference) and are ready; blue serves."""
        self.stack = stack
        self.clock = clock
        self.faults: list[Fault] = []
        self.on_call: Callable[[str], None] = lambda _name: None
        """Called at the start of every call and after every write: a test that counts can stop the run anywhere."""
        self.behaviours: dict[str, Behaviour] = {}
        """By tag."""
        self.covers: list[Cover] = []
        self.calls: list[str] = []
        self.no_entry: set[str] = set()
        """Services without an address of their own that users call."""
        self.no_preview: set[str] = set()
        """Services whose slots have no address of their own, as a Kubernetes Service may have none for each slot."""
        self.settings: dict[str, Template] = {}
        self.builds: dict[str, int] = {}
        """By tag: which build it names now; pods that were staged earlier run the build of their time (a moved tag)."""
        self._lock = lock
        self._seen: Snapshot | None = None
        self._old_routes: tuple[Route, ...] = ()
        """From before the last writes, until a late watch has shown them."""
        self._grip: Grip | None = None
        self._writes = count(1)
        self._asked: dict[tuple[str, str], int] = {}
        """How often each place was asked each check."""
        self._turns: Counter[str] = Counter()
        """How often each pod's counters were read."""
        self._traffic = _Traffic(rate=rate)
        self._routes = {name: Route(service=name, slot=Slot.BLUE, version="0") for name in stack.names}
        self._staged: dict[tuple[str, Slot], _Staged] = {}
        for slot in Slot:
            for name, image in images:
                self._put(slot, self._first_spec(name, image), revision="day-0", at=Instant(-1000.0))

    def _first_spec(self, service: str, image: ImageReference) -> WorkloadSpec:
        return WorkloadSpec(
            service=service, image=image, replicas=self.stack.service(service).replicas, template=Template()
        )

    def _put(self, slot: Slot, spec: WorkloadSpec, *, revision: str, at: Instant) -> None:
        bits = f"{spec.image}#{self.builds.get(spec.image.tag, 0)}"
        self._staged[spec.service, slot] = _Staged(spec, revision, at, bits)

    def users(self, service: str, *, requests: int) -> None:
        """Let users make so many requests of the service now, besides the steady rate."""
        slot = self._answering(self._routes[service])
        if slot is not None:
            self._book(service, slot, float(requests))

    def session(self) -> FakePlatform:
        """The same platform as another process has it: with a grip of its own."""
        other = copy(self)
        other._grip = None
        return other

    # What a person does by hand.

    def patch_by_hand(self, service: str, slot: Slot, *, who: str = "kubectl") -> None:
        """What ``kubectl patch svc`` does: a new version, and the fence annotation stays as the last run left it."""
        self._settle_traffic()
        found = self._routes[service]
        self._routes[service] = replace(
            found, slot=slot, version=str(next(self._writes)), fallback=None, changed_by=who
        )

    # The port.

    def preflight(self, plan: Plan, *, until: Instant) -> Sequence[Finding]:
        """Refuse an image that does not exist."""
        self._call("preflight", until)
        return [
            Finding(severity=Severity.REFUSE, text=f"image {spec.image} does not exist", mend="build it")
            for spec in plan.want.workloads
            if self._behaviour(spec.image).missing
        ]

    def examine(self, *, until: Instant) -> Sequence[Finding]:
        """Nothing speaks against a release here."""
        self._call("examine", until)
        return ()

    def snapshot(self, *, until: Instant) -> Snapshot:
        """The stack now."""
        self._call("snapshot", until)
        return self._snapshot()

    def routes(self, *, until: Instant) -> Sequence[Route]:
        """The snapshot's."""
        self._call("routes", until)
        return tuple(self._routes.values())

    def answering(self, slot: Slot, *, until: Instant) -> frozenset[str]:
        """As the snapshot has it."""
        self._call("answering", until)
        return frozenset(work.service for work in self._snapshot().slot_workloads(slot) if work.answers)

    def changes(self, *, until: Instant, again: Callable[[], Instant | None] = never) -> Iterator[Snapshot]:
        """The stack now, and at each change: of a pod, or by anybody else; and when its reader wants to look again."""
        self._call("changes", until)
        if self.watch_is_late and self._old_routes:
            old, self._old_routes = self._old_routes, ()
            yield replace(self._checked_snapshot(), routes=old)
        last: Snapshot | None = None
        while True:
            self._wait_sight(until)
            now = self._seen = dated(self._checked_snapshot(), before=self._seen)
            due = again()
            if last is None or now.differs(last) or (due is not None and due <= now.at):
                last = now
                yield now
            else:
                self._wait_change(until, due)

    def _wait_sight(self, until: Instant) -> None:
        """Where nothing can be seen now, go to when it can. Raises Unseen."""
        if self.unseen is None or not self.unseen[0] <= self.clock.now() < self.unseen[1]:
            return
        self.clock.wait(until=min(until, Instant(self.unseen[1])))
        if self.clock.now() >= until:
            raise Unseen("the platform could not be watched: it is away")
        self._seen = anew(self._seen, at=self.clock.now()) if self._seen is not None else None

    def _wait_change(self, until: Instant, due: Instant | None) -> None:
        """Go to the next instant at which something may change, or that is due. Raises what ends a watch."""
        dues = [each for each in (self._next_change(), due) if each is not None]
        self.clock.wait(until=min([*dues, until]))
        if self.clock.now() >= until:
            self._check_grip()
            raise DeadlineExceeded("nothing more changed until the deadline")

    def stage(self, want: SlotSpec, *, grip: Grip, until: Instant) -> None:
        """Replace the slot's pods."""
        with _Around(self, "stage", until, grip):
            self._leave(want.slot)
            for spec in want.workloads:
                self._put(want.slot, spec, revision=want.revision, at=self.clock.now())

    def _leave(self, slot: Slot) -> None:
        """No user may get to the slot. As the real one, raise Held when users are on it, and end the fallback to it."""
        for route in self._routes.values():
            if route.slot is slot:
                raise Held(f"users of {route.service} are on {slot}: it is not touched")
        for name, route in self._routes.items():
            if route.fallback is slot:
                self._routes[name] = replace(route, fallback=None, version=str(next(self._writes)))

    def route(self, moves: Sequence[Move], *, grip: Grip, until: Instant) -> Sequence[RouteResult]:
        """Compare and swap, in order, until one fails."""
        self._in_time("route", until)
        self._old_routes = tuple(self._routes.values())
        if not moves:
            with _Around(self, "route", until, grip):
                return ()
        with self.clock.undisturbed():
            return self._route_all(moves, grip=grip, until=until)

    def _route_all(self, moves: Sequence[Move], *, grip: Grip, until: Instant) -> Sequence[RouteResult]:
        results: list[RouteResult] = []
        for move in moves:
            try:
                results.append(self._route_one(move, grip=grip, until=until))
            except LostLock:
                if not results:
                    raise
                break
            if not isinstance(results[-1], Moved):
                break
        return tuple(results)

    def _route_one(self, move: Move, *, grip: Grip, until: Instant) -> RouteResult:
        try:
            with _Around(self, "route", until, grip):
                found = self._routes[move.service]
                if found.version != move.expect:
                    return Conflict(move=move, found=found)
                self._write_route(move)
        except (PlatformError, DeadlineExceeded) as error:
            return Unknown(move=move, why=str(error))
        self.clock.wait(until=after(self.clock.now(), DATA_PLANE_LAG))
        route = self._routes[move.service]
        return Moved(move=move, at=self.clock.now(), took=DATA_PLANE_LAG, version=route.version)

    def _write_route(self, move: Move) -> None:
        self._settle_traffic()
        self._routes[move.service] = Route(
            service=move.service,
            slot=move.to,
            version=str(next(self._writes)),
            fence=move.fence,
            fallback=move.fallback,
            changed_by="bluegreen",
        )

    def protect(
        self,
        cover: Cover,
        *,
        grip: Grip,
        until: Instant,
        routes: Sequence[Route] | None = None,  # noqa: ARG002 - the budgets are not looked at
    ) -> None:
        """Remember what was asked for."""
        with _Around(self, "protect", until, grip):
            self.covers.append(cover)

    def check(self, checks: Sequence[Check], *, until: Instant) -> Sequence[CheckResult]:
        """Answer by the image's behaviour; entry addresses answer from the routed slot."""
        self._call("check", until)
        return tuple(result for check in checks for result in self._check_one(check))

    def _check_one(self, check: Check) -> Sequence[CheckResult]:
        if self.missing_right and check.through is not Through.ENTRY:
            return [replace(_not_reached(check, "the account may not"), missing_right=self.missing_right)]
        if check.through is Through.PODS:
            pods = self._pods(check.check.service, check.slot)
            return [self._ask_pod(check, pod) for pod in pods] or [_not_reached(check, "it has no replica")]
        if check.through is Through.PREVIEW and check.check.service in self.no_preview:
            return [replace(_not_reached(check, "the slot has no address of its own"), absent=True)]
        if check.through is Through.PREVIEW:
            if not self.plane_counts:
                self._book(check.check.service, check.slot, 1.0)  # its pods can tell it from a user's as little
            return [self._ask_address(check, check.slot)]
        if not self.entry_answers or check.check.service in self.no_entry:
            return [_not_reached(check, "it has no address here")]
        slot = self._routes[check.check.service].slot
        if slot is not None:
            self._book(check.check.service, slot, 1.0)  # nobody can tell it from a user's
        return [self._ask_address(check, slot)]

    def _ask_pod(self, check: Check, pod: Pod) -> CheckResult:
        """Directly; so nobody but the pod itself says which slot it is of."""
        if not _runs(pod):
            return _not_reached(check, f"{pod.name}: connection refused")
        return self._answered(check, pod.service, pod.slot, by=None, whom=pod.name)

    def _ask_address(self, check: Check, slot: Slot | None) -> CheckResult:
        """Through the data plane, which answers 503 by itself for a slot without a ready pod."""
        ready = slot is not None and any(pod.ready for pod in self._pods(check.check.service, slot))
        if slot is None or not ready:
            nobody = Answer(status=503, headers=(), body="", took=0.0)
            return _answer(check, nobody, by=None, whom=check.check.service)
        return self._answered(check, check.check.service, slot, by=slot, whom=f"{check.check.service} in {slot}")

    def _answered(self, check: Check, service: str, slot: Slot, *, by: Slot | None, whom: str) -> CheckResult:
        """By the behaviour of the image; each check that a place gets is counted."""
        how = self._behaviour(self._staged[service, slot].spec.image)
        if how.answer_after > check.check.timeout:
            return _not_reached(check, f"{whom}: no answer within {check.check.timeout:g} s")
        before = self._asked.get((whom, check.check.name), 0)
        self._asked[whom, check.check.name] = before + 1
        age = self.clock.now() - self._staged[service, slot].at
        good = how.checks_pass and before >= how.bad_answers and (how.bad_after is None or age < how.bad_after)
        body = check.check.body if check.check.method == "POST" else how.answer
        answer = Answer(status=200 if good else 503, headers=how.headers, body=body, took=how.answer_after)
        return _answer(check, answer, by=by, whom=whom)

    def diagnose(self, cause: Cause, *, until: Instant) -> Diagnosis:
        """A log of one line."""
        self._call("diagnose", until)
        log = (f"the last line of {cause.pod or cause.service}",)
        return Diagnosis(log=log, where="memory", while_there=self.logs_are_there)

    def end(self, slot: Slot, *, order: Sequence[str], grip: Grip, until: Instant) -> EndedSlot:
        """End one service after the other; one that was gone already is none of them."""
        gone = []
        for service in order:
            with _Around(self, "end", until, grip):
                self._leave(slot)
                staged = self._staged[service, slot]
                if not staged.ended:
                    staged.leaving = True
                    self.clock.wait(until=after(self.clock.now(), END_TIME))
                    staged.ended = True
                    gone.append(service)
        return EndedSlot(services=tuple(gone))

    # ports.Metrics.

    def read(self, snapshot: Snapshot, *, until: Instant) -> Reading:
        """Counters by arithmetic: the rate times the time in which each slot was routed, split over its pods."""
        self._call("read", until)
        self._settle_traffic()
        metered = {service.name for service in self.stack.services if service.metrics is not None}
        pods = [pod for work in snapshot.workloads if work.service in metered for pod in work.pods]
        silent = {pod.name: why for pod in pods if (why := self._silence(pod))}
        counted = tuple(self._counters(pod) for pod in pods if pod.name not in silent)
        if self.reads_are_requests:
            for pod in pods:
                self._book(pod.service, pod.slot, 1.0)
        return Reading(
            at=self.clock.now(),
            pods=counted,
            gaps=tuple(_gap(pod, silent[pod.name]) for pod in pods if pod.name in silent),
            arrivals=tuple(self._arrivals(name, slot) for name in self.stack.names for slot in Slot)
            if self.plane_counts
            else (),
        )

    def foresee(self, snapshot: Snapshot, *, until: Instant) -> Sequence[Finding]:  # noqa: ARG002 - the port's
        """Nothing."""
        return ()

    def _arrivals(self, service: str, slot: Slot) -> Arrivals:
        counted = self._traffic.counted
        requests = sum(number for (name, where, _), number in counted.items() if (name, where) == (service, slot))
        return Arrivals(service=service, slot=slot, requests=int(requests))

    def _silence(self, pod: Pod) -> str:
        """Why the pod's metrics page cannot be read; empty: it can."""
        if not _runs(pod):
            return "GET /metrics failed: connection refused"
        staged = self._staged[pod.service, pod.slot]
        how = self._behaviour(staged.spec.image)
        if how.no_metrics:
            return "GET /metrics answered 404"
        if how.metrics_until is not None and self.clock.now() - staged.at >= how.metrics_until:
            return ABSENT
        if how.late_counters and not self._counted(pod, staged, how):
            return ABSENT
        return ""

    def _counters(self, pod: Pod) -> PodCounters:
        staged = self._staged[pod.service, pod.slot]
        how = self._behaviour(staged.spec.image)
        worker = self._turns[pod.name] % how.workers if how.workers else 0
        self._turns[pod.name] += 1
        mine = self._counted(pod, staged, how) >> (worker + 1 if how.workers else 0)
        slow = int(mine * how.slow)
        buckets = ((100.0, mine - slow), (150.0, mine - slow), (float("inf"), mine))
        parts = self._by_method(mine, how)
        errors = sum(count for part in parts for status, count in part.answers if status == 500)
        return PodCounters(
            pod=pod.name,
            service=pod.service,
            slot=pod.slot,
            answers=((200, mine - errors), (500, errors)),
            parts=parts if self.post_share else (),
            latency=Histogram(timing=Timing.OVERHEAD, buckets=buckets),
            process=staged.at + worker / 50 if how.workers else None,
        )

    def _counted(self, pod: Pod, staged: _Staged, how: Behaviour) -> int:
        """What the pod has counted since its counters began."""
        if how.deaf:
            return 0
        mine = self._traffic.counted.get((pod.service, pod.slot, staged.revision), 0.0)
        age = self.clock.now() - staged.at
        if how.counters_last is not None and age >= how.counters_last:
            mine = min(mine, age % how.counters_last * self._traffic.rate)
        return int(mine / staged.spec.replicas)

    def _by_method(self, mine: int, how: Behaviour) -> tuple[Part, ...]:
        posts = int(mine * self.post_share)
        bad_posts = int(posts * (1 - (1 - how.errors) * (1 - how.post_errors)))
        bad_gets = int((mine - posts) * how.errors)
        return (
            Part(name="GET", answers=((200, mine - posts - bad_gets), (500, bad_gets))),
            Part(name="POST", answers=((200, posts - bad_posts), (500, bad_posts))),
        )

    # The arithmetic.

    def _settle_traffic(self) -> None:
        """Book the users' requests since the last time to the slots that were routed."""
        now = self.clock.now()
        passed = now - self._traffic.upto
        for name, route in self._routes.items():
            slot = self._answering(route)
            if slot is not None:
                self._book(name, slot, passed * self._traffic.rate)
        self._traffic.upto = now

    def _book(self, service: str, slot: Slot, requests: float) -> None:
        key = (service, slot, self._staged[service, slot].revision)
        self._traffic.counted[key] = self._traffic.counted.get(key, 0.0) + requests

    def _answering(self, route: Route) -> Slot | None:
        for slot in (route.slot, route.fallback):
            if slot is not None and any(pod.ready for pod in self._pods(route.service, slot)):
                return slot
        return route.slot

    def _snapshot(self) -> Snapshot:
        self._settle_traffic()
        return Snapshot(
            at=self.clock.now(),
            routes=tuple(self._with_endpoints(route) for route in self._routes.values()),
            workloads=tuple(self._workload(name, slot) for slot in Slot for name in self.stack.names),
            wanted=tuple(
                Wanted(
                    service=service.name,
                    replicas=service.replicas,
                    template=self.settings.get(service.name, Template()),
                )
                for service in self.stack.services
            ),
        )

    def _checked_snapshot(self) -> Snapshot:
        if not self.lock_is_late:
            self._check_grip()
        return self._snapshot()

    def _check_grip(self) -> None:
        if self._grip is not None:
            self._lock.check(self._grip)

    def _with_endpoints(self, route: Route) -> Route:
        pods = self._pods(route.service, route.slot) if route.slot is not None else ()
        ends = tuple(Endpoint(pod=pod.name, slot=pod.slot, ready=pod.ready) for pod in pods)
        return replace(route, endpoints=ends)

    def _workload(self, service: str, slot: Slot) -> Workload:
        staged = self._staged[service, slot]
        pods = self._pods(service, slot)
        return Workload(
            service=service,
            slot=slot,
            image=staged.spec.image,
            replicas=0 if staged.ended else staged.spec.replicas,
            revision=staged.revision,
            template=staged.spec.template,
            pods=pods,
            reachable=0 if staged.leaving else sum(pod.ready for pod in pods),
            image_ids=frozenset({staged.bits} if pods else ()),
            needs=tuple(need.service for need in self.stack.service(service).needs),
        )

    def _pods(self, service: str, slot: Slot) -> tuple[Pod, ...]:
        staged = self._staged[service, slot]
        if staged.ended:
            return ()
        life, how = self._life(staged), self._behaviour(staged.spec.image)
        windows = Windows.of(self.stack.service(service).probed)
        return tuple(
            Pod(
                name=f"{service}-{slot}-{number}@{staged.revision}",
                service=service,
                slot=slot,
                revision=staged.revision,
                ready=life.ready and not how.unplaced,
                containers=() if how.unplaced else (replace(life.container, windows=windows),),
                unplaced=how.unplaced,
            )
            for number in range(staged.spec.replicas)
        )

    def _life(self, staged: _Staged) -> Life:
        age = round(self.clock.now() - staged.at, 6)  # else a change that is due now is missed by a rounding error
        return life_at(self._behaviour(staged.spec.image), age)

    def _behaviour(self, image: ImageReference) -> Behaviour:
        return self.behaviours.get(image.tag, Behaviour())

    def _next_change(self) -> Instant | None:
        dues = [self.clock.next_due()]
        for staged in self._staged.values():
            change = self._life(staged).next_change if not staged.ended else None
            dues.append(after(staged.at, change) if change is not None else None)
        known = [due for due in dues if due is not None and due > self.clock.now()]
        return min(known, default=None)

    def _call(self, name: str, until: Instant) -> None:
        """Let the faults of this call act. Raises DeadlineExceeded when it is too late already."""
        self.calls.append(name)
        self.on_call(name)
        self._fire(name, late=False)
        self._in_time(name, until)

    def _in_time(self, name: str, until: Instant) -> None:
        if self.clock.now() > until:
            raise DeadlineExceeded(f"{name}: the deadline has passed")

    def _fire(self, name: str, *, late: bool) -> None:
        for fault in self.faults:
            if fault.call == name and fault.after is late:
                fault.seen += 1
                if fault.seen == fault.nth:
                    fault.action()


class _Around:
    """One write: faults before it, the fence, the write, faults after it (an answer that is lost)."""

    def __init__(self, platform: FakePlatform, name: str, until: Instant, grip: Grip) -> None:
        self._platform, self._name, self._until, self._grip = platform, name, until, grip

    def __enter__(self) -> None:
        self._platform._call(self._name, self._until)
        self._platform._grip = self._grip
        self._platform._lock.check(self._grip)

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._platform.on_call(self._name)
            self._platform._fire(self._name, late=True)


def _gap(pod: Pod, why: str) -> Gap:
    return Gap(pod=pod.name, slot=pod.slot, why=why, absent=why == ABSENT)


def _runs(pod: Pod) -> bool:
    return all(isinstance(container.state, Running) for container in pod.containers)


def _answer(check: Check, answer: Answer, *, by: Slot | None, whom: str) -> CheckResult:
    """As the domain judges it."""
    wrong = fault_of(check.check, answer)
    detail = f"{whom}: {wrong or f'answered {answer.status}'}"
    return CheckResult(check=check, passed=not wrong, detail=detail, answered_by=by)


def _not_reached(check: Check, why: str) -> CheckResult:
    return CheckResult(check=check, passed=None, detail=f"not reachable: {why}")
