"""A whole release beside a plain bash script of the same six phases with kubectl (``bash_release.sh``).

    python bench/release.py [--rounds 5] [--window 10]

On the cluster of the testbed. Both release the same versions on the same stack, in turn, with users of every kind on
both nodes and both Services. Measured by what neither of them says: the time from a process's start to its exit, the
pods' own time from the Deployments as a third party watches them, lost requests by the load generator, calls by the
API server's audit log. "Overhead" is what is left of the whole when the pods' time and the window are taken away.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

from cluster_harness import ClusterLoad, ClusterStack, alfred, end_watch, running_cluster
from harness import SETTLE, Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HERE = Path(__file__).resolve().parent
OTHER = {"blue": "green", "green": "blue"}
BASH = "bash"
OURS = "bluegreen"
AGENT = {OURS: "bluegreen", BASH: "kubectl"}


class PodWatch:
    """Watches the Deployments of one slot: from their first new generation until all are as asked."""

    _PATH = (
        "{.metadata.name} {.metadata.generation} {.status.observedGeneration} "
        "r{.spec.replicas} r{.status.updatedReplicas} r{.status.readyReplicas} r{.status.replicas}"
        '{"\\n"}'
    )

    def __init__(self, stack: ClusterStack, *, slot: str) -> None:
        """Begin."""
        words = ["kubectl", "-n", stack.namespace, "get", "deployments", "-l", f"slot={slot}", "-w"]
        command = stack.cluster.command([*words, "-o", f"jsonpath={self._PATH}"])
        self._process = subprocess.Popen(command, env=stack.environment(), stdout=subprocess.PIPE, text=True)
        self._first: dict[str, str] = {}
        self._settled: dict[str, bool] = {}
        self.began = 0.0
        self.ended = 0.0
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            name, generation, seen, wanted, *have = line.split()
            new = generation != self._first.setdefault(name, generation)
            if new and not self.began:
                self.began = time.monotonic()
            was = all(self._settled.values())
            self._settled[name] = generation == seen and wanted != "r0" and set(have) == {wanted}
            if self.began and not was and all(self._settled.values()):
                self.ended = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the pods took, what ran there before included."""
        return self.ended - self.began

    def __enter__(self) -> Self:
        """Watching already."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop."""
        end_watch(self._process, self._reader)


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What one release took."""

    seconds: float
    pods: float
    window: float
    calls: Counter[str] = field(default_factory=Counter)

    @property
    def overhead(self) -> float:
        """What is neither pods nor window."""
        return self.seconds - self.pods - self.window


def command_of(way: str, tag: str, *, window: float) -> list[str]:
    """The command line of one release."""
    images = (f"alfredai/backend:{tag}", f"alfredai/gateway:{tag}")
    if way == BASH:
        return [str(HERE / "bash_release.sh"), *images]
    words = [
        sys.executable,
        "-m",
        "bluegreen",
        "--platform",
        "kubernetes",
        "deploy",
        "--validation-time",
        f"{window:g}",
    ]
    return [*words, "--backend-image", images[0], "--gateway-image", images[1]]


def release(stack: ClusterStack, way: str, tag: str, *, window: float) -> Release:
    """Run one release to its end, which has to be good."""
    place = {"NAMESPACE": stack.namespace, "WINDOW": f"{window:g}", "BLUEGREEN_NAMESPACE": stack.namespace}
    command = stack.cluster.control_plane.in_network(command_of(way, tag, window=window))
    before = len(stack.cluster.audited())
    with PodWatch(stack, slot=OTHER[stack.selector()]) as pods:
        began = time.monotonic()
        done = subprocess.run(
            command, env={**stack.environment(), **place}, capture_output=True, text=True, timeout=300, check=False
        )
        seconds = time.monotonic() - began
    if done.returncode:
        raise SystemExit(f"{way}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")
    calls = stack.calls(AGENT[way], since=before)
    return Release(seconds=seconds, pods=pods.seconds, window=window, calls=calls)


def run(stack: ClusterStack, *, rounds: int, window: float) -> dict[str, list[tuple[Release, Counts]]]:
    """Both ways in turn, each release with load of its own."""
    done: dict[str, list[tuple[Release, Counts]]] = {OURS: [], BASH: []}
    for number in range(rounds):
        for way in (OURS, BASH) if number % 2 else (BASH, OURS):
            tag = f"{stack.namespace}-{way}-{number}"
            stack.image(tag)
            counted, counts = under_load(stack, partial(release, stack, way, tag, window=window))
            done[way].append((counted, counts))
            print(
                f"round {number + 1} {way}: {counted.seconds:.1f} s = pods {counted.pods:.1f} + window {window:g} + "
                f"{counted.overhead:.1f}; {counts.requests} requests, {counts.failed} failed; "
                f"{counted.calls.total()} calls",
                flush=True,
            )
    return done


def under_load(stack: ClusterStack, work: Callable[[], Release]) -> tuple[Release, Counts]:
    """Do it while users of every kind are there, from some seconds before to some seconds after."""
    load = ClusterLoad(stack)
    try:
        time.sleep(SETTLE)  # traffic before and after: the bench's subject, not a wait for luck
        counted = work()
        time.sleep(SETTLE)
        return counted, load.stop()
    except BaseException:
        load.kill()
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="releases of each (%(default)s)")
    parser.add_argument("--window", type=float, default=10, help="seconds of the observation window (%(default)s)")
    options = parser.parse_args(arguments)
    with running_cluster() as cluster, alfred(cluster, "bench-release") as stack:
        done = run(stack, rounds=options.rounds, window=options.window)
        longer = {way: calls_when_waiting(stack, way, window=options.window) for way in (OURS, BASH)}
    for way, rows in done.items():
        print(line_of(way, rows))
    for way, calls in longer.items():
        print(f"{way}: twice the window, further calls: {dict(calls)}")
    return 0


def line_of(way: str, rows: Sequence[tuple[Release, Counts]]) -> str:
    """One row of the table."""
    overhead = [counted.overhead for counted, _ in rows]
    counts = Counts.together([each for _, each in rows])
    calls = statistics.median(counted.calls.total() for counted, _ in rows)
    return (
        f"{way:<10} overhead p50 {statistics.median(overhead):.2f} s (max {max(overhead):.2f}), pods p50 "
        f"{statistics.median(counted.pods for counted, _ in rows):.1f} s, {counts.requests} requests, "
        f"{counts.failed} failed, calls p50 {calls:g}"
    )


def calls_when_waiting(stack: ClusterStack, way: str, *, window: float) -> Counter[str]:
    """What a window of twice the length costs in calls: the difference is what waiting costs."""
    counted = []
    for times in (1, 2):
        tag = f"{stack.namespace}-{way}-wait-{times}"
        stack.image(tag)
        counted.append(release(stack, way, tag, window=window * times).calls)
    return counted[1] - counted[0]


if __name__ == "__main__":
    sys.exit(main())
