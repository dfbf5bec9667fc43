"""`make demo`: its last line is a contract, and it fails when anything was lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.local, pytest.mark.slow, pytest.mark.soak]

DEMO = Path(__file__).parents[2] / "examples" / "demo.py"
LAST_LINE = re.compile(r"demo: requests=(\d+) failed=(\d+) answered_badly=(\d+) rolled_back=(\d+)")


def run_demo(*words: str) -> tuple[int, tuple[int, ...], str]:
    words = (sys.executable, str(DEMO), "--busy", *words)
    done = subprocess.run(words, capture_output=True, text=True, timeout=580, check=False)
    last = LAST_LINE.fullmatch(done.stdout.splitlines()[-1])
    assert last, done.stdout + done.stderr
    return done.returncode, tuple(map(int, last.groups())), done.stdout


def test_the_demo_loses_nothing_and_rolls_back_twice() -> None:
    code, (requests, failed, badly, rolled_back), out = run_demo()
    assert code == 0, out
    assert requests > 10_000
    assert (failed, rolled_back) == (0, 2)
    assert badly > 0


def test_a_stack_that_loses_requests_fails_the_demo() -> None:
    """The "good" version answers errors, and nobody called it bad: those answers are lost."""
    code, (_, failed, _, _), out = run_demo("--only", "1", "--spoil", "errors=3")
    assert code == 1, out
    assert failed > 0
