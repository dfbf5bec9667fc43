"""The world of a stack on Kubernetes."""

from __future__ import annotations

from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bluegreen.domain.errors import UsageError
from bluegreen.domain.stack import after
from bluegreen.domain.values import dataclass, replace
from bluegreen.pipeline.tools import Tools
from bluegreen.platforms.kubernetes import names
from bluegreen.platforms.kubernetes.journal import KubernetesJournal
from bluegreen.platforms.kubernetes.kubeconfig import load_cluster
from bluegreen.platforms.kubernetes.lock import KubernetesLock
from bluegreen.platforms.kubernetes.pace import Pace
from bluegreen.platforms.kubernetes.platform import KubernetesPlatform
from bluegreen.platforms.kubernetes.transport import Api
from bluegreen.ports import Severity
from bluegreen.wiring.common import (
    DEFAULT_APP,
    Addresses,
    LateMetrics,
    World,
    commands_of,
    listening_clock,
    new_id,
    open_environment,
    prometheus_metrics,
    read_from,
    who,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.events import Event
    from bluegreen.domain.stack import Seconds, Service, Stack
    from bluegreen.platforms.kubernetes.posting import Afterword
    from bluegreen.platforms.kubernetes.story import Story
    from bluegreen.ports import Clock, Finding, Metrics, SteadyClock

PATIENT: Seconds = 60.0
"""How long a call of a run puts up with an API server that does not answer, within the call's own limit."""

BRIEF: Seconds = 5.0
"""The same for a command that only looks, which should say soon that nobody is there."""


LOOKING: Seconds = 30.0
"""How long a stack's objects are looked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which stack, in which namespace of which cluster, and how its pods are reached."""

    app: Path | None = None
    """None: ./bluegreen.yaml, else the built-in Alfred stack."""
    namespace: str = ""
    """Empty: the stack's name."""
    context: str = ""
    """Empty: the kubeconfig's current one."""
    direct: bool = False
    """Pods and Services are reached by their own addresses, not by way of the API server."""
    prometheus: str = ""
    """The URL of the Prometheus server that counters are read from; empty: as the app file says."""


@contextmanager
def open_world(place: Place, *, emit: Callable[[Event], None], releases: bool = False) -> Iterator[World]:
    """The world of one command. Raises AppFileError, UsageError (no cluster is named, or wrongly).

    ``releases``: the command plans and stages, so it looks further and is patient with the API server; what it will
    read counters with is opened now, for a wrong setting of it has to be told before the first write.
    """
    stack = read_from(stack_of(place.app), place.prometheus)
    cluster = load_cluster(open_environment(), context=place.context)
    clock = listening_clock()
    namespace = place.namespace or stack.name
    api = Api(cluster, clock=clock, pace=Pace(outage=PATIENT if releases else BRIEF))
    doubts: tuple[Finding, ...] = ()
    if not _is_built_in(place.app):
        stack, doubts = _found(stack, api, namespace=namespace, clock=clock, refuse=releases)
    lock = KubernetesLock(cluster, stack=stack, namespace=namespace, clock=clock, api=api)
    platform = KubernetesPlatform(
        cluster,
        api=api,
        stack=stack,
        namespace=namespace,
        clock=clock,
        direct=place.direct,
        plans=releases,
        just_taken=lock.just_taken,
        doubts=doubts,
    )

    def story() -> Story | Afterword:
        """Imported at the first event, so not before users are safe. A release is not held up by what it tells."""
        if releases:
            from bluegreen.platforms.kubernetes.story import Story

            return Story(cluster, stack=stack, namespace=namespace)
        from bluegreen.platforms.kubernetes.posting import Afterword, Post

        return Afterword(Post(api, namespace=namespace, clock=clock, seen=platform.uid), stack=stack, clock=clock)

    with api, platform, closing(lock), _telling(story, emit=emit) as told:
        metrics = LateMetrics(
            partial(_metrics, stack, platform, namespace, clock),
            at_once=releases and stack.prometheus is not None,
        )
        world = _world(api, platform, lock, metrics, stack=stack, namespace=namespace, clock=clock, emit=told)
        yield replace(world, untold=_untold(doubts))


def _untold(doubts: tuple[Finding, ...]) -> str:
    """Why it cannot be told which objects are of which slot; empty: it can."""
    if not doubts:
        return ""
    from bluegreen.domain.rules import Rule

    return "; ".join(doubt.text for doubt in doubts if doubt.rule == Rule.UNKNOWN_SLOTS)


@contextmanager
def _telling(
    make: Callable[[], Story | Afterword], *, emit: Callable[[Event], None]
) -> Iterator[Callable[[Event], None]]:
    """``emit``, and the story for ``kubectl describe``, made at the first event."""
    story: Story | Afterword | None = None

    def told(event: Event) -> None:
        nonlocal story
        if story is not None and (why := story.new_trouble()):
            from bluegreen.domain.events import Note

            emit(Note(text=f"kubectl describe does not show the rest of this run: {why}"))
        emit(event)
        if story is None:
            story = make()
        story(event)

    try:
        yield told
    finally:
        if story is not None:
            story.close()


def _world(
    api: Api,
    platform: KubernetesPlatform,
    lock: KubernetesLock,
    metrics: Metrics,
    *,
    stack: Stack,
    namespace: str,
    clock: SteadyClock,
    emit: Callable[[Event], None],
) -> World:
    addresses = tuple(_addresses(service, namespace) for service in stack.services)
    tools = Tools(
        stack=stack,
        platform=platform,
        lock=lock,
        journal=KubernetesJournal(api, stack=stack, namespace=namespace, clock=clock),
        metrics=metrics,
        commands=commands_of(stack, clock=clock, addresses=addresses),
        clock=clock,
        emit=emit,
        new_id=new_id,
        who=who(),
    )
    return World(tools=tools, addresses=addresses, tails=platform.tails)


def _addresses(service: Service, namespace: str) -> Addresses:
    def url(name: str) -> str:
        return f"http://{name}.{namespace}.svc:{service.port}"

    marks = names.marks_of(service)
    slots = tuple((slot, url(name)) for slot, name in marks.previews)
    return Addresses(service=service.name, users=url(marks.users), slots=slots)


def examine(place: Place) -> Sequence[Finding]:
    """What speaks against a release of the stack. Raises as ``open_world``, and PlatformError."""
    with open_world(place, emit=lambda _event: None) as world:
        return world.tools.platform.examine(until=world.tools.limit())


def up(place: Place, *, emit: Callable[[Event], None]) -> None:
    """Start a stack whose Deployments the pipeline owns (``ownership: pipeline``); harmless when it serves already.

    Raises UsageError for a stack that the chart starts by itself, and what pipeline.first raises.
    """
    from bluegreen.domain.events import Note
    from bluegreen.pipeline.first import first_start

    with open_world(place, emit=emit, releases=True) as world:
        tools, platform = world.tools, world.tools.platform
        assert isinstance(platform, KubernetesPlatform)  # noqa: S101 - open_world has made it
        if all(route.slot is not None for route in tools.routes()):
            emit(Note(text=f"{tools.stack.name} is up already"))
            return
        want = platform.first_spec(new_id("u"), until=tools.limit())
        if want is None:
            raise UsageError(
                "the chart owns the Deployments here, and its Services select no slot",
                mend="choose the slot that serves: bluegreen rollback --to blue",
            )
        first_start(tools, want)


def stack_of(app: Path | None) -> Stack:
    """The stack of the app file that is named, else of the folder's own, else the built-in one. Raises AppFileError."""
    if _is_built_in(app):
        from bluegreen.wiring.built_in import alfred

        return alfred()
    from bluegreen.appfile import load_app

    return load_app(app).stack


def _is_built_in(app: Path | None) -> bool:
    """Whose objects are called as the specification says: a rollback need not look for their names."""
    return app is None and not DEFAULT_APP.exists()


def _found(stack: Stack, api: Api, *, namespace: str, clock: Clock, refuse: bool) -> tuple[Stack, tuple[Finding, ...]]:
    """The stack with its objects' names as they were found, and what could not be told, or speaks against a release.

    Raises UsageError for that, when it is to be refused: a rollback goes on with what is certain. Raises PlatformError.
    """
    from bluegreen.platforms.kubernetes.finding import find

    found = find(stack, api, namespace=namespace, until=after(clock.now(), LOOKING))
    refused = [doubt for doubt in found.doubts if doubt.severity is Severity.REFUSE]
    if refused and refuse:
        raise UsageError("; ".join(doubt.text for doubt in refused), mend=refused[0].mend)
    return found.stack, found.doubts


def _metrics(stack: Stack, platform: KubernetesPlatform, namespace: str, clock: Clock) -> Metrics:
    if stack.prometheus is not None:
        return prometheus_metrics(stack, stack.prometheus, pod_label="pod", namespace=namespace, clock=clock)
    from bluegreen.metrics.scrape import ScrapeMetrics

    return ScrapeMetrics(stack, clock=clock, page=platform.asking().page)
