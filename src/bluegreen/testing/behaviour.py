"""How the pods of one image behave, and what such a pod is at any age: arithmetic, so that any instant can be asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bluegreen.domain.snapshot import Container, Running, Terminated, Waiting
from bluegreen.domain.values import dataclass, replace

if TYPE_CHECKING:
    from bluegreen.domain.stack import Seconds

BACK_OFF: Seconds = 1.0
"""Between two lives of a pod that crashes."""
TICK: Seconds = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """How the pods of one image behave. ``examples/alfred`` is bad in the same ways, for real (ALFRED_FAULT)."""

    ready_after: Seconds = 1.0
    """As a program that needs so long until its readiness path answers 200."""
    never_ready: bool = False
    """As ``never-ready``: it runs, its readiness path answers 503, and it is not started anew for that."""
    unplaced: str = ""
    """No node takes its pods, with this message. As a Deployment whose node selector fits no node."""
    crash_after: Seconds | None = None
    """Each life ends after so many seconds, with ``exit_code``; then a pause, then the next. As ``cannot-start`` and
    ``crash-after``, under supervisord or a kubelet alike: waiting, ``CrashLoopBackOff``, the last end beside it."""
    crashes: int | None = None
    """How many lives end so, before one that goes on; None: all. As a program that fails once at its start."""
    exit_code: int = 7
    missing: bool = False
    """There is no such image, told before anything is written. As a folder of images that does not hold it; a registry
    answers ErrImagePull, "not found", only after the stage."""
    errors: float = 0.0
    """Share of answers that are 500. As ``errors=PERCENT``."""
    slow: float = 0.0
    """Share of requests that take a second. As ``slow=MS`` and ``tail=MS``."""
    checks_pass: bool = True
    """False: 503 for every check. As Envoy answers with status 503, flag UH, for a slot without a ready pod."""
    bad_answers: int = 0
    """So many checks of each pod and address are answered 503 before they are good, as by a program that still warms
    up behind a readiness path that answers."""
    answer: str = ""
    """The body of its answers; a POST is answered with what it sent."""
    headers: tuple[tuple[str, str], ...] = ()
    answer_after: Seconds = 0.0
    """How long an answer takes."""
    bad_after: Seconds | None = None
    """Checks are answered 503 from that age on. As ``error-page-after``, whose checks find no content."""
    post_errors: float = 0.0
    """Share of POST answers that are 500; ``FakePlatform.post_share`` says how many those are. As ``post-errors``."""
    deaf: bool = False
    """Checks and probes are answered, and nothing that users ask: as a version that hangs at its first real work."""
    counters_last: Seconds | None = None
    """Its counters begin again from nothing each so many seconds. As ``counters-reset``, by requests."""
    late_counters: bool = False
    """Its metrics page has no such counter before the first request, as the libraries of Go, Java and Rust write it."""
    workers: int = 0
    """Processes in each pod with counters of their own, of which each look reads another one: as a server that forks
    and merges nothing. The first has half of the requests, the second half of the rest, and so on."""
    metrics_until: Seconds | None = None
    """Its metrics page has no such counter any more from that age on. As ``metrics-gone``, by requests."""
    no_metrics: bool = False
    """As a service that serves no metrics page, or another counter: the real scrape of it is a gap with its reason."""


@dataclass(slots=True, kw_only=True)
class Life:
    """What one pod is at an age."""

    ready: bool
    container: Container
    next_change: Seconds | None


def life_at(how: Behaviour, age: Seconds) -> Life:
    """What a pod of this behaviour is at this age."""
    if how.crash_after is None:
        return _alive(how, age, restarts=0, last=None)
    lives, within = divmod(age + TICK, how.crash_after + BACK_OFF)
    restarts = int(lives)
    ended = Terminated(exit_code=how.exit_code, message="its last words")
    last = ended if restarts else None
    start = round(age + TICK - within, 6)
    if how.crashes is not None and restarts >= how.crashes:
        begun = how.crashes * (how.crash_after + BACK_OFF)
        life = _alive(how, round(age - begun, 6), restarts=how.crashes, last=ended)
        return replace(life, next_change=begun + life.next_change if life.next_change is not None else None)
    if within < how.crash_after:
        life = _alive(how, within, restarts=restarts, last=last)
        change = min(life.next_change or how.crash_after, how.crash_after)
        return Life(ready=life.ready, container=life.container, next_change=start + change)
    container = Container(
        name="main",
        state=Waiting(reason="CrashLoopBackOff", message="back-off"),
        last=ended,
        restarts=restarts,
    )
    return Life(ready=False, container=container, next_change=start + how.crash_after + BACK_OFF)


def _alive(how: Behaviour, age: Seconds, *, restarts: int, last: Terminated | None) -> Life:
    if how.never_ready:
        failing = "readiness: GET /ready answered 503"
        sick = Container(name="main", last=last, restarts=restarts, failing=failing)
        return Life(ready=False, container=sick, next_change=None)
    ready = age >= how.ready_after
    container = Container(name="main", state=Running(), last=last, restarts=restarts, started=ready)
    return Life(ready=ready, container=container, next_change=None if ready else how.ready_after)
