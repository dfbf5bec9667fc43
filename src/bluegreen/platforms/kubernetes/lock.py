"""One writer at a time, by a Lease: taken by compare-and-swap, taken over by a rollback, free when its holder is dead.

Whether a holder lives is judged by what is seen to change, never by comparing clocks: a Lease that stands still for as
long as it lasts, on our own clock and while we look, is a dead run's. Time in which we could not look does not count:
the holder may not have been able to write either.

It does not decide which writes of a run that lost the lock are refused: the versions and fences of the Services do.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from bluegreen.domain.errors import BluegreenError, HeldBy, LostLock, PlatformError
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass, replace
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import AlreadyExists, Conflict, LostAnswer, NotFound, in_time
from bluegreen.platforms.kubernetes.lease import (
    DURATION,
    Hold,
    described,
    give_back,
    holder_of,
    read,
    taken,
)
from bluegreen.platforms.kubernetes.objects import Lease, lease_of
from bluegreen.platforms.kubernetes.renewal import Renewal
from bluegreen.platforms.kubernetes.resources import LEASES
from bluegreen.ports import Grip

if TYPE_CHECKING:
    from bluegreen.domain.stack import Instant, Seconds, Stack
    from bluegreen.platforms.kubernetes.cluster import Cluster
    from bluegreen.platforms.kubernetes.transport import Api
    from bluegreen.ports import Purpose, SteadyClock

FRESH: Seconds = 0.25
"""So soon after it was taken over the lock need not be read before the routes are written: they are only written from
the versions that were judged, so whoever takes over next either finds our writes, or has them refused.
"""
_CALL: Seconds = 10.0
_FAREWELL: Seconds = 2.0
"""How long giving back may take: a lock that is not given back is free by itself."""
_LOOK_AGAIN: Seconds = 1.0
_BLIND: Seconds = 3.0
"""A look that comes so late after the one before proves nothing about the time between."""
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """A Lease under observation: since when it has stood still, when we looked last, and whether it moved before."""

    version: str
    since: Instant
    looked: Instant
    alive: bool


class KubernetesLock:
    """ports.Lock over the Lease of one stack. One at most is held by one object."""

    def __init__(self, cluster: Cluster, *, stack: Stack, namespace: str, clock: SteadyClock, api: Api) -> None:
        """``api``: the calling thread's; renewals make one of their own to ``cluster``."""
        self._cluster = cluster
        self._stack = stack
        self._namespace = namespace
        self._path = _path(stack, namespace)
        self._clock = clock
        self._api = api
        self._seen: _Seen | None = None
        self._held: tuple[Hold, Renewal] | None = None
        self._fresh = "", clock.now()

    def close(self) -> None:
        """Renew nothing any more. What is still held is free for others when it has been silent for long enough."""
        if self._held is not None:
            self._let_go()

    def take(self, purpose: Purpose, *, until: Instant) -> Grip:
        """Take a turn, waiting until the deadline. Raises HeldBy with the holder, PlatformError."""
        grip = _grip(purpose)
        while (other := self._taken_by_other(grip)) is not None:
            now = self._clock.now()
            if now >= until:
                raise self._held_by(other)
            self._clock.wait(until=min(until, after(now, _LOOK_AGAIN)))
        return grip

    def preempt(self, purpose: Purpose) -> Grip:
        """Take over at once: the running one's next write raises LostLock. Raises PlatformError.

        One write, without a precondition: whoever holds the lock, and however that changes meanwhile, it becomes ours.
        """
        grip = _grip(purpose)
        for _ in range(_TRIES):
            lease = self._overwritten(grip)
            if lease is not None and lease.holder == grip.fence:
                self._hold(grip, lease)
                self._fresh = grip.fence, self._clock.now()
                return grip
        raise self._unsteady()

    def just_taken(self, grip: Grip) -> bool:
        """Whether it was taken over a moment ago. True once: after the first write the lock is to be read again."""
        (fence, at), self._fresh = self._fresh, ("", self._clock.now())
        return fence == grip.fence and self._clock.now() - at < FRESH

    def release(self, grip: Grip) -> None:
        """Give it back. Harmless when it was lost meanwhile, and when the cluster cannot be reached."""
        if self._held is None or self._held[0].fence != grip.fence:
            return
        hold = self._let_go()
        with suppress(BluegreenError), self._clock.undisturbed():  # an interrupt would keep it from whoever comes next
            give_back(self._api, self._path, hold, until=after(self._clock.now(), _FAREWELL))

    # --- a turn ---------------------------------------------------------------------------------------------------

    def _taken_by_other(self, grip: Grip) -> Lease | None:
        """Take the Lease if it is free; None: it is ours. After a conflict it is read again and judged again."""
        for _ in range(_TRIES):
            lease = self._read()
            if lease is not None and lease.holder == grip.fence:  # our own write, whose answer was lost
                self._hold(grip, lease)
                return None
            if lease is not None and not self._is_free(lease):
                return lease
            with suppress(Conflict, AlreadyExists, NotFound):
                self._hold(grip, self._written(grip, lease))
                return None
        raise self._unsteady()

    def _is_free(self, lease: Lease) -> bool:
        seen = self._observed(lease)
        return not lease.holder or seen.looked - seen.since >= (lease.duration or DURATION)

    def _observed(self, lease: Lease) -> _Seen:
        now, version, seen = self._clock.now(), lease.meta.version, self._seen
        if seen is None or now - seen.looked > _BLIND:
            seen = _Seen(version=version, since=now, looked=now, alive=False)
        elif seen.version != version:
            seen = _Seen(version=version, since=now, looked=now, alive=True)
        self._seen = replace(seen, looked=now)
        return self._seen

    def _held_by(self, lease: Lease) -> HeldBy:
        holder = holder_of(lease)
        return HeldBy(
            f"the stack is being worked on by {holder}",
            holder=holder,
            alive=self._seen is not None and self._seen.alive,
            mend="wait for it, or bluegreen rollback takes over at once",
        )

    def _hold(self, grip: Grip, lease: Lease) -> None:
        if self._held is not None:
            self._let_go()
        hold = Hold(fence=grip.fence, version=lease.meta.version)
        self._held = hold, Renewal(self._cluster, self._path, hold)

    def _let_go(self) -> Hold:
        assert self._held is not None  # noqa: S101 - asked by the callers
        (hold, renewal), self._held = self._held, None
        renewal.stop()
        return hold

    # --- reading and writing --------------------------------------------------------------------------------------

    def _limit(self) -> Instant:
        return after(self._clock.now(), _CALL)

    def _read(self) -> Lease | None:
        try:
            with in_time("the lock"):
                return read(self._api, self._path, until=self._limit())
        except BluegreenError:
            self._seen = None  # what stood still while we could not look proves nothing
            raise

    def _written(self, grip: Grip, lease: Lease | None) -> Lease:
        """Make it ours if it is still as it was read. Raises Conflict, AlreadyExists, NotFound when it is not."""
        try:
            return self._created(grip) if lease is None else self._patched(grip, version=lease.meta.version)
        except (Conflict, AlreadyExists, NotFound):
            raise
        except BluegreenError:
            self._undo(grip)
            raise

    def _undo(self, grip: Grip) -> None:
        """Give back what a write may have taken that was not answered."""
        until = after(self._clock.now(), _FAREWELL)
        with suppress(BluegreenError):
            lease = read(self._api, self._path, until=until)
            if lease is not None and lease.holder == grip.fence:
                give_back(self._api, self._path, Hold(fence=grip.fence, version=lease.meta.version), until=until)

    def _overwritten(self, grip: Grip) -> Lease | None:
        """Make it ours whatever it is. What comes back may be another's: then it is to be tried again."""
        try:
            return self._patched(grip)
        except NotFound:
            pass
        except LostAnswer:
            return self._read()
        try:
            return self._created(grip)
        except AlreadyExists:
            return self._read()

    def _patched(self, grip: Grip, *, version: str = "") -> Lease:
        body = taken(grip, stack=self._stack, wall=self._clock.wall(), version=version)
        with in_time("the lock"):
            return lease_of(self._api.merge_patch(self._path, body, until=self._limit()))

    def _created(self, grip: Grip) -> Lease:
        body = taken(grip, stack=self._stack, wall=self._clock.wall())
        try:
            with in_time("the lock"):
                return lease_of(self._api.create(LEASES.all(self._namespace), body, until=self._limit()))
        except NotFound as error:
            raise PlatformError(
                f"the lock cannot be made: there is no namespace {self._namespace}",
                mend="name the right one with --namespace, or make it: kubectl create namespace " + self._namespace,
            ) from error

    def _unsteady(self) -> PlatformError:
        name = names.lease(self._stack)
        return PlatformError(
            f"the lock cannot be taken: the Lease {name} in {self._namespace} does not hold still",
            mend=f"see who writes it: kubectl get lease {name} -n {self._namespace} -o yaml --show-managed-fields",
        )


def lost(lease: Lease | None, grip: Grip) -> LostLock | None:
    """What a run is told that has lost the lock; None: it still has it."""
    if lease is not None and lease.holder == grip.fence:
        return None
    by = _new_holder(lease, grip)
    return LostLock(
        f"{by} took over from {grip.purpose.run}",
        taken_by=by,
        mend="bluegreen status shows where the stack is now",
    )


def _new_holder(lease: Lease | None, grip: Grip) -> str:
    if lease is None:
        return "somebody who removed the Lease"
    by = holder_of(lease)
    if not lease.holder and by == described(grip.purpose):
        return "somebody who took our name out of the Lease"
    return by or "somebody who left no name"


def check(api: Api, grip: Grip, *, stack: Stack, namespace: str, until: Instant) -> None:
    """Raise LostLock when the lock is another's."""
    error = lost(read(api, _path(stack, namespace), until=until), grip)
    if error is not None:
        raise error


def _path(stack: Stack, namespace: str) -> str:
    return LEASES.one(namespace, names.lease(stack))


def _grip(purpose: Purpose) -> Grip:
    return Grip(purpose=purpose, fence=f"{purpose.run}/{os.urandom(8).hex()}")
