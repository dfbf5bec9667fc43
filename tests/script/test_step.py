"""The specification's GitHub Actions step, run as a runner runs it, on a real cluster: to its end, and cancelled.

The runner writes the step's text to a file and starts ``bash -e`` on it. To cancel, it signals that bash alone: SIGINT,
after 7.5 s SIGTERM, after 2.5 s SIGKILL. What the step has left running it kills when the job ends, which is after the
steps that say ``if: always()``.
"""

from __future__ import annotations

import signal
import subprocess
import uuid
from typing import TYPE_CHECKING

import psutil
import pytest
from tests.kubernetes.conftest import make_stack
from tests.kubernetes.kit import OTHER, fresh, serving_tag, tags, whole
from tests.kubernetes.kit import idle as idle_slot
from tests.script.kit import BY_HAND, ROOT, environment
from tests.script.test_ci_docs import RELEASE, ROLLBACK

from cluster_harness import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testbed.cluster import Cluster

    from cluster_harness import ClusterStack

pytestmark = [pytest.mark.cluster, pytest.mark.soak]

SIGTERM_AFTER = 7.5
SIGKILL_AFTER = 2.5
SAFE = 2.0
"""Seconds after bash's death in which users are where they were."""
LIMIT = 180.0

_, DEPLOY, STATUS = RELEASE["jobs"]["release"]["steps"]
BACK = ROLLBACK["jobs"]["rollback"]["steps"][1]


@pytest.fixture(scope="module")
def stack(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterStack]:
    """Alfred in a namespace of its own; each test leaves both slots warm."""
    stack = make_stack(cluster, tmp_path_factory.mktemp("alfred"), purpose="script")
    yield stack
    stack.remove()


class Job:
    """A job's runner: steps one after the other in one environment, and what they have left running."""

    def __init__(self, stack: ClusterStack, folder: Path, files: Path) -> None:
        """A fresh machine: nothing of ours is on it, and the package index is a folder."""
        self.stack = stack
        self.folder = folder
        kubeconfig = stack.cluster.kubectl("config", "view", "--raw", "--minify", "--flatten")
        self.secrets = [line.rpartition(": ")[2] for line in kubeconfig.splitlines() if "-data: " in line]
        self.env = environment(
            folder / "home",
            CI="true",
            GITHUB_ACTIONS="true",
            KUBECONFIG=kubeconfig,
            BLUEGREEN_NAMESPACE=stack.namespace,
            PIP_NO_INDEX="1",
            PIP_FIND_LINKS=str(files),
        )
        self.left: list[psutil.Process] = []
        assert self.secrets

    def start(self, text: str, **variables: str) -> Step:
        """Start a step."""
        file = self.folder / f"{uuid.uuid4()}.sh"
        file.write_text(text)
        return Step(self, file, {**self.env, **variables})

    def run(self, text: str, **variables: str) -> Step:
        """Run a step to its end."""
        step = self.start(text, **variables)
        step.process.wait(LIMIT)
        return step

    def end(self) -> None:
        """End what is left, as a runner does."""
        for process in self.left:
            if process.is_running():
                process.kill()


class Step:
    """A step that runs, and what it prints."""

    def __init__(self, job: Job, file: Path, env: dict[str, str]) -> None:
        """Start it."""
        self.job = job
        self.log = file.with_suffix(".log")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                job.stack.cluster.command(["bash", "-e", file]),
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def code(self) -> int:
        """Its exit code."""
        assert self.process.returncode is not None
        return self.process.returncode

    @property
    def text(self) -> str:
        """What it has printed so far; never one of the kubeconfig's secrets."""
        text = self.log.read_text()
        assert not [secret for secret in self.job.secrets if secret in text]
        assert "Traceback" not in text, text
        return text

    def reach(self, what: str, there: Callable[[], bool]) -> None:
        """Wait until it has come so far."""

        def look() -> bool:
            assert self.process.poll() is None, f"it ended before {what}:\n{self.text}"
            return there()

        wait_until(look, what=f"{what} of\n{self.text}", limit=LIMIT)

    def cancel(self) -> list[int]:
        """Cancel it; the signals that it took. What it leaves behind is the job's to end."""
        bash = psutil.Process(self.process.pid)
        assert bash.cmdline()[:2] == ["bash", "-e"]
        self.job.left = bash.children(recursive=True)
        assert ["launch.py" in " ".join(child.cmdline()) for child in self.job.left] == [True], "Python is bash's child"
        sent = []
        for number, patience in ((signal.SIGINT, SIGTERM_AFTER), (signal.SIGTERM, SIGKILL_AFTER), (signal.SIGKILL, 5)):
            sent.append(int(number))
            self.process.send_signal(number)
            try:
                self.process.wait(patience)
            except subprocess.TimeoutExpired:
                continue
            return sent
        raise AssertionError("it outlived a SIGKILL")


@pytest.fixture
def job(stack: ClusterStack, tmp_path: Path, files: Path) -> Iterator[Job]:
    """A job on a fresh machine."""
    job = Job(stack, tmp_path, files)
    yield job
    job.end()


def sha(stack: ClusterStack, *, fault: str = "") -> str:
    """A commit whose images are in the registry."""
    tag = f"{uuid.uuid4().hex}{uuid.uuid4().hex[:8]}"
    stack.image(tag, fault=fault)
    return tag


def filled(text: str, commit: str) -> str:
    """The text as the runner writes it to the file."""
    return text.replace("${{ github.sha }}", commit)


def test_the_step_to_its_end(stack: ClusterStack, job: Job) -> None:
    """On a machine with a checkout and Python only; then the step that shows where users are, then the button."""
    commit, before = sha(stack), stack.selector()
    step = job.run(filled(DEPLOY["run"], commit))

    assert step.code == 0, step.text
    assert step.text.startswith("bluegreen: setting itself up in ")
    assert "way back: devops/scripts/blue_green_deploy.sh rollback " in step.text
    assert (stack.selector(), serving_tag(stack)) == (OTHER[before], commit)

    status = job.run(STATUS["run"])
    assert status.code == 0
    assert f"{OTHER[before]} serves" in status.text
    assert "setting itself up" not in status.text

    back = job.run(BACK["run"], REASON="it's slow; $(exit 9)")
    assert back.code == 0, back.text
    assert stack.selector() == before
    whole(stack)


def test_cancelled_in_the_window(stack: ClusterStack, job: Job) -> None:
    before, idle = stack.selector(), idle_slot(stack)
    step = job.start(filled(DEPLOY["run"], sha(stack)))
    step.reach("the switch", lambda: stack.selector() == idle)
    step.reach("the window", lambda: " 5 observe" in step.text)
    sent = step.cancel()

    assert sent == [signal.SIGINT, signal.SIGTERM], "bash waits through the first and dies of the second"
    wait_until(lambda: stack.selector() == before, what="users are back", limit=SAFE)
    status = job.run(STATUS["run"])
    assert f"{before} serves" in status.text
    job.end()
    a_release_works(stack)


def test_cancelled_before_the_switch(stack: ClusterStack, job: Job) -> None:
    """Users never moved; the orphan has time enough to put the idle slot back, and does."""
    before, idle = stack.selector(), idle_slot(stack)
    held, commit = tags(stack, idle), sha(stack, fault="never-ready")
    step = job.start(filled(DEPLOY["run"], commit))
    step.reach("the deployment", lambda: tags(stack, idle) == {commit})
    sent = step.cancel()

    assert sent == [signal.SIGINT, signal.SIGTERM]
    (release,) = job.left
    release.wait(60)
    assert (stack.selector(), tags(stack, idle)) == (before, held)
    whole(stack)


def test_killed_with_the_jobs_end(stack: ClusterStack, job: Job) -> None:
    """The runner ends the orphan at once, before it could do anything; the next command ends what it left."""
    before, idle = stack.selector(), idle_slot(stack)
    step = job.start(filled(DEPLOY["run"], sha(stack)))
    step.reach("the window", lambda: stack.selector() == idle and " 5 observe" in step.text)
    (release,) = psutil.Process(step.process.pid).children(recursive=True)
    release.suspend()
    step.cancel()
    job.end()

    status = job.run(STATUS["run"])
    assert "unfinished" in status.text
    back = job.run(BACK["run"], REASON="cancelled")
    assert back.code == 0, back.text
    assert stack.selector() == before
    a_release_works(stack)


def a_release_works(stack: ClusterStack) -> None:
    tag = fresh(stack)
    stack.deploy(tag, "--validation-time", "3")
    assert serving_tag(stack) == tag
    whole(stack)


def test_the_way_back_by_hand(stack: ClusterStack) -> None:
    """The lines that the script prints where it cannot run, as they stand."""
    before = stack.selector()
    stack.deploy(fresh(stack), "--validation-time", "3")
    lines = [line.strip().replace("-n alfred", f"-n {stack.namespace}") for line in BY_HAND.splitlines()]
    look, *patches = [line for line in lines if line.startswith("kubectl ")]

    def shell(line: str) -> str:
        done = stack.cluster.run(["bash", "-c", line])
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert shell(look) == OTHER[before]
    for patch in patches:
        shell(patch.replace("blue", before))
    assert (stack.selector(), shell(look)) == (before, before)
    whole(stack)
