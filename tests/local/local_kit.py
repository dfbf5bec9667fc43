"""A small stack of real processes for the tests of the local platform, and its certain end.

Two services, each a server of the standard library: a gateway that needs a backend. What a version does wrong is in the
file ``behaviour`` of its image. On SIGTERM the server serves on for a moment, asks clients to leave, and goes; a
``hasty`` one goes at once.
"""

from __future__ import annotations

import contextlib
import http.client
import os
import shutil
import signal
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import psutil

from bluegreen.clock import SystemClock
from bluegreen.domain.errors import DeadlineExceeded
from bluegreen.domain.image import ImageReference
from bluegreen.domain.plan import SlotSpec, WorkloadSpec
from bluegreen.domain.release import RunKind
from bluegreen.domain.routing import Move
from bluegreen.domain.stack import Instant, MetricNames, Need, Probe, Probes, Service, Slot, Stack, after
from bluegreen.platforms.local import envoy_run, processes
from bluegreen.platforms.local.control import Asked, Up, down, up
from bluegreen.platforms.local.layout import Layout
from bluegreen.platforms.local.lock import LocalLock
from bluegreen.platforms.local.platform import LocalPlatform
from bluegreen.ports import Purpose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from bluegreen.domain.events import Event
    from bluegreen.domain.snapshot import Snapshot
    from bluegreen.ports import Grip

CLOCK = SystemClock()
BACKEND, GATEWAY = "demo-backend", "demo-gateway"
BLUE, GREEN = Slot.BLUE, Slot.GREEN

SERVER = """#!{python}
import os, signal, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

behaviour = Path("behaviour").read_text().split()
leaving = threading.Event()
counting = threading.Lock()
answers = {{}}
NOT_USERS = {{"/ready", "/healthz", "/live", "/metrics"}}


def metrics():
    with counting:
        total = sum(answers.values())
        lines = [f'demo_requests_total{{{{status="{{status}}"}}}} {{count}}' for status, count in answers.items()]
    lines = ["# TYPE demo_requests_total counter", *lines, "# TYPE demo_overhead_ms histogram"]
    lines += [f'demo_overhead_ms_bucket{{{{le="{{edge}}"}}}} {{total}}' for edge in ("10.0", "+Inf")]
    return "\\n".join([*lines, f"demo_overhead_ms_count {{total}}", "demo_overhead_ms_sum 0", ""])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self):
        status, body = 200, f"{{os.environ['SLOT']}} {{os.environ['VERSION']}}"
        if self.path == "/ready" and "never-ready" in behaviour:
            status = 503
        if self.path == "/live" and Path(f"/proc/self/cwd/deaf-{{os.environ['PORT']}}").exists():
            status = 500
        if self.path == "/environment":
            body = "\\n".join(f"{{name}}={{value}}" for name, value in os.environ.items())
        if self.path == "/metrics":
            body = metrics()
        if self.path == "/told":
            body = '{{"ok": true, "n": 3, "list": ["a"]}}'
        if self.path not in NOT_USERS:
            with counting:
                answers[status] = answers.get(status, 0) + 1
        self.answer(status, body)

    def do_POST(self):
        self.answer(200, self.rfile.read(int(self.headers["Content-Length"])).decode())

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("X-Told", "yes")
        self.send_header("Content-Length", str(len(body)))
        if leaving.is_set():
            self.send_header("Connection", "close")
            self.close_connection = True
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *values):
        pass


def leave(*_):
    leaving.set()
    threading.Timer(0.0 if "hasty" in behaviour else 0.7, server.shutdown).start()


class Server(ThreadingHTTPServer):
    request_queue_size = 512
    daemon_threads = False

    def handle_error(self, *_):
        pass


if "cannot-start" in behaviour:
    print("loading settings")
    sys.exit("no such setting: DATABASE")
server = Server((os.environ["HOST"], int(os.environ["PORT"])), Handler)
signal.signal(signal.SIGTERM, leave)
print("serving", flush=True)
threading.main_thread()
worker = threading.Thread(target=server.serve_forever, kwargs={{"poll_interval": 0.05}})
worker.start()
while worker.is_alive():
    worker.join(0.1)
os._exit(0)
"""


def probes(ready: str = "/ready") -> Probes:
    """Those of the specification, with a liveness probe that is quick enough for a test, and no busy machine fails."""
    return Probes(
        startup=Probe(path="/healthz", period=3, failures=30),
        readiness=Probe(path=ready, period=5),
        liveness=Probe(path="/live", period=0.2, failures=5),
    )


def stack(*, replicas: int = 2, settings: Mapping[str, str] | None = None) -> Stack:
    """The gateway needs the backend."""
    environment = tuple((settings or {}).items())
    backend = Service(
        name=BACKEND,
        image="demo/backend:v1",
        port=0,
        probes=probes(),
        replicas=replicas,
        environment=environment,
        grace=5,
    )
    gateway = Service(
        name=GATEWAY,
        image="demo/gateway:v1",
        port=0,
        probes=probes(),
        replicas=replicas,
        needs=(Need(service=BACKEND, variable="BACKEND_URL"),),
        metrics=MetricNames(requests="demo_requests_total", overhead="demo_overhead_ms"),
        grace=5,
    )
    return Stack(name="demo", services=(backend, gateway))


def write_image(root: Path, reference: str, behaviour: str = "") -> Path:
    """Make an image's folder."""
    image = ImageReference.parse(reference)
    folder = root / image.name / image.tag
    folder.mkdir(parents=True)
    (folder / "behaviour").write_text(behaviour)
    (folder / "run").write_text(SERVER.format(python=sys.executable))
    (folder / "run").chmod(0o755)
    return folder


@dataclass(kw_only=True)
class Local:
    """One state folder with its images, for one test."""

    layout: Layout
    images: Path
    stack: Stack
    events: list[Event] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)

    def up(self, *, limit: float = 40) -> Up:
        asked = Asked(stack=self.stack, images=self.images, ports=self.ports, who="a test")
        found = up(asked, layout=self.layout, clock=CLOCK, emit=self.events.append, until=soon(limit))
        for front in found.fronts:
            self.ports[front.service] = front.public_port
        return found

    def down(self, *, purge: bool = False) -> bool:
        return down(layout=self.layout, clock=CLOCK, emit=self.events.append, who="a test", purge=purge)

    def open(self) -> LocalPlatform:
        return LocalPlatform.open(self.layout, clock=CLOCK)

    def image(self, tag: str, behaviour: str = "") -> None:
        for name in ("backend", "gateway"):
            write_image(self.images, f"demo/{name}:{tag}", behaviour)

    def spec(self, platform: LocalPlatform, slot: Slot, tag: str, *, revision: str) -> SlotSpec:
        snapshot = platform.snapshot(until=soon(5))
        works = tuple(
            WorkloadSpec(
                service=wanted.service,
                image=ImageReference.parse(f"demo/{wanted.service.removeprefix('demo-')}:{tag}"),
                replicas=wanted.replicas,
                template=wanted.template,
            )
            for wanted in snapshot.wanted
        )
        return SlotSpec(slot=slot, revision=revision, workloads=works)

    def lock(self) -> LocalLock:
        return LocalLock(self.layout, clock=CLOCK)

    def supervisord(self) -> processes.Process:
        found = processes.recorded(self.layout.pids / "supervisord")
        assert found is not None, "supervisord does not run"
        return found

    def processes(self) -> list[processes.Process]:
        """Everything of the stack that lives."""
        found = [processes.recorded(path) for path in sorted(self.layout.pids.glob("*"))]
        return [*(each for each in found if each), *(each.process for each in envoy_run.living(self.layout.state))]

    def kill_all(self) -> None:
        """The end of everything, as at a power cut: nobody gets to say a word."""
        with contextlib.suppress(AssertionError):
            self._kill_supervisord()
        living = self.processes()
        for process in living:
            process.signal(signal.SIGKILL)
        assert not processes.wait_gone(living, clock=CLOCK, until=soon(5))

    def _kill_supervisord(self) -> None:
        """With what it has just started and what has not written its pid yet: a stopped one starts nothing more."""
        supervisord = self.supervisord()
        supervisord.signal(signal.SIGSTOP)
        started = psutil.Process(supervisord.pid).children(recursive=True)
        supervisord.signal(signal.SIGKILL)
        for process in started:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()


@contextlib.contextmanager
def local(folder: Path, *, made: Stack | None = None) -> Iterator[Local]:
    """A stack that is not up yet; whatever of it lives at the end is killed by pid."""
    found = Local(layout=Layout(folder / "state"), images=folder / "images", stack=made or stack())
    found.image("v1")
    try:
        yield found
    finally:
        found.kill_all()
        envoy_run.clean_up(found.layout.state)
        shutil.rmtree(found.layout.runtime, ignore_errors=True)


def soon(seconds: float) -> Instant:
    return after(CLOCK.now(), seconds)


@contextlib.contextmanager
def taken(lock: LocalLock, *, run: str = "r-test") -> Iterator[Grip]:
    grip = lock.take(purpose(run), until=soon(1))
    try:
        yield grip
    finally:
        lock.release(grip)


def purpose(run: str, kind: RunKind = RunKind.RELEASE) -> Purpose:
    return Purpose(kind=kind, run=run, who="a test")


def moves(snapshot: Snapshot, to: Slot, *, fallback: Slot | None = None) -> list[Move]:
    return [
        Move(service=route.service, to=to, expect=route.version, fence=os.urandom(4).hex(), fallback=fallback)
        for route in snapshot.routes
    ]


def wait_for(platform: LocalPlatform, what: str, true: Callable[[Snapshot], bool], *, limit: float = 60) -> Snapshot:
    """The first snapshot of which it is true."""
    for snapshot in platform.changes(until=soon(limit)):
        if true(snapshot):
            return snapshot
    raise AssertionError(what)


def all_ready(now: Snapshot) -> bool:
    """Both slots, to themselves and to the data plane: ``up`` waits for the active one only."""
    return all(work.ready == work.replicas and work.reachable == work.replicas for work in now.workloads)


def seen(platform: LocalPlatform, *, seconds: float) -> list[Snapshot]:
    """All that a watch of so many seconds yields."""
    found: list[Snapshot] = []
    with contextlib.suppress(DeadlineExceeded):
        for snapshot in platform.changes(until=soon(seconds)):
            found.append(snapshot)  # noqa: PERF402 - extend would lose all at the deadline
    return found


def eventually(what: str, true: Callable[[], bool], *, limit: float = 60) -> None:
    """Wait until it is true, and say what was waited for when it never was."""
    until = soon(limit)
    while not true():
        assert CLOCK.now() < until, f"after {limit} s still not so: {what}"
        CLOCK.wait(until=soon(0.02))


def get(port: int, path: str = "/") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


class Users:
    """A bounded load on one port in a thread of its own: new connections, 100 a second, each answer counted."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.answers: dict[str, int] = {}
        self.lost: list[str] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        for _ in range(6000):
            if self._done.wait(0.01):
                return
            try:
                status, body = get(self._port)
            except (OSError, http.client.HTTPException) as error:
                self.lost.append(f"{type(error).__name__}: {error}")
                continue
            if status == 200:
                self.answers[body] = self.answers.get(body, 0) + 1
            else:
                self.lost.append(f"status {status}: {body}")
