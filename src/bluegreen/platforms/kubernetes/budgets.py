"""Disruption budgets: what serves is protected, in each phase by exactly one budget a service.

Three states (docs/design.md): the live slot at the specification's minimum; both slots whole while users may be on
either; the new slot at the minimum. The minimum is the budget's own, remembered in a mark while it covers both.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import Conflict, NotFound
from bluegreen.platforms.kubernetes.objects import budget_of, value_of
from bluegreen.platforms.kubernetes.resources import BUDGETS
from bluegreen.platforms.kubernetes.stage_patch import escaped
from bluegreen.ports import Cover

if TYPE_CHECKING:
    from bluegreen.domain.stack import Instant, Marks, Slot
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Budget
    from bluegreen.platforms.kubernetes.transport import Api

WHOLE = "100%"
"""Every pod that the budget covers."""


def cover_with(api: Api, marks: Marks, *, cover: Cover, active: Slot | None, namespace: str, until: Instant) -> bool:
    """Let the service's budget cover what it should; whether there is a budget. Raises as Api.

    ``active`` None: the service's route names no slot, so the budget covers both.
    """
    if not marks.budget:
        return False
    path = BUDGETS.one(namespace, marks.budget)
    slot = active if cover is Cover.ACTIVE else None
    try:
        found = _turned(api, path, marks, slot=slot, until=until)
        while (wanted := change_of(found, marks, slot=slot)) is not None:
            # Its version moves with each pod that comes or goes, so a conflict is no stranger's doing: ask again.
            with suppress(Conflict):
                api.merge_patch(path, wanted, until=until)
                return True
            found = budget_of(api.get(path, until=until))
    except NotFound:
        return False
    return True


def _turned(api: Api, path: str, marks: Marks, *, slot: Slot | None, until: Instant) -> Budget:
    """The budget. One that covers the slot's other one, as before most rollbacks, is turned by the same request."""
    if slot is not None:
        other = marks.selector(slot.other)
        ops: list[Json] = [
            {"op": "test", "path": "/spec/selector", "value": {"matchLabels": other}},
            {
                "op": "replace",
                "path": f"/spec/selector/matchLabels/{escaped(marks.slot_label)}",
                "value": marks.value(slot),
            },
        ]
        with suppress(Conflict):
            return budget_of(api.json_patch(path, ops, until=until))
    return budget_of(api.get(path, until=until))


def change_of(found: Budget, marks: Marks, *, slot: Slot | None) -> Json | None:
    """The patch; None: it is so already, or it is not by labels and a least number: to turn it would be to invent.

    A null takes out what a merge would otherwise leave.
    """
    marked = value_of(found.meta.annotations, names.MINIMUM)
    minimum = marked or found.minimum
    if not (found.plain and minimum):
        return None
    labels = dict(marks.labels) if slot is None else marks.selector(slot)
    least = WHOLE if slot is None else minimum
    if dict(found.selector) == labels and found.minimum == least and bool(marked) is (slot is None):
        return None
    return {
        "metadata": {
            "resourceVersion": found.meta.version,
            "annotations": {names.MINIMUM: minimum if slot is None else None},
        },
        "spec": {
            "minAvailable": int(least) if least.isdigit() else least,
            "selector": {"matchLabels": {**labels, marks.slot_label: None if slot is None else marks.value(slot)}},
        },
    }
