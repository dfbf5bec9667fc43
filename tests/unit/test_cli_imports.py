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
    *(f"bluegreen.cli.{name}" for name in ("calls", "entry", "plain_rollback", "program", "screen", "session")),
    "bluegreen.domain",
    "bluegreen.domain.errors",
    "bluegreen.domain.stack",
    "bluegreen.domain.values",
)

HELP = (*CLI, *(f"bluegreen.cli.{name}" for name in ("commands", "group", "place")), "click", "click.*")

ROLLBACK = (
    *CLI,
    *(f"bluegreen.cli.{name}" for name in ("views", "views.paper", "views.plain", "views.plan")),
    "bluegreen.clock",
    "bluegreen.parent",
    "bluegreen.domain.*",
    "bluegreen.pipeline",
    *(f"bluegreen.pipeline.{name}" for name in ("back", "deploy", "rollback", "routes", "tools", "validate")),
    "bluegreen.platforms",
    "bluegreen.platforms.local",
    "bluegreen.platforms.local.*",
    "bluegreen.ports",
    *(f"bluegreen.{name}" for name in ("wiring", "wiring.common", "wiring.local")),
)

KUBERNETES_ROLLBACK = (
    *CLI,
    *(f"bluegreen.cli.{name}" for name in ("views", "views.paper", "views.plain", "views.plan")),
    "bluegreen.clock",
    "bluegreen.parent",
    *(
        f"bluegreen.domain.{name}"
        for name in (
            "cause",
            "codec",
            "events",
            "finding",
            "image",
            "plan",
            "release",
            "routing",
            "snapshot",
        )
    ),
    "bluegreen.pipeline",
    *(f"bluegreen.pipeline.{name}" for name in ("back", "rollback", "routes", "tools")),
    "bluegreen.platforms",
    "bluegreen.platforms.kubernetes",
    *(
        f"bluegreen.platforms.kubernetes.{name}"
        for name in (
            *("answer", "cluster", "connection", "credentials", "entries", "errors", "journal", "kubeconfig"),
            *("lease", "live", "lock", "looking", "names", "node", "objects", "pace", "platform", "proxies", "renewal"),
            *("plain_yaml", "resolve", "resources", "route", "threadclock", "tls", "transport", "wire"),
        )
    ),
    "bluegreen.ports",
    *(f"bluegreen.{name}" for name in ("wiring", "wiring.built_in", "wiring.common", "wiring.kubernetes")),
)
"""Up to the first word with the API server; what follows when users are safe is not seen here."""

HEAVY = frozenset(
    {
        "argparse",
        "asyncio",
        "concurrent.futures",
        "difflib",
        "logging",
        "multiprocessing",
        "tempfile",
        "traceback",
        "unittest",
    }
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


SLOW_TO_START = frozenset({"dataclasses", "datetime", "email", "http.client", "inspect", "shlex", "stringprep", "uuid"})
"""Parts of the standard library that are replaced or avoided where users wait: 1 to 10 ms each."""

KUBECONFIG = """\
apiVersion: v1
clusters:
- cluster:
    server: https://127.0.0.1:1
  name: here
contexts:
- context:
    cluster: here
    user: me
  name: here
current-context: here
kind: Config
preferences: {}
users:
- name: me
  user:
    token: t
"""
"""As kubectl writes it; nobody listens there."""


@pytest.mark.parametrize(("word", "allowed", "expected"), [("--help", HELP, 0), ("rollback", ROLLBACK, 6)])
def test_only_these_modules_are_loaded(tmp_path: Path, word: str, allowed: tuple[str, ...], expected: int) -> None:
    """The rollback finds no stack here (exit 6), after it has imported all that it works with."""
    code, modules = loaded(tmp_path, word)

    foreign = {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}
    strangers = {name for name in foreign if not any(fnmatch.fnmatchcase(name, pattern) for pattern in allowed)}
    assert code == expected
    assert sorted(strangers) == []
    assert sorted(modules & HEAVY) == []


def test_a_rollback_on_kubernetes_loads_what_it_does_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no cluster here (exit 6), after it has imported all that it needs to move users."""
    (tmp_path / "config").write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    code, modules = loaded(tmp_path, "--platform", "kubernetes", "rollback", "--to", "blue")

    foreign = {name for name in modules if name.partition(".")[0] not in sys.stdlib_module_names}
    assert code == 6
    assert sorted(foreign - set(KUBERNETES_ROLLBACK)) == []
    assert sorted(modules & (HEAVY | SLOW_TO_START)) == []


def test_who_is_to_be_told_costs_a_rollback_nothing_before_users_are_safe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = loaded(tmp_path, "rollback")
    monkeypatch.setenv("BLUEGREEN_NOTIFY", "json://127.0.0.1:1/x")
    assert loaded(tmp_path, "rollback") == before


def test_a_deploy_loads_no_asyncio_and_no_logging(tmp_path: Path) -> None:
    code, modules = loaded(tmp_path, "deploy", "--backend-image", "alfredai/backend:v2")

    assert code == 6
    assert "msgspec" in modules
    assert sorted(modules & {"asyncio", "logging"}) == []
