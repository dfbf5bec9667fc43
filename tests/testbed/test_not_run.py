"""Where no cluster can run: one clear sentence, nothing started, and tests that were not run, which is not passed."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Root without the right to make namespaces, as in a container that is not privileged.
_REFUSED = ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin", "--"]
_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("setpriv") is None, reason="not run: only root can give up its rights"
    ),
]


def run(words: Sequence[str | Path], *, required: str = "") -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "REQUIRE_CLUSTER": required}
    return subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)


def expect_one_sentence(done: subprocess.CompletedProcess[str], *, saying: str) -> None:
    assert done.returncode == 69
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("testbed: ")
    assert saying in line


def test_without_root_one_sentence(tmp_path: Path) -> None:
    """As nobody, with a Python that nobody can read: a copy of the package, and the system's interpreter."""
    python = shutil.which("python3", path="/usr/bin:/bin")
    if python is None:
        pytest.skip("not run: no system Python that an unprivileged user can start")
    shutil.copytree(ROOT / "testbed", tmp_path / "testbed", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    start = "import sys; sys.path.insert(0, sys.argv[1]); from testbed.cli import main; sys.exit(main(['up']))"
    done = run([*_NOBODY, python, "-B", "-c", start, tmp_path])
    expect_one_sentence(done, saying="needs root")


def test_where_namespaces_are_refused_one_sentence() -> None:
    done = run([*_REFUSED, sys.executable, "-m", "testbed", "--name", "refused", "up"])
    expect_one_sentence(done, saying="refuses the namespaces")


@pytest.mark.parametrize(("required", "outcome"), [("", "skipped"), ("1", "error")])
def test_the_suite_is_not_run_and_a_failure_where_it_is_required(required: str, outcome: str) -> None:
    one = "tests/testbed/test_kubernetes.py::test_nothing_leads_out"
    done = run(
        [*_REFUSED, sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", one],
        required=required,
    )
    assert f"1 {outcome}" in done.stdout
    assert "passed" not in done.stdout
    assert "refuses the namespaces" in done.stdout
    assert (done.returncode == 0) is (required == "")


def test_a_cluster_that_is_not_up_is_one_sentence() -> None:
    done = run([sys.executable, "-m", "testbed", "--name", "never-started", "exec", "--", "true"])
    assert done.returncode == 1
    assert done.stderr == "testbed: the cluster is not up; start it with `make cluster-up`\n"
