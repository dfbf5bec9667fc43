"""What must be there before a stack can be read at all: the right kind of cluster, the namespace, the chart's objects.

What else speaks against a release is the preflight's.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from bluegreen.domain.errors import NotStarted, PlatformError
from bluegreen.domain.image import ImageReference
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import NotFound, Refused
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.resources import NAMESPACES, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bluegreen.domain.stack import Instant, Marks, Stack
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.objects import Service
    from bluegreen.platforms.kubernetes.transport import Api

OLDEST = (1, 30)
"""The first whose kubelets know ``preStop.sleep`` without being asked."""


def require_standing(live: Live, *, stack: Stack, namespace: str) -> None:
    """Return when the stack is there to be read. Raises NotStarted with the mend."""
    missing = tuple(_missing(live, stack))
    if missing:
        raise absent(missing, stack=stack, namespace=namespace)
    for marks in names.marks_of_all(stack):
        found = live.service(marks.users)
        if found is not None:
            _require_selector(found, marks, namespace=namespace)


def explain_absence(
    services: Sequence[str], *, api: Api, stack: Stack, namespace: str, until: Instant
) -> PlatformError:
    """Why there are no such Services: the cluster, the namespace, or only they."""
    try:
        require_version(api, until=until)
        require_namespace(api, namespace, until=until)
    except PlatformError as error:
        return error
    return absent([("Service", name) for name in services], stack=stack, namespace=namespace)


def absent(missing: Sequence[tuple[str, str]], *, stack: Stack, namespace: str) -> NotStarted:
    """The error for what is missing, by kind and name."""
    return NotStarted(
        f"the stack {stack.name} is not whole in namespace {namespace}: there is no {_listed(missing)}",
        mend=f"{_naming(missing, stack)}: {install(stack, namespace)}",
    )


def _naming(missing: Sequence[tuple[str, str]], stack: Stack) -> str:
    """What may be named wrongly. A Service may have a prefix that the app file does not know of."""
    if stack.name in names.CHARTS:
        return "install the stack's chart, or name the right --namespace"
    users = {marks.users: marks.service for marks in names.marks_of_all(stack)}
    service = next((users[name] for kind, name in missing if kind == "Service" and name in users), "")
    its = f", or its Service in the app file ({service}: kubernetes: {{service: NAME}})" if service else ""
    return f"name the right --namespace{its}"


def install(stack: Stack, namespace: str) -> str:
    """The command that makes what is missing; of a stack whose chart is not shipped here, what to do."""
    if stack.name not in names.CHARTS:
        return f"kubectl get services,deployments -n {namespace} shows what is there"
    images = " ".join(
        f"--set {stack.short(one.name)}.image={ImageReference.parse(one.image).name}:TAG" for one in stack.services
    )
    return f"helm upgrade --install {stack.name} tools/helm/{stack.name} -n {namespace} --create-namespace {images}"


def _missing(live: Live, stack: Stack) -> Iterator[tuple[str, str]]:
    """Kind and name. A Deployment may be the pipeline's to make, and without any of them nobody serves."""
    all_marks = names.marks_of_all(stack)
    services = (*(marks.users for marks in all_marks), *(name for marks in all_marks for _, name in marks.previews))
    yield from (("Service", name) for name in services if live.service(name) is None)
    if not any(live.deployment(service, slot) for service in stack.names for slot in Slot):
        yield from (("Deployment", name) for marks in all_marks for _, name in marks.workloads)


def _listed(missing: Sequence[tuple[str, str]]) -> str:
    kinds = dict.fromkeys(kind for kind, _ in missing)
    return ", no ".join(f"{kind} {', '.join(name for of, name in missing if of == kind)}" for kind in kinds)


def _require_selector(found: Service, marks: Marks, *, namespace: str) -> None:
    """A switch writes the slot into it; without one it would be no switch but a change of who is meant."""
    selector = dict(found.selector)
    if marks.holds(selector) and marks.slot_named(selector) is not None:
        return
    values = " or ".join(value for _, value in marks.values)
    wanted = f"{_pairs(dict(marks.labels))} and {marks.slot_label}={values}"
    raise NotStarted(
        f"Service {marks.users} in namespace {namespace} selects {_shown(selector, marks)}, and not {wanted}",
        mend=f"let it select the slot that serves: {selecting(marks, 'SLOT', namespace=namespace)}",
    )


def selecting(marks: Marks, value: str, *, namespace: str) -> str:
    """The command that lets the service's users be sent to the slot of this label."""
    selector = json.dumps({**dict(marks.labels), marks.slot_label: value}, separators=(",", ":"))
    return f'kubectl patch svc {marks.users} -n {namespace} -p \'{{"spec":{{"selector":{selector}}}}}\''


def _pairs(labels: dict[str, str]) -> str:
    return " and ".join(f"{name}={value}" for name, value in labels.items())


def _shown(selector: dict[str, str], marks: Marks) -> str:
    keys = [*dict(marks.labels), marks.slot_label]
    return _pairs({key: selector[key] for key in keys if key in selector}) or f"neither {' nor '.join(keys)}"


# --- the cluster and the namespace ------------------------------------------------------------------------------


def require_version(api: Api, *, until: Instant) -> None:
    """Return when the cluster is new enough, or does not say how new it is. Raises PlatformError."""
    try:
        found = Node(api.get(VERSION, until=until))
    except Refused:
        return
    major, minor = _number(found.at("major").text()), _number(found.at("minor").text())
    if major is not None and minor is not None and (major, minor) < OLDEST:
        raise PlatformError(
            f"the cluster is Kubernetes {major}.{minor}; {OLDEST[0]}.{OLDEST[1]} is the oldest that is supported",
            mend="update the cluster, or name another one with --context",
        )


def _number(text: str) -> int | None:
    """``30+`` is how some providers write 30, and there are other ways; None: it is no number."""
    found = re.match(r"[0-9]{1,9}", text)
    return int(found[0]) if found is not None else None


def require_namespace(api: Api, namespace: str, *, until: Instant) -> None:
    """Return when it is there, or when the account may not look: that says nothing. Raises NotStarted."""
    try:
        found = Node(api.get(NAMESPACES.one("", namespace), until=until))
    except NotFound:
        raise NotStarted(
            f"the cluster has no namespace {namespace}",
            mend="name the right one with --namespace, or the right cluster with --context; or install the chart",
        ) from None
    except Refused:
        return
    if found.at("status", "phase").text() == "Terminating":
        raise NotStarted(
            f"the namespace {namespace} is being deleted",
            mend=f"wait until it is gone, then install the chart; kubectl get namespace {namespace} shows what is left",
        )
