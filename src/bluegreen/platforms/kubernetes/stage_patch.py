"""The one change that a stage makes to a Deployment: image, mark and size, and nothing else.

A JSON Patch that holds only for the Deployment that was judged: the same object, of the same generation (its
resourceVersion moves with every status), with the container still where it was. The preflight sends the very same patch
as a dry run. When to send it is not decided here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError
from bluegreen.platforms.kubernetes import names

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bluegreen.domain.image import ImageReference
    from bluegreen.domain.stack import Service
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Deployment

_TEMPLATE = "/spec/template"


def stage_patch(
    found: Deployment, *, service: Service, image: ImageReference, replicas: int, release: str
) -> tuple[Json, ...]:
    """The operations. Raises UsageError as ``container_of``; the API server answers Conflict when a test fails."""
    index = container_of(found, service)
    container = f"{_TEMPLATE}/spec/containers/{index}"
    return (
        *unchanged(found),
        _test(f"{container}/name", found.containers[index].name),
        {"op": "replace", "path": f"{container}/image", "value": str(image)},
        _mark(found, release),
        {"op": "add", "path": "/spec/replicas", "value": replicas},
    )


def unchanged(found: Deployment) -> tuple[Json, ...]:
    """The tests that every patch of a Deployment begins with: it is the object that was judged, with the same spec."""
    return (_test("/metadata/uid", found.meta.uid), _test("/metadata/generation", found.meta.generation))


def container_of(found: Deployment, service: Service) -> int:
    """Where in the template the container stands whose image a release replaces. Raises UsageError with the mend."""
    there = [container.name for container in found.containers]
    place = place_of(service, there)
    if place is None:
        raise no_container(service, there, where=f"Deployment {found.meta.name}")
    return place


def place_of(service: Service, there: Sequence[str]) -> int | None:
    """Where the container stands whose image a release replaces, by the names; None: it cannot be told."""
    wanted = service.container
    if wanted in there:
        return there.index(wanted)
    return 0 if not wanted and len(there) == 1 else None


def no_container(service: Service, there: Sequence[str], *, where: str) -> UsageError:
    """The error for a template in which it cannot be told."""
    wanted = service.container
    what = f"has no container {wanted!r}" if wanted else "has not one container, and none is named"
    return UsageError(
        f"{where} {what}; it has {', '.join(there) or 'none'}",
        mend=f"write into the app file which one is released: {service.name}: container: NAME",
    )


def _test(path: str, value: object) -> Json:
    return {"op": "test", "path": path, "value": value}


def _mark(found: Deployment, release: str) -> Json:
    """``add`` replaces what is there, but needs something to add to: no annotations at all are left out by the API."""
    path = f"{_TEMPLATE}/metadata/annotations"
    if not found.template_annotations:
        return {"op": "add", "path": path, "value": {names.RELEASE: release}}
    return {"op": "add", "path": f"{path}/{escaped(names.RELEASE)}", "value": release}


def escaped(name: str) -> str:
    """A name as a part of a JSON Pointer."""
    return name.replace("~", "~0").replace("/", "~1")
