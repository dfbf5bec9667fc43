"""Pods without a place, without their volumes, or on a node that is lost."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.health import graces
from bluegreen.domain.health.hiccups import is_hiccup
from bluegreen.domain.health.reasons import Reason
from bluegreen.domain.health.suspicion import Suspicion, cause, lasting
from bluegreen.domain.words import NODE_WORDS, SETUP_WORDS, UNBOUND

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Pod, Trouble

_CLAIM = re.compile(
    r"persistentvolumeclaim \S+ (?:not found|is being deleted|bound to non-existent persistentvolume)", re.IGNORECASE
)
_TAKEN = re.compile(r"ReadWriteOncePod access mode|find available persistent volumes to bind")
_MISSING = re.compile(
    r"(?:configmap|secret|persistentvolumeclaim)s? \S+ not found|references non-existent", re.IGNORECASE
)


def place(pod: Pod) -> Suspicion | None:
    """No node takes it. A claim that is not there is a matter of the claim, not of nodes."""
    if not pod.unplaced or pod.promised:
        return None
    if _CLAIM.search(pod.unplaced):
        return Suspicion(cause=cause(pod, Reason.VOLUME_MISSING, word="Unschedulable", detail=pod.unplaced))
    unbound = UNBOUND.search(pod.unplaced)
    reason = Reason.VOLUME if unbound or _TAKEN.search(pod.unplaced) else Reason.UNSCHEDULABLE
    made = cause(pod, reason, word="Unschedulable", detail=pod.unplaced)
    return lasting(made, since=pod.since, grace=graces.BINDING if unbound else graces.UNSCHEDULABLE)


def trouble(pod: Pod) -> Suspicion | None:
    """What the platform says keeps it from starting or serving, once that has lasted."""
    found = pod.trouble
    if found is None:
        return None
    if found.reason in NODE_WORDS:
        return _lasting(pod, found, Reason.NODE_LOST, grace=graces.NODE)
    if found.reason not in SETUP_WORDS:
        return None
    if found.reason == "FailedCreatePodSandBox":
        return _lasting(pod, found, Reason.SANDBOX, grace=graces.SETUP)
    if _MISSING.search(found.message) and not is_hiccup(found.message):
        return Suspicion(cause=cause(pod, Reason.VOLUME_MISSING, word=found.reason, detail=found.message))
    return _lasting(pod, found, Reason.VOLUME, grace=graces.SETUP)


def _lasting(pod: Pod, found: Trouble, reason: Reason, *, grace: float) -> Suspicion | None:
    return lasting(cause(pod, reason, word=found.reason, detail=found.message), since=found.since, grace=grace)
