"""What disruption budgets have against a release, and against a drain of nodes: pure, each with the exact mend."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.platforms.kubernetes.discovery import budgets_of, slots_of
from bluegreen.platforms.kubernetes.sizes import enlarging
from bluegreen.platforms.kubernetes.verdicts import note, warn

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from bluegreen.domain.stack import Marks
    from bluegreen.platforms.kubernetes.fitness import Place
    from bluegreen.platforms.kubernetes.objects import Budget
    from bluegreen.ports import Finding


def missing_budgets(place: Place, budgets: Sequence[Budget]) -> Iterator[Finding]:
    """Services whose pods no budget protects: a release tells it as well."""
    for service in place.stack.services:
        marks = place.live.marks_of(service.name)
        if not _covering(marks, budgets, place):
            name = marks.budget or f"{marks.users}-pdb"
            serving = ",".join(f"{key}={value}" for key, value in marks.selector(place.target.other).items())
            yield warn(
                Rule.NO_BUDGET,
                f"there is no PodDisruptionBudget {name}: a drain of the nodes may evict all pods of {service.name} "
                "at once",
                f"kubectl create poddisruptionbudget {name} -n {place.namespace} --selector={serving} "
                "--min-available=1",
            )


def budget_findings(place: Place, budgets: Sequence[Budget]) -> Iterator[Finding]:
    """All others."""
    for service in place.stack.services:
        marks = place.live.marks_of(service.name)
        found = _covering(marks, budgets, place)
        covered = {each.meta.name: slots_of(each, marks, place.live.deployments) for each in found}
        yield from _overlapping(covered, service.name, place)
        for each in found:
            slots = covered[each.meta.name]
            if slots == tuple(Slot) or (slots[0].other,) not in covered.values():
                yield from _of_kind(each, marks, place)
            if place.target.other in slots:
                yield from _waiting(each, marks, place)


def _covering(marks: Marks, budgets: Sequence[Budget], place: Place) -> list[Budget]:
    """A budget without a selector is one that a release is yet to turn, when it has the service's name."""
    covering = budgets_of(marks, budgets, place.live.deployments)
    found = [each for each in covering if each.selector or each.meta.name == marks.budget]
    return sorted(found, key=lambda each: (each.meta.name != marks.budget, each.meta.name))


def _overlapping(covered: Mapping[str, tuple[Slot, ...]], service: str, place: Place) -> Iterator[Finding]:
    """Told once: of the first slot whose pods more than one covers."""
    names = next((both for slot in Slot if len(both := [name for name in covered if slot in covered[name]]) > 1), [])
    if names:
        yield warn(
            Rule.BUDGETS_OVERLAP,
            f"PodDisruptionBudgets {' and '.join(names)} cover the same pods of {service}",
            f"keep one: kubectl delete poddisruptionbudget {names[-1]} -n {place.namespace}",
        )


def _of_kind(found: Budget, marks: Marks, place: Place) -> Iterator[Finding]:
    change: dict[str, object] = {}
    if not found.plain:
        labels = marks.selector(place.target.other)
        change["selector"] = {"matchExpressions": None, "matchLabels": labels}
    if not found.minimum and found.selector:
        change |= {"maxUnavailable": None, "minAvailable": 1}
    if change:
        said = "maxUnavailable" if "maxUnavailable" in change else "matchExpressions"
        patch = json.dumps({"spec": change}, separators=(",", ":"))
        yield warn(
            Rule.BUDGET_KIND,
            f"PodDisruptionBudget {found.meta.name} has {said}: a release leaves it as it is",
            f"kubectl patch poddisruptionbudget {found.meta.name} -n {place.namespace} --type=merge -p '{patch}'",
        )


def _waiting(found: Budget, marks: Marks, place: Place) -> Iterator[Finding]:
    serving = place.live.deployment(marks.service, place.target.other)
    least = int(found.minimum) if found.minimum.isdigit() else 0
    if serving is not None and least and serving.replicas <= least:
        yield note(
            Rule.BUDGET_WAITS,
            f"PodDisruptionBudget {found.meta.name} wants {least} pods of {marks.service}, and there are "
            f"{serving.replicas}: a drain waits until a person moves one",
            enlarging(serving, least + 1, scalers=place.live.scalers, namespace=place.namespace),
        )
