"""A whole release in memory and virtual time: the real pipeline over the fakes."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import Options
from bluegreen.domain.stack import MetricNames, Need, Probe, Probes, Prometheus, Service, Slot, Stack
from bluegreen.metrics.prometheus import PrometheusMetrics
from bluegreen.pipeline.release import release
from bluegreen.pipeline.rollback import rollback
from bluegreen.pipeline.tools import Tools
from bluegreen.testing.clock import FakeClock
from bluegreen.testing.commands import FakeCommands
from bluegreen.testing.platform import FakePlatform
from bluegreen.testing.prometheus import FakePrometheus
from bluegreen.testing.store import FakeJournal, FakeLock, LockState

if TYPE_CHECKING:
    from bluegreen.domain.errors import ExitCode
    from bluegreen.domain.events import Event
    from bluegreen.domain.release import Run
    from bluegreen.domain.stack import Seconds
    from bluegreen.ports import Metrics


def example_stack(*, metered: bool = True) -> Stack:
    """Two coupled services: ``pair-back`` and ``pair-front``, which calls it."""
    metrics = MetricNames(requests="requests_total", overhead="overhead_ms") if metered else None
    back = Service(name="pair-back", image="team/back", port=8000, probes=_probes("/health"))
    front = Service(
        name="pair-front",
        image="team/front",
        port=8080,
        probes=_probes("/ready"),
        needs=(Need(service="pair-back", variable="BACK_URL"),),
        metrics=metrics,
    )
    return Stack(name="pair", services=(back, front))


def _probes(path: str) -> Probes:
    return Probes(
        startup=Probe(path=path, period=3.0, failures=30),
        readiness=Probe(path=path, period=5.0),
        liveness=Probe(path=path, period=10.0),
    )


class Rehearsal:
    """The fakes wired to the pipeline, with everything that it told in ``events``."""

    def __init__(self, stack: Stack | None = None, *, rate: float = 100.0) -> None:
        """Both slots hold ``v1``; blue serves ``rate`` requests a second and service."""
        self.stack = stack or example_stack()
        self.clock = FakeClock()
        self.lock_state = LockState()
        self.journal = FakeJournal()
        self.commands = FakeCommands(self.clock)
        self.events: list[Event] = []
        self._ids = count(1)
        self._metrics: Metrics | None = None
        images = [(service.name, self.image(service.name, "v1")) for service in self.stack.services]
        self.platform = FakePlatform(self.stack, clock=self.clock, lock=self.lock_state, images=images, rate=rate)

    def scraped_by(self, *, interval: Seconds = 1.0) -> FakePrometheus:
        """From now on the counters are read from a Prometheus server that scrapes so often."""
        server = FakePrometheus(self.platform, clock=self.clock, interval=interval)
        source = Prometheus(url=server.name, pod_label="pod")
        self._metrics = PrometheusMetrics(self.stack, source, server, clock=self.clock)
        return server

    def image(self, service: str, tag: str) -> ImageReference:
        """The service's image with this tag."""
        return ImageReference.parse(f"{self.stack.service(service).image}:{tag}")

    def tools(self, *, who: str = "ann") -> Tools:
        """Tools of one process; several may share the stack."""
        platform = self.platform.session()
        return Tools(
            stack=self.stack,
            platform=platform,
            lock=FakeLock(self.lock_state, clock=self.clock),
            journal=self.journal,
            metrics=self._metrics or platform,
            commands=self.commands,
            clock=self.clock,
            emit=self.events.append,
            new_id=lambda letters: f"{letters}-{next(self._ids)}",
            who=who,
        )

    def deploy(self, tag: str = "v2", *, options: Options | None = None, dry_run: bool = False) -> ExitCode:
        """Release this tag of every service."""
        images = {service.name: self.image(service.name, tag) for service in self.stack.services}
        return release(self.tools(), images=images, options=options or Options(), dry_run=dry_run)

    def deploy_one(self, service: str, tag: str) -> ExitCode:
        """Release this tag of one service; the others' images are carried over."""
        return release(self.tools(), images={service: self.image(service, tag)}, options=Options())

    def rollback(self, *, to: Slot | None = None, cold: bool = False, reason: str = "") -> ExitCode:
        """Roll back by hand, as another person."""
        return rollback(self.tools(who="bob"), to=to, cold=cold, reason=reason)

    def die(self) -> None:
        """What is left of the lock when the process that holds it is killed."""
        self.lock_state.die(now=self.clock.now())

    @property
    def routes(self) -> tuple[Slot | None, ...]:
        """Where each service's users go."""
        return tuple(route.slot for route in self.platform.snapshot(until=self.clock.now()).routes)

    def tags(self, slot: Slot) -> tuple[str, ...]:
        """What each service runs in the slot."""
        found = self.platform.snapshot(until=self.clock.now()).slot_workloads(slot)
        return tuple(work.image.tag if work.image is not None and work.replicas else "" for work in found)

    def last_run(self) -> Run:
        """The newest run's fold."""
        return next(self.tools().runs())
