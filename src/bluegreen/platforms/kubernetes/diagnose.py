"""What explains a failure to a person: the last log lines, the last warning about the pod, and the command for more.

It explains and judges nothing. What cannot be read is said in its place: the cause is known without it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.excerpt import LONGEST_READ, excerpt, shown, shown_lines
from bluegreen.domain.health import Reason
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass, replace
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import MissingRight, Refused
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.objects import event_of
from bluegreen.platforms.kubernetes.resources import EVENTS, PODS
from bluegreen.ports import Diagnosis, LogTail

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bluegreen.domain.cause import Cause
    from bluegreen.domain.stack import Instant, Marks, Stack
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Event
    from bluegreen.platforms.kubernetes.transport import Api

LINES = 20

_BYTES_A_LINE = 16 * 1024
"""What a runtime writes as one line at most. The API counts its limit from the first of the lines, so that a tight one
would cut off the last, which say most.
"""
_NO_LOG = "unable to retrieve container logs for "
"""So a kubelet answers, with 200, for a container that was removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Log:
    """Which log."""

    namespace: str
    pod: str
    container: str
    previous: bool = False
    """Of the container's last life, not of this one."""

    @property
    def path(self) -> str:
        return PODS.one(self.namespace, self.pod, sub="log")

    def query(self, lines: int) -> tuple[tuple[str, str], ...]:
        bound = (("tailLines", str(lines)), ("limitBytes", str(lines * _BYTES_A_LINE)))
        container = (("container", self.container),) if self.container else ()
        return (*bound, *container, *((("previous", "true"),) if self.previous else ()))

    def __str__(self) -> str:
        container = f" -c {self.container}" if self.container else ""
        return f"kubectl logs -n {self.namespace} {self.pod}{container}{' --previous' if self.previous else ''}"


def diagnose(cause: Cause, *, api: Api, namespace: str, until: Instant, marks: Sequence[Marks] = ()) -> Diagnosis:
    """As in ports.Platform. ``marks``: what the stack's objects are called. Raises Interrupted only."""
    if not cause.pod:
        return Diagnosis(where=_command(cause, namespace, names.marks_named(marks, cause.service)))
    log = _Log(namespace=namespace, pod=cause.pod, container=cause.container, previous=cause.exit_code is not None)
    lines, where = _best(log, api=api, until=until)
    event = _warning(cause, api=api, namespace=namespace, until=until)
    where = _COMMANDS.get(cause.reason, "").format(namespace=namespace) or where
    return Diagnosis(log=lines, where=where, event=event, while_there=_WHILE_THERE)


_WHILE_THERE = "while its pods are there, and deploy --keep-failed leaves them"
"""Their logs go with them, when the slot is put back."""

_COMMANDS: dict[str, str] = {
    Reason.QUOTA: "kubectl describe -n {namespace} resourcequota",
    Reason.ADMISSION: "kubectl get events -n {namespace} --field-selector reason=FailedCreate",
    Reason.NO_PODS: "kubectl get events -n {namespace} --field-selector reason=FailedCreate",
    Reason.CONFIG_MISSING: "kubectl get -n {namespace} configmaps,secrets",
    Reason.VOLUME_MISSING: "kubectl get -n {namespace} persistentvolumeclaims,configmaps,secrets",
    Reason.NODE_LOST: "kubectl get nodes",
    Reason.EVICTED: "kubectl get events -n {namespace} --field-selector reason=Evicted",
}
"""What shows more than the pod's log and description do."""


def _command(cause: Cause, namespace: str, marks: Marks) -> str:
    workload = marks.workload(cause.slot)
    if cause.reason == Reason.PAUSED:
        return f"kubectl rollout resume -n {namespace} deployment/{workload}"
    found = _COMMANDS.get(cause.reason, "")
    return found.format(namespace=namespace) or f"kubectl describe -n {namespace} deployment/{workload}"


def _best(log: _Log, *, api: Api, until: Instant) -> tuple[tuple[str, ...], str]:
    """Of a container that ended the life before says why; where it has none any more, the present one.

    Between its end and its next start the present one is the one that ended.
    """
    why = ""
    for one in (log, replace(log, previous=False)) if log.previous else (log,):
        try:
            lines = excerpt(_text(one, api=api, until=until, lines=LINES), lines=LINES)
        except MissingRight as error:
            return (f"(its log cannot be read: {error})",), str(one)
        except (PlatformError, DeadlineExceeded) as error:
            why = f"(no log: {_said(error)})"
            continue
        if lines:
            return lines, str(one)
    return ((why,) if why else ()), f"kubectl describe -n {log.namespace} pod/{log.pod}"


def _text(log: _Log, *, api: Api, until: Instant, lines: int) -> str:
    text = api.text(log.path, until=until, query=log.query(lines))
    return "" if text.startswith(_NO_LOG) else text


def _said(error: PlatformError | DeadlineExceeded) -> str:
    """The API server's own words where it has some: ``container "web" in pod "a" is waiting to start``."""
    return error.status.message if isinstance(error, Refused) and error.status.message else str(error)


def _warning(cause: Cause, *, api: Api, namespace: str, until: Instant) -> str:
    fields = f"involvedObject.name={cause.pod},type=Warning"
    try:
        found = api.list(EVENTS.all(namespace), fields=fields, until=until)
        events = [event_of(item) for item in found.items]
    except (PlatformError, DeadlineExceeded) as error:
        return f"(its events cannot be read: {error})"
    if not events:
        return ""
    last = max(events, key=lambda event: (_tells(event, cause), event.last))
    return f"{shown(last.reason)}: {shown(last.message)}"  # apart: a reason may end in "Secret"


def _tells(event: Event, cause: Cause) -> int:
    """How much it says: that a pull secret is not there, more than that a pull failed, and nothing of what was pulled
    all the same; a pause, nothing.
    """
    if event.reason == "FailedToRetrieveImagePullSecret":
        return 2 if cause.reason in _NOT_PULLED else -1
    return 0 if event.reason == "BackOff" or _NAMES_A_STATE.fullmatch(event.message) else 1


_NOT_PULLED = frozenset({Reason.IMAGE_NOT_FOUND, Reason.PULL_FAILS})
_NAMES_A_STATE = re.compile(r"Error: \w+")
"""``Error: ImagePullBackOff``: the pod's status says the same."""


# --- bluegreen logs -----------------------------------------------------------------------------------------------


def tails(
    api: Api, *, stack: Stack, namespace: str, services: Iterable[str], slot: Slot | None, lines: int, until: Instant
) -> tuple[LogTail, ...]:
    """The ends of the pods' logs, by service, slot and name. A pod that goes meanwhile is told in its place.

    Raises PlatformError when the pods cannot be listed, DeadlineExceeded, Interrupted.
    """
    slots = tuple(Slot) if slot is None else (slot,)
    return tuple(
        _tail(log, api=api, lines=lines, until=until)
        for service in services
        for each in slots
        for log in _logs(api, stack=stack, namespace=namespace, service=service, slot=each, until=until)
    )


def _logs(api: Api, *, stack: Stack, namespace: str, service: str, slot: Slot, until: Instant) -> Sequence[_Log]:
    marks = names.marks_of(stack.service(service))
    labels = ",".join(f"{name}={value}" for name, value in marks.selector(slot).items())
    listing = api.list(PODS.all(namespace), labels=labels, until=until)
    wanted = stack.service(service).container
    found = [
        _Log(namespace=namespace, pod=Node(item).at("metadata", "name").text(), container=wanted or _first(item))
        for item in listing.items
    ]
    return sorted(found, key=lambda log: log.pod)


def _first(item: Json) -> str:
    """The container that kubectl would take."""
    pod = Node(item)
    chosen = pod.at("metadata", "annotations", "kubectl.kubernetes.io/default-container").text()
    listed = [one.at("name").text() for one in pod.at("spec", "containers").items()]
    return chosen or next(iter(listed), "")


def _tail(log: _Log, *, api: Api, lines: int, until: Instant) -> LogTail:
    try:
        text = _text(log, api=api, until=until, lines=lines)
    except PlatformError as error:
        text = f"(it cannot be read: {_said(error)})"
    return LogTail(where=str(log), lines=shown_lines(text.splitlines()[-lines:], longest=LONGEST_READ))
