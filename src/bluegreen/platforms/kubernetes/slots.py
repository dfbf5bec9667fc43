"""Writing Deployments: what a stage makes of a slot, and how a slot is ended.

Every write tests the generation that was judged, so a Deployment that somebody else has changed meanwhile is read and
judged again. A slot is ended dependents first, each service gone before the next one is asked to go, and never before
the slices of the users' Services have forgotten it, nor when somebody has brought users back to it meanwhile.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from bluegreen.domain.errors import DeadlineExceeded, Held, PlatformError
from bluegreen.domain.stack import after
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.errors import AlreadyExists, Conflict, MissingRight, NotFound
from bluegreen.platforms.kubernetes.node import Node
from bluegreen.platforms.kubernetes.objects import deployment_of, pod_of
from bluegreen.platforms.kubernetes.picture import settings_of
from bluegreen.platforms.kubernetes.resources import DEPLOYMENTS, POD_TEMPLATES, PODS, REPLICA_SETS
from bluegreen.platforms.kubernetes.scalers import Scalers
from bluegreen.platforms.kubernetes.stage_patch import stage_patch, unchanged
from bluegreen.platforms.kubernetes.templates import for_slot, released, template_of
from bluegreen.ports import EndedSlot

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.plan import SlotSpec, WorkloadSpec
    from bluegreen.domain.snapshot import Template
    from bluegreen.domain.stack import Instant, Marks, Seconds, Service, Slot, Stack
    from bluegreen.platforms.kubernetes.live import Live
    from bluegreen.platforms.kubernetes.looking import Sight
    from bluegreen.platforms.kubernetes.node import Json
    from bluegreen.platforms.kubernetes.objects import Deployment, Labels
    from bluegreen.platforms.kubernetes.transport import Api
    from bluegreen.ports import Clock, Grip

_TRIES = 5
_STUCK: Seconds = 10.0
"""Beyond its grace a pod that is not gone is on a node that does not answer: nobody reaches it any more."""


class WaitFor(Protocol):
    """How a write waits for what it has asked for (platform.py)."""

    def __call__(self, done: Callable[[Live], bool], *, grip: Grip, until: Instant) -> None:
        """Return when it is so. Raises DeadlineExceeded, Interrupted, LostLock."""


class Slots:
    """Writes one stack's Deployments."""

    def __init__(
        self,
        api: Api,
        *,
        stack: Stack,
        namespace: str,
        clock: Clock,
        sight: Sight,
        wait_for: WaitFor,
        leave: Callable[[Slot, Instant], None],
    ) -> None:
        """``sight`` is told what was written, so that it never shows what was there before.

        ``leave`` raises Held when users are on the slot.
        """
        self._api = api
        self._stack = stack
        self._namespace = namespace
        self._clock = clock
        self._sight = sight
        self._wait_for = wait_for
        self._leave = leave
        self._marks = names.marks_of_all(stack)
        self._scalers = Scalers(api, stack=stack, namespace=namespace)

    # --- ending ---------------------------------------------------------------------------------------------------

    def end(self, slot: Slot, *, order: Sequence[str], grip: Grip, until: Instant) -> EndedSlot:
        """End the services of the slot in this order; those that hold nothing are left out."""
        ended = []
        for service in order:
            self._leave(slot, until)  # the one before may have drained for a minute
            self._wait_unrouted(slot, grip=grip, until=until)
            if self._end(service, slot, grip=grip, until=until):
                ended.append(service)
        return EndedSlot(services=tuple(ended))

    def _wait_unrouted(self, slot: Slot, *, grip: Grip, until: Instant) -> None:
        """No slice of a Service that users call may hold a pod of the slot: a node's proxy would still send to it."""

        def unrouted(live: Live) -> bool:
            mine = {pod.meta.name for pod in live.pods if self._is_in(slot, pod.meta.labels)}
            ends = (end for one in self._marks for each in live.slices_of(one.users) for end in each.endpoints)
            return not any(end.pod in mine for end in ends)

        self._wait_for(unrouted, grip=grip, until=until)

    def _is_in(self, slot: Slot, labels: Labels) -> bool:
        found = dict(labels)
        return any(marks.slot_named(found) is slot for marks in self._marks if marks.holds(found))

    def _of(self, service: str) -> Marks:
        return names.marks_of(self._stack.service(service))

    def _end(self, service: str, slot: Slot, *, grip: Grip, until: Instant) -> bool:
        """Whether there was anything to end."""
        found = self._deployment(service, slot, until=until)
        if found is None or (found.replicas == 0 and not self._pods(service, slot, until=until)):
            return False
        gone = _Gone(self._scale(found, replicas=0, until=until), self._of(service).selector(slot))
        grace = max(self._stack.service(service).grace, found.grace)
        over = after(self._clock.now(), grace + _STUCK)
        with self._unless_stuck(over, until=until):
            self._wait_for(gone, grip=grip, until=min(over, until))
            while self._pods(service, slot, until=until):  # the watch may not have seen the youngest
                self._wait_for(gone, grip=grip, until=min(over, until))
        return True

    @contextmanager
    def _unless_stuck(self, over: Instant, *, until: Instant) -> Iterator[None]:
        """A pod that outlives its grace holds up nobody; the call's own limit still does."""
        try:
            yield
        except DeadlineExceeded:
            if until <= over:
                raise

    def _scale(self, found: Deployment, *, replicas: int, until: Instant) -> Deployment:
        def patch(live: Deployment) -> Sequence[Json]:
            return (*unchanged(live), {"op": "add", "path": "/spec/replicas", "value": replicas})

        return self._patched(found, patch, until=until)

    def _pods(self, service: str, slot: Slot, *, until: Instant) -> bool:
        """Whether a pod of the service is left in the slot."""
        labels = ",".join(f"{name}={value}" for name, value in self._of(service).selector(slot).items())
        listing = self._api.list(PODS.all(self._namespace), labels=labels, until=until)
        return any(not pod_of(item).over for item in listing.items)

    # --- staging --------------------------------------------------------------------------------------------------

    def put(self, want: SlotSpec, *, live: Live, until: Instant) -> None:
        """Make each Deployment of the slot what the spec says. They hold no pod now."""
        for spec in want.workloads:
            self._put(spec, want.slot, release=want.revision, live=live, until=until)

    def _put(self, spec: WorkloadSpec, slot: Slot, *, release: str, live: Live, until: Instant) -> None:
        self._scalers.hold(self._of(spec.service).workload(slot), spec.replicas, until=until)
        found = self._deployment(spec.service, slot, until=until)
        if found is None:
            self._create(spec, slot, release=release, until=until)
            return
        self._patched(found, self._change(found, spec, slot, release=release, live=live, until=until), until=until)

    def rehearse(self, spec: WorkloadSpec, slot: Slot, *, release: str, live: Live, until: Instant) -> None:
        """Send what ``put`` would write, as a dry run. Raises what the API server says to it; Conflict among that."""
        found = self._deployment(spec.service, slot, until=until)
        if found is None:
            body = self._new(spec, slot, release=release, until=until)
            self._api.create(DEPLOYMENTS.all(self._namespace), body, until=until, dry_run=True)
            return
        change = self._change(found, spec, slot, release=release, live=live, until=until)
        path = DEPLOYMENTS.one(self._namespace, found.meta.name)
        self._api.json_patch(path, change(found), until=until, dry_run=True)

    def _change(
        self, found: Deployment, spec: WorkloadSpec, slot: Slot, *, release: str, live: Live, until: Instant
    ) -> Callable[[Deployment], Sequence[Json]]:
        """What makes the Deployment what the spec says: the one patch, or the whole template where settings change."""
        service = self._stack.service(spec.service)
        whole = None
        if settings_of(live, self._stack, service, slot) != spec.template:
            whole = self._whole(found, spec, service, slot, key=live.services[0].meta.uid, until=until)

        def patch(now: Deployment) -> Sequence[Json]:
            ops = stage_patch(now, service=service, image=spec.image, replicas=spec.replicas, release=release)
            if whole is None:
                return ops
            template = released(whole, service=service, image=str(spec.image), release=release)
            return (*unchanged(now), {"op": "replace", "path": "/spec/template", "value": template}, ops[-1])

        return patch

    def _whole(
        self, found: Deployment, spec: WorkloadSpec, service: Service, slot: Slot, *, key: str, until: Instant
    ) -> Json:
        """The pod template with these settings: the chart's own, or one that the Deployment had before."""
        chart = self._chart_template(service.name, slot, until=until)
        known: list[Json] = [] if chart is None else [chart]
        for template in known + self._old_templates(found, until=until):
            if self._settings(template, service, slot, key=key) == spec.template:
                return template
        raise PlatformError(
            f"the settings that {found.meta.name} had are no longer known to the cluster",
            mend=f"kubectl rollout history deployment/{found.meta.name} -n {self._namespace} shows which are; "
            "deploy the version again with the settings of now",
        )

    def _settings(self, template: Json, service: Service, slot: Slot, *, key: str) -> Template:
        return template_of(template, service=service, slot=slot, stack=self._marks, key=key)

    def _old_templates(self, found: Deployment, *, until: Instant) -> list[Json]:
        """Those of the Deployment's ReplicaSets, the newest first: what ``kubectl rollout undo`` goes back to."""
        labels = ",".join(f"{name}={value}" for name, value in found.selector)
        items = self._api.list(REPLICA_SETS.all(self._namespace), labels=labels, until=until).items
        mine = [item for item in map(Node, items) if _owner(item) == found.meta.uid]
        mine.sort(key=lambda item: item.at("metadata", "creationTimestamp").text(), reverse=True)
        return [item.at("spec", "template").mapping() for item in mine]

    def _chart_template(self, service: str, slot: Slot, *, until: Instant) -> Json | None:
        found = self.pod_template(service, until=until)
        return None if found is None else for_slot(found.at("template").mapping(), slot, self._of(service))

    def pod_template(self, service: str, *, until: Instant) -> Node | None:
        """The chart's PodTemplate of the service; None: the chart owns the Deployments, or it is not ours to see."""
        try:
            return Node(self._api.get(POD_TEMPLATES.one(self._namespace, service), until=until))
        except (NotFound, MissingRight):
            return None

    def _create(self, spec: WorkloadSpec, slot: Slot, *, release: str, until: Instant) -> None:
        """Make the Deployment from the chart's PodTemplate, which then owns it: uninstalling collects both."""
        body = self._new(spec, slot, release=release, until=until)
        try:
            made = deployment_of(self._api.create(DEPLOYMENTS.all(self._namespace), body, until=until))
            self._sight.wrote(DEPLOYMENTS, made.meta.version)
        except AlreadyExists:
            return  # our own first try, whose answer was lost: the name is only ours

    def _new(self, spec: WorkloadSpec, slot: Slot, *, release: str, until: Instant) -> Json:
        chart = self.pod_template(spec.service, until=until)
        if chart is None:
            raise PlatformError(
                f"there is no Deployment {self._of(spec.service).workload(slot)}, and no PodTemplate to make it from",
                mend="helm upgrade makes whole what the chart owns",
            )
        return self._body(chart, spec, slot, release=release)

    def _body(self, chart: Node, spec: WorkloadSpec, slot: Slot, *, release: str) -> Json:
        service, marks = self._stack.service(spec.service), self._of(spec.service)
        template = for_slot(chart.at("template").mapping(), slot, marks)
        labels = marks.selector(slot)
        return {
            "metadata": {
                "name": marks.workload(slot),
                "labels": {**Node(template).at("metadata", "labels").pairs(), **labels},
                "ownerReferences": [
                    {
                        "apiVersion": "v1",
                        "kind": "PodTemplate",
                        "name": chart.at("metadata", "name").text(),
                        "uid": chart.at("metadata", "uid").text(),
                    }
                ],
            },
            "spec": {
                "replicas": spec.replicas,
                "revisionHistoryLimit": 10,
                "selector": {"matchLabels": labels},
                "template": released(template, service=service, image=str(spec.image), release=release),
            },
        }

    # --- one Deployment -------------------------------------------------------------------------------------------

    def _deployment(self, service: str, slot: Slot, *, until: Instant) -> Deployment | None:
        try:
            path = DEPLOYMENTS.one(self._namespace, self._of(service).workload(slot))
            return deployment_of(self._api.get(path, until=until))
        except NotFound:
            return None

    def _patched(
        self, found: Deployment, patch: Callable[[Deployment], Sequence[Json]], *, until: Instant
    ) -> Deployment:
        """Write it from the generation that was judged; read and judge again when it is another by now."""
        path = DEPLOYMENTS.one(self._namespace, found.meta.name)
        for _ in range(_TRIES):
            try:
                written = deployment_of(self._api.json_patch(path, patch(found), until=until))
            except Conflict:
                found = deployment_of(self._api.get(path, until=until))
            else:
                self._sight.wrote(DEPLOYMENTS, written.meta.version)
                return written
        raise Held(
            f"the Deployment {found.meta.name} was changed by somebody else {_TRIES} times in a row",
            mend=f"find out who writes it: kubectl get deployment {found.meta.name} -n {self._namespace} "
            "--show-managed-fields -o yaml",
        )


class _Gone:
    """Whether the controller has seen the Deployment at nothing, and no pod of it is left.

    Nor its word that pods could not be made, for a Deployment has it from its old ReplicaSets until they have followed:
    it would be taken for a word about what is staged next.
    """

    def __init__(self, wanted: Deployment, labels: dict[str, str]) -> None:
        self._wanted = wanted
        self._labels = labels.items()

    def __call__(self, live: Live) -> bool:
        """As of these objects."""
        found = next((each for each in live.deployments if each.meta.uid == self._wanted.meta.uid), None)
        if found is not None and not self._is_empty(found):
            return False
        return not any(self._is_mine(pod.meta.labels) for pod in live.pods if not pod.over)

    def _is_empty(self, found: Deployment) -> bool:
        stale = found.refused and not found.paused  # of a paused one the word stays
        return found.observed >= self._wanted.meta.generation and not found.current and not stale

    def _is_mine(self, labels: Labels) -> bool:
        return self._labels <= dict(labels).items()


def _owner(item: Node) -> str:
    owners = item.at("metadata", "ownerReferences").items()
    return next((owner.at("uid").text() for owner in owners if owner.at("controller").flag()), "")
