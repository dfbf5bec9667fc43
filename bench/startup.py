"""Start-up time by import: what each command costs before it does anything, beside Python alone.

Each figure is of fresh processes, all kinds taken in turn so that they meet the same machine: the median of the time,
and the least processor time, which a busy machine changes less.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass

ROUNDS = 15

PROGRAMS = {
    "python alone": "pass",
    "click": "import click",
    "bluegreen --help": "import bluegreen.cli; bluegreen.cli.main(['--help'])",
    "rollback here, imports": "import bluegreen.cli, bluegreen.pipeline.rollback, bluegreen.wiring.local",
    "rollback on Kubernetes, imports": (
        "import bluegreen.cli, bluegreen.pipeline.rollback, bluegreen.wiring.kubernetes, "
        "bluegreen.platforms.kubernetes.resolve, bluegreen.platforms.kubernetes.posting, "
        "bluegreen.platforms.kubernetes.budgets, bluegreen.platforms.kubernetes.scalers"
    ),
    "deploy here, imports": (
        "import bluegreen.cli.deploy, bluegreen.pipeline.release, bluegreen.platforms.local.platform, "
        "bluegreen.appfile, bluegreen.metrics.scrape"
    ),
}


def main() -> None:
    """Measure and print a table."""
    times: dict[str, list[Took]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name, program in PROGRAMS.items():
            times[name].append(_once(program))
    base = statistics.median(took.seconds for took in times["python alone"])
    for name, each in times.items():
        median, processor = statistics.median(took.seconds for took in each), min(took.processor for took in each)
        print(
            f"{name:<34}{median * 1000:7.0f} ms{median / base:7.1f} x python alone{processor * 1000:7.0f} ms processor"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Took:
    """One process: seconds from start to end, and of a processor."""

    seconds: float
    processor: float


def _once(program: str) -> Took:
    before, started = _processor(), time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    return Took(seconds=time.perf_counter() - started, processor=_processor() - before)


def _processor() -> float:
    """Of all processes that were waited for so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
