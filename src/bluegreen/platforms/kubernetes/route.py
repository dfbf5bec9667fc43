"""A Service as the route of its users: the slot that its selector names, and by whose write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.snapshot import Route
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.objects import value_of

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import Endpoint
    from bluegreen.domain.stack import Marks
    from bluegreen.platforms.kubernetes import objects

_OURS = frozenset({names.MANAGER})


def route_of(service: objects.Service, marks: Marks, *, endpoints: tuple[Endpoint, ...] = ()) -> Route:
    """Where a Service sends its users. ``marks``: of the service whose users it has."""
    meta = service.meta
    return Route(
        service=marks.service,
        slot=marks.slot_named(dict(service.selector)),
        version=meta.version,
        fence=value_of(meta.annotations, names.FENCE),
        endpoints=endpoints,
        changed_by=_last_writer(meta),
    )


def _last_writer(meta: objects.Meta) -> str:
    """Whoever wrote its selector last, when it was not a run of ours; where nobody is said to have, all of it."""
    writers = [writer for writer in meta.writers if writer.selector] or meta.writers
    # Times are whole seconds: of one second, a stranger's write is told rather than ours.
    last = max(writers, key=lambda writer: (writer.at, writer.manager not in _OURS), default=None)
    return last.manager if last is not None and last.manager not in _OURS else ""
