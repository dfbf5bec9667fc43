"""What a command may load. A rollback has to be as fast as two ``kubectl patch``, and what it imports decides.

Each command runs in a fresh process, as a user starts it; a module that is not on the list fails the test. To add one,
measure it first (bench/startup.py).
"""

from __future__ import annotations

import fnmatch
import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = """
import json, sys
before = set(sys.modules)
from bluegreen.cli import main
code = main(sys.argv[1:])
sys.stderr.write(json.dumps([code, sorted(set(sys.modules) - before)]))
"""

CLI = (
    "bluegreen",
    "bluegreen.cli",
    *(f"bluegreen.cli.{name}" for name in ("calls", "entry", "group", "screen", "session")),
    "bluegreen.domain",
    "bluegreen.domain.errors",
    "click",
    "click.*",
)

ROLLBACK = (
    *CLI,
    *(f"bluegreen.cli.{name}" for name in ("rollback", "views", "views.paper", "views.plain", "views.plan")),
    "bluegreen.clock",
    "bluegreen.domain.*",
    "bluegreen.pipeline",
    *(f"bluegreen.pipeline.{name}" for name in ("back", "deploy", "rollback", "routes", "tools", "validate")),
    "bluegreen.platforms",
    "bluegreen.platforms.local",
    "bluegreen.platforms.local.*",
    "bluegreen.ports",
    "bluegreen.wiring",
)

HEAVY = frozenset(
    {"asyncio", "concurrent.futures", "difflib", "logging", "multiprocessing", "tempfile", "traceback", "unittest"}
    | {"urllib.request", "xml", "xmlrpc", "xmlrpc.client"}
)
"""Parts of the standard library that cost milliseconds and that no command needs on its good way."""


def loaded(folder: Path, *words: str) -> tuple[int, set[str]]:
    """Exit code and modules of one command line."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    code, modules = json.loads(done.stderr.splitlines()[-1])
    return code, set(modules)


@pytest.mark.parametrize(("word", "allowed", "expected"), [("--help", CLI, 0), ("rollback", ROLLBACK, 6)])
def test_only_these_modules_are_loaded(tmp_path: Path, word: str, allowed: tuple[str, ...], expected: int) -> None:
    """The rollback finds no stack here (exit 6), after it has imported all that it works with."""
    code, modules = loaded(tmp_path, word)

    foreign = {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}
    strangers = {name for name in foreign if not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed)}
    assert code == expected
    assert sorted(strangers) == []
    assert sorted(modules & HEAVY) == []


def test_a_deploy_loads_no_asyncio_and_no_logging(tmp_path: Path) -> None:
    code, modules = loaded(tmp_path, "deploy", "--backend-image", "alfredai/backend:v2")

    assert code == 6
    assert "msgspec" in modules
    assert sorted(modules & {"asyncio", "logging"}) == []
