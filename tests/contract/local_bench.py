"""The local platform at the bench: real processes behind a real Envoy."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.contract.bench import Make
from tests.local.local_kit import Local, all_ready, get, local, stack, wait_for

from bluegreen.clock import SystemClock
from bluegreen.domain.image import ImageReference
from bluegreen.domain.reading import Arrivals
from bluegreen.metrics.merged import WithArrivals
from bluegreen.metrics.scrape import ScrapeMetrics
from bluegreen.platforms.local.journal import LocalJournal
from bluegreen.platforms.local.lock import LocalLock
from bluegreen.platforms.local.platform import LocalPlatform
from bluegreen.platforms.local.store import open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bluegreen.domain.stack import Instant, Seconds, Stack
    from bluegreen.platforms.local.store import Store
    from bluegreen.ports import Purpose

BEHAVIOURS = {
    Make.GOOD: "hasty",
    Make.CANNOT_START: "cannot-start",
    Make.NEVER_READY: "never-ready hasty",
}

HOLDER = """
import sys; from pathlib import Path
from bluegreen.clock import SystemClock
from bluegreen.domain.release import RunKind
from bluegreen.platforms.local.layout import Layout; from bluegreen.platforms.local.lock import LocalLock
from bluegreen.ports import Purpose
clock = SystemClock()
lock = LocalLock(Layout(Path(sys.argv[1])), clock=clock)
lock.take(Purpose(kind=RunKind.RELEASE, run=sys.argv[2], who=sys.argv[3]), until=clock.now())
print("taken", flush=True)
sys.stdin.read()
"""


class LocalBench:
    """A bench of one state folder. Sessions are closed by the thread that opened them."""

    evicts = False
    falls_back = True
    counts_users = True
    knows_images = True
    reaches_entry = True

    def __init__(self, running: Local) -> None:
        """Users are on blue."""
        self.clock = SystemClock()
        self._running = running
        self._stores: dict[int, list[Store]] = {}
        self._others: list[threading.Thread] = []
        self._faults: list[BaseException] = []

    @property
    def stack(self) -> Stack:
        """As in Bench; so are all the others."""
        return self._running.stack

    def close(self) -> None:
        for thread in self._others:
            thread.join()
        self._close_mine()
        if self._faults:
            raise self._faults[0]

    def _close_mine(self) -> None:
        for store in self._stores.pop(threading.get_ident(), []):
            store.close()

    def _store(self) -> Store:
        store = open_store(self._running.layout)
        self._stores.setdefault(threading.get_ident(), []).append(store)
        return store

    def platform(self) -> LocalPlatform:
        return LocalPlatform(self._running.layout, self._store(), clock=self.clock)

    def lock(self) -> LocalLock:
        return LocalLock(self._running.layout, clock=self.clock)

    def journal(self) -> LocalJournal:
        return LocalJournal(self._store())

    def metrics(self) -> WithArrivals:
        plane, clock = self.platform().plane, self.clock

        def arrivals(until: Instant) -> Sequence[Arrivals]:
            return [
                Arrivals(service=each.service, slot=each.slot, requests=each.requests, in_flight=each.in_flight)
                for each in plane.counters(timeout=until - clock.now())
            ]

        return WithArrivals(ScrapeMetrics(self.stack, clock=clock), arrivals)

    def image(self, service: str, make: Make) -> ImageReference:
        return ImageReference.parse(f"demo/{service.removeprefix('demo-')}:{make}")

    def users(self, service: str, *, requests: int) -> None:
        for _ in range(requests):
            status, _ = get(self._running.ports[service])
            assert status == 200

    def later(self, seconds: Seconds, action: Callable[[], object]) -> None:
        def act() -> None:
            try:
                action()
            except BaseException as fault:  # noqa: BLE001 - it is the test's, and raised when the bench is closed
                self._faults.append(fault)
            finally:
                self._close_mine()

        self._others.append(threading.Timer(seconds, act))
        self._others[-1].start()

    def interrupt(self) -> None:
        self.clock.interrupt("SIGINT")

    def dead_holder(self, purpose: Purpose) -> None:
        words = [sys.executable, "-c", HOLDER, str(self._running.layout.state), purpose.run, purpose.who]
        with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "taken\n"
            holder.kill()

    @contextmanager
    def no_room(self) -> Iterator[None]:
        """SQLite itself refuses every write of the sessions that are open."""
        stores = self._stores[threading.get_ident()]
        for store in stores:
            store.execute("PRAGMA query_only = ON")
        yield
        for store in stores:
            store.execute("PRAGMA query_only = OFF")


@contextmanager
def local_bench() -> Iterator[LocalBench]:
    """A stack of its own for each test."""
    with tempfile.TemporaryDirectory() as folder, local(Path(folder), made=stack()) as running:
        for make, behaviour in BEHAVIOURS.items():
            running.image(make.value, behaviour)
        for name in ("backend", "gateway"):
            (running.images / "demo" / name / "v1" / "behaviour").write_text("hasty")
        running.up()
        with running.open() as platform:
            wait_for(platform, "both slots are ready", all_ready)
        bench = LocalBench(running)
        try:
            yield bench
        finally:
            bench.close()
