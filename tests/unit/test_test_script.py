"""`scripts/test`: what `make test` runs fails when either half fails, and says which. Python is a stand-in here."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/test"
STAND_IN = """#!/bin/sh
case "$*" in
    *"testbed build"*) exit "$BUILD" ;;
    *"not cluster"*) echo "of the machine"; exit "$MACHINE" ;;
    *) echo "of the cluster"; exit "$CLUSTER" ;;
esac
"""
PYTEST_SAID = """E FAILED to see
=== short test summary info ===
SKIPPED [1] d
FAILED tests/a.py::b - E
ERROR tests/a.py::c
2 failed"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts/test")
    python = tmp_path / ".venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(STAND_IN)
    python.chmod(0o755)
    return tmp_path


def run(checkout: Path, *, build: int = 0, machine: int = 0, cluster: int = 0) -> subprocess.CompletedProcess[str]:
    codes = {"BUILD": str(build), "MACHINE": str(machine), "CLUSTER": str(cluster)}
    script = [str(checkout / "scripts/test")]
    return subprocess.run(script, env=os.environ | codes, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize(("build", "machine", "cluster"), [(0, 0, 0), (69, 0, 0)])
def test_both_halves_are_run_each_under_its_name(checkout: Path, build: int, machine: int, cluster: int) -> None:
    done = run(checkout, build=build, machine=machine, cluster=cluster)
    assert sorted(done.stdout.splitlines()) == ["cluster | of the cluster", "machine | of the machine"]
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("machine", "cluster", "told"), [(1, 0, ["machine"]), (0, 1, ["cluster"]), (2, 1, ["machine", "cluster"])]
)
def test_a_half_that_fails_is_named(checkout: Path, machine: int, cluster: int, told: list[str]) -> None:
    done = run(checkout, machine=machine, cluster=cluster)
    assert done.returncode == 1
    assert [line.split()[5].rstrip(";") for line in done.stderr.splitlines()] == told


def test_what_failed_is_repeated_at_the_end(checkout: Path) -> None:
    (checkout / ".venv/bin/python").write_text(STAND_IN.replace('"of the machine"', f'"{PYTEST_SAID}"'))
    lines = run(checkout, machine=1).stderr.splitlines()
    assert lines[0].startswith("failed: the suites of the machine")
    assert lines[1:] == ["machine | FAILED tests/a.py::b - E", "machine | ERROR tests/a.py::c"]


def test_nothing_is_run_when_the_clusters_programs_cannot_be_built(checkout: Path) -> None:
    done = run(checkout, build=1)
    assert (done.returncode, done.stdout) == (1, "")
