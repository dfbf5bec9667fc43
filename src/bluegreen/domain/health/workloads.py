"""Workloads whose pods the platform does not make, or loses as soon as they are made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.cause import Cause
from bluegreen.domain.health import graces
from bluegreen.domain.health.hiccups import is_hiccup
from bluegreen.domain.health.reasons import ADVICE, Reason
from bluegreen.domain.health.suspicion import Suspicion, lasting
from bluegreen.domain.words import UNASKED

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Workload

EVICTION_WORDS = frozenset({"Evicted", "Preempting", "Preempted", "NodeShutdown", "Shutdown", "Terminated"})
"""Why a node gives up a pod that did nothing wrong; others are the node's refusal of the pod."""

_QUOTA = re.compile(r"exceeded quota")
_NOT_YET = re.compile(r"error looking up service account|status unknown for quota|not yet ready to handle request")
"""What is made by controllers that may be slower than ours, and what an API server has not read yet."""
_REFUSED = re.compile(r"is forbidden|denied (?:the )?request|denied request|violates PodSecurity|is invalid")
_NO_SET = re.compile(r"^Failed to create new replica set")
"""May be about the version before, until the controller has looked at this one."""
_PAUSED = re.compile(r"is paused")


def problem(workload: Workload) -> Suspicion | None:
    """What keeps the platform from making its pods. It tries again, so only a rule that says no is told at once."""
    said = workload.problem
    if not said:
        return None
    made, grace = _cause(workload, _why(said), said), _grace(said)
    if grace is None:
        return Suspicion(cause=made)
    return lasting(made, since=workload.problem_since, grace=grace)


def _why(said: str) -> Reason:
    if _PAUSED.search(said):
        return Reason.PAUSED
    if _QUOTA.search(said):
        return Reason.QUOTA
    return Reason.ADMISSION if _REFUSED.search(said) or UNASKED.search(said) else Reason.NO_PODS


def _grace(said: str) -> float | None:
    """None: it is told at once."""
    if UNASKED.search(said):
        return graces.WEBHOOK
    if _QUOTA.search(said):
        return graces.QUOTA
    if _NO_SET.search(said):
        return graces.REFUSAL
    certain = _PAUSED.search(said) or (_REFUSED.search(said) and not _NOT_YET.search(said) and not is_hiccup(said))
    return None if certain else graces.REFUSAL


def losses(workload: Workload) -> Suspicion | None:
    """More of its pods are over than one for each that is wanted: those made in their place fare no better."""
    if len(workload.lost) <= graces.LOST_ALLOWED * workload.replicas:
        return None
    last = workload.lost[-1]
    reason = Reason.EVICTED if last.reason in EVICTION_WORDS else Reason.POD_FAILED
    return Suspicion(cause=_cause(workload, reason, last.message, word=last.reason, pod=last.pod))


def _cause(workload: Workload, reason: Reason, detail: str, *, word: str = "", pod: str = "") -> Cause:
    return Cause(
        service=workload.service,
        slot=workload.slot,
        reason=reason,
        word=word,
        detail=detail,
        pod=pod,
        advice=ADVICE[reason],
    )
