"""A rollback beside what one would type instead: two ``kubectl patch``, one after the other.

    python bench/rollback.py [--pairs 40]

On the cluster of the testbed (the one that is up, or one of its own for as long as it runs). In each pair both ways
move the users of both Services once, in an order drawn anew, from process start to exit; after each the EndpointSlices
are read until they hold the new slot's pods only, so that a way that returned too early would be seen. ``ratio`` is
the median of the pairs' ratios: under 1, bluegreen is the faster one.
"""

from __future__ import annotations

import argparse
import random
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "examples"))

from cluster_harness import SERVICES, ClusterStack, alfred, running_cluster, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SEED = 20_261_124
OTHER = {"blue": "green", "green": "blue"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """One way's move: seconds from start to exit, and from there until the slices say so too."""

    seconds: float
    later: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Both ways, one after the other."""

    ours: Moved
    kubectl: Moved

    @property
    def ratio(self) -> float:
        """Under 1: ours took less time."""
        return self.ours.seconds / self.kubectl.seconds


def by_bluegreen(stack: ClusterStack, slot: str) -> None:
    """One process."""
    words = [sys.executable, "-m", "bluegreen", "--platform", "kubernetes", "--namespace", stack.namespace]
    _call(stack, [*words, "rollback", "--to", slot])


def by_kubectl(stack: ClusterStack, slot: str) -> None:
    """Two processes: the specification's two lines."""
    patch = f'{{"spec":{{"selector":{{"slot":"{slot}"}}}}}}'
    for service in SERVICES:
        _call(stack, ["kubectl", "patch", "svc", f"alfred-{service}", "-n", stack.namespace, "-p", patch])


def _call(stack: ClusterStack, words: Sequence[str]) -> None:
    """Run it in the network of the API server, and nothing else of it wrapped: both ways pay for one ``nsenter``."""
    command = stack.cluster.control_plane.in_network(words)
    done = subprocess.run(command, env=stack.environment(), capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}")


def move(stack: ClusterStack, way: Callable[[ClusterStack, str], None]) -> Moved:
    """Bring the users to the other slot, and see that they are there."""
    slot = OTHER[stack.selector()]
    began = time.perf_counter()
    way(stack, slot)
    seconds = time.perf_counter() - began
    later = wait_until(lambda: stack.routed(slot), what=f"all endpoints in {slot} after {way.__name__}", limit=10)
    return Moved(seconds=seconds, later=later)


def run(stack: ClusterStack, *, pairs: int) -> list[Pair]:
    """All pairs, told as they come."""
    chance = random.Random(SEED)
    done = []
    for number in range(pairs):
        ways = [by_bluegreen, by_kubectl]
        chance.shuffle(ways)
        took = {way: move(stack, way) for way in ways}
        pair = Pair(ours=took[by_bluegreen], kubectl=took[by_kubectl])
        ours, kubectl = (moved.seconds * 1000 for moved in (pair.ours, pair.kubectl))
        print(f"pair {number + 1:>3}: bluegreen {ours:.0f} ms, kubectl {kubectl:.0f} ms, ratio {pair.ratio:.2f}")
        done.append(pair)
    return done


def _table(pairs: Sequence[Pair]) -> None:
    _row("bluegreen", [pair.ours for pair in pairs])
    _row("two kubectl patch", [pair.kubectl for pair in pairs])


def _row(name: str, moves: Sequence[Moved]) -> None:
    times = sorted(moved.seconds * 1000 for moved in moves)
    later = max(moved.later for moved in moves) * 1000
    spread = f"p50 {statistics.median(times):.0f} ms, min {times[0]:.0f}, max {times[-1]:.0f}"
    print(f"{name:<18} {spread}; the slices said so {later:.0f} ms after its exit at the latest, reading included")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the last line is the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pairs", type=int, default=40, help="at least 30 say something (%(default)s)")
    options = parser.parse_args(arguments)
    print(f"seed {SEED}: the order within the pairs")
    with running_cluster() as cluster, alfred(cluster, "bench-rollback") as stack:
        for way in (by_bluegreen, by_kubectl) * 2:
            move(stack, way)  # the first call of each reads its files from the disk
        pairs = run(stack, pairs=options.pairs)
    _table(pairs)
    print(f"bench-rollback: ratio={statistics.median(pair.ratio for pair in pairs):.2f} pairs={len(pairs)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
