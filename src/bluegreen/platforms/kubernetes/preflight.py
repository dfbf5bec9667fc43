"""What speaks against a plan on this cluster, looked for before anything is written.

Whether the platform is fit is an error at once: too old, a right missing. What is wrong with this stack or this plan is
a finding. What cannot be known is said, and never counts as good or bad.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from bluegreen.domain.errors import DeadlineExceeded, PlatformError
from bluegreen.domain.rules import Rule
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass, replace
from bluegreen.platforms.kubernetes.budget_rules import missing_budgets
from bluegreen.platforms.kubernetes.errors import Conflict, MissingRight, Refused
from bluegreen.platforms.kubernetes.fitness import Place, fitness_findings
from bluegreen.platforms.kubernetes.looking import listed
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.objects import budget_of, deployment_of
from bluegreen.platforms.kubernetes.quota import quota_findings
from bluegreen.platforms.kubernetes.resources import (
    BUDGETS,
    DEPLOYMENTS,
    NODES,
    PODS,
    QUOTAS,
    SCALERS,
    SERVICES,
)
from bluegreen.platforms.kubernetes.rights import account_of, give, review, told
from bluegreen.platforms.kubernetes.room import Need, machines_of, no_room
from bluegreen.platforms.kubernetes.service_rules import service_findings
from bluegreen.platforms.kubernetes.sizes import size_findings, sizes
from bluegreen.platforms.kubernetes.stage_patch import escaped
from bluegreen.platforms.kubernetes.standing import install, require_namespace, require_standing, require_version
from bluegreen.platforms.kubernetes.verdicts import refuse, rights_not_known
from bluegreen.ports import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.plan import Plan, WorkloadSpec
    from bluegreen.domain.stack import Instant, Seconds, Stack
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Deployment
    from bluegreen.platforms.kubernetes.resources import Resource
    from bluegreen.platforms.kubernetes.rights import Lack
    from bluegreen.platforms.kubernetes.transport import Api
    from bluegreen.ports import Clock

_LOOKING: Seconds = 10.0
"""The longest that all pods of a large cluster are waited for: their room is worth no more than that."""
_MOMENT: Seconds = 1.0
"""Controllers need a fraction of that."""
_PROXIES = frozenset({"pods/proxy", "services/proxy"})


def findings(
    plan: Plan,
    *,
    live: Live,
    api: Api,
    namespace: str,
    stack: Stack,
    clock: Clock,
    until: Instant,
    rehearse: Callable[[WorkloadSpec], None],
    direct: bool = False,
) -> Sequence[Finding]:
    """All of them, the ones that refuse first. ``direct``: pods are not asked through the API server.

    ``rehearse``: writes what a stage would make of the service, as a dry run; raises what the API server says to it.
    Raises PlatformError: the cluster is too old, a right that nothing can replace is missing, nobody answers.
    """
    require_version(api, until=until)
    place = Place(stack=stack, live=live, target=plan.target, namespace=namespace)
    look = _Look(plan=plan, place=place, api=api, clock=clock, until=until)
    lacks, said = look.rights(direct=direct)
    require_namespace(api, namespace, until=until)
    require_standing(live, stack=stack, namespace=namespace)
    found = [
        *said,
        *look.missing(),
        *service_findings(place),
        *fitness_findings(look.after_controllers()),
        *look.budgets(),
        *look.sizes(lacks),
        *look.quotas(),
        *look.room(lacks),
    ]
    if not any(finding.severity is Severity.REFUSE for finding in found):
        found += look.rehearsed(rehearse)
    order = list(Severity)
    return tuple(sorted(found, key=lambda finding: order.index(finding.severity)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """One look at everything."""

    plan: Plan
    place: Place
    api: Api
    clock: Clock
    until: Instant

    @property
    def live(self) -> Live:
        return self.place.live

    @property
    def stack(self) -> Stack:
        return self.place.stack

    @property
    def namespace(self) -> str:
        return self.place.namespace

    # --- rights ---------------------------------------------------------------------------------------------------

    def rights(self, *, direct: bool) -> tuple[tuple[Lack, ...], tuple[Finding, ...]]:
        """What is missing, and what is lost by it. Raises PlatformError for what a release cannot do without."""
        try:
            lacks = review(self.api, stack=self.stack, namespace=self.namespace, until=self.until)
        except Refused as error:
            return (), (rights_not_known(error, self.namespace),)
        needed = [lack for lack in lacks if lack.right.lacking is Severity.REFUSE]
        if needed:
            account = account_of(self.api, until=self.until)
            raise PlatformError(_without(needed, account=account, namespace=self.namespace), mend=give(needed))
        left = [lack for lack in lacks if not (direct and lack.right.resource in _PROXIES)]
        by_loss = {(lack.right.lacking, lack.right.lost): lack for lack in reversed(left)}
        said = (
            Finding(severity=severity, text=f"without the right to {lack}: {lost}", mend=give([lack]))
            for (severity, lost), lack in reversed(by_loss.items())
        )
        return lacks, tuple(said)

    # --- the objects themselves -----------------------------------------------------------------------------------

    def after_controllers(self) -> Place:
        """The stack's objects, when the controllers have had a moment to see the last change of what serves.

        An autoscaler changes its size at any time: that is no rollout.
        """
        serving = [self.live.deployment(service, self.plan.active) for service in self.stack.names]
        behind = [found for found in serving if found is not None and found.observed < found.meta.generation]
        if not behind:
            return self.place
        self.clock.wait(until=min(self.until, after(self.clock.now(), _MOMENT)))
        fresh = {found.meta.uid: self._again(found) for found in behind}
        deployments = tuple(fresh.get(found.meta.uid, found) for found in self.live.deployments)
        return replace(self.place, live=replace(self.live, deployments=deployments))

    def _again(self, found: Deployment) -> Deployment:
        return deployment_of(self.api.get(DEPLOYMENTS.one(self.namespace, found.meta.name), until=self.until))

    # --- what is not there ----------------------------------------------------------------------------------------

    def missing(self) -> Iterator[Finding]:
        """Deployments that are not there, and that nothing says how to make."""
        for slot in (self.plan.target, self.plan.active):
            for service in self.stack.names:
                if self.place.template(service, slot) is None:
                    name = self.place.workload(service, slot)
                    yield refuse(
                        Rule.MISSING_OBJECT,
                        f"there is no Deployment {name} in namespace {self.namespace}",
                        install(self.stack, self.namespace),
                    )

    def budgets(self) -> Iterator[Finding]:
        """A service without a budget may be evicted whole."""
        items = self.api.list(BUDGETS.all(self.namespace), until=self.until).items
        yield from missing_budgets(self.place, tuple(map(budget_of, items)))

    # --- size and room --------------------------------------------------------------------------------------------

    def sizes(self, lacks: Sequence[Lack]) -> Iterator[Finding]:
        """What the autoscalers of the idle slot have against its size."""
        if _lacks(lacks, "list", SCALERS):
            return
        found = sizes(self.stack, self.live, active=self.plan.active, scalers=self.live.scalers)
        may_patch = not _lacks(lacks, "patch", SCALERS)
        yield from size_findings(found, namespace=self.namespace, may_patch=may_patch)

    def quotas(self) -> Iterator[Finding]:
        """Whether the namespace may hold both slots; the idle one's pods of today go first."""
        quotas = listed(self.api, QUOTAS, namespace=self.namespace, until=self.until)
        if quotas:
            yield from quota_findings(quotas, needs=self._coming(), freed=self._going(), namespace=self.namespace)

    def _coming(self) -> tuple[Need, ...]:
        """The pods that a stage adds."""
        needs = []
        for spec in self.plan.want.workloads:
            template = self.place.template(spec.service, self.plan.target)
            if template is not None:
                needs.append(Need(service=spec.service, pods=spec.replicas, spec=Node(template).at("spec")))
        return tuple(needs)

    def _going(self) -> tuple[Need, ...]:
        """The pods that a stage ends before."""
        there = (self.live.deployment(service, self.plan.target) for service in self.stack.names)
        return tuple(
            Need(service=found.meta.name, pods=found.current, spec=Node(found.template).at("spec"))
            for found in there
            if found is not None
        )

    def room(self, lacks: Sequence[Lack]) -> Iterator[Finding]:
        """Whether the nodes have room for the slot."""
        if _lacks(lacks, "list", NODES) or any(lack.right.everywhere for lack in lacks):
            return
        try:
            nodes, pods = self._everywhere()
        except (PlatformError, DeadlineExceeded) as error:
            text = f"whether the nodes have room for {self.plan.target} is not known: {error}"
            yield Finding(severity=Severity.NOTE, text=text)
            return
        machines = machines_of(nodes, pods, gone=self._leaving())
        found = no_room(self._coming(), machines)
        if found is not None:
            yield Finding(
                severity=Severity.REFUSE if found.certain else Severity.WARN,
                text=f"{self.plan.target} beside {self.plan.active} does not fit the cluster: {found.why}",
                mend="make room or add a node; kubectl describe nodes shows what is taken",
            )

    def _everywhere(self) -> tuple[tuple[Json, ...], tuple[Json, ...]]:
        """All nodes and pods, as the API server has them at hand: in a large cluster an exact list costs it much."""
        until = min(self.until, after(self.clock.now(), _LOOKING))
        nodes = self.api.list(NODES.all(""), at_least="0", until=until).items
        unended = "status.phase!=Succeeded,status.phase!=Failed"
        return nodes, self.api.list(PODS.all(""), fields=unended, at_least="0", until=until).items

    def _leaving(self) -> Iterator[str]:
        """The pods of the slot that is staged over."""
        for pod in self.live.pods:
            labels = dict(pod.meta.labels)
            mine = (self.live.marks_of(service) for service in self.stack.names)
            if any(marks.holds(labels) and marks.slot_named(labels) is self.plan.target for marks in mine):
                yield pod.meta.uid

    # --- the very writes, dry -------------------------------------------------------------------------------------

    def rehearsed(self, rehearse: Callable[[WorkloadSpec], None]) -> Iterator[Finding]:
        """What the API server, its quotas and its admission say of the writes that a release makes."""
        for spec in self.plan.want.workloads:
            yield from self._staged(spec, rehearse)
            yield from self._routed(spec.service)

    def _staged(self, spec: WorkloadSpec, rehearse: Callable[[WorkloadSpec], None]) -> Iterator[Finding]:
        name = self.place.workload(spec.service, self.plan.target)
        try:
            with suppress(Conflict):  # since it was read
                rehearse(spec)
                return
            rehearse(spec)
        except Conflict:
            yield Finding(
                severity=Severity.WARN,
                text=f"Deployment {name} is being changed by somebody else just now",
                mend=f"see who it is: kubectl get deployment {name} -n {self.namespace} -o yaml --show-managed-fields",
            )
        except Refused as error:
            yield _refusal(error, f"Deployment {name}")

    def _routed(self, service: str) -> Iterator[Finding]:
        marks = self.live.marks_of(service)
        there = self.live.service(marks.users)
        if there is None:
            return
        ops: tuple[Json, ...] = (
            {"op": "test", "path": "/metadata/uid", "value": there.meta.uid},
            {
                "op": "replace",
                "path": f"/spec/selector/{escaped(marks.slot_label)}",
                "value": marks.value(self.plan.target),
            },
        )
        try:
            self.api.json_patch(SERVICES.one(self.namespace, marks.users), ops, until=self.until, dry_run=True)
        except Conflict:
            return  # it was made anew meanwhile: the switch judges it again anyway
        except Refused as error:
            yield _refusal(error, f"Service {marks.users}")


def _lacks(lacks: Sequence[Lack], verb: str, resource: Resource) -> bool:
    return any((lack.verb, lack.right.plural) == (verb, resource.plural) for lack in lacks)


def _without(needed: Sequence[Lack], *, account: str, namespace: str) -> str:
    what = "a right" if len(needed) == 1 else f"{len(needed)} rights"
    return f"{account or 'the account'} lacks {what} in namespace {namespace}: {told(needed)}"


def _refusal(error: Refused, what: str) -> Finding:
    """Of a dry run. A right that is missing is no matter of the plan."""
    if isinstance(error, MissingRight):
        raise error
    said = error.status.message or error.status.reason
    if error.status.code == 400 and "dry run" in said:
        text = f"whether the cluster would take the change of {what} is not known: {said}"
        return Finding(severity=Severity.NOTE, text=text)
    return Finding(
        severity=Severity.REFUSE,
        text=f"the cluster would refuse the change of {what}: {said} ({error.status.code})",
        mend="mend what it says, or ask whoever made the rule",
    )
