"""ports.Platform on Kubernetes: native Services, Deployments and disruption budgets, no controller of our own.

Imported by ``rollback``, so what only a stage, a check or a watch needs is imported where it is used. Every write to a
Service carries the version that was judged; the lock is read before the first write of each call.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from bluegreen.domain.errors import DeadlineExceeded, Held, PlatformError
from bluegreen.domain.routing import Conflict, Moved, Unknown
from bluegreen.domain.stack import after
from bluegreen.platforms.kubernetes import errors, names
from bluegreen.platforms.kubernetes.lock import check as check_lock
from bluegreen.platforms.kubernetes.lock import lost
from bluegreen.platforms.kubernetes.looking import Sight
from bluegreen.platforms.kubernetes.objects import service_of
from bluegreen.platforms.kubernetes.resources import SERVICES
from bluegreen.platforms.kubernetes.route import route_of
from bluegreen.ports import Cover, never

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.cause import Cause
    from bluegreen.domain.plan import Plan, SlotSpec, WorkloadSpec
    from bluegreen.domain.routing import Move, RouteResult
    from bluegreen.domain.snapshot import Pod, Route, Snapshot
    from bluegreen.domain.stack import Instant, Marks, Seconds, Slot, Stack
    from bluegreen.platforms.kubernetes.ages import Ages
    from bluegreen.platforms.kubernetes.asking import Asking
    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.looking import Watching
    from bluegreen.platforms.kubernetes.scalers import Scalers
    from bluegreen.platforms.kubernetes.slots import Slots
    from bluegreen.platforms.kubernetes.transport import Api
    from bluegreen.ports import Check, CheckResult, Diagnosis, EndedSlot, Finding, Grip, LogTail, SteadyClock


_LOGS: Seconds = 30.0
"""For the logs of all pods."""

_SOON: Seconds = 2.0
"""For a question that a healthy API server answers at once."""


class KubernetesPlatform:
    """One stack in one namespace. Close it."""

    def __init__(
        self,
        cluster: Cluster,
        *,
        api: Api,
        stack: Stack,
        namespace: str,
        clock: SteadyClock,
        direct: bool = False,
        plans: bool = False,
        just_taken: Callable[[Grip], bool] | None = None,
        doubts: tuple[Finding, ...] = (),
    ) -> None:
        """``api`` is this thread's, made with the same clock. ``direct``: pods are reached by their own addresses.

        ``plans``: its snapshots are made plans of, so they say what a stage would write. ``just_taken``: the lock's.
        ``doubts``: what could not be told of the stack's objects, or was found with them.
        """
        self._cluster = cluster
        self._api = api
        self._stack = stack
        self._namespace = namespace
        self._clock = clock
        self._direct = direct
        self._plans = plans
        self._just_taken = just_taken
        self._doubts_of_names = doubts
        self._sight = Sight(api, stack=stack, namespace=namespace)
        self._grip: Grip | None = None
        self._ages: Ages | None = None
        """Of all watches: the newest snapshot dates the next."""
        self._watching: Watching | None = None
        self._asking: Asking | None = None

    def __enter__(self) -> Self:
        """Close it at the end of the block."""
        return self

    def __exit__(self, *exc: object) -> None:
        """As ``close``."""
        self.close()

    def close(self) -> None:
        """End what runs in threads."""
        if self._watching is not None:
            self._watching.close()
        if self._asking is not None:
            self._asking.close()

    # --- looking --------------------------------------------------------------------------------------------------

    def _look(self, until: Instant) -> Live:
        return self._sight.look_ahead(until=until) if self._plans else self._sight.look(until=until)

    def _compose(self, live: Live) -> Snapshot:
        from bluegreen.platforms.kubernetes.picture import compose

        return compose(live, stack=self._stack, at=self._clock.now())

    def _left(self, until: Instant) -> None:
        if self._clock.now() >= until:
            raise DeadlineExceeded("the limit of the call is over")

    def preflight(self, plan: Plan, *, until: Instant) -> Sequence[Finding]:
        """As in ports.Platform."""
        from bluegreen.platforms.kubernetes.preflight import findings

        self._left(until)
        live, slots = self._sight.look_ahead(until=until), self._slots()

        def rehearse(spec: WorkloadSpec) -> None:
            slots.rehearse(spec, plan.target, release=plan.want.revision, live=live, until=until)

        found = findings(
            plan,
            live=live,
            api=self._api,
            namespace=self._namespace,
            stack=self._stack,
            clock=self._clock,
            until=until,
            rehearse=rehearse,
            direct=self._direct,
        )
        return (*found, *self._doubts_of_names)

    def examine(self, *, until: Instant) -> Sequence[Finding]:
        """As in ports.Platform."""
        from bluegreen.platforms.kubernetes.examine import examine

        self._left(until)
        return examine(
            self._stack,
            look=lambda: self._sight.look_ahead(until=until),
            doubts=self._doubts_of_names,
            api=self._api,
            namespace=self._namespace,
            until=until,
        )

    def snapshot(self, *, until: Instant) -> Snapshot:
        """As in ports.Platform. What plans are made of raises UsageError for Services that cannot be switched."""
        live = self._look(until)
        if self._plans:
            self._require_switchable(live)
        return self._compose(live)

    def _require_switchable(self, live: Live) -> None:
        from bluegreen.platforms.kubernetes.examine import idle_of
        from bluegreen.platforms.kubernetes.fitness import Place
        from bluegreen.platforms.kubernetes.service_rules import require_switchable

        target = idle_of(live, self._stack)
        require_switchable(Place(stack=self._stack, live=live, target=target, namespace=self._namespace))

    def uid(self, service: str) -> str:
        """Of the Service of that name, as it was seen last; empty: it was not."""
        return self._sight.uid(service)

    def routes(self, *, until: Instant) -> Sequence[Route]:
        """As in ports.Platform."""
        return tuple(map(route_of, self._sight.routes(until=until), names.marks_of_all(self._stack)))

    def answering(self, slot: Slot, *, until: Instant) -> frozenset[str]:
        """As in ports.Platform.

        A slot's own Service selects the very pods that the users' Service will, so its slices know who will answer.
        """
        ready = self._sight.ready_behind_slot(slot, until=until)
        if ready is None:
            work = self.snapshot(until=until).slot_workloads(slot)
            return frozenset(each.service for each in work if each.answers)
        return frozenset(service for service, count in ready.items() if count)

    def changes(self, *, until: Instant, again: Callable[[], Instant | None] = never) -> Iterator[Snapshot]:
        """As in ports.Platform."""
        last: Snapshot | None = None
        for live in self._lives(until, again=again):
            blind = self._watch().trouble is not None
            now, due = self._dates().date(self._compose(live), blind=blind), again()
            if last is None or now.differs(last) or (due is not None and due <= now.at and not blind):
                last = now
                yield now

    def _dates(self) -> Ages:
        if self._ages is None:
            from bluegreen.platforms.kubernetes.ages import Ages

            self._ages = Ages()
        return self._ages

    def _lives(self, until: Instant, *, again: Callable[[], Instant | None] = never) -> Iterator[Live]:
        """The objects now, then again at each news, and when the reader wants to. Raises what ends a watch."""
        watching = self._watch()
        while True:
            live = watching.live(until=until)
            self._heed_lock(watching)
            self._left(until)
            yield live
            self._wait(watching, until, due=again())

    def _wait(self, watching: Watching, until: Instant, *, due: Instant | None) -> None:
        """Return at the next news, or when it is due and can be looked at. Raises what ends a watch."""
        soon = until if due is None or watching.trouble is not None else min(until, due)
        try:
            watching.wait(until=soon)
        except DeadlineExceeded:
            if soon >= until:
                raise

    def _watch(self) -> Watching:
        if self._watching is None:
            from bluegreen.platforms.kubernetes.looking import Watching

            self._watching = Watching(
                self._cluster, stack=self._stack, namespace=self._namespace, clock=self._clock, sight=self._sight
            )
        return self._watching

    def _heed_lock(self, watching: Watching) -> None:
        taken = lost(watching.lease(), self._grip) if self._grip is not None else None
        if taken is not None:
            # The watch may be older than the grip: only the API server itself can say so.
            self._check_lock(self._grip, until=after(self._clock.now(), _SOON))

    def _check_lock(self, grip: Grip | None, *, until: Instant) -> None:
        if grip is not None:
            check_lock(self._api, grip, stack=self._stack, namespace=self._namespace, until=until)

    def _wait_for(self, done: Callable[[Live], bool], *, grip: Grip, until: Instant) -> None:
        """As in slots.WaitFor."""
        self._grip = grip
        for live in self._lives(until):
            if done(live):
                return

    # --- writing --------------------------------------------------------------------------------------------------

    def _begin_write(self, grip: Grip, *, until: Instant) -> None:
        self._left(until)
        self._grip = grip
        self._check_lock(grip, until=until)

    def route(self, moves: Sequence[Move], *, grip: Grip, until: Instant) -> Sequence[RouteResult]:
        """As in ports.Platform."""
        self._left(until)
        self._grip = grip
        if self._just_taken is None or not self._just_taken(grip):
            self._check_lock(grip, until=until)
        results: list[RouteResult] = []
        with self._clock.undisturbed():  # two writes that belong together are not torn apart
            for move in moves:
                results.append(self._moved(move, until=until))
                if not isinstance(results[-1], Moved):
                    break
        return results

    def _moved(self, move: Move, *, until: Instant) -> RouteResult:
        began = self._clock.now()
        try:
            version = self._write_route(move, until=until)
        except errors.Conflict:
            return self._settled(move, began, until=until)
        except (PlatformError, DeadlineExceeded) as error:
            return Unknown(move=move, why=str(error))
        return self._done(move, began, version=version)

    def _write_route(self, move: Move, *, until: Instant) -> str:
        marks = self._marks_of(move.service)
        body = {
            "metadata": {"resourceVersion": move.expect, "annotations": {names.FENCE: move.fence}},
            # Both: where the pipeline owns the selector, the first write finds none, and a slot alone is all services.
            "spec": {"selector": marks.selector(move.to)},
        }
        path = SERVICES.one(self._namespace, marks.users)
        return service_of(self._api.merge_patch(path, body, until=until)).meta.version

    def _marks_of(self, service: str) -> Marks:
        return names.marks_of(self._stack.service(service))

    def _settled(self, move: Move, began: Instant, *, until: Instant) -> RouteResult:
        """A refused write may be our own first try whose answer was lost: the fence tells."""
        marks = self._marks_of(move.service)
        try:
            path = SERVICES.one(self._namespace, marks.users)
            found = route_of(service_of(self._api.get(path, until=until)), marks)
        except (PlatformError, DeadlineExceeded) as error:
            return Unknown(move=move, why=str(error))
        if (found.fence, found.slot) == (move.fence, move.to):
            return self._done(move, began, version=found.version)
        return Conflict(move=move, found=found)

    def _done(self, move: Move, began: Instant, *, version: str) -> Moved:
        now = self._clock.now()
        return Moved(move=move, at=now, took=now - began, version=version)

    def protect(self, cover: Cover, *, grip: Grip, until: Instant, routes: Sequence[Route] | None = None) -> None:
        """As in ports.Platform."""
        from bluegreen.platforms.kubernetes.budgets import cover_with

        if routes is None:
            self._begin_write(grip, until=until)
            routes = self.routes(until=until)
        for route in routes:
            marks = self._marks_of(route.service)
            cover_with(self._api, marks, cover=cover, active=route.slot, namespace=self._namespace, until=until)
        if cover is Cover.ACTIVE:
            self._scalers().let_go(until=until)

    def stage(self, want: SlotSpec, *, grip: Grip, until: Instant) -> None:
        """As in ports.Platform."""
        self._begin_write(grip, until=until)
        live = self._look(until)
        slots = self._slots()
        slots.end(want.slot, order=self._stack.end_order, grip=grip, until=until)
        self._check_lock(grip, until=until)
        self._leave(want.slot, until)
        slots.put(want, live=live, until=until)

    def end(self, slot: Slot, *, order: Sequence[str], grip: Grip, until: Instant) -> EndedSlot:
        """As in ports.Platform."""
        self._begin_write(grip, until=until)
        return self._slots().end(slot, order=order, grip=grip, until=until)

    def _leave(self, slot: Slot, until: Instant) -> None:
        """Raise Held when users are on the slot. A Service without any selector has no users yet."""
        services = self._sight.routes(until=until)
        for marks, found in zip(names.marks_of_all(self._stack), services, strict=True):
            users = marks.slot_named(dict(found.selector)) if found.selector else slot.other
            if users in {slot, None}:
                raise Held(
                    f"users of {marks.service} are on {users or 'no slot'}: {slot} is not touched",
                    mend="bluegreen status shows the routes",
                )

    def first_spec(self, run: str, *, until: Instant) -> SlotSpec | None:
        """What the chart's PodTemplates make of the first slot; None: the chart owns the Deployments itself."""
        from bluegreen.platforms.kubernetes.first import first_spec

        live = self._look(until)
        return first_spec(live, run, slots=self._slots(), stack=self._stack, until=until)

    def _scalers(self) -> Scalers:
        from bluegreen.platforms.kubernetes.scalers import Scalers

        return Scalers(self._api, stack=self._stack, namespace=self._namespace)

    def _slots(self) -> Slots:
        """What stages and ends; imported when one is asked for."""
        from bluegreen.platforms.kubernetes.slots import Slots

        return Slots(
            self._api,
            stack=self._stack,
            namespace=self._namespace,
            clock=self._clock,
            sight=self._sight,
            wait_for=self._wait_for,
            leave=self._leave,
        )

    # --- asking ---------------------------------------------------------------------------------------------------

    def asking(self) -> Asking:
        """How pods and Services are reached; imported when something is asked."""
        if self._asking is None:
            from bluegreen.platforms.kubernetes.asking import Asking

            self._asking = Asking(
                self._cluster,
                namespace=self._namespace,
                stack=self._stack,
                clock=self._clock,
                direct=self._direct,
            )
        return self._asking

    def check(self, checks: Sequence[Check], *, until: Instant) -> Sequence[CheckResult]:
        """As in ports.Platform."""
        self._left(until)
        if not checks:
            return ()
        live = self._sight.look_ahead(until=until)
        pods: list[Pod] = [pod for work in self._compose(live).workloads for pod in work.pods]
        return self.asking().check(checks, pods=pods, services=live.services, until=until)

    def diagnose(self, cause: Cause, *, until: Instant) -> Diagnosis:
        """As in ports.Platform."""
        from bluegreen.platforms.kubernetes.diagnose import diagnose

        self._left(until)
        return diagnose(
            cause,
            api=self._api,
            namespace=self._namespace,
            until=until,
            marks=names.marks_of_all(self._stack),
        )

    def tails(self, services: Sequence[str], *, slot: Slot | None, lines: int) -> Sequence[LogTail]:
        """The ends of the pods' logs, by service, slot and pod. ``slot`` None: both."""
        from bluegreen.platforms.kubernetes.diagnose import tails

        return tails(
            self._api,
            stack=self._stack,
            namespace=self._namespace,
            services=services,
            slot=slot,
            lines=lines,
            until=after(self._clock.now(), _LOGS),
        )
