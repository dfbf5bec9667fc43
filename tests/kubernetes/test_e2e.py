"""`make e2e` in its short form, and the benches: their last lines are contracts, and the long run can fail."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from cluster_harness import ROOT

if TYPE_CHECKING:
    from testbed.cluster import Cluster

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

LAST_LINE = re.compile(r"e2e: requests=(\d+) failed=(\d+) releases=(\d+) rollbacks=(\d+)")


def run(cluster: Cluster, program: str, *words: str) -> tuple[int, list[str]]:
    """Run one of our programs on this cluster; its exit code and what it printed."""
    env = {**os.environ, "TESTBED_SHARED": cluster.places.name}
    command = [sys.executable, str(ROOT / program), *words]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=1500, check=False)
    print(done.stdout, done.stderr)
    return done.returncode, done.stdout.splitlines()


def test_the_short_form_loses_nothing(cluster: Cluster) -> None:
    code, lines = run(cluster, "examples/e2e.py", "--short")
    last = LAST_LINE.fullmatch(lines[-1])
    assert last
    requests, failed, releases, rollbacks = map(int, last.groups())
    assert code == 0
    assert requests > 2_000
    assert (failed, releases, rollbacks) == (0, 5, 4)


@pytest.mark.long
def test_versions_that_lose_requests_fail_it(cluster: Cluster) -> None:
    """The "good" versions answer errors, and nobody called them bad: those answers are lost."""
    code, lines = run(cluster, "examples/e2e.py", "--short", "--spoil", "errors=8")
    last = LAST_LINE.fullmatch(lines[-1])
    assert last
    assert code == 1
    assert int(last[2]) > 0


def test_the_bench_of_rollbacks_says_what_it_measured(cluster: Cluster) -> None:
    """No figure is asserted: a machine that runs tests is no place to measure."""
    code, lines = run(cluster, "bench/rollback.py", "--pairs", "2")
    assert code == 0
    assert re.fullmatch(r"bench-rollback: ratio=\d+\.\d\d pairs=2", lines[-1])


@pytest.mark.long
@pytest.mark.long
def test_the_bench_of_releases_counts_both_ways(cluster: Cluster) -> None:
    code, lines = run(cluster, "bench/release.py", "--rounds", "1", "--window", "3")
    assert code == 0
    ours, bash = (next(line for line in lines if line.startswith(f"{way} ")) for way in ("bluegreen", "bash"))
    assert re.match(r"bluegreen +overhead .* 0 failed, calls p50 \d+", ours)
    assert re.match(r"bash +overhead .* \d+ failed, calls p50 \d+", bash)
