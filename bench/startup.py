"""Start-up time by import: what each command costs before it does anything, beside Python alone.

Each figure is the median of fresh processes, all kinds taken in turn so that they meet the same machine.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

ROUNDS = 15

PROGRAMS = {
    "python alone": "pass",
    "click": "import click",
    "bluegreen --help": "import bluegreen.cli; bluegreen.cli.main(['--help'])",
    "bluegreen rollback, imports": (
        "import bluegreen.cli.rollback, bluegreen.pipeline.rollback, bluegreen.platforms.local.platform"
    ),
    "bluegreen deploy, imports": (
        "import bluegreen.cli.deploy, bluegreen.pipeline.release, bluegreen.platforms.local.platform, "
        "bluegreen.appfile, bluegreen.metrics.scrape"
    ),
}


def main() -> None:
    """Measure and print a table."""
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(ROUNDS):
        for name, program in PROGRAMS.items():
            times[name].append(_once(program))
    base = statistics.median(times["python alone"])
    for name, each in times.items():
        median = statistics.median(each)
        print(f"{name:<30}{median * 1000:7.0f} ms{median / base:7.1f} x python alone")


def _once(program: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", program], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
