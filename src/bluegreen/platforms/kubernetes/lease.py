"""The Lease of a stack as the lock uses it: what is written into it, who has it, and how one shows that it lives.

``holderIdentity`` is the fence of the run that holds the lock. A Lease that nobody holds stays, with the name of the
last one that held it, so that a run which lost the lock can say to whom.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from bluegreen.domain.values import dataclass
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import Conflict, NotFound, clean
from bluegreen.platforms.kubernetes.objects import Lease, lease_of, value_of

if TYPE_CHECKING:
    from bluegreen.domain.stack import Instant, Seconds, Stack
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.transport import Api
    from bluegreen.ports import Grip, Purpose

DURATION: Seconds = 15.0
"""How long a holder may be silent before its lock is free."""

_TRIES = 3


@dataclass(slots=True, kw_only=True)
class Hold:
    """A lock that is ours: its fence, and the version of the Lease that we wrote or read last."""

    fence: str
    version: str


def described(purpose: Purpose) -> str:
    """The holder, as people read it: ``release r-1a2b by ann on ci-7, pid 4711``."""
    return clean(f"{purpose.kind} {purpose.run} by {purpose.who}")


def holder_of(lease: Lease) -> str:
    """Who holds it or held it last, as people read it; whoever wrote it, it is one line of a sane length."""
    return clean(value_of(lease.meta.annotations, names.HOLDER) or lease.holder)


def taken(grip: Grip, *, stack: Stack, wall: float, version: str = "") -> Json:
    """What makes the Lease the grip's: of that version, else whatever it is."""
    now = stamp(wall)
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {
            "name": names.lease(stack),
            "labels": names.ours(stack),
            "annotations": {names.HOLDER: described(grip.purpose), names.RELEASE: grip.purpose.run},
            **({"resourceVersion": version} if version else {}),
        },
        "spec": {
            "holderIdentity": grip.fence,
            "leaseDurationSeconds": int(DURATION),
            "acquireTime": now,
            "renewTime": now,
        },
    }


def stamp(wall: float) -> str:
    """A MicroTime, for people: no program of ours compares it with its own clock."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(wall))}.{int(wall % 1 * 1e6):06}Z"


def read(api: Api, path: str, *, until: Instant) -> Lease | None:
    """The Lease; None: there is none."""
    try:
        return lease_of(api.get(path, until=until))
    except NotFound:
        return None


def renew(api: Api, path: str, hold: Hold, *, wall: float, until: Instant) -> bool:
    """Show that the holder lives. False: the lock is another's by now."""
    return _write_own(api, path, hold, {"renewTime": stamp(wall)}, until=until)


def give_back(api: Api, path: str, hold: Hold, *, until: Instant) -> None:
    """Let go of the Lease, if it is still ours."""
    _write_own(api, path, hold, {"holderIdentity": None}, until=until)


def _write_own(api: Api, path: str, hold: Hold, spec: Json, *, until: Instant) -> bool:
    """Write into the Lease while it is ours. A Conflict may be our own doing: a write whose answer was lost."""
    for _ in range(_TRIES):
        body = {"metadata": {"resourceVersion": hold.version}, "spec": spec}
        try:
            hold.version = lease_of(api.merge_patch(path, body, until=until)).meta.version
        except NotFound:
            return False
        except Conflict:
            lease = read(api, path, until=until)
            if lease is None or lease.holder != hold.fence:
                return False
            hold.version = lease.meta.version
        else:
            return True
    return True
