"""Everything that speaks against any release of the stack, as ``bluegreen doctor`` tells it: nothing is written.

The rules are those of the preflight and more: a rule has one place, and who asks for it decides nothing. What depends
on a plan (room, quotas, the API server's own word on the writes) is the preflight's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.errors import NotStarted
from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import Slot
from bluegreen.domain.values import dataclass
from bluegreen.platforms.kubernetes.budget_rules import budget_findings, missing_budgets
from bluegreen.platforms.kubernetes.errors import MissingRight, Refused
from bluegreen.platforms.kubernetes.fitness import Place, fitness_findings, pods_of
from bluegreen.platforms.kubernetes.names import CHARTS, usual
from bluegreen.platforms.kubernetes.objects import budget_of
from bluegreen.platforms.kubernetes.pod_rules import pod_findings
from bluegreen.platforms.kubernetes.resources import BUDGETS
from bluegreen.platforms.kubernetes.rights import account_of, give, review
from bluegreen.platforms.kubernetes.service_rules import exposing, service_findings
from bluegreen.platforms.kubernetes.sizes import enlarging, size_findings, sizes
from bluegreen.platforms.kubernetes.standing import install, require_namespace, require_version
from bluegreen.platforms.kubernetes.verdicts import refuse, rights_not_known, warn
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.stack import Instant, Marks, Stack
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.rights import Lack
    from bluegreen.platforms.kubernetes.transport import Api


def examine(
    stack: Stack,
    *,
    look: Callable[[], Live],
    doubts: Sequence[Finding],
    api: Api,
    namespace: str,
    until: Instant,
) -> Sequence[Finding]:
    """All findings, the ones that refuse first. ``look``: reads the stack; ``doubts``: what discovery could not tell.

    Raises PlatformError: the cluster is too old or does not answer, there is no such namespace.
    """
    require_version(api, until=until)
    require_namespace(api, namespace, until=until)
    doctor = _Doctor(stack=stack, api=api, namespace=namespace, until=until)
    lacks, found = doctor.rights()
    try:
        live = look()
    except NotStarted as error:
        found = (*found, refuse(Rule.MISSING_OBJECT, str(error), error.mend))
    except MissingRight as error:
        found = (*found, refuse(Rule.MISSING_RIGHT, str(error), error.mend))
    else:
        # What is judged by slots, and mended there, would be told of the wrong objects.
        slots_known = not any(doubt.rule == Rule.UNKNOWN_SLOTS for doubt in doubts)
        found = (*found, *(doctor.of_stack(live, lacks) if slots_known else ()))
    order = list(Severity)
    return tuple(sorted(dict.fromkeys((*doubts, *found)), key=lambda finding: order.index(finding.severity)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doctor:
    """One look at everything."""

    stack: Stack
    api: Api
    namespace: str
    until: Instant

    def rights(self) -> tuple[tuple[Lack, ...], tuple[Finding, ...]]:
        """What the account lacks, and a finding for each loss."""
        try:
            lacks = review(self.api, stack=self.stack, namespace=self.namespace, until=self.until)
        except Refused as error:
            return (), (rights_not_known(error, self.namespace),)
        who = account_of(self.api, until=self.until) or "the account" if lacks else ""
        by_right: dict[int, list[Lack]] = {}
        for lack in lacks:
            by_right.setdefault(id(lack.right), []).append(lack)
        return lacks, tuple(self._lacking(each, who) for each in by_right.values())

    def _lacking(self, lacks: Sequence[Lack], who: str) -> Finding:
        right = lacks[0].right
        lost = right.lost or f"it is needed to {right.why}"
        text = f"{who} may not {', '.join(dict.fromkeys(map(str, lacks)))}: {lost}"
        return Finding(
            severity=right.lacking,
            text=text,
            mend=give(lacks, who),
            rule=str(Rule.MISSING_RIGHT),
            why=Rule.MISSING_RIGHT.why,
        )

    def of_stack(self, live: Live, lacks: Sequence[Lack]) -> Iterator[Finding]:
        """What the objects have against it."""
        place = Place(stack=self.stack, live=live, target=idle_of(live, self.stack), namespace=self.namespace)
        yield from service_findings(place)
        yield from self._missing(place)
        yield from fitness_findings(place)
        for service in self.stack.services:
            pods = pods_of(place, service)
            if pods is not None:
                yield from pod_findings(pods)
        yield from self._single(place)
        yield from self._budgets(place)
        yield from self._sizes(place, lacks)

    def _missing(self, place: Place) -> Iterator[Finding]:
        for service in self.stack.services:
            marks = place.live.marks_of(service.name)
            for slot in (place.target.other, place.target):
                if place.template(service.name, slot) is None:
                    yield refuse(
                        Rule.MISSING_OBJECT,
                        f"there is no Deployment {marks.workload(slot)}: {service.name} has nothing in {slot}",
                        self._making(marks, slot),
                    )
                if not marks.preview(slot) or place.live.service(marks.preview(slot)) is None:
                    yield self._no_preview(place, service.name, slot)

    def _making(self, marks: Marks, slot: Slot) -> str:
        if self.stack.name in CHARTS:
            return install(self.stack, self.namespace)
        return (
            f"make it as that of the other slot, with {marks.slot_label}={marks.value(slot)} in its selector and its "
            f"pods' labels: kubectl get deployment {marks.workload(slot.other)} -n {self.namespace} -o yaml"
        )

    def _no_preview(self, place: Place, name: str, slot: Slot) -> Finding:
        """Refused where services of a slot call each other by it, which a need in the app file says."""
        marks = place.live.marks_of(name)
        needed = any(need.service == name for each in self.stack.services for need in each.needs)
        return (refuse if needed else warn)(
            Rule.NO_PREVIEW,
            f"{name} has no Service of its own in {slot}",
            exposing(usual(marks, slot), slot, users=place.live.service(marks.users), marks=marks, place=place),
        )

    def _single(self, place: Place) -> Iterator[Finding]:
        for service in self.stack.services:
            serving = place.live.deployment(service.name, place.target.other)
            if serving is not None and serving.replicas == 1:
                yield warn(
                    Rule.SINGLE_REPLICA,
                    f"Deployment {serving.meta.name} has one pod",
                    enlarging(serving, 2, scalers=place.live.scalers, namespace=self.namespace),
                )

    def _budgets(self, place: Place) -> Iterator[Finding]:
        try:
            items = self.api.list(BUDGETS.all(self.namespace), at_least="0", until=self.until).items
        except MissingRight:
            return  # told with the rights
        budgets = tuple(map(budget_of, items))
        yield from missing_budgets(place, budgets)
        yield from budget_findings(place, budgets)

    def _sizes(self, place: Place, lacks: Sequence[Lack]) -> Iterator[Finding]:
        may_patch = not any((lack.verb, lack.right.plural) == ("patch", "horizontalpodautoscalers") for lack in lacks)
        found = sizes(self.stack, place.live, active=place.target.other, scalers=place.live.scalers)
        yield from size_findings(found, namespace=self.namespace, may_patch=may_patch)


def idle_of(live: Live, stack: Stack) -> Slot:
    """The slot that a release would change: not the one that Services name. They name none, or both: green, unless
    that alone has pods.
    """
    marks = [live.marks_of(name) for name in stack.names]
    users = [(one, found) for one in marks if (found := live.service(one.users)) is not None]
    slots = {slot for one, found in users if (slot := one.slot_named(dict(found.selector))) is not None}
    if len(slots) == 1:
        return slots.pop().other
    return Slot.BLUE if not slots and _is_up(live, stack, Slot.GREEN) > _is_up(live, stack, Slot.BLUE) else Slot.GREEN


def _is_up(live: Live, stack: Stack, slot: Slot) -> bool:
    """Whether each service has a ready pod there."""
    found = [live.deployment(name, slot) for name in stack.names]
    return all(each is not None and each.ready for each in found)
