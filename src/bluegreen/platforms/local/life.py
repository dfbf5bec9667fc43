"""One replica as the agent knows it: its process, its health, how often it was started again. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.snapshot import Container, Pod, Running, Terminated, Waiting, Windows
from bluegreen.domain.values import dataclass
from bluegreen.platforms.local.addresses import ADDRESS
from bluegreen.platforms.local.probes import newborn

if TYPE_CHECKING:
    from bluegreen.domain.snapshot import ContainerState
    from bluegreen.domain.stack import Instant, Service
    from bluegreen.platforms.local.probes import Health
    from bluegreen.platforms.local.store import Replica


@dataclass(slots=True, kw_only=True)
class Life:
    """The replica of one pod identity. ``pid`` 0: it has no process now."""

    replica: Replica
    service: Service
    pid: int = 0
    starts: int = 0
    health: Health | None = None
    last: Terminated | None = None
    condemned: str = ""
    """Why its process was told to end."""
    condemned_by: str = ""
    """The probe for whose failures a process of it was told to end last; empty: none was."""

    def begin(self, pid: int, *, now: Instant) -> None:
        """A process was started for it."""
        self.pid = pid
        self.starts += 1
        self.health = newborn(now)
        self.condemned = ""

    def end(self, *, exit_code: int, message: str) -> None:
        """Its process ended."""
        self.pid = 0
        self.health = None
        self.last = Terminated(exit_code=exit_code, message=self.condemned or message)

    def condemn(self) -> None:
        """Its process is beyond hope, by one of its probes."""
        why = self.health.hopeless if self.health is not None else ""
        self.condemned, self.condemned_by = why, why.partition(":")[0]

    def differs(self, pid: int, *, since: int) -> bool:
        """Whether another process of it runs (``pid`` 0: none) than is known here, by an answer of supervisord's.

        ``since``: the process that was known when supervisord was asked. Where another is known by now, the log has
        told meanwhile what became of it, and the answer is the older news.
        """
        return self.pid == since and self.pid != pid

    @property
    def restarts(self) -> int:
        """Starts after the first."""
        return max(0, self.starts - 1)

    def pod(self, *, image_problem: str) -> Pod:
        """What the agent tells of it. ``image_problem``: why it could not be started, if that is so."""
        health = self.health
        container = Container(
            name=self.replica.service,
            state=self._state(image_problem),
            last=self.last,
            restarts=self.restarts,
            started=health is not None and health.started,
            failing=self.condemned or (health.failing if health is not None else ""),
            windows=Windows.of(self.service.probed),
            condemned=self.condemned_by,
        )
        return Pod(
            name=self.replica.pod,
            service=self.replica.service,
            slot=self.replica.slot,
            revision=self.replica.revision,
            ready=health is not None and health.ready and not self.condemned,
            containers=(container,),
            address=f"{ADDRESS}:{self.replica.port}",
        )

    def _state(self, image_problem: str) -> ContainerState:
        if self.pid:
            return Running()
        if image_problem:
            return Waiting(reason="ErrImagePull", message=image_problem)
        if self.last is not None:
            return Waiting(reason="CrashLoopBackOff", message="it is started again after a growing pause")
        return Waiting(reason="ContainerCreating")
